"""Promoters between genes: evidence that a transcript begins there.

Divergent genes have promoters between them in both directions, convergent genes have none. So each genome
shows how well a promoter score separates the two kinds of gaps, without any labels; UniOP learns from gap
lengths in the same way (Su, Zhang, Söding 2024). Between two genes on one strand a promoter is then evidence
against an operon, and its absence evidence for one. Where the score separates poorly, as in archaea, it
hardly counts.

Axis letters: P neighbouring pairs of a contig, 2 directions of reading a gap: towards its left gene, towards
its right one; K points of the gap axis, S bins of scores, N windows or counted rows, L bases, F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glm_annot.operons.features import AXIS, AXIS_POINTS, Floats, Ints, Track, axis_point, nearest, warp
from glm_annot.records import Contig

# Share of the consensus letter at each position, in 300 promoters of E. coli (Lisser and Margalit 1993).
MINUS_35 = (("T", 0.69), ("T", 0.79), ("G", 0.61), ("A", 0.56), ("C", 0.54), ("A", 0.54))
MINUS_10 = (("T", 0.77), ("A", 0.76), ("T", 0.60), ("A", 0.61), ("A", 0.56), ("T", 0.82))
# Shares of the other letters: DNA before genes is rich in A and T.
OTHERS = {"A": 0.3, "C": 0.2, "G": 0.2, "T": 0.3}
SPACER = 17  # bases between the two boxes
SPACERS = range(15, 20)
SPACER_COST = 0.7  # bits for each base more or fewer
BOX = 6  # bases

WINDOW = 160  # bases before the gene
LEAST_DISTANCE = 12  # bases from the start of the -10 box to the gene: a transcript has to begin between them
MOST_UNKNOWN = 0.1  # share of unknown letters before a gene; with more there is no score
LEAST_GAP = 40  # bases; in a shorter gap a promoter does not fit
MOST_GAP = 500.0  # bases; longer gaps count as such
SCORES = np.arange(-20.0, 17.0, 0.5)  # bits, middles of the bins

# Share of gaps that look as if they had a promoter: where a transcript begins, and within an operon.
IN_BORDERS, IN_OPERONS = 0.8, 0.2
# Ridge penalties of the weights of the constant, the gap, its square and the score (features standardised).
# The score's penalty counts like 60 uninformative gaps, so that a few gaps change its weight little.
RIDGE_F = np.array([0.0, 1.0, 1.0, 15.0])
WINDOWS_AT_ONCE = 4096  # bounds memory
NEWTON_STEPS = 25  # six suffice as a rule

_KINDS = ("convergent", "divergent")
_LETTERS = "ACGT"
_UNKNOWN = 4
_CODES = np.full(256, _UNKNOWN, dtype=np.int8)
_CODES[np.frombuffer(_LETTERS.encode(), np.uint8)] = range(4)
_COMPLEMENT = np.array([3, 2, 1, 0, _UNKNOWN], dtype=np.int8)


def _log_odds(consensus: tuple[tuple[str, float], ...]) -> Floats:
    """(BOX, 5) bits of each letter over one in four; an unknown letter has none."""
    matrix = np.zeros((BOX, 5))
    for row, (letter, share) in zip(matrix, consensus, strict=True):
        rest = (1 - share) / (1 - OTHERS[letter])
        row[:4] = [np.log2((share if other == letter else rest * OTHERS[other]) / 0.25) for other in _LETTERS]
    return matrix


_MINUS_35, _MINUS_10 = _log_odds(MINUS_35), _log_odds(MINUS_10)


def promoter_scores(contigs: Sequence[Contig]) -> Floats:
    """Bits (P, 2) of the best sigma 70 promoter before each pair's left gene and before its right gene.

    The pairs are those of all contigs, one contig after the other. Every gap is read in both directions,
    whatever the strands. NaN where the gap is shorter than `LEAST_GAP` or too many letters are unknown.
    """
    at, chosen, gaps = 0, [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    windows = [np.empty((0, 2, WINDOW), np.int8)]
    for contig in contigs:
        track = Track.of(contig)
        if contig.sequence:
            fits = np.flatnonzero(track.gap >= LEAST_GAP)
            chosen.append(at + fits)
            gaps.append(track.gap[fits].astype(np.int64))
            windows.append(_windows(contig, track, fits))
        at += len(track.gap)
    scores = np.full((at, 2), np.nan)
    windows_NL, gap_N = np.concatenate(windows).reshape(-1, WINDOW), np.concatenate(gaps).repeat(2)
    starts = range(0, len(gap_N), WINDOWS_AT_ONCE)
    parts = [slice(start, start + WINDOWS_AT_ONCE) for start in starts]
    best = [_best(windows_NL[part], gap_N[part]) for part in parts]
    scores[np.concatenate(chosen)] = np.concatenate([np.empty(0), *best]).reshape(-1, 2)
    return scores


def _windows(contig: Contig, track: Track, pairs: Ints) -> NDArray[np.int8]:
    """Codes (pairs, 2, L) of the letters before the left gene and before the right gene, 5' to 3'."""
    codes = _CODES[np.frombuffer(contig.sequence.encode("ascii", "replace"), np.uint8)]
    stop = track.start[track.right[pairs]].astype(np.int64) - 1  # of the gap, counted from 0
    first = stop - track.gap[pairs].astype(np.int64)
    away = np.arange(WINDOW)[::-1]  # bases between each letter and the gene
    to_left = _COMPLEMENT[_letters(codes, first[:, None] + away, contig.circular)]
    return np.stack([to_left, _letters(codes, stop[:, None] - 1 - away, contig.circular)], axis=1)


def _letters(codes: NDArray[np.int8], at: Ints, circular: bool) -> NDArray[np.int8]:
    n = len(codes)
    inside = np.ones_like(at, dtype=np.bool_) if circular else (at >= 0) & (at < n)
    return np.where(inside, codes[at % n], np.int8(_UNKNOWN))


def _best(windows_NL: NDArray[np.int8], gap_N: Ints) -> Floats:
    """(N,) bits of the best promoter whose -10 box lies in the gap; NaN where letters are not known."""
    minus_35, minus_10 = _box(windows_NL, _MINUS_35), _box(windows_NL, _MINUS_10)
    first = max(SPACERS) + BOX  # an earlier -10 box leaves no room for a -35 box
    places = minus_10.shape[1] - first
    with_35 = [
        minus_35[:, first - spacer - BOX :][:, :places] - SPACER_COST * abs(spacer - SPACER)
        for spacer in SPACERS
    ]
    score = minus_10[:, first:] + np.max(with_35, axis=0)
    distance = WINDOW - first - np.arange(places)  # from the box's first base to the gene
    fits = (distance >= LEAST_DISTANCE) & (distance <= gap_N[:, None])
    in_gap = np.arange(WINDOW, 0, -1) <= gap_N[:, None]
    unknown = ((windows_NL == _UNKNOWN) & in_gap).sum(1) / in_gap.sum(1)
    return np.where(unknown > MOST_UNKNOWN, np.nan, np.where(fits, score, -np.inf).max(1))


def _box(windows_NL: NDArray[np.int8], bits: Floats) -> Floats:
    """Bits of one box that begins at each place."""
    places = windows_NL.shape[1] - BOX + 1
    return np.asarray(sum(row[windows_NL[:, k : k + places]] for k, row in enumerate(bits)))


def promoter_counts(contigs: Sequence[Contig]) -> Ints:
    """How many gaps (2, K, S) between convergent and between divergent genes have each length and score.

    Every gap counts twice, once in each direction. Counts of sections add up to those of the genome.
    """
    scores = promoter_scores(contigs)
    tracks = [Track.of(contig) for contig in contigs]
    gap = np.concatenate([np.empty(0), *(track.gap for track in tracks)])
    counts = np.zeros((len(_KINDS), AXIS_POINTS, len(SCORES)), dtype=np.int64)
    for of_kind, kind in zip(counts, _KINDS, strict=True):
        chosen = np.concatenate([np.empty(0, np.bool_), *(track.kind(kind) for track in tracks)])
        for direction in scores.T:
            known = chosen & ~np.isnan(direction)
            at = axis_point(np.minimum(gap[known], MOST_GAP)), nearest(SCORES, direction[known])
            np.add.at(of_kind, at, 1)
    return counts


@dataclass(frozen=True)
class Promoters:
    """What promoter scores mean in one genome: two logistic regressions of divergent against convergent gaps.

    Attributes:
        by_gap_F: weights of the gap alone: of 1, of the gap on its axis, of its square.
        by_score_F: weights of the same and of the score.
    """

    by_gap_F: Floats
    by_score_F: Floats

    @classmethod
    def of(cls, counts_2KS: Ints) -> Promoters:
        """Learn from a whole genome's `promoter_counts`.

        Returns `NO_PROMOTERS` where one kind of gap is missing, or where divergent gaps have the lower
        scores, which can happen by chance when there are few.
        """
        at = np.nonzero(counts_2KS.sum(0))
        x_NF = _features(AXIS[at[0]], SCORES[at[1]])
        convergent_N, divergent_N = counts_2KS[:, at[0], at[1]]
        if convergent_N.any() and divergent_N.any():
            by_score_F = _logistic(x_NF, divergent_N, convergent_N)
            if by_score_F[-1] > 0:
                return cls(_logistic(x_NF[:, :-1], divergent_N, convergent_N), by_score_F)
        return NO_PROMOTERS

    def log_odds(self, contigs: Sequence[Contig]) -> list[Floats]:
        """(P,) log-likelihood ratio of each gap between genes on one strand: transcript start over operon.

        At most log(IN_BORDERS / IN_OPERONS), because some transcripts begin at promoters that are not
        recognised, and some promoters lie within operons. 0 where no promoter fits, the sequence is not
        known, or the strands differ.
        """
        scores, found, at = promoter_scores(contigs), [], 0
        for track in map(Track.of, contigs):
            here = scores[at : at + len(track.gap)]
            at += len(track.gap)
            downstream = (track.strand[track.left] == 1).astype(np.int64)  # on the + strand the right gene
            score = here[np.arange(len(here)), downstream]
            known = track.same & ~np.isnan(score)
            x_PF = _features(warp(np.minimum(track.gap, MOST_GAP)), np.where(known, score, 0.0))
            ratio = np.exp(x_PF @ self.by_score_F - x_PF[:, :-1] @ self.by_gap_F)
            odds = (IN_BORDERS * ratio + 1 - IN_BORDERS) / (IN_OPERONS * ratio + 1 - IN_OPERONS)
            found.append(np.where(known, np.log(odds), 0.0))
        return found


NO_PROMOTERS = Promoters(np.zeros(3), np.zeros(4))  # with it, promoters count neither for nor against operons


def _features(gap_N: Floats, score_N: Floats) -> Floats:
    return np.stack([np.ones(len(gap_N)), gap_N, gap_N**2, score_N], axis=1)


def _logistic(x_NF: Floats, yes_N: Ints, no_N: Ints) -> Floats:
    """Weights (F,) of a ridge-penalised logistic regression on counted rows, by Newton's method.

    The first feature is 1 and not penalised; the others are standardised for it.
    """
    n_N = (yes_N + no_N).astype(np.float64)
    mean = np.average(x_NF, axis=0, weights=n_N)
    scale = np.sqrt(np.average((x_NF - mean) ** 2, axis=0, weights=n_N)) + 1e-6
    mean[0], scale[0] = 0.0, 1.0
    z_NF = (x_NF - mean) / scale
    penalty_F = RIDGE_F[: x_NF.shape[1]]
    weight_F = np.zeros(x_NF.shape[1])
    for _ in range(NEWTON_STEPS):
        p_N = 1 / (1 + np.exp(-z_NF @ weight_F))
        gradient = z_NF.T @ (yes_N - n_N * p_N) - penalty_F * weight_F
        hessian = (z_NF * (n_N * p_N * (1 - p_N))[:, None]).T @ z_NF + np.diag(penalty_F)
        weight_F += np.linalg.solve(hessian, gradient)
    weight_F /= scale
    weight_F[0] -= weight_F[1:] @ mean[1:]
    return weight_F
