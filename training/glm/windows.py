"""Windows of 15 to 30 genes cut from a corpus, and batches of them.

Axes: G genes, contig by contig; C contigs; N proteins; W windows; B windows of a batch; T slots of a window;
D dimensions of a protein's embedding; E numbers of a gLM input; L of a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from glm_annot.errors import InputError
from glm_annot.model.glm import GeneFeatures
from glm_annot.model.windows import MAX_GENES
from glm_annot.records import Genome

from ..corpus.tables import MIN_GENES, read_table
from ..settings import MASK_PROBABILITY

LABEL_LIMIT = 10.0  # labels are clipped to +-10 in training, the same
Embeddings = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class GeneOrder:
    """Genes in order along their contigs.

    Attributes:
        protein_G: row of each gene's protein in the embeddings.
        strand_G: 1 or -1.
        near_G: whether its protein resembles one of the evaluation genome's.
        first_C: first gene of each contig, and the number of genes at the end (C + 1 numbers).
    """

    protein_G: npt.NDArray[np.int64]
    strand_G: npt.NDArray[np.int64]
    near_G: npt.NDArray[np.bool_]
    first_C: npt.NDArray[np.int64]

    @classmethod
    def read(cls, corpus: Path, split: str) -> GeneOrder:
        """The genes of a corpus folder's genomes of one split ('train', 'valid' or 'test').

        Raises:
            InputError: the folder is no corpus, or no genome of that split has a gene.
        """
        genomes = read_table(corpus, "genomes", ["genome", "split"])
        contigs = read_table(corpus, "contigs", ["contig", "genome"])
        genes = read_table(corpus, "genes", ["contig", "protein", "strand"])
        near_N = read_table(corpus, "proteins", ["near_heldout"])["near_heldout"].to_numpy()
        wanted = genomes["genome"].to_numpy()[np.array(genomes["split"].to_pylist()) == split]
        chosen = contigs["contig"].to_numpy()[np.isin(contigs["genome"].to_numpy(), wanted)]
        kept_G = np.isin(genes["contig"].to_numpy(), chosen)
        if not kept_G.any():
            raise InputError(f"has no genes in the split {split!r}", corpus)
        protein_G = genes["protein"].to_numpy()[kept_G].astype(np.int64)
        contig_G = genes["contig"].to_numpy()[kept_G]
        starts = np.flatnonzero(np.diff(contig_G, prepend=-1))
        strand_G = genes["strand"].to_numpy()[kept_G].astype(np.int64)
        return cls(protein_G, strand_G, near_N[protein_G], np.append(starts, len(contig_G)))

    @classmethod
    def of_genome(cls, genome: Genome) -> GeneOrder:
        """The coding genes of a genome, whose embeddings' rows are in the same order."""
        lengths = [len(contig.coding) for contig in genome.contigs]
        strands = [gene.strand for gene in genome.coding]
        return cls(
            np.arange(len(strands)),
            np.array(strands, np.int64),
            np.zeros(len(strands), np.bool_),
            np.cumsum([0, *lengths]),
        )


@dataclass(frozen=True, slots=True)
class Spans:
    """Windows as runs of genes of a `GeneOrder`: first gene and number of genes."""

    first_W: npt.NDArray[np.int64]
    length_W: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first_W)

    def take(self, which: npt.NDArray[np.int64]) -> Spans:
        """Some of them, in the order asked for."""
        return Spans(self.first_W[which], self.length_W[which])


def cut(order: GeneOrder, *, stride: int = MAX_GENES) -> Spans:
    """Cut each contig into windows of 30 genes from its first gene on, keeping a remainder of 15 or more.

    Args:
        order: the genes.
        stride: genes from one window's first to the next one's; below 30 they overlap.
    """
    contigs = zip(order.first_C[:-1].tolist(), order.first_C[1:].tolist(), strict=True)
    # A window that only repeats genes of the one before it is not cut.
    starts = [
        (s, end)
        for first, end in contigs
        for s in range(first, max(first + 1, end - MAX_GENES + stride), stride)
    ]
    first_W, end_W = np.array(starts, np.int64).reshape(-1, 2).T
    return _long_enough(first_W, np.minimum(end_W, first_W + MAX_GENES))


def all_windows(order: GeneOrder) -> Spans:
    """Every window of up to 30 consecutive genes, at any offset; at least 15 where a contig's end cuts it.

    Drawn from evenly, they cover the genes of a contig evenly but for its ends.
    """
    length_C = np.diff(order.first_C)
    # From the window that reaches 15 genes into the contig to the one that leaves 15 before its end.
    count_C = np.where(length_C >= MIN_GENES, length_C + MAX_GENES - 2 * MIN_GENES + 1, 0)
    contig_W = np.repeat(np.arange(len(length_C)), count_C)
    turn_W = np.arange(len(contig_W)) - np.repeat(np.cumsum(count_C) - count_C, count_C)
    first_W = order.first_C[contig_W] + turn_W - (MAX_GENES - MIN_GENES)
    end_W = np.minimum(first_W + MAX_GENES, order.first_C[contig_W + 1])
    return _long_enough(np.maximum(first_W, order.first_C[contig_W]), end_W)


def _long_enough(first_W: npt.NDArray[np.int64], end_W: npt.NDArray[np.int64]) -> Spans:
    kept_W = end_W - first_W >= MIN_GENES
    return Spans(first_W[kept_W], (end_W - first_W)[kept_W])


def without_near(order: GeneOrder, spans: Spans) -> Spans:
    """Leave out windows in which more than half of the proteins resemble the evaluation genome's."""
    before_G = np.concatenate([[0], np.cumsum(order.near_G)])
    near_W = before_G[spans.first_W + spans.length_W] - before_G[spans.first_W]
    return spans.take(np.flatnonzero(2 * near_W <= spans.length_W))


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows as gLM reads them, padded to the same number of genes.

    Attributes:
        x_BTE: inputs, unmasked, zero at padding.
        labels_BTL: labels, not clipped.
        real_BT: True where there is a gene.
        protein_BT: rows of the genes' proteins in the embeddings, on the CPU; anything at padding.
    """

    x_BTE: Tensor
    labels_BTL: Tensor
    real_BT: Tensor
    protein_BT: Tensor


class WindowReader:
    """Makes batches from spans of genes.

    Args:
        order: the genes.
        embeddings_ND: protein embeddings, for instance a memory map.
        features: makes inputs and labels, on the device where batches are wanted.
    """

    def __init__(self, order: GeneOrder, embeddings_ND: Embeddings, features: GeneFeatures) -> None:
        self.order, self.embeddings_ND, self.features = order, embeddings_ND, features

    def read(
        self,
        spans: Spans,
        flip_W: npt.NDArray[np.bool_] | None = None,
        substitute: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]] | None = None,
    ) -> Batch:
        """All spans as one batch.

        Args:
            spans: the windows.
            flip_W: those to read on the other strand: backwards, strands turned.
            substitute: gives for the genes' proteins (B, T) those to read in their place.
        """
        slot_T = np.arange(MAX_GENES)
        real_BT = slot_T < spans.length_W[:, None]
        place_BT = np.where(real_BT, slot_T, 0)
        if flip_W is not None:
            place_BT = np.where(flip_W[:, None] & real_BT, spans.length_W[:, None] - 1 - place_BT, place_BT)
        gene_BT = spans.first_W[:, None] + place_BT
        strand_BT = self.order.strand_G[gene_BT]
        if flip_W is not None:
            strand_BT = np.where(flip_W[:, None], -strand_BT, strand_BT)
        protein_BT = self.order.protein_G[gene_BT]
        if substitute is not None:
            protein_BT = substitute(protein_BT)
        return self._batch(protein_BT, strand_BT, real_BT)

    def batches(self, spans: Spans, size: int) -> Iterator[Batch]:
        """The spans in order, `size` a batch."""
        for start in range(0, len(spans), size):
            yield self.read(spans.take(np.arange(start, min(start + size, len(spans)))))

    def _batch(
        self, protein_BT: npt.NDArray[np.int64], strand_BT: npt.NDArray[np.int64], real: npt.NDArray[np.bool_]
    ) -> Batch:
        device = self.features.mean_D.device
        embeddings_BTD = self.embeddings_ND[protein_BT]
        embeddings = torch.from_numpy(np.ascontiguousarray(embeddings_BTD)).to(device)
        strands, real_BT = torch.from_numpy(strand_BT).to(device), torch.from_numpy(real).to(device)
        x_BTE = self.features.inputs(embeddings, strands).masked_fill(~real_BT[..., None], 0.0)
        labels_BTL = self.features.labels(embeddings, strands).masked_fill(~real_BT[..., None], 0.0)
        return Batch(x_BTE, labels_BTL, real_BT, torch.from_numpy(protein_BT))


def random_mask(real_BT: Tensor, generator: torch.Generator, probability: float = MASK_PROBABILITY) -> Tensor:
    """Mask each gene with some probability, and at least one gene of every window.

    Args:
        real_BT: which slots are genes.
        generator: draws on the CPU, so that the masks do not depend on the device.
        probability: of each gene.
    """
    draw_BT = torch.rand(real_BT.shape, generator=generator).to(real_BT.device).masked_fill(~real_BT, 2.0)
    lowest_BT = torch.zeros_like(real_BT).scatter(1, draw_BT.argmin(1, keepdim=True), True)
    return ((draw_BT < probability) | lowest_BT) & real_BT
