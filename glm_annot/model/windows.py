"""Genome -> windows of up to 30 consecutive genes, and where in them each gene and pair sits most centrally.

Positions are those of `Contig.coding`. Pair `i` of a contig of n coding genes joins genes i and i + 1; on a
circular contig with n > 1 the last pair, n - 1, joins the last gene to the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from glm_annot.records import Contig, Genome, Window

MAX_GENES = 30  # genes per window, Hwang et al. 2023
PART_GENES = 8192  # genes read at once, 40 kB each; with more, the encoder's packs grow no fuller


class Place(NamedTuple):
    """A gene's place, or that of the left gene of a pair.

    Attributes:
        window: position in the list of windows.
        slot: position in `Window.genes`.
    """

    window: int
    slot: int


def parts(genome: Genome) -> Iterator[Genome]:
    """Runs of contigs with at most `PART_GENES` coding genes together, at least one contig each."""
    part: list[Contig] = []
    held = 0
    for contig in genome.contigs:
        n = len(contig.coding)
        if part and held + n > PART_GENES:
            yield Genome(tuple(part))
            part, held = [], 0
        part.append(contig)
        held += n
    if part:
        yield Genome(tuple(part))


def windows(genome: Genome, size: int = MAX_GENES) -> list[Window]:
    """Cut every contig into windows of `size` genes that overlap by at least half.

    Every coding gene is in at least one window, and so is every pair of neighbours, side by side. A contig of
    up to `size` genes is one window; a circular one is two, of which the second, rotated by half, holds the
    closing pair inside.

    Raises:
        ValueError: `size` is below 2, so that no pair would fit.
    """
    if size < 2:
        raise ValueError(f"a window holds at least 2 genes, not {size}")
    return [
        Window(number, tuple(gene % n for gene in range(start, start + min(n, size))))
        for number, contig in enumerate(genome.contigs)
        if (n := len(contig.coding))
        for start in _starts(n, size, contig.circular)
    ]


def n_windows(n: int, circular: bool, size: int = MAX_GENES) -> int:
    """How many windows `windows` cuts a contig of `n` coding genes into."""
    return sum(1 for _ in _starts(n, size, circular)) if n else 0


def central_gene(windows: Sequence[Window]) -> dict[tuple[int, int], Place]:
    """For each (contig, gene) the place where it is farthest from its window's ends; the first of equals."""
    return _most_central(
        ((window.contig, gene), Place(number, slot), min(slot, len(window.genes) - 1 - slot))
        for number, window in enumerate(windows)
        for slot, gene in enumerate(window.genes)
    )


def central_pair(windows: Sequence[Window]) -> dict[tuple[int, int], Place]:
    """For each (contig, pair) its left gene's place where the pair is most central; the first of equals."""
    return _most_central(
        ((window.contig, gene), Place(number, slot), min(slot, len(window.genes) - 2 - slot))
        for number, window in enumerate(windows)
        for slot, gene in enumerate(window.genes[:-1])
    )


def _starts(n: int, size: int, circular: bool) -> Iterator[int]:
    """First genes of the windows of a contig of n genes, evenly spread."""
    stride = size // 2
    if circular and n > 1:
        count = -(-n // stride) if n > size else 2
        return (i * n // count for i in range(count))
    if n <= size:
        return iter((0,))
    steps = -(-(n - size) // stride)
    return (i * (n - size) // steps for i in range(steps + 1))


def _most_central(
    places: Iterable[tuple[tuple[int, int], Place, int]],
) -> dict[tuple[int, int], Place]:
    best: dict[tuple[int, int], tuple[int, Place]] = {}
    for key, place, distance in places:
        if key not in best or distance > best[key][0]:
            best[key] = (distance, place)
    return {key: place for key, (_, place) in best.items()}
