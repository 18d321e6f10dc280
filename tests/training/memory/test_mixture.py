"""Fitting what memory and gLM say together."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glm_annot.model.neighbours.mixture import Candidates, Scorer
from glm_annot.training.memory.mixture import CalibrationGenes, log_ratios, sure_from, train_scorer


def test_equal_seeds_give_equal_weights_whatever_was_drawn_before() -> None:
    draw = torch.Generator().manual_seed(0)
    features_QKX, place_QY = torch.randn(40, 3, 2, generator=draw), torch.randn(40, 2, generator=draw)
    candidates = Candidates(torch.arange(3).expand(40, 3), features_QKX, place_QY)
    right_QR = torch.zeros(40, 4, dtype=torch.bool)
    right_QR[torch.arange(40), features_QKX[..., 0].argmax(1)] = True
    fitted = []
    for before in (1, 2):
        torch.manual_seed(before)
        scorer = Scorer(2, 2, hidden=4, others=1)
        train_scorer(scorer, candidates, right_QR, seed=5)
        fitted.append(scorer.state_dict())
    assert all(torch.equal(fitted[0][name], fitted[1][name]) for name in fitted[0])


class Fit:
    """A mixture by which families below 100 fit worse in their places than elsewhere, and others better."""

    def __call__(self, family_Q: Tensor) -> Tensor:
        return family_Q

    def log_ratio(self, _: Tensor, place_Q: Tensor, family_Q: Tensor) -> Tensor:
        fit_Q = torch.where(family_Q < 100, -1.0, 1.0) * (family_Q == place_Q)
        return fit_Q.masked_fill(family_Q == 999, torch.nan)


def test_the_fit_is_told_from_the_first_band_of_cosines_in_which_it_tells_anything() -> None:
    draw = torch.Generator().manual_seed(0)
    cosine = 0.5 + 0.5 * torch.rand(8000, generator=draw)
    family = torch.randint(100, (8000,), generator=draw) + 100 * (cosine >= 0.62)
    family[cosine < 0.55] = 999  # none
    said: list[str] = []
    genes = CalibrationGenes(family, family, cosine)  # what stands at a place is all that is asked
    assert sure_from(Fit(), genes, 0.54, report=said.append) == pytest.approx(0.62)
    assert [line.rpartition(" ")[2] for line in said] == ["0.000", "0.000", "0.996"]
    assert sure_from(Fit(), genes, 0.7, report=said.append) == 0.7
    few = CalibrationGenes(family[:300], family[:300], cosine[:300])
    assert sure_from(Fit(), few, 0.54, report=said.append) == 0.54
    assert log_ratios(Fit(), genes, 0.62).unique().tolist() == [1.0]
