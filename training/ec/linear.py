"""Fits the linear parts of the EC head on arrays of features.

Axes: N proteins; D features; C labels, and last 'not an enzyme'.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from glm_annot.ec.head import LinearHead

EPOCHS = 30
BATCH = 512  # proteins
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-2  # AdamW's


def fit_linear(
    head: LinearHead,
    x_ND: npt.NDArray[np.float32],
    labels_N: Sequence[Sequence[int]],
    *,
    epochs: int = EPOCHS,
    seed: int = 0,
) -> None:
    """Fit a linear head in place by cross entropy; a protein of several labels is shared among them.

    Args:
        head: to fit.
        x_ND: features of each protein.
        labels_N: places of its EC numbers among the labels; none: not an enzyme.
        epochs: passes over all proteins.
        seed: of the order of proteins.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.from_numpy(np.ascontiguousarray(x_ND, np.float32))
    head.mean_D.copy_(x.mean(0))
    head.scale_D.copy_(x.std(0, correction=0).clamp_min(1e-4))
    nothing = len(head.bias_C) - 1
    n_places = max((len(places) for places in labels_N), default=1) or 1
    place_NM = torch.full((len(x), n_places), -1)
    for row, places in enumerate(labels_N):
        place_NM[row, : len(places) or 1] = torch.tensor(list(places) or [nothing])
    weight, bias = nn.Parameter(head.weight_CD.float()), nn.Parameter(head.bias_C.clone())
    optimiser = torch.optim.AdamW([weight, bias], LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = epochs * -(-len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / max(steps, 1))
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(x), generator=generator), BATCH):
            z = (x[rows] - head.mean_D) / head.scale_D
            loss = _cross_entropy(z @ weight.T + bias, place_NM[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    head.weight_CD.copy_(weight.detach())
    head.bias_C.copy_(bias.detach())


def _cross_entropy(logits_BC: torch.Tensor, place_BM: torch.Tensor) -> torch.Tensor:
    """Mean over proteins of the mean over their labels; -1 fills places that hold none."""
    real_BM = place_BM >= 0
    chosen_BM = torch.log_softmax(logits_BC, -1).gather(1, place_BM.clamp_min(0)) * real_BM
    return -(chosen_BM.sum(1) / real_BM.sum(1)).mean()
