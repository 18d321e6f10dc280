"""Fits in a finished model how far the names of its genes can be trusted."""

from __future__ import annotations

from pathlib import Path

from glm_annot import bundle

from ..common.console import Report
from ..memory.trust import fit_trust
from ..recipe import Recipe
from .assemble import halved


def trust_names(folder: Path, recipe: Recipe, data: Path, *, report: Report) -> None:
    """Fit the trust in names to annotated genomes of a recipe, and write it into a model.

    A genome whose annotators copy names from where the families have theirs flatters, as Prokka's and Bakta's
    do; so the recipe says which genomes judge.

    Args:
        folder: the bundle.
        recipe: whose `names` the model has, and `names_judged_by` says by which genomes.
        data: the folder that its paths are relative to.
        report: called with a line of figures for names and one for EC numbers.

    Raises:
        InputError: the families of the model have no names.
    """
    model = bundle.load(folder)
    fit_trust(model, [data / name for name in recipe.names_judged_by], report=report)
    metrics, card = bundle.read_texts(folder)
    bundle.save(model, folder, metrics=metrics, card=card, bf16=halved(model, recipe))
