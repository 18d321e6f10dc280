"""Settings of training, and the sources of an encoder and a gLM, as types that check their values.

The limits are beside the fields, as pydantic's `Field`; they are checked whenever a value is made. This
module imports nothing heavy, so a recipe can be checked without torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, field, fields, is_dataclass
from typing import Annotated, Any, Literal, TypeAlias, get_args, get_origin

from pydantic import BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic.dataclasses import dataclass

from glm_annot.errors import InputError
from glm_annot.model.sizes import FamilyEncoderConfig, GLMConfig, PLMConfig
from glm_annot.model.windows import MAX_GENES

MAX_COMPONENTS = 99  # in a label, Hwang et al. 2023
MASK_PROBABILITY = 0.15  # Hwang et al. 2023
_RESIDUES = 20  # standard amino acids
# Smallest dim whose feed-forward layer, 4 * dim, has a unit for each pair of residues and each residue.
NARROWEST = (_RESIDUES * _RESIDUES + _RESIDUES + 3) // 4
NARROWEST_HEAD = _RESIDUES  # dimensions of an attention head that can copy a residue

CHECKED = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

AboveZero: TypeAlias = Annotated[int, Field(gt=0)]
NotNegative: TypeAlias = Annotated[int, Field(ge=0)]
PositiveFloat: TypeAlias = Annotated[float, Field(gt=0)]
NotNegativeFloat: TypeAlias = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, config=CHECKED)
class Optimiser:
    """How a model is optimised, as a recipe says it: for some steps, or for a share of the run's time.

    Attributes:
        learning_rate: the highest one, after warm-up.
        warmup_steps: steps of linear warm-up.
        steps: optimiser steps in all; None when time ends the run.
        schedule: 'constant' (the paper's), 'cosine' to a tenth over the steps or seconds, or 'linear' to a
            fiftieth.
        weight_decay, betas: of AdamW.
        max_grad_norm: gradients are clipped to this norm before the step.
        precision: 'bf16' runs matrix products in bfloat16 by autocast; weights and optimiser state stay
        float32.
        micro_batch: examples a process sees at once. gLM's batches have this size; the encoder's hold
            `TrainPLMConfig.pairs` pairs whatever this says, which there only divides a `batch`.
        batch: examples a step over all processes, in as many micro-batches as it takes; None for one
            micro-batch of each process.
        zero_stage: DeepSpeed ZeRO stage, 0 to 2.
        validate_every: steps between validations; 0 for the end only.
        save_every: seconds between checkpoints.
        seed: of everything random.
    """

    learning_rate: PositiveFloat
    warmup_steps: NotNegative = 0
    steps: NotNegative | None = None
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    weight_decay: NotNegativeFloat = 0.0
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    max_grad_norm: NotNegativeFloat = 1.0
    precision: Literal["fp32", "bf16"] = "fp32"
    micro_batch: AboveZero = 1
    batch: AboveZero | None = None
    zero_stage: Annotated[int, Field(ge=0, le=2)] = 0
    validate_every: NotNegative = 0
    save_every: NotNegativeFloat = 180.0
    seed: NotNegative = 0

    def __post_init__(self) -> None:
        if self.batch is not None and self.batch % self.micro_batch:
            raise ValueError(
                f"batch is {self.batch}, which is no multiple of micro_batch, {self.micro_batch}"
            )

    def within(self, seconds: float | None) -> EngineConfig:
        """The same for a run: it ends after its steps if there are any, else after this many seconds."""
        return EngineConfig(**asdict(self), seconds=None if self.steps is not None else seconds)


@dataclass(frozen=True, config=CHECKED)
class EngineConfig(Optimiser):
    """How a model is optimised in one run; DeepSpeed's own configuration is derived from it.

    Attributes:
        seconds: wall-clock budget over all resumed parts; None when `steps` ends the run.
    """

    seconds: PositiveFloat | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.steps is None) == (self.seconds is None):
            raise ValueError("give either steps or seconds as the budget of a run")

    def accumulation(self, world_size: int) -> int:
        """Micro-batches that each process sees in a step.

        Raises:
            InputError: the processes cannot share the batch evenly.
        """
        at_once = self.micro_batch * world_size
        batch = self.batch or at_once
        if batch % at_once:
            raise InputError(
                f"a batch of {batch} is no multiple of what {world_size} processes see at once, {at_once}; "
                "set another micro_batch, or start another number of processes"
            )
        return batch // at_once

    def deepspeed(self, world_size: int) -> dict[str, Any]:
        """DeepSpeed's configuration."""
        return {
            "train_micro_batch_size_per_gpu": self.micro_batch,
            "gradient_accumulation_steps": self.accumulation(world_size),
            "train_batch_size": self.batch or self.micro_batch * world_size,
            "gradient_clipping": self.max_grad_norm,
            "zero_optimization": {"stage": self.zero_stage},
            "zero_allow_untested_optimizer": True,
            "steps_per_print": 2**31 - 1,
        }


@dataclass(frozen=True, config=CHECKED)
class TrainPLMConfig:
    """What the encoder is trained on and for.

    Attributes:
        encoder: its shape.
        pairs: clusters in a batch, two members each.
        crop: longest stretch of a protein in a batch, residues.
        mask_rate: share of residues to be predicted.
        pair_weight: weight of the loss over homologues beside that over masked residues.
        temperature: of the similarities.
        projection: width that embeddings are projected to before they are compared.
        memory: embeddings of past batches kept as negatives.
        most_per_cluster: clusters are drawn in proportion to their size, up to this many members.
        held_out_clusters: clusters kept from training to measure retrieval on.
        start: 'random' weights, or 'pairs', those of `encoder.head_start`.
        start_proteins: proteins of training clusters that the head start is computed from.
    """

    encoder: PLMConfig
    pairs: AboveZero = 24
    crop: AboveZero = 160
    mask_rate: Annotated[float, Field(gt=0, lt=1)] = 0.15
    pair_weight: NotNegativeFloat = 1.0
    temperature: PositiveFloat = 0.1
    projection: AboveZero = 128
    memory: AboveZero = 2048
    most_per_cluster: AboveZero = 16
    held_out_clusters: NotNegative = 500
    start: Literal["random", "pairs"] = "random"
    start_proteins: AboveZero = 40_000

    def __post_init__(self) -> None:
        if self.start == "pairs" and not wide_enough_for_pairs(self.encoder):
            raise ValueError(
                f"start 'pairs' needs an encoder with a dim of {NARROWEST} at least and of {NARROWEST_HEAD} "
                "for each head; give it these, or start 'random'"
            )


@dataclass(frozen=True, config=CHECKED)
class TrainFamilyConfig:
    """What the family encoder is trained on and for.

    Attributes:
        encoder: its shape.
        pairs: families drawn for a batch, two proteins each; one that is drawn twice counts once.
        temperature: of the cosines.
        other_cluster: share of pairs whose proteins are of different clusters, where a family has several.
        most_of_family, power: families are drawn in proportion to min(size, most_of_family) ^ power.
        labelled_weight: families of one EC number are that much likelier.
        kmer_rate: learning rate of the k-mers' embeddings, a multiple of that of the rest.
    """

    encoder: FamilyEncoderConfig = field(default_factory=FamilyEncoderConfig)
    pairs: AboveZero = 768
    temperature: PositiveFloat = 0.07
    other_cluster: Annotated[float, Field(ge=0, le=1)] = 0.8
    most_of_family: AboveZero = 200
    power: NotNegativeFloat = 0.7
    labelled_weight: PositiveFloat = 2.0
    kmer_rate: PositiveFloat = 3.0


def wide_enough_for_pairs(encoder: PLMConfig) -> bool:
    """Whether such an encoder has room for the start from pairs of residues (see `encoder.head_start`)."""
    return encoder.dim >= NARROWEST and encoder.dim // encoder.heads >= NARROWEST_HEAD


@dataclass(frozen=True, config=CHECKED)
class TrainGLMConfig:
    """What gLM to train. The engine's settings say how (published: learning rate 1e-4, 5000 steps of warm-up,
    batches of 1000).

    Attributes:
        backbone: 'glm', or 'lstm' for the baseline of equal size, same inputs, heads and losses.
        components: numbers in a label beside the orientation, as many as an embedding has at most.
        directions: 'principal' components, as published, or 'discriminant' ones of the corpus's families.
        masked: share of genes masked in training; more than the published 0.15 gives more to learn from a
            window. Evaluation always masks 0.15.
        keep_strand: share of windows whose masked genes keep their orientation, so that gLM learns both what
            stands at a place and what stands there on a given strand.
        family_weight: of the loss by family (`losses.family_loss`); above 0 the corpus needs families.
        paper_weight: of the published loss.
        substituted: share of genes read as another protein of their family, which teaches gLM that what
            stands beside a family does not hang on one genome's proteins; needs families, too.
        heads: attention heads of each layer; a recipe's own section `heads` is about the classifiers.
        dim, layers, ffn, max_distance, predictions, dropout, norm: as in `GLMConfig`.
    """

    backbone: Literal["glm", "lstm"] = "glm"
    components: AboveZero = MAX_COMPONENTS
    directions: Literal["principal", "discriminant"] = "principal"
    masked: Annotated[float, Field(gt=0, lt=1)] = MASK_PROBABILITY
    keep_strand: Annotated[float, Field(ge=0, le=1)] = 0.0
    family_weight: NotNegativeFloat = 0.0
    paper_weight: NotNegativeFloat = 1.0
    substituted: Annotated[float, Field(ge=0, le=1)] = 0.0
    dim: AboveZero = 256
    layers: AboveZero = 6
    heads: AboveZero = 4
    ffn: AboveZero = 1024
    max_distance: int = 32
    predictions: AboveZero = 4
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    norm: Literal["post", "pre"] = "post"

    def __post_init__(self) -> None:
        if self.family_weight + self.paper_weight == 0:
            raise ValueError("family_weight and paper_weight are not both 0")
        if self.max_distance < MAX_GENES:
            raise ValueError(
                f"max_distance is {MAX_GENES} at least, the genes of a window, not {self.max_distance}"
            )
        self.glm(embedding_dim=self.components)  # says what sizes do not go together, whatever the encoder

    def glm(self, embedding_dim: int) -> GLMConfig:
        """The network's configuration for embeddings of some size."""
        names = ("dim", "layers", "heads", "ffn", "max_distance", "predictions", "dropout", "norm")
        sizes: dict[str, Any] = {name: getattr(self, name) for name in names}
        labels = label_size(embedding_dim, self.components)
        return GLMConfig(input_dim=embedding_dim + 1, labels=labels, **sizes)


def label_size(embedding_dim: int, components: int = MAX_COMPONENTS) -> int:
    """Numbers in a label: the components, as many as there are dimensions at most, and the orientation."""
    return min(components, embedding_dim) + 1


def _name_of_a_model(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"should be the name or path of a model, not {value!r}")
    return value


ModelName: TypeAlias = Annotated[str, BeforeValidator(_name_of_a_model)]


def _files_or_corpus(value: object) -> object:
    listed = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    if not listed and value != "corpus":
        raise ValueError(f"should be 'corpus' or a list of files, not {value!r}")
    return tuple(value) if isinstance(value, list) else value


# Annotated genomes: files, or those of the corpus.
NamedBy: TypeAlias = Annotated[tuple[str, ...] | Literal["corpus"], BeforeValidator(_files_or_corpus)]


@dataclass(frozen=True, config=CHECKED)
class TrainedEncoder:
    """An encoder to be trained: what on, and how."""

    task: TrainPLMConfig
    engine: Optimiser


@dataclass(frozen=True, config=CHECKED)
class TrainedFamilies:
    """A family encoder to be trained: what on, and how."""

    families: TrainFamilyConfig
    engine: Optimiser


@dataclass(frozen=True, config=CHECKED)
class TrainedGLM:
    """A gLM to be trained: what, and how."""

    network: TrainGLMConfig
    engine: Optimiser


@dataclass(frozen=True, config=CHECKED)
class Kept:
    """The part of a finished model: of the one with this name, or in this folder."""

    keep: ModelName


@dataclass(frozen=True, config=CHECKED)
class Official:
    """An official ESM2 with this name, or in this file."""

    official: ModelName


def kind_by_keys(kinds: Iterable[type[Any]], section: object) -> type[Any] | None:
    """The kind of a part that has exactly the keys of a section; None if there is none."""
    keys = set(section) if isinstance(section, Mapping) else None
    return next((kind for kind in kinds if {item.name for item in fields(kind)} == keys), None)


def _chosen_by_keys(*kinds: type[Any]) -> Discriminator:
    """Lets pydantic choose the kind of a part by its keys."""

    def name_of(section: object) -> str | None:
        kind = type(section) if isinstance(section, kinds) else kind_by_keys(kinds, section)
        return None if kind is None else kind.__name__

    ways = " or ".join(" and ".join(repr(item.name) for item in fields(kind)) for kind in kinds)
    return Discriminator(name_of, "way", f"takes {ways}")


def part_kinds(part: Any) -> tuple[type[Any], ...]:
    """The kinds of a part, such as `EncoderPart`, in their order; () for any other type."""
    union = get_args(part)[0] if get_origin(part) is Annotated else part
    kinds = (get_args(kind)[0] if get_origin(kind) is Annotated else kind for kind in get_args(union))
    return tuple(kind for kind in kinds if isinstance(kind, type) and is_dataclass(kind))


# The sources of a part. A new source is a class with other keys, named here twice, and a case in
# `run.stages`, where the part is made.
EncoderPart: TypeAlias = Annotated[
    Annotated[TrainedEncoder, Tag("TrainedEncoder")]
    | Annotated[TrainedFamilies, Tag("TrainedFamilies")]
    | Annotated[Kept, Tag("Kept")]
    | Annotated[Official, Tag("Official")],
    _chosen_by_keys(TrainedEncoder, TrainedFamilies, Kept, Official),
]
GLMPart: TypeAlias = Annotated[
    Annotated[TrainedGLM, Tag("TrainedGLM")] | Annotated[Kept, Tag("Kept")],
    _chosen_by_keys(TrainedGLM, Kept),
]
Trained: TypeAlias = TrainedEncoder | TrainedFamilies | TrainedGLM
