"""Which genes a picture shows, and where they stand."""

from __future__ import annotations

import pytest

from glm_annot.errors import UsageError
from glm_annot.records import Contig
from glm_annot.report.genes import Genes
from glm_annot.report.regions import Region, region
from tests.annot.report.made import genes, row


def places(found: Region) -> list[tuple[int, int]]:
    return [(gene.start, gene.end) for gene in found.genes]


def test_the_first_contig_without_a_name() -> None:
    found = region(genes())
    assert (found.contig.name, found.start, found.end) == ("chromosome", 1, 9000)
    assert len(found.genes) == 5 and found.is_whole_circle
    first = found.genes[0]
    assert (first.label, first.number, first.kind, first.operon) == (
        "ribE",
        "2.5.1.9",
        "agrees",
        "glm_operon_0001",
    )
    assert (first.link, first.fit, first.strand) == (0.9, 80.0, 1)
    assert [gene.kind for gene in found.genes] == ["agrees", "new", "differs", "missed", "hypothetical"]
    assert found.genes[2].operon == ""


@pytest.mark.parametrize("named", ["chromosome:950-2,000", "chromosome:950-2000"])
def test_a_part_of_a_contig(named: str) -> None:
    found = region(genes(), named)
    assert (found.start, found.end, found.length) == (950, 2000, 1051)
    assert places(found) == [(1001, 1900)] and not found.is_whole_circle


def test_bases_at_the_border_count() -> None:
    assert places(region(genes(), "chromosome:900-1001")) == [(1, 900), (1001, 1900)]


def test_a_contig_with_a_colon_in_its_name() -> None:
    found = Genes()
    found.add([Contig("a:1-5", 100, False, ())], [row(contig="a:1-5", start="7", end="9")])
    assert places(region(found, "a:1-5")) == [(7, 9)]
    assert places(region(found, "a:1-5:8-50")) == [(7, 9)]


def test_a_gene_over_the_origin_stands_at_both_ends() -> None:
    found = Genes()
    found.add([Contig("p", 100, True, ())], [row(contig="p", start="90", end="120")])
    assert places(region(found, "p:1-30")) == [(-10, 20)]
    assert places(region(found, "p:80-100")) == [(90, 120)]
    assert places(region(found)) == [(-10, 20), (90, 120)]


def test_a_contig_of_unknown_length_ends_with_its_last_gene() -> None:
    found = Genes()
    found.add([Contig("c", None, False, ())], [row(contig="c", start="5", end="70")])
    assert region(found).end == 70


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("other", "there is no contig 'other', but chromosome, plasmid; write contig:from-to"),
        ("other:1-5", "there is no contig 'other'"),
        ("chromosome:9-", "there is no contig 'chromosome:9-'"),
        ("chromosome:0-5", "chromosome has the bases 1 to 9000"),
        ("chromosome:7-5", "chromosome has the bases 1 to 9000"),
        ("chromosome:7-9001", "chromosome has the bases 1 to 9000"),
        ("chromosome:5000-6000", "no gene stands on chromosome from 5000 to 6000"),
    ],
)
def test_what_is_no_region(named: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        region(genes(), named)
    assert message in str(raised.value)
