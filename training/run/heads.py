"""Heads of a finished encoder and gLM, fitted on exactly the features that inference computes."""

from __future__ import annotations

from pathlib import Path

import torch

from glm_annot.bundle import Model
from glm_annot.ec.head import ECHead
from glm_annot.operons.head import OperonHead

from ..common.console import Report
from ..corpus.heldout import HeldOut
from ..corpus.tables import read_table, read_tables
from ..ec import fit as ec_fit
from ..ec import sources as ec_sources
from ..ec.sources import Sources
from ..operons import data as operon_data
from ..operons import fit as operon_fit
from ..operons.data import LabelledGenome
from ..recipe import Recipe


def fit_operons(recipe: Recipe, data: Path, corpus: Path, model: Model, report: Report) -> OperonHead | None:
    """Fit the operon head of a recipe; None when there are no known operons.

    Args:
        recipe: its `heads` section says what from.
        data: the folder that its paths are relative to.
        corpus: the corpus folder; genomes of its source that it set aside for testing train nothing.
        model: its encoder and gLM, and its memory of gene order if it has one.
        report: called with a line of text for the user.
    """
    section, genomes = recipe.heads, list[LabelledGenome]()
    if section.organisms is not None:
        organisms = operon_data.read_organisms(data / section.organisms)
        recipe.refuse_unknown("heads.leave_out", section.leave_out, organisms)
        genomes = [genome for name, genome in organisms.items() if name not in section.leave_out]
    elif recipe.corpus.folder is not None:
        genomes = _not_for_testing(operon_data.read_folder(data / recipe.corpus.folder), corpus, report)
    if not genomes:
        report("operons: none are known, so the model will predict none")
        return None
    report(f"operons: {len(genomes)} genomes with known ones")
    if left_out := sum(genome.left_out for genome in genomes):
        report(f"operons: {left_out:,} known pairs left out, for a gene of theirs gets no prediction")
    examples = [operon_fit.OperonExample.of(genome, model) for genome in genomes]
    return operon_fit.fit_operon_head(examples, seed=section.seed, report=report)


def _not_for_testing(genomes: list[LabelledGenome], corpus: Path, report: Report) -> list[LabelledGenome]:
    """Those that a corpus has not set aside for testing; all where operons are known of no others."""
    rows = read_table(corpus, "genomes", ["split", "source"]).to_pylist()
    tested = {row["source"] for row in rows if row["split"] == "test"}
    kept = [genome for genome in genomes if genome.name not in tested]
    if genomes and not kept:
        report("operons: only of genomes set aside for testing, so that these train the operon head")
    return kept or genomes


def fit_ec(
    recipe: Recipe, data: Path, corpus: Path, model: Model, held_out: HeldOut, report: Report
) -> ECHead | None:
    """Fit the EC head of a recipe; None when there are no EC numbers to learn.

    Args:
        recipe, data, model, report: as for `fit_operons`.
        corpus: the corpus folder; its genomes for testing train nothing (see `ec_sources.from_corpus`).
        held_out: proteins whose labels have no part in it.
    """
    sources = ec_labels(recipe, data, corpus, held_out, report)
    if sources is None or not sources.labelled:
        report("EC: no numbers to learn from, so the model will predict none")
        return None
    recipe.check_ec_layers(model.glm.config.layers)
    reader = ec_fit.Reader(model, recipe.heads.ec_layers)
    threads = torch.get_num_threads()
    return ec_fit.fit_ec_head(sources, reader=reader, seed=recipe.heads.seed, threads=threads, report=report)


def ec_labels(
    recipe: Recipe, data: Path, corpus: Path, held_out: HeldOut, report: Report = lambda line: None
) -> Sources | None:
    """What the EC head of a recipe is fitted on; None when it has none."""
    if recipe.heads.ec == "none":
        return None
    if recipe.heads.ec == "shared":
        return ec_sources.from_shared(data, held_out, threads=torch.get_num_threads())
    return ec_sources.from_corpus(read_tables(corpus), held_out, report)
