"""Checks of a recipe that need the data or the models that it keeps."""

from __future__ import annotations

from pathlib import Path

from glm_annot.bundle import load, read_texts
from glm_annot.errors import GlmAnnotError, InputError

from ..encoder import official
from ..operons.data import organism_folders
from ..recipe import Recipe
from ..settings import Kept, Official


def check_data(recipe: Recipe, data: Path) -> None:
    """Check, before hours of work, what is read after them: kept models, and the organisms left out.

    Args:
        recipe: as read.
        data: the folder that its paths are relative to.

    Raises:
        InputError: a model or an organism that is not there, or a hidden layer that a kept gLM does not have.
    """
    section = recipe.heads
    if section.organisms is not None:
        organisms = [folder.name for folder in organism_folders(data / section.organisms)]
        recipe.refuse_unknown("heads.leave_out", section.leave_out, organisms)
    try:
        if isinstance(recipe.plm, Kept):
            read_texts(recipe.plm.keep)
        elif isinstance(recipe.plm, Official):
            official.find(recipe.plm.official)
    except GlmAnnotError as error:
        way = "keep" if isinstance(recipe.plm, Kept) else "official"
        raise InputError(f"plm.{way}: {error}", recipe.path) from error
    if isinstance(recipe.glm, Kept) and max(section.ec_layers, default=0) > 1:  # each gLM has one layer
        recipe.check_ec_layers(load(recipe.glm.keep).glm.config.layers)
