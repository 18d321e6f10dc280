"""What the layout of a genome says about operons: numbers for each pair of neighbouring coding genes.

Every pair is described as a polymerase would meet it: offset 0 is the pair itself, negative offsets lie
upstream and positive ones downstream on the strand of its first gene. Gaps are given in bases and relative to
the genome's own gaps, because how densely genes are packed differs between organisms.

Axis letters: P pairs of a contig, F features, G genes, K points of the gap axis, 3 kinds of neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from glm_annot.operons.places import Places
from glm_annot.records import Contig

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Value = TypeVar("Value")

KINDS = ("tandem", "convergent", "divergent")
REACH = 3  # pairs looked at on each side; beyond three boosting gains nothing
WARP = 20.0  # bases; the gap axis is linear below this and logarithmic above
SHORTEST, LONGEST = -200.0, 3000.0  # bases; gaps beyond are counted at the ends of the axis
AXIS_POINTS = 120
SMOOTHING = 3.0  # points of the axis, standard deviation of the kernel; about a factor 1.15 in a long gap
PRIOR_PAIRS = 60.0  # how many pairs of the average genome are added to each genome's own of each kind
FAR = 250.0  # bases; beyond it tandem neighbours are taken to be different transcripts
NO_NEIGHBOUR = 500.0  # bases; stands for the gap beyond a contig's edge
TYPICAL_LENGTH = 900.0  # bases; stands for the length of a gene beyond a contig's edge
CROWD = 10  # genes on each side over which coding density is taken


@dataclass(frozen=True)
class Track:
    """A contig reduced to arrays: its genes (G,) in order, and gaps (P,) of its `pairs`.

    `start` and `end` are those of each gene's home (`places`); `parted` (P,) says whether a part of another
    gene lies between two neighbours.
    """

    start: Floats
    end: Floats
    strand: Ints
    gap: Floats
    circular: bool
    parted: Bools

    @classmethod
    def of(cls, contig: Contig) -> Track:
        """Read the coding genes of a contig; a gap begins where all genes before it have ended."""
        genes, places = contig.coding, Places.of(contig)
        start = np.array([begin for begin, _ in places.home], dtype=np.float64)
        end = np.array([stop for _, stop in places.home], dtype=np.float64)
        strand = np.array([gene.strand for gene in genes], dtype=np.int64)
        circular = contig.circular and len(genes) > 1
        if circular:
            lap = circumference(contig)
            reached = np.maximum.accumulate(np.maximum(end, end.max() - lap))  # one may end beyond the origin
            following = np.append(start[1:], start[0] + lap)
        else:
            reached, following = np.maximum.accumulate(end)[:-1], start[1:]
        parted = np.zeros(len(following), dtype=np.bool_)
        for _, (begin, stop) in places.away:
            parted |= (start[: len(parted)] < begin) & (begin < following)
            reached = np.where(begin < following, np.maximum(reached, stop), reached)
        return cls(start, end, strand, following - reached - 1, circular, parted)

    @property
    def left(self) -> Ints:
        """(P,) position of each pair's first gene in contig order."""
        return np.arange(len(self.gap))

    @property
    def right(self) -> Ints:
        """(P,) position of each pair's second gene in contig order."""
        return (self.left + 1) % max(len(self.strand), 1)

    @property
    def same(self) -> Bools:
        """(P,) whether both genes lie on one strand, and no part of another gene between them."""
        return np.equal(self.strand[self.left], self.strand[self.right]) & ~self.parted

    def kind(self, kind: str) -> Bools:
        """(P,) whether a pair is of one of `KINDS`."""
        first, second = self.strand[self.left], self.strand[self.right]
        if kind == "tandem":
            return self.same
        return np.greater(first, second) if kind == "convergent" else np.less(first, second)


def circumference(contig: Contig) -> int:
    """Length of a circular contig in bases; where the file does not say, up to the last coding gene's end."""
    return contig.length or max(gene.end for gene in contig.coding)


def warp(gap: Floats) -> Floats:
    """Gaps in bases to the axis of histograms and features: linear near 0, logarithmic beyond `WARP`."""
    return np.asarray(np.sign(gap) * np.log1p(np.abs(gap) / WARP))


AXIS = np.linspace(warp(np.array(SHORTEST)), warp(np.array(LONGEST)), AXIS_POINTS)
_LAGS = np.subtract.outer(np.arange(AXIS_POINTS), np.arange(AXIS_POINTS))
_KERNEL = np.exp(-0.5 * (_LAGS / SMOOTHING) ** 2)
_KERNEL /= _KERNEL.sum(0, keepdims=True)


def gap_counts(tracks: Sequence[Track]) -> Ints:
    """How many gaps (3, K) of each kind of neighbours there are; those of parts add up to the genome's."""
    none = np.empty(0)
    return np.stack(
        [
            _counts(np.concatenate([none, *(track.gap[track.kind(kind)] for track in tracks)]))
            for kind in KINDS
        ]
    )


def _counts(gaps: Floats) -> Ints:
    return np.bincount(axis_point(gaps), minlength=AXIS_POINTS)


def axis_point(gaps: Floats) -> Ints:
    """The point of the axis that each gap in bases is nearest to."""
    return nearest(AXIS, warp(gaps))


def nearest(points: Floats, values: Floats) -> Ints:
    """Which of equally spaced, ascending points each value is nearest to."""
    step = points[1] - points[0]
    return np.asarray(np.rint((np.clip(values, points[0], points[-1]) - points[0]) / step), dtype=np.int64)


def gap_histograms(counts_3K: Ints) -> Floats:
    """Counts of a whole genome, as `gap_counts` gives them, smoothed along the axis: (3, K)."""
    return np.stack([_KERNEL @ counts_K for counts_K in counts_3K.astype(np.float64)])


@dataclass(frozen=True)
class GapTables:
    """One genome's gap distributions.

    Attributes:
        cumulative_3K: for each kind the share of gaps up to each point of the axis.
        log_odds_K: log density of tandem gaps over that of gaps between surely different transcripts.
        borders: estimated share of tandem neighbours that are different transcripts.
    """

    cumulative_3K: Floats
    log_odds_K: Floats
    borders: float

    @classmethod
    def of(cls, histograms_3K: Floats, prior_3K: Floats) -> GapTables:
        """Combine a genome's own counts with `PRIOR_PAIRS` pairs of each kind of the average genome.

        As in UniOP (Su, Zhang, Söding 2024) gaps between opposite strands show how far apart different
        transcripts lie: convergent and divergent ones in equal parts, for a border has one end of each.
        """
        counts = histograms_3K + PRIOR_PAIRS * prior_3K
        density = counts / counts.sum(1, keepdims=True)
        tandem, other = density[0], (density[1] + density[2]) / 2
        far = warp(np.array(FAR)) < AXIS
        borders = float(np.clip(tandem[far].sum() / other[far].sum(), 0.05, 0.95))
        return cls(np.cumsum(density, 1) - density / 2, np.log(tandem / other), borders)

    def quantile(self, kind: int, gap: Floats) -> Floats:
        """Share of this genome's gaps of a kind that are shorter."""
        return np.asarray(np.interp(warp(gap), AXIS, self.cumulative_3K[kind]))

    def log_odds(self, gap: Floats) -> Floats:
        """Log-likelihood ratio, tandem over different transcripts, of a gap."""
        return np.asarray(np.interp(warp(gap), AXIS, self.log_odds_K))


def geometry(tracks: Sequence[Track], prior_3K: Floats, counts_3K: Ints | None = None) -> list[Floats]:
    """Features (P, F) of every pair of each contig, F = `len(GEOMETRY)`.

    `tracks` are one genome's, or those of a part of one whose `gap_counts` are `counts_3K`.
    """
    counts_3K = gap_counts(tracks) if counts_3K is None else counts_3K
    tables = GapTables.of(gap_histograms(counts_3K), prior_3K)
    return [_contig_features(track, tables) for track in tracks]


def _contig_features(track: Track, tables: GapTables) -> Floats:
    if not len(track.gap):
        return np.empty((0, len(GEOMETRY)))
    columns = {**_pair_columns(track, tables), **_around(track, tables), **_place(track)}
    return np.stack([columns[name] for name in GEOMETRY], axis=1)


def _pair_columns(track: Track, tables: GapTables) -> dict[str, Floats]:
    """The pair's own gap: beside the genome's opposite-strand gaps, and as an overlap."""
    gap = track.gap
    return {
        "convergent_quantile": tables.quantile(1, gap),
        "divergent_quantile": tables.quantile(2, gap),
        "overlap_4": (gap == -4).astype(np.float64),  # ATGA
        "overlap_1": (gap == -1).astype(np.float64),  # TAATG
        "overlap_phase": np.where(gap < 0, gap % 3, -1.0),
        "borders": np.full(len(gap), tables.borders),
    }


def _around(track: Track, tables: GapTables) -> dict[str, Floats]:
    """Gaps, strands and lengths at each offset from the pair, in the direction of transcription."""
    forward = track.strand[track.left] == 1
    gap_axis, log_odds, rank = warp(track.gap), tables.log_odds(track.gap), tables.quantile(0, track.gap)
    length = np.log(track.end - track.start + 1)
    columns: dict[str, Floats] = {}
    for k in range(-REACH, REACH + 1):
        at = np.where(forward, track.left + k, track.left - k)
        columns[f"same_{k}"] = _take(track.same.astype(np.float64), at, track.circular, 0.0)
        columns[f"gap_{k}"] = _take(gap_axis, at, track.circular, float(warp(np.array(NO_NEIGHBOUR))))
        columns[f"log_odds_{k}"] = _take(log_odds, at, track.circular, 0.0)
        columns[f"rank_{k}"] = _take(rank, at, track.circular, 1.0)
    for k in range(-REACH, REACH + 2):
        at = np.where(forward, track.left + k, track.left + 1 - k)
        strand = _take(track.strand.astype(np.float64), at, track.circular, 0.0)
        columns[f"strand_{k}"] = strand * track.strand[track.left]
        if -1 <= k <= 2:
            columns[f"length_{k}"] = _take(length, at, track.circular, float(np.log(TYPICAL_LENGTH)))
    return columns


def _place(track: Track) -> dict[str, Floats]:
    """Where the pair lies in its run of tandem genes, and how dense the genes around it are."""
    before = _run_lengths(track.same, track.circular)
    after = _run_lengths(track.same[::-1], track.circular)[::-1]
    forward = track.strand[track.left] == 1
    first = np.maximum(track.left - CROWD + 1, 0)
    last = np.minimum(track.left + CROWD, len(track.strand) - 1)
    bases = np.concatenate([[0.0], np.cumsum(track.end - track.start + 1)])
    return {
        "run_upstream": np.log1p(np.where(forward, before, after)),
        "run_downstream": np.log1p(np.where(forward, after, before)),
        "density": (bases[last + 1] - bases[first]) / (track.end[last] - track.start[first] + 1),
    }


def _take(values: NDArray[np.float64], at: Ints, circular: bool, beyond: float) -> Floats:
    """values[at], wrapping round a circular contig; `beyond` outside of a linear one."""
    n = len(values)
    if circular:
        return values[at % n]
    return np.where((at >= 0) & (at < n), values[np.clip(at, 0, n - 1)], beyond)


def _run_lengths(same: Bools, circular: bool) -> Floats:
    """(P,) how many tandem pairs in a row come directly before each pair."""
    n = len(same)
    laps = np.concatenate([same, same]) if circular else same
    index = np.arange(len(laps))
    last_break = np.maximum.accumulate(np.where(laps, -1, index))
    until = np.concatenate([[-1], last_break[:-1]])
    return np.asarray((index - until - 1)[-n:], dtype=np.float64).clip(max=n)


GEOMETRY: tuple[str, ...] = (
    "convergent_quantile",
    "divergent_quantile",
    "overlap_4",
    "overlap_1",
    "overlap_phase",
    "borders",
    "run_upstream",
    "run_downstream",
    "density",
    *(f"{what}_{k}" for k in range(-REACH, REACH + 1) for what in ("same", "gap", "log_odds", "rank")),
    *(f"strand_{k}" for k in range(-REACH, REACH + 2)),
    *(f"length_{k}" for k in range(-1, 3)),
)
# What a memory of gene order says of a pair on one strand, where the model has one: lineages in which the two
# families stand side by side so, lineages that have both, their share, the median gap there in bases, the
# share in which it is close, and how often the first family ends, and the second begins, a run of genes on
# one strand.
CONSERVED = ("beside", "both", "share", "gap", "close", "ends", "begins")
IN_GENERA = len(CONSERVED)  # the column after these: groups of near relatives where they stand side by side


def by_pair(contigs: Sequence[Contig], values: Sequence[Iterable[Value]]) -> dict[tuple[int, int], Value]:
    """Values of each contig's pairs of neighbours, keyed by the pair's gene indices."""
    found = {}
    for contig, of_contig in zip(contigs, values, strict=True):
        for (left, right), value in zip(contig.pairs, of_contig, strict=True):
            found[contig.coding[left].index, contig.coding[right].index] = value
    return found
