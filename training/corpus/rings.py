"""Relatives of a genome by gene content: the share of the smaller genome's families that the other has.

A *ring* names how near a relative may be that a measurement still sees: in `near` only the genome itself is
left out, in `genus` all that share `RINGS['genus']` of the families or more, in `far` all that share
`RINGS['far']`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from glm_annot.errors import InputError

from ..common.inputs import read_parquet
from . import diamond
from .tables import Tables, gene_columns

RINGS = {"near": math.inf, "genus": 0.8, "far": 0.5}  # share from which on relatives are left out
_COLUMNS = ("protein", "cluster", "family")
_MIN_COVERAGE = 0.5  # of both proteins, for one to have the other's family


def read_families(path: Path, n: int) -> pa.Table:
    """Read a table of families: columns protein, cluster, family, in the order of the n proteins.

    Raises:
        InputError: a column is missing, or it does not name each protein once.
    """
    table = read_parquet(path, _COLUMNS).sort_by("protein")
    if not np.array_equal(table["protein"].to_numpy(), np.arange(n)):
        raise InputError(f"does not name each of the {n} proteins exactly once", path)
    return table


def families_of_genomes(source: Tables, family_P: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """The distinct families of each genome, in the order of `source.genomes`.

    Args:
        source: the genomes.
        family_P: family of each protein.
    """
    rows, _ = gene_columns(source)
    family_G = family_P[source.genes["protein"].to_numpy()]
    order = np.argsort(rows, kind="stable")
    ends = np.cumsum(np.bincount(rows, minlength=source.genomes.num_rows))
    return [np.unique(some) for some in np.split(family_G[order], ends[:-1])]


def families_by_search(
    proteins: Sequence[str], source: Tables, family_P: npt.NDArray[np.int64], *, threads: int = 1
) -> npt.NDArray[np.int64]:
    """The distinct families of proteins from elsewhere: those of their nearest relatives, by DIAMOND.

    Args:
        proteins: of another genome; one without a relative has no family.
        source: the proteins to search.
        family_P: family of each of these.
        threads: processor cores to use.
    """
    known = source.proteins["sequence"].to_pylist()
    found = diamond.alike(proteins, known, min_identity=0, min_coverage=_MIN_COVERAGE, threads=threads)
    return np.unique(family_P[list(found.values())])


def shares(genomes: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.float64]:
    """Share of the smaller one's families that the other has, for each two genomes, shape (n, n).

    Args:
        genomes: the distinct families of each.
    """
    sizes_N = np.array([len(families) for families in genomes])
    places = np.concatenate([np.zeros(0, np.int64), *genomes])
    starts = np.concatenate([[0], np.cumsum(sizes_N)])
    has_NF = sparse.csr_matrix((np.ones(len(places)), places, starts))
    common_NN = (has_NF @ has_NF.T).toarray()
    found: npt.NDArray[np.float64] = common_NN / np.maximum(1, np.minimum(sizes_N[:, None], sizes_N))
    return found


def left_out(shares_NN: npt.NDArray[np.float64], row: int, ring: str) -> npt.NDArray[np.bool_]:
    """Genomes left out for a measurement on one: itself, and its relatives within the ring, (n,)."""
    found: npt.NDArray[np.bool_] = shares_NN[row] >= RINGS[ring]
    found[row] = True
    return found
