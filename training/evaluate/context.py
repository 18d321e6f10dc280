"""How well neighbours predict masked genes: memory of gene order and gLM, by the nearest relatives allowed.

Each genome that the corpus sets aside for testing is cut into windows of 15 to 30 genes, 15 % of them masked
with their orientation, as in the paper. The same masked genes are asked for in each ring of relatives
(`corpus.rings`). A gLM's own training is what it is; its figures are of one ring, the one that the corpus
keeps out of training.

Axes: W windows, G genes of all of them, Q masked genes, K candidates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from glm_annot.errors import InputError
from glm_annot.model.families import FamilyGLM, FamilyTable
from glm_annot.model.glm import mask_inputs
from glm_annot.model.memory import Genes

from ..common.console import Report
from ..corpus.rings import RINGS
from ..glm.families import read_families
from ..glm.masked import BATCH_WINDOWS, evaluating
from ..glm.train import load_run, read_embeddings
from ..glm.windows import GeneOrder, Spans, WindowReader, cut, random_mask
from ..memory.build import CorpusMemory, build_memory

BEST = 4  # guesses that count for 'among four', as many as gLM makes predictions
_RESAMPLES = 1000


@dataclass(frozen=True)
class Asked:
    """The masked genes of a genome.

    Attributes:
        genes: all genes of its windows, each window a contig of its own, the masked ones hidden.
        at_Q: which of them are masked.
        family_Q: their families.
        known_Q: which of them have one.
    """

    genes: Genes
    at_Q: Tensor
    family_Q: Tensor
    known_Q: Tensor


def evaluate_context(
    corpus: Path, *, glm: Path | None = None, split: str = "test", seed: int = 0, report: Report
) -> dict[str, dict[str, dict[str, float]]]:
    """Measure on the genomes of a corpus's split how often masked genes' families are found.

    Args:
        corpus: the corpus folder, with embeddings and families.
        glm: a finished gLM run on it that was trained on families.
        split: of the corpus.
        seed: of the masks.
        report: called with a line for each genome.

    Returns:
        ring -> who guesses ('memory', 'glm') -> genomes, genes (masked ones of a family), first and four
        (shares of these found by the first guess, among the first four), first_low and first_high (95 %
        interval of first, by resampling genomes).

    Raises:
        InputError: no genome is of that split, or the run tells no families.
    """
    families = read_families(corpus)
    memory = build_memory(corpus, families)
    rows = [row for row, of in enumerate(memory.split) if of == split]
    if not rows:
        raise InputError(f"has no genomes in the split {split!r}", corpus)
    embeddings_ND = read_embeddings(corpus)
    model = None if glm is None else _read_family_glm(glm, families.table)
    found: dict[tuple[str, str], list[npt.NDArray[np.bool_]]] = {}
    for row in rows:
        order = memory.order_of(row)
        spans = cut(order)
        if not len(spans):
            continue
        masked_W = _masks(spans, seed + row)
        asked = _asked(order, spans, masked_W, families.family_N, families.table.none)
        for (ring, who), guesses_QK in _guesses(memory, row, asked):
            found.setdefault((ring, who), []).append(_right(guesses_QK, asked))
        if model is not None:
            reader = WindowReader(order, embeddings_ND, model.features)
            guesses_QK = _guesses_of_glm(model, reader, spans, masked_W)
            found.setdefault(("genus", "glm"), []).append(_right(guesses_QK, asked))
        report(f"genome {memory.genomes[row]}: {len(asked.at_Q)} masked genes")
    table: dict[str, dict[str, dict[str, float]]] = {}
    for (ring, who), right in found.items():
        table.setdefault(ring, {})[who] = _figures(right)
    return table


def _read_family_glm(glm: Path, table: FamilyTable) -> FamilyGLM:
    run = load_run(glm)
    if run.family_head is None:
        raise InputError("was not trained on families", glm)
    return FamilyGLM(run.network, table, run.family_head, run.features)


def _masks(spans: Spans, seed: int) -> Tensor:
    """Which slots of the windows are masked, (W, T)."""
    slot_T = torch.arange(int(spans.length_W.max()))
    real_WT = slot_T < torch.from_numpy(spans.length_W)[:, None]
    return random_mask(real_WT, torch.Generator().manual_seed(seed))


def _asked(
    order: GeneOrder, spans: Spans, masked_WT: Tensor, family_N: npt.NDArray[np.int32], none: int
) -> Asked:
    gene_G = np.concatenate(
        [np.arange(first, first + n) for first, n in zip(spans.first_W, spans.length_W, strict=True)]
    )
    slot_T = torch.arange(masked_WT.shape[1])
    hidden_G = masked_WT[slot_T < torch.from_numpy(spans.length_W)[:, None]]
    family_G = torch.from_numpy(family_N[order.protein_G[gene_G]].astype(np.int64))
    genes = Genes(
        family_G,
        torch.from_numpy(order.strand_G[gene_G]),
        torch.from_numpy(np.concatenate([[0], np.cumsum(spans.length_W)])),
        hidden_G,
    )
    at_Q = torch.nonzero(hidden_G)[:, 0]
    return Asked(genes, at_Q, family_G[at_Q], family_G[at_Q] < none)


def _guesses(memory: CorpusMemory, row: int, asked: Asked) -> Iterator[tuple[tuple[str, str], Tensor]]:
    """What the memory guesses in each ring, (Q, K)."""
    for ring in RINGS:
        votes = memory.memory.index(memory.seen_by(row, ring)).ask(asked.genes, asked.at_Q)
        yield (ring, "memory"), votes.family_QK


@torch.inference_mode()
def _guesses_of_glm(model: FamilyGLM, reader: WindowReader, spans: Spans, masked_WT: Tensor) -> Tensor:
    """The four families that gLM finds likeliest of each masked gene, (Q, 4)."""
    guesses, first = [], 0
    with evaluating(model):
        for batch in reader.batches(spans, BATCH_WINDOWS):
            masked_BT = torch.zeros_like(batch.real_BT)
            masked_BT[:, : masked_WT.shape[1]] = masked_WT[first : first + len(masked_BT)]
            first += len(masked_BT)
            output = model.network(mask_inputs(batch.x_BTE, masked_BT), batch.real_BT)
            logits_NF = model.family_logits(output, masked_BT)[:, : model.table.none]
            guesses.append(logits_NF.topk(min(BEST, model.table.none), dim=-1).indices)
    return torch.cat(guesses)


def _right(guesses_QK: Tensor, asked: Asked) -> npt.NDArray[np.bool_]:
    """For masked genes of a family whether the first guess and one of four is right, (genes, 2)."""
    right_QK = guesses_QK[:, :BEST] == asked.family_Q[:, None]
    right_Q2 = torch.stack([right_QK[:, 0], right_QK.any(1)], dim=1)
    found: npt.NDArray[np.bool_] = right_Q2[asked.known_Q].numpy()
    return found


def _figures(right: list[npt.NDArray[np.bool_]]) -> dict[str, float]:
    """Shares over all masked genes, and how far they would vary with other genomes."""
    hits = np.array([genome.sum(0) for genome in right], np.float64)
    genes = np.array([len(genome) for genome in right], np.float64)
    drawn = np.random.default_rng(0).integers(len(right), size=(_RESAMPLES, len(right)))
    firsts = hits[drawn, 0].sum(1) / genes[drawn].sum(1)
    low, high = np.quantile(firsts, [0.025, 0.975])
    return {
        "genomes": float(len(right)),
        "genes": float(genes.sum()),
        "first": float(hits[:, 0].sum() / genes.sum()),
        "four": float(hits[:, 1].sum() / genes.sum()),
        "first_low": float(low),
        "first_high": float(high),
    }


def table_lines(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    """The figures as lines of a table."""
    lines = [f"{'ring':8} {'by':8} {'genomes':>7} {'genes':>7} {'first':>6} {'95 %':>13} {'of four':>7}"]
    for ring, rows in found.items():
        for who, of in rows.items():
            interval = f"{of['first_low']:.3f}-{of['first_high']:.3f}"
            lines.append(
                f"{ring:8} {who:8} {of['genomes']:7.0f} {of['genes']:7.0f} {of['first']:6.3f} "
                f"{interval:>13} {of['four']:7.3f}"
            )
    return lines
