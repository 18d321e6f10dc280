"""Fits in a finished model how far the names of its genes can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from glm_annot import bundle

from ..common.console import Report
from ..memory.trust import fit_trust
from ..recipe import Recipe
from .assemble import halved


def trust_names(folder: Path, genomes: Sequence[Path], recipe: Recipe, *, report: Report) -> None:
    """Fit the trust in names to annotated genomes, and write it into a model; one without names stays.

    A genome whose annotators copy names from where the families have theirs flatters, as Prokka's and Bakta's
    do; so the recipe says which genomes judge.

    Args:
        folder: the bundle.
        genomes: those that judge.
        recipe: that the model was made by.
        report: called with a line of figures for names and one for EC numbers.
    """
    model = bundle.load(folder)
    if model.neighbours is None or model.neighbours.hints is None:
        report("names: the model gives none, so there is nothing to trust")
        return
    fit_trust(model, genomes, report=report)
    metrics, card = bundle.read_texts(folder)
    bundle.save(model, folder, metrics=metrics, card=card, bf16=halved(model, recipe))
