"""Fits the names that neighbours and protein give together, to genomes that calibrate.

What a protein is, its cluster of similar sequences tells: if that is one of the families, the gene is of it,
and a name is right if that family has the same symbol, product or EC number. Half of the genes whose family
has a name are met as if nobody had named it: only other families of the same name are right then. A gene of a
cluster that is no family has no right name; one of a family without a name teaches nothing and is left out.

Axes as in `glm_annot.model.neighbours.hints`; N proteins of the corpus.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from glm_annot.model.neighbours.hints import Hints, HintsConfig
from glm_annot.model.neighbours.mixture import Candidates, Mixture, gather_candidates
from glm_annot.model.neighbours.names import FamilyName

from ..common.console import Report
from ..corpus.rings import RINGS
from .asked import Asker
from .build import CorpusMemory
from .mixture import some, train_scorer

HIDDEN = 0.5  # share of the genes whose own family's name is hidden
SURE = 0.5  # probability of a name from which on its precision is reported
FOLDS = 4  # parts of the genomes; the probabilities of each are measured with a fit to the others


@dataclass(frozen=True)
class NamedGenes:
    """Genes of calibrating genomes with what may name them.

    Attributes:
        candidates: families with names.
        right_QR: which of them are right, and last whether none is.
        genome_Q: row of the genome in the memory.
        hidden_Q: whether the name of the own family is hidden.
    """

    candidates: Candidates
    right_QR: Tensor
    genome_Q: Tensor
    hidden_Q: Tensor

    def take(self, rows: Tensor) -> NamedGenes:
        """Those of some rows."""
        return NamedGenes(
            self.candidates.take(rows), self.right_QR[rows], self.genome_Q[rows], self.hidden_Q[rows]
        )


def fit_hints(
    memory: CorpusMemory,
    asker: Asker,
    mixture: Mixture,
    names: Mapping[int, FamilyName],
    family_N: npt.NDArray[np.int64],
    *,
    seed: int = 0,
    report: Report,
) -> Hints | None:
    """Fit the hints of a memory to the calibrating genomes of its corpus (split 'valid').

    Args:
        memory, asker, mixture: finished.
        names: of families.
        family_N: of each protein by its cluster; the number of families for none.
        seed: of the genes that are asked for, of the names that are hidden, and of the fit.
        report: called with a line that says how good the names are.

    Returns:
        None where no named family is right for any of these genomes' genes: nothing could be learned.
    """
    hints = Hints(HintsConfig(mixture.config.families))
    hints.name(names)
    examples = _examples(memory, asker, mixture, hints, family_N, seed)
    if not examples.right_QR[:, :-1].any():
        report("names: right for no gene of the calibrating genomes, so the model will give none")
        return None
    if len(set(examples.genome_Q.tolist())) > 1:
        _report_measured(examples, hints, seed, report)
    else:
        report("names: fitted to a single genome, so that there is no other one to measure them on")
    train_scorer(hints, examples.candidates, examples.right_QR, seed)
    return hints.eval().requires_grad_(False)


def _report_measured(examples: NamedGenes, hints: Hints, seed: int, report: Report) -> None:
    probability_Q, right_Q = _measured(examples, hints, seed)
    for name, rows in (("known", ~examples.hidden_Q), ("hidden", examples.hidden_Q)):
        shown_Q = rows & (probability_Q >= SURE)
        report(
            f"names: {int(shown_Q.sum()):,} of {int(rows.sum()):,} genes whose family's name is {name} get "
            f"one at {SURE} and above; {_mean(right_Q[shown_Q]):.3f} of them are right, at a mean "
            f"probability of {_mean(probability_Q[shown_Q]):.3f}"
        )


def _mean(values: Tensor) -> float:
    return float(values.float().mean()) if len(values) else 0.0


def _examples(
    memory: CorpusMemory,
    asker: Asker,
    mixture: Mixture,
    hints: Hints,
    family_N: npt.NDArray[np.int64],
    seed: int,
) -> NamedGenes:
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for row in [row for row, split in enumerate(memory.split) if split == "valid"]:
        order = memory.order_of(row)
        asked = some(asker.alone(order), generator)
        direction_QD = asker.directions(asked, order)
        true_Q = torch.from_numpy(family_N[order.protein_G[asked.at_Q.numpy()]])
        for ring in RINGS:
            index = memory.memory.index(memory.seen_by(row, ring))
            hidden_Q = torch.rand(len(true_Q), generator=generator).lt(HIDDEN)
            hide_Q = torch.where(hidden_Q, true_Q, -1)
            first = 0
            for asking in asker.ask(asked, index):
                rows = slice(first, first := first + len(asking.at_Q))
                base = gather_candidates(asking, mixture.log_prior_F)
                own = direction_QD[rows], asked.family_Q[rows]
                table = asker.families.table
                found = hints.candidates(asking, base, mixture(base), *own, mixture, table, hide_Q[rows])
                parts.append(_labelled(found, true_Q[rows], hidden_Q[rows], hints, row))
    joined = Candidates.joined([part.candidates for part in parts])
    rest = (
        torch.cat([getattr(part, name) for part in parts]) for name in ("right_QR", "genome_Q", "hidden_Q")
    )
    return NamedGenes(joined, *rest)


def _labelled(
    candidates: Candidates, true_Q: Tensor, hidden_Q: Tensor, hints: Hints, genome: int
) -> NamedGenes:
    """What is right for each gene; genes of a family without a name are left out."""
    right_QK = hints.same_name(candidates.family_QK, true_Q)
    right_QR = torch.cat([right_QK, ~right_QK.any(1, keepdim=True)], dim=1)
    in_table_Q = true_Q < hints.config.families
    named_Q = hints.named(true_Q)
    kept = torch.nonzero(named_Q | ~in_table_Q)[:, 0]
    genome_Q = torch.full_like(true_Q, genome)
    return NamedGenes(candidates, right_QR, genome_Q, hidden_Q & named_Q).take(kept)


def _measured(examples: NamedGenes, hints: Hints, seed: int) -> tuple[Tensor, Tensor]:
    """Probability of each gene's best name by a fit that did not see its genome, and whether it is right."""
    genomes = torch.tensor(sorted(set(examples.genome_Q.tolist())))
    fold_Q = torch.searchsorted(genomes, examples.genome_Q) % FOLDS
    probability_Q, right_Q = torch.zeros(len(fold_Q)), torch.zeros(len(fold_Q), dtype=torch.bool)
    for fold in range(FOLDS):
        fitted = Hints(hints.config)
        fitted.label_NF.copy_(hints.label_NF)
        seen, held = (torch.nonzero(mask)[:, 0] for mask in (fold_Q != fold, fold_Q == fold))
        if not len(seen) or not len(held):
            continue
        train_scorer(fitted, examples.candidates.take(seen), examples.right_QR[seen], seed)
        with torch.inference_mode():
            for rows in torch.split(held, 4096):
                some_of = examples.take(rows)
                best = fitted.by_name(some_of.candidates)[0].max(1)
                probability_Q[rows] = best.values
                right_Q[rows] = some_of.right_QR.gather(1, best.indices[:, None])[:, 0] & (best.values > 0)
    return probability_Q, right_Q
