"""Masked genes of a held-out genome: losses, accuracies and how far the likelihoods can be trusted.

Axes: W windows, T genes of a window, B windows of a batch; N masked genes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binned_statistic
from statsmodels.stats.proportion import proportion_confint
from torch import nn

from ..glm.losses import HIGH_CONFIDENCE, judge
from ..glm.masked import losses_of, masked_passes
from ..glm.windows import GeneOrder, Spans, WindowReader

LENGTHS = (5, 10, 15, 20, 25, 30)  # genes per window; trained on 15 to 30
BINS = 20  # of equal width, of the reliability curve
LEVEL = 0.05  # intervals hold the truth in 1 - LEVEL of all cases


@dataclass(frozen=True)
class Outcomes:
    """What was predicted for each masked gene.

    Attributes:
        pseudo_N: its nearest prediction points to it.
        absolute_N: its most likely prediction does.
        likelihood_N: of the most likely prediction.
        chance_N: one in the number of genes to choose from.
        losses_3: loss, regression and likelihood, means over the windows.
    """

    pseudo_N: npt.NDArray[np.bool_]
    absolute_N: npt.NDArray[np.bool_]
    likelihood_N: npt.NDArray[np.float64]
    chance_N: npt.NDArray[np.float64]
    losses_3: npt.NDArray[np.float64]


def windows_of(order: GeneOrder, length: int) -> Spans:
    """Consecutive windows of exactly `length` genes; what is left of a contig is not read."""
    contigs = zip(order.first_C[:-1].tolist(), order.first_C[1:].tolist(), strict=True)
    starts = [s for first, end in contigs for s in range(first, end - length + 1, length)]
    return Spans(np.array(starts, np.int64), np.full(len(starts), length, np.int64))


def outcomes(network: nn.Module, reader: WindowReader, spans: Spans, *, seed: int) -> Outcomes:
    """Mask each gene about once (15 % at a time) and judge what the network says of it."""
    columns: list[list[npt.NDArray[np.float64]]] = [[], [], [], []]
    losses, windows = np.zeros(3), 0
    for read in masked_passes(network, reader, spans, seed=seed):
        verdicts = judge(read.output, read.labels_BTL, read.real_BT)
        parts = (verdicts.pseudo_BT, verdicts.absolute_BT, verdicts.likelihood_BT, verdicts.chance_BT)
        for column, part_BT in zip(columns, parts, strict=True):
            column.append(part_BT[read.masked_BT].double().cpu().numpy())
        losses += len(read.masked_BT) * losses_of(read).numpy()
        windows += len(read.masked_BT)
    pseudo, absolute, likelihood, chance = (np.concatenate([*column, np.empty(0)]) for column in columns)
    return Outcomes(pseudo > 0, absolute > 0, likelihood, chance, losses / max(windows, 1))


def by_length(network: nn.Module, reader: WindowReader, *, most: int, seed: int) -> pd.DataFrame:
    """One row of figures for each window length that the genome and the network (`most` genes) allow."""
    rows = []
    for length in LENGTHS:
        spans = windows_of(reader.order, length)
        if len(spans) and length <= most:
            found = outcomes(network, reader, spans, seed=seed)
            rows.append({"length": length, "windows": len(spans), **figures(found)})
    return pd.DataFrame(rows)


def figures(found: Outcomes) -> dict[str, float]:
    """Shares with their 95 % intervals (Wilson), and losses.

    `confident_share` is the share of genes whose most likely prediction has a likelihood above 0.75, and
    `confident_accuracy` how many of those are absolutely right (nothing if there are none).
    """
    sure = found.likelihood_N > HIGH_CONFIDENCE
    shares = {
        "pseudo_accuracy": found.pseudo_N,
        "absolute_accuracy": found.absolute_N,
        "confident_share": sure,
        "confident_accuracy": found.absolute_N[sure],
    }
    row: dict[str, float] = {"masked_genes": len(found.pseudo_N), "chance": float(found.chance_N.mean())}
    for name, right in shares.items():
        if len(right):
            low, high = proportion_confint(int(right.sum()), len(right), LEVEL, method="wilson")
            row |= {name: float(right.mean()), f"{name}_low": float(low), f"{name}_high": float(high)}
    return row | dict(zip(("loss", "regression", "likelihood_loss"), found.losses_3.tolist(), strict=True))


def accuracy_by_likelihood(found: Outcomes) -> pd.DataFrame:
    """Mean likelihood and share absolutely right in bins of likelihood; empty bins are left out.

    Columns low, high, genes, likelihood, right, right_low, right_high (95 %, Wilson).
    """
    values = [found.likelihood_N, found.absolute_N.astype(np.float64)]
    means, edges, _ = binned_statistic(found.likelihood_N, values, "mean", BINS, (0.0, 1.0))
    counts = binned_statistic(found.likelihood_N, values[1], "count", BINS, (0.0, 1.0)).statistic
    rights = binned_statistic(found.likelihood_N, values[1], "sum", BINS, (0.0, 1.0)).statistic
    low, high = proportion_confint(rights, np.maximum(counts, 1), LEVEL, method="wilson")
    table = pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "genes": counts.astype(int),
            "likelihood": means[0],
            "right": means[1],
            "right_low": low,
            "right_high": high,
        }
    )
    return table[table["genes"] > 0].reset_index(drop=True)
