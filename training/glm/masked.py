"""What a trained gLM says of masked genes of held-out windows: metrics, and the context fit (percentiles).

Axes: B windows, T genes, P predictions, L label numbers; N genes that were looked at while masked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from glm_annot.errors import InputError
from glm_annot.model.families import FamilyGLM
from glm_annot.model.glm import ContextFit, ContextFitConfig, GLMOutput, context_masks, lone_gene, mask_inputs
from glm_annot.model.windows import MAX_GENES

from .losses import MaskedGeneCounts, count_masked_genes, glm_loss, squared_errors
from .windows import LABEL_LIMIT, GeneOrder, Spans, WindowReader, cut, random_mask

PASSES = 7  # random maskings of 15 %: each gene is masked about once
BATCH_WINDOWS = 64
_TOLERANCE = 1e-7  # relative change of the variance at which its search ends
_MOST_ROUNDS = 500

Network = Callable[[Tensor, Tensor], GLMOutput]


@dataclass(frozen=True, slots=True)
class MaskedPass:
    """Some windows with genes masked at random, and what the network makes of them; labels not clipped."""

    output: GLMOutput
    labels_BTL: Tensor
    real_BT: Tensor
    masked_BT: Tensor
    protein_BT: Tensor


@torch.inference_mode()
def masked_passes(
    model: nn.Module, reader: WindowReader, spans: Spans, *, passes: int = PASSES, seed: int = 0
) -> Iterator[MaskedPass]:
    """Read windows with genes masked at random as in training; arguments as for `evaluate_masked`."""
    generator = torch.Generator().manual_seed(seed)
    with evaluating(model) as network:
        for batch in reader.batches(spans, BATCH_WINDOWS):
            for _ in range(passes):
                masked_BT = random_mask(batch.real_BT, generator)
                output = network(mask_inputs(batch.x_BTE, masked_BT), batch.real_BT)
                yield MaskedPass(output, batch.labels_BTL, batch.real_BT, masked_BT, batch.protein_BT)


def evaluate_masked(
    model: nn.Module,
    reader: WindowReader,
    spans: Spans,
    *,
    family_N: npt.NDArray[np.int32] | None = None,
    passes: int = PASSES,
    seed: int = 0,
) -> dict[str, float]:
    """Loss and accuracies on masked genes, masked at random as in training.

    Args:
        model: a gLM or its baseline; one that tells families where `family_N` is given.
        reader: reads the windows.
        spans: the windows.
        family_N: family of each protein of the reader.
        passes: maskings of each window.
        seed: of the maskings; equal seeds mask the same genes.

    Returns:
        the shares of `MaskedGeneCounts.metrics`; loss, regression and likelihood, means over the windows;
        with `family_N`, of the genes that have a family: family_accuracy (the favourite is theirs) and
        family_accuracy_4 (one of the four likeliest is), and of all family_loss, the cross entropy in nats.
    """
    counts, losses_3, windows = MaskedGeneCounts(), torch.zeros(3, dtype=torch.float64), 0
    families = torch.zeros(5, dtype=torch.float64)
    for read in masked_passes(model, reader, spans, passes=passes, seed=seed):
        counts += count_masked_genes(read.output, read.labels_BTL, read.real_BT, read.masked_BT)
        losses_3 += len(read.masked_BT) * losses_of(read)
        windows += len(read.masked_BT)
        if family_N is not None and isinstance(model, FamilyGLM):
            families += _count_families(model, read, family_N)
    names = ("loss", "regression", "likelihood")
    metrics = counts.metrics() | dict(zip(names, (losses_3 / max(windows, 1)).tolist(), strict=True))
    genes, nats, known, first, four = families.tolist()
    if known:
        metrics |= {
            "family_loss": nats / genes,
            "family_accuracy": first / known,
            "family_accuracy_4": four / known,
        }
    return metrics


@torch.inference_mode()
def _count_families(model: FamilyGLM, read: MaskedPass, family_N: npt.NDArray[np.int32]) -> Tensor:
    """Of masked genes: how many, summed nats, with a family, found first, found among four; (5,)."""
    masked_BT = read.masked_BT
    log_p_NF = model.log_probabilities(read.output, masked_BT)
    true_N = torch.from_numpy(family_N[read.protein_BT.numpy()].astype(np.int64)).to(masked_BT.device)[
        masked_BT
    ]
    nats = nn.functional.nll_loss(log_p_NF, true_N, reduction="sum")
    known_N = true_N < model.table.none
    top_N4 = log_p_NF[known_N, : model.table.none].topk(min(4, model.table.none), dim=-1).indices
    right_N4 = top_N4 == true_N[known_N, None]
    counts = (masked_BT.sum(), nats, known_N.sum(), right_N4[:, 0].sum(), right_N4.any(1).sum())
    return torch.stack([count.double() for count in counts]).cpu()


def losses_of(read: MaskedPass) -> Tensor:
    """Loss, regression and likelihood of some windows, means over all slots: (3,) on the CPU."""
    loss = glm_loss(read.output, read.labels_BTL.clamp(-LABEL_LIMIT, LABEL_LIMIT), read.masked_BT)
    return torch.stack([loss.total, loss.regression, loss.likelihood]).double().cpu()


def fit_context_fit(model: nn.Module, reader: WindowReader, config: ContextFitConfig) -> ContextFit:
    """Fit sigma by maximum likelihood and the quantiles of the log-ratio to held-out genes.

    Genes are masked and read as at inference: one pass in seven, in the window where they are most central.

    Raises:
        InputError: no contig is long enough for a window.
    """
    output, labels_1NL = masked_outputs(model, reader)
    context_fit = ContextFit(config)
    context_fit.sigma.fill_(likeliest_sigma(output, labels_1NL))
    log_ratio_N = _log_ratio(context_fit, output, _lone(model, reader), labels_1NL).double().numpy()
    quantiles_Q = np.quantile(log_ratio_N, np.linspace(0.0, 1.0, config.quantiles))
    context_fit.quantiles_Q.copy_(torch.from_numpy(quantiles_Q))
    return context_fit


def place_auroc(model: nn.Module, context_fit: ContextFit, reader: WindowReader, *, seed: int = 0) -> float:
    """How well a gene's log-ratio tells whether it is read in its place: 1 always, 0.5 by chance.

    The area under the ROC curve between all genes in their places and all after each contig's genes were
    shuffled, each with its strand.

    Raises:
        InputError: no contig is long enough for a window.
    """
    order, generator = reader.order, np.random.default_rng(seed)
    contigs = zip(order.first_C[:-1], order.first_C[1:], strict=True)
    moved_G = np.concatenate([first + generator.permutation(end - first) for first, end in contigs])
    shuffled = replace(order, protein_G=order.protein_G[moved_G], strand_G=order.strand_G[moved_G])
    lone, ratios = _lone(model, reader), []
    for genes in (shuffled, order):
        output, labels_1NL = masked_outputs(model, WindowReader(genes, reader.embeddings_ND, reader.features))
        ratios.append(_log_ratio(context_fit, output, lone, labels_1NL).numpy())
    return float(roc_auc_score(np.repeat([0, 1], len(ratios[0])), np.concatenate(ratios)))


def _log_ratio(context_fit: ContextFit, output: GLMOutput, lone: GLMOutput, labels_1NL: Tensor) -> Tensor:
    """`ContextFit.log_ratio` (N,) of tensors on the CPU, computed on the device of `context_fit`."""
    device = context_fit.sigma.device
    output, lone = (
        GLMOutput(of.predictions_BTPL.to(device), of.likelihood_logits_BTP.to(device))
        for of in (output, lone)
    )
    return context_fit.log_ratio(output, lone, labels_1NL.to(device))[0].cpu()


def _lone(model: nn.Module, reader: WindowReader) -> GLMOutput:
    """What the model says of a masked gene that has no neighbours, on the CPU."""
    features = reader.features
    with evaluating(model) as network:
        lone = lone_gene(network, features.mean_D.new_empty(features.config.input_dim))
    return GLMOutput(lone.predictions_BTPL.float().cpu(), lone.likelihood_logits_BTP.float().cpu())


def likeliest_sigma(output: GLMOutput, labels_BTL: Tensor) -> float:
    """Sigma that maximises the summed `ContextFit.log_likelihood` of labels, by expectation-maximisation."""
    squares_BTP = squared_errors(output.predictions_BTPL, labels_BTL).double()
    log_p_BTP = output.likelihood_logits_BTP.double().log_softmax(-1)
    L = labels_BTL.shape[-1]
    variance = squares_BTP.amin(-1).mean().item() / L
    for _ in range(_MOST_ROUNDS):
        share_BTP = (log_p_BTP - 0.5 * squares_BTP / variance).softmax(-1)
        before, variance = variance, (share_BTP * squares_BTP).sum(-1).mean().item() / L
        if abs(variance - before) <= _TOLERANCE * before:
            break
    return float(np.sqrt(variance))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[Network]:
    """The model without dropout and in its own precision; back to what it was doing afterwards."""
    was_training, dtype = model.training, next(model.parameters()).dtype
    model.eval()

    def network(x_BTE: Tensor, real_BT: Tensor) -> GLMOutput:
        output: GLMOutput = model(x_BTE.to(dtype), real_BT)
        return output

    try:
        yield network
    finally:
        model.train(was_training)


@torch.inference_mode()
def masked_outputs(model: nn.Module, reader: WindowReader) -> tuple[GLMOutput, Tensor]:
    """What the model says of each gene of the reader, once, while masked, and its label.

    Returns:
        both as one window of N genes, on the CPU.

    Raises:
        InputError: no contig is long enough for a window.
    """
    spans = cut(reader.order, stride=MAX_GENES // 2)
    if not len(spans):
        raise InputError("the held-out genomes have no contig long enough for a window")
    predictions, logits, labels, first = [], [], [], 0
    with evaluating(model) as network:
        for batch in reader.batches(spans, BATCH_WINDOWS):
            central_BT = central_slots(reader.order, spans, first, batch.real_BT)
            first += len(batch.real_BT)
            for mask_T in context_masks(MAX_GENES, batch.real_BT.device):
                masked_BT = mask_T & batch.real_BT
                output = network(mask_inputs(batch.x_BTE, masked_BT), batch.real_BT)
                kept_BT = masked_BT & central_BT
                predictions.append(output.predictions_BTPL[kept_BT].float().cpu())
                logits.append(output.likelihood_logits_BTP[kept_BT].float().cpu())
                labels.append(batch.labels_BTL[kept_BT].cpu())
    output = GLMOutput(torch.cat(predictions)[None], torch.cat(logits)[None])
    return output, torch.cat(labels)[None]


def central_slots(order: GeneOrder, spans: Spans, first: int, real_BT: Tensor) -> Tensor:
    """The slots of half-overlapping windows that no neighbouring window holds more centrally, (B, T)."""
    which = slice(first, first + len(real_BT))
    begin_B, end_B = spans.first_W[which], (spans.first_W + spans.length_W)[which]
    margin = MAX_GENES // 4
    left_B = np.where(np.isin(begin_B, order.first_C), 0, margin + 1)
    right_B = np.where(np.isin(end_B, order.first_C), 0, margin)
    slot_T = np.arange(MAX_GENES)
    inside_BT = (slot_T >= left_B[:, None]) & (slot_T < (end_B - begin_B - right_B)[:, None])
    return torch.from_numpy(inside_BT).to(real_BT.device)
