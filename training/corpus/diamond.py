"""Finds proteins similar enough to share a label, with DIAMOND."""

from __future__ import annotations

from collections.abc import Iterable

from glm_annot.ec.reference import diamond

_SCORE = ("bitscore",)


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
