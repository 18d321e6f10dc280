"""Promoters between genes, on contigs whose promoters were put there by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glm_annot.operons.head import OperonHead, OperonHeadConfig
from glm_annot.operons.promoters import (
    IN_BORDERS,
    IN_OPERONS,
    SCORES,
    WINDOW,
    Promoters,
    promoter_counts,
    promoter_scores,
)
from glm_annot.records import Contig, Gene

PROMOTER = "TTGACA" + "GC" * 8 + "G" + "TATAAT" + "GCGCGCGCGCGCGC"
BEST = 16.0  # bits; the consensus with its best spacer has 16.4
TURN = str.maketrans("ACGT", "TGCA")


def turned(dna: str) -> str:
    return dna.translate(TURN)[::-1]


def contig_of(strands: list[int], gaps: list[str], *, circular: bool = False) -> Contig:
    """Genes of 300 bases with these gaps between them; a gap more than that is before the first gene."""
    genes, sequence = [], gaps[len(strands) - 1] if len(gaps) == len(strands) else ""
    for number, strand in enumerate(strands):
        start = len(sequence) + 1
        sequence += "GCC" * 100 + (gaps[number] if number < len(strands) - 1 else "")
        genes.append(Gene(number, f"g{number}", "c", start, start + 299, strand, protein="M"))
    return Contig("c", len(sequence), circular, tuple(genes), sequence)


def plain(length: int, seed: int = 0) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


def before(promoter: str, length: int, seed: int = 0) -> str:
    """A gap of random letters whose last are a promoter of the gene behind it."""
    return plain(length - len(promoter), seed) + promoter


def genome(seed: int, pairs: int = 200, *, promoters: bool = True) -> Contig:
    """Alternating convergent and divergent genes; the divergent ones have promoters in both directions."""
    rng = np.random.default_rng(seed)
    gaps = []
    for number in range(2 * pairs - 1):
        length = int(rng.integers(110, 200))
        gap = plain(length, int(rng.integers(1 << 30)))
        divergent = number % 2 == 1
        n = len(PROMOTER)
        gaps.append(turned(PROMOTER) + gap[n:-n] + PROMOTER if divergent and promoters else gap)
    return contig_of([1, -1] * pairs, gaps)


def test_a_promoter_is_found_in_its_own_direction() -> None:
    contig = contig_of([1, 1, 1], [before(PROMOTER, 100), turned(before(PROMOTER, 100))])
    (left, right), (turned_left, turned_right) = promoter_scores([contig])
    assert right == turned_left > BEST and left == turned_right < right - 6


def test_the_best_place_and_spacer_count() -> None:
    """By hand: consensus letters' bits, and a spacer of 16 costs 0.7 bits."""
    consensus = sum(
        np.log2(share / 0.25)
        for share in (0.69, 0.79, 0.61, 0.56, 0.54, 0.54, 0.77, 0.76, 0.60, 0.61, 0.56, 0.82)
    )
    shorter = PROMOTER.replace("GC" * 8 + "G", "GC" * 8)
    for promoter, bits in ((PROMOTER, consensus), (shorter, consensus - 0.7)):
        contig = contig_of([1, 1], ["GC" * 30 + promoter])
        assert promoter_scores([contig])[0, 1] == pytest.approx(bits)


def test_what_lies_beyond_the_gap_or_too_near_to_the_gene_is_no_promoter() -> None:
    here = promoter_scores([contig_of([1, 1], ["GC" * 20 + PROMOTER])])[0, 1]
    too_near = promoter_scores([contig_of([1, 1], ["GC" * 20 + PROMOTER[:-10]])])[0, 1]
    too_far = promoter_scores([contig_of([1, 1], [PROMOTER + "GC" * WINDOW])])[0, 1]
    assert max(too_near, too_far) < here - 6
    assert np.isnan(promoter_scores([contig_of([1, 1], ["GC" * 19])])).all()


def test_a_gap_over_the_origin() -> None:
    """The same circle, cut within a gap and between gap and gene."""
    gap = before(PROMOTER, 100)
    whole = contig_of([1, 1], ["GC" * 50, gap], circular=True)
    assert whole.pairs == ((0, 1), (1, 0))
    assert promoter_scores([whole])[1, 1] > BEST
    genes = tuple(replace(gene, start=gene.start - 60, end=gene.end - 60) for gene in whole.genes)
    cut = replace(whole, sequence=whole.sequence[60:] + whole.sequence[:60], genes=genes)
    np.testing.assert_array_equal(promoter_scores([cut]), promoter_scores([whole]))


def test_scores_survive_turning_the_contig_round() -> None:
    contig = genome(1, pairs=10)
    n = len(contig.sequence)
    genes = tuple(
        replace(gene, start=n + 1 - gene.end, end=n + 1 - gene.start, strand=-gene.strand)
        for gene in reversed(contig.genes)
    )
    back = replace(contig, genes=genes, sequence=turned(contig.sequence))
    np.testing.assert_allclose(promoter_scores([back]), promoter_scores([contig])[::-1, ::-1])
    assert np.array_equal(promoter_counts([back]), promoter_counts([contig]))


def test_unknown_letters_and_no_sequence_say_nothing() -> None:
    """A gap of 100 bases whose promoter is at its end: eight letters may be missing, twenty are too many."""
    gap = before(PROMOTER, 100)
    contigs = [contig_of([1, 1], [gap[:20] + "N" * n + gap[20 + n :]]) for n in (0, 8, 20, 80)]
    whole, nearly, partly, hardly = promoter_scores(contigs)[:, 1]
    assert whole == nearly > BEST and np.isnan(partly) and np.isnan(hardly)
    blind = [*contigs[2:], replace(contigs[0], sequence="")]
    assert [part.tolist() for part in Promoters.of(promoter_counts([genome(1)])).log_odds(blind)] == [[0]] * 3
    assert promoter_counts([genome(1), *blind]).sum() == promoter_counts([genome(1)]).sum()


def test_counts_of_parts_add_up() -> None:
    parts = [genome(seed, pairs=20) for seed in (1, 2)]
    counts = promoter_counts(parts)
    assert np.array_equal(counts, promoter_counts(parts[:1]) + promoter_counts(parts[1:]))
    assert counts.sum((1, 2)).tolist() == [80, 76]
    assert promoter_counts([]).shape == counts.shape and counts.shape[2] == len(SCORES)


def test_a_genome_teaches_what_its_promoters_look_like() -> None:
    promoters = Promoters.of(promoter_counts([genome(1)]))
    contig = contig_of(
        [1, 1, 1, -1, -1], [before(PROMOTER, 120), plain(120, 3), "", turned(before(PROMOTER, 120))]
    )
    begins, goes_on, opposite, turned_begins = promoters.log_odds([contig])[0]
    most = np.log(IN_BORDERS / IN_OPERONS)
    assert most - 0.3 < begins == turned_begins <= most and -most <= goes_on < -0.5 and opposite == 0


def test_where_promoters_look_like_anything_else_they_hardly_count() -> None:
    contig = contig_of([1] * 41, [plain(120, seed) for seed in range(40)])
    meant, meaningless = (
        Promoters.of(promoter_counts([genome(1, promoters=promoters)])).log_odds([contig])[0]
        for promoters in (True, False)
    )
    assert abs(meaningless).mean() < 0.3 < 1 < abs(meant).mean()


def test_a_genome_without_one_kind_of_gap_teaches_nothing() -> None:
    contig = contig_of([1, 1], [before(PROMOTER, 120)])
    tandem = contig_of([1, 1, 1], [plain(100, 1), plain(100, 2)])
    assert Promoters.of(promoter_counts([tandem])).log_odds([contig])[0].tolist() == [0]


def test_a_few_gaps_teach_less_than_many() -> None:
    contig = contig_of([1, 1], [before(PROMOTER, 120)])
    few, many = (Promoters.of(promoter_counts([genome(1, pairs=pairs)])) for pairs in (5, 200))
    assert 0 < 4 * few.by_score_F[3] < many.by_score_F[3]
    assert 0 < few.log_odds([contig])[0][0] < many.log_odds([contig])[0][0]


def test_scores_that_are_lower_between_divergent_genes_mean_nothing() -> None:
    contig = contig_of([1, 1], [before(PROMOTER, 120)])
    assert Promoters.of(promoter_counts([genome(1)])[::-1]).log_odds([contig])[0].tolist() == [0]


def test_a_regression_finds_the_odds_of_its_table() -> None:
    """One gap and two scores: one of four divergent at the one, three of four at the other."""
    counts = np.zeros_like(promoter_counts([]))
    counts[:, 80, 20], counts[:, 80, 40] = (3000, 1000), (1000, 3000)
    promoters = Promoters.of(counts)
    slope = promoters.by_score_F[3] * (SCORES[40] - SCORES[20])
    assert slope == pytest.approx(2 * np.log(3), rel=0.02) and abs(promoters.by_gap_F).max() < 1e-6


def test_the_head_adds_them_to_its_log_odds() -> None:
    head = OperonHead(OperonHeadConfig(trees=1, nodes=1))
    whole = genome(1)
    contig = contig_of([1, 1, 1], [before(PROMOTER, 120), plain(120, 3)])
    promoters = Promoters.of(promoter_counts([whole]))
    (probability,) = head.predict([contig], promoters=promoters)
    (blind,) = head.predict([replace(contig, sequence="")], promoters=promoters)
    odds = np.log(probability / (1 - probability)) - np.log(blind / (1 - blind))
    np.testing.assert_allclose(odds, -promoters.log_odds([contig])[0])
