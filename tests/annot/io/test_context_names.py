"""Names from context in the annotated files, the table and the summary."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from glm_annot import io
from glm_annot.cli.summary import Summary
from glm_annot.io import qualifiers as q
from glm_annot.io.table import write_table
from glm_annot.overview import Overview
from glm_annot.records import ContextNames, Gene, GenePrediction, Predictions
from tests.support.fakes import PROVENANCE
from tests.support.made_genomes import ancestors, genbank, make_genome

NAMED = ContextNames(
    expected="riboflavin synthase (ribE)",
    expected_ec="2.5.1.9",
    name="3,4-dihydroxy-2-butanone 4-phosphate synthase, 5'-end, of a name longer than one line (ribB)",
    confidence=0.81,
    ec="4.1.99.12",
    ec_confidence=0.9,
    genera=23,
    of=31,
    beside=(("ribD", 20, 30),),
    unexpected=True,
)
BESIDE = ContextNames(beside=(("ribD", 20, 30), ("ribE", 9, 30)))

GFF3 = """##gff-version 3
c\tx\tCDS\t1\t90\t.\t+\t0\tID=a;product=hypothetical protein
c\tx\tCDS\t101\t190\t.\t+\t0\tID=b;product=hypothetical protein
c\tx\tCDS\t201\t290\t.\t+\t0\tID=d;product=riboflavin kinase
##FASTA
>c
"""


def gene(product: str) -> Gene:
    return Gene(0, "a", "c", 1, 90, 1, product=product, protein="M" * 29)


def tags(product: str, context: ContextNames) -> dict[str, str]:
    return dict(q.gene_tags(gene(product), GenePrediction(context=context), None, operons=False))


def test_a_hypothetical_protein_gets_its_name_and_others_do_not() -> None:
    assert tags("hypothetical protein", NAMED) == {
        "glm_context_name": NAMED.name,
        "glm_context_confidence": "0.810",
        "glm_context_ec": "4.1.99.12",
        "glm_context_ec_confidence": "0.900",
        "glm_context_genera": "23/31",
    }
    assert tags("hypothetical protein", BESIDE) == {"glm_context_neighbours": "ribD:20/30,ribE:9/30"}
    assert tags("riboflavin kinase", NAMED) == {}
    assert tags("hypothetical protein", ContextNames()) == {}


def test_a_hint_is_no_call() -> None:
    hinted = GenePrediction(context=NAMED)
    assert q.promoted_ec(gene("hypothetical protein"), hinted, 0.5) == ()


@pytest.fixture
def annotated(tmp_path: Path) -> tuple[Path, Predictions]:
    path = tmp_path / "x.gff3"
    path.write_text(GFF3 + "ATG" + "GCA" * 99 + "\n")
    genes = dict(enumerate([NAMED, BESIDE, NAMED]))
    predicted = {index: GenePrediction(enzyme=0.5, context=context) for index, context in genes.items()}
    return path, Predictions(predicted, {}, None, PROVENANCE)


def test_strip_takes_names_out_of_gff3_again(annotated: tuple[Path, Predictions]) -> None:
    path, predictions = annotated
    written = io.render(io.read(path), predictions)
    assert (
        b"glm_context_name=3%2C4-dihydroxy" in written
        and b"glm_context_neighbours=ribD:20/30,ribE" in written
    )
    assert io.strip(written) == path.read_bytes()


def test_strip_takes_names_out_of_genbank_again(tmp_path: Path) -> None:
    path = tmp_path / "x.gbk"
    path.write_text(genbank(make_genome("x", ancestors(3), seed=0)).replace("/product=", "/function="))
    genome = io.read(path)
    predicted = {of.index: GenePrediction(enzyme=0.5, context=NAMED) for of in genome.genes}
    written = io.render(genome, Predictions(predicted, {}, None, PROVENANCE))
    text = " ".join(written.decode().split())
    assert "context_name=3,4-dihydroxy-2-butanone 4-phosphate synthase, 5'-end, of a name" in text
    assert io.strip(written) == path.read_bytes()


def test_the_table_says_it_of_all_genes(annotated: tuple[Path, Predictions]) -> None:
    path, predictions = annotated
    stream = StringIO()
    write_table(io.read(path), predictions, stream)
    first, second, third = csv.DictReader(StringIO(stream.getvalue()), delimiter="\t")
    for row in (first, third):
        assert row["context_name"] == NAMED.name and row["context_genera"] == "23/31"
        assert row["context_note"] == "unexpected here" and row["context_expected_ec"] == "2.5.1.9"
    assert second["context_neighbours"] == "ribD:20/30,ribE:9/30"
    assert second["context_name"] == second["context_genera"] == second["context_note"] == ""
    assert first["ec_agreement"] == "" and first["ec_passed"] == ""


def test_the_summary_counts_hypothetical_proteins(annotated: tuple[Path, Predictions]) -> None:
    path, predictions = annotated
    genome = io.read(path)

    def said(predictions: Predictions) -> str:
        summary = Summary("x.gff3", Overview.of([genome]))
        for _ in summary.watched([(genome, predictions)]):
            pass
        return str(summary)

    assert said(predictions).endswith(
        "; of 2 hypothetical proteins with neighbours 1 gets a name from sequence and neighbours together, "
        "1 stands beside named genes in 10 genera or more"
    )
    nothing = {index: replace(of, context=None) for index, of in predictions.genes.items()}
    assert "hypothetical" not in said(replace(predictions, genes=nothing))
