"""What a report keeps and counts of the rows of a table."""

from __future__ import annotations

from glm_annot.report.genes import BINS, Genes
from glm_annot.report.summary import counts, sentences
from tests.annot.report.made import CONTIGS, genes, row, rows


def test_counts() -> None:
    found = genes()
    said = counts(found)
    assert (said.new, said.agrees, said.differs, said.missed) == (1, 1, 1, 1)
    assert (found.total, found.hypothetical, found.hypothetical_ec, found.hypothetical_known) == (8, 3, 1, 1)
    assert (found.low_fit, found.with_fit, found.operons, found.in_operons) == (1, 4, 1, 2)


def test_histograms_count_the_first_call_of_each_gene() -> None:
    found = genes()
    at = {kind: [i for i, n in enumerate(row) if n] for kind, row in found.called.items()}
    assert at == {"agrees": [19], "new": [12], "differs": [10]}
    assert sum(found.fits) == 4 and found.fits[0] == 1 and len(found.fits) == BINS


def test_columns_hold_numbers_where_there_are_numbers() -> None:
    columns = genes().columns
    assert columns["start"][:2] == [1, 1001] and columns["contig"][4:6] == [0, 1]
    assert columns["context_fit"][:2] == [80.0, 3.0] and columns["context_fit"][4] is None
    assert columns["hypothetical"] == [0, 1, 0, 0, 1, 0, 0, 1]


def test_examples_are_the_surest_in_order_of_the_file() -> None:
    found = Genes()
    called = [
        row(
            contig="plasmid",
            start=str(n),
            end=str(n + 1),
            locus_tag=f"T{n}",
            ec_agreement="new",
            ec_passed="1.1.1.1",
            ec_passed_confidence=c,
        )
        for n, c in enumerate(["0.5", "0.9", "0.7", "0.9", "0.6", "0.4"], start=1)
    ]
    found.add(CONTIGS[1:], called)
    assert [example.label for example in found.new] == ["T2", "T4", "T3", "T5", "T1"]


def test_a_name_with_a_semicolon_is_one_name() -> None:
    found = Genes()
    name = "Acting on GTP; involved in movement"
    one = row(
        contig="plasmid", start="1", end="2", ec_passed="3.6.5.-", ec_passed_confidence="0.9", ec_name=name
    )
    found.add(CONTIGS[1:], [one])
    assert found.numbers == {"3.6.5.-": name}


def test_genes_beyond_the_limit_are_counted_but_not_kept() -> None:
    found = genes(most=3)
    assert (found.on_page, found.total, counts(found).missed) == (3, 8, 1)
    assert {len(values) for values in found.columns.values()} == {3}


def test_columns_that_come_later_are_filled_up() -> None:
    found = Genes()
    found.add(CONTIGS[:1], rows()[:1])
    extra = {**rows()[5], "of_a_later_version": "kinase"}
    found.add(CONTIGS[1:], [extra])
    assert found.columns["of_a_later_version"] == [None, "kinase"]


def test_sentences_say_one_and_many() -> None:
    said = " ".join(sentences(genes(), ec=True, min_confidence=0.35))
    assert "3 genes have an EC number with a confidence of at least 0.35." in said
    assert "3 genes have no known product; 1 of these gets an EC number." in said
    assert "2 genes have a place in one of 1 operon," in said
    assert "1 gene has no prediction (too short 1)." in said
    assert "EC" not in " ".join(sentences(genes(), ec=False, min_confidence=0))
