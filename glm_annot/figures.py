"""A model's main figures as a table: what the README shows, out of metrics.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: a measured value and what it has to be compared with.

    Attributes:
        what: for people.
        path: keys down to the value in metrics.json.
        beside, beside_path: a simpler method on the same data, and its value; '' and () without one.
    """

    what: str
    path: tuple[str, ...]
    beside: str = ""
    beside_path: tuple[str, ...] = ()


DIAMOND = "DIAMOND best hit"
EC_BENCHMARKS = ("New-392", "CARE-30", "CARE-30-50", "K-12 enzymes")

FIGURES = (
    Figure(
        "masked genes of *E. coli* K-12, pseudo-accuracy",
        ("masked_genes", "pseudo_accuracy"),
        "chance",
        ("masked_genes", "chance_accuracy"),
    ),
    Figure("masked genes of *E. coli* K-12, absolute accuracy", ("masked_genes", "absolute_accuracy")),
    *(
        Figure(
            f"operons of *E. coli* K-12, average precision on {pairs}",
            ("operons", *path, "head", "ap"),
            "intergenic distance alone",
            ("operons", *path, "distance", "ap"),
        )
        for pairs, path in (
            ("its pairs on one strand", ("leave_one_out", "escherichia_coli_k12")),
            ("the experimentally confirmed ones", ("confirmed",)),
        )
    ),
    *(
        Figure(
            f"EC numbers, {name}, {words}{how}",
            ("ec", name, *path, key),
            DIAMOND,
            ("ec", name, "diamond", key),
        )
        for name in EC_BENCHMARKS
        for key, words in (("hit_rate", "hit rate"), ("f1", "F1"))
        for how, path in (("", ()), (", with `--reference`", ("with_reference",)))
    ),
    Figure(
        "EC numbers, K-12, calibration error of the first guess",
        ("ec", "K-12 confidence", "number", "calibration_error"),
    ),
)


def figures_table(metrics: Mapping[str, Any]) -> str:
    """Markdown, one row for each of `FIGURES` that was measured."""
    rows = ["| measured | glm-annot | beside |", "|---|---|---|"]
    for figure in FIGURES:
        value, beside = _at(metrics, figure.path), _at(metrics, figure.beside_path)
        if value is not None:
            compared = "" if beside is None else f"{figure.beside} {beside:.3f}"
            rows.append(f"| {figure.what} | {value:.3f} | {compared} |")
    return "\n".join(rows) + "\n"


def _at(metrics: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    """The number at a path of keys; None where there is none."""
    found: Any = metrics
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return float(found) if isinstance(found, int | float) else None
