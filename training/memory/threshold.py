"""How near to a family a protein must be, so that the memory of gene order tells most.

The threshold by which most proteins get their own family is strict: it leaves a third of all genes without
one, and these neither vote nor are voted for. A wrong family costs the vote little, because relatives mostly
get the same wrong one. So the memory is asked for genes of the calibrating genomes at several thresholds, in
windows as the paper masks them, their genus ring left out; where nothing is found then, as among strains of
one species, only the genome itself. What a gene is and who is in a ring, clusters of similar sequences say,
whatever the threshold.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ..common.console import Report
from ..glm.families import Families, by_cluster
from ..glm.windows import Embeddings
from .asked import Asker
from .build import CorpusMemory, build_memory
from .mixture import log_prior, some

THRESHOLDS = tuple(percent / 100 for percent in range(92, 47, -4))  # cosines, the strictest first
ENOUGH = 0.95  # of the most right guesses: among thresholds that find so many, the strictest is taken
MOST_GENOMES = 10  # that are asked
RANKED = ("genus", "near")  # rings; the next where the memory finds nothing by the one before


def choose_threshold(
    corpus: Path, families: Families, embeddings_ND: Embeddings, *, seed: int = 0, report: Report
) -> Families:
    """The families of a corpus with the threshold that lets the memory find enough.

    Args:
        corpus: the corpus folder.
        families: of its proteins; they keep their threshold where the memory finds nothing by any.
        embeddings_ND: of the same.
        seed: of the genes that are asked for.
        report: called with a line for each threshold.
    """
    true_N = by_cluster(corpus, families)
    sure = replace(families, nearest_N=true_N.astype(np.int32), cosine_N=np.ones_like(families.cosine_N))
    shares_MM = build_memory(corpus, sure).shares_MM
    for ring in RANKED:
        shares = []
        for threshold in THRESHOLDS:
            looser = families.with_threshold(threshold)
            memory = replace(build_memory(corpus, looser), shares_MM=shares_MM)
            shares.append(_right_guesses(memory, looser, true_N, embeddings_ND, ring, seed))
            report(f"families from cosine {threshold}: the memory finds {shares[-1]:.4f} of the hidden genes")
        if any(shares):
            enough = ENOUGH * max(shares)
            found = zip(THRESHOLDS, shares, strict=True)
            return families.with_threshold(next(threshold for threshold, share in found if share >= enough))
    return families


def _right_guesses(
    memory: CorpusMemory,
    families: Families,
    true_N: npt.NDArray[np.int64],
    embeddings_ND: Embeddings,
    ring: str,
    seed: int,
) -> float:
    """Share of the genes of a family for which the memory votes first, in calibrating genomes."""
    asker = Asker(families, embeddings_ND, log_prior(memory.memory.index()))
    generator, right, asked_for = torch.Generator().manual_seed(seed), 0, 0
    rows = [row for row, split in enumerate(memory.split) if split == "valid"]
    for row in rows[:: -(-len(rows) // MOST_GENOMES) or 1]:
        order = memory.order_of(row)
        asked = some(asker.in_windows(order, seed + row), generator)
        gene_Q = asker.genes_in_windows(order)[asked.at_Q.numpy()]
        true_Q = torch.from_numpy(true_N[order.protein_G[gene_Q]])
        known_Q = true_Q < families.table.none
        index = memory.memory.index(memory.seen_by(row, ring))
        guesses = [asking.votes.family_QK[:, 0] for asking in asker.ask(asked, index)]
        if guesses:
            right += int((torch.cat(guesses) == true_Q)[known_Q].sum())
            asked_for += int(known_Q.sum())
    return right / asked_for if asked_for else 0.0
