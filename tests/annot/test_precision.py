"""Calls in another number format or batch size: only those within a hair of the threshold may differ."""

from __future__ import annotations

from typing import Any

import pytest

import glm_annot
from glm_annot.bundle import load
from tests.support.paths import EXAMPLE

HAIR = 0.01  # of confidence
LAST_DIGITS = 2e-4  # of the four that a table shows

Confidences = dict[tuple[int, str], float]  # by gene and number


def called(model: glm_annot.Model, threshold: float | None, **settings: Any) -> Confidences:
    """The numbers that are called in the example's genes."""
    result = glm_annot.annotate(EXAMPLE, model, min_confidence=threshold, **settings).predictions
    return {(gene, call.number): call.confidence for gene, of in result.genes.items() for call in of.ec}


def differing(one: Confidences, other: Confidences) -> list[float]:
    """The confidences of calls that only one of two runs made."""
    return [confidence for call, confidence in (one | other).items() if (call in one) != (call in other)]


def test_bf16_of_an_esm2_changes_only_calls_within_a_hair(tiny_model: glm_annot.Model) -> None:
    all_fp32, all_bf16 = (called(tiny_model, 0.0, precision=precision) for precision in ("fp32", "bf16"))
    assert all_fp32.keys() == all_bf16.keys() and len(all_fp32) == 320
    falls = max(all_fp32, key=lambda call: all_fp32[call] - all_bf16[call])
    threshold = all_fp32[falls]  # at which one call surely differs
    fp32, bf16 = (called(tiny_model, threshold, precision=precision) for precision in ("fp32", "bf16"))
    found = differing(fp32, bf16)
    assert 1 <= len(found) <= 16  # of 320
    assert all(abs(confidence - threshold) < HAIR for confidence in found)


def test_batches_of_one_change_the_last_digits(tiny_model: glm_annot.Model) -> None:
    many, single = (called(tiny_model, 0.0, precision="fp32", batch_size=size) for size in (32, 1))
    assert many == pytest.approx(single, abs=LAST_DIGITS)


def test_mini_calls_the_same() -> None:
    mini = load("mini")
    assert mini.ec is not None
    usual = called(mini, None, precision="fp32")
    assert len(usual) > 40
    for settings in ({"precision": "bf16"}, {"precision": "fp32", "batch_size": 1}):
        other = called(mini, None, **settings)
        found = differing(usual, other)
        assert len(found) <= 1
        assert all(abs(confidence - mini.ec.config.threshold) < HAIR for confidence in found)
        shared = [(usual[call], other[call]) for call in usual.keys() & other.keys()]
        assert all(abs(one - another) < LAST_DIGITS for one, another in shared)
