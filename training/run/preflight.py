"""What can be wrong with a recipe beyond its own keys: its parts, data, and models that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from glm_annot.bundle import load, read_texts
from glm_annot.errors import GlmAnnotError, InputError
from glm_annot.model.esm import PLMConfig
from glm_annot.model.family_encoder import FamilyEncoderConfig

from ..common.engine import EngineConfig
from ..encoder import official
from ..encoder.contrastive import TrainFamilyConfig
from ..encoder.train import TrainPLMConfig
from ..glm.train import TrainGLMConfig
from ..operons.data import organism_folders
from ..recipe import Recipe, make


def check_parts(recipe: Recipe) -> None:
    """Make sure that each part can be trained as it is described.

    Raises:
        InputError: a setting that is missing, unknown or wrong.
    """
    if "task" in recipe.plm:
        task = recipe.plm["task"]
        if isinstance(task, Mapping) and "encoder" in task:
            make(PLMConfig, task["encoder"], "plm.task.encoder")
        make(TrainPLMConfig, task, "plm.task")
        _check_engine(recipe, "plm")
    if "families" in recipe.plm:
        task = recipe.plm["families"]
        if isinstance(task, Mapping) and "encoder" in task:
            make(FamilyEncoderConfig, task["encoder"], "plm.families.encoder")
        make(TrainFamilyConfig, task, "plm.families")
        _check_engine(recipe, "plm")
        if recipe.corpus.families is None:
            raise InputError("plm.families: they are learnt from corpus.families; give that, too")
    if "network" in recipe.glm:
        network = make(TrainGLMConfig, recipe.glm["network"], "glm.network")
        _check_engine(recipe, "glm")
        recipe.check_ec_layers(network.layers)


def _check_engine(recipe: Recipe, step: Literal["plm", "glm"]) -> EngineConfig:
    engine = recipe.engine(step, budget=1.0)
    if max(engine.betas) >= 1:
        raise InputError(f"{step}.engine.betas: should be below 1, not {list(engine.betas)}")
    try:
        engine.accumulation(world_size=1)
    except InputError as error:
        raise InputError(f"{step}.engine.batch: {error.message}") from error
    return engine


def check_data(recipe: Recipe, data: Path) -> None:
    """Make sure before hours of work of what is read after them: kept models, and the organisms left out.

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
    for way, find in (("keep", read_texts), ("official", official.find)):
        if way in recipe.plm:
            try:
                find(recipe.plm[way])
            except GlmAnnotError as error:
                raise InputError(f"plm.{way}: {error}", recipe.path) from error
    if "keep" in recipe.glm and max(section.ec_layers, default=0) > 1:  # each gLM has one layer
        recipe.check_ec_layers(load(recipe.glm["keep"]).glm.config.layers)
