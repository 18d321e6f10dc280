"""What the neighbours of masked genes tell: the memory of gene order and gLM, by how near relatives may be.

Each genome that the corpus sets aside for testing is cut into windows of 15 to 30 genes, 15 % of them masked
with their orientation, as in the paper. The same masked genes are asked for in each ring of relatives
(`corpus.rings`). A gLM's own training is what it is; its figures are of one ring, the one that the corpus
keeps out of training.

Axes: W windows, G genes of all of them, Q masked genes, K candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from glm_annot.bundle import Model
from glm_annot.errors import InputError
from glm_annot.model.families import FamilyGLM
from glm_annot.model.neighbours.memory import MemoryIndex
from glm_annot.model.neighbours.mixture import Mixture

from ..common.console import Report
from ..corpus.rings import RINGS
from ..glm.families import read_families
from ..glm.train import family_glm, read_embeddings
from ..memory.asked import Asked, Asker
from ..memory.build import build_memory
from ..memory.mixture import log_prior
from ..memory.neighbours import read_neighbours
from .neighbours.places import neighbours_of, of_corpus
from .scores import calibration_error

BEST = 4  # guesses that count for 'among four', as many as gLM makes predictions
MIXTURE, NEARNESS = "mixture", "nearness"
STEP = 0.1  # of the share of families of the nearest genome that is seen
_RESAMPLES = 1000
_CHUNK = 1024  # genes whose families are told at a time


@dataclass(frozen=True)
class Guesses:
    """The families that somebody names for the genes asked for, the likeliest first.

    Attributes:
        family_QK: of each gene.
        probability_Q: of the first; None where none is stated.
    """

    family_QK: Tensor
    probability_Q: Tensor | None = None


@dataclass(frozen=True)
class _Found:
    """What was found of a genome's hidden genes that have a family, and the probabilities stated of all.

    Attributes:
        right: whether the first guess and one of four is right, (genes, 2).
        stated: probability of the first guess and whether it is right, of all genes asked for, (genes, 2).
        nearest: share of families of the nearest genome that may be seen, see `rings.shares`.
    """

    right: npt.NDArray[np.bool_]
    stated: npt.NDArray[np.float64]
    nearest: float


def evaluate_context(
    corpus: Path,
    *,
    glm: Path | None = None,
    neighbours: Path | None = None,
    finished: Model | None = None,
    split: str = "test",
    seed: int = 0,
    report: Report,
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure on the genomes of a corpus's split how often masked genes' families are found.

    Args:
        corpus: the corpus folder, with embeddings and families.
        glm: a finished gLM run on it that was trained on families.
        neighbours: what was fitted on it, with the same gLM if with any.
        finished: a model whose memory was built from the corpus, instead of both.
        split: of the corpus.
        seed: of the masks.
        report: called with a line for each genome.

    Returns:
        ring -> who guesses ('memory', 'glm', 'mixture') -> genomes, genes (masked ones of a family), first
        and four (shares of these found by the first guess, among the first four), first_low and first_high
        (95 % interval of first, by resampling genomes); of a mixture also calibration_error of its first
        guesses of all masked genes. With a mixture also `NEARNESS` -> how near the nearest genome was that
        the memory saw, in steps of `STEP` -> the same figures of the mixture, over all rings.

    Raises:
        InputError: no genome is of that split, the run tells no families, or the model is of another corpus.
    """
    if finished is not None:
        memory, asker = of_corpus(corpus, finished)
        mixing: Mixture | None = neighbours_of(finished).mixture
    else:
        families = read_families(corpus)
        memory = build_memory(corpus, families)
        model = None if glm is None else family_glm(glm, families.table)
        mixing = None if neighbours is None else read_neighbours(neighbours).mixture
        asker = Asker(families, read_embeddings(corpus), log_prior(memory.memory.index()), model)
    rows = [row for row, of in enumerate(memory.split) if of == split]
    if not rows:
        raise InputError(f"has no genomes in the split {split!r}", corpus)
    found: dict[tuple[str, str], list[_Found]] = {}
    for row in rows:
        asked = asker.in_windows(memory.order_of(row), seed + row)
        if not (asked.family_Q < asker.families.table.none).any():
            continue
        for ring in RINGS:
            index = memory.memory.index(memory.seen_by(row, ring))
            for who, guesses in guesses_of(asker, asked, index, mixing).items():
                judged = _judge(guesses, asked, asker.families.table.none, memory.nearest_of(row, ring))
                found.setdefault((ring, who), []).append(judged)
        report(f"genome {memory.genomes[row]}: {len(asked.at_Q)} masked genes")
    table: dict[str, dict[str, dict[str, float]]] = {}
    for (ring, who), of_genomes in found.items():
        table.setdefault(ring, {})[who] = _figures(of_genomes)
    mixed = [of for (_, who), of_genomes in found.items() if who == MIXTURE for of in of_genomes]
    if mixed:
        table[NEARNESS] = _by_nearness(mixed)
    return table


def _by_nearness(found: list[_Found]) -> dict[str, dict[str, float]]:
    """Figures by the nearest genome that was seen: '0.6-0.7' -> figures, and from where to where it is."""
    steps: dict[int, list[_Found]] = {}
    for of in found:
        steps.setdefault(min(int(of.nearest / STEP + 1e-9), round(1 / STEP) - 1), []).append(of)
    return {
        f"{STEP * step:.1f}-{STEP * (step + 1):.1f}": {
            "low": STEP * step,
            "high": STEP * (step + 1),
            **_figures(those),
        }
        for step, those in sorted(steps.items())
    }


@torch.inference_mode()
def guesses_of(asker: Asker, asked: Asked, index: MemoryIndex, mixture: Mixture | None) -> dict[str, Guesses]:
    """What memory, gLM and their mixture guess of some genes, each as far as it is there.

    Args:
        asker: with the gLM.
        asked: the genes.
        index: of the memory, as much of it as may be seen.
        mixture: fitted to both.
    """
    said = list(asker.ask(asked, index))
    found = {"memory": Guesses(torch.cat([of.votes.family_QK for of in said]))}
    if asker.model is not None:
        found["glm"] = _guesses_of_glm(asker.model, asked)
    if mixture is not None:
        candidates = asker.candidates(said)
        log_p_QR = mixture(candidates)[:, :-2]
        rank_QK = log_p_QR.argsort(dim=1, descending=True, stable=True)[:, :BEST]
        found[MIXTURE] = Guesses(candidates.family_QK.gather(1, rank_QK), log_p_QR.amax(1).exp())
    return found


def _guesses_of_glm(model: FamilyGLM, asked: Asked) -> Guesses:
    """The four families that gLM finds likeliest of each masked gene."""
    assert asked.hidden_QH is not None
    top = []
    for hidden_NH in torch.split(asked.hidden_QH, _CHUNK):
        log_p_NF = model.head(hidden_NH, model.table)[:, : model.table.none]
        top.append(log_p_NF.topk(min(BEST, model.table.none), dim=-1).indices)
    return Guesses(torch.cat(top))


def _judge(guesses: Guesses, asked: Asked, none: int, nearest: float) -> _Found:
    right_QK = guesses.family_QK[:, :BEST] == asked.family_Q[:, None]
    right_Q2 = torch.stack([right_QK[:, 0], right_QK.any(1)], dim=1)
    stated = np.zeros((0, 2))
    if guesses.probability_Q is not None:
        stated = torch.stack([guesses.probability_Q.double(), right_QK[:, 0].double()], dim=1).numpy()
    return _Found(right_Q2[asked.family_Q < none].numpy(), stated, nearest)


def _figures(found: list[_Found]) -> dict[str, float]:
    """Shares over all masked genes, and how far they would vary with other genomes."""
    hits = np.array([genome.right.sum(0) for genome in found], np.float64)
    genes = np.array([len(genome.right) for genome in found], np.float64)
    drawn = np.random.default_rng(0).integers(len(found), size=(_RESAMPLES, len(found)))
    firsts = hits[drawn, 0].sum(1) / genes[drawn].sum(1)
    low, high = np.quantile(firsts, [0.025, 0.975])
    figures = {
        "genomes": len(found),
        "genes": int(genes.sum()),
        "first": float(hits[:, 0].sum() / genes.sum()),
        "four": float(hits[:, 1].sum() / genes.sum()),
        "first_low": float(low),
        "first_high": float(high),
    }
    stated = np.concatenate([genome.stated for genome in found])
    if len(stated):
        figures["calibration_error"] = calibration_error(stated[:, 0], stated[:, 1])
    return figures


def table_lines(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """The figures as lines of a table for people."""
    heads = f"{'ring':9} {'by':8} {'genomes':>7} {'genes':>7} {'first':>6} {'95 %':>13} {'of four':>7}"
    lines = [f"{heads} {'calibration error':>17}"]
    for ring, rows in found.items():
        for who, of in rows.items():
            error = f"{of['calibration_error']:.3f}" if "calibration_error" in of else ""
            interval = f"{of['first_low']:.3f}-{of['first_high']:.3f}"
            lines.append(
                f"{ring:9} {who:8} {of['genomes']:7.0f} {of['genes']:7.0f} {of['first']:6.3f} "
                f"{interval:>13} {of['four']:7.3f} {error:>17}"
            )
    return lines


def lines_of_one(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The figures of one genome as lines of a table for people."""
    lines = [
        f"{'by':8} {'genes':>6} {'absolute':>8} {'pseudo':>6} {'family':>6} {'above .75':>9} {'right':>6}"
    ]
    for who, of in found.items():
        sure = f"{of['confident']:9.3f} {of['confident_right']:6.3f}" if "confident" in of else ""
        figures = f"{of['absolute']:8.3f} {of['pseudo']:6.3f} {of['family']:6.3f}"
        lines.append(f"{who:8} {of['genes']:6.0f} {figures} {sure}".rstrip())
    return lines
