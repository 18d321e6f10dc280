"""Fits the mixture of memory and gLM to the genomes that a corpus sets aside for calibration.

Their genes are hidden alone and in windows (`training.memory.asked`), and asked for in every ring of
relatives, so that the mixture meets genomes with and without near relatives.

Axes as in `glm_annot.model.neighbours.mixture`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from glm_annot.errors import InputError
from glm_annot.model.neighbours.memory import MemoryIndex
from glm_annot.model.neighbours.mixture import Candidates, Mixture, MixtureConfig

from ..common.console import Report
from ..corpus.rings import RINGS
from .asked import Asked, Asker
from .build import CorpusMemory

EPOCHS = 12
BATCH_GENES = 2048
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-3
GENES_OF_A_GENOME = 1000  # asked for in each ring and way of hiding, drawn at random


@dataclass(frozen=True)
class Examples:
    """Genes of calibrating genomes: their candidates and families (the number of families for none)."""

    candidates: Candidates
    family_Q: Tensor

    def outcomes(self, none: int) -> Tensor:
        """Number of the right candidate, K for no family, K + 1 for a family that is no candidate: (Q,)."""
        hit_QK = self.candidates.family_QK == self.family_Q[:, None]
        K = hit_QK.shape[1]
        rest_Q = torch.where(self.family_Q == none, K, K + 1)
        return torch.where(hit_QK.any(1), hit_QK.int().argmax(1), rest_Q)

    @classmethod
    def joined(cls, parts: Sequence[Examples]) -> Examples:
        """Several lists of examples, one after the other."""
        candidates = Candidates.joined([part.candidates for part in parts])
        return cls(candidates, torch.cat([part.family_Q for part in parts]))


def log_prior(index: MemoryIndex) -> Tensor:
    """Logarithm of each family's share of the places of a memory that have one, (F,)."""
    count_F = index.start_F.diff().float() + 1
    return (count_F / count_F.sum()).log()


def fit_mixture(
    memory: CorpusMemory, asker: Asker, *, seed: int = 0, report: Report
) -> tuple[Mixture, Tensor]:
    """Fit a mixture to the calibrating genomes of a corpus (split 'valid').

    Args:
        memory: of the corpus.
        asker: of the same; its gLM, if it has one, did not see these genomes.
        seed: of the genes that are asked for, and of the fit.
        report: called with a line for each genome.

    Returns:
        the mixture, and the log-ratios (`Mixture.log_ratio`) of genes that were hidden alone in genomes whose
        relatives were seen.

    Raises:
        InputError: no genome calibrates.
    """
    generator = torch.Generator().manual_seed(seed)
    examples: dict[tuple[str, bool], list[Examples]] = {}
    for row in [row for row, split in enumerate(memory.split) if split == "valid"]:
        order = memory.order_of(row)
        ways = [
            _some(asked, generator) for asked in (asker.in_windows(order, seed + row), asker.alone(order))
        ]
        for ring in RINGS:
            index = memory.memory.index(memory.seen_by(row, ring))
            for asked in ways:
                found = Examples(asker.candidates(asked, index), asked.family_Q)
                examples.setdefault((ring, asked.strand_known), []).append(found)
        report(f"mixture: genome {memory.genomes[row]}: {sum(len(way.at_Q) for way in ways)} genes")
    if not examples:
        raise InputError("the corpus sets no genome aside to calibrate on")
    mixture = Mixture(MixtureConfig(len(asker.log_prior_F)))
    mixture.log_prior_F.copy_(asker.log_prior_F)
    everything = Examples.joined([of for parts in examples.values() for of in parts])
    loss = _train(mixture, everything, seed)
    report(f"mixture: {loss:.3f} nats of {len(everything.family_Q):,} genes")
    mixture.eval().requires_grad_(False)
    typical = Examples.joined(examples["near", True])
    ratio_Q = mixture.log_ratio(mixture(typical.candidates), typical.candidates, typical.family_Q)
    return mixture, ratio_Q[~ratio_Q.isnan()]


def _some(asked: Asked, generator: torch.Generator) -> Asked:
    """At most `GENES_OF_A_GENOME` of the genes asked for."""
    rows = torch.randperm(len(asked.at_Q), generator=generator)[:GENES_OF_A_GENOME].sort().values
    hidden = None if asked.hidden_QH is None else asked.hidden_QH[rows]
    return replace(asked, at_Q=asked.at_Q[rows], family_Q=asked.family_Q[rows], hidden_QH=hidden)


def _train(mixture: Mixture, examples: Examples, seed: int) -> float:
    """Fit scales and networks; returns the mean cross entropy of the last epoch in nats."""
    candidates = examples.candidates
    _scale(mixture.mean_X, mixture.std_X, candidates.features_QKX[candidates.family_QK >= 0])
    _scale(mixture.mean_Y, mixture.std_Y, candidates.place_QY)
    outcome_Q = examples.outcomes(mixture.config.families)
    optimiser = torch.optim.AdamW(mixture.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    generator, batches = torch.Generator().manual_seed(seed), -(-len(outcome_Q) // BATCH_GENES)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LEARNING_RATE, total_steps=EPOCHS * batches, pct_start=0.1
    )
    total = 0.0
    for _ in range(EPOCHS):
        total = 0.0
        for rows in torch.split(torch.randperm(len(outcome_Q), generator=generator), BATCH_GENES):
            log_p_QR = mixture(candidates.take(rows))
            loss = nn.functional.nll_loss(log_p_QR, outcome_Q[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(rows) / len(outcome_Q)
    return total


def _scale(mean: Tensor, std: Tensor, rows: Tensor) -> None:
    mean.copy_(rows.mean(0))
    std.copy_(rows.std(0).clamp_min(1e-3))
