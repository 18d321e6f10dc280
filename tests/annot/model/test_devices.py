"""What a GPU makes necessary, without one: its errors are raised by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from glm_annot import io
from glm_annot.ec.head import LinearHead
from glm_annot.model.context import contextualise
from glm_annot.model.devices import in_halves, one_ahead, or_on_cpu, sent
from glm_annot.model.esm import Encoder, embed
from glm_annot.model.glm import GLM, ContextFit, ContextFitConfig, GeneFeatures
from glm_annot.model.sizes import GLMConfig, PLMConfig
from glm_annot.training.glm.masked import place_auroc
from glm_annot.training.glm.windows import GeneOrder, WindowReader


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
    assert said == ["out of GPU memory for this; continuing on the CPU, which is slower"]
    assert or_on_cpu(lambda: gpu.take([3]), gpu, "this", said.append) == [9] and len(said) == 1


def test_nothing_is_moved_without_need() -> None:
    gpu = Room(2)
    assert or_on_cpu(lambda: gpu.take([1, 2]), gpu, "this", pytest.fail) == [1, 4]
    assert gpu.device == "cuda"


def test_tensors_stay_themselves_on_the_cpu() -> None:
    tensor = torch.arange(3)
    assert sent(tensor, "cpu") is tensor


class Apart(TorchDispatchMode):
    """Refuses to compute with tensors of two devices, as a GPU does; CPU numbers and indices may differ."""

    MAY_MIX = (torch.ops.aten.copy_, torch.ops.aten.index, torch.ops.aten.index_put_)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        devices = {x.device.type for x in tensors if x.dim() or x.device.type != "cpu"}
        if len(devices) > 1 and func.overloadpacket not in self.MAY_MIX:
            raise RuntimeError(f"{func} of tensors on two devices")
        return func(*args, **(kwargs or {}))


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A device that keeps apart from the CPU; what comes back from it is zeros."""
    monkeypatch.setattr(
        torch.Tensor,
        "cpu",
        lambda self: self if self.device.type == "cpu" else torch.zeros(self.shape, dtype=self.dtype),
    )
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    with Apart():
        yield torch.device("meta")


def test_the_stand_in_refuses_what_was_left_on_the_cpu(stand_in: torch.device) -> None:
    with pytest.raises(RuntimeError, match="two devices"):
        torch.ones(2, device=stand_in) @ torch.ones(2, 2)
    with pytest.raises(RuntimeError, match="two devices"):
        torch.ones(2) / torch.ones((), device=stand_in)
    assert (torch.ones(2, device=stand_in) / torch.ones(())).device == stand_in


def test_the_encoder_leaves_nothing_on_the_cpu(stand_in: torch.device) -> None:
    encoder = Encoder(PLMConfig(2, 32, 4, max_residues=6, overlap=2)).to(stand_in)
    assert embed(encoder, ["MKV", "MKVL", "MKLAGVAGVAGV", "MAV"], precision="fp32").shape == (4, 32)


def test_context_and_heads_leave_nothing_on_the_cpu(stand_in: torch.device, small_gff3: Path) -> None:
    genome = io.read(small_gff3)
    n_genes = sum(len(contig.coding) for contig in genome.contigs)
    config = GLMConfig(33, 32, 2, 2, 64, labels=9)
    network, features = GLM(config).to(stand_in), GeneFeatures(config).to(stand_in)
    fit = ContextFit(ContextFitConfig()).to(stand_in)
    embeddings = np.zeros((n_genes, 32), np.float32)
    states = contextualise(genome, embeddings, network, features, layers=(0, 1), attention=True, fit=fit)
    assert states.hidden_GSF.shape == (n_genes, 2, 32)
    assert fit.percentile(torch.zeros(n_genes, device=stand_in)).device == stand_in
    assert LinearHead(32, 5).to(stand_in)(torch.zeros(3, 32, device=stand_in)).device == stand_in


def test_a_context_fit_is_measured_where_it_is(stand_in: torch.device) -> None:
    """What masked genes are said to be comes back to the CPU before; the fit stays with its model."""
    config = GLMConfig(17, 16, 2, 2, 32, labels=9)
    order = GeneOrder(np.arange(20), np.ones(20, np.int64), np.zeros(20, np.bool_), np.array([0, 20]))
    reader = WindowReader(order, np.zeros((20, 16), np.float32), GeneFeatures(config))
    fit = ContextFit(ContextFitConfig()).to(stand_in)
    assert place_auroc(GLM(config), fit, reader) == 0.5  # all log-ratios come back as zeros
