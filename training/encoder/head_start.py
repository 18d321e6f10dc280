"""A head start for small encoders: ESM2 weights that distinguish protein families, found in closed form.

From random weights a small transformer needs 10^8 tokens and more before its mean embedding knows more than
amino acid composition. Yet pairs of residues at short distances, counted over a protein, tell families apart
well, and ESM2's architecture can count them. In layer l one head copies the residue l places before (with
rotary positions that takes two bias vectors), the feed-forward layer holds one unit for each of the 400
pairs, and its output projects pairs onto the directions that best separate families: linear discriminants
(Rao 1948), which have most variance between all proteins for the variance within families. The weights are
delicate: train on from them with a learning rate of 1e-5 at most.

Residual stream: 20 dimensions say which residue stands here, 20 hold the copied one while a layer reads it,
the rest gather the projections. Axes: G proteins, F counted pairs (layers * 400), K projections, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from scipy.linalg import eigh
from torch import Tensor, nn

from glm_annot.model.esm import ALPHABET, STANDARD_RESIDUES, TRAINING_BLANKED, Encoder, tokenize

from ..settings import wide_enough_for_pairs

Floats = npt.NDArray[np.float64]

_N = len(STANDARD_RESIDUES)
_HERE, _COPY = 0, _N  # first dimensions of the residue here and of the copied one
_FEATURES = 2 * _N  # first dimension of the projections
_FREQUENCIES = 8  # rotary frequencies that point at one place; slower ones hardly tell neighbours apart
_SHARPNESS = 7.0  # amplitude of the pointing biases: the next-best place gets 0.2 % of the attention
_GATE = 4.0  # a unit's input is +4 when its pair is there, else -4 or less: GELU gives 4 or nothing
_ENERGY = (
    0.2  # squared length of all projections at a place, beside 1 for each residue: layer norms hardly see it
)
_SHRINKAGE = 0.05  # of the variance within families towards its mean


def start_from_pairs(encoder: Encoder, homologues: Sequence[str]) -> None:
    """Overwrites the encoder's weights.

    Args:
        encoder: as wide as `wide_enough_for_pairs` says; each layer adds one distance between residues.
        homologues: proteins, two of each family after another; some 10^4 pairs do.

    Raises:
        ValueError: the encoder is too narrow, or the proteins are no pairs.
    """
    if not wide_enough_for_pairs(encoder.config):
        raise ValueError(f"an encoder of {encoder.config} has no room for pairs of residues")
    if len(homologues) % 2 or not homologues:
        raise ValueError("homologues must be pairs")
    layers, dim = encoder.config.layers, encoder.config.dim
    counts_GF = np.stack([pair_frequencies(protein, layers) for protein in homologues])
    directions_FK = discriminants(counts_GF, dim - _FEATURES)
    scale = np.sqrt(_ENERGY / (layers * np.square(directions_FK).sum(1).mean()))
    projections = torch.from_numpy(scale * directions_FK).float().view(layers, _N * _N, -1)
    with torch.no_grad():
        weights = encoder.embed_tokens.weight.zero_()
        for place, letter in enumerate(STANDARD_RESIDUES):
            weights[ALPHABET.get_idx(letter), _HERE + place] = 1 / (1 - TRAINING_BLANKED)
        for number, layer in enumerate(encoder.layers):
            _copy_residue(layer.self_attn, encoder.config.heads, distance=number + 1)
            _read_pairs(layer, projections[number])


def pair_frequencies(protein: str, distances: int) -> Floats:
    """Pairs of residues d apart per residue of the protein, for d = 1 to `distances`: (distances * 400,)."""
    place = _PLACE_OF_TOKEN[tokenize(protein)]
    counts = np.zeros((distances, _N * _N))
    for d in range(1, distances + 1):
        here, before = place[d:], place[:-d]
        known = (here >= 0) & (before >= 0)
        counts[d - 1] = np.bincount(here[known] * _N + before[known], minlength=_N * _N)
    return counts.ravel() / len(place)


def discriminants(counts_GF: Floats, number: int) -> Floats:
    """Directions (F, number) with the most variance over all rows for the variance within pairs of rows.

    Solves T v = lambda W v for total and (shrunken) within covariance; directions have unit variance within.
    """
    within_PF = (counts_GF[0::2] - counts_GF[1::2]) / np.sqrt(2)
    within_FF = within_PF.T @ within_PF / len(within_PF)
    total_FF = np.cov(counts_GF.T)
    width = len(total_FF)
    within_FF = (1 - _SHRINKAGE) * within_FF + _SHRINKAGE * np.trace(within_FF) / width * np.eye(width)
    _, vectors = eigh(total_FF, within_FF, subset_by_index=[width - number, width - 1])
    return np.ascontiguousarray(vectors[:, ::-1])


@dataclass(frozen=True, slots=True)
class _Norm:
    """What a layer norm makes of a one and of a zero, when `ones` of `dim` numbers are one."""

    one: float
    zero: float

    @classmethod
    def of(cls, ones: int, dim: int) -> _Norm:
        share = ones / dim
        deviation = ((ones + _ENERGY / 2) / dim - share**2) ** 0.5
        return cls((1 - share) / deviation, -share / deviation)

    @property
    def step(self) -> float:
        return self.one - self.zero


def _copy_residue(attention: nn.Module, heads: int, *, distance: int) -> None:
    """The first head copies the residue `distance` places before; other heads add nothing yet."""
    q, k, v, out = (getattr(attention, f"{name}_proj") for name in ("q", "k", "v", "out"))
    width = out.in_features // heads
    frequency = 10000.0 ** (-2 * torch.arange(_FREQUENCIES) / width)
    q.weight.zero_(), k.weight.zero_(), q.bias.zero_(), k.bias.zero_()
    # Turned by its position, q meets k of the place j where frequency * (i - j) equals its own angle.
    k.bias[:_FREQUENCIES] = _SHARPNESS
    q.bias[:_FREQUENCIES] = _SHARPNESS * torch.cos(frequency * distance)
    q.bias[width // 2 : width // 2 + _FREQUENCIES] = -_SHARPNESS * torch.sin(frequency * distance)
    norm = _Norm.of(1, out.in_features)
    v.weight[:_N], v.bias[:_N] = 0.0, -norm.zero / norm.step
    out.weight.zero_(), out.bias.zero_()
    for residue in range(_N):
        v.weight[residue, _HERE + residue] = 1 / norm.step
        out.weight[_COPY + residue, residue] = 1.0


def _read_pairs(layer: nn.Module, projections_PK: Tensor) -> None:
    """One unit per pair writes the pair's projection; one per residue clears the copy for the next layer."""
    fc1, fc2 = cast(nn.Linear, layer.fc1), cast(nn.Linear, layer.fc2)
    norm = _Norm.of(2, fc1.in_features)
    fc2.weight.zero_(), fc2.bias.zero_()
    for here in range(_N):
        for before in range(_N):
            unit = here * _N + before
            _gate(fc1, unit, [_HERE + here, _COPY + before], norm)
            fc2.weight[_FEATURES:, unit] = projections_PK[unit] / _GATE
    for residue in range(_N):
        unit = _N * _N + residue
        _gate(fc1, unit, [_COPY + residue], norm)
        fc2.weight[_COPY + residue, unit] = -1 / _GATE


def _gate(linear: nn.Linear, unit: int, inputs: Sequence[int], norm: _Norm) -> None:
    """Makes a unit's value +4 when all inputs are one, and -4 when one of them is not."""
    gain = 2 * _GATE / norm.step
    linear.weight[unit] = 0.0
    linear.weight[unit, list(inputs)] = gain
    linear.bias[unit] = -gain * (len(inputs) * norm.zero) - 2 * _GATE * (len(inputs) - 0.5)


def _place_of_token() -> npt.NDArray[np.int64]:
    """Token number -> place among the standard residues, -1 for others."""
    places = np.full(len(ALPHABET), -1)
    for place, letter in enumerate(STANDARD_RESIDUES):
        places[ALPHABET.get_idx(letter)] = place
    return places


_PLACE_OF_TOKEN = _place_of_token()
