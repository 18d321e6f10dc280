"""FASTA, cutting and translating a CDS, which protein is admitted, and the spelling of qualifiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from Bio.Seq import Seq
from hypothesis import given
from hypothesis import strategies as st

from glm_annot.errors import InputError
from glm_annot.io import qualifiers as q
from glm_annot.io import sequences
from glm_annot.records import ECCall, Gene, GenePrediction, Skip

PROTEINS = b"\n>a first\r\nMKTAYIAK qrlg\r\nSLVED*\r\n\r\n>b\nMSS\n"


def written(folder: Path, text: str, name: str = "input") -> Path:
    path = folder / name
    path.write_text(text)
    return path


# ---- FASTA ----


def test_fasta_names_end_at_a_blank_and_sequences_are_joined_in_upper_case() -> None:
    assert sequences.read_fasta(PROTEINS, "p.faa") == {"a": "MKTAYIAKQRLGSLVED*", "b": "MSS"}


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (b"ACGT\n>a\nACGT\n", 11, "expected FASTA"),
        (b">a\nACGT\n>\nACGT\n", 13, "without a name"),
        (b">a\nACGT\n>\xa0\nACGT\n", 13, "without a name"),  # a blank that does not break
        (b"\n>a\nACGT\n>a\nGGGG\n", 14, "both called 'a'"),
        (b">a\nACGT\nsee page 3\n", 13, "is not a sequence"),
    ],
)
def test_bad_fasta_names_the_line(text: bytes, line: int, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        sequences.read_fasta(text, "p.faa", first_line=11)
    assert caught.value.line == line


def test_nucleotides_are_refused_as_proteins_and_the_other_way_round(tmp_path: Path) -> None:
    contigs = written(tmp_path, ">c\nACGTTNNACGTTACGRACGTACGT\n", "c.fna")
    proteins = written(tmp_path, ">p\nMKTAYIAKQRLG\n", "p.faa")
    loaded = sequences.load(contigs, proteins)
    assert (loaded.contigs["c"][:4], loaded.proteins["p"]) == ("ACGT", "MKTAYIAKQRLG")
    with pytest.raises(InputError, match=r"c\.fna: this holds nucleotides, but --faa takes proteins"):
        sequences.load(faa=contigs)
    with pytest.raises(InputError, match=r"p\.faa: this holds proteins"):
        sequences.load(fasta=proteins)
    with pytest.raises(InputError, match="no sequence"):
        sequences.load(faa=written(tmp_path, ">a\n", "e.faa"))


# ---- translation ----


def test_splice_joins_parts_and_goes_on_over_the_origin() -> None:
    assert sequences.splice("AACCGGTT", [(1, 2), (5, 6)], 1) == "AAGG"
    assert sequences.splice("AACCGGTT", [(1, 2), (5, 6)], -1) == "CCTT"
    assert sequences.splice("AACCGGTT", [(7, 10)], 1) == "TTAA"
    assert sequences.splice("AACCGGTT", [(7, 8), (9, 11)], 1) == "TTAAC"


@given(st.text("ACGTN", max_size=60), st.sampled_from([1, 4, 11, 25]))
def test_translation_agrees_with_biopython(dna: str, table: int) -> None:
    whole = dna[: len(dna) // 3 * 3]
    expected = str(Seq(whole).translate(table=table)).removesuffix("*")
    got = sequences.translate(dna, table=table, complete_start=False)
    ambiguous = {"B", "Z", "J"}  # Biopython names these pairs of residues; here they are unknown
    assert got == "".join("X" if residue in ambiguous else residue for residue in expected)


@pytest.mark.parametrize(
    ("dna", "options", "protein"),
    [
        ("GTGAAATAA", {}, "MK"),
        ("GTGAAATAA", {"complete_start": False}, "VK"),
        ("CGTGAAATAA", {"phase": 1}, "MK"),
        ("GTGAAATA", {}, "MK"),
        ("ATGTGAAAATAG", {}, "M*K"),
        ("ATGTGAAAATAG", {"recoded": {"TGA": "U"}}, "MUK"),
        ("ATGTGAAAATGA", {"recoded": {"TGA": "U"}}, "MUK"),
        ("ATGTGAAAATAG", {"table": 4}, "MWK"),
        ("", {}, ""),
        ("TAA", {}, ""),
    ],
)
def test_translation_known_answers(dna: str, options: dict[str, object], protein: str) -> None:
    assert sequences.translate(dna, **options) == protein  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["99", "eleven", "", "-1"])
def test_unknown_genetic_code(value: str) -> None:
    with pytest.raises(InputError, match="genetic code"):
        sequences.genetic_code(value, "a.gff3", 3)


@pytest.mark.parametrize(
    ("protein", "pseudo", "expected"),
    [
        ("MKTAYIAKQR", False, ("MKTAYIAKQR", None)),
        ("mktayiakqr*", False, ("MKTAYIAKQR", None)),
        ("MKTA*IJKQ-", False, ("MKTAXIXKQX", None)),
        ("MKTAYIAKQ", False, (None, Skip.TOO_SHORT)),
        (None, False, (None, Skip.NO_SEQUENCE)),
        ("XXXXXXXXXXXX", False, (None, Skip.NO_SEQUENCE)),
        ("MKTAYIAKQR", True, (None, Skip.PSEUDOGENE)),
        (None, True, (None, Skip.PSEUDOGENE)),
    ],
)
def test_which_proteins_are_admitted(
    protein: str | None, pseudo: bool, expected: tuple[str | None, Skip | None]
) -> None:
    assert sequences.admit(protein, pseudo=pseudo) == expected


# ---- qualifiers ----


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.1.1.1", "1.1.1.1"),
        ("EC:2.7.1", "2.7.1.-"),
        ("EC3.1.-.-", "3.1.-.-"),
        ("6.-.-.-", "6.-.-.-"),
        ("1.1.1.n1", "1.1.1.n1"),
        ("-.-.-.-", None),
        ("3", None),
        ("8.1.1.1", None),
        ("1.2.3.4.5", None),
        ("3.-.1.-", None),
        ("-", None),
    ],
)
def test_normal_form_of_an_ec_number(text: str, number: str | None) -> None:
    assert q.normal_ec(text) == number


@pytest.mark.parametrize(
    "attributes",
    [
        pytest.param({"Dbxref": ["COG:J", "EC:2.7.1.2", "SO:1", "EC:3.1.-.-"]}, id="Bakta"),
        pytest.param({"db_xref": ["EC:2.7.1.2", "EC:3.1.-.-"]}, id="Bakta GenBank"),
        pytest.param({"eC_number": ["2.7.1.2"], "EC_number": ["3.1.-.-"]}, id="Prokka"),
        pytest.param({"EC_number": ["2.7.1.2", "3.1.-.-", "2.7.1.2"]}, id="DFAST, INSDC"),
        pytest.param({"ec_number": ["2.7.1.2|3.1.-.-"]}, id="PATRIC"),
        pytest.param({"ec_number": ["EC:2.7.1.2", "EC:3.1"]}, id="JGI"),
        pytest.param({"em_EC": ["2.7.1.2", "3.1.-.-"], "em_KEGG": ["1.1.1.1"]}, id="eggNOG"),
        pytest.param({"Ontology_term": ["KEGG_ENZYME:2.7.1.2", "KEGG_ENZYME:3.1.-.-"]}, id="RAST"),
    ],
)
def test_ec_numbers_of_every_dialect(attributes: Mapping[str, Sequence[str]]) -> None:
    assert q.existing_ec(attributes) == ("2.7.1.2", "3.1.-.-")


def test_no_ec_is_no_number() -> None:
    assert q.existing_ec({"em_EC": ["-"], "Dbxref": ["GO:0004340"], "note": ["EC:1.1.1.1"]}) == ()


def test_promotion_needs_confidence_and_a_gene_without_ec() -> None:
    prediction = GenePrediction((ECCall("2.7.1.-", 0.95), ECCall("2.7.1.2", 0.9), ECCall("3.1.1.1", 0.7)))
    bare = Gene(0, "a", "c", 1, 30, 1)
    assert q.promoted_ec(bare, prediction, 0.8) == ("2.7.1.2",)
    assert q.promoted_ec(bare, prediction, 0.92) == ("2.7.1.-",)
    assert q.promoted_ec(bare, prediction, None) == ()
    assert q.promoted_ec(Gene(0, "a", "c", 1, 30, 1, ec=("1.1.1.1",)), prediction, 0.8) == ()


def test_a_class_contains_its_numbers_only() -> None:
    assert q.is_ec_prefix("2.7.1.-", "2.7.1.2")
    assert q.is_ec_prefix("2.-.-.-", "2.7.1.-")
    assert not q.is_ec_prefix("2.7.1.-", "2.7.1.-")
    assert not q.is_ec_prefix("2.7.1.-", "2.7.11.1")
    assert not q.is_ec_prefix("2.7.1.2", "2.7.1.20")
