"""Fits the mixture of memory and gLM to the genomes that a corpus sets aside for calibration.

Their genes are hidden alone and in windows (`training.memory.asked`), and asked for in every ring of
relatives, so that the mixture meets genomes with and without near relatives.

Axes as in `glm_annot.model.neighbours.mixture`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from glm_annot.errors import InputError
from glm_annot.model.neighbours.memory import MemoryIndex
from glm_annot.model.neighbours.mixture import Candidates, Mixture, MixtureConfig, Scorer

from ..common.console import Report
from ..corpus.rings import RINGS
from ..glm.windows import GeneOrder
from .asked import Asked, Asker, shuffled
from .build import CorpusMemory

EPOCHS = 12
BATCH_GENES = 2048
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-3
BAND = 0.04  # of the cosine of a gene and its family: genes whose fit is tested together
_ENOUGH_GENES = 200  # in a band, to test them
GENES_OF_A_GENOME = 1000  # asked for in each ring and way of hiding, drawn at random


@dataclass(frozen=True)
class CalibrationGenes:
    """Genes of calibrating genomes: their candidates, families (the number of families for none), and how
    near they are to these."""

    candidates: Candidates
    family_Q: Tensor
    cosine_Q: Tensor

    def right(self, none: int) -> Tensor:
        """Which outcome is right, a candidate, no family, or a family that is no candidate: (Q, K + 2)."""
        hit_QK = self.candidates.family_QK == self.family_Q[:, None]
        none_Q = self.family_Q == none
        return torch.cat([hit_QK, none_Q[:, None], ~(hit_QK.any(1) | none_Q)[:, None]], dim=1)

    @classmethod
    def joined(cls, parts: Sequence[CalibrationGenes]) -> CalibrationGenes:
        """Several of these, one after the other."""
        candidates = Candidates.joined([part.candidates for part in parts])
        columns = ([part.family_Q for part in parts], [part.cosine_Q for part in parts])
        return cls(candidates, *map(torch.cat, columns))


def log_prior(index: MemoryIndex) -> Tensor:
    """Logarithm of each family's share of the places of a memory that have one, (F,)."""
    count_F = index.start_F.diff().float() + 1
    return (count_F / count_F.sum()).log()


def fit_mixture(
    memory: CorpusMemory, asker: Asker, *, seed: int = 0, report: Report
) -> tuple[Mixture, CalibrationGenes, CalibrationGenes]:
    """Fit a mixture to the calibrating genomes of a corpus (split 'valid').

    Args:
        memory: of the corpus.
        asker: of the same; its gLM, if it has one, did not see these genomes.
        seed: of the genes that are asked for, and of the fit.
        report: called with a line for each genome.

    Returns:
        the mixture, the genes that were hidden alone in genomes whose relatives were seen, and as many of the
        same genomes with all genes shuffled.

    Raises:
        InputError: no genome calibrates.
    """
    generator = torch.Generator().manual_seed(seed)
    moved: list[CalibrationGenes] = []
    examples: dict[tuple[str, bool], list[CalibrationGenes]] = {}
    for row in [row for row, split in enumerate(memory.split) if split == "valid"]:
        order = memory.order_of(row)
        ways = [some(asked, generator) for asked in (asker.in_windows(order, seed + row), asker.alone(order))]
        cosines = [_cosines(asker, order, asked) for asked in ways]
        for ring in RINGS:
            index = memory.memory.index(memory.seen_by(row, ring))
            for asked, cosine_Q in zip(ways, cosines, strict=True):
                found = CalibrationGenes(asker.candidates(asker.ask(asked, index)), asked.family_Q, cosine_Q)
                examples.setdefault((ring, asked.strand_known), []).append(found)
        order = shuffled(order, seed)
        asked, index = some(asker.alone(order), generator), memory.memory.index(memory.seen_by(row, "near"))
        found = CalibrationGenes(
            asker.candidates(asker.ask(asked, index)), asked.family_Q, _cosines(asker, order, asked)
        )
        moved.append(found)
        report(f"mixture: genome {memory.genomes[row]}: {sum(len(way.at_Q) for way in ways)} genes")
    if not examples:
        raise InputError("the corpus sets no genome aside to calibrate on")
    mixture = Mixture(MixtureConfig(len(asker.log_prior_F)))
    mixture.log_prior_F.copy_(asker.log_prior_F)
    everything = CalibrationGenes.joined([of for parts in examples.values() for of in parts])
    loss = train_scorer(mixture, everything.candidates, everything.right(mixture.config.families), seed)
    report(f"mixture: {loss:.3f} nats of {len(everything.family_Q):,} genes")
    mixture.eval().requires_grad_(False)
    return mixture, CalibrationGenes.joined(examples["near", True]), CalibrationGenes.joined(moved)


def _cosines(asker: Asker, order: GeneOrder, asked: Asked) -> Tensor:
    """Cosine of each gene asked for and its nearest family, (Q,)."""
    gene_Q = asked.at_Q.numpy()
    if not asked.strand_known:  # windows are contigs of their own
        gene_Q = asker.genes_in_windows(order)[gene_Q]
    return torch.from_numpy(asker.families.cosine_N[order.protein_G[gene_Q]])


def log_ratios(mixture: Mixture, genes: CalibrationGenes, least: float, below: float = math.inf) -> Tensor:
    """How much likelier the family of each gene is at its place than anywhere, of those so near to one."""
    ratio_Q = mixture.log_ratio(mixture(genes.candidates), genes.candidates, genes.family_Q)
    return ratio_Q[~ratio_Q.isnan() & (genes.cosine_Q >= least) & (genes.cosine_Q < below)]


def sure_from(
    mixture: Mixture, genes: CalibrationGenes, moved: CalibrationGenes, least: float, *, report: Report
) -> float:
    """The cosine to its family from which on a gene's fit to its place tells anything.

    Genes in their places are tested against shuffled ones by bands of their cosines. In the first band that
    counts, the former rank higher at least as often as not.

    Args:
        mixture: fitted.
        genes: in their places.
        moved: shuffled.
        least: cosine from which on a gene is of a family.
        report: called with a line for each band that is tested.

    Returns:
        the lower end of that band; `least` where all bands count, or too few genes are there to say.
    """
    for low in np.arange(least, 1.0, BAND).tolist():
        own, other = (log_ratios(mixture, of, low, low + BAND) for of in (genes, moved))
        if min(len(own), len(other)) < _ENOUGH_GENES:
            return least
        true = [1] * len(own) + [0] * len(other)
        auroc = roc_auc_score(true, torch.cat([own, other]).numpy())
        band = f"{low:.2f} to {low + BAND:.2f}"
        report(f"context fit: cosine to the family {band}: told from shuffled genes, AUROC {auroc:.3f}")
        if auroc >= 0.5:
            return float(low)
    return least


def some(asked: Asked, generator: torch.Generator) -> Asked:
    """At most `GENES_OF_A_GENOME` of the genes asked for."""
    rows = torch.randperm(len(asked.at_Q), generator=generator)[:GENES_OF_A_GENOME].sort().values
    hidden = None if asked.hidden_QH is None else asked.hidden_QH[rows]
    return replace(asked, at_Q=asked.at_Q[rows], family_Q=asked.family_Q[rows], hidden_QH=hidden)


def train_scorer(scorer: Scorer, candidates: Candidates, right_QR: Tensor, seed: int) -> float:
    """Fit scales and networks of a scorer.

    Args:
        scorer: to be fitted.
        candidates: of the examples.
        right_QR: which outcomes of each are right: one or several.
        seed: of the first weights and of the order of the examples.

    Returns:
        the mean loss of the last epoch in nats: minus the logarithm of what the right outcomes got together.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for part in (*scorer.candidate, *scorer.rest):
            if isinstance(part, nn.Linear):
                part.reset_parameters()
    _scale(scorer.mean_X, scorer.std_X, candidates.features_QKX[candidates.family_QK >= 0])
    _scale(scorer.mean_Y, scorer.std_Y, candidates.place_QY)
    optimiser = torch.optim.AdamW(scorer.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    generator, batches = torch.Generator().manual_seed(seed), -(-len(right_QR) // BATCH_GENES)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LEARNING_RATE, total_steps=EPOCHS * batches, pct_start=0.1
    )
    total = 0.0
    for _ in range(EPOCHS):
        total = 0.0
        for rows in torch.split(torch.randperm(len(right_QR), generator=generator), BATCH_GENES):
            log_p_QR = scorer(candidates.take(rows))
            loss = -log_p_QR.masked_fill(~right_QR[rows], -torch.inf).logsumexp(1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(rows) / len(right_QR)
    return total


def _scale(mean: Tensor, std: Tensor, rows: Tensor) -> None:
    mean.copy_(rows.mean(0))
    std.copy_(rows.std(0).clamp_min(1e-3))
