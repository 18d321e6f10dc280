"""Genes of several far parts: neighbours by the nearest part, and no operon across a part of another gene."""

from __future__ import annotations

from glm_annot.operons.features import Track
from glm_annot.operons.head import call_operons
from glm_annot.operons.places import Places
from glm_annot.records import Contig, Gene, Genome

INTERRUPTED = Gene(0, "sigK", "c", 101, 6846, 1, protein="M", parts=((101, 400), (6130, 6846)))


def contig_of(*places: tuple[int, int, int], first: Gene = INTERRUPTED) -> Contig:
    others = (
        Gene(i, f"g{i}", "c", start, end, strand, protein="M")
        for i, (start, end, strand) in enumerate(places, 1)
    )
    return Contig("c", 9500, False, (first, *others))


def test_gaps_are_measured_by_the_nearest_part() -> None:
    contig = contig_of((2327, 3409, 1), (3492, 5120, 1), (5145, 6104, 1), (6914, 7147, 1))
    track = Track.of(contig)
    assert track.gap.tolist() == [1926, 82, 24, 67]
    assert track.end[0] == 400
    assert track.same.tolist() == [True, True, True, False]  # the second part lies before the last gene


def test_an_operon_does_not_span_the_genes_between_two_parts() -> None:
    contig = contig_of((2327, 3409, 1), (5145, 6104, 1))
    (operon,) = call_operons(Genome((contig,)), {(0, 1): 0.9, (1, 2): 0.1})
    assert (operon.start, operon.end, operon.genes) == (101, 3409, (0, 1))


def test_parts_without_a_gene_between_them_are_one_place() -> None:
    exons = Gene(0, "a", "c", 101, 900, 1, protein="M", parts=((101, 400), (600, 900)))
    contig = contig_of((1000, 1300, 1), first=exons)
    assert Places.of(contig) == Places(((101, 900), (1000, 1300)), ())
    assert Track.of(contig).gap.tolist() == [99]
    nested = contig_of((420, 580, -1), (1000, 1300, 1), first=exons)
    assert Places.of(nested).away == ((0, (600, 900)),)
    assert Track.of(nested).gap.tolist() == [19, 99]
