"""Contrastive training of the family encoder: proteins of one family attract, all others repel.

A batch holds two proteins of each of P families. Each is to find the other among all of the batch: cross
entropy over the cosines divided by a temperature (InfoNCE, van den Oord et al. 2018; in this form with all
others of the batch as negatives, Chen et al. 2020, SimCLR).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glm_annot.errors import InputError
from glm_annot.model.family_encoder import FamilyEncoder, Kmers

from ..common.engine import Engine
from ..common.inputs import read_parquet
from ..settings import EngineConfig, TrainFamilyConfig
from .exports import export_encoder

COLUMNS = ("sequence", "family", "cluster", "labelled")
_LEAST_FAMILY = 3  # proteins


class FamilyPairs:
    """Proteins grouped by family and cluster; draws training pairs.

    Args:
        table: columns `COLUMNS`.
        config: see TrainFamilyConfig.

    Raises:
        InputError: fewer than two families of three proteins.
    """

    def __init__(self, table: pa.Table, config: TrainFamilyConfig) -> None:
        self._config = config
        family_G, cluster_G = (table[name].to_numpy().astype(np.int64) for name in ("family", "cluster"))
        order = np.lexsort((cluster_G, family_G))
        family_G, cluster_G = family_G[order], cluster_G[order]
        sizes = np.unique(family_G, return_counts=True)[1]
        large_G = np.repeat(sizes >= _LEAST_FAMILY, sizes)
        order, family_G, cluster_G = order[large_G], family_G[large_G], cluster_G[large_G]
        _, first_F, self._size_F = np.unique(family_G, return_index=True, return_counts=True)
        if len(first_F) < 2:
            raise InputError(
                "the corpus has fewer than two families of three proteins: too few to learn from"
            )
        self._order, self._first_F = order, first_F
        self._sequences = table["sequence"].combine_chunks()
        changes_G = np.diff(family_G, prepend=-1) | np.diff(cluster_G, prepend=-1)
        self._first_C = np.flatnonzero(changes_G)
        self._size_C = np.diff(np.append(self._first_C, len(order)))
        self._first_cluster_F = np.searchsorted(self._first_C, first_F)
        self._clusters_F = np.diff(np.append(self._first_cluster_F, len(self._first_C)))
        # Clusters of a family are drawn in proportion to the root of their size.
        self._cumulative_C = np.concatenate([[0.0], np.cumsum(np.sqrt(self._size_C))])
        labelled_F = table["labelled"].to_numpy(zero_copy_only=False)[order[first_F]]
        weight_F = np.minimum(self._size_F, config.most_of_family) ** config.power
        self._cumulative_F = np.cumsum(weight_F * np.where(labelled_F, config.labelled_weight, 1.0))

    def draw(self, generator: torch.Generator) -> list[str]:
        """The first proteins of all pairs, then the second ones."""
        rows = self.draw_rows(np.random.default_rng(int(torch.randint(2**62, (), generator=generator))))
        return [self._sequences[int(row)].as_py() for row in rows.T.flat]

    def draw_rows(self, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Rows of the table of both proteins of each pair, shape (P, 2)."""
        spots = rng.random(self._config.pairs) * self._cumulative_F[-1]
        families = np.unique(np.searchsorted(self._cumulative_F, spots, side="right"))
        apart = (self._clusters_F[families] > 1) & (rng.random(len(families)) < self._config.other_cluster)
        places = np.where(apart[:, None], self._apart(families, rng), self._alike(families, rng))
        found: npt.NDArray[np.int64] = self._order[places]
        return found

    def _apart(self, families: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """A protein of each of two clusters of each family, or of the one that it has."""
        first, count = self._first_cluster_F[families], self._clusters_F[families]
        one = self._cluster(first, count, rng)
        other = self._cluster(first, count, rng)
        while (again := (one == other) & (count > 1)).any():
            other[again] = self._cluster(first[again], count[again], rng)
        clusters = np.stack([one, other], axis=1)
        spots = rng.random(clusters.shape) * self._size_C[clusters]
        return self._first_C[clusters] + spots.astype(np.int64)

    def _cluster(
        self, first: npt.NDArray[np.int64], count: npt.NDArray[np.int64], rng: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        low, high = self._cumulative_C[first], self._cumulative_C[first + count]
        found = (
            np.searchsorted(self._cumulative_C, low + rng.random(len(first)) * (high - low), side="right") - 1
        )
        # Rounding may lead to the next family's first cluster.
        drawn: npt.NDArray[np.int64] = np.minimum(found, first + count - 1)
        return drawn

    def _alike(self, families: npt.NDArray[np.int64], rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Two proteins of one cluster of each family; of all of the family where that cluster has but one."""
        count = self._clusters_F[families]
        cluster = self._first_cluster_F[families] + (rng.random(len(families)) * count).astype(np.int64)
        alone = self._size_C[cluster] < 2
        first = np.where(alone, self._first_F[families], self._first_C[cluster])
        size = np.where(alone, self._size_F[families], self._size_C[cluster])
        one = (rng.random(len(families)) * size).astype(np.int64)
        other = (one + 1 + (rng.random(len(families)) * (size - 1)).astype(np.int64)) % size
        return np.stack([first + one, first + other], axis=1)


class FamilyObjective(nn.Module):
    """The family encoder under its loss; `forward(kmers)` gives (loss, figures)."""

    def __init__(self, config: TrainFamilyConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = FamilyEncoder(config.encoder)

    def forward(self, kmers: Kmers) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and the share of proteins whose nearest of the batch is the other of their pair."""
        z_SD = self.encoder(kmers)
        cosine_SS = z_SD @ z_SD.T
        scores_SS = (cosine_SS / self.config.temperature).fill_diagonal_(-torch.inf)
        pairs = len(z_SD) // 2
        other_S = torch.arange(2 * pairs, device=z_SD.device).roll(pairs)
        nearest = (scores_SS.argmax(dim=1) == other_S).float().mean()
        return F.cross_entropy(scores_SS, other_S), {"retrieval": nearest.detach()}


def train_family_encoder(
    proteins: Path, folder: Path, config: TrainFamilyConfig, engine_config: EngineConfig
) -> Path:
    """Train a family encoder and export it; an interrupted training continues.

    Args:
        proteins: Parquet file with columns `COLUMNS`; a corpus folder's family_proteins, from which
            held-out proteins are gone already.
        folder: run folder.
        config: the task.
        engine_config: the optimiser; a step sees `config.pairs` families a process.

    Returns:
        The folder, holding `plm.safetensors` and `plm.json`.
    """
    pairs = FamilyPairs(read_parquet(proteins, COLUMNS), config)
    torch.manual_seed(engine_config.seed)
    objective = FamilyObjective(config)
    engine = Engine(objective, engine_config, folder, rates={"encoder.kmers": config.kmer_rate})

    def batch(step: int) -> Kmers:
        return Kmers.of(pairs.draw(engine.generator(step)), config.encoder, engine.device)

    engine.train(batch)
    if engine.rank == 0:
        objective.encoder.round_table()  # as stored, so that every later use gives the same embeddings
        export_encoder(objective.encoder, folder)
    return folder
