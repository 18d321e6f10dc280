"""Masked genes of one genome by the paper's measure, told by memory, gLM and their mixture.

A guess is a family; it points to the gene of the window whose embedding lies nearest to the centroid of the
family. It is right if that is the masked gene (Hwang et al. 2023): *absolute* by the first guess, *pseudo*
by that of four guesses which lies nearest to the truth. The labels are directions of our encoder's
embeddings, and not the paper's 100 numbers, so that figures are no contest with the paper's. *Family* does
without: the share of the genes of a family whose first guess is theirs.

Places of the memory neither vote nor are voted for where more than half of the 30 genes around resemble one
of the genome's, as in the paper's choice of windows to train on.

Axes: Q masked genes, D dimensions of an embedding, T genes of a window.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from glm_annot.bundle import Model
from glm_annot.model.neighbours.judge import Neighbours
from glm_annot.model.windows import MAX_GENES
from glm_annot.records import Genome

from ...corpus.tables import read_table
from ...glm.losses import HIGH_CONFIDENCE
from ...glm.windows import GeneOrder
from ...memory.asked import Asked
from ...memory.build import CorpusMemory
from ..context import Guesses, guesses_of
from .places import asker_of, embed_families, neighbours_of, of_corpus

PASSES = 7  # maskings; each gene is masked about once
_FOUR = 4
_AROUND = MAX_GENES // 2  # genes to either side of a place that decide whether it resembles the genome


def evaluate_masked_families(model: Model, genome: Genome, corpus: Path) -> dict[str, dict[str, float]]:
    """Measure on a genome that the corpus was told to keep away from (`corpus.held_out` of its recipe).

    Args:
        model: with a memory of gene order.
        genome: whose genes are masked.
        corpus: that the memory was built from; says which places resemble the genome's proteins.

    Returns:
        who guesses ('memory', 'glm', 'mixture') -> genes, absolute, pseudo, family; and of those that state a
        probability confident (share of first guesses above 0.75) and confident_right.

    Raises:
        InputError: the model has no memory, or another one than the corpus.
    """
    neighbours, (found, _) = neighbours_of(model), of_corpus(corpus, model)
    index = neighbours.memory.index(torch.from_numpy(~_near_regions(found, corpus)))
    embeddings_ND = embed_families(model, genome)
    asker = asker_of(model, embeddings_ND)
    order, direction_ND = (
        GeneOrder.of_genome(genome),
        neighbours.table.directions(torch.from_numpy(embeddings_ND)),
    )
    rows: dict[str, list[Tensor]] = {}
    for seed in range(PASSES):
        asked, gene_G = asker.in_windows(order, seed), asker.genes_in_windows(order)
        for who, guesses in guesses_of(asker, asked, index, neighbours.mixture).items():
            judged = _judge(guesses, asked, direction_ND[gene_G], neighbours)
            rows.setdefault(who, []).append(judged)
    return {who: _figures(torch.cat(parts)) for who, parts in rows.items()}


def _near_regions(found: CorpusMemory, corpus: Path) -> npt.NDArray[np.bool_]:
    """Places of a memory around which more than half of the genes resemble one that was held out, (N,)."""
    near_P = read_table(corpus, "proteins", ["near_heldout"])["near_heldout"].to_numpy()
    before_N = np.concatenate([[0], np.cumsum(near_P[found.protein_N])])
    first_C = found.memory.first_C.numpy()
    length_C, place_N = np.diff(first_C), np.arange(len(found.protein_N))
    low_N = np.maximum(place_N - _AROUND, np.repeat(first_C[:-1], length_C))
    high_N = np.minimum(place_N + _AROUND, np.repeat(first_C[1:], length_C))
    regions: npt.NDArray[np.bool_] = 2 * (before_N[high_N] - before_N[low_N]) > high_N - low_N
    return regions


def _judge(guesses: Guesses, asked: Asked, direction_GD: Tensor, neighbours: Neighbours) -> Tensor:
    """Of each masked gene absolute, pseudo, has a family, family right, probability or NaN: (Q, 5)."""
    first_C, at_Q = asked.genes.first_C, asked.at_Q
    window_Q = torch.searchsorted(first_C, at_Q, right=True) - 1
    own_QD = direction_GD[at_Q]
    guess_QK = guesses.family_QK[:, :_FOUR]
    centroid_QKD = neighbours.table.centroids_FD[guess_QK.clamp_min(0)]
    cosine_QK = (centroid_QKD @ own_QD[:, :, None])[..., 0].masked_fill(guess_QK < 0, -2.0)
    T = int(first_C.diff().max())
    gene_QT = first_C[window_Q][:, None] + torch.arange(T)
    inside_QT = gene_QT < first_C[window_Q + 1][:, None]
    window_QTD = direction_GD[gene_QT.clamp_max(len(direction_GD) - 1)]
    pointed = (centroid_QKD @ window_QTD.transpose(1, 2)).masked_fill(~inside_QT[:, None], -2.0).argmax(-1)
    right_QK = (gene_QT.gather(1, pointed) == at_Q[:, None]) & (guess_QK >= 0)
    pseudo_Q = right_QK.gather(1, cosine_QK.argmax(1, keepdim=True))[:, 0]
    known_Q = asked.family_Q < neighbours.config.families
    family_Q = known_Q & (guess_QK[:, 0] == asked.family_Q)
    stated = guesses.probability_Q
    stated_Q = torch.full((len(at_Q),), torch.nan) if stated is None else stated
    return torch.stack([right_QK[:, 0], pseudo_Q, known_Q, family_Q, stated_Q], dim=1).double()


def _figures(rows: Tensor) -> dict[str, float]:
    absolute, pseudo, known, family, stated = rows.T
    figures = {
        "genes": float(len(rows)),
        "absolute": float(absolute.mean()),
        "pseudo": float(pseudo.mean()),
        "family": float(family.sum() / known.sum()),
    }
    if not stated.isnan().any():
        sure = stated > HIGH_CONFIDENCE
        figures["confident"] = float(sure.double().mean())
        figures["confident_right"] = float(absolute[sure].mean())
    return figures
