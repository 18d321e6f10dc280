"""What an annotated file says without its table is what the table says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from glm_annot import io
from glm_annot.errors import InputError
from glm_annot.hypothetical import is_hypothetical
from glm_annot.io.table import _TOLD, COLUMNS, DECIMALS, table_rows
from tests.annot.io.test_context_names import BESIDE, NAMED
from tests.support.fakes import fake_predictions
from tests.support.made_genomes import ancestors, bakta_json, genbank, gff3, make_genome

ALWAYS = (
    "contig",
    "start",
    "end",
    "strand",
    "locus_tag",
    "id",
    "gene",
    "product",
    "ec_existing",
    "operon_position",
)
NUMBERS = {*DECIMALS, "ec_passed_confidence"}


def rounded(name: str, text: str) -> str:
    """A cell as an annotation writes it: numbers with three decimals."""
    return ",".join(f"{float(part):.3f}" for part in text.split(",")) if name in NUMBERS and text else text


def _made(format: str) -> bytes:
    made = make_genome("Escherichia coli", ancestors(12), seed=1)
    if format == "bakta":  # a few of its genes are hypothetical, as all of the others are
        return bakta_json(made).replace(b'"kinase"', b'"hypothetical protein"', 5)
    return (gff3(made) if format == "gff3" else genbank(made)).encode()


@pytest.mark.parametrize("promote_ec", [None, 0.1])
@pytest.mark.parametrize("format", ["gff3", "genbank", "bakta"])
def test_the_file_says_what_the_table_says(tmp_path: Path, format: str, promote_ec: float | None) -> None:
    path = tmp_path / "x"
    path.write_bytes(_made(format))
    genome = io.read(path)
    predicted = fake_predictions(genome, seed=3)
    contexts = {index: BESIDE if index % 2 else NAMED for index in predicted.genes}
    genes = {index: replace(gene, context=contexts[index]) for index, gene in predicted.genes.items()}
    predictions = replace(predicted, genes=genes)
    path.write_bytes(io.render(genome, predictions, promote_ec=promote_ec))
    comment, contigs, rows = io.told(path)
    assert "program=glm-annot" in comment
    assert [contig.name for contig in contigs] == [contig.name for contig in genome.contigs]
    expected = list(table_rows(genome, predictions))
    assert len(rows) == len(expected) == 12 and list(rows[0]) == list(COLUMNS)
    assert {row["ec_agreement"] for row in rows} > {""}
    for row, of_table in zip(rows, expected, strict=True):
        named = [name for name in _TOLD if name.startswith("context_") and name != "context_fit"]
        told = [name for name in _TOLD if name not in named or is_hypothetical(row["product"])]
        if row["context_name"]:
            told.remove("context_neighbours")  # is told only where there is no name
        for name in (*ALWAYS, "ec_agreement", *told):
            assert rounded(name, row[name]) == rounded(name, of_table[name]), name
        assert row["ec_candidates"] == row["prob_pair_next"] == ""
    assert any(row["context_name"] == NAMED.name for row in rows)
    assert any(row["context_neighbours"] == "ribD:20/30,ribE:9/30" for row in rows)


def test_a_file_without_additions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.gff3").write_text(gff3(make_genome("Escherichia coli", ancestors(2), seed=1)))
    with pytest.raises(InputError, match="nothing in this file is from glm-annot"):
        io.told(tmp_path / "x.gff3")
