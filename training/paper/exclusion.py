"""The exclusion protocol: how many training windows a held-out genome forbids (Hwang et al. 2023).

A window is left out when more than half of its proteins are over 70 % identical to a held-out protein.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..corpus import similarity
from ..corpus.tables import MIN_GENES, Tables
from ..glm.windows import GeneOrder, Spans, cut, without_near

NEAR = "near_heldout"  # column of a corpus folder's proteins: the search was done when it was made
BINS = 20  # of the share of near proteins


def near_proteins(
    source: Tables, genomes: Sequence[int], held_out: frozenset[str]
) -> tuple[npt.NDArray[np.bool_], list[int]]:
    """Which proteins of a corpus are near a held-out one, and for which genomes that is known.

    A corpus folder knows it for all of its genomes. In other tables only the proteins of `genomes` are
    searched, for a whole collection takes long.
    """
    if NEAR in source.proteins.column_names:
        return source.proteins[NEAR].to_numpy(), source.genomes["genome"].to_pylist()
    wanted = np.unique(np.concatenate([order.protein_G for _, order in orders(source, genomes)]))
    sequences = source.proteins["sequence"].take(pa.array(wanted)).to_pylist()
    near_N = np.zeros(source.proteins.num_rows, np.bool_)
    near_N[wanted] = similarity.resembles(sequences, sorted(held_out))
    return near_N, list(genomes)


def orders(
    source: Tables, genomes: Sequence[int], near_N: npt.NDArray[np.bool_] | None = None
) -> Iterator[tuple[int, GeneOrder]]:
    """The genes of each genome on contigs long enough for a window; genomes without such are left out."""
    contig_G = source.genes["contig"].to_numpy()
    protein_G = source.genes["protein"].to_numpy().astype(np.int64)
    strand_G = source.genes["strand"].to_numpy().astype(np.int64)
    long = source.contigs.filter(pc.greater_equal(source.contigs["n_genes"], MIN_GENES))
    genome_C, name_C = long["genome"].to_numpy(), long["contig"].to_numpy()
    for genome in genomes:
        rows = np.flatnonzero(np.isin(contig_G, name_C[genome_C == genome]))
        if len(rows):
            starts = np.flatnonzero(np.diff(contig_G[rows], prepend=-1))
            near_G = np.zeros(len(rows), np.bool_) if near_N is None else near_N[protein_G[rows]]
            first_C = np.append(starts, len(rows))
            yield genome, GeneOrder(protein_G[rows], strand_G[rows], near_G, first_C)


def measure(
    source: Tables, genomes: Sequence[int], near_N: npt.NDArray[np.bool_]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count consecutive windows of up to 30 genes and those that are left out.

    Returns:
        one row a genome (genome, organism, genus, genes, near, windows, left_out), and windows by their
        share of near proteins (low, high, windows).
    """
    described = {row["genome"]: row for row in source.genomes.to_pylist()}
    rows, shares = [], [np.empty(0)]
    for genome, order in orders(source, genomes, near_N):
        spans = cut(order)
        shares.append(near_shares(order, spans))
        rows.append(
            {
                "genome": genome,
                "organism": described[genome]["organism"],
                "genus": described[genome]["genus"],
                "genes": len(order.protein_G),
                "near": int(order.near_G.sum()),
                "windows": len(spans),
                "left_out": len(spans) - len(without_near(order, spans)),
            }
        )
    counts, edges = np.histogram(np.concatenate(shares), BINS, (0.0, 1.0))
    histogram = pd.DataFrame({"low": edges[:-1], "high": edges[1:], "windows": counts})
    return pd.DataFrame(rows), histogram


def near_shares(order: GeneOrder, spans: Spans) -> npt.NDArray[np.float64]:
    """Share of each window's proteins that are near a held-out one."""
    before_G = np.concatenate([[0], np.cumsum(order.near_G)])
    near_W = before_G[spans.first_W + spans.length_W] - before_G[spans.first_W]
    return np.asarray(near_W / spans.length_W)


def total(table: pd.DataFrame) -> dict[str, Any]:
    """Sums over the genomes, and the share of windows left out."""
    sums: dict[str, Any] = {"genomes": len(table)}
    sums |= {name: int(table[name].sum()) for name in ("genes", "near", "windows", "left_out")}
    return sums | {"left_out_share": sums["left_out"] / max(sums["windows"], 1)}
