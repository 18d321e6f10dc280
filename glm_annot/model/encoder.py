"""The protein encoder of a model: ESM2 or the family encoder. Only this module knows what differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from glm_annot.model import esm, family_encoder
from glm_annot.model.esm import Encoder, precision_on
from glm_annot.model.family_encoder import FamilyEncoder
from glm_annot.model.sizes import FamilyEncoderConfig, PLMConfig

ProteinEncoder: TypeAlias = Encoder | FamilyEncoder
ProteinEncoderConfig: TypeAlias = PLMConfig | FamilyEncoderConfig

_METHOD = "method"  # key of a configuration's JSON; one without it is of an ESM2
_KMERS = "kmers"


def embed(
    encoder: ProteinEncoder,
    proteins: Sequence[str],
    *,
    precision: str = "auto",
    progress: Callable[[int], None] | None = None,
) -> npt.NDArray[np.float32]:
    """One embedding of each protein, shape (G, D).

    Args:
        encoder: already on its device.
        proteins: amino acid sequences of any length.
        precision: one of `esm.PRECISIONS`, see `precision_of`.
        progress: called with the number of residues done, every now and then.

    Raises:
        InputError: an empty protein.
        torch.cuda.OutOfMemoryError: the GPU's memory is too small for one protein.
    """
    if isinstance(encoder, FamilyEncoder):
        precision_of(encoder, precision)
        return family_encoder.embed(encoder, proteins, progress=progress)
    return esm.embed(encoder, proteins, precision=precision, progress=progress)


def precision_of(encoder: ProteinEncoder, precision: str = "auto") -> str:
    """What an encoder computes in, asked for one of `esm.PRECISIONS`: 'fp32', 'bf16' or 'fp16'.

    The family encoder mostly looks up rows of a table, so it always computes in float32.

    Raises:
        ValueError: another word for precision.
    """
    found = precision_on(next(encoder.parameters()).device, precision)
    return "fp32" if isinstance(encoder, FamilyEncoder) else found


def config_json(encoder: ProteinEncoder) -> dict[str, Any]:
    """An encoder's configuration, to be written as JSON."""
    method = {_METHOD: _KMERS} if isinstance(encoder, FamilyEncoder) else {}
    return {**method, **asdict(encoder.config)}


def kind_and_config(
    config: Mapping[str, Any],
) -> tuple[Callable[[Any], ProteinEncoder], ProteinEncoderConfig]:
    """The class of an encoder and its configuration, of what `config_json` gave.

    Raises:
        ValueError: a method that this program does not know.
        TypeError: a key that is missing or one too many.
    """
    settings = dict(config)
    method = settings.pop(_METHOD, None)
    if method is None:
        return Encoder, PLMConfig(**settings)
    if method != _KMERS:
        raise ValueError(f"an encoder by method {method!r} is unknown to this program")
    return FamilyEncoder, FamilyEncoderConfig(**settings)


def stored_state(encoder: ProteinEncoder) -> dict[str, Tensor]:
    """The tensors of an encoder as they are stored; `load_state_dict` takes them."""
    if isinstance(encoder, FamilyEncoder):
        return encoder.stored_state()
    state: dict[str, Tensor] = encoder.state_dict()
    return state
