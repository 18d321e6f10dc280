"""gLM over a whole genome: each gene and each pair is read from the window that holds it most centrally.

Training and inference both read these states, so heads are fitted on exactly what they later see.

Axes: G coding genes of the genome, contig by contig; D embedding; E gLM input; S hidden layers kept; F hidden
features; N pairs of neighbours on a contig; A = layers * heads, layer-major; B windows of a batch; T genes of
a window.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from glm_annot.model.devices import in_halves
from glm_annot.model.families import last_hidden
from glm_annot.model.glm import (
    GLM,
    ContextFit,
    GeneFeatures,
    GLMOutput,
    context_masks,
    lone_gene,
    mask_inputs,
)
from glm_annot.model.windows import MAX_GENES, central_gene, central_pair, windows
from glm_annot.records import Genome, Window

BATCH_WINDOWS = 32  # windows a batch; larger ones are no faster on two cores


@dataclass(frozen=True, slots=True)
class ContextStates:
    """What gLM makes of a genome.

    Attributes:
        hidden_GSF: hidden states of the layers asked for, in that order (0 is the embedding's output).
        attention_NA: for each contig A + A^T of its pairs in every head; no columns unless asked for.
        log_ratio_G: of the true label while the gene is masked, see `ContextFit`; NaN without one.
        confidence_G: likelihood of gLM's favoured prediction while the gene is masked; NaN likewise.
        masked_GF: last hidden state while the gene is masked, its strand known; no columns unless asked for.
        n_windows: windows read.
    """

    hidden_GSF: npt.NDArray[np.float32]
    attention_NA: tuple[npt.NDArray[np.float32], ...]
    log_ratio_G: npt.NDArray[np.float32]
    confidence_G: npt.NDArray[np.float32]
    masked_GF: npt.NDArray[np.float32]
    n_windows: int


def contextualise(
    genome: Genome,
    embeddings_GD: npt.NDArray[np.float32],
    glm: GLM,
    features: GeneFeatures,
    *,
    layers: Sequence[int] = (),
    attention: bool = False,
    fit: ContextFit | None = None,
    masked: bool = False,
    batch_size: int = BATCH_WINDOWS,
    progress: Callable[[int, int], None] | None = None,
) -> ContextStates:
    """Run gLM over all windows of a genome, keeping only what is asked for.

    Args:
        genome: its coding genes, contig by contig, are the rows of all results.
        embeddings_GD: one protein embedding per coding gene.
        glm, features: the model, both on the device to compute on.
        layers: hidden layers to keep.
        attention: keep the attentions of neighbouring pairs.
        fit: judge each gene, masked, in its context; up to seven more passes over each window.
        masked: keep the last hidden state of each masked gene; as many passes again.
        batch_size: windows per batch; bounds memory.
        progress: called with (windows done, windows in all) after each batch.
    """
    reader = _Reader(genome, embeddings_GD, glm, features, fit, tuple(layers), attention, masked)
    by_length = sorted(range(len(reader.windows)), key=lambda number: len(reader.windows[number].genes))
    glm.eval()
    for start in range(0, len(by_length), batch_size):
        in_halves(reader.read, by_length[start : start + batch_size])
        if progress:
            progress(min(start + batch_size, len(by_length)), len(by_length))
    return reader.states()


class _Held(NamedTuple):
    """The genes that a batch holds most centrally: window in the batch, slot in it, row of the genome."""

    b: npt.NDArray[np.int64]
    slot: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]


class _Reader:
    """Fills the arrays of a `ContextStates`, batch by batch."""

    def __init__(
        self,
        genome: Genome,
        embeddings_GD: npt.NDArray[np.float32],
        glm: GLM,
        features: GeneFeatures,
        fit: ContextFit | None,
        layers: tuple[int, ...],
        attention: bool,
        masked: bool,
    ) -> None:
        self.glm, self.fit, self.layers, self.attention, self.masked = glm, fit, layers, attention, masked
        self.windows = windows(genome, min(MAX_GENES, glm.config.max_distance))
        self.first_row = [0, *accumulate(len(contig.coding) for contig in genome.contigs)]
        self.inputs_GE, self.labels_GL = _features(genome, embeddings_GD, features)
        self.genes_of, self.pairs_of = _central_places(self.windows)

        n_genes, config = len(embeddings_GD), glm.config
        columns = config.layers * config.heads if attention else 0
        self.hidden_GSF = np.zeros((n_genes, len(layers), config.dim), np.float32)
        self.attention_NA = [np.zeros((len(contig.pairs), columns), np.float32) for contig in genome.contigs]
        self.log_ratio_G = np.full(n_genes, np.nan, np.float32)
        self.confidence_G = np.full(n_genes, np.nan, np.float32)
        self.masked_GF = np.zeros((n_genes, config.dim if masked else 0), np.float32)

    @cached_property
    def lone(self) -> GLMOutput:
        """What gLM predicts of a masked gene without neighbours."""
        return lone_gene(self.glm, self.inputs_GE)

    @torch.inference_mode()
    def read(self, numbers: Sequence[int]) -> None:
        """Runs some windows, by number, and keeps what they hold most centrally."""
        rows_BT, real_BT = self._rows(numbers)
        x_BTE = self.inputs_GE[rows_BT]
        held = self._held(numbers)
        if self.layers or self.attention:
            output = self.glm(x_BTE, real_BT, hidden_states=bool(self.layers), attentions=self.attention)
            self._keep_hidden(output, held)
            self._keep_attention(output, numbers)
        if self.fit is not None:
            self._keep_fit(x_BTE, real_BT, self.labels_GL[rows_BT], self.fit, held)
        if self.masked:
            self._keep_masked(x_BTE, real_BT, held)

    def states(self) -> ContextStates:
        """The filled arrays."""
        return ContextStates(
            self.hidden_GSF,
            tuple(self.attention_NA),
            self.log_ratio_G,
            self.confidence_G,
            self.masked_GF,
            len(self.windows),
        )

    def _held(self, numbers: Sequence[int]) -> _Held:
        places = [
            (b, slot, self.first_row[self.windows[n].contig] + self.windows[n].genes[slot])
            for b, n in enumerate(numbers)
            for slot in self.genes_of[n]
        ]
        return _Held(*np.array(places, dtype=np.int64).reshape(-1, 3).T)

    def _rows(self, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Rows of each window's genes, padded with the number of the zero row, and which are real."""
        longest = max(len(self.windows[number].genes) for number in numbers)
        rows_BT = torch.full((len(numbers), longest), len(self.inputs_GE) - 1)
        for b, number in enumerate(numbers):
            window = self.windows[number]
            rows_BT[b, : len(window.genes)] = torch.tensor(window.genes) + self.first_row[window.contig]
        rows_BT = rows_BT.to(self.inputs_GE.device)
        return rows_BT, rows_BT < len(self.inputs_GE) - 1

    def _keep_hidden(self, output: GLMOutput, held: _Held) -> None:
        for column, layer in enumerate(self.layers):
            assert output.hidden_states is not None
            kept = output.hidden_states[layer][held.b, held.slot]
            self.hidden_GSF[held.row, column] = kept.float().cpu().numpy()

    def _keep_attention(self, output: GLMOutput, numbers: Sequence[int]) -> None:
        if output.attentions is None:
            return
        for b, number in enumerate(numbers):
            window = self.windows[number]
            left = torch.tensor(self.pairs_of[number], dtype=torch.long)
            both_ways = [a[b, :, left, left + 1] + a[b, :, left + 1, left] for a in output.attentions]
            pairs = [window.genes[slot] for slot in self.pairs_of[number]]
            self.attention_NA[window.contig][pairs] = torch.cat(both_ways).T.float().cpu().numpy()

    def _keep_fit(
        self, x_BTE: Tensor, real_BT: Tensor, labels_BTL: Tensor, fit: ContextFit, held: _Held
    ) -> None:
        log_ratio_BT, confidence_BT = x_BTE.new_zeros(2, *real_BT.shape)
        for mask_T in context_masks(real_BT.shape[1], real_BT.device):
            masked_BT = mask_T & real_BT
            output = self.glm(mask_inputs(x_BTE, masked_BT), real_BT)
            ratio_BT = fit.log_ratio(output, self.lone, labels_BTL)
            log_ratio_BT = torch.where(masked_BT, ratio_BT, log_ratio_BT)
            confidence_BT = torch.where(masked_BT, output.likelihoods_BTP.amax(-1), confidence_BT)
        self.log_ratio_G[held.row] = log_ratio_BT[held.b, held.slot].cpu().numpy()
        self.confidence_G[held.row] = confidence_BT[held.b, held.slot].cpu().numpy()

    def _keep_masked(self, x_BTE: Tensor, real_BT: Tensor, held: _Held) -> None:
        hidden_BTF = x_BTE.new_zeros(*real_BT.shape, self.glm.config.dim)
        for mask_T in context_masks(real_BT.shape[1], real_BT.device):
            masked_BT = mask_T & real_BT
            output = self.glm(mask_inputs(x_BTE, masked_BT, masked_BT), real_BT)
            hidden_BTF = torch.where(masked_BT[..., None], last_hidden(output), hidden_BTF)
        self.masked_GF[held.row] = hidden_BTF[held.b, held.slot].float().cpu().numpy()


def _features(
    genome: Genome, embeddings_GD: npt.NDArray[np.float32], features: GeneFeatures
) -> tuple[Tensor, Tensor]:
    """gLM inputs (G + 1, E) and labels (G + 1, L) of all coding genes; each ends with a row of zeros."""
    device = features.mean_D.device
    embeddings = torch.from_numpy(np.ascontiguousarray(embeddings_GD)).to(device)
    strands_G = torch.tensor([gene.strand for gene in genome.coding], device=device)
    with torch.inference_mode():
        inputs_GE = features.inputs(embeddings, strands_G)
        labels_GL = features.labels(embeddings, strands_G)
    return nn.functional.pad(inputs_GE, (0, 0, 0, 1)), nn.functional.pad(labels_GL, (0, 0, 0, 1))


def _central_places(plan: Sequence[Window]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """For each window the slots of genes, and of left genes of pairs, that no other window holds better."""
    genes, pairs = defaultdict(list), defaultdict(list)
    for place in central_gene(plan).values():
        genes[place.window].append(place.slot)
    for place in central_pair(plan).values():
        pairs[place.window].append(place.slot)
    return genes, pairs
