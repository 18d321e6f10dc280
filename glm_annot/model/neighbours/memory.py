"""A memory of gene order: which genes other genomes have beside the same families.

The genes of many genomes are kept as family numbers in their order. To say what stands at a place whose gene
is hidden, each visible neighbour points, at every place of the memory where its family stands, to the gene
that lies there as the hidden gene lies here. A place gains from each neighbour that points to it, more from
near and from rare ones, and the best place of each group of related genomes votes for its family. That
conserved gene order tells functions is Dandekar et al. 1998 and Overbeek et al. 1999; to look up neighbours
at inference is kNN-LM (Khandelwal et al. 2020) and RETRO (Borgeaud et al. 2022).

Axes: N places, contig by contig, in the order of the genes; C contigs; M genomes; F families; G genes
of the genome that asks; Q of them whose gene is asked for; K candidates of each; H hits, a gene of the asking
genome and a place of the same family.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

REACH = 6  # genes to either side that vote
DECAY = 0.7  # weight of a vote from each gene further away
SHARPNESS = 0.3  # of the votes of places, exp(0.3 x (score - best score))
PLACES = 4096  # places of one family that are looked at, at most
CANDIDATES = 24  # families kept of those voted for
ALIKE = 2  # neighbours in common from which on two places count as alike
# Gaps between genes are kept as one of 16 steps, two in a byte: the first bases of each step but the lowest,
# which holds all overlaps, and what stands for each.
GAP_STEPS = (0, 5, 10, 20, 30, 45, 60, 80, 105, 140, 185, 250, 350, 500, 1000)
GAP_MIDDLES = (-4, 2, 7, 15, 25, 37, 52, 70, 92, 122, 162, 217, 300, 425, 750, 2000)
UNITS = 4096  # of a score's 1.0: scores add up as whole numbers, in any order to the same sum
_HITS = 250_000  # hits looked at together; bounds memory


@dataclass(frozen=True)
class MemoryConfig:
    """Size of a `Memory`: its places, contigs, genomes and families; whether it holds gaps and lineages."""

    places: int
    contigs: int
    genomes: int
    families: int
    gaps: bool = False
    lineages: bool = False


@dataclass(frozen=True)
class Genes:
    """The genes of a genome that asks, contig by contig.

    Attributes:
        family_G: int64, the families' number for those without one.
        strand_G: int64, 1 or -1.
        first_C: int64, first gene of each contig, and the number of genes at the end.
        hidden_G: genes that cast no vote; None for none.
    """

    family_G: Tensor
    strand_G: Tensor
    first_C: Tensor
    hidden_G: Tensor | None = None


@dataclass(frozen=True)
class Votes:
    """What the memory says of the genes asked for; candidates come in order, the favourite first.

    Attributes:
        family_QK: the candidates, -1 beyond the last.
        share_QK: of the votes, over all families and 'none', which is no candidate.
        best_QK, mean_QK: best and mean score of the places that vote for it.
        groups_QK: groups of genomes that vote for it.
        left_QK, right_QK: neighbours on either side that point to its best place.
        beside_QK: direct neighbours that do, 0 to 2.
        same_strand_QK: share of its votes from places whose gene is on the strand of the gene asked for.
        best_Q: score of the best place of all.
        groups_Q: groups of genomes that vote.
        none_Q: share of the votes of places whose gene has no family.
        alike_QK: groups of genomes that vote for it from a place to which `ALIKE` neighbours point or more.
        alike_Q: groups that have any such place.
    """

    family_QK: Tensor
    share_QK: Tensor
    best_QK: Tensor
    mean_QK: Tensor
    groups_QK: Tensor
    left_QK: Tensor
    right_QK: Tensor
    beside_QK: Tensor
    same_strand_QK: Tensor
    best_Q: Tensor
    groups_Q: Tensor
    none_Q: Tensor
    alike_QK: Tensor
    alike_Q: Tensor


class Memory(nn.Module):
    """Genes of many genomes in their order.

    Args:
        config: its size.

    Buffers: family_N (int16 or, of more families, int32; `config.families` for none), strand_N (int8),
    first_C (int64, C + 1 numbers), genome_C (int32), group_M (int32): genomes of one group vote once; gap_B
    (uint8): the steps of the gaps after two places each, None for a memory without gaps; lineage_M (int32):
    groups and those that chains of near relatives link to them, None for a memory without.
    """

    family_N: Tensor
    strand_N: Tensor
    first_C: Tensor
    genome_C: Tensor
    group_M: Tensor
    gap_B: Tensor | None
    lineage_M: Tensor | None

    def __init__(self, config: MemoryConfig) -> None:
        super().__init__()
        self.config = config
        number = torch.int16 if config.families <= torch.iinfo(torch.int16).max else torch.int32
        self.register_buffer("family_N", torch.zeros(config.places, dtype=number))
        self.register_buffer("strand_N", torch.ones(config.places, dtype=torch.int8))
        self.register_buffer("first_C", torch.zeros(config.contigs + 1, dtype=torch.int64))
        self.register_buffer("genome_C", torch.zeros(config.contigs, dtype=torch.int32))
        self.register_buffer("group_M", torch.zeros(config.genomes, dtype=torch.int32))
        gap_B = torch.zeros((config.places + 1) // 2, dtype=torch.uint8) if config.gaps else None
        self.register_buffer("gap_B", gap_B)
        lineage_M = torch.zeros(config.genomes, dtype=torch.int32) if config.lineages else None
        self.register_buffer("lineage_M", lineage_M)

    def hold_gaps(self, gap_N: Tensor) -> None:
        """Take the bases between each place's gene and the next of its contig, negative for an overlap."""
        step_N = torch.bucketize(gap_N, torch.tensor(GAP_STEPS), right=True)
        step_N = nn.functional.pad(step_N, (0, len(step_N) % 2))
        self.gap_B = (step_N[::2] + 16 * step_N[1::2]).to(torch.uint8)

    @property
    def gap_N(self) -> Tensor:
        """What stands for the gap after each place, in bases, int64.

        Raises:
            ValueError: the memory holds none.
        """
        if self.gap_B is None:
            raise ValueError("this memory of gene order holds no gaps")
        step_N = torch.stack([self.gap_B % 16, self.gap_B // 16], dim=1).flatten()[: self.config.places]
        return torch.tensor(GAP_MIDDLES, device=step_N.device)[step_N.long()]

    def places_without(self, genomes_M: Tensor) -> Tensor:
        """Which places are of none of these genomes, (N,)."""
        length_C = self.first_C.diff()
        places_N: Tensor = ~genomes_M[self.genome_C.long()].repeat_interleave(length_C)
        return places_N

    def shares_with(self, family_G: Tensor) -> Tensor:
        """How near each genome is to some genes: the smaller's share of families that the other has, (M,).

        Args:
            family_G: of the genes; the number of families for none.
        """
        size = self.config.families + 1
        genome_N = self.genome_C.long().repeat_interleave(self.first_C.diff())
        key = torch.unique(genome_N * size + self.family_N.long())
        key = key[key % size < self.config.families]
        own = torch.unique(family_G[family_G < self.config.families])
        size_M = torch.bincount(key // size, minlength=self.config.genomes)
        common_M = torch.bincount(key[torch.isin(key % size, own)] // size, minlength=self.config.genomes)
        return common_M / size_M.clamp_max(len(own)).clamp_min(1)

    def check(self) -> None:
        """Raise ValueError for families, places, genomes and groups that there are not."""
        lengths_C = self.first_C.diff()
        if int(self.first_C[0]) or bool((lengths_C < 0).any()) or int(self.first_C[-1]) != self.config.places:
            raise ValueError("first_C is no list of places of contigs in order")
        limits = {"family_N": self.config.families + 1, "genome_C": self.config.genomes}
        limits |= dict.fromkeys(("group_M", "lineage_M"), self.config.genomes)
        for name, most in limits.items():
            numbers = getattr(self, name)
            if numbers is not None and bool(((numbers < 0) | (numbers >= most)).any()):
                raise ValueError(f"{name} has numbers that are not from 0 to {most - 1}")

    def index(self, allowed_N: Tensor | None = None, places: int = PLACES) -> MemoryIndex:
        """Make the memory ready to be asked.

        Args:
            allowed_N: places that may vote and be voted for; None for all.
            places: most places of a family that are looked at, spread evenly over the groups of genomes.
        """
        return MemoryIndex(self, allowed_N, places)


class MemoryIndex:
    """A memory whose places are sorted by family, for some of its genomes or all of them.

    Args:
        memory, allowed_N, places: as for `Memory.index`.
    """

    def __init__(self, memory: Memory, allowed_N: Tensor | None, places: int) -> None:
        self.families = memory.config.families
        length_C = memory.first_C.diff()
        self.first_N = memory.first_C[:-1].repeat_interleave(length_C)
        self.end_N = memory.first_C[1:].repeat_interleave(length_C)
        self.group_N = memory.group_M.long()[memory.genome_C.long()].repeat_interleave(length_C)
        self.groups = int(memory.group_M.max()) + 1 if len(memory.group_M) else 0
        self.family_N, self.strand_N = memory.family_N.long(), memory.strand_N.long()
        self.allowed_N = torch.ones_like(self.family_N, dtype=torch.bool) if allowed_N is None else allowed_N
        found = torch.nonzero(self.allowed_N & (self.family_N < self.families))[:, 0]
        count_F = torch.bincount(self.family_N[found], minlength=self.families)
        # A family is worth as much as it is rare: the logarithm of how many genes there are for one of it.
        total = max(int(self.allowed_N.sum()), 1)
        self.weight_F = (total / count_F.clamp_min(1)).log().float()
        self.places_P, self.start_F = self._sorted(found, count_F, places)

    def ask(self, genes: Genes, asked_Q: Tensor, candidates: int = CANDIDATES) -> Votes:
        """Predict the families at some places of a genome from their neighbours alone.

        The gene that is asked for never votes for itself, hidden or not.

        Args:
            genes: of the genome, on the memory's device.
            asked_Q: int64, genes asked for, rising.
            candidates: most families in an answer.
        """
        parts = [_ask(self, genes, part_Q, candidates) for part_Q in self._parts(genes, asked_Q)]
        return Votes(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Votes)))

    def _sorted(self, found: Tensor, count_F: Tensor, places: int) -> tuple[Tensor, Tensor]:
        """Places by family, of each at most so many, and where each family's begin."""
        order = found[torch.sort(self.family_N[found], stable=True).indices]
        start_F = nn.functional.pad(count_F.cumsum(0), (1, 0))
        if not len(count_F) or int(count_F.max()) <= places:
            return order, start_F
        # Of a family with too many places those are kept whose rank within their group is lowest, so that
        # every group of genomes has its say before any has many.
        family_P = self.family_N[order]
        by_group = torch.sort(family_P * self.groups + self.group_N[order], stable=True)
        rank_P = _rank_in_run(by_group.values)
        order, family_P = order[by_group.indices], family_P[by_group.indices]
        by_rank = torch.sort(family_P * len(self.family_N) + rank_P, stable=True).indices
        kept = _rank_in_run(family_P[by_rank]) < places
        order = order[by_rank][kept]
        order = order[torch.sort(self.family_N[order] * len(self.family_N) + order).indices]
        return order, nn.functional.pad(count_F.clamp_max(places).cumsum(0), (1, 0))

    def _parts(self, genes: Genes, asked_Q: Tensor) -> Iterator[Tensor]:
        """The genes asked for in parts whose neighbours have no more hits than fit into memory."""
        family_G = genes.family_G.clamp_max(self.families)
        count_F = nn.functional.pad(self.start_F.diff(), (0, 1))
        before_G = nn.functional.pad(count_F[family_G].cumsum(0), (1, 0))
        part_Q = before_G[asked_Q] // _HITS
        if not len(asked_Q):
            yield asked_Q
            return
        yield from torch.split(asked_Q, torch.unique_consecutive(part_Q, return_counts=True)[1].tolist())


@dataclass(frozen=True)
class _Places:
    """Places of the memory that neighbours of the genes asked for point to; R of them."""

    query_R: Tensor
    place_R: Tensor
    score_R: Tensor
    left_R: Tensor
    right_R: Tensor
    beside_R: Tensor
    strand_R: Tensor  # of the place's gene, as the asking genome reads it


def _ask(index: MemoryIndex, genes: Genes, asked_Q: Tensor, candidates: int) -> Votes:
    places = _best_of_groups(index, _pointed_to(index, genes, asked_Q))
    return _count(index, genes, asked_Q, places, candidates)


def _hits(index: MemoryIndex, genes: Genes, low: int, high: int) -> tuple[Tensor, Tensor]:
    """Pairs of a voting gene among `low` to `high` and a place of its family, (H,) each."""
    family_G = genes.family_G[low:high]
    votes_G = family_G < index.families
    if genes.hidden_G is not None:
        votes_G = votes_G & ~genes.hidden_G[low:high]
    gene_V = torch.nonzero(votes_G)[:, 0]
    start_V, end_V = index.start_F[family_G[gene_V]], index.start_F[family_G[gene_V] + 1]
    count_V = end_V - start_V
    gene_H = gene_V.repeat_interleave(count_V) + low
    turn_H = torch.arange(len(gene_H), device=gene_H.device) - (
        count_V.cumsum(0) - count_V
    ).repeat_interleave(count_V)
    return gene_H, index.places_P[start_V.repeat_interleave(count_V) + turn_H]


def _pointed_to(index: MemoryIndex, genes: Genes, asked_Q: Tensor) -> _Places:
    """All places that the neighbours of the genes asked for point to, each once a gene and direction.

    A gene and a place of its family lie on a diagonal: reading the memory forwards (or backwards, where the
    strands differ), place minus (plus) gene is one number for all that lines up. So hits are sorted by
    diagonal once, and each adds to the slots of its neighbours on it.
    """
    G, N = len(genes.family_G), len(index.family_N)
    query_G = torch.full((G,), -1, dtype=torch.long, device=asked_Q.device)
    query_G[asked_Q] = torch.arange(len(asked_Q), device=asked_Q.device)
    low, high = (int(asked_Q[0]) - REACH, int(asked_Q[-1]) + REACH + 1) if len(asked_Q) else (0, 0)
    gene_H, place_H = _hits(index, genes, max(low, 0), min(high, G))
    backward_H = (index.strand_N[place_H] != genes.strand_G[gene_H]).long()
    diagonal_H = torch.where(backward_H > 0, place_H + gene_H, place_H - gene_H + G)
    key_H = (backward_H * (N + G + 1) + diagonal_H) * G + gene_H
    order = torch.sort(key_H).indices
    gene_H, place_H, backward_H, key_H = gene_H[order], place_H[order], backward_H[order], key_H[order]
    # Runs of hits that share neighbours: on one diagonal, no further apart than twice the reach.
    gap_H = key_H.diff(prepend=key_H[:1] - 2 * G)
    same_H = (gap_H <= 2 * REACH) & (gene_H.diff(prepend=gene_H[:1]) == gap_H)
    width_H = torch.where(same_H, gap_H, 2 * REACH + 1)  # slots that each hit adds to those before it
    slot_H = width_H.cumsum(0) - REACH - 1  # each run begins `REACH` slots before its first hit
    size = int(slot_H[-1]) + REACH + 1 if len(slot_H) else 0
    weight_H = index.weight_F[genes.family_G[gene_H]]
    score_S, left_S, right_S, beside_S = torch.zeros(4, size, dtype=torch.int32, device=weight_H.device)
    gene_S = torch.zeros(size, dtype=torch.long, device=gene_H.device)
    place_S, back_S = torch.zeros_like(gene_S), torch.zeros_like(gene_S)
    step_H = 1 - 2 * backward_H
    contig_G = torch.repeat_interleave(
        torch.arange(len(genes.first_C) - 1, device=gene_H.device), genes.first_C.diff()
    )
    for offset in range(-REACH, REACH + 1):
        at_H = slot_H + offset
        gene_S[at_H], place_S[at_H], back_S[at_H] = gene_H + offset, place_H + offset * step_H, backward_H
        if offset == 0:
            continue
        asker_H = (gene_H + offset).clamp(0, G - 1)
        inside_H = (gene_H + offset == asker_H) & (contig_G[asker_H] == contig_G[gene_H])
        there_H = place_H + offset * step_H
        inside_H = inside_H & (there_H >= index.first_N[place_H]) & (there_H < index.end_N[place_H])
        add_H = inside_H.int()
        score_S.index_add_(0, at_H, add_H * (UNITS * weight_H * DECAY ** abs(offset)).round().int())
        (right_S if offset < 0 else left_S).index_add_(0, at_H, add_H)
        if abs(offset) == 1:
            beside_S.index_add_(0, at_H, add_H)
    asked_S = query_G[gene_S.clamp(0, max(G - 1, 0))] if G else gene_S
    kept = torch.nonzero((score_S > 0) & (asked_S >= 0))[:, 0]
    kept = kept[index.allowed_N[place_S[kept]]]
    place_R = place_S[kept]
    strand_R = index.strand_N[place_R] * (1 - 2 * back_S[kept])
    return _Places(
        asked_S[kept], place_R, score_S[kept] / UNITS, left_S[kept], right_S[kept], beside_S[kept], strand_R
    )


def _best_of_groups(index: MemoryIndex, places: _Places) -> _Places:
    """The best place of each group of genomes for each gene asked for; of equal ones the first."""
    key_R = places.query_R * max(index.groups, 1) + index.group_N[places.place_R]
    size = len(index.family_N)
    # One number for score and place: the higher score is higher, and of equal scores the earlier place.
    rank_R = (places.score_R * UNITS).round().long() * size + (size - 1 - places.place_R)
    best_K = rank_R.new_full((int(key_R.max()) + 1 if len(key_R) else 0,), -1)
    best_K.scatter_reduce_(0, key_R, rank_R, "amax")
    best = torch.nonzero(rank_R == best_K[key_R])[:, 0]
    best = best[torch.sort(key_R[best], stable=True).indices]
    first = best[_rank_in_run(key_R[best]) == 0]  # a place may be pointed to in both directions
    return _Places(*(getattr(places, field.name)[first] for field in fields(_Places)))


def _count(index: MemoryIndex, genes: Genes, asked_Q: Tensor, places: _Places, candidates: int) -> Votes:
    """Votes of the best places by family."""
    Q, device = len(asked_Q), asked_Q.device
    query_R, family_R = places.query_R, index.family_N[places.place_R].clamp_max(index.families)
    best_Q = torch.zeros(Q, device=device).scatter_reduce(0, query_R, places.score_R, "amax")
    vote_R = (SHARPNESS * (places.score_R - best_Q[query_R])).exp()
    total_Q = torch.zeros(Q, device=device).index_add_(0, query_R, vote_R)
    groups_Q = torch.bincount(query_R, minlength=Q)
    key_R = query_R * (index.families + 1) + family_R
    key_U, which_R = torch.unique(key_R, return_inverse=True)
    query_U, family_U = key_U // (index.families + 1), key_U % (index.families + 1)
    zeros_U = torch.zeros(len(key_U), device=device)
    share_U = zeros_U.index_add(0, which_R, vote_R) / total_Q[query_U]
    same_R = (places.strand_R == genes.strand_G[asked_Q[query_R]]).float()
    alike_R = (places.left_R + places.right_R >= ALIKE).float()
    columns = {
        "share": share_U,
        "best": zeros_U.scatter_reduce(0, which_R, places.score_R, "amax"),
        "mean": zeros_U.scatter_reduce(0, which_R, places.score_R, "mean", include_self=False),
        "groups": torch.bincount(which_R, minlength=len(key_U)).float(),
        "alike": zeros_U.index_add(0, which_R, alike_R),
        "left": zeros_U.scatter_reduce(0, which_R, places.left_R.float(), "amax"),
        "right": zeros_U.scatter_reduce(0, which_R, places.right_R.float(), "amax"),
        "beside": zeros_U.scatter_reduce(0, which_R, places.beside_R.float(), "amax"),
        "same_strand": zeros_U.index_add(0, which_R, vote_R * same_R) / (share_U * total_Q[query_U]),
    }
    none_U = family_U == index.families
    none_Q = torch.zeros(Q, device=device).index_add_(0, query_U[none_U], share_U[none_U])
    order = torch.nonzero(~none_U)[:, 0]
    order = order[torch.sort(-share_U[order], stable=True).indices]
    order = order[torch.sort(query_U[order], stable=True).indices]
    rank = _rank_in_run(query_U[order])
    order, rank = order[rank < candidates], rank[rank < candidates]
    family_QK = torch.full((Q, candidates), -1, dtype=torch.long, device=device)
    family_QK[query_U[order], rank] = family_U[order]
    filled = {}
    for name, column_U in columns.items():
        filled[f"{name}_QK"] = torch.zeros(Q, candidates, device=device)
        filled[f"{name}_QK"][query_U[order], rank] = column_U[order]
    alike_Q = torch.zeros(Q, device=device).index_add_(0, query_R, alike_R)
    return Votes(
        family_QK=family_QK, best_Q=best_Q, groups_Q=groups_Q, none_Q=none_Q, alike_Q=alike_Q, **filled
    )


def _rank_in_run(values: Tensor) -> Tensor:
    """How many equal values stand directly before each, in sorted values: [5, 5, 7] -> [0, 1, 0]."""
    _, count = torch.unique_consecutive(values, return_counts=True)
    start = (count.cumsum(0) - count).repeat_interleave(count)
    rank: Tensor = torch.arange(len(values), device=values.device) - start
    return rank
