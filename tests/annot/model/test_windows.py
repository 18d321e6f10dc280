"""Windows: every contig is covered, circular ones wrap, each gene and pair is read most centrally."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glm_annot.model.windows import central_gene, central_pair, windows
from glm_annot.records import Contig, Gene, Genome, Skip, Window


def contig(n: int, circular: bool = False, pseudogenes: int = 0) -> Contig:
    genes = [Gene(i, f"g{i}", "c", 1 + i, 1 + i, 1, protein="M") for i in range(n)]
    genes += [
        Gene(n + i, f"p{i}", "c", 1 + n + i, 1 + n + i, 1, skip=Skip.PSEUDOGENE) for i in range(pseudogenes)
    ]
    return Contig("c", None, circular, tuple(genes))


contigs = st.builds(contig, st.integers(0, 130), st.booleans(), st.integers(0, 2))
genomes = st.lists(contigs, max_size=4).map(lambda found: Genome(tuple(found)))
sizes = st.integers(2, 30)


@given(genomes, sizes)
def test_every_gene_is_read_in_exactly_one_place_that_holds_it(genome: Genome, size: int) -> None:
    plan = windows(genome, size)
    places = central_gene(plan)
    assert set(places) == {(c, g) for c, found in enumerate(genome.contigs) for g in range(len(found.coding))}
    for (number, gene), (window, slot) in places.items():
        assert plan[window].contig == number
        assert plan[window].genes[slot] == gene


@given(genomes, sizes)
def test_every_pair_of_neighbours_stands_side_by_side(genome: Genome, size: int) -> None:
    plan = windows(genome, size)
    places = central_pair(plan)
    assert set(places) == {
        (c, pair) for c, found in enumerate(genome.contigs) for pair in range(len(found.pairs))
    }
    for (number, left), (window, slot) in places.items():
        n = len(genome.contigs[number].coding)
        assert plan[window].genes[slot : slot + 2] == (left, (left + 1) % n)


@given(genomes, sizes)
def test_windows_are_consecutive_genes_without_repeats_in_order_of_contigs(genome: Genome, size: int) -> None:
    plan = windows(genome, size)
    assert [window.contig for window in plan] == sorted(window.contig for window in plan)
    for window in plan:
        found = genome.contigs[window.contig]
        n = len(found.coding)
        assert len(window.genes) == min(n, size)
        assert len(set(window.genes)) == len(window.genes)
        steps = {(b - a) % n for a, b in zip(window.genes, window.genes[1:], strict=False)}
        assert steps <= {1 % n}
        assert found.circular or window.genes == tuple(sorted(window.genes))


@given(st.integers(31, 400), st.booleans())
def test_inner_genes_are_at_least_a_quarter_window_from_an_edge(n: int, circular: bool) -> None:
    plan = windows(Genome((contig(n, circular),)))
    for (_, gene), (window, slot) in central_gene(plan).items():
        edge = min(slot, len(plan[window].genes) - 1 - slot)
        reach = 7 if circular else min(7, gene, n - 1 - gene)
        assert edge >= reach


@given(genomes, sizes)
def test_no_other_window_holds_a_gene_or_pair_more_centrally(genome: Genome, size: int) -> None:
    plan = windows(genome, size)
    for found, width in ((central_gene(plan), 1), (central_pair(plan), 2)):
        best = Counter[tuple[int, int]]()
        for window in plan:
            last = len(window.genes) - width
            for slot in range(last + 1):
                key = (window.contig, window.genes[slot])
                best[key] = max(best[key], min(slot, last - slot))
        for key, (window, slot) in found.items():
            assert min(slot, len(plan[window].genes) - width - slot) == best[key]


def test_a_lone_gene_is_a_window_of_its_own() -> None:
    for circular in (False, True):
        plan = windows(Genome((contig(1, circular),)))
        assert plan == [Window(0, (0,))]
        assert central_gene(plan) == {(0, 0): (0, 0)}
        assert central_pair(plan) == {}


def test_a_linear_contig_of_60_genes() -> None:
    plan = windows(Genome((contig(60),)))
    assert [window.genes[0] for window in plan] == [0, 15, 30]
    assert central_gene(plan)[0, 22] == (0, 22)
    assert central_gene(plan)[0, 23] == (1, 8)
    assert central_pair(plan)[0, 29] == (1, 14)


def test_a_small_plasmid_is_read_again_from_its_far_side() -> None:
    plan = windows(Genome((contig(6, circular=True),)))
    assert [window.genes for window in plan] == [(0, 1, 2, 3, 4, 5), (3, 4, 5, 0, 1, 2)]
    assert central_pair(plan)[0, 5] == (1, 2)


def test_a_chromosome_wraps_round() -> None:
    plan = windows(Genome((contig(40, circular=True),)))
    assert [window.genes[0] for window in plan] == [0, 13, 26]
    assert plan[2].genes[12:16] == (38, 39, 0, 1)


def test_a_window_too_small_for_a_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 genes"):
        windows(Genome(()), size=1)
