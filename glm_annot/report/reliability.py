"""How reliable the model is that made a file: figures that were measured and kept with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glm_annot.bundle import CONFIG, list_models, read_ec_names, read_texts
from glm_annot.io.checksums import file_sha256
from glm_annot.report.figures import lookup

_EC = ("ec", "K-12 confidence", "number")  # the model's first guesses over all genes of that genome
_OPERONS = ("operons", "calibration", "all tandem")  # its neighbours on one strand


@dataclass(frozen=True, slots=True)
class Band:
    """Predictions whose probabilities lie in one range.

    Attributes:
        predicted: their mean probability.
        observed: the share of them that is right.
        count: how many there are.
    """

    predicted: float
    observed: float
    count: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """Figures of one model; None or empty where it has none.

    Attributes:
        ec_names: names of EC numbers and classes.
        ec_bands: first guesses of EC numbers for the genes of K-12, by ranges of their confidence.
        ec_error: mean difference between confidence and share of right ones among them.
        ec_right: share of right ones among those with at least this confidence: {0.9: 0.94}.
        operon_bands: links between neighbours, by ranges of their probability.
        operon_error: mean difference between probability and observed share of the links.
    """

    ec_names: Mapping[str, str] = field(default_factory=dict)
    ec_bands: tuple[Band, ...] = ()
    ec_error: float | None = None
    ec_right: Mapping[float, float] = field(default_factory=dict)
    operon_bands: tuple[Band, ...] = ()
    operon_error: float | None = None


def of_model(sha256: str, chosen: str | Path | None = None) -> Reliability | None:
    """The figures of the model with this checksum; None where it is not at hand.

    Args:
        sha256: of its config.json.
        chosen: a folder, or the name of a model, where to look besides all models that go by a name.
    """
    folders = [*list_models().values(), *([Path(chosen)] if chosen is not None else [])]
    files = (folder / CONFIG for folder in folders)
    found = next((path.parent for path in files if path.is_file() and file_sha256(path) == sha256), None)
    if found is None:
        return None
    metrics, _ = read_texts(found)
    return from_metrics(metrics, read_ec_names(found))


def from_metrics(metrics: Mapping[str, Any], ec_names: Mapping[str, str]) -> Reliability:
    """The figures out of metrics.json."""
    ec, operons = lookup(metrics, _EC) or {}, lookup(metrics, _OPERONS) or {}
    right = {0.9: lookup(ec, ("at_0.9", "precision")), 0.5: lookup(ec, ("at_0.5", "precision"))}
    return Reliability(
        ec_names,
        _bands(ec, "mean_confidence", "proteins"),
        ec.get("calibration_error"),
        {least: share for least, share in right.items() if share is not None},
        _bands(operons, "mean_probability", "pairs"),
        operons.get("ece"),
    )


def _bands(figures: Mapping[str, Any], predicted: str, count: str) -> tuple[Band, ...]:
    """The bands among some figures, from the keys that mean and number have there."""
    bands = (figures.get("bands") or {}).values()
    return tuple(Band(band[predicted], band["share"], band[count]) for band in bands)
