"""Fits what makes gLM's inputs and labels out of protein embeddings: z-scores and whitened components.

The paper's components are principal ones. ESM2's first ones tell families apart; those of a small encoder
tell amino acid composition, which is much the same all over a genome. Discriminant components (Rao 1948) have
most variance between all proteins for the variance within families, and suit small encoders better.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from glm_annot.errors import InputError
from glm_annot.model.glm import GeneFeatures
from glm_annot.model.sizes import GLMConfig

from .windows import Embeddings

SAMPLE = 200_000  # proteins that are enough for a mean and a covariance of a few hundred dimensions
SMALLEST_SCALE = 1e-3  # of the first component's deviation: flatter directions are not blown up beyond it
SHRINKAGE = 0.02  # of the variance within families towards its mean
_CHUNK = 8192  # rows read at a time


def fit_features(
    config: GLMConfig,
    embeddings_ND: Embeddings,
    proteins: npt.NDArray[np.int64],
    *,
    families_N: npt.NDArray[np.int64] | None = None,
    seed: int = 0,
) -> GeneFeatures:
    """Fit mean, deviation and components to the distinct proteins of the training genes.

    Args:
        config: sizes of input and label.
        embeddings_ND: all embeddings.
        proteins: rows that count, with or without repeats; a sample is drawn of more than `SAMPLE`.
        families_N: family of each row: components are discriminants of these; without, principal ones.
        seed: of that sample.

    Raises:
        InputError: fewer than two distinct proteins, no two of one family, or embeddings that are not finite.
    """
    rows = np.unique(proteins)
    if len(rows) < 2:
        raise InputError("the training genomes have fewer than two distinct proteins: nothing to fit to")
    if len(rows) > SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(rows, SAMPLE, replace=False))
    mean_D, covariance_DD = _moments(embeddings_ND, rows)
    if not np.isfinite(covariance_DD).all():
        raise InputError("the embeddings of the training genes have numbers that are not finite: embed anew")
    deviation_D = np.sqrt(np.diag(covariance_DD) * (len(rows) - 1) / len(rows))
    std_D = np.where(deviation_D > 0, deviation_D, 1.0)
    correlation_DD, count = covariance_DD / np.outer(std_D, std_D), config.labels - 1
    if families_N is None:
        components_LD, scale_L = _principal(correlation_DD, count)
    else:
        within_DD = _within(embeddings_ND, rows, families_N[rows]) / np.outer(std_D, std_D)
        components_LD, scale_L = _discriminants(correlation_DD, within_DD, count)
    features = GeneFeatures(config)
    found = {
        "mean_D": mean_D,
        "std_D": std_D,
        "pca_mean_D": np.zeros_like(mean_D),  # z-scores are centred already
        "pca_components_LD": components_LD,
        "pca_scale_L": scale_L,
    }
    features.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in found.items()})
    return features


def _moments(
    embeddings_ND: Embeddings, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean (D,) and covariance (D, D) of some rows, in two passes, a chunk at a time."""
    starts = range(0, len(rows), _CHUNK)
    D = embeddings_ND.shape[1]
    mean_D = np.zeros(D)
    for start in starts:
        mean_D += embeddings_ND[rows[start : start + _CHUNK]].astype(np.float64).sum(0) / len(rows)
    covariance_DD = np.zeros((D, D))
    for start in starts:
        centred = embeddings_ND[rows[start : start + _CHUNK]].astype(np.float64) - mean_D
        covariance_DD += centred.T @ centred / (len(rows) - 1)
    return mean_D, covariance_DD


def _principal(
    covariance_DD: npt.NDArray[np.float64], count: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The first components (L, D), largest entry positive, and the standard deviations (L,) along them."""
    variance_D, vectors_DD = np.linalg.eigh(covariance_DD)
    scale_L = np.sqrt(np.maximum(variance_D[::-1][:count], 0.0))
    return _turned(vectors_DD[:, ::-1][:, :count].T), np.maximum(scale_L, SMALLEST_SCALE * scale_L[0])


def _within(
    embeddings_ND: Embeddings, rows: npt.NDArray[np.int64], family_R: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Covariance (D, D) within families, from pairs of rows that follow each other in one family."""
    order = np.argsort(family_R, kind="stable")
    pairs = np.flatnonzero(family_R[order[:-1]] == family_R[order[1:]])
    if not len(pairs):
        raise InputError("no two proteins of the training genomes are of one family: take principal ones")
    D = embeddings_ND.shape[1]
    covariance_DD = np.zeros((D, D))
    for some in np.array_split(pairs, -(-len(pairs) // _CHUNK)):
        one, other = (embeddings_ND[rows[order[places]]].astype(np.float64) for places in (some, some + 1))
        covariance_DD += (one - other).T @ (one - other) / (2 * len(pairs))
    return covariance_DD


def _discriminants(
    total_DD: npt.NDArray[np.float64], within_DD: npt.NDArray[np.float64], count: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Solve T v = lambda W v: the first v as unit rows (L, D), and the standard deviations (L,) along it."""
    from scipy.linalg import eigh

    D = len(within_DD)
    within_DD = within_DD + SHRINKAGE * np.trace(within_DD) / D * np.eye(D)
    _, vectors_DL = eigh(total_DD, within_DD, subset_by_index=[D - count, D - 1])
    components_LD = _turned((vectors_DL / np.linalg.norm(vectors_DL, axis=0))[:, ::-1].T)
    scale_L = np.sqrt(np.einsum("ld,de,le->l", components_LD, total_DD, components_LD))
    return components_LD, np.maximum(scale_L, SMALLEST_SCALE * scale_L.max())


def _turned(components_LD: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Components with their largest entry positive."""
    largest_L = np.abs(components_LD).argmax(1)
    signs_L: npt.NDArray[np.float64] = np.sign(components_LD[np.arange(len(components_LD)), largest_L])
    return components_LD * signs_L[:, None]
