"""Which families stand side by side on one strand in other genomes, and how far apart.

Genes that stay together on one strand while the order around them changes are likely to be transcribed
together (Ermolaeva, White and Salzberg 2001), the more so where few bases lie between them. Relatives have
one order in any case, so that what is seen is counted by lineage (`Memory.lineage_M`).

Axes: N places of the memory, P pairs of genes that ask, K distinct pairs of families among
them, M genomes, C columns: those of `CONSERVED`, and `IN_GENERA`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from glm_annot.model.neighbours.memory import GAP_MIDDLES, Memory
from glm_annot.operons.features import CONSERVED, IN_GENERA, Floats, Track

CLOSE = 60  # bases; most neighbours of one operon are closer
NO_GAP = GAP_MIDDLES[-1]  # stands for the gap where no genome has the two side by side
PRIOR = (0.5, 2.0)  # lineages with the two side by side, and with both, that are added to what was seen
PRIOR_ENDS = (1.0, 3.0)  # the same for places at the end of a run, and places of a family


def conserved_pairs(
    tracks: Sequence[Track], family_G: Tensor, memory: Memory, hidden_M: Tensor
) -> list[Floats]:
    """What other genomes say of the pairs of neighbouring genes of some contigs.

    Args:
        tracks: the contigs.
        family_G: of their coding genes, one contig after the other.
        memory: with gaps.
        hidden_M: genomes of the memory that say nothing.

    Returns:
        for each contig (P, C); without meaning where strands differ.
    """
    first, second, at = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    for track in tracks:
        forward = track.strand[track.left] == 1
        first.append(at + np.where(forward, track.left, track.right))
        second.append(at + np.where(forward, track.right, track.left))
        at += len(track.strand)
    one_P, other_P = (
        family_G[torch.from_numpy(np.concatenate(rows)).to(family_G.device)] for rows in (first, second)
    )
    found = side_by_side(memory, memory.places_without(hidden_M), one_P, other_P).cpu().numpy()
    return np.split(found, np.cumsum([len(track.gap) for track in tracks])[:-1])


def side_by_side(memory: Memory, allowed_N: Tensor, first_P: Tensor, second_P: Tensor) -> Tensor:
    """What the memory says of pairs of families: (P, C) float64.

    Args:
        memory: with gaps.
        allowed_N: places that are looked at.
        first_P, second_P: families of the pairs' genes in order of transcription; those without a family
            are in no genome side by side.
    """
    families = memory.config.families
    length_C = memory.first_C.diff()
    lineage_M = memory.group_M if memory.lineage_M is None else memory.lineage_M
    lineage_N, group_N = (
        of_M.long()[memory.genome_C.long()].repeat_interleave(length_C)
        for of_M in (lineage_M, memory.group_M)
    )
    lineages = int(lineage_M.max()) + 1 if len(lineage_M) else 1
    family_N, forward_N = memory.family_N.long(), memory.strand_N > 0
    goes_on_N = _goes_on(memory)
    came_N = goes_on_N.roll(1)
    ends_N = ~torch.where(forward_N, goes_on_N, came_N)  # no gene on its strand follows
    begins_N = ~torch.where(forward_N, came_N, goes_on_N)

    known_P = (first_P < families) & (second_P < families)
    key_P = torch.where(known_P, first_P * families + second_P, -1)
    key_K, row_P = torch.unique(key_P, return_inverse=True)
    left = torch.nonzero(goes_on_N & allowed_N)[:, 0]
    at = left[(family_N[left] < families) & (family_N[left + 1] < families)]
    first = torch.where(forward_N[at], family_N[at], family_N[at + 1])
    second = torch.where(forward_N[at], family_N[at + 1], family_N[at])
    found = torch.isin(first * families + second, key_K)
    at, key = at[found], (first * families + second)[found]
    pair_H = torch.searchsorted(key_K, key)
    in_genera_K = _distinct(pair_H, group_N[at], len(key_K))
    pair_lineage, gap = _medians(pair_H * lineages + lineage_N[at], memory.gap_N[at].double())
    pair = pair_lineage // lineages
    beside_K = torch.bincount(pair, minlength=len(key_K))
    close_K = torch.bincount(pair[gap < CLOSE], minlength=len(key_K))
    gap_K = torch.full((len(key_K),), float(NO_GAP), dtype=torch.float64, device=gap.device)
    gap_K[torch.unique(pair)] = _medians(pair, gap)[1]

    own_N = allowed_N & (family_N < families)
    has_FL = torch.zeros(families, lineages, dtype=torch.bool, device=family_N.device)
    has_FL[family_N[own_N], lineage_N[own_N]] = True
    ends_F, begins_F = (_share_of_places(family_N, own_N, at_N, families) for at_N in (ends_N, begins_N))
    one_P, other_P = first_P.clamp_max(families - 1), second_P.clamp_max(families - 1)
    both_P = torch.where(known_P, (has_FL[one_P] & has_FL[other_P]).sum(1), 0).double()
    beside_P = torch.where(known_P, beside_K[row_P], 0).double()
    columns = {
        "beside": beside_P,
        "both": both_P,
        "share": (beside_P + PRIOR[0]) / (both_P + PRIOR[1]),
        "gap": torch.where(beside_P > 0, gap_K[row_P], NO_GAP),
        "close": (torch.where(known_P, close_K[row_P], 0) + PRIOR[0]) / (both_P + PRIOR[1]),
        "ends": ends_F[first_P],
        "begins": begins_F[second_P],
    }
    said = [columns[name].double() for name in CONSERVED]
    said.insert(IN_GENERA, torch.where(known_P, in_genera_K[row_P], 0).double())
    return torch.stack(said, dim=1)


def _distinct(pair_H: Tensor, group_H: Tensor, pairs: int) -> Tensor:
    """How many groups each pair is seen in, (K,)."""
    groups = int(group_H.max()) + 1 if len(group_H) else 1
    return torch.bincount(torch.unique(pair_H * groups + group_H) // groups, minlength=pairs)


def _goes_on(memory: Memory) -> Tensor:
    """Whether the gene after each place is of the same contig and strand, (N,)."""
    goes_on_N = memory.strand_N == memory.strand_N.roll(-1)
    goes_on_N[memory.first_C[1:] - 1] = False
    return goes_on_N


def _share_of_places(family_N: Tensor, own_N: Tensor, chosen_N: Tensor, families: int) -> Tensor:
    """The share of each family's own places that are chosen, (F + 1,); the last is that of no family."""
    chosen_F = torch.bincount(family_N[own_N & chosen_N], minlength=families + 1)
    places_F = torch.bincount(family_N[own_N], minlength=families + 1)
    return (chosen_F + PRIOR_ENDS[0]) / (places_F + PRIOR_ENDS[1])


def _medians(key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct keys, rising, and the median of each one's values; of two in the middle their mean."""
    order = torch.sort(value, stable=True).indices
    order = order[torch.sort(key[order], stable=True).indices]
    distinct, count = torch.unique_consecutive(key[order], return_counts=True)
    start, value = count.cumsum(0) - count, value[order]
    return distinct, (value[start + (count - 1) // 2] + value[start + count // 2]) / 2
