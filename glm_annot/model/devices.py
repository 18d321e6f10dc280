"""GPUs: transfers that nobody waits for, and what happens when memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor

_Item = TypeVar("_Item")
_Begun = TypeVar("_Begun")
_Result = TypeVar("_Result")


class _Movable(Protocol):
    def to(self, device: str, /) -> object: ...


def best_device() -> str:
    """The device to compute on where none is asked for: the GPU if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def sent(tensor: Tensor, device: torch.device | str) -> Tensor:
    """A tensor of the CPU on a device; to a GPU it goes from pinned memory while the CPU works on."""
    device = torch.device(device)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def one_ahead(
    begin: Callable[[_Item], _Begun], end: Callable[[_Begun], _Result], items: Iterable[_Item]
) -> Generator[_Result, None, None]:
    """The result of each item, for which the next item has been begun: a GPU is never without work.

    Args:
        begin: queues what is to be computed.
        end: waits for it.
    """
    before: list[_Begun] = []
    for item in items:
        before.append(begin(item))
        if len(before) > 1:
            yield end(before.pop(0))
    yield from map(end, before)


def in_halves(work: Callable[[Sequence[_Item]], _Result], items: Sequence[_Item]) -> list[_Result]:
    """What some work makes of all items at once, or of each half where GPU memory runs out, and so on.

    Raises:
        torch.cuda.OutOfMemoryError: a single item is too large for it.
    """
    try:
        return [work(items)]
    except torch.cuda.OutOfMemoryError:
        if len(items) == 1:
            raise
    torch.cuda.empty_cache()  # the traceback, which holds tensors, is gone by now
    half = len(items) // 2
    return [*in_halves(work, items[:half]), *in_halves(work, items[half:])]


def or_on_cpu(
    work: Callable[[], _Result], part: _Movable, name: str, report: Callable[[str], None]
) -> _Result:
    """What some work returns; on the CPU from now on if GPU memory runs out.

    Args:
        work: computes on whatever device `part` is on.
        part: what is to be moved.
        name: of it, for people.
        report: called with a line of text for the user.
    """
    try:
        return work()
    except torch.cuda.OutOfMemoryError:
        pass
    report(f"out of GPU memory for {name}; continuing on the CPU, which is slower")
    part.to("cpu")
    torch.cuda.empty_cache()
    return work()
