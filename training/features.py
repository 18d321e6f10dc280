"""Fits what makes gLM's inputs and labels out of protein embeddings: z-scores and a whitening PCA."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from glm_annot.errors import InputError
from glm_annot.glm import GeneFeatures, GLMConfig

from .gene_windows import Embeddings

MAX_COMPONENTS = 99  # principal components in a label, Hwang et al. 2023
SAMPLE = 200_000  # proteins that are enough for a mean and a covariance of a few hundred dimensions
SMALLEST_SCALE = 1e-3  # of the first component's deviation: flatter directions are not blown up beyond it
_CHUNK = 8192  # rows read at a time


def label_size(embedding_dim: int) -> int:
    """Numbers in a label: up to 99 components and the orientation."""
    return min(MAX_COMPONENTS, embedding_dim) + 1


def fit_features(
    config: GLMConfig, embeddings_ND: Embeddings, proteins: npt.NDArray[np.int64], *, seed: int = 0
) -> GeneFeatures:
    """Fit mean, deviation and PCA to the distinct proteins of the training genes.

    Args:
        config: sizes of input and label.
        embeddings_ND: all embeddings.
        proteins: rows that count, with or without repeats; a sample is drawn of more than `SAMPLE`.
        seed: of that sample.

    Raises:
        InputError: fewer than two distinct proteins.
    """
    rows = np.unique(proteins)
    if len(rows) < 2:
        raise InputError("the training genomes have fewer than two distinct proteins: nothing to fit to")
    if len(rows) > SAMPLE:
        rows = np.sort(np.random.default_rng(seed).choice(rows, SAMPLE, replace=False))
    mean_D, covariance_DD = _moments(embeddings_ND, rows)
    deviation_D = np.sqrt(np.diag(covariance_DD) * (len(rows) - 1) / len(rows))
    std_D = np.where(deviation_D > 0, deviation_D, 1.0)
    components_LD, scale_L = _principal(covariance_DD / np.outer(std_D, std_D), config.labels - 1)
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
    components_LD = vectors_DD[:, ::-1][:, :count].T
    largest_L = np.abs(components_LD).argmax(1)
    signs_L = np.sign(components_LD[np.arange(count), largest_L])
    scale_L = np.sqrt(np.maximum(variance_D[::-1][:count], 0.0))
    return components_LD * signs_L[:, None], np.maximum(scale_L, SMALLEST_SCALE * scale_L[0])
