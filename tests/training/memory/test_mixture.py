"""Fitting what memory and gLM say together."""

from __future__ import annotations

import torch

from glm_annot.model.neighbours.mixture import Candidates, Scorer
from glm_annot.training.memory.mixture import train_scorer


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
