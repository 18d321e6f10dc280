"""The table of results: every CDS has its row, every column says what COLUMNS promises."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

import glm_annot.io as annotation_io
from glm_annot.io.table import COLUMNS, Agreement, agreement, is_whole_table, write_table
from glm_annot.records import (
    Contig,
    ECCall,
    Gene,
    GenePrediction,
    Genome,
    OperonCall,
    Predictions,
    Provenance,
    Skip,
)
from tests.support.fakes import fake_predictions

PROVENANCE = Provenance("glm-annot 0.1.0", "mini", "1.0.0", "0123abcd", min_confidence=0.5)


def rows(genome: Genome, predictions: Predictions) -> list[dict[str, str]]:
    stream = io.StringIO(newline="")
    write_table(genome, predictions, stream)
    return list(csv.DictReader(io.StringIO(stream.getvalue(), newline=""), delimiter="\t"))


def genome() -> Genome:
    genes = (
        Gene(0, "a", "c", 1, 90, -1, "L1", "glk", "Gluco\tkinase\nI", ("2.7.1.2", "2.7.1.1"), "M" * 30),
        Gene(1, "b", "c", 100, 190, -1, skip=Skip.PSEUDOGENE),
        Gene(2, "c", "c", 200, 290, -1, protein="M" * 30),
        Gene(3, "d", "c", 300, 420, 1, protein="M" * 40),
    )
    return Genome((Contig("c", 400, True, genes),))


def predictions() -> Predictions:
    sure, likely, low = ECCall("2.7.1.2", 0.91234), ECCall("3.1.-.-", 0.6), ECCall("1.1.1.1", 0.02)
    return Predictions(
        genes={
            0: GenePrediction((sure, likely), (sure, low), 0.99, 12.34, 0.25, "reference"),
            2: GenePrediction((), (low,), 0.1, None, None),
            3: GenePrediction((likely,), (low,), 0.7, 0.0, 1.0, "encoder"),
        },
        pairs={(0, 2): 0.75, (2, 3): 0.0, (3, 0): 0.125},
        operons=(OperonCall("glm_operon_0001", "c", (0, 2), 1, 290, -1, 0.75),),
        provenance=PROVENANCE,
        ec_names={"2.7.1.2": "glucokinase", "3.1.-.-": "Hydrolases"},
    )


_OF_EVERY_MODEL = (
    "context_fit",
    "context_confidence",
)  # the other columns of context need families with names


def test_known_rows() -> None:
    first, skipped, third, last = rows(genome(), predictions())
    assert first == {
        "contig": "c",
        "start": "1",
        "end": "90",
        "strand": "-",
        "locus_tag": "L1",
        "id": "a",
        "gene": "glk",
        "product": "Gluco\tkinase\nI",
        "ec_existing": "2.7.1.2,2.7.1.1",
        "ec_passed": "2.7.1.2,3.1.-.-",
        "ec_passed_confidence": "0.9123,0.6000",
        "ec_name": "glucokinase; Hydrolases",
        "ec_agreement": "same",
        "ec_candidates": "2.7.1.2,1.1.1.1",
        "ec_candidates_confidence": "0.9123,0.0200",
        "operon": "glm_operon_0001",
        "operon_position": "2",  # on the reverse strand the last gene on the contig is transcribed first
        "operon_confidence": "0.7500",
        "prob_pair_prev": "0.1250",
        "prob_pair_next": "0.7500",
        "enzyme_confidence": "0.9900",
        "context_fit": "12.3",
        "context_confidence": "0.2500",
        "evidence": "reference",
        "skip": "",
        **dict.fromkeys(
            (name for name in COLUMNS if name.startswith("context_") and name not in _OF_EVERY_MODEL), ""
        ),
    }
    filled = {name: cell for name, cell in skipped.items() if cell}
    assert filled == {
        "contig": "c",
        "start": "100",
        "end": "190",
        "strand": "-",
        "id": "b",
        "skip": "pseudogene",
    }
    assert (third["operon_position"], third["context_fit"], third["ec_passed"]) == ("1", "", "")
    assert (third["prob_pair_prev"], third["prob_pair_next"]) == ("0.7500", "0.0000")
    assert (last["operon"], last["operon_position"], last["operon_confidence"]) == ("none", "", "")
    assert (last["end"], last["context_fit"], last["prob_pair_next"]) == ("420", "0.0", "0.1250")


def test_what_was_not_asked_for_is_empty() -> None:
    quiet = Predictions({i: GenePrediction() for i in (0, 2, 3)}, {}, None, PROVENANCE)
    for row in rows(genome(), quiet):
        assert not any(row[name] for name in COLUMNS if name.startswith(("operon", "prob_", "enzyme")))
        assert row["ec_agreement"] == ""  # not 'missed': nobody looked


def test_every_row_has_every_column_and_every_cds_a_row() -> None:
    path = Path(__file__).parent / "data" / "gff3" / "bakta.gff3"
    read = annotation_io.read(path)
    stream = io.StringIO()
    annotation_io.write_table(read, fake_predictions(read, 5), stream)
    header, *lines = stream.getvalue().split("\n")[:-1]
    assert header.split("\t") == list(COLUMNS)
    assert {line.count("\t") for line in lines} == {len(COLUMNS) - 1}
    assert [line.split("\t")[5] for line in lines] == [gene.id for gene in read.genes]


ODD = (
    ('say "no"', 'say "no"'),
    ("two\tcolumns", "two\tcolumns"),
    ("two\nlines", "two\nlines"),
    ("two\r\nlines", "two\r\nlines"),
    ("=1+1", "'=1+1"),
    ("+cmd", "'+cmd"),
    ("-10 protein", "'-10 protein"),
    ("@sum", "'@sum"),
    ('=say "no"', '\'=say "no"'),
    ("it's a=b", "it's a=b"),
    ("bell\x07 \x00 \x85 \u2028", "bell\\x07 \\x00 \\x85 \\u2028"),
    ("beta-lactamase β", "beta-lactamase β"),
)


@pytest.mark.parametrize(("value", "expected"), ODD)
@pytest.mark.parametrize("column", ["locus_tag", "id", "gene", "product"])
def test_odd_text_is_read_back_by_csv_and_pandas(value: str, expected: str, column: str) -> None:
    named = {"id": "x", {"gene": "name"}.get(column, column): value}
    genes = (
        Gene(index=0, contig="c", start=1, end=90, strand=-1, **named),  # type: ignore[arg-type]
        Gene(1, "next", "c", 100, 190, -1, skip=Skip.PSEUDOGENE),
    )
    odd = Genome((Contig("c", 400, True, genes),))
    stream = io.StringIO(newline="")
    write_table(odd, Predictions({}, {}, None, PROVENANCE), stream)
    first, second = rows(odd, Predictions({}, {}, None, PROVENANCE))
    assert (first[column], first["strand"], first["start"]) == (expected, "-", "1")
    assert (second["id"], second["skip"]) == ("next", "pseudogene")
    text = stream.getvalue()
    assert is_whole_table(text.encode())
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_csv(io.BytesIO(text.encode()), sep="\t")
    assert frame[column][0] == expected and list(frame["start"]) == [1, 100] and frame["strand"][0] == "-"


def test_a_table_cut_off_anywhere_is_not_whole() -> None:
    stream = io.StringIO(newline="")
    write_table(genome(), predictions(), stream)
    whole = stream.getvalue().encode()
    ends = {0, *(n + 1 for n, byte in enumerate(whole) if byte == ord("\n"))}
    broken = [n for n in range(len(whole)) if is_whole_table(whole[:n])]
    assert is_whole_table(whole) and set(broken) < ends  # rows that are missing as a whole cannot be told
    assert whole.index(b"kinase\n") + len(b"kinase\n") not in broken  # a line end within a cell


@pytest.mark.parametrize(
    ("existing", "predicted", "expected"),
    [
        ((), (), Agreement.NONE),
        ((), ("1.1.1.1",), Agreement.NEW),
        (("1.1.1.1",), (), Agreement.MISSED),
        (("1.1.1.1", "2.7.1.2"), ("2.7.1.2",), Agreement.SAME),
        (("1.1.1.-",), ("1.1.1.-",), Agreement.SAME),
        (("1.1.1.1",), ("1.1.-.-",), Agreement.PREFIX),
        (("1.1.-.-",), ("1.1.1.1",), Agreement.PREFIX),
        (("1.1.1.1",), ("1.1.1.10",), Agreement.CONFLICT),
        (("1.1.1.1",), ("1.11.-.-",), Agreement.CONFLICT),
    ],
)
def test_agreement(existing: tuple[str, ...], predicted: tuple[str, ...], expected: Agreement) -> None:
    assert agreement(existing, predicted) is expected


def test_a_gene_that_was_only_context_says_so() -> None:
    made = predictions()
    kept = {index: gene for index, gene in made.genes.items() if index != 3}
    found = rows(genome(), replace(made, genes=kept))
    assert [row["skip"] for row in found] == ["", "pseudogene", "", "named"]
