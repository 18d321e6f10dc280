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
    """A mixture by which a gene's log-ratio is the number of its family; 999 is none."""

    def __call__(self, candidates: Tensor) -> Tensor:
        return candidates

    def log_ratio(self, _: Tensor, __: Tensor, family_Q: Tensor) -> Tensor:
        return family_Q.double().masked_fill(family_Q == 999, torch.nan)


def test_the_fit_is_told_from_the_first_band_of_cosines_in_which_it_tells_anything() -> None:
    cosine = 0.5 + 0.5 * torch.rand(8000, generator=torch.Generator().manual_seed(0))
    own = torch.where(cosine >= 0.62, 2, 0).masked_fill(cosine < 0.55, 999)
    said: list[str] = []
    genes = CalibrationGenes(own, own, cosine)  # the shuffled ones have 1 each
    moved = CalibrationGenes(own, torch.ones_like(own), cosine)
    assert sure_from(Fit(), genes, moved, 0.54, report=said.append) == pytest.approx(0.62)
    assert [line.rpartition(" ")[2] for line in said] == ["0.000", "0.000", "1.000"]
    assert sure_from(Fit(), genes, moved, 0.7, report=said.append) == 0.7
    few = CalibrationGenes(own[:300], own[:300], cosine[:300])
    assert sure_from(Fit(), few, moved, 0.54, report=said.append) == 0.54
    assert log_ratios(Fit(), genes, 0.55, 0.62).unique().tolist() == [0.0]
