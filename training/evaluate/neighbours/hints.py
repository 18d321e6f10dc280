"""Names and EC numbers from context for genes of a corpus's genomes, as a gene is met that nobody has named.

What a gene is, its cluster of similar proteins says. Four kinds of genes are told apart:

- *hidden*: the family has a name, but for this gene nobody knows it; its places stay in the memory. A name is
  right if another family of the same name gives it;
- *known*: the same genes, the name of their family known;
- *stranger*: of a cluster that is no family: every name is wrong;
- *unnamed*: of a family that nobody has named: how many get a name is known, how many are right is not.

An EC number on a gene whose family is named and has none is wrong. Every kind is asked in each ring of
relatives (`corpus.rings`).

Axes: Q genes asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from glm_annot.bundle import Model
from glm_annot.errors import InputError
from glm_annot.model.neighbours.hints import Hint, Hints
from glm_annot.model.neighbours.mixture import gather_candidates
from glm_annot.model.neighbours.names import EC

from ...common.console import Report
from ...corpus.rings import RINGS
from ...glm.families import by_cluster
from ...memory.asked import Asker
from ...memory.build import CorpusMemory
from ...memory.mixture import some
from ..scores import calibration_error
from .places import neighbours_of, of_corpus

HIDDEN, KNOWN, STRANGER, UNNAMED = "hidden", "known", "stranger", "unnamed"
WITHOUT_A_NAME = (HIDDEN, STRANGER)  # kinds that are met as genes that nobody has named
VISIBLE = ((0, 3), (4, 6), (7, 9), (10, 12))  # neighbours of a family among the six to either side
_ON_LEFT, _ON_RIGHT = 4, 5  # columns of a place that count these
_SHOWN, _RIGHT, _STATED, _VISIBLE, _COLUMNS = 0, 1, 2, 6, 7  # the first three again of EC numbers, from 3 on


@dataclass(frozen=True)
class _Hinted:
    """Genes of one kind in one ring, (Q, C): the columns are said above."""

    ring: str
    kind: str
    rows_QC: Tensor


def evaluate_hints(
    corpus: Path, model: Model, *, split: str = "test", seed: int = 0, report: Report
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure names and EC numbers on the genomes of a corpus's split, at most 1,000 genes of each.

    Args:
        corpus: that the model's memory was built from.
        model: whose families have names.
        split: of the corpus; the networks that score names are fitted to 'valid'.
        seed: of the genes that are asked for.
        report: called with a line for each genome.

    Returns:
        which genes -> ring, or visible neighbours in the ring `near` -> genes, shown, coverage, precision and
        calibration_error (of all genes, shown or not) of names and (`ec_`) of EC numbers; genes of unnamed
        families count for neither of the last two. Which genes: each kind, the kinds met without a name
        together, and all genes as they are met in use.

    Raises:
        InputError: the model gives no names; no genome is of that split.
    """
    memory, asker = of_corpus(corpus, model)
    true_N = torch.from_numpy(by_cluster(corpus, asker.families))
    generator = torch.Generator().manual_seed(seed)
    rows = [row for row, of in enumerate(memory.split) if of == split]
    if not rows:
        raise InputError(f"has no genomes in the split {split!r}", corpus)
    found = []
    for row in rows:
        found += list(_of_genome(model, memory, asker, row, true_N, generator))
        report(f"hints: genome {memory.genomes[row]}")
    table = {kind: _by_ring_and_neighbours(found, (kind,)) for kind in (HIDDEN, KNOWN, STRANGER, UNNAMED)}
    table["without a name"] = _by_ring_and_neighbours(found, WITHOUT_A_NAME)
    table["all genes"] = _by_ring_and_neighbours(found, (KNOWN, STRANGER, UNNAMED))
    return table


def lines(found: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """The figures as lines of a table for people."""
    heads = f"{'number':>7} {'named':>6} {'cover':>6} {'right':>6} {'EC':>6} {'right':>6}"
    text = [f"{'genes':14} {'by':16} {heads}"]
    for which, rows in found.items():
        for by, of in rows.items():
            shares = (of.get(key) for key in ("precision", "ec_precision"))
            right, ec_right = ("" if share is None else f"{share:.3f}" for share in shares)
            text.append(
                f"{which:14} {by:16} {of['genes']:7.0f} {of['shown']:6.0f} {of['coverage']:6.3f} "
                f"{right:>6} {of['ec_shown']:6.0f} {ec_right:>6}".rstrip()
            )
    return text


@torch.inference_mode()
def _of_genome(
    model: Model, memory: CorpusMemory, asker: Asker, row: int, true_N: Tensor, generator: torch.Generator
) -> Iterator[_Hinted]:
    """What some genes of one genome are shown, in every ring."""
    neighbours = neighbours_of(model)
    hints, mixture, table = neighbours.hints, neighbours.mixture, neighbours.table
    if hints is None:
        raise InputError("the model gives no names")
    order = memory.order_of(row)
    asked = some(asker.alone(order), generator)
    direction_QD = asker.directions(asked, order)
    true_Q = true_N[torch.from_numpy(order.protein_G)[asked.at_Q]]
    named_Q, stranger_Q = hints.named(true_Q), true_Q >= table.none
    chosen = {STRANGER: stranger_Q, UNNAMED: ~named_Q & ~stranger_Q, KNOWN: named_Q, HIDDEN: named_Q}
    for ring in RINGS:
        index = memory.memory.index(memory.seen_by(row, ring))
        known: list[Tensor] = []
        hidden: list[Tensor] = []
        first = 0
        for asking in asker.ask(asked, index):
            part = slice(first, first := first + len(asking.at_Q))
            base = gather_candidates(asking, mixture.log_prior_F)
            log_p_QR, own = mixture(base), (direction_QD[part], asked.family_Q[part])
            visible_Q = base.place_QY[:, _ON_LEFT] + base.place_QY[:, _ON_RIGHT]
            for rows, hide_Q in ((known, None), (hidden, true_Q[part])):
                named = hints.candidates(asking, base, log_p_QR, *own, mixture, table, hide_Q)
                rows.append(_shown(hints, hints.best(named, asking.votes), true_Q[part], visible_Q))
        for kind, chosen_Q in chosen.items():
            yield _Hinted(ring, kind, torch.cat(hidden if kind == HIDDEN else known)[chosen_Q])


def _shown(hints: Hints, hint: Hint, true_Q: Tensor, visible_Q: Tensor) -> Tensor:
    """Columns of `_Hinted` for some genes, (Q, C)."""
    least, least_ec = hints.least_K.tolist()
    shown_Q, ec_shown_Q = hint.probability_Q >= least, hint.ec_probability_Q >= least_ec
    right_Q = hints.same_name(hint.family_Q[:, None], true_Q)[:, 0]
    label_F = torch.cat([hints.label_NF[EC], torch.tensor([-1])])
    ec_Q, true_ec_Q = label_F[hint.ec_family_Q], label_F[true_Q]
    ec_right_Q = (ec_Q == true_ec_Q) & (ec_Q >= 0)
    names = shown_Q, right_Q & (hint.family_Q >= 0), hint.probability_Q
    numbers = ec_shown_Q, ec_right_Q, hint.ec_probability_Q
    return torch.stack([column.float() for column in (*names, *numbers, visible_Q)], dim=1)


def _by_ring_and_neighbours(found: list[_Hinted], kinds: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Figures of some kinds of genes by ring, and in the ring `near` by the number of visible neighbours."""
    some_of = [of for of in found if of.kind in kinds]
    table = {ring: _figures([of for of in some_of if of.ring == ring]) for ring in RINGS}
    near = [of for of in some_of if of.ring == "near"]
    for low, high in VISIBLE:
        inside = [
            _Hinted(
                of.ring,
                of.kind,
                of.rows_QC[(of.rows_QC[:, _VISIBLE] >= low) & (of.rows_QC[:, _VISIBLE] <= high)],
            )
            for of in near
        ]
        table[f"{low}-{high} neighbours"] = _figures(inside)
    return table


def _figures(parts: list[_Hinted]) -> dict[str, float]:
    """Numbers and shares over all genes; precision over those of which it is known what is right."""
    everything = torch.cat([torch.zeros(0, _COLUMNS), *(part.rows_QC for part in parts)])
    judged = [part.rows_QC for part in parts if part.kind != UNNAMED]
    judged_QC = torch.cat([torch.zeros(0, _COLUMNS), *judged])
    figures: dict[str, float] = {"genes": len(everything)}
    for what, first in (("", 0), ("ec_", 3)):
        shown_Q = judged_QC[:, first + _SHOWN] > 0
        right_Q, stated_Q = judged_QC[:, first + _RIGHT].double(), judged_QC[:, first + _STATED].double()
        figures[f"{what}shown"] = int(everything[:, first + _SHOWN].sum())
        figures[f"{what}coverage"] = figures[f"{what}shown"] / max(len(everything), 1)
        if shown_Q.any():
            figures[f"{what}precision"] = float(right_Q[shown_Q].mean())
        if len(judged_QC):
            figures[f"{what}calibration_error"] = calibration_error(stated_Q.numpy(), right_Q.numpy())
    return figures
