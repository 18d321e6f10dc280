"""Batches that train a gLM: windows drawn at random, genes masked, proteins replaced by relatives.

Axes: B windows, T genes of a window, E numbers of an input, L of a label; N proteins, F families.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from glm_annot.errors import InputError
from glm_annot.model.glm import mask_inputs

from ..settings import MASK_PROBABILITY
from .families import Families
from .objective import MaskedBatch
from .windows import LABEL_LIMIT, WindowReader, all_windows, random_mask, without_near


class TrainingWindows:
    """Draws training batches: windows at any offset, half of them on the other strand, genes masked.

    Args:
        reader: reads the windows of the training genomes.
        size: windows a batch.
        masked: share of genes to mask.
        keep_strand: share of windows whose masked genes keep their orientation.
        substituted: share of genes read as another protein of their family.
        families: of the reader's proteins; None where they are neither trained nor substituted.

    Raises:
        InputError: no window may be trained on.
    """

    def __init__(
        self,
        reader: WindowReader,
        size: int,
        *,
        masked: float = MASK_PROBABILITY,
        keep_strand: float = 0.0,
        substituted: float = 0.0,
        families: Families | None = None,
    ) -> None:
        self.reader, self.size, self.families = reader, size, families
        self.masked, self.keep_strand = masked, keep_strand
        self.relatives = None
        if substituted and families is not None:
            self.relatives = _Relatives(families, reader.order.protein_G, substituted)
        self.spans = without_near(reader.order, all_windows(reader.order))
        if not len(self.spans):
            raise InputError("no contig of the training genomes gives a window to train on")

    def draw(self, generator: torch.Generator) -> MaskedBatch:
        """One batch; equal states of the generator give equal batches."""
        which = torch.randint(len(self.spans), (self.size,), generator=generator).numpy()
        flip_B = torch.rand(self.size, generator=generator).lt(0.5).numpy()
        substitute = None if self.relatives is None else self.relatives.drawn_by(generator)
        batch = self.reader.read(self.spans.take(which), flip_B, substitute)
        masked_BT = random_mask(batch.real_BT, generator, self.masked)
        keep_B = torch.rand(self.size, generator=generator).lt(self.keep_strand).to(masked_BT.device)
        kept_BT = masked_BT & keep_B[:, None]
        labels_BTL = batch.labels_BTL.clamp(-LABEL_LIMIT, LABEL_LIMIT)
        x_BTE = mask_inputs(batch.x_BTE, masked_BT, kept_BT)
        family_BT = None
        if self.families is not None:
            family_BT = torch.from_numpy(self.families.family_N[batch.protein_BT.numpy()].astype(np.int64))
            family_BT = family_BT.to(masked_BT.device)
        return MaskedBatch(x_BTE, labels_BTL, batch.real_BT, masked_BT, kept_BT, family_BT)


class _Relatives:
    """Draws for a protein another one of its family.

    Args:
        families: of the corpus.
        proteins: those that may be drawn, with repeats.
        share: of the genes that are read as another protein.
    """

    def __init__(self, families: Families, proteins: npt.NDArray[np.int64], share: float) -> None:
        self.family_N, self.share = families.family_N, share
        distinct = np.unique(proteins)
        self.members = distinct[np.argsort(self.family_N[distinct], kind="stable")]
        none = families.table.none
        count_F = np.bincount(self.family_N[distinct], minlength=none + 1)
        self.start_F = np.cumsum(count_F) - count_F
        self.count_F = np.where(
            np.arange(none + 1) < none, count_F, 0
        )  # without a family there are no relatives

    def drawn_by(
        self, generator: torch.Generator
    ) -> Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]]:
        """Random substitutes for proteins, drawn with a generator."""

        def substitute(protein_BT: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
            shape = protein_BT.shape
            draw_BT = torch.rand(shape, generator=generator, dtype=torch.float64).numpy()
            chosen_BT = torch.rand(shape, generator=generator).numpy() < self.share
            family_BT = self.family_N[protein_BT]
            count_BT = self.count_F[family_BT]
            place_BT = self.start_F[family_BT] + (draw_BT * count_BT).astype(np.int64)
            found_BT = self.members[np.minimum(place_BT, len(self.members) - 1)]
            return np.where(chosen_BT & (count_BT > 0), found_BT, protein_BT)

        return substitute
