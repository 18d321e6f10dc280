"""The speed of a device: large matrix products, the protein encoder, training steps of gLM.

Weights are random: they do not change the time. Axes as in `glm_annot.training.glm.train`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from glm_annot.model.encoder import ProteinEncoderConfig, embed
from glm_annot.model.esm import Encoder
from glm_annot.model.family_encoder import FamilyEncoder
from glm_annot.model.glm import GLM, mask_inputs
from glm_annot.model.sizes import FamilyEncoderConfig, GLMConfig
from glm_annot.model.windows import MAX_GENES

Network = TypeVar("Network", bound=nn.Module)

_GEMM_SIZE = {"cpu": 2048, "cuda": 8192}  # rows and columns of matrices large enough for the peak


def seconds(work: Callable[[], object], repeats: int = 2, device: str = "cpu") -> float:
    """The shortest of some runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times)


def gemm_peak(dtype: torch.dtype, device: str = "cpu") -> float:
    """Floating-point operations per second of the best of some large matrix products."""
    product, flops = matrix_product(dtype, device)
    return flops / seconds(product, repeats=8, device=device)


def matrix_product(dtype: torch.dtype, device: str = "cpu") -> tuple[Callable[[], object], int]:
    """A large matrix product, to be run, and the floating-point operations that it takes."""
    n = _GEMM_SIZE[torch.device(device).type]
    a, b = (torch.randn(n, n, device=device).to(dtype) for _ in range(2))
    return lambda: a @ b, 2 * n**3


def made_proteins(residues: int) -> Iterator[str]:
    """Random proteins with about this many residues in all, as long as those of bacteria (mean 320)."""
    rng = random.Random(0)
    while residues > 0:
        length = min(max(round(rng.gammavariate(2.2, 145.0)), 30), 1022)
        yield "".join(rng.choices("ACDEFGHIKLMNPQRSTVWY", k=length))
        residues -= length


def parameter_count(make: Callable[[], nn.Module]) -> int:
    """Parameters of a network that is not allocated for it."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in make().parameters())


def random_weights(make: Callable[[], Network], device: str = "cpu") -> Network:
    """A network with random weights, made faster than its own initial values are drawn."""
    with torch.device("meta"):
        network = make()
    network.to_empty(device=device)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.02)
    return network


def embedding_rate(
    config: ProteinEncoderConfig,
    residues: int,
    *,
    precision: str = "auto",
    device: str = "cpu",
    repeats: int = 2,
) -> float:
    """Residues per second of an encoder of this shape, on proteins with about this many residues in all."""
    encoder = (
        random_weights(lambda: FamilyEncoder(config), device)
        if isinstance(config, FamilyEncoderConfig)
        else random_weights(lambda: Encoder(config), device)
    )
    proteins = list(made_proteins(residues))
    embed(encoder, ["M" * 30], precision=precision)
    taken = seconds(lambda: embed(encoder, proteins, precision=precision), repeats, device)
    return sum(map(len, proteins)) / taken


@dataclass(frozen=True)
class StepTime:
    """Seconds of a training step's parts.

    Attributes:
        window: forward and backward pass of one window, as a share of a micro-batch's.
        optimizer: the optimiser's update, once a step.
    """

    window: float
    optimizer: float


def step_time(config: GLMConfig, windows: int, *, bf16: bool, device: str = "cpu") -> StepTime:
    """Measure training steps of gLM on micro-batches of this many full windows, with its own objective."""
    from ..glm.objective import MaskedBatch, MaskedGenes

    objective = MaskedGenes(random_weights(lambda: GLM(config), device))
    optimizer = torch.optim.AdamW(objective.parameters(), 1e-4)
    x_BTE = torch.randn(windows, MAX_GENES, config.input_dim, device=device)
    labels_BTL = torch.randn(windows, MAX_GENES, config.labels, device=device)
    real_BT = torch.ones(windows, MAX_GENES, dtype=torch.bool, device=device)
    masked_BT = torch.rand(windows, MAX_GENES, device=device) < 0.15
    batch = MaskedBatch(mask_inputs(x_BTE, masked_BT), labels_BTL, real_BT, masked_BT)

    def passes() -> None:
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=bf16):
            loss, _ = objective(batch)
        loss.backward()

    passes()
    optimizer.step()  # allocates its state
    return StepTime(seconds(passes, 2, device) / windows, seconds(optimizer.step, 2, device))
