"""Confidences of EC numbers against the truth, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from glm_annot.ec.head import ECResult
from glm_annot.records import ECCall
from glm_annot.training.evaluate.scores import TrueNumbers, by_band, confidence


def test_bands_of_the_first_guess() -> None:
    """Two proteins of one band, one of them right; a class as truth cannot tell, and no guess counts as 0."""
    first = [("1.1.1.1", 0.85), ("2.1.1.1", 0.87), ("1.1.1.1", 0.86), None]
    true = [{"1.1.1.1"}, {"1.1.1.1"}, {"1.1.1.-"}, set()]
    results = [ECResult((), () if guess is None else (ECCall(*guess),), 0.5, "none") for guess in first]
    cases = TrueNumbers(("M",) * 4, tuple(map(frozenset, true)))
    assert confidence(results, cases)["number"]["bands"] == {
        "0 to 0.1": {"proteins": 1, "mean_confidence": 0.0, "share": 0.0},
        "0.8 to 0.9": {"proteins": 2, "mean_confidence": pytest.approx(0.86), "share": 0.5},
    }


def test_an_edge_lies_in_the_band_above_it() -> None:
    found = by_band(np.array([0.0, 0.2, 1.0]), (0.2, 0.4))
    assert {name: in_G.tolist() for name, in_G in found.items()} == {
        "0 to 0.2": [True, False, False],
        "0.2 to 0.4": [False, True, False],
        "0.4 to 1": [False, False, True],
    }
