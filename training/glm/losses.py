"""Losses and metrics of masked genes (Hwang et al. 2023).

Axes: B windows, T genes of a window, P predictions per gene, L label numbers per gene. All is vectorised over
windows and genes, and computed in float32 whatever the model's precision.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from glm_annot.model.families import FamilyHead, FamilyTable
from glm_annot.model.glm import GLMOutput

LIKELIHOOD_WEIGHT = 1e-4  # of the likelihoods' cross entropy in the loss, Hwang et al. 2023
HIGH_CONFIDENCE = 0.75  # likelihood above which the paper calls a prediction confident


@dataclass(frozen=True)
class GLMLoss:
    """Loss of a batch; each is a scalar tensor.

    Attributes:
        total: what is minimised.
        regression: squared error of the prediction nearest to the label (L_mlm).
        likelihood: cross entropy of the likelihoods, with the nearest prediction as target (L_prob).
    """

    total: Tensor
    regression: Tensor
    likelihood: Tensor


def squared_errors(predictions_BTPL: Tensor, labels_BTL: Tensor) -> Tensor:
    """Squared Euclidean distance of each prediction from its gene's label, (B, T, P)."""
    return (predictions_BTPL.float() - labels_BTL.float()[..., None, :]).square().sum(-1)


def glm_loss(output: GLMOutput, labels_BTL: Tensor, masked_BT: Tensor) -> GLMLoss:
    """gLM's training loss, L_mlm + 1e-4 L_prob: sums over masked genes, divided by all B * T slots.

    L_mlm is divided by L, too. Unmasked genes add nothing; in the published program each adds the constant
    log P to L_prob, which moves no weight.

    Args:
        output: of the network on masked inputs.
        labels_BTL: true labels, clipped.
        masked_BT: the genes that were masked.
    """
    B, T, L = labels_BTL.shape
    errors_BTP = squared_errors(output.predictions_BTPL, labels_BTL)
    nearest_BT = errors_BTP.detach().argmin(-1, keepdim=True)
    log_p_BTP = output.likelihood_logits_BTP.float().log_softmax(-1)
    regression = (errors_BTP.gather(-1, nearest_BT)[..., 0] * masked_BT).sum() / (B * T * L)
    likelihood = -(log_p_BTP.gather(-1, nearest_BT)[..., 0] * masked_BT).sum() / (B * T)
    return GLMLoss(regression + LIKELIHOOD_WEIGHT * likelihood, regression, likelihood)


@dataclass(frozen=True)
class FamilyLoss:
    """Loss of a batch's masked genes by family; each is a scalar tensor, 0 where nothing is asked.

    Attributes:
        family: mean cross entropy of the families of genes that have one, in nats.
        none: mean cross entropy of whether a gene has none.
        strand: mean cross entropy of the strand, of genes whose orientation is masked, too.
    """

    family: Tensor
    none: Tensor
    strand: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.family + self.none + self.strand


def family_loss(
    head: FamilyHead,
    table: FamilyTable,
    hidden_NH: Tensor,
    family_N: Tensor,
    forward_N: Tensor,
    asked_N: Tensor,
) -> FamilyLoss:
    """Cross entropies of masked genes, in float32: unlike squared errors they have a gradient from the start.

    Args:
        head, table: of the families.
        hidden_NH: last hidden state of the masked genes.
        family_N: their true families, `table.none` for none.
        forward_N: whether a gene is on the forward strand.
        asked_N: whether its orientation is masked.
    """
    known_N = family_N < table.none
    logits_NF = head.family_logits(hidden_NH[known_N], table).float()
    family = functional.cross_entropy(logits_NF, family_N[known_N], reduction="sum")
    none = _binary(head.none_logits(hidden_NH), ~known_N).sum()
    strand_N = _binary(head.strand_logits(hidden_NH), forward_N) * asked_N
    return FamilyLoss(
        family / known_N.sum().clamp_min(1),
        none / max(len(family_N), 1),
        strand_N.sum() / asked_N.sum().clamp_min(1),
    )


def _binary(logits_N: Tensor, true_N: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits_N.float(), true_N.float(), reduction="none")


@dataclass(frozen=True)
class MaskedGeneCounts:
    """What was counted over masked genes; sums of batches add up to those of the whole.

    Attributes:
        genes: masked genes.
        pseudo_right: whose nearest prediction (chosen knowing the truth) points to them.
        absolute_right: whose most likely prediction does.
        confident: whose most likely prediction has a likelihood above 0.75.
        confident_right: both of the last two.
        chance: sum of one in the number of genes to choose from: the `right` expected of guessing.
    """

    genes: float = 0.0
    pseudo_right: float = 0.0
    absolute_right: float = 0.0
    confident: float = 0.0
    confident_right: float = 0.0
    chance: float = 0.0

    def __add__(self, other: MaskedGeneCounts) -> MaskedGeneCounts:
        return MaskedGeneCounts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def metrics(self) -> dict[str, float]:
        """Shares of the counts, 0 to 1; one of nothing is left out."""
        shares = {
            "pseudo_accuracy": (self.pseudo_right, self.genes),
            "absolute_accuracy": (self.absolute_right, self.genes),
            "confident_share": (self.confident, self.genes),
            "confident_accuracy": (self.confident_right, self.confident),
            "chance_accuracy": (self.chance, self.genes),
        }
        return {"masked_genes": self.genes} | {name: a / b for name, (a, b) in shares.items() if b}


@dataclass(frozen=True)
class Verdicts:
    """How each slot's predictions fare; only masked genes mean anything.

    Attributes:
        pseudo_BT: whether the nearest prediction (chosen knowing the truth) points to the gene.
        absolute_BT: whether the most likely prediction does.
        likelihood_BT: of the most likely prediction, the paper's confidence.
        chance_BT: one in the number of genes to choose from.
    """

    pseudo_BT: Tensor
    absolute_BT: Tensor
    likelihood_BT: Tensor
    chance_BT: Tensor


def judge(output: GLMOutput, labels_BTL: Tensor, real_BT: Tensor) -> Verdicts:
    """Tell which predictions point to the right gene of their window.

    A prediction points to a gene when it is nearer, by Euclidean distance, to that gene's label than to any
    other gene's label in the window; padding is no candidate (in the published program it is).

    Args:
        output: of the network on masked inputs.
        labels_BTL: true labels.
        real_BT: which slots are genes.
    """
    errors_BTP = squared_errors(output.predictions_BTPL, labels_BTL)
    likelihoods_BTP = output.likelihoods_BTP
    nearest_BT, favoured_BT = errors_BTP.argmin(-1), likelihoods_BTP.argmax(-1)
    return Verdicts(
        _points_home(_chosen(output, nearest_BT), labels_BTL, real_BT),
        _points_home(_chosen(output, favoured_BT), labels_BTL, real_BT),
        likelihoods_BTP.amax(-1),
        (1.0 / real_BT.sum(-1, keepdim=True).clamp_min(1)).expand_as(errors_BTP[..., 0]),
    )


def count_masked_genes(
    output: GLMOutput, labels_BTL: Tensor, real_BT: Tensor, masked_BT: Tensor
) -> MaskedGeneCounts:
    """Count for which masked genes (`masked_BT`) the predictions point to the right gene; see `judge`."""
    verdicts = judge(output, labels_BTL, real_BT)
    confident_BT = verdicts.likelihood_BT > HIGH_CONFIDENCE
    columns = (
        torch.ones_like(verdicts.chance_BT),
        verdicts.pseudo_BT,
        verdicts.absolute_BT,
        confident_BT,
        confident_BT & verdicts.absolute_BT,
        verdicts.chance_BT,
    )
    totals = torch.stack([(column * masked_BT).sum(dtype=torch.float64) for column in columns])
    return MaskedGeneCounts(*totals.tolist())


def _chosen(output: GLMOutput, which_BT: Tensor) -> Tensor:
    """One prediction per gene, (B, T, L)."""
    predictions_BTPL = output.predictions_BTPL.float()
    index_BT1L = which_BT[..., None, None].expand(*which_BT.shape, 1, predictions_BTPL.shape[-1])
    return predictions_BTPL.gather(2, index_BT1L)[:, :, 0]


def _points_home(prediction_BTL: Tensor, labels_BTL: Tensor, real_BT: Tensor) -> Tensor:
    """Whether each slot's prediction is nearer to its own label than to every other gene's, (B, T)."""
    exact = "donot_use_mm_for_euclid_dist"  # the quick way cancels digits and would blur near ties
    distance_BTT = torch.cdist(prediction_BTL, labels_BTL.float(), compute_mode=exact)
    own_BT = distance_BTT.diagonal(dim1=1, dim2=2)
    itself_TT = torch.eye(real_BT.shape[1], dtype=torch.bool, device=real_BT.device)
    others_BTT = distance_BTT.masked_fill(itself_TT | ~real_BT[:, None, :], torch.inf)
    return own_BT < others_BTT.amin(-1)
