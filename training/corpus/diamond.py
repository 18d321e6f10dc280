"""Proteins that are alike enough to share a label, and the best hits that EC numbers are measured against.

DIAMOND comes from Debian (`apt install diamond-aligner`) or bioconda (`conda install -c bioconda diamond`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from glm_annot.io.sequences import write_fasta
from glm_annot.processes import run_tool, temporary_folder

IDLE_LIMIT = 60.0  # seconds; DIAMOND (2.1.3 and others) now and then deadlocks and then waits for ever
_SCORE = ("bitscore",)
_BEST_HIT = ("--very-sensitive", "-e", "1e-3", "-k", "1")
_INSTALL = "install DIAMOND (`apt install diamond-aligner` or `conda install -c bioconda diamond`)"


def alike(
    queries: Iterable[str],
    targets: Iterable[str],
    *,
    min_identity: float,
    min_coverage: float,
    threads: int = 1,
) -> dict[int, int]:
    """The most similar target of each query, among those that align over nearly all of both.

    Args:
        queries, targets: proteins.
        min_identity: least share of identical residues in the alignment.
        min_coverage: least share of either sequence that it spans.
        threads: processor cores to use.

    Returns:
        position of a query -> position of its target with the highest score.
    """
    limits = _limits(min_identity, min_coverage)
    best: dict[int, tuple[float, int]] = {}
    for query, target, (score,) in diamond(queries, targets, [*limits, "-k", "5"], _SCORE, threads=threads):
        best[query] = max(best.get(query, (0.0, 0)), (score, -target))
    return {query: -target for query, (_, target) in best.items()}


def pairs_alike(
    proteins: Iterable[str], *, min_identity: float, min_coverage: float, threads: int = 1
) -> set[tuple[int, int]]:
    """All pairs of proteins that DIAMOND (`--very-sensitive`) aligns over at least `min_coverage` of both.

    Args:
        proteins: compared with each other.
        min_identity: least share of identical residues in the alignment.
        min_coverage: least share of either sequence that it spans.
        threads: processor cores to use.

    Returns:
        positions (lower, higher) of both.
    """
    proteins = list(proteins)
    limits = _limits(min_identity, min_coverage)
    options = ["--very-sensitive", *limits, "-k", "0"]
    hits = diamond(proteins, proteins, options, _SCORE, threads=threads)
    return {(min(query, target), max(query, target)) for query, target, _ in hits if query != target}


def _limits(min_identity: float, min_coverage: float) -> list[str]:
    percent = [f"{100 * share:g}" for share in (min_identity, min_coverage, min_coverage)]
    names = ("--id", "--query-cover", "--subject-cover")
    return [text for pair in zip(names, percent, strict=True) for text in pair]


def best_hits(
    queries: Iterable[str], targets: Iterable[str], *, threads: int = 1
) -> dict[int, tuple[int, float]]:
    """DIAMOND's best hit of each query that has any, `--very-sensitive -e 1e-3`.

    Args:
        queries, targets: proteins.
        threads: processor cores to use.

    Returns:
        position of a query -> position of its target, share of identical residues.
    """
    hits = diamond(queries, targets, _BEST_HIT, ("pident",), threads=threads)
    found: dict[int, tuple[int, float]] = {}
    for query, target, (identity,) in hits:  # one target may be aligned in several stretches
        found.setdefault(query, (target, identity / 100))
    return found


def diamond(
    queries: Iterable[str],
    targets: Iterable[str],
    options: Sequence[str],
    columns: Sequence[str],
    *,
    threads: int = 1,
) -> Iterator[tuple[int, int, tuple[float, ...]]]:
    """Search with `diamond blastp`: (position of a query, of its target, columns) of every hit.

    Args:
        queries, targets: proteins.
        options: of the search.
        columns: names of numeric fields of DIAMOND's tabular output.
        threads: processor cores to use.

    Raises:
        GlmAnnotError: DIAMOND is not installed, or it failed.
    """
    with temporary_folder() as folder:
        write_fasta(folder / "queries.faa", queries)
        write_fasta(folder / "targets.faa", targets)
        files = ["-q", str(folder / "queries.faa"), "-d", str(folder / "targets.faa")]
        out = ["-o", str(folder / "hits.tsv"), "-f", "6", "qseqid", "sseqid", *columns]
        command = ["diamond", "blastp", *files, *out, *options, "--threads", str(threads), "--quiet"]
        run_tool(command, install=_INSTALL, idle_limit=IDLE_LIMIT)
        with (folder / "hits.tsv").open(encoding="ascii") as stream:
            for line in stream:
                query, target, *figures = line.split("\t")
                yield int(query), int(target), tuple(map(float, figures))
