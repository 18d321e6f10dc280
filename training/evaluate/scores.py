"""How right EC numbers are, and how far their confidences can be trusted.

A protein's answer is the set of complete numbers that are called for it at the threshold.

Axis: G proteins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from glm_annot.ec.head import Confidences, ECResult
from glm_annot.ec_numbers import LEVELS, ancestry, is_complete, node

BINS = 15  # of equal mass, for the calibration error
BANDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # of confidence, for the calibration curve
RESAMPLES = 200  # of the bootstrap interval of a calibration error
PAIRED_RESAMPLES = 2000  # of that of a difference


@dataclass(frozen=True)
class TrueNumbers:
    """Proteins with the EC numbers that are held to be true; none: not an enzyme."""

    proteins: tuple[str, ...]
    ec: tuple[frozenset[str], ...]

    @property
    def enzymes(self) -> list[int]:
        """Positions of proteins with at least one complete EC number: a class alone cannot be hit."""
        return [place for place, true in enumerate(self.ec) if any(map(is_complete, true))]


@dataclass(frozen=True)
class Results:
    """What is said of some proteins.

    Attributes:
        alone: by a head by itself.
        with_reference: by a head with some labelled proteins as a reference.
        voted: the number with most votes of the homologues that the head's search finds among these proteins.
        diamond: the complete numbers of DIAMOND's best hit among the same; none without a hit.
        identity: of that hit, as a share; 0 without one.
    """

    alone: Sequence[ECResult]
    with_reference: Sequence[ECResult]
    voted: Sequence[frozenset[str]]
    diamond: Sequence[frozenset[str]]
    identity: Sequence[float]


def compare(results: Results, cases: TrueNumbers, places: Sequence[int]) -> dict[str, Any]:
    """Hit rates and F1 of the proteins at some places, by the head and by DIAMOND's best hit."""
    if not places:
        return {"proteins": 0}
    true = [cases.ec[place] for place in places]
    by_diamond, voted = ([answers[place] for place in places] for answers in (results.diamond, results.voted))
    mine = [results.alone[place] for place in places]
    return {
        "proteins": len(places),
        **scores(mine, true),
        "over_diamond": {
            "hit_rate": difference(map(complete, mine), by_diamond, true),
            "hit_rate_first_guess": difference(map(first_guess, mine), by_diamond, true),
        },
        "votes": {
            "hit_rate_first_guess": hit_rate(voted, true),
            "over_diamond": difference(voted, by_diamond, true),
        },
        "diamond": {"hit_rate": hit_rate(by_diamond, true), "f1": sample_f1(by_diamond, true)},
        "with_reference": scores([results.with_reference[place] for place in places], true),
    }


def scores(results: Sequence[ECResult], true: Sequence[frozenset[str]]) -> dict[str, float]:
    """Hit rate, F1 and share of answered proteins at the threshold; hit rate of the likeliest number."""
    mine = [complete(result) for result in results]
    first = list(map(first_guess, results))
    return {
        "hit_rate": hit_rate(mine, true),
        "f1": sample_f1(mine, true),
        "answered": float(np.mean([bool(answer) for answer in mine])),
        "hit_rate_first_guess": hit_rate(first, true),
    }


def difference(
    answers: Iterable[frozenset[str]],
    others: Iterable[frozenset[str]],
    true: Sequence[frozenset[str]],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """How much higher one hit rate is than another, with the 95 % interval of a bootstrap over proteins."""
    gain_G = np.array(
        [float(bool(a & t)) - float(bool(b & t)) for a, b, t in zip(answers, others, true, strict=True)]
    )
    drawn = np.random.default_rng(seed).integers(0, len(gain_G), (PAIRED_RESAMPLES, len(gain_G)))
    means = gain_G[drawn].mean(1)
    return {
        "difference": float(gain_G.mean()),
        "difference_95": [float(np.quantile(means, q)) for q in (0.025, 0.975)],
    }


def hit_rate(answers: Iterable[frozenset[str]], true: Sequence[frozenset[str]]) -> float:
    """Share of proteins of which at least one answer is one of the true, four-level numbers."""
    return float(np.mean([bool(a & t) for a, t in zip(answers, true, strict=True)]))


def sample_f1(answers: Iterable[frozenset[str]], true: Sequence[frozenset[str]]) -> float:
    """Mean over proteins of 2 |answers & true| / (|answers| + |true|)."""
    return float(np.mean([2 * len(a & t) / (len(a) + len(t)) for a, t in zip(answers, true, strict=True)]))


def micro(answers: Sequence[frozenset[str]], true: Sequence[frozenset[str]]) -> dict[str, float]:
    """Precision, recall and F1 of complete numbers over all proteins together; 0 where there are none."""
    right = sum(len(a & t) for a, t in zip(answers, true, strict=True))
    called, known = (sum(is_complete(n) for one in many for n in one) for many in (answers, true))
    return {
        "calls": called,
        "precision": right / called if called else 0.0,
        "recall": right / known if known else 0.0,
        "f1": 2 * right / (called + known) if called + known else 0.0,
    }


def confidence(results: Sequence[ECResult], cases: TrueNumbers, *, seed: int = 0) -> dict[str, Any]:
    """Calibration over all proteins, enzymes and others: of 'is an enzyme' and of the first guess's number.

    Of the second also `bands`: proteins, mean confidence and share right in each tenth of confidence.

    A protein without a true number counts as no enzyme, and whatever is said of it as wrong. Where the truth
    ends with a class, whether a number is right cannot be said: such proteins are left out of the second.
    """
    known_G = np.array([not true or any(map(is_complete, true)) for true in cases.ec])
    enzyme_G = np.array([result.enzyme for result in results])
    is_enzyme_G = np.array([bool(true) for true in cases.ec])
    first_G = np.array([result.ec_top[0].confidence if result.ec_top else 0.0 for result in results])
    right_G = np.array(
        [
            bool(result.ec_top) and result.ec_top[0].number in true
            for result, true in zip(results, cases.ec, strict=True)
        ]
    )
    return {
        "proteins": len(results),
        "enzymes": int(is_enzyme_G.sum()),
        "enzyme": calibration_and_coverage(enzyme_G, is_enzyme_G, seed),
        "number": {
            **calibration_and_coverage(first_G[known_G], right_G[known_G], seed),
            "bands": {
                name: {
                    "proteins": int(in_G.sum()),
                    "mean_confidence": float(first_G[known_G][in_G].mean()),
                    "share": float(right_G[known_G][in_G].mean()),
                }
                for name, in_G in by_band(first_G[known_G], BANDS).items()
            },
        },
    }


def by_level(
    confidences: Sequence[Confidences], cases: TrueNumbers, *, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """Calibration of the likeliest class of each level, 1 to 4, over all proteins; as `confidence`.

    A protein of which a true number ends above a level is left out there.
    """
    found = {}
    for level in range(1, LEVELS + 1):
        p, right = [], []
        for of, true in zip(confidences, cases.ec, strict=True):
            if all(len(node(number)) >= level for number in true):
                here = [step for step in of if len(step) == level]
                best = max(here, key=lambda step: of[step], default=None)
                p.append(0.0 if best is None else of[best])
                right.append(best in ancestry(true))
        found[str(level)] = calibration_and_coverage(np.array(p), np.array(right, bool), seed)
    return found


def calibration_error(p_G: npt.NDArray[np.float64], true_G: npt.NDArray[np.bool_ | np.float64]) -> float:
    """Expected calibration error: mean |mean confidence - share right| over bins of equal mass.

    Ties are broken by position (a stable sort), so that equal confidences may fall into two bins.
    """
    order = np.argsort(p_G, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    gaps = [len(part) * abs(p_G[part].mean() - true_G[part].mean()) for part in bins]
    return float(sum(gaps) / len(p_G))


def by_band(p_G: npt.NDArray[np.float64], edges: Sequence[float]) -> dict[str, npt.NDArray[np.bool_]]:
    """Which probabilities lie in each band between the edges, by its name: {'0.2 to 0.4': (G,)}.

    A probability on an edge lies in the band above it. Bands without any are left out.
    """
    band_G = np.searchsorted(edges, p_G, side="right")
    names = (f"{low} to {high}" for low, high in pairwise(("0", *map(str, edges), "1")))
    found = {name: band_G == band for band, name in enumerate(names)}
    return {name: in_G for name, in_G in found.items() if in_G.any()}


def calibration_and_coverage(
    p_G: npt.NDArray[np.float64], true_G: npt.NDArray[np.bool_], seed: int
) -> dict[str, Any]:
    """Calibration error with its 95 % bootstrap interval; precision and coverage above two thresholds."""
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, len(p_G), len(p_G)) for _ in range(RESAMPLES))
    errors = [calibration_error(p_G[draw], true_G[draw]) for draw in draws]
    found: dict[str, Any] = {
        "calibration_error": calibration_error(p_G, true_G),
        "calibration_error_95": [float(np.quantile(errors, q)) for q in (0.025, 0.975)],
    }
    for least in (0.9, 0.5):
        sure = p_G >= least
        precision = float(true_G[sure].mean()) if sure.any() else None
        found[f"at_{least}"] = {"precision": precision, "coverage": float(sure.mean())}
    return found


def first_guess(result: ECResult) -> frozenset[str]:
    """The likeliest number of a protein; none where nothing is known."""
    return frozenset(call.number for call in result.ec_top[:1])


def complete(result: ECResult) -> frozenset[str]:
    """The complete numbers that a head calls."""
    return frozenset(call.number for call in result.ec if is_complete(call.number))
