"""Genes of a corpus that are hidden and asked for, and what memory and gLM say of each.

They are hidden in two ways. *In windows*, as the paper does it: 15 % of the genes of a window together, and
their strands. *Alone*, as in use: each gene by itself, its strand known; gLM alone hides every
seventh gene of a window together.

Axes: W windows, T genes of a window, G genes, Q genes asked for, H hidden features of gLM.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from glm_annot.model.families import FamilyGLM, last_hidden
from glm_annot.model.glm import context_masks, mask_inputs
from glm_annot.model.neighbours.memory import Genes, MemoryIndex
from glm_annot.model.neighbours.mixture import Asking, Candidates, ask, gather_candidates
from glm_annot.model.windows import MAX_GENES

from ..glm.families import Families
from ..glm.masked import BATCH_WINDOWS, central_slots, evaluating
from ..glm.windows import Embeddings, GeneOrder, Spans, WindowReader, cut, random_mask


@dataclass(frozen=True)
class Asked:
    """Genes that are asked for.

    Attributes:
        genes: all genes that may be seen; where windows are read, each window is a contig of its own.
        at_Q: int64, which of them are asked for, rising.
        family_Q: their families.
        strand_known: whether their strands are known.
        hidden_QH: gLM's last hidden state where each is hidden; None without a gLM that tells families.
    """

    genes: Genes
    at_Q: Tensor
    family_Q: Tensor
    strand_known: bool
    hidden_QH: Tensor | None = None


@dataclass(frozen=True)
class Asker:
    """Hides genes of a corpus and asks memory and gLM for them.

    Attributes:
        families: of the corpus's proteins.
        embeddings_ND: of the same.
        log_prior_F: see `Mixture`.
        model: a gLM that tells families; None asks the memory alone.
    """

    families: Families
    embeddings_ND: Embeddings
    log_prior_F: Tensor
    model: FamilyGLM | None = None

    def in_windows(self, order: GeneOrder, seed: int) -> Asked:
        """Hide 15 % of the genes of each window of 15 to 30 genes, drawn by the seed, and their strands."""
        spans = cut(order)
        masked_WT = _masks(spans, seed)
        gene_G, slot_T = _genes_of(spans), torch.arange(masked_WT.shape[1])
        hidden_G = masked_WT[slot_T < torch.from_numpy(spans.length_W)[:, None]]
        first_C = torch.from_numpy(np.concatenate([[0], np.cumsum(spans.length_W)]).astype(np.int64))
        genes = Genes(*self._families_and_strands(order, gene_G), first_C, hidden_G)
        at_Q = torch.nonzero(hidden_G)[:, 0]
        states = None
        if self.model is not None:
            states = _states_in_windows(self.model, self._reader(order, self.model), spans, masked_WT)
        return Asked(genes, at_Q, genes.family_G[at_Q], False, states)

    def genes_in_windows(self, order: GeneOrder) -> npt.NDArray[np.int64]:
        """Which gene of the genome each of the genes of `in_windows` is."""
        return _genes_of(cut(order))

    def alone(self, order: GeneOrder) -> Asked:
        """Hide each gene of the contigs of 15 genes or more by itself."""
        first_C = torch.from_numpy(order.first_C.astype(np.int64))
        genes = Genes(*self._families_and_strands(order, np.arange(len(order.protein_G))), first_C)
        spans = cut(order, stride=MAX_GENES // 2)
        if self.model is None:
            at_Q = torch.from_numpy(np.unique(_genes_of(spans)))
            return Asked(genes, at_Q, genes.family_G[at_Q], True)
        read = list(_states_alone(self.model, self._reader(order, self.model), spans))
        at_Q, which = torch.cat([at for at, _ in read]).sort()
        return Asked(genes, at_Q, genes.family_G[at_Q], True, torch.cat([of for _, of in read])[which])

    def ask(self, asked: Asked, index: MemoryIndex) -> Iterator[Asking]:
        """Ask the memory, as much of it as the index may see, and gLM, for some genes at a time, in order."""

        def log_p(rows: Tensor) -> Tensor | None:
            if self.model is None or asked.hidden_QH is None:
                return None
            with torch.inference_mode():
                log_p_QF: Tensor = self.model.head(asked.hidden_QH[rows], self.model.table)
                return log_p_QF

        return ask(index, asked.genes, asked.at_Q, log_p, strand_known=asked.strand_known)

    def candidates(self, said: Iterable[Asking]) -> Candidates:
        """What memory and gLM name for the genes asked for."""
        return Candidates.joined([gather_candidates(asking, self.log_prior_F) for asking in said])

    def directions(self, asked: Asked, order: GeneOrder) -> Tensor:
        """Embeddings of the genes asked for, as `FamilyTable.directions` gives them, (Q, D)."""
        rows_Q = order.protein_G[asked.at_Q.numpy()]
        embeddings_QD = torch.from_numpy(np.asarray(self.embeddings_ND[rows_Q], np.float32))
        return self.families.table.directions(embeddings_QD)

    def _reader(self, order: GeneOrder, model: FamilyGLM) -> WindowReader:
        return WindowReader(order, self.embeddings_ND, model.features)

    def _families_and_strands(self, order: GeneOrder, gene_G: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        family_G = self.families.family_N[order.protein_G[gene_G]].astype(np.int64)
        return torch.from_numpy(family_G), torch.from_numpy(order.strand_G[gene_G])


def shuffled(order: GeneOrder, seed: int = 0) -> GeneOrder:
    """The same genes, those of each contig in another order, each with its strand."""
    generator = np.random.default_rng(seed)
    contigs = zip(order.first_C[:-1], order.first_C[1:], strict=True)
    moved_G = np.concatenate([first + generator.permutation(end - first) for first, end in contigs])
    return replace(order, protein_G=order.protein_G[moved_G], strand_G=order.strand_G[moved_G])


def _masks(spans: Spans, seed: int) -> Tensor:
    """Which slots of the windows are masked, (W, T)."""
    slot_T = torch.arange(int(spans.length_W.max(initial=1)))
    real_WT = slot_T < torch.from_numpy(spans.length_W)[:, None]
    return random_mask(real_WT, torch.Generator().manual_seed(seed))


def _genes_of(spans: Spans) -> npt.NDArray[np.int64]:
    """The genes of all windows, one window after the other."""
    pairs = zip(spans.first_W.tolist(), spans.length_W.tolist(), strict=True)
    return np.concatenate([np.zeros(0, np.int64), *(np.arange(first, first + n) for first, n in pairs)])


@torch.inference_mode()
def _states_in_windows(model: FamilyGLM, reader: WindowReader, spans: Spans, masked_WT: Tensor) -> Tensor:
    """gLM's last hidden state at the masked slots, window by window, (Q, H)."""
    states, first = [], 0
    with evaluating(model.network) as network:
        for batch in reader.batches(spans, BATCH_WINDOWS):
            masked_BT = torch.zeros_like(batch.real_BT)
            masked_BT[:, : masked_WT.shape[1]] = masked_WT[first : first + len(masked_BT)]
            first += len(masked_BT)
            output = network(mask_inputs(batch.x_BTE, masked_BT), batch.real_BT)
            states.append(last_hidden(output)[masked_BT].cpu())
    return torch.cat(states) if states else torch.zeros(0, model.head.config.hidden)


@torch.inference_mode()
def _states_alone(model: FamilyGLM, reader: WindowReader, spans: Spans) -> Iterator[tuple[Tensor, Tensor]]:
    """Genes and gLM's last hidden state where they are hidden, their strands known: (Q,) and (Q, H)."""
    first = 0
    with evaluating(model.network) as network:
        for batch in reader.batches(spans, BATCH_WINDOWS):
            central_BT = central_slots(reader.order, spans, first, batch.real_BT)
            begin_B = torch.from_numpy(spans.first_W[first : first + len(batch.real_BT)])
            first += len(batch.real_BT)
            for mask_T in context_masks(MAX_GENES, batch.real_BT.device):
                masked_BT = mask_T & batch.real_BT
                output = network(mask_inputs(batch.x_BTE, masked_BT, masked_BT), batch.real_BT)
                kept_BT = masked_BT & central_BT
                gene_BT = begin_B[:, None] + torch.arange(MAX_GENES)
                yield gene_BT[kept_BT.cpu()], last_hidden(output)[kept_BT].cpu()
