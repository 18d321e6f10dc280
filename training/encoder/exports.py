"""A finished encoder in its run folder: `plm.safetensors` and `plm.json`."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file, save_model

from glm_annot.errors import InputError
from glm_annot.model import encoder as encoders
from glm_annot.model.encoder import ProteinEncoder
from glm_annot.model.family_encoder import FamilyEncoder

from ..common.inputs import read_record
from ..common.json_files import write_json
from ..common.weights import fill

WEIGHTS, CONFIG = "plm.safetensors", "plm.json"


def export_encoder(encoder: ProteinEncoder, run: Path) -> None:
    """Write an encoder into a run folder."""
    run.mkdir(parents=True, exist_ok=True)
    if isinstance(encoder, FamilyEncoder):
        state = encoders.stored_state(encoder)
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, run / WEIGHTS)
    else:
        save_model(encoder, str(run / WEIGHTS))  # weights that two layers share are written once
    write_json(run / CONFIG, encoders.config_json(encoder))


def read_encoder(run: Path) -> ProteinEncoder:
    """Read the encoder that a finished run exported.

    Raises:
        InputError: the folder holds no finished run.
    """
    config, weights = run / CONFIG, run / WEIGHTS
    if not (config.exists() and weights.exists()):
        raise InputError("holds no finished encoder training", run)
    kind, settings = encoders.kind_and_config(read_record(config))
    encoder = kind(settings)
    if isinstance(encoder, FamilyEncoder):
        fill(encoder, weights)
    else:
        fill(encoder, weights, shared=True)
    return encoder
