"""Protein similarity by MMseqs2: clusters to split by, and queries that resemble a held-out set.

MMseqs2 comes from Debian (`apt install mmseqs2`) or bioconda (`conda install -c bioconda mmseqs2`).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from glm_annot.io.sequences import write_fasta
from glm_annot.processes import run_tool, temporary_folder

MEMORY_LIMIT = "4G"  # what MMseqs2 may hold at once; it works in pieces beyond that


def mmseqs(*arguments: str) -> str:
    """Run `mmseqs` with the arguments given."""
    install = "install MMseqs2, for instance `apt install mmseqs2` or `conda install -c bioconda mmseqs2`"
    return run_tool(["mmseqs", *arguments, "-v", "1"], install=install)


def cluster(
    sequences: Iterable[str], *, min_identity: float = 0.4, coverage: float = 0.8, sensitive: bool = False
) -> npt.NDArray[np.int64]:
    """Cluster proteins with MMseqs2.

    Args:
        sequences: proteins.
        min_identity: least share of identical residues with the representative.
        coverage: least share of both sequences that the alignment spans.
        sensitive: compare all with all (`easy-cluster`), which finds remote relatives but takes far longer
            than linear time (`easy-linclust`).

    Returns:
        for each sequence the position of its cluster's representative, shape (n,).
    """
    with temporary_folder() as folder:
        write_fasta(folder / "all.faa", sequences)
        limits = ("--min-seq-id", str(min_identity), "-c", str(coverage), "--cov-mode", "0")
        paths = (str(folder / "all.faa"), str(folder / "out"), str(folder / "tmp"))
        mmseqs(
            "easy-cluster" if sensitive else "easy-linclust",
            *paths,
            *limits,
            "--split-memory-limit",
            MEMORY_LIMIT,
        )
        pairs = np.loadtxt(folder / "out_cluster.tsv", dtype=np.int64, ndmin=2)
    representatives = np.empty(len(pairs), dtype=np.int64)
    representatives[pairs[:, 1]] = pairs[:, 0]
    return representatives


def resembles(
    queries: Iterable[str], targets: Iterable[str], *, min_identity: float = 0.7, coverage: float = 0.8
) -> npt.NDArray[np.bool_]:
    """Tell which queries resemble a target (`mmseqs easy-search`).

    Args:
        queries, targets: proteins.
        min_identity: least share of identical residues in the alignment.
        coverage: least share of both sequences that it spans.

    Returns:
        one boolean per query, shape (n,).
    """
    queries = list(queries)
    found = np.zeros(len(queries), dtype=np.bool_)
    with temporary_folder() as folder:
        write_fasta(folder / "queries.faa", queries)
        write_fasta(folder / "targets.faa", targets)
        paths = [str(folder / part) for part in ("queries.faa", "targets.faa", "hits.tsv", "tmp")]
        limits = ("--min-seq-id", str(min_identity), "-c", str(coverage), "--cov-mode", "0")
        # At 70 % identity the fastest prefilter setting already finds what there is to find.
        speed = ("-s", "2", "--max-seqs", "20", "--split-memory-limit", MEMORY_LIMIT)
        mmseqs("easy-search", *paths, *limits, *speed, "--format-output", "query")
        hits = (folder / "hits.tsv").read_text(encoding="ascii").split()
    found[np.array(hits, dtype=np.int64)] = True
    return found
