"""What a GPU makes necessary, without one: its errors are raised by hand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from glm_annot.devices import in_halves, one_ahead, or_on_cpu, sent


class Room:
    """A GPU with room for so many items at once; keeps what was asked of it."""

    def __init__(self, room: int) -> None:
        self.room, self.asked, self.device = room, [], "cuda"

    def take(self, items: Sequence[int]) -> list[int]:
        self.asked.append(list(items))
        if len(items) > self.room and self.device == "cuda":
            raise torch.cuda.OutOfMemoryError
        return [item * item for item in items]

    def to(self, device: str, /) -> None:
        self.device = device


def test_what_does_not_fit_is_halved_until_it_does() -> None:
    gpu = Room(2)
    assert in_halves(gpu.take, range(5)) == [[0, 1], [4], [9, 16]]
    assert gpu.asked == [[0, 1, 2, 3, 4], [0, 1], [2, 3, 4], [2], [3, 4]]


def test_what_fits_is_done_at_once() -> None:
    assert in_halves(Room(9).take, range(3)) == [[0, 1, 4]]


def test_a_single_item_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(torch.cuda.OutOfMemoryError):
        in_halves(Room(0).take, range(4))


def test_other_errors_are_no_lack_of_memory() -> None:
    with pytest.raises(ZeroDivisionError):
        in_halves(lambda items: [1 // item for item in items], [0, 1])


def test_the_next_item_is_begun_before_one_is_waited_for() -> None:
    order: list[str] = []

    def begin(item: int) -> int:
        order.append(f"begin {item}")
        return item

    def end(item: int) -> int:
        order.append(f"end {item}")
        return -item

    assert list(one_ahead(begin, end, [1, 2, 3])) == [-1, -2, -3]
    assert order == ["begin 1", "begin 2", "end 1", "begin 3", "end 2", "end 3"]
    assert list(one_ahead(begin, end, [])) == []


def test_the_cpu_takes_over_what_a_gpu_has_no_room_for() -> None:
    gpu, said = Room(1), []
    assert or_on_cpu(lambda: gpu.take([1, 2]), gpu, "this", said.append) == [1, 4]
    assert gpu.device == "cpu"
    assert said == ["the GPU's memory does not do for this; it goes on on the CPU, which is slower"]
    assert or_on_cpu(lambda: gpu.take([3]), gpu, "this", said.append) == [9] and len(said) == 1


def test_nothing_is_moved_without_need() -> None:
    gpu = Room(2)
    assert or_on_cpu(lambda: gpu.take([1, 2]), gpu, "this", pytest.fail) == [1, 4]
    assert gpu.device == "cuda"


def test_tensors_stay_themselves_on_the_cpu() -> None:
    tensor = torch.arange(3)
    assert sent(tensor, "cpu") is tensor
