"""The time and memory of a recipe: operations by formula, this machine measured, other hardware assumed.

Every figure says which of the three it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.compute as pc
import torch

from glm_annot.bundle import load
from glm_annot.errors import InputError
from glm_annot.model.encoder import ProteinEncoderConfig
from glm_annot.model.esm import DTYPES, precision_on
from glm_annot.model.family_encoder import FamilyEncoder
from glm_annot.model.glm import GLM
from glm_annot.model.sizes import FamilyEncoderConfig, GLMConfig
from glm_annot.model.windows import MAX_GENES

from ..common.inputs import read_parquet
from ..recipe import Recipe
from ..settings import Kept, TrainedEncoder, TrainedFamilies, TrainedGLM
from . import flops, speed

# Dense bfloat16 operations per second by NVIDIA's data sheets (half of those 'with sparsity').
PUBLISHED = {"A100": 312e12, "H100 SXM": 989e12}
UTILISATION = 0.4  # of a published peak; large transformers reach 0.3 to 0.5 (Chowdhery et al. 2022, table 3)
PAPER_WINDOWS = 7_000_000  # 'seven million' metagenomic contig fragments, Hwang et al. 2023
MEAN_RESIDUES = 320  # of a bacterial protein
_SECONDS = 4.0  # that a measurement should take about
_BYTES = {"weights": 4, "gradients": 4, "optimiser": 8}  # of a parameter: float32, and Adam's two moments


@dataclass(frozen=True)
class Corpus:
    """How much there is to read.

    Attributes:
        origin: 'counted' or 'assumed'.
        windows: of `genes` genes, without overlap.
        proteins: distinct ones, each embedded once.
        residues: of all proteins together.
    """

    origin: str
    windows: int
    proteins: int
    residues: int
    genes: int = MAX_GENES

    @classmethod
    def assumed(cls, windows: int) -> Corpus:
        """Full windows, in which no protein occurs twice."""
        proteins = windows * MAX_GENES
        return cls("assumed", windows, proteins, proteins * MEAN_RESIDUES)

    @classmethod
    def counted(cls, folder: Path) -> Corpus:
        """A corpus folder."""
        from ..glm.windows import GeneOrder, cut

        path = folder / "proteins.parquet"
        if not path.exists():
            raise InputError("is no corpus folder; make one with `glm-train corpus`", folder)
        sequences = read_parquet(path, ["sequence"])["sequence"]
        residues = pc.sum(pc.utf8_length(sequences)).as_py()
        return cls("counted", len(cut(GeneOrder.read(folder, "train"))), len(sequences), residues)


@dataclass(frozen=True)
class Hardware:
    """Devices at an assumed share of their peak.

    Attributes:
        name: shown to the user.
        peak: operations per second of each, published or stated.
        count: of devices; that they divide the work without loss is assumed.
        utilisation: share of the peak that the program reaches.
    """

    name: str
    peak: float
    count: int = 1
    utilisation: float = UTILISATION


@dataclass(frozen=True)
class Plan:
    """A recipe over a corpus."""

    recipe: Recipe
    corpus: Corpus
    encoder: ProteinEncoderConfig
    glm: GLMConfig | None
    micro_batch: int
    batch: int
    steps: int | None
    bf16: bool
    zero_stage: int

    @classmethod
    def of(cls, recipe: Recipe, corpus: Corpus) -> Plan:
        """Take the sizes from a recipe. Nothing is downloaded, and only a kept model is loaded."""
        encoder = _encoder(recipe)
        if not isinstance(recipe.glm, TrainedGLM):
            return cls(recipe, corpus, encoder, None, 0, 0, 0, bf16=False, zero_stage=0)
        network, engine = recipe.glm.network, recipe.glm.engine
        return cls(
            recipe,
            corpus,
            encoder,
            network.glm(encoder.dim),
            engine.micro_batch,
            engine.batch or engine.micro_batch,
            engine.steps,
            bf16=engine.precision == "bf16",
            zero_stage=engine.zero_stage,
        )

    @property
    def embedding_flops(self) -> int:
        """Operations of embedding every protein once, as if all had the mean length."""
        return flops.embedding(self.encoder, self.corpus.proteins, self.corpus.residues)

    @property
    def step_flops(self) -> int:
        """Operations of one optimiser step of gLM."""
        if self.glm is None:
            return 0
        forward = flops.glm_window(self.glm, self.corpus.genes) + flops.glm_attention(
            self.glm, self.corpus.genes
        )
        return flops.TRAINING * forward * self.batch

    @property
    def parameters(self) -> int:
        """Of gLM."""
        config = self.glm
        return 0 if config is None else speed.parameter_count(lambda: GLM(config))

    def state_bytes(self, devices: int) -> float:
        """Memory of a device for weights, gradients and optimiser state, activations left out.

        ZeRO divides the optimiser state among the devices from stage 1 on, gradients from stage 2 on
        (Rajbhandari et al. 2020, arXiv:1910.02054, section 3).
        """
        shared = {"optimiser": self.zero_stage >= 1, "gradients": self.zero_stage >= 2, "weights": False}
        return self.parameters * sum(size / (devices if shared[part] else 1) for part, size in _BYTES.items())


@dataclass(frozen=True)
class Measured:
    """This machine.

    Attributes:
        peak: operations per second of its matrix products, in the precision of gLM's training.
        residues: that it embeds in a second.
        step: seconds of a training step; None where nothing is trained.
    """

    device: str
    peak: float
    residues: float
    step: float | None


def measure(plan: Plan, device: str) -> Measured:
    """Measure this machine, some seconds for each figure."""
    embeds = precision_on(torch.device(device), plan.recipe.embed.precision)
    if isinstance(plan.encoder, FamilyEncoderConfig):
        embeds = "fp32"  # whatever is asked for
    trains = "bf16" if plan.bf16 else "fp32"
    peaks = {precision: speed.gemm_peak(DTYPES[precision], device) for precision in {embeds, trains}}
    affordable = _SECONDS * peaks[embeds] / 4 / (plan.embedding_flops / plan.corpus.residues)
    residues = speed.embedding_rate(
        plan.encoder,
        int(min(max(affordable, 600), 300_000)),
        precision=plan.recipe.embed.precision,
        device=device,
    )
    step = None
    if plan.glm is not None:
        affordable = _SECONDS * peaks[trains] / 4 / (plan.step_flops / plan.batch)
        windows = min(max(int(affordable), 1), plan.micro_batch)
        taken = speed.step_time(plan.glm, windows, bf16=plan.bf16, device=device)
        step = plan.batch * taken.window + taken.optimizer
    return Measured(device, peaks[trains], residues, step)


def report(plan: Plan, hardware: list[Hardware], measured: Measured | None) -> Iterator[str]:
    """The lines of a plan, each saying what is counted, measured and assumed."""
    corpus, glm = plan.corpus, plan.glm
    is_family = isinstance(plan.encoder, FamilyEncoderConfig)
    yield f"recipe {plan.recipe.name}: {_described(plan.encoder)}; " + (
        f"gLM of {glm.layers} layers, {glm.dim} wide, {plan.parameters:,} parameters"
        if glm
        else "gLM kept as it is"
    )
    yield (
        f"corpus ({corpus.origin}): {corpus.windows:,} windows of {corpus.genes} genes, "
        f"{corpus.proteins:,} proteins, {corpus.residues:,} residues"
    )
    yield (
        f"embedding (by formula): {plan.embedding_flops:.2e} operations; "
        f"{_bytes(corpus.proteins * plan.encoder.dim * 2)} on disk"
    )
    if is_family:
        yield (
            "a family encoder mostly looks up rows of a table, so operations do not give its time: it is "
            "measured on this machine, and left out for other hardware"
        )
    if isinstance(plan.recipe.plm, TrainedEncoder | TrainedFamilies):
        yield "the encoder's own training is not counted"
    if glm:
        yield (
            f"one step of gLM (by formula): {plan.batch:,} windows, {plan.batch * corpus.genes:,} genes, "
            f"{plan.step_flops:.2e} operations"
        )
        if plan.steps is not None:
            passes = plan.steps * plan.batch / max(1, corpus.windows)
            yield (
                f"training (by formula): {plan.steps:,} steps, {passes:,.1f} times the corpus, "
                f"{plan.steps * plan.step_flops:.2e} operations"
            )
        else:
            yield "training: the recipe limits it by time, not by steps, so no time is estimated"
        devices = max([1, *(item.count for item in hardware)])
        yield (
            f"memory of a device (by formula): {_bytes(plan.state_bytes(devices))} at ZeRO stage "
            f"{plan.zero_stage} on {devices}, and activations"
        )
    yield ""
    yield "| hardware | embedding | training | where from |"
    yield "|---|---|---|---|"
    if measured:
        yield _measured_row(plan, measured)
    for item in hardware:
        rate = item.peak * item.utilisation * item.count
        embedding = None if is_family else plan.embedding_flops / rate
        training = None if plan.steps is None else plan.steps * plan.step_flops / rate
        yield (
            f"| {item.count} x {item.name} | {span(embedding)} | {span(training)} | "
            f"assumed: {item.utilisation:.0%} of {item.peak / 1e12:,.0f} TFLOP/s, no loss between devices |"
        )


def _measured_row(plan: Plan, measured: Measured) -> str:
    steps = None if plan.steps is None or measured.step is None else plan.steps * measured.step
    load = f" (load of the machine {os.getloadavg()[0]:.1f})" if hasattr(os, "getloadavg") else ""
    said = [f"measured{load}: {measured.residues:,.0f} residues/s"]
    if measured.step:
        reached = plan.step_flops / measured.step
        said += [
            f"{plan.batch / measured.step:,.2f} windows/s trained",
            f"{reached / 1e9:,.0f} of {measured.peak / 1e9:,.0f} GFLOP/s of its matrix products",
        ]
    embedding = span(plan.corpus.residues / measured.residues)
    return f"| this machine, {measured.device} | {embedding} | {span(steps)} | {', '.join(said)} |"


def span(seconds: float | None) -> str:
    """A length of time as text; '' for none."""
    if seconds is None:
        return ""
    for unit, size in (("years", 365.25 * 86400), ("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.1f} s"


def _bytes(count: float) -> str:
    unit, size = next(((u, n) for u, n in (("TB", 1e12), ("GB", 1e9)) if count >= n), ("MB", 1e6))
    return f"{count / size:,.1f} {unit}"


def _described(encoder: ProteinEncoderConfig) -> str:
    if isinstance(encoder, FamilyEncoderConfig):
        count = speed.parameter_count(lambda: FamilyEncoder(encoder))
        return f"family encoder, {encoder.dim} wide, {count:,} parameters in {_bytes(count * 4)} of memory"
    return f"encoder of {encoder.layers} layers, {encoder.dim} wide"


def _encoder(recipe: Recipe) -> ProteinEncoderConfig:
    from ..encoder import official

    if isinstance(recipe.plm, TrainedEncoder):
        return recipe.plm.task.encoder
    if isinstance(recipe.plm, TrainedFamilies):
        return recipe.plm.families.encoder
    if isinstance(recipe.plm, Kept):
        return load(recipe.plm.keep).encoder.config
    name = recipe.plm.official
    return official.SHAPES[name] if name in official.SHAPES else official.load(name).config
