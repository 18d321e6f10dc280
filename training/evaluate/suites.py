"""What a finished model is worth on data that did not train it; what metrics.json is made of.

Suite 'benchmark' reads the shared data: masked genes of E. coli K-12, EC numbers of K-12 and of the
benchmarks beside DIAMOND's best hit, and operons, by heads that are fitted anew without what they are tested
on. These data trained nothing of a model whose recipe holds them out, as that of `mini` does.

Suite 'test' reads a corpus: masked genes of its test genomes, which train neither encoder nor gLM, and what
the memory of gene order, if there is one, says of their hidden genes and names. Without test genomes the
validation genomes stand in, and the figures say so: they chose gLM's weights, and calibrated.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from glm_annot import io
from glm_annot.bundle import Model
from glm_annot.pipeline import embed_distinct

from ..corpus import heldout
from ..corpus.shared_data import SharedData
from ..corpus.tables import read_table
from ..glm.masked import evaluate_masked, place_auroc
from ..glm.train import GLMRun, load_baseline, read_embeddings
from ..glm.windows import Embeddings, GeneOrder, WindowReader, cut
from ..memory.trust import as_stranger
from . import ec as evaluate_ec
from . import operons as evaluate_operons
from .context import evaluate_context
from .neighbours import fit
from .neighbours.names import evaluate_names, of_genomes

# What figures were measured on, where that is not obvious; stored with them in metrics.json and the card.
REFITTED = (
    "heads fitted anew on the shared organisms with this model's encoder and gLM, each without what it is "
    "tested on; not the model's own head"
)
TESTED = "the corpus's test genomes"
STAND_IN = "the corpus's validation genomes (it has no test genomes), which chose gLM's weights"


def benchmark(
    model: Model, data: Path, *, lstm: Path | None = None, audit: Path | None = None, command: str
) -> dict[str, Any]:
    """Measure a model on the shared data; what it has no head for is left out.

    Args:
        model: the model.
        data: the folder of shared data.
        lstm: finished run of the baseline, which is measured on the same masked genes.
        audit: file for a sample of EC numbers that only a person can judge (see `ec_audit`).
        command: what was typed; noted with each group of figures.

    Raises:
        InputError: the run is not one of the baseline, or on another encoder.
    """
    baseline = None if lstm is None else load_baseline(lstm, model)
    shared = SharedData(data)
    k12 = io.read(shared.k12)
    embeddings_GD = embed_distinct(model.encoder, k12.proteins)
    masked = _masked_genes(model, baseline, GeneOrder.of_genome(k12), embeddings_GD)
    found: dict[str, Any] = {"masked_genes": {**masked, "of": "E. coli K-12"}}
    if model.ec is not None:
        known = heldout.read(shared.held_out).genomes
        threads = torch.get_num_threads()
        found["ec"] = evaluate_ec.benchmark(model, data, k12, known, threads=threads, audit=audit)
    if model.operons is not None:
        found["operons"] = {"of": REFITTED, **evaluate_operons.benchmark(model, data)}
    return {suite: {**figures, "command": command} for suite, figures in found.items()}


def of_corpus(
    model: Model, corpus: Path, *, named: Path | None = None, lstm: Path | None = None, command: str
) -> dict[str, Any]:
    """Measure a model on the genomes that its corpus set aside for testing.

    Where there are none, its validation genomes stand in, and `of` says so.

    Args:
        model: the model; a memory of gene order is that of the corpus.
        corpus: the corpus folder.
        named: folder of the corpus's annotated genomes, which tell how good names are; None for none.
        lstm, command: as for `benchmark`.

    Raises:
        InputError: the folder is no corpus, has no embeddings, or is not that of the model's memory.
    """
    baseline = None if lstm is None else load_baseline(lstm, model)
    genomes = read_table(corpus, "genomes")
    split = "test" if "test" in genomes["split"].to_pylist() else "valid"
    figures = _masked_genes(model, baseline, GeneOrder.read(corpus, split), read_embeddings(corpus))
    of = TESTED if split == "test" else STAND_IN
    found: dict[str, Any] = {"masked_genes": {**figures, "of": of}}
    if model.neighbours is not None:
        rings = evaluate_context(corpus, finished=model, split=split, report=_silent)
        fits = fit.of_corpus(corpus, model, split=split, report=_silent)
        found["rings"] = {**rings, "context_fit": fits, "of": of}
        if named is not None and model.neighbours.hints is not None:
            files = [named / row["source"] for row in genomes.to_pylist() if row["split"] == split]
            measured = {file.name: evaluate_names(model, as_stranger(model, file)) for file in files}
            found["names"] = of_genomes(measured)
    return {group: {**of_group, "command": command} for group, of_group in found.items()}


def _silent(_: str) -> None:
    """Says nothing of single genomes."""


def _masked_genes(
    model: Model, baseline: GLMRun | None, order: GeneOrder, embeddings_ND: Embeddings
) -> dict[str, Any]:
    """Masked-gene metrics of some genomes, each gene masked about once; the baseline's on the same genes."""
    reader = WindowReader(order, embeddings_ND, model.features)
    found: dict[str, Any] = {**evaluate_masked(model.predictor, reader, cut(order))}
    if model.fit is not None:
        found["place_auroc"] = place_auroc(model.predictor, model.fit, reader)
    if baseline is not None:
        reader = WindowReader(order, embeddings_ND, baseline.features)
        theirs = evaluate_masked(baseline.network, reader, cut(order))
        found["lstm"] = {name: theirs[name] for name in ("pseudo_accuracy", "absolute_accuracy", "loss")}
        found["lstm"]["place_auroc"] = place_auroc(baseline.network, baseline.context_fit, reader)
    return found
