"""Fits in a finished model how far the names of its genes can be trusted."""

from __future__ import annotations

from pathlib import Path

from glm_annot import bundle

from ..common.console import Report
from ..memory.trust import fit_trust
from ..recipe import Recipe


def trust_names(folder: Path, recipe: Recipe, data: Path, *, report: Report) -> None:
    """Fit the trust in names to the annotated genomes of a recipe, and write it into a model.

    Genomes that the recipe holds out of training have no part in it, so that they can measure it.

    Args:
        folder: the bundle.
        recipe: whose `names` the model has.
        data: the folder that its paths are relative to.
        report: called with a line of figures for names and one for EC numbers.

    Raises:
        InputError: the families of the model have no names.
    """
    model = bundle.load(folder)
    genomes = [data / name for name in recipe.names if name not in recipe.corpus.held_out]
    fit_trust(model, genomes, report=report)
    metrics, card = bundle.read_texts(folder)
    bundle.save(model, folder, metrics=metrics, card=card)
