"""Which named families stand beside a family in other genomes.

A gene that nobody can name may still stand beside the genes of one pathway in genome after genome.

Axes: P places of the memory where a gene's family stands, gene by gene.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch

from glm_annot.model.neighbours.memory import Genes, MemoryIndex
from glm_annot.model.neighbours.names import FamilyName

NEAR = 2  # genes to either side that stand beside a gene, on its strand
LEAST_GROUPS = 3  # of genomes that have a family beside it
LEAST_SHARE = 0.3  # of the groups of genomes that have the gene's family at all
MOST = 3  # neighbours told of a gene


class Beside(NamedTuple):
    """A named family that stands beside a gene's, in `groups` groups of genomes out of `of`."""

    family: int
    groups: int
    of: int


def named_beside(
    index: MemoryIndex, genes: Genes, names: Mapping[int, FamilyName], least: int = LEAST_GROUPS
) -> dict[int, tuple[Beside, ...]]:
    """The named families that stand beside the family of each gene in many groups of genomes, most first.

    Args:
        index: of the memory.
        genes: of the genome.
        names: of families.
        least: groups of genomes that must have a family beside it.

    Returns:
        for each gene of a family, by its number, up to `MOST`; genes without any are left out.
    """
    family_U = torch.unique(genes.family_G[genes.family_G < index.families])
    count_U = index.start_F[family_U + 1] - index.start_F[family_U]
    which_P = torch.arange(len(family_U), device=family_U.device).repeat_interleave(count_U)
    turn_P = torch.arange(len(which_P), device=family_U.device)
    turn_P = turn_P - (count_U.cumsum(0) - count_U)[which_P]
    place_P = index.places_P[index.start_F[family_U][which_P] + turn_P]
    group_P = index.group_N[place_P]
    groups = max(index.groups, 1)
    of_U = torch.bincount(torch.unique(which_P * groups + group_P) // groups, minlength=len(family_U))
    named_F = torch.zeros(index.families + 1, dtype=torch.bool, device=family_U.device)
    named_F[list(names)] = True
    keys = []
    for step in (*range(-NEAR, 0), *range(1, NEAR + 1)):
        there_P = place_P + step
        inside_P = (there_P >= index.first_N[place_P]) & (there_P < index.end_N[place_P])
        there_P = there_P.clamp(0, len(index.family_N) - 1)
        family_P = index.family_N[there_P]
        kept_P = inside_P & named_F[family_P] & (index.strand_N[there_P] == index.strand_N[place_P])
        kept_P &= family_P != family_U[which_P]
        keys.append(((which_P * (index.families + 1) + family_P) * groups + group_P)[kept_P])
    pair, count = torch.unique(torch.unique(torch.cat(keys)) // groups, return_counts=True)
    found: dict[int, list[Beside]] = {}
    row_of, family_of = pair // (index.families + 1), pair % (index.families + 1)
    rows = zip(row_of.tolist(), family_of.tolist(), count.tolist(), strict=True)
    of = of_U.tolist()
    for row, family, number in rows:
        if number >= least and number >= LEAST_SHARE * of[row]:
            found.setdefault(row, []).append(Beside(family, number, of[row]))
    best = {
        int(family_U[row]): tuple(sorted(those, key=lambda beside: (-beside.groups, beside.family))[:MOST])
        for row, those in found.items()
    }
    return {gene: best[family] for gene, family in enumerate(genes.family_G.tolist()) if family in best}
