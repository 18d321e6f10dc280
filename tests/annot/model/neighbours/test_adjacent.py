"""Which families stand side by side in other genomes, against a plain re-derivation with loops."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from statistics import median

import numpy as np
import pytest
import torch

from glm_annot.model.neighbours.adjacent import CLOSE, NO_GAP, conserved_pairs, side_by_side
from glm_annot.model.neighbours.memory import GAP_MIDDLES, GAP_STEPS, Memory, MemoryConfig
from glm_annot.operons.features import CONSERVED, IN_GENERA, Track
from glm_annot.records import Contig, Gene

F = 6


def memory(families: list[list[int]], strands: list[list[int]], gaps: list[list[int]]) -> Memory:
    """One contig a genome; two genomes each are of a lineage, and each a group of its own."""
    sizes = [len(contig) for contig in families]
    made = Memory(MemoryConfig(sum(sizes), len(sizes), len(sizes), F, gaps=True, lineages=True))
    made.family_N.copy_(torch.tensor(list(chain(*families))))
    made.strand_N.copy_(torch.tensor(list(chain(*strands))))
    made.first_C.copy_(torch.tensor([0, *np.cumsum(sizes).tolist()]))
    made.genome_C.copy_(torch.arange(len(sizes)))
    made.group_M.copy_(torch.arange(len(sizes)))
    assert made.lineage_M is not None
    made.lineage_M.copy_(torch.arange(len(sizes)) // 2)
    made.hold_gaps(torch.tensor(list(chain(*gaps))))
    return made


def random_memory(seed: int, genomes: int = 8, genes: int = 25) -> Memory:
    rng = np.random.default_rng(seed)
    shape = (genomes, genes)
    families, gaps = rng.integers(F + 1, size=shape), rng.integers(-30, 400, size=shape)
    strands = np.where(rng.random(shape) < 0.7, 1, -1)
    return memory(families.tolist(), strands.tolist(), gaps.tolist())


def test_gaps_come_back_as_the_middle_of_their_step() -> None:
    bounds = [-500, *GAP_STEPS]
    made = memory([[0] * len(bounds) + [1]], [[1] * (len(bounds) + 1)], [[*bounds, 4]])
    assert made.gap_N.tolist() == [*GAP_MIDDLES, 2]
    assert made.gap_B is not None and made.gap_B.dtype == torch.uint8 and len(made.gap_B) == 9
    assert CLOSE in GAP_STEPS  # so that steps tell which gaps are close


def test_a_memory_without_gaps_says_so() -> None:
    made = Memory(MemoryConfig(4, 1, 1, F))
    assert "gap_B" not in made.state_dict()
    with pytest.raises(ValueError, match="holds no gaps"):
        _ = made.gap_N


def by_hand(made: Memory, allowed: torch.Tensor, first: int, second: int) -> list[float]:
    """The columns of one pair of families, by loops over the places."""
    gaps, has, ends, begins, genera = defaultdict(list), defaultdict(set), [], [], set()
    assert made.lineage_M is not None
    for contig, lineage in enumerate(made.lineage_M[made.genome_C.long()].tolist()):
        low, high = made.first_C[contig : contig + 2].tolist()
        places = [place for place in range(low, high) if allowed[place]]
        for place in places:
            family, strand = int(made.family_N[place]), int(made.strand_N[place])
            has[family].add(lineage)
            after, before = place + strand, place - strand
            follows = low <= after < high and int(made.strand_N[after]) == strand
            if family == second:
                begins.append(not (low <= before < high and int(made.strand_N[before]) == strand))
            if family == first:
                ends.append(not follows)
                if follows and int(made.family_N[after]) == second:
                    gaps[lineage].append(float(made.gap_N[min(place, after)]))
                    genera.add(int(made.group_M[int(made.genome_C[contig])]))
    medians = [median(values) for values in gaps.values()]
    both = len(has[first] & has[second])
    close = sum(gap < CLOSE for gap in medians)
    return [
        len(medians),
        both,
        (len(medians) + 0.5) / (both + 2),
        median(medians) if medians else NO_GAP,
        (close + 0.5) / (both + 2),
        (sum(ends) + 1) / (len(ends) + 3),
        (sum(begins) + 1) / (len(begins) + 3),
        len(genera),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_all_pairs_of_families_as_by_hand(seed: int) -> None:
    made = random_memory(seed)
    allowed = torch.ones(made.config.places, dtype=torch.bool)
    allowed[:25] = False
    first, second = (
        grid.flatten() for grid in torch.meshgrid(torch.arange(F), torch.arange(F), indexing="ij")
    )
    found = side_by_side(made, allowed, first, second)
    pairs = zip(first.tolist(), second.tolist(), strict=True)
    np.testing.assert_allclose(found.numpy(), [by_hand(made, allowed, *pair) for pair in pairs])


def test_genes_without_a_family_are_nowhere_side_by_side() -> None:
    made = random_memory(0)
    allowed = torch.ones(made.config.places, dtype=torch.bool)
    found = side_by_side(made, allowed, torch.tensor([F, 0, F]), torch.tensor([0, F, F]))
    column = dict(zip([*CONSERVED, "genera"], found.T.tolist(), strict=True))
    assert (
        column["beside"] == column["both"] == column["genera"] == [0, 0, 0] and column["gap"] == [NO_GAP] * 3
    )
    assert column["begins"][1:] == pytest.approx([1 / 3] * 2)
    assert column["ends"][0] == column["ends"][2] == pytest.approx(1 / 3)


def test_pairs_are_asked_for_in_order_of_transcription_and_hidden_genomes_are_silent() -> None:
    made = memory([[0, 1, 2]] * 4, [[1, 1, 1], [1, 1, 1], [-1, -1, -1], [1, 1, 1]], [[10, 70, 0]] * 4)
    genes = [
        Gene(i, f"g{i}", "c", 100 * i + 1, 100 * i + 90, s, protein="M") for i, s in enumerate((1, 1, -1, -1))
    ]
    track = Track.of(Contig("c", 1000, False, tuple(genes)))
    families = torch.tensor([0, 1, 2, 1])
    (found,) = conserved_pairs([track], families, made, torch.tensor([False] * 4))
    # 0 before 1 in both lineages; of the reverse pair, 1 before 2 as it is transcribed, in both as well
    assert found[[0, 2], 0].tolist() == [2, 2] and found[[0, 2], IN_GENERA].tolist() == [3, 3]
    assert found[[0, 2], 3].tolist() == [15, 70]
    (hidden,) = conserved_pairs([track], families, made, torch.tensor([True, True, False, False]))
    assert hidden[[0, 2], 0].tolist() == [1, 1]
    empty = Track.of(Contig("none", 1000, False, ()))
    none, same = conserved_pairs([empty, track], families, made, torch.tensor([False] * 4))
    assert none.shape == (0, len(CONSERVED) + 1) and np.array_equal(same, found)
