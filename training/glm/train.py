"""gLM training: windows of a corpus, random masks, the paper's loss, and what is exported at the end.

A run folder holds the engine's files, `best.safetensors` and `best.json` (weights and metrics of the best
validation so far) and, once training is over, what `load_run` reads: glm.json and the tensors of the
network, its features and its context fit as glm.safetensors, features.safetensors and fit.safetensors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import nn

from glm_annot.bundle import Model
from glm_annot.errors import GlmAnnotError, InputError
from glm_annot.model.esm import fingerprint
from glm_annot.model.families import FamilyGLM, FamilyHead, FamilyHeadConfig, FamilyTable
from glm_annot.model.glm import GLM, ContextFit, ContextFitConfig, GeneFeatures
from glm_annot.model.sizes import GLMConfig

from ..common.engine import Engine
from ..common.inputs import read_array, read_record
from ..common.json_files import write_json
from ..common.weights import fill
from ..corpus.tables import MIN_GENES, read_table
from ..encoder.embed import EMBEDDINGS, encoder_of
from ..settings import EngineConfig, TrainGLMConfig
from .batches import TrainingWindows
from .families import Families, read_families
from .features import fit_features
from .lstm import BiLSTM, of_equal_size
from .masked import evaluate_masked, fit_context_fit
from .objective import MaskedGenes
from .windows import (
    Embeddings,
    GeneOrder,
    Spans,
    WindowReader,
    cut,
)

RECORD, BEST_WEIGHTS, BEST_RECORD = "glm.json", "best.safetensors", "best.json"
BEGUN = "begun.json"  # in a run folder: whose embeddings it is trained on
OWN_WEIGHTS = 10_000  # families with weights of their own; of smaller ones there are too few genes
VALIDATION_WINDOWS = 200  # looked at in each validation, evenly spread over the held-out genomes


def train_glm(
    corpus: Path,
    folder: Path,
    config: TrainGLMConfig,
    engine_config: EngineConfig,
    *,
    start: Path | None = None,
) -> dict[str, float]:
    """Train on a corpus folder with embeddings, or continue an interrupted training in the run folder.

    Args:
        corpus: holds the tables of `corpus.tables`, embeddings.npy and, to train on families, those.
        folder: the run folder.
        config: what to train.
        engine_config: the optimiser; `micro_batch` is the number of windows a process reads at once. It
            draws other windows with another seed.
        start: a finished run whose weights to begin with; else they are drawn at random.

    Returns:
        metrics of the exported weights on all windows of the corpus's validation genomes.

    Raises:
        InputError: the corpus has no embeddings, or no window to train on or to validate with, or the run
            was begun on embeddings by another encoder, or `start` has another encoder or network.
        GlmAnnotError: the loss of no validation was a number.
    """
    embeddings_ND = read_embeddings(corpus)
    encoder = encoder_of(corpus)
    _refuse_other_encoder(folder, encoder)
    glm_config = config.glm(embeddings_ND.shape[1])
    order = GeneOrder.read(corpus, "train")
    clusters_N = _clusters(corpus) if config.directions == "discriminant" else None
    features = fit_features(
        glm_config, embeddings_ND, order.protein_G, families_N=clusters_N, seed=engine_config.seed
    )
    families = read_families(corpus) if config.family_weight or config.substituted else None
    torch.manual_seed(engine_config.seed)
    network = _network(config.backbone, glm_config)
    part = _family_part(network, families, order, features) if config.family_weight and families else None
    table, head = (part.table, part.head) if part else (None, None)
    if start is not None:
        _begin_with(start, network, features, head, encoder)
    objective = MaskedGenes(
        network,
        paper_weight=config.paper_weight,
        family_weight=config.family_weight,
        table=table,
        head=head,
    )
    engine = Engine(objective, engine_config, folder)
    if engine.rank == 0:
        write_json(folder / BEGUN, {"encoder": encoder})
    features.to(engine.device)
    train_reader = WindowReader(order, embeddings_ND, features)
    windows = TrainingWindows(
        train_reader,
        engine_config.micro_batch,
        masked=config.masked,
        keep_strand=config.keep_strand,
        substituted=config.substituted,
        families=families,
    )
    reader = WindowReader(GeneOrder.read(corpus, "valid"), embeddings_ND, features)
    spans = _validation_windows(reader, corpus)
    predictor = part or network
    family_N = families.family_N if part and families else None
    best = _Best(predictor, folder, resumed=engine.step > 0, writes=engine.rank == 0)
    few = _evenly(spans, VALIDATION_WINDOWS)
    engine.train(
        lambda step: windows.draw(engine.generator(step)),
        lambda: best.keep(evaluate_masked(predictor, reader, few, family_N=family_N), engine.step),
    )
    best.load()
    metrics = evaluate_masked(predictor, reader, spans, family_N=family_N)
    if engine.rank == 0:
        context_fit = fit_context_fit(predictor, reader, ContextFitConfig())
        _export(network, features, context_fit, metrics, folder, encoder=encoder, head=head)
    return metrics


def _family_part(
    network: GLM | BiLSTM, families: Families, order: GeneOrder, features: GeneFeatures
) -> FamilyGLM:
    """The network with a head for families, which begins at how frequent each is in the training genomes."""
    table = families.table
    width = network.config.dim if isinstance(network, GLM) else 2 * network.config.width
    head = FamilyHead(FamilyHeadConfig(width, table.config.families, table.config.dim, OWN_WEIGHTS))
    count_F = np.bincount(families.family_N[order.protein_G], minlength=table.none + 1)[: table.none]
    with torch.no_grad():
        head.bias_F.copy_(torch.from_numpy(np.log((count_F + 1) / (count_F + 1).sum())))
    return FamilyGLM(network, table, head, features)


def _begin_with(
    start: Path, network: GLM | BiLSTM, features: GeneFeatures, head: FamilyHead | None, encoder: str
) -> None:
    """Gives the parts of a new training the weights of a finished run.

    Raises:
        InputError: that run has another encoder, network or head.
    """
    run = load_run(start)
    if run.encoder != encoder:
        raise InputError("was trained on embeddings by another encoder than the corpus's", start)
    if type(run.network) is not type(network) or run.network.config != network.config:
        raise InputError("has another network than the recipe's", start)
    if getattr(run.family_head, "config", None) != getattr(head, "config", None):
        raise InputError("predicts other families than the corpus has", start)
    network.load_state_dict(run.network.state_dict())
    features.load_state_dict(run.features.state_dict())
    if head is not None and run.family_head is not None:
        head.load_state_dict(run.family_head.state_dict())


def keep_glm(corpus: Path, folder: Path, model: Model) -> dict[str, float]:
    """Take the gLM of a finished model as if a run had trained it; its context fit is computed anew.

    Args:
        corpus: embedded by the model's own encoder; the context fit is computed on its validation genomes.
        folder: the run folder.
        model: whose gLM and features to take.

    Returns:
        metrics as `train_glm`.

    Raises:
        InputError: the corpus has no embeddings or none by this model's encoder, or no window to validate
            with.
    """
    embeddings_ND = read_embeddings(corpus)
    encoder = encoder_of(corpus)
    if encoder not in ("", fingerprint(model.encoder)) or embeddings_ND.shape[1] != model.encoder.config.dim:
        raise InputError("is by another encoder; delete embeddings.* to embed anew", corpus / EMBEDDINGS)
    reader = WindowReader(GeneOrder.read(corpus, "valid"), embeddings_ND, model.features)
    metrics = evaluate_masked(model.glm, reader, _validation_windows(reader, corpus))
    folder.mkdir(parents=True, exist_ok=True)
    context_fit = fit_context_fit(model.glm, reader, ContextFitConfig())
    _export(model.glm, model.features, context_fit, metrics, folder, encoder=encoder)
    return metrics


@dataclass(frozen=True, slots=True)
class GLMRun:
    """What a finished run exported, on the CPU, ready for inference.

    Attributes:
        network: the gLM, or the baseline in its place.
        features: makes inputs and labels.
        context_fit: judges masked genes.
        metrics: on all windows of the validation genomes.
        encoder: fingerprint of the one whose embeddings trained it; '' where it was not noted.
        family_head: predicts families; None where they were not trained.
    """

    network: GLM | BiLSTM
    features: GeneFeatures
    context_fit: ContextFit
    metrics: Mapping[str, float]
    encoder: str
    family_head: FamilyHead | None = None


def load_run(folder: Path) -> GLMRun:
    """Read what a finished run exported.

    Raises:
        InputError: the folder holds no finished run.
    """
    record_file = folder / RECORD
    if not record_file.exists():
        raise InputError("holds no finished gLM training", folder)
    record: dict[str, Any] = read_record(record_file)
    config = GLMConfig(**record["glm"])
    network = _network(record["backbone"], config)
    features, context_fit = GeneFeatures(config), ContextFit(ContextFitConfig(**record["fit"]))
    for name, part in (("glm", network), ("features", features), ("fit", context_fit)):
        fill(part, folder / f"{name}.safetensors")
        part.eval().requires_grad_(False)
    head = None
    if record.get("family_head"):
        head = FamilyHead(FamilyHeadConfig(**record["family_head"]))
        fill(head, folder / "family_head.safetensors")
        head.eval().requires_grad_(False)
    return GLMRun(network, features, context_fit, record["metrics"], record.get("encoder", ""), head)


def family_glm(folder: Path, table: FamilyTable) -> FamilyGLM:
    """The gLM of a finished run, as one that tells the families of a table.

    Raises:
        InputError: it was not trained on families.
    """
    run = load_run(folder)
    if run.family_head is None:
        raise InputError("was not trained on families", folder)
    return FamilyGLM(run.network, table, run.family_head, run.features)


def load_baseline(folder: Path, model: Model) -> GLMRun:
    """Read a finished run of the baseline to compare with a model; it is put on the model's device.

    Raises:
        InputError: the folder holds no finished run, that of a gLM, or one on another encoder's embeddings.
    """
    run = load_run(folder)
    if not isinstance(run.network, BiLSTM):
        raise InputError("holds a gLM; the baseline is trained by `glm-train glm --backbone lstm`", folder)
    if run.features.config.input_dim != model.glm.config.input_dim:
        raise InputError("was trained on another encoder than the model's", folder)
    for part in (run.network, run.features):
        part.to(next(model.glm.parameters()).device)
    return run


def _network(backbone: str, config: GLMConfig) -> GLM | BiLSTM:
    return GLM(config) if backbone == "glm" else BiLSTM(of_equal_size(config))


def read_embeddings(corpus: Path) -> Embeddings:
    """The embeddings of a corpus, in its folder.

    Raises:
        InputError: it has none.
    """
    path = corpus / EMBEDDINGS
    if not path.exists():
        raise InputError("is missing; make it with `glm-train embed`", path)
    found: Embeddings = read_array(path, "r")
    return found


def _refuse_other_encoder(folder: Path, encoder: str) -> None:
    """Raises InputError when a run folder was begun on embeddings by another encoder."""
    begun = folder / BEGUN
    if begun.exists() and read_record(begun).get("encoder") != encoder:
        raise InputError("was begun on embeddings by another encoder; give another folder", folder)


def _clusters(corpus: Path) -> npt.NDArray[np.int64]:
    """Cluster of each protein of a corpus."""
    clusters = read_table(corpus, "proteins", ["cluster"])["cluster"]
    return np.asarray(clusters, np.int64)


def _validation_windows(reader: WindowReader, corpus: Path) -> Spans:
    spans = cut(reader.order)
    if not len(spans):
        raise InputError(f"its validation genomes have no contig of {MIN_GENES} genes", corpus)
    return spans


def _evenly(spans: Spans, count: int) -> Spans:
    """At most `count` of the windows, evenly spread."""
    return spans.take(np.unique(np.linspace(0, len(spans) - 1, count).astype(np.int64)))


class _Best:
    """Keeps the weights of the best validation in the run folder; small corpora end up learnt by heart.

    Args:
        network: whose weights to keep.
        folder: the run folder.
        resumed: the run continues, so the best weights so far count.
        writes: whether this process is the one that writes.
    """

    def __init__(self, network: nn.Module, folder: Path, *, resumed: bool, writes: bool) -> None:
        self._network, self._folder, self._writes = network, folder, writes
        record = folder / BEST_RECORD
        self._loss = math.inf  # nothing kept yet
        if resumed and record.exists():
            kept = _decisive(read_record(record))
            self._loss = kept if math.isfinite(kept) else math.inf

    def load(self) -> None:
        """Give the network the weights that were kept.

        Raises:
            GlmAnnotError: none were, because no validation had a loss that is a number.
        """
        if self._loss == math.inf:
            raise GlmAnnotError(
                f"{self._folder}: training diverged: no validation had a finite loss; lower "
                "glm.engine.learning_rate or give more warmup_steps"
            )
        fill(self._network, self._folder / BEST_WEIGHTS)

    def keep(self, metrics: Mapping[str, float], step: int) -> Mapping[str, float]:
        """Record a validation; returns its metrics. A loss of NaN is never the best."""
        if _decisive(metrics) < self._loss:
            self._loss = _decisive(metrics)
            if self._writes:
                _save(self._network, self._folder / BEST_WEIGHTS)
                write_json(self._folder / BEST_RECORD, {"step": step, **metrics})
        return metrics


def _decisive(metrics: Mapping[str, float]) -> float:
    """The loss that says which weights are best: by family where families are trained."""
    return metrics.get("family_loss", metrics["loss"])


def _export(
    network: GLM | BiLSTM,
    features: GeneFeatures,
    context_fit: ContextFit,
    metrics: Mapping[str, float],
    folder: Path,
    *,
    encoder: str,
    head: FamilyHead | None = None,
) -> None:
    parts = {"glm": network, "features": features, "fit": context_fit}
    for name, part in (parts if head is None else parts | {"family_head": head}).items():
        _save(part, folder / f"{name}.safetensors")
    record = {
        "backbone": "glm" if isinstance(network, GLM) else "lstm",
        "glm": asdict(features.config),
        "fit": asdict(context_fit.config),
        "metrics": metrics,
        "encoder": encoder,
        "family_head": None if head is None else asdict(head.config),
    }
    write_json(folder / RECORD, record)


def _save(module: nn.Module, path: Path) -> None:
    """Write a state dict in one step, so that an interruption leaves the old file or the new one."""
    draft = path.with_suffix(".part")
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}, draft
    )
    draft.replace(path)
