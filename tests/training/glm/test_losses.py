"""Losses and masked-gene metrics: values worked out by hand, perfect and random predictors, padding."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from glm_annot.model.glm import GLMOutput
from glm_annot.training.glm.losses import MaskedGeneCounts, count_masked_genes, glm_loss


def output(predictions: Tensor, logits: Tensor | None = None) -> GLMOutput:
    return GLMOutput(predictions, torch.zeros(predictions.shape[:3]) if logits is None else logits)


def test_loss_of_one_masked_gene_by_hand() -> None:
    labels = torch.tensor([[[1.0, 0.0], [5.0, 5.0]]])  # B = 1, T = 2, L = 2
    predictions = torch.tensor([[[[0.0, 0.0], [1.0, 3.0]], [[9.0, 9.0], [0.0, 0.0]]]])  # P = 2
    logits = torch.tensor([[[0.0, math.log(3.0)], [7.0, 0.0]]])
    loss = glm_loss(output(predictions, logits), labels, torch.tensor([[True, False]]))
    assert loss.regression.item() == pytest.approx(
        1 / (1 * 2 * 2)
    )  # nearest: the first, at squared distance 1
    assert loss.likelihood.item() == pytest.approx(math.log(4.0) / 2)  # it was given 1/4
    assert loss.total.item() == pytest.approx(0.25 + 1e-4 * math.log(4.0) / 2)


def test_only_the_nearest_prediction_of_masked_genes_learns() -> None:
    labels = torch.zeros(1, 2, 3)
    predictions = torch.tensor([[1.0, 2.0], [3.0, 1.0]])[None, :, :, None].repeat(1, 1, 1, 3).requires_grad_()
    logits = torch.zeros(1, 2, 2, requires_grad=True)
    glm_loss(output(predictions, logits), labels, torch.tensor([[False, True]])).total.backward()
    assert predictions.grad is not None and logits.grad is not None
    assert predictions.grad.abs().sum(-1).gt(0).tolist() == [[[False, False], [False, True]]]
    assert logits.grad[0, 0].tolist() == [0.0, 0.0]
    assert logits.grad[0, 1, 0] > 0 > logits.grad[0, 1, 1]  # towards the nearest


def test_a_perfect_predictor() -> None:
    labels = torch.randn(3, 10, 5, generator=torch.Generator().manual_seed(0))
    predictions = torch.stack([labels + 9.0, labels], dim=2)
    logits = torch.tensor([0.0, 5.0]).expand(3, 10, 2)
    everything = torch.ones(3, 10, dtype=torch.bool)
    metrics = count_masked_genes(output(predictions, logits), labels, everything, everything).metrics()
    assert metrics == {
        "masked_genes": 30.0,
        "pseudo_accuracy": 1.0,
        "absolute_accuracy": 1.0,
        "confident_share": 1.0,
        "confident_accuracy": 1.0,
        "chance_accuracy": pytest.approx(0.1),
    }


def test_absolute_accuracy_trusts_the_likelihoods_and_pseudo_accuracy_the_truth() -> None:
    labels = torch.tensor([[[0.0], [10.0], [20.0]]])
    predictions = torch.tensor([[[[1.0], [21.0]], [[9.0], [1.0]], [[1.0], [2.0]]]])
    logits = torch.tensor([[[0.0, 4.0], [4.0, 0.0], [0.0, 0.5]]])
    masked = real = torch.ones(1, 3, dtype=torch.bool)
    counts = count_masked_genes(output(predictions, logits), labels, real, masked)
    assert counts == MaskedGeneCounts(3.0, 2.0, 1.0, 2.0, 1.0, pytest.approx(1.0))


def test_a_random_predictor_is_right_by_chance() -> None:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randn(400, 20, 8, generator=generator)
    predictions = torch.randn(400, 20, 1, 8, generator=generator)
    real = torch.ones(400, 20, dtype=torch.bool)
    metrics = count_masked_genes(output(predictions), labels, real, real).metrics()
    assert metrics["absolute_accuracy"] == pytest.approx(0.05, abs=0.01)
    assert metrics["pseudo_accuracy"] == metrics["absolute_accuracy"]  # one prediction leaves no choice


def test_padding_is_no_candidate() -> None:
    labels = torch.tensor([[[1.0], [5.0], [0.0]]])
    real = torch.tensor([[True, True, False]])
    masked = torch.tensor([[True, False, False]])
    predictions = torch.full((1, 3, 1, 1), 0.1)  # nearest to the zeros of the padding, then to the first gene
    counts = count_masked_genes(output(predictions), labels, real, masked)
    assert (counts.genes, counts.absolute_right, counts.chance) == (1.0, 1.0, 0.5)
    with_padding = count_masked_genes(output(predictions), labels, torch.ones_like(real), masked)
    assert with_padding.absolute_right == 0.0


def test_a_tie_between_equal_proteins_is_not_right() -> None:
    labels = torch.tensor([[[1.0], [1.0], [8.0]]])
    everything = torch.ones(1, 3, dtype=torch.bool)
    counts = count_masked_genes(output(labels[:, :, None]), labels, everything, everything)
    assert counts.absolute_right == 1.0


def test_counts_of_batches_add_up() -> None:
    generator = torch.Generator().manual_seed(2)
    labels, predictions = (
        torch.randn(6, 9, 4, generator=generator),
        torch.randn(6, 9, 3, 4, generator=generator),
    )
    logits = 3 * torch.randn(6, 9, 3, generator=generator)
    real = torch.rand(6, 9, generator=generator) < 0.8
    masked = real & (torch.rand(6, 9, generator=generator) < 0.5)

    def count(rows: slice) -> MaskedGeneCounts:
        return count_masked_genes(
            output(predictions[rows], logits[rows]), labels[rows], real[rows], masked[rows]
        )

    whole, parts = count(slice(None)), count(slice(0, 2)) + count(slice(2, None))
    assert whole.genes == masked.sum().item()
    assert whole.metrics() == pytest.approx(parts.metrics())


def test_a_share_of_nothing_is_left_out() -> None:
    assert MaskedGeneCounts().metrics() == {"masked_genes": 0.0}
    unsure = MaskedGeneCounts(genes=4.0, absolute_right=1.0).metrics()
    assert unsure["absolute_accuracy"] == 0.25 and "confident_accuracy" not in unsure
