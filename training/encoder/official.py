"""Official ESM2 encoders of every size (Lin et al. 2023), by name or by file; nothing in a file is run."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glm_annot.bundle import filled
from glm_annot.errors import InputError
from glm_annot.model.esm import Encoder
from glm_annot.model.sizes import PLMConfig

from ..common.untrusted import read_torch

# Name -> size of its file in bytes: 4 for each of its parameters, 2 for those of the two largest.
OFFICIAL = {
    "esm2_t6_8M_UR50D": 30e6,
    "esm2_t12_35M_UR50D": 134e6,
    "esm2_t30_150M_UR50D": 595e6,
    "esm2_t33_650M_UR50D": 2.6e9,
    "esm2_t36_3B_UR50D": 5.7e9,
    "esm2_t48_15B_UR50D": 30.3e9,
}
SHAPES = {
    "esm2_t6_8M_UR50D": PLMConfig(6, 320, 20),
    "esm2_t12_35M_UR50D": PLMConfig(12, 480, 20),
    "esm2_t30_150M_UR50D": PLMConfig(30, 640, 20),
    "esm2_t33_650M_UR50D": PLMConfig(33, 1280, 20),
    "esm2_t36_3B_UR50D": PLMConfig(36, 2560, 40),
    "esm2_t48_15B_UR50D": PLMConfig(48, 5120, 40),
}
_URL = "https://dl.fbaipublicfiles.com/fair-esm/models/{}.pt"
_PREFIX = re.compile(r"^encoder\.(sentence_encoder\.)?")


def load(name_or_file: str | Path) -> Encoder:
    """Load an official encoder; its weights are memory-mapped where the file has them as float32.

    Args:
        name_or_file: a name of `OFFICIAL`, looked for where torch.hub keeps its downloads, or a file.

    Raises:
        InputError: no such file, an unknown name, one that was not downloaded, or a file of something else.
    """
    path = find(name_or_file)
    content = read_torch(path, known=[argparse.Namespace])
    try:
        settings, state = content["cfg"]["model"], content["model"]
        config = PLMConfig(
            settings.encoder_layers, settings.encoder_embed_dim, settings.encoder_attention_heads
        )
        if not settings.token_dropout:
            raise InputError("is an encoder without token dropout; official ESM2 all have it", path)
        encoder: Encoder = filled(Encoder, config, _renamed(state)).eval().requires_grad_(False)
        return encoder
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(
            "is no ESM2 as fair-esm publishes it; see --plm in `glm-train import-glm -h`", path
        ) from error
    except RuntimeError as error:
        raise InputError("is damaged: tensors are missing, too many or of another shape", path) from error


def find(name_or_file: str | Path) -> Path:
    """The file of an encoder; nothing is downloaded.

    Raises:
        InputError: as `load`, saying where to get it and how large it is.
    """
    path, name = Path(name_or_file), str(name_or_file)
    if path.is_file():
        return path
    if name not in OFFICIAL:
        raise InputError(f"no such file, and no name of an official ESM2: {', '.join(OFFICIAL)}", path)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / f"{name}.pt"
    if not cached.is_file():
        raise InputError(
            f"{name} is not on this machine; download it ({_size(OFFICIAL[name])}): "
            f"curl --create-dirs -o {cached} {_URL.format(name)}"
        )
    return cached


def _renamed(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Names as in fair-esm's model, float32, without the head that predicts contacts."""
    names = {name: _PREFIX.sub("", name) for name in state}
    return {new: state[old].float() for old, new in names.items() if not new.startswith("contact_head.")}


def _size(count: float) -> str:
    """A number of bytes as text."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
