"""Counts which EC numbers lie beside each other in genomes (see `glm_annot.ec.adjacency`).

Genomes of one genus repeat each other: each counts by one over their number. Where a number is rare the ratio
is drawn towards 1 by as many places as `PRIOR` says, filled as chance would fill them.

Axes: G genes; C labels; N pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import coo_array, diags_array

from glm_annot.ec.adjacency import REACH, LabelPairs

from ..corpus.sample import UNKNOWN_GENUS
from ..corpus.tables import Tables

PRIOR = 20.0  # places beside each label that are filled by chance, beside those seen


@dataclass(frozen=True)
class GeneRuns:
    """Genes in order along their contigs.

    Attributes:
        protein_G: the number of each gene's protein.
        run_G: the number of its run, as `glm_annot.ec.adjacency.runs` counts them.
        weight_G: what it counts.
    """

    protein_G: npt.NDArray[np.int64]
    run_G: npt.NDArray[np.int64]
    weight_G: npt.NDArray[np.float64]


def gene_runs(tables: Tables, without: Collection[int]) -> GeneRuns:
    """The genes of a corpus's genomes but for some; `protein` is that of its tables."""
    genera = dict(zip(*(tables.genomes[name].to_pylist() for name in ("genome", "genus")), strict=True))
    sizes = Counter(genus for genome, genus in genera.items() if genome not in without)
    weight = {
        genome: 1.0 if genus == UNKNOWN_GENUS else 1 / sizes[genus]
        for genome, genus in genera.items()
        if genome not in without
    }
    genome_of = dict(zip(*(tables.contigs[name].to_pylist() for name in ("contig", "genome")), strict=True))
    contig_G, strand_G = (tables.genes[name].to_numpy() for name in ("contig", "strand"))
    weight_G = np.array([weight.get(genome_of[contig], 0.0) for contig in contig_G.tolist()])
    ends_G = (np.diff(contig_G, prepend=-1) != 0) | (np.diff(strand_G, prepend=0) != 0)
    kept = weight_G > 0
    protein_G = tables.genes["protein"].to_numpy()[kept].astype(np.int64)
    return GeneRuns(protein_G, np.cumsum(ends_G)[kept], weight_G[kept])


def count(genes: GeneRuns, labels_of: Mapping[int, Sequence[int]], labels: int) -> LabelPairs:
    """Count neighbours.

    Args:
        genes: of many genomes.
        labels_of: protein -> places of its EC numbers; a protein of several counts for each by a share.
        labels: how many EC numbers there are.
    """
    found = [
        (gene, place, 1 / len(labels_of[protein]))
        for gene, protein in enumerate(genes.protein_G.tolist())
        for place in labels_of.get(protein, ())
    ]
    row, column, share = np.array(found).reshape(-1, 3).T
    shape = (len(genes.run_G), labels)
    has_GC = coo_array((share, (row.astype(np.int64), column.astype(np.int64))), shape=shape).tocsr()
    beside_G = np.zeros(len(genes.run_G))
    seen_CC = coo_array((labels, labels)).tocsr()
    for step in range(1, REACH + 1):
        same = np.flatnonzero(genes.run_G[step:] == genes.run_G[:-step])
        beside_G += np.bincount(same, minlength=len(beside_G)) + np.bincount(
            same + step, minlength=len(beside_G)
        )
        one_CC = has_GC[same].T @ diags_array(genes.weight_G[same]) @ has_GC[same + step]
        seen_CC = seen_CC + one_CC + one_CC.T
    places_C = has_GC.T @ (beside_G * genes.weight_G)
    chance_C = has_GC.T @ genes.weight_G / max(genes.weight_G.sum(), 1e-9)
    return _pairs(seen_CC.tocoo(), places_C, chance_C)


def _pairs(
    seen_CC: coo_array, places_C: npt.NDArray[np.float64], chance_C: npt.NDArray[np.float64]
) -> LabelPairs:
    order = np.lexsort((seen_CC.col, seen_CC.row))
    one_N, other_N, seen_N = seen_CC.row[order], seen_CC.col[order], seen_CC.data[order]
    by_chance_N = (places_C[one_N] + PRIOR) * chance_C[other_N]
    pairs = LabelPairs(len(places_C), len(seen_N))
    pairs.first_C.copy_(torch.from_numpy(np.searchsorted(one_N, np.arange(len(places_C)))))
    pairs.other_N.copy_(torch.from_numpy(other_N.astype(np.int16)))
    pairs.log_ratio_N.copy_(torch.from_numpy(np.log((seen_N + PRIOR * chance_C[other_N]) / by_chance_N)))
    pairs.log_unseen_C.copy_(torch.from_numpy(np.log(PRIOR / (places_C + PRIOR))))
    return pairs
