"""The memory of gene order, against a plain re-derivation with loops."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest
import torch
from torch import Tensor

from glm_annot.model.neighbours.memory import (
    DECAY,
    REACH,
    SHARPNESS,
    UNITS,
    Genes,
    Memory,
    MemoryConfig,
    Votes,
)

FAMILIES = 40


def memory(*, seed: int = 0, contigs: int = 12, genes: int = 30, groups: int = 4) -> Memory:
    """Contigs of random families, parts of which repeat in the same order, some turned around."""
    generator = torch.Generator().manual_seed(seed)
    motif = torch.randint(FAMILIES, (14,), generator=generator)
    made = Memory(MemoryConfig(contigs * genes, contigs, contigs, FAMILIES))
    for contig in range(contigs):
        family = torch.randint(FAMILIES + 1, (genes,), generator=generator)
        strand = torch.randint(2, (genes,), generator=generator) * 2 - 1
        start = int(torch.randint(genes - len(motif), (1,), generator=generator))
        family[start : start + len(motif)] = motif if contig % 2 else motif.flip(0)
        strand[start : start + len(motif)] = 1 if contig % 2 else -1
        at = slice(contig * genes, (contig + 1) * genes)
        made.family_N[at], made.strand_N[at] = family.int(), strand.to(torch.int8)
    made.first_C.copy_(torch.arange(contigs + 1) * genes)
    made.genome_C.copy_(torch.arange(contigs))
    made.group_M.copy_(torch.arange(contigs) % groups)
    return made


def test_nearness_is_a_share_of_the_smaller_ones_families() -> None:
    made = Memory(MemoryConfig(9, 3, 2, 10))
    made.family_N.copy_(torch.tensor([0, 1, 1, 10, 2, 3, 4, 5, 6]))  # 10: no family
    made.first_C.copy_(torch.tensor([0, 4, 5, 9]))
    made.genome_C.copy_(torch.tensor([0, 0, 1]))
    assert made.shares_with(torch.tensor([1, 2, 2, 5, 7, 10])).tolist() == pytest.approx([2 / 3, 1 / 4])
    assert made.shares_with(torch.tensor([10])).tolist() == [0.0, 0.0]


def asking(made: Memory, *, hidden: Tensor | None = None) -> Genes:
    """Two contigs: the memory's second one, and its motif turned around."""
    family = made.family_N[30:60].long()
    strand = made.strand_N[30:60].long()
    return Genes(
        torch.cat([family, family.flip(0)]),
        torch.cat([strand, -strand.flip(0)]),
        torch.tensor([0, 30, 60]),
        hidden,
    )


def by_loops(made: Memory, genes: Genes, query: int, allowed: Tensor) -> dict[int, dict[str, float]]:
    """What is said of one gene: family -> share of the votes, best score, groups, left, right, strand."""
    N, F = len(made.family_N), made.config.families
    count = torch.bincount(made.family_N[allowed].long(), minlength=F + 1)
    contig_of_place = torch.repeat_interleave(torch.arange(made.config.contigs), made.first_C.diff())
    contig_of_gene = torch.repeat_interleave(torch.arange(len(genes.first_C) - 1), genes.first_C.diff())
    score: dict[tuple[int, int], float] = defaultdict(float)
    sides: dict[tuple[int, int], list[int]] = defaultdict(list)
    for offset in range(-REACH, REACH + 1):
        gene = query + offset
        if (
            offset == 0
            or not 0 <= gene < len(genes.family_G)
            or contig_of_gene[gene] != contig_of_gene[query]
        ):
            continue
        family = int(genes.family_G[gene])
        if family == F or (genes.hidden_G is not None and genes.hidden_G[gene]):
            continue
        for place in range(N):
            if int(made.family_N[place]) != family or not allowed[place]:
                continue
            direction = int(made.strand_N[place]) * int(genes.strand_G[gene])
            there = place - offset * direction
            if not 0 <= there < N or contig_of_place[there] != contig_of_place[place] or not allowed[there]:
                continue
            weight = math.log(int(allowed.sum()) / int(count[family])) * DECAY ** abs(offset)
            score[there, direction] += round(UNITS * weight) / UNITS
            sides[there, direction].append(offset)
    best: dict[int, tuple[float, int, int]] = {}
    for (place, direction), value in sorted(score.items()):
        group = int(made.group_M[made.genome_C[contig_of_place[place]].long()])
        if group not in best or value > best[group][0]:
            best[group] = (value, place, direction)
    top = max((value for value, *_ in best.values()), default=0.0)
    total = sum(math.exp(SHARPNESS * (value - top)) for value, *_ in best.values())
    said: dict[int, dict[str, float]] = {}
    for value, place, direction in best.values():
        entry = said.setdefault(int(made.family_N[place]), defaultdict(float))
        entry["share"] += math.exp(SHARPNESS * (value - top)) / total
        entry["groups"] += 1
        entry["best"] = max(entry["best"], value)
        offsets = sides[place, direction]
        entry["left"] = max(entry["left"], sum(offset < 0 for offset in offsets))
        entry["right"] = max(entry["right"], sum(offset > 0 for offset in offsets))
    return said


@pytest.mark.parametrize("groups", [1, 4, 12])
@pytest.mark.parametrize("hide", [False, True])
def test_votes_are_those_of_plain_loops(groups: int, hide: bool) -> None:
    made = memory(groups=groups)
    allowed = torch.ones(len(made.family_N), dtype=torch.bool)
    allowed[30:60] = False  # the asking genome itself
    hidden = torch.rand(60, generator=torch.Generator().manual_seed(3)) < 0.3 if hide else None
    genes = asking(made, hidden=hidden)
    asked = torch.arange(60)
    votes = made.index(allowed).ask(genes, asked)
    for query in asked.tolist():
        said = by_loops(made, genes, query, allowed)
        families = {family: entry for family, entry in said.items() if family != FAMILIES}
        kept = votes.family_QK[query]
        found = kept[kept >= 0].tolist()
        assert sorted(found) == sorted(families)
        for column, family in enumerate(found):
            for name in ("share", "best", "groups"):
                value = float(getattr(votes, f"{name}_QK")[query, column])
                assert value == pytest.approx(families[family][name], rel=1e-4), (query, family, name)
        shares = votes.share_QK[query]
        assert (shares.diff() <= 1e-6).all()
        expected = said.get(FAMILIES, {"share": 0.0})["share"]
        assert float(votes.none_Q[query]) == pytest.approx(expected, abs=1e-5)


def turned(genes: Genes) -> Genes:
    """The same contigs read on the other strand."""
    lengths = genes.first_C.diff()
    order = torch.cat(
        [
            torch.arange(int(end) - 1, int(end) - 1 - int(n), -1)
            for end, n in zip(genes.first_C[1:], lengths, strict=True)
        ]
    )
    return Genes(genes.family_G[order], -genes.strand_G[order], genes.first_C)


def test_the_other_strand_says_the_same() -> None:
    made = memory()
    index, genes = made.index(), asking(made)
    forward, backward = index.ask(genes, torch.arange(60)), index.ask(turned(genes), torch.arange(60))
    order = torch.cat([torch.arange(29, -1, -1), torch.arange(59, 29, -1)])
    torch.testing.assert_close(forward.best_Q, backward.best_Q[order])
    torch.testing.assert_close(forward.share_QK, backward.share_QK[order])
    torch.testing.assert_close(forward.same_strand_QK[:, 0], backward.same_strand_QK[order][:, 0])


def test_parts_say_the_same_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    made = memory()
    index, genes, asked = made.index(), asking(made), torch.tensor([1, 2, 17, 30, 44, 59])
    whole = index.ask(genes, asked)
    monkeypatch.setattr("glm_annot.model.neighbours.memory._HITS", 5)
    assert_equal(index.ask(genes, asked), whole)


def test_a_gene_has_no_voice_in_its_own_place() -> None:
    made = memory()
    index, genes = made.index(), asking(made)
    family = genes.family_G.clone()
    family[10] = (family[10] + 1) % FAMILIES
    changed = Genes(family, genes.strand_G, genes.first_C)
    assert_equal(index.ask(genes, torch.tensor([10])), index.ask(changed, torch.tensor([10])))


def test_of_a_common_family_places_of_every_group_are_kept() -> None:
    made = memory(contigs=12, groups=12)
    made.family_N.fill_(0)
    index = made.index(places=24)
    kept = index.places_P
    assert torch.bincount(kept // 30).tolist() == [2] * 12
    assert index.start_F.tolist() == [0] + [24] * FAMILIES


def test_without_neighbours_nothing_is_said() -> None:
    made = memory()
    lone = Genes(torch.tensor([3]), torch.tensor([1]), torch.tensor([0, 1]))
    votes = made.index().ask(lone, torch.tensor([0]))
    assert (votes.family_QK == -1).all() and float(votes.best_Q) == float(votes.groups_Q) == 0
    nothing = Genes(torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long), torch.tensor([0]))
    assert made.index().ask(nothing, torch.zeros(0, dtype=torch.long)).family_QK.shape[0] == 0


def assert_equal(one: Votes, other: Votes) -> None:
    for name, value in vars(one).items():
        torch.testing.assert_close(value, vars(other)[name], msg=name)
