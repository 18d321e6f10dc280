"""GFF3 in every dialect: what is read, what is written back, and that strip gives the very bytes again."""

from __future__ import annotations

import gzip
import itertools
import re
import shutil
import subprocess
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import gffutils
import pytest
from hypothesis import given
from hypothesis import strategies as st

import glm_annot.io as annotation_io
from glm_annot.errors import InputError
from glm_annot.io.gff3 import patch as gff3_patch
from glm_annot.io.gff3 import read as gff3
from glm_annot.io.sequences import Sequences
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
from tests.support.tiny import made_gff3

DATA = Path(__file__).parent / "data" / "gff3"
DIALECTS = {
    "bakta.gff3": {},
    "bakta_compliant.gff3": {"fasta": DATA / "bakta_compliant.fna"},
    "prokka.gff": {},
    "ncbi.gff": {"fasta": DATA / "ncbi.fna"},
    "prodigal.gff": {"faa": DATA / "prodigal.faa"},
    "dfast.gff": {},
}
PROVENANCE = Provenance("glm-annot 0.1.0", "mini", "1.0.0", "0123abcd", min_confidence=0.5)


def read(name: str) -> Genome:
    return annotation_io.read(DATA / name, **DIALECTS[name])


def parse(
    text: str | bytes, *, fasta: dict[str, str] | None = None, faa: dict[str, str] | None = None
) -> Genome:
    raw = text.encode() if isinstance(text, str) else text
    return gff3.parse("made.gff3", raw, Sequences(fasta or {}, faa or {}))


def cds(*columns: object, attributes: str = "ID=a") -> str:
    """A CDS line: contig, start, end, strand, phase."""
    contig, start, end, strand, phase = columns
    return f"{contig}\ttool\tCDS\t{start}\t{end}\t.\t{strand}\t{phase}\t{attributes}\n"


def only_gene(genome: Genome) -> Gene:
    (gene,) = genome.genes
    return gene


def made_predictions(genome: Genome) -> Predictions:
    """The first two coding genes of the first contig are an operon, joined by the last on a circular one."""
    contig = genome.contigs[0]
    coding = [gene for c in genome.contigs for gene in c.coding]
    answers = (
        GenePrediction((ECCall("2.7.1.2", 0.97), ECCall("3.1.-.-", 0.5)), (), 0.99, 41.25, 0.5, "reference"),
        GenePrediction((ECCall("1.1.1.21", 0.875),), (), 0.75, None, None, "encoder"),
        GenePrediction((ECCall("4.2.1.20", 0.9),), (), 0.625, 7.0, 0.5, "context"),
        GenePrediction((), (), 0.03125, 99.5, 0.5, ""),
    )
    members = (*contig.coding[-1:], *contig.coding[:2]) if contig.circular else contig.coding[:2]
    wrap = contig.length if contig.circular and contig.length else 0
    operon = OperonCall(
        id="glm_operon_0001",
        contig=contig.name,
        genes=tuple(gene.index for gene in members),
        start=members[0].start,
        end=members[-1].end + wrap,
        strand=1,
        confidence=0.8125,
        start_confidence=0.25 if contig.circular else None,
        end_confidence=1.0,
    )
    genes = {gene.index: answers[i % len(answers)] for i, gene in enumerate(coding)}
    return Predictions(genes, {}, (operon,), PROVENANCE)


# ---- reading: known answers ----

A, B, C = "MKTAYIAKQRLG", "MSLVEDNFHWPC", "MNNRQEGYTIVD"
SLIPPED = "MKTAYIQKTRLGSLV"  # one base is read twice, between K and T
KNOWN = {
    "bakta.gff3": [
        ("TESTIA_00005", 35, 73, 1, "TESTIA_00005", "glk", "Glucokinase, type I", ("2.7.1.2",), A),
        ("TESTIA_00010", 84, 122, 1, "TESTIA_00010", "", "Aldehyde reductase", (), B),
        ("TESTIA_00015", 133, 171, -1, "TESTIA_00015", "", "hypothetical protein", (), C),
        ("TESTIA_00020", 182, 220, 1, "TESTIA_00020", "", "Glucokinase", (), Skip.PSEUDOGENE),
        ("TESTIA_00025", 231, 269, 1, "TESTIA_00025", "repA", "Replication protein", (), "MAGDKLHERSTV"),
    ],
    "bakta_compliant.gff3": [
        ("TESTIA_00005", 11, 49, 1, "TESTIA_00005", "glk", "Glucokinase", ("2.7.1.2",), A),
        ("TESTIA_00010", 60, 98, 1, "TESTIA_00010", "", "Aldehyde reductase", (), B),
        ("TESTIA_00015", 109, 147, -1, "TESTIA_00015", "", "Protein of unknown function", (), C),
    ],
    "prokka.gff": [
        ("PKKA_00001", 11, 49, 1, "PKKA_00001", "glk", "Glucokinase, type I", ("2.7.1.2",), A),
        ("PKKA_00002", 60, 98, 1, "PKKA_00002", "", "Aldehyde reductase", (), B),
        ("PKKA_00003", 11, 49, -1, "PKKA_00003", "", "hypothetical protein", (), C),
        ("PKKA_00005", 60, 68, 1, "PKKA_00005", "", "leader peptide", (), Skip.TOO_SHORT),
    ],
    "ncbi.gff": [
        ("cds-WP_000001.1", 11, 49, 1, "T_RS00005", "glk", "glucokinase", (), A),
        ("cds-WP_000002.1", 60, 106, -1, "T_RS00010", "", "peptide chain release factor 2", (), SLIPPED),
        ("cds-WP_000003.1", 117, 155, 1, "T_RS00015", "", "formate dehydrogenase", (), "MKLUGHTSVPYA"),
        ("cds-T_RS00020", 166, 204, 1, "T_RS00020", "", "transposase", (), Skip.PSEUDOGENE),
        ("cds-WP_000005.1", 215, 253, -1, "T_RS00025", "", "hypothetical protein", (), C),
    ],
    "prodigal.gff": [
        ("1_1", 1, 33, 1, "", "", "", (), "TAYIAKQRLG"),
        ("1_2", 44, 82, 1, "", "", "", (), B),
        ("1_3", 93, 131, -1, "", "", "", (), C),
    ],
    "dfast.gff": [
        ("MGA_1", 11, 49, 1, "LOCUS_00010", "glk", "bifunctional glucokinase",
         ("2.7.1.2", "2.7.1.1", "3.1.3.-"), A),
        ("MGA_2", 60, 98, 1, "LOCUS_00020", "", "aldehyde reductase", (), B),
        ("MGA_3", 109, 147, -1, "LOCUS_00030", "", "hypothetical protein", (), C),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", DIALECTS)
def test_reads_every_cds_of_a_dialect(name: str) -> None:
    got = [
        (g.id, g.start, g.end, g.strand, g.locus_tag, g.name, g.product, g.ec, g.skip or g.protein)
        for g in read(name).genes
    ]
    assert got == KNOWN[name]


def test_contigs_have_length_and_topology() -> None:
    def shape(contig: Contig) -> tuple[str, int | None, bool]:
        return contig.name, contig.length, contig.circular

    assert [shape(c) for c in read("bakta.gff3").contigs] == [("contig_1", 245, True)]
    assert [shape(c) for c in read("prokka.gff").contigs] == [("NODE_1", 108, False), ("NODE_2", 78, False)]
    assert [shape(c) for c in read("ncbi.gff").contigs] == [("NC_TEST.1", 263, False)]
    assert [shape(c) for c in read("prodigal.gff").contigs] == [("scaffold_7", 141, False)]


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text.replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(lambda text: text.removesuffix(b"\n"), id="no last newline"),
        pytest.param(
            lambda text: re.sub(rb"\n(?=\S+\t)", b"\n\n  \n# remark\n", text), id="blank lines, comments"
        ),
        pytest.param(lambda text: b"\xef\xbb\xbf" + text, id="byte order mark"),
        pytest.param(lambda text: re.sub(rb"(\tID=.*[^;])\n", rb"\1;\n", text), id="trailing semicolon"),
        pytest.param(lambda text: text.replace(b"##FASTA\n", b""), id="no ##FASTA line"),
    ],
)
def test_line_ends_and_surroundings_do_not_matter(
    name: str, change: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(change((DATA / name).read_bytes()))
    genome = annotation_io.read(path, **DIALECTS[name])
    assert genome.contigs == read(name).contigs
    assert genome.source is not None
    assert annotation_io.strip(annotation_io.render(genome, made_predictions(genome))) == path.read_bytes()


# ---- reading: single points ----

LONG = "ATGAAAACCGCGTATATTGCGAAACAGCGTCTGGGCTAA"  # MKTAYIAKQRLG


def test_a_cds_over_the_origin_may_stand_on_two_lines() -> None:
    rotated = LONG[20:] + "GGGGGGGG" + LONG[:20]
    region = f"c\ttool\tregion\t1\t{len(rotated)}\t.\t+\t.\tID=c;Is_circular=true\n"
    text = region + cds("c", 1, 19, "+", 1) + cds("c", 28, 47, "+", 0)
    gene = only_gene(parse(text, fasta={"c": rotated}))
    assert (gene.start, gene.end, gene.protein) == (28, 66, A)


@pytest.mark.parametrize(("between", "circular"), [(60, True), (8, False)])
def test_a_contig_that_a_cds_crosses_the_origin_of_is_circular(
    between: int, circular: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Two lines at both ends of a contig: of one gene over the origin if most of the contig is between."""
    rotated = LONG[20:] + "G" * between + LONG[:20]
    n = len(rotated)
    text = f"##sequence-region c 1 {n}\n" + cds("c", 1, 19, "+", 1) + cds("c", n - 19, n, "+", 0)
    with caplog.at_level("WARNING", logger="glm_annot"):
        genome = parse(text, fasta={"c": rotated})
    assert genome.contigs[0].circular is circular
    places = [(gene.start, gene.end, gene.protein == A) for gene in genome.genes]
    assert places == ([(n - 19, n + 19, True)] if circular else [(1, 19, False), (n - 19, n, False)])
    warning = "made.gff3: c is not marked circular, but read so: a lies over its origin"
    assert (warning in [record.getMessage() for record in caplog.records]) is circular


def test_a_cds_over_the_origin_may_have_a_further_break() -> None:
    rotated = LONG[20:] + "G" * 30 + LONG[:12] + "TTT" + LONG[12:20]
    region = f"c\ttool\tregion\t1\t{len(rotated)}\t.\t+\t.\tID=c;Is_circular=true\n"
    lines = (
        cds("c", 1, 9, "+", 1)
        + cds("c", 10, 19, "+", 1)
        + cds("c", 50, 61, "+", 0)
        + cds("c", 65, 72, "+", 0)
    )
    gene = only_gene(parse(region + lines, fasta={"c": rotated}))
    assert (gene.start, gene.end, gene.protein) == (50, 91, A)


def test_a_cds_over_the_origin_on_the_reverse_strand() -> None:
    reverse = LONG[::-1].translate(str.maketrans("ACGT", "TGCA"))
    rotated = reverse[20:] + "GGGGGGGG" + reverse[:20]
    region = f"c\ttool\tregion\t1\t{len(rotated)}\t.\t+\t.\tID=c;Is_circular=true\n"
    two_lines = region + cds("c", 28, 47, "-", 1) + cds("c", 1, 19, "-", 0)
    one_line = region + cds("c", 28, 66, "-", 0)
    assert only_gene(parse(two_lines, fasta={"c": rotated})).protein == A
    assert only_gene(parse(one_line, fasta={"c": rotated})).protein == A


def test_a_fasta_beside_of_another_assembly() -> None:
    line = cds("c", 1, 39, "+", 0)
    for said in (f"##sequence-region c 1 {len(LONG)}\n", f"c\ttool\tregion\t1\t{len(LONG)}\t.\t+\t.\tID=c\n"):
        assert only_gene(parse(said + line, fasta={"c": LONG})).protein == A
        with pytest.raises(InputError, match=rf"says {len(LONG)} bp but the FASTA file has 60 for c; give"):
            parse(said + line, fasta={"c": "A" * 60})
        assert only_gene(parse(f"{said}{line}##FASTA\n>c\n{LONG}\n")).protein == A
        with pytest.raises(
            InputError, match=rf"says {len(LONG)} bp but its sequence after ##FASTA has 38 for c"
        ):
            parse(f"{said}{line}##FASTA\n>c\n{LONG[:38]}\n")


@pytest.mark.parametrize(("share", "warned"), [(1, True), (0, False)])
def test_proteins_full_of_stops_are_a_sign_of_another_genetic_code(
    share: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    in_code_4 = LONG[:9] + "TGA" + LONG[12:]
    contig = (in_code_4 if share else LONG) + "C" * 10 + LONG
    text = cds("c", 1, 39, "+", 0) + cds("c", 50, 88, "+", 0, attributes="ID=b")
    with caplog.at_level("WARNING", logger="glm_annot"):
        genome = parse(text, fasta={"c": contig})
        parse(
            text.replace("ID=a", "ID=a;transl_table=4").replace("ID=b", "ID=b;pseudo=true"),
            fasta={"c": contig},
        )
    assert ("X" in next(genome.genes).protein) is warned  # type: ignore[operator]
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == warned
    assert all("1 of 2 proteins have stop codons inside" in message for message in messages)


@pytest.mark.parametrize(
    ("line", "first"),
    [
        pytest.param(cds("c", 11, 49, "+", 0), "M", id="own start codon"),
        pytest.param(
            cds("c", 11, 49, "+", 0, attributes="ID=a;partial=10"), "V", id="Prodigal, open on the left"
        ),
        pytest.param(
            cds("c", 11, 49, "+", 0, attributes="ID=a;partial=01"), "M", id="Prodigal, open on the right"
        ),
        pytest.param(
            cds("c", 11, 49, "+", 0, attributes="ID=a;partial=true;start_range=.,11"),
            "V",
            id="NCBI, open start",
        ),
        pytest.param(cds("c", 10, 49, "+", 1), "V", id="phase 1"),
        pytest.param(
            cds("d", 11, 49, "-", 0, attributes="ID=a;partial=10"), "M", id="reverse, open at its end"
        ),
        pytest.param(
            cds("d", 11, 49, "-", 0, attributes="ID=a;partial=01"), "V", id="reverse, open at its start"
        ),
        pytest.param(
            cds("d", 11, 49, "-", 0, attributes="ID=a;partial=true;end_range=49,."), "V", id="NCBI, reverse"
        ),
    ],
)
def test_first_residue_is_m_only_for_a_complete_start(line: str, first: str) -> None:
    contig = "C" * 10 + "GTG" + LONG[3:] + "C" * 10
    reverse = contig[::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert only_gene(parse(line, fasta={"c": contig, "d": reverse})).protein == first + A[1:]


def test_a_start_at_the_edge_of_a_linear_contig_is_open_and_of_a_circular_one_is_not() -> None:
    contig = "GTG" + LONG[3:] + "C" * 10
    circular = f"c\ttool\tregion\t1\t{len(contig)}\t.\t+\t.\tID=c;Is_circular=true\n"
    line = cds("c", 1, 39, "+", 0)
    assert only_gene(parse(line, fasta={"c": contig})).protein == "V" + A[1:]
    assert only_gene(parse(circular + line, fasta={"c": contig})).protein == A


def test_internal_stop_is_kept_as_x_unless_the_file_calls_it_a_pseudogene() -> None:
    contig = LONG[:9] + "TAG" + LONG[9:]
    gene = only_gene(parse(cds("c", 1, 42, "+", 0), fasta={"c": contig}))
    assert (gene.protein, gene.skip) == ("MKTXAYIAKQRLG", None)
    said = only_gene(
        parse(cds("c", 1, 42, "+", 0, attributes="ID=a;pseudogene=unknown"), fasta={"c": contig})
    )
    assert (said.protein, said.skip) == (None, Skip.PSEUDOGENE)
    denied = only_gene(parse(cds("c", 1, 42, "+", 0, attributes="ID=a;pseudo=false"), fasta={"c": contig}))
    assert denied.skip is None


def test_genetic_code_comes_from_the_attribute_else_from_prodigals_comment() -> None:
    contig = LONG[:9] + "TGA" + LONG[9:]  # W in code 4
    stated = only_gene(parse(cds("c", 1, 42, "+", 0, attributes="ID=a;transl_table=4"), fasta={"c": contig}))
    commented = only_gene(
        parse(
            "# Model Data: gc_cont=30;transl_table=4;uses_sd=1\n" + cds("c", 1, 42, "+", 0),
            fasta={"c": contig},
        )
    )
    assert stated.protein == commented.protein == "MKTWAYIAKQRLG"


@pytest.mark.parametrize("stated", ["", ";transl_table=11"])
def test_a_genetic_code_that_the_user_chose_wins(stated: str) -> None:
    dna = "ATGAAATGAAAACTGAAAGCTGCTGCTGCTGCTAAATAA"  # TGA is W in code 4
    text = cds("c", 1, 39, "+", 0, attributes=f"ID=a{stated}")
    chosen = gff3.parse("made.gff3", text.encode(), Sequences({"c": dna}, chosen_code=4))
    assert only_gene(chosen).protein == "MKWKLKAAAAAK"
    assert only_gene(parse(text, fasta={"c": dna})).protein == "MKXKLKAAAAAK"


def test_a_joined_cds_is_read_in_the_chosen_code() -> None:
    dna = "ATGAAATGAAAACTGAAAGCTGCTGCTGCTGCTAAATAA"
    text = cds("c", 1, 9, "+", 0) + cds("c", 10, 39, "+", 0)
    chosen = gff3.parse("made.gff3", text.encode(), Sequences({"c": dna}, chosen_code=4))
    assert only_gene(chosen).protein == "MKWKLKAAAAAK"


def test_unknown_genetic_codes_are_left_aside_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    text = "# Model Data: transl_table=98;\n" + cds("c", 1, 39, "+", 0, attributes="ID=a;transl_table=99")
    plain = only_gene(parse(cds("c", 1, 39, "+", 0), fasta={"c": LONG}))
    assert only_gene(parse(text, fasta={"c": LONG})).protein == plain.protein
    squared = cds("c", 1, 39, "+", 0, attributes="ID=a;transl_table=²")
    assert only_gene(parse(squared, fasta={"c": LONG})).protein == plain.protein
    said = [record.getMessage().partition("ignored: ")[2] for record in caplog.records]
    unknown = ["1 (transl_table=98, line 1)", "1 (transl_table=99, line 2)", "1 (transl_table=², line 1)"]
    assert said == unknown


def test_marks_of_open_ends_are_no_part_of_positions() -> None:
    gene = "c\ttool\tgene\t<1\t>39\t.\t+\t.\tID=g\n"
    line = cds("c", "<1", ">39", "+", 0, attributes="ID=a;Parent=g")
    found = only_gene(parse(gene + line, fasta={"c": LONG}))
    assert (found.start, found.end) == (1, 39)
    assert found.protein == only_gene(parse(cds("c", 1, 39, "+", 0), fasta={"c": LONG})).protein


def test_positions_of_a_gene_line_that_are_no_numbers_are_kept_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gene = "c\ttool\tgene\t1.0\tend\t.\t+\t.\tID=g;locus_tag=L\n"
    genome = parse(gene + cds("c", 1, 39, "+", 0, attributes="ID=a;Parent=g"), fasta={"c": LONG})
    assert only_gene(genome).locus_tag == "L"
    assert "not a whole number from 1 on, kept as they are: 1 (line 1)" in caplog.text


def test_a_gene_line_beyond_its_contig_is_kept_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    gene = "c\ttool\tgene\t1\t{}\t.\t+\t.\tID=g\n"
    line = cds("c", 1, 39, "+", 0, attributes="ID=a;Parent=g")
    beyond = parse(gene.format(400) + line, fasta={"c": LONG})
    assert "reach past the end of their contig, kept as they are: 1 (g, line 1, 1..400 of" in caplog.text
    caplog.clear()
    within = parse(gene.format(39) + line, fasta={"c": LONG})
    assert not caplog.records
    assert only_gene(beyond) == only_gene(within)


def test_protein_fasta_wins_and_is_found_by_id_locus_tag_protein_id_or_prodigals_name() -> None:
    line = cds("c", 1, 39, "+", 0, attributes="ID=1_1;locus_tag=L1;protein_id=P1")
    for name in ("1_1", "L1", "P1", "c_1"):
        gene = only_gene(parse(line, fasta={"c": LONG}, faa={name: "MSSSSSSSSSSSS*"}))
        assert gene.protein == "MSSSSSSSSSSSS", name
    other = cds("c", 40, 78, "+", 0, attributes="ID=2")
    faa = {"2": "MSSSSSSSSSSSS"}
    assert [g.protein for g in parse(line + other, fasta={"c": 2 * LONG}, faa=faa).genes] == [A, faa["2"]]


def test_prodigals_name_goes_before_an_id_that_is_another_contigs_name() -> None:
    line = cds("2", 1, 39, "+", 0, attributes="ID=1_1")
    faa = {"1_1": "MAAAAAAAAAAAA", "2_1": "MSSSSSSSSSSSS"}
    assert only_gene(parse(line, faa=faa)).protein == "MSSSSSSSSSSSS"


def test_of_genes_with_one_id_the_cds_has_the_names_of_that_which_it_lies_in(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gene = "c\tt\tgene\t{}\t{}\t.\t+\t.\tID=g;locus_tag={}\n"
    text = gene.format(1, 39, "L1") + gene.format(40, 78, "L2")
    text += cds("c", 40, 78, "+", 0, attributes="ID=b;Parent=g") + cds(
        "c", 1, 39, "+", 0, attributes="ID=a;Parent=g"
    )
    genome = parse(text, fasta={"c": LONG + LONG})
    assert [(gene.id, gene.locus_tag) for gene in genome.genes] == [("a", "L1"), ("b", "L2")]
    assert "it lies in: 1 (g, lines 1, 2)" in caplog.text


def test_names_come_from_the_gene_above_where_the_cds_has_none() -> None:
    """As in Ensembl's files, whose CDS lines hold nothing but identifiers."""
    genes = (
        "ID=gene:b0002;Name=thrA;description=Aspartokinase %5BSource:UniProtKB/Swiss-Prot%3BAcc:P00561%5D;"
        "gene_id=b0002",
        "ID=gene:b0003;Name=b0003;gene_id=b0003",  # no symbol
    )
    text = "##gff-version 3\n"
    for number, attributes in enumerate(genes, start=2):
        tag, place = f"b000{number}", f"{100 * number}\t{100 * number + 38}\t.\t+"
        text += f"c1\tena\tgene\t{place}\t.\t{attributes}\n"
        text += (
            f"c1\tena\tmRNA\t{place}\t.\tID=transcript:{tag};Parent=gene:{tag};Name=x-1;transcript_id={tag}\n"
        )
        text += f"c1\tena\tCDS\t{place}\t0\tID=CDS:{tag};Parent=transcript:{tag};protein_id=AAC{number}\n"
    genome = parse(text, faa={"b0002": "M" * 12, "CDS:b0003": "M" * 12})
    assert [(gene.locus_tag, gene.name, gene.product) for gene in genome.genes] == [
        ("b0002", "thrA", "Aspartokinase"),
        ("b0003", "", ""),
    ]
    assert all(gene.protein for gene in genome.genes)


def test_cds_without_id_gets_a_made_one_and_is_a_feature_of_its_own() -> None:
    text = cds("c", 1, 39, "+", 0, attributes="product=x") + cds("c", 40, 78, "+", 0, attributes=".")
    genes = list(parse(text, fasta={"c": LONG + LONG}).genes)
    assert [(g.id, g.protein) for g in genes] == [("c_1_39_+", A), ("c_40_78_+", A)]


def test_a_contig_without_sequence_leaves_its_cds_without_protein() -> None:
    genes = list(
        parse(cds("c", 1, 39, "+", 0) + cds("d", 1, 39, "+", 0, attributes="ID=b"), fasta={"c": LONG}).genes
    )
    assert [g.skip for g in genes] == [None, Skip.NO_SEQUENCE]


def test_genes_of_a_contig_are_ordered_by_start_but_numbered_as_in_the_file() -> None:
    text = cds("c", 40, 78, "+", 0) + cds("c", 1, 39, "+", 0, attributes="ID=b")
    (contig,) = parse(text, fasta={"c": LONG + LONG}).contigs
    assert [(g.id, g.index) for g in contig.genes] == [("b", 1), ("a", 0)]


# ---- reading: errors ----

OK = cds("c", 1, 39, "+", 0)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        pytest.param(OK + "c tool CDS 1 39 . + 0 ID=b\n", 2, "where tabs belong", id="blanks for tabs"),
        pytest.param(
            OK + cds("c", 50, 40, "+", 0, attributes="ID=b"), 2, "after its end", id="start after end"
        ),
        pytest.param(cds("c", "x", 40, "+", 0), 1, "whole numbers", id="not a number"),
        pytest.param(cds("c", 1, 39, "+", 0, attributes='gene_id "a"'), 1, "GTF", id="GTF"),
        pytest.param(
            cds("c", 1, 39, "+", 0, attributes='gene_id "a"; note "b=c"'), 1, "GTF", id="GTF with an ="
        ),
        pytest.param(cds("c", 50, 102, "+", 0), None, "every CDS reaches past the end", id="past end"),
        pytest.param(
            "##gff-version 3\nc\tt\tgene\t1\t39\t.\t+\t.\tID=a\n", None, "gene lines but no CDS", id="no CDS"
        ),
        pytest.param("c\ttool\tCDS\t1\n", None, "no CDS of this file can be read", id="nothing to read"),
        (cds("c", 1, "9" * 5000, "+", 0), 1, "must be whole numbers from 1 on"),
    ],
)
def test_bad_input_names_the_line(text: str, line: int | None, message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        parse(text, fasta={"c": LONG + LONG, "d": LONG})
    assert caught.value.line == line
    assert str(caught.value).startswith("made.gff3")
    assert "\n" not in str(caught.value)


# ---- reading: what files do against the rules ----


def places(genome: Genome) -> list[tuple[int, int, int, Skip | None]]:
    return [(g.start, g.end, g.strand, g.skip) for g in sorted(genome.genes, key=lambda g: g.index)]


@pytest.mark.parametrize(
    ("second", "expected", "warning"),
    [
        pytest.param(cds("c", 40, 78, "+", 0), [(1, 39, 1), (40, 78, 1)],
                     "several genes, each read as a separate gene: 1 (ID a, lines 1", id="two ORFs"),
        pytest.param(cds("c", 40, 78, "-", 0), [(1, 39, 1), (40, 78, -1)], "ID a, lines 1, 2", id="strands"),
        pytest.param(cds("d", 1, 39, "+", 0), [(1, 39, 1), (1, 39, 1)], "ID a, lines 1, 2", id="contigs"),
        pytest.param(cds("c", 40, 78, "+", 0, attributes="ID=a;locus_tag=b"), [(1, 39, 1), (40, 78, 1)],
                     "(ID a, lines 1, 2)", id="another name"),
        pytest.param(OK, [(1, 39, 1)], "stand twice, read as one gene: 1 (ID a, ", id="twice"),
    ],
)  # fmt: skip
def test_one_id_on_several_lines(
    second: str, expected: list[tuple[int, int, int]], warning: str, caplog: pytest.LogCaptureFixture
) -> None:
    text = OK + second
    genome = parse(text, fasta={"c": LONG + LONG, "d": LONG})
    assert sorted(place[:3] for place in places(genome)) == expected
    assert warning in caplog.text
    assert annotation_io.strip(annotation_io.render(genome, fake_predictions(genome))) == text.encode()


def test_genes_of_one_parent_and_lines_without_bases_are_said(caplog: pytest.LogCaptureFixture) -> None:
    two = (OK + cds("c", 40, 78, "+", 0)).replace("ID=a", "Parent=p")
    assert len(places(parse(two, fasta={"c": LONG + LONG}))) == 2
    assert "which are read as several genes: 1 (Parent p, lines 1, 2)" in caplog.text
    assert places(parse(two.replace("Parent=p", "ID=a"), faa={"a": A}))[0][:2] == (1, 78)
    assert "read as one gene, for lack of bases to tell: 1 (ID a, lines 1, 2)" in caplog.text


def test_a_line_without_id_that_stands_twice_is_one_gene(caplog: pytest.LogCaptureFixture) -> None:
    line = OK.replace("ID=a", "locus_tag=L")
    genome = parse(line + line, fasta={"c": LONG})
    assert only_gene(genome).skip is None
    assert "stand twice, read as one gene: 1 (CDS c:1..39, lines 1, 2)" in caplog.text
    assert annotation_io.render(genome, made_predictions(genome)).count(b"glm_ec=") == 2


def test_parts_whose_joined_bases_have_no_stop_are_one_gene() -> None:
    two = cds("c", 1, 18, "+", 0) + cds("c", 25, 45, "+", 0)
    gene = only_gene(parse(two, fasta={"c": LONG[:18] + "TAATAA" + LONG[18:]}))
    assert (gene.protein, gene.parts) == (A, ((1, 18), (25, 45)))
    by_parent = two.replace("ID=a", "Parent=p")
    assert only_gene(parse(by_parent, fasta={"c": LONG[:18] + "TAATAA" + LONG[18:]})).protein == A


def test_trans_splicing_joins_parts_of_two_strands() -> None:
    reverse = LONG[18:][::-1].translate(str.maketrans("ACGT", "TGCA"))
    said = "ID=a;exception=trans-splicing"
    text = cds("c", 1, 18, "+", 0, attributes=said) + cds("c", 30, 50, "-", 0, attributes=said)
    gene = only_gene(parse(text, fasta={"c": LONG[:18] + "C" * 11 + reverse}))
    assert (gene.protein, gene.strand, gene.parts) == (A, 1, ((1, 18), (30, 50)))


@pytest.mark.parametrize(
    "odd",
    [
        "c\tt\tgene\t1\t39\t.\t+\t.\tID=a\n",
        "c\tt\tgene\t-17\t80\t.\t+\t.\tID=g\n",
        "c\tt\tgene\t1\t39\t.\t+\t.\tID=g\nc\tt\tgene\t40\t78\t.\t+\t.\tID=g\n",
        "c\tt\trRNA\t1\t39\t.\t+\t.\n",
        "c\tt\ttmRNA\t30\t3900\t.\t+\t.\tID=t\n",
        "track name=x\n",
    ],
)
def test_what_no_cds_depends_on_is_kept_as_it_is(odd: str) -> None:
    text = odd + OK
    genome = parse(text, fasta={"c": LONG + LONG})
    assert only_gene(genome).protein == A
    assert annotation_io.strip(annotation_io.render(genome, fake_predictions(genome))) == text.encode()


WRONG = {
    cds("c", 50, 202, "+", 0, attributes="ID=b"): (50, 202, Skip.OUTSIDE),
    cds("c", 0, 39, "+", 0, attributes="ID=b"): (0, 39, Skip.OUTSIDE),
    cds("c", -17, 39, "+", 0, attributes="ID=b"): (-17, 39, Skip.OUTSIDE),
    "c\ttool\tCDS\t1\t39\t.\t+\t0\n": (1, 39, Skip.MALFORMED),
    "c\ttool\tCDS\tx\t39\t.\t+\n": (0, 39, Skip.MALFORMED),
    "c\ttool\tCDS\t39\t1\n": (0, 0, Skip.MALFORMED),
    "c\ttool\tCDS\t40\n": (0, 0, Skip.MALFORMED),
    "c\ttool\tCDS\n": (0, 0, Skip.MALFORMED),
    cds("c", 40, 78, "+", 0, attributes="no name and no value"): (40, 78, Skip.MALFORMED),
    cds("c", 40, 78, "+", 0, attributes='gene_id "b"; note "x=y"'): (40, 78, Skip.MALFORMED),
    cds("c", 40, 78, "1", 9, attributes="ID=d"): (40, 78, None),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_one_cds_costs_only_that_cds(wrong: str, caplog: pytest.LogCaptureFixture) -> None:
    text = OK + wrong + cds("c", 40, 78, "-", 0, attributes="ID=c")
    genome = parse(text, fasta={"c": LONG + LONG})
    (first, *_), *others = places(genome)
    start, end, skip = WRONG[wrong]
    assert [(place[0], place[1], place[3]) for place in others] == [(start, end, skip), (40, 78, None)]
    assert first == 1 and next(genome.genes).protein in (A, None)
    assert "line 2" in caplog.text
    assert annotation_io.strip(annotation_io.render(genome, fake_predictions(genome))) == text.encode()


def test_a_type_in_lower_case_and_a_strand_in_numbers_are_read_as_meant(
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = OK.replace("CDS", "cds") + cds("c", 40, 78, "-1", 0, attributes="ID=b")
    genome = parse(text, fasta={"c": LONG + LONG})
    assert places(genome) == [(1, 39, 1, None), (40, 78, -1, None)]
    assert "features called cds, read as CDS: 1 (line 1)" in caplog.text
    assert annotation_io.strip(annotation_io.render(genome, fake_predictions(genome))) == text.encode()


@pytest.mark.parametrize(
    ("mark", "is_pseudogene"),
    [
        ('pseudo=""', True),
        ("pseudo", True),
        ("pseudo=true", True),
        ("pseudogene=unknown", True),
        ("gene_biotype=pseudogene", True),
        ("pseudo=false", False),
        ("gene_biotype=protein_coding", False),
    ],
)
def test_what_marks_a_pseudogene(mark: str, is_pseudogene: bool) -> None:
    gene = only_gene(parse(cds("c", 1, 39, "+", 0, attributes=f"ID=a;{mark}"), fasta={"c": LONG}))
    assert gene.skip is (Skip.PSEUDOGENE if is_pseudogene else None)


def test_an_empty_tenth_column_stays_behind_what_is_added() -> None:
    text = OK.replace("\n", "\t\n")
    genome = parse(text, fasta={"c": LONG})
    rendered = annotation_io.render(genome, made_predictions_of_one(genome))
    assert rendered.splitlines()[-1].startswith(OK.rstrip().encode() + b";glm_") and rendered.endswith(
        b"\t\n"
    )
    assert annotation_io.strip(rendered) == text.encode()


def made_predictions_of_one(genome: Genome) -> Predictions:
    return Predictions({0: GenePrediction((ECCall("2.7.1.2", 0.97),), (), 0.99)}, {}, None, PROVENANCE)


@pytest.mark.parametrize(
    "attributes",
    [
        'ID="a";product="x, y";EC_number="2.2.1.1"',
        'ID=a;product=x%2C y;Dbxref="EC:2.2.1.1","GO:1"',
        'ID=a;product=x%2C y;Dbxref="GO:1,EC:2.2.1.1"',
        '"ID=a;product=""x, y"";EC_number=2.2.1.1"',
        "ID=a;Product=x%2C y;Ec_Number=2.2.1.1",
    ],
)
def test_quotes_and_the_case_of_names_are_no_part_of_what_is_read(attributes: str) -> None:
    text = cds("c", 1, 39, "+", 0, attributes=attributes)
    gene = only_gene(parse(text, fasta={"c": LONG}))
    assert (gene.id, gene.product.replace(", ", ","), gene.ec) == ("a", "x,y", ("2.2.1.1",))


def test_files_joined_into_one_are_refused() -> None:
    one = f"##gff-version 3\n{OK}##FASTA\n>c\n{LONG}\n"
    with pytest.raises(InputError, match=r"line 6: a GFF3 file begins here.*joined; give them one by one"):
        parse(one + one)
    with pytest.raises(InputError, match=r"line 5: a GFF3 file begins here.*joined; give them one by one"):
        parse(one.rstrip("\n") + one.replace("c\t", "d\t", 1))
    bare = f"##gff-version 3\n{OK}"
    with pytest.raises(InputError, match=r"line 2: a second GFF3 file begins within this line.*one by one"):
        parse(bare.rstrip("\n") + bare.replace("c\t", "d\t", 1), fasta={"c": LONG, "d": LONG})
    with pytest.raises(InputError, match=r"line 3: a second GFF3 file begins here.*a contig called c"):
        parse(bare + bare, fasta={"c": LONG})
    assert len(list(parse(bare + bare.replace("c\t", "d\t", 1), fasta={"c": LONG, "d": LONG}).genes)) == 2


def test_a_cds_in_a_directive_is_said(caplog: pytest.LogCaptureFixture) -> None:
    parse("##gff-version 3" + OK + cds("c", 40, 78, "+", 0, attributes="ID=b"), fasta={"c": LONG + LONG})
    assert "CDS that were not read, because their line begins with ##: 1 (line 1)" in caplog.text


def test_rna_letters_are_bases() -> None:
    assert only_gene(parse(OK, fasta={"c": LONG.replace("T", "U")})).protein == A


def test_attributes_of_the_user_s_own_that_begin_like_ours_stay() -> None:
    text = OK.replace("ID=a", "ID=a;glm_note=mine") + OK.replace("CDS", "gene").replace(
        "ID=a", "glm_ec=1.1.1.1"
    )
    text += "# glm-annot: a remark\n" + OK.replace("tool\tCDS", "glm-annot\toperon").replace(
        "ID=a", "ID=mine"
    )
    assert annotation_io.strip(text.encode()) == text.encode()
    genome = parse(text, fasta={"c": LONG})
    assert annotation_io.strip(annotation_io.render(genome, fake_predictions(genome))) == text.encode()


@pytest.mark.parametrize(
    "own",
    [
        OK.replace("ID=a", "glm_ec=1.1.1.1;ID=b"),
        OK.replace("ID=a", '"ID=a;glm_ec=1.1.1.1"'),
        OK.replace("tool\tCDS", "glm-annot\toperon").replace("ID=a", "ID=glm_operon_0001;x=1"),
    ],
)
def test_additions_without_our_comment_are_kept_but_not_added_to(own: str) -> None:
    text = OK + own
    assert annotation_io.strip(text.encode()) == text.encode()
    with pytest.raises(InputError, match=r"line 2: this (CDS|operon) has names that glm-annot writes, but"):
        parse(text, fasta={"c": LONG})


@pytest.mark.parametrize("sign", [".", "?"])
def test_a_cds_without_strand_is_skipped_and_the_others_are_read(sign: str) -> None:
    text = OK + cds("c", 40, 78, sign, 0, attributes="Name=b") + cds("c", 79, 117, "-", 0, attributes="ID=d")
    genome = parse(text, fasta={"c": 3 * LONG})
    genes = list(genome.genes)
    assert [(g.strand, g.skip) for g in genes] == [(1, None), (0, Skip.NO_STRAND), (-1, None)]
    assert genes[1].id == "c_40_78_." and genes[1].protein is None
    table = StringIO()
    predictions = fake_predictions(genome)
    annotation_io.write_table(genome, predictions, table)
    columns = [row.split("\t") for row in table.getvalue().splitlines()]
    assert [(row[3], row[-1]) for row in columns] == [
        ("strand", "skip"), ("+", ""), (".", "no_strand"), ("-", "")
    ]  # fmt: skip
    rendered = annotation_io.render(genome, predictions)
    assert cds("c", 40, 78, sign, 0, attributes="Name=b").encode() in rendered
    assert annotation_io.strip(rendered) == text.encode()


def test_a_pseudogene_without_strand_is_a_pseudogene() -> None:
    text = OK + cds("c", 40, 78, ".", 0, attributes="ID=b;pseudo=true")
    assert [g.skip for g in parse(text, fasta={"c": 3 * LONG}).genes] == [None, Skip.PSEUDOGENE]


def test_a_cds_longer_than_its_circular_contig_is_an_error() -> None:
    region = "c\ttool\tregion\t1\t39\t.\t+\t.\tID=c;Is_circular=true\n"
    with pytest.raises(InputError, match="every CDS reaches past the end"):
        parse(region + cds("c", 10, 60, "+", 0), fasta={"c": LONG})


@pytest.mark.parametrize(
    ("header", "fits"),
    [
        pytest.param("##sequence-region c 1 38\n", False, id="sequence-region"),
        pytest.param("##sequence-region  1 38\n", False, id="sequence-region without a name"),
        pytest.param("c\tt\tregion\t1\t38\t.\t+\t.\tID=c:1..38\n", False, id="region line"),
        pytest.param('# Sequence Data: seqnum=1;seqlen=38;seqhdr="c"\n', False, id="Prodigal's header"),
        pytest.param("c\tt\tregion\t1\t38\t.\t+\t.\tID=prophage\n", True, id="a region that is no contig"),
        pytest.param("##sequence-region c 1 39\n", True, id="long enough"),
    ],
)
def test_coordinates_are_checked_without_a_sequence_too(header: str, fits: bool) -> None:
    if fits:
        assert only_gene(parse(header + OK, faa={"a": A})).protein == A
    else:
        with pytest.raises(InputError, match="every CDS reaches past the end"):
            parse(header + OK, faa={"a": A})


def test_lack_of_sequences_is_an_error_that_says_which_option_helps() -> None:
    with pytest.raises(InputError, match=r"--fasta genome\.fna or --faa proteins\.faa"):
        parse(OK)
    embedded = f"##FASTA\n>c\n{LONG}\n"  # a FASTA that fits nothing is not passed over for it
    for text in (OK, OK + embedded):
        with pytest.raises(InputError, match=r"no sequence of the --fasta file \('other', \.\.\.\) .*'c'"):
            parse(text, fasta={"other": LONG})
        with pytest.raises(InputError, match=r"no protein of the --faa file .*'a'"):
            parse(text, faa={"other": A})
    with pytest.raises(InputError, match=r"no sequence after ##FASTA \('d', \.\.\.\) .* contig \('c'\)"):
        parse(OK + embedded.replace(">c", ">d"))
    with pytest.raises(InputError, match="no sequences for the CDS"):
        parse(OK + f"##FASTA\n>c\n{'N' * len(LONG)}\n")


# ---- writing ----


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.parametrize("promote_ec", [None, 0.8])
def test_rendered_text_is_the_expected_one(name: str, promote_ec: float | None) -> None:
    genome = read(name)
    folder = DATA / ("expected" if promote_ec is None else "expected_promoted")
    got = annotation_io.render(genome, made_predictions(genome), promote_ec=promote_ec)
    assert got == (folder / name).read_bytes()
    assert annotation_io.strip(got) == (DATA / name).read_bytes()


@pytest.mark.parametrize("name", DIALECTS)
def test_annotating_our_own_output_replaces_it(name: str, tmp_path: Path) -> None:
    genome = read(name)
    once = annotation_io.render(genome, fake_predictions(genome, 1), promote_ec=0.5)
    path = tmp_path / name
    path.write_bytes(once)
    again = annotation_io.read(path, **DIALECTS[name])
    assert again.contigs == genome.contigs
    assert annotation_io.render(again, fake_predictions(again, 1), promote_ec=0.5) == once


def test_all_lines_of_one_cds_get_the_same_attributes() -> None:
    genome = read("ncbi.gff")
    text = annotation_io.render(genome, fake_predictions(genome, 2)).decode()
    lines = [
        line.split("\t")[8] for line in text.splitlines() if "\tCDS\t" in line and "cds-WP_000002.1;" in line
    ]
    assert len(lines) == 2
    assert lines[0] == lines[1]
    assert "glm_operon=" in lines[0]


@pytest.mark.parametrize(
    "attributes", ["ID=a", "ID=a;", "ID=a;;", "ID=a; ", ".", "", ";", "note=glm_ec;ID=a", "Dbxref=;ID=a"]
)
@pytest.mark.parametrize("promote_ec", [None, 0.8])
@pytest.mark.parametrize("product", ["", "product=hypothetical protein"])
def test_odd_attribute_columns_come_back(attributes: str, promote_ec: float | None, product: str) -> None:
    joined = f"{product};{attributes}" if product else attributes
    text = "# Annotated with Bakta\n" + cds("c", 1, 39, "+", 0, attributes=joined)
    genome = parse(text, fasta={"c": LONG})
    prediction = GenePrediction((ECCall("2.7.1.2", 0.9), ECCall("2.7.1.1", 0.85)), evidence="encoder")
    got = gff3_patch.render(genome, Predictions({0: prediction}, {}, None, PROVENANCE), promote_ec)
    assert b"glm_ec=2.7.1.2,2.7.1.1;glm_ec_confidence=0.900,0.850" in got
    assert (b"EC:2.7.1.2" in got) == (promote_ec is not None and not product)
    assert gff3_patch.strip(got) == text.encode()


def test_numbers_of_hypothetical_proteins_go_into_the_field_on_request() -> None:
    text = "# Annotated with Bakta\n" + cds(
        "c", 1, 39, "+", 0, attributes="ID=a;product=hypothetical protein"
    )
    genome = parse(text, fasta={"c": LONG})
    made = Predictions({0: GenePrediction((ECCall("2.7.1.2", 0.9),))}, {}, None, PROVENANCE)
    in_field = annotation_io.render(genome, made, promote_ec=0.8, promote_to="field")
    assert b"Dbxref=EC:2.7.1.2;" in in_field and b"Note=" not in in_field
    assert b"; promote_ec=0.8; promote_to=field\n" in in_field
    in_note = annotation_io.render(genome, made, promote_ec=0.8)
    assert b"Note=predicted EC 2.7.1.2" in in_note and b"promote_to" not in in_note
    assert gff3_patch.strip(in_field) == gff3_patch.strip(in_note) == text.encode()


def test_a_blank_before_an_attribute_makes_no_second_one_of_it() -> None:
    text = cds("c", 1, 39, "+", 0, attributes="ID=a; Dbxref=SO:1; ") + cds(
        "c", 40, 78, "+", 0, attributes="ID=b; Dbxref=EC:1.1.1.1"
    )
    genome = parse(text, fasta={"c": LONG + LONG})
    prediction = GenePrediction((ECCall("2.7.1.2", 0.9),))
    got = gff3_patch.render(genome, Predictions({0: prediction}, {}, None, PROVENANCE), 0.8)
    assert b"ID=a; Dbxref=SO:1,EC:2.7.1.2;glm_ec=2.7.1.2;" in got
    assert b"glm_promoted=Dbxref:EC:2.7.1.2; \n" in got
    assert gff3_patch.strip(got) == text.encode()


def test_only_sure_numbers_are_promoted_and_a_class_only_without_a_number_under_it() -> None:
    genome = parse(OK, fasta={"c": LONG})
    calls = (ECCall("2.7.1.-", 0.95), ECCall("2.7.1.2", 0.9), ECCall("3.1.1.1", 0.7))
    got = gff3_patch.render(genome, Predictions({0: GenePrediction(calls)}, {}, None, PROVENANCE), 0.8)
    assert b"ID=a;ec_number=2.7.1.2;glm_ec=" in got


def test_a_value_that_was_there_before_is_not_taken_out() -> None:
    note = "predicted EC 2.7.1.2 (glm-annot)"
    text = cds("c", 1, 39, "+", 0, attributes=f"Note={note},kept;product=unknown")
    genome = parse(text, fasta={"c": LONG})
    got = gff3_patch.render(
        genome, Predictions({0: GenePrediction((ECCall("2.7.1.2", 0.9),))}, {}, None, PROVENANCE), 0.8
    )
    assert f"Note={note},kept,{note};".encode() in got
    assert gff3_patch.strip(got) == text.encode()


def test_a_single_line_without_a_newline() -> None:
    text = OK.removesuffix("\n")
    genome = parse(text, faa={"a": A})
    got = gff3_patch.render(genome, fake_predictions(genome))
    assert [line[:2] for line in got.splitlines()] == [b"# ", b"c\t"]
    assert gff3_patch.strip(got) == text.encode()


def test_values_carry_no_reserved_characters() -> None:
    genome = parse(OK, fasta={"c": LONG})
    prediction = GenePrediction((ECCall("1.1.1.1", 1.0),), evidence="a=b;c&d%e#f\tg")
    got = gff3_patch.render(genome, Predictions({0: prediction}, {}, None, PROVENANCE))
    assert b"glm_ec_evidence=a%3Db%3Bc%26d%25e%23f%09g\n" in got


GOLDEN = {name: read(name) for name in DIALECTS}


@given(
    name=st.sampled_from(sorted(DIALECTS)),
    seed=st.integers(0, 2**32),
    ec=st.booleans(),
    operons=st.booleans(),
    promote_ec=st.none() | st.floats(0, 1),
)
def test_strip_takes_out_exactly_what_render_added(
    name: str, seed: int, ec: bool, operons: bool, promote_ec: float | None
) -> None:
    genome = GOLDEN[name]
    predictions = fake_predictions(genome, seed, ec=ec, operons=operons)
    got = annotation_io.render(genome, predictions, promote_ec=promote_ec)
    assert annotation_io.strip(got) == (DATA / name).read_bytes()
    rows = [line.split("\t") for line in got.decode().splitlines() if line.count("\t") == 8]
    for row, following in itertools.pairwise(rows):
        if row[2] == "operon":  # so that a sorted file stays sorted
            assert (row[0], row[3]) == (following[0], following[3])


PIECES = st.sampled_from(
    [
        *(
            b"##gff-version 3\n",
            b"# comment\r\n",
            b"##FASTA\n",
            b">c\nACGT\n",
            b"\n",
            b"\t",
            b"; ;x=1",
            b"\r",
        ),
        b"c\tt\tCDS\t1\t9\t.\t+\t0\tID=a;\n",
        b"c\tt\toperon\t1\t9\t.\t+\t0\tID=b",
        b"c\tt\tCDS\t1\t9",
        *(
            b"LOCUS       x\n",
            b"FEATURES             Location/Qualifiers\n",
            b"     CDS             1..9\n",
            b"//\n",
        ),
    ]
)


def test_sequences_begin_after_any_line_end(tmp_path: Path) -> None:
    """Also after a lone carriage return, behind which a line of ours might end with a line feed."""
    path = tmp_path / "x.gff3"
    path.write_bytes(made_gff3(6).replace("##FASTA", "\r##FASTA").encode())
    genome = annotation_io.read(path)
    assert [gene.skip for gene in genome.genes] == [None] * 6
    assert annotation_io.strip(annotation_io.render(genome, fake_predictions(genome))) == path.read_bytes()
    path.write_bytes(b"##gff-version 3\n\r>x\n" + made_gff3(6).encode())
    with pytest.raises(InputError, match="no CDS in this file"):
        annotation_io.read(path)


@given(
    st.lists(PIECES | st.binary(max_size=20), max_size=12)
    .map(b"".join)
    .filter(lambda text: b"glm" not in text)
)
def test_strip_leaves_any_other_text_as_it_is(text: bytes) -> None:
    assert annotation_io.strip(text) == text
    assert gff3_patch.strip(text) == text


@pytest.mark.parametrize(("strand", "name"), [("+", "thr%2CA-B_2"), ("-", "B_2-thr%2CA")])
def test_an_operon_is_named_after_its_first_and_last_gene_in_order_of_transcription(
    strand: str, name: str
) -> None:
    text = cds("c", 1, 90, strand, 0, attributes="ID=a;gene=thr%2CA;locus_tag=B_1")
    text += cds("c", 101, 190, strand, 0, attributes="ID=b;locus_tag=B_2")
    genome = parse(text, faa={"a": "M" * 30, "b": "M" * 30})
    operon = OperonCall("glm_operon_0001", "c", (0, 1), 1, 190, 1 if strand == "+" else -1, 0.9)
    out = annotation_io.render(genome, Predictions({}, {}, (operon,), PROVENANCE))
    line = next(line for line in out.decode().splitlines() if "\toperon\t" in line)
    assert line.split("\t")[8] == (
        f"ID=glm_operon_0001;Name={name};operon=glm_operon_0001;Ontology_term=ECO:0007333;glm_genes=2"
    )
    assert gff3_patch.strip(out) == text.encode()


def test_operons_are_childless_features_before_the_gene_line_of_their_first_gene() -> None:
    genome = read("ncbi.gff")
    lines = annotation_io.render(genome, made_predictions(genome)).decode().splitlines()
    at = next(i for i, line in enumerate(lines) if "\toperon\t" in line)
    assert lines[at + 1].split("\t")[2] == "gene"
    assert "ID=gene-T_RS00005;" in lines[at + 1]
    assert not any("Parent=glm" in line for line in lines)


# ---- other readers, real files ----


@pytest.mark.parametrize("name", DIALECTS)
@pytest.mark.skipif(shutil.which("gt") is None, reason="genometools (gt) is not installed")
def test_gt_accepts_what_it_accepted_before(name: str) -> None:
    def accepted(text: bytes) -> bool:
        return subprocess.run(["gt", "gff3validator"], input=text, capture_output=True).returncode == 0

    genome = read(name)
    rendered = annotation_io.render(genome, fake_predictions(genome, 3), promote_ec=0.5)
    assert accepted(rendered) or not accepted((DATA / name).read_bytes())


def test_gffutils_reads_the_output() -> None:
    genome = read("bakta.gff3")
    text = annotation_io.render(genome, made_predictions(genome), promote_ec=0.8).decode()
    database = gffutils.create_db(text.partition("##FASTA")[0], ":memory:", from_string=True)
    assert database["glm_operon_0001"].score == "0.812"
    assert database["TESTIA_00010"].attributes["glm_ec"] == ["1.1.1.21"]
    assert database["TESTIA_00010"].attributes["Dbxref"][-1] == "EC:1.1.1.21"


REAL = {  # path below annotated/ -> lines of type CDS, as grep counts them
    "bakta/assembly/assembly.gff3.gz": 93,
    "bakta/chlamydia_trachomatis.gff3.gz": 894,
    "bakta/plasmid_1.gff3.gz": 265,
    "ncbi/chlamydia.gff.gz": 899,
    "prokka/prokka_2021.gff.gz": 899,
}


@pytest.mark.parametrize("name", REAL)
def test_real_files_round_trip_with_every_cds(name: str, shared_data: Path) -> None:
    path = shared_data / "annotated" / name
    genome = annotation_io.read(path)
    assert len(list(genome.genes)) == REAL[name]
    assert all(gene.protein or gene.skip is Skip.PSEUDOGENE for gene in genome.genes)
    rendered = annotation_io.render(genome, fake_predictions(genome, 4), promote_ec=0.5)
    assert annotation_io.strip(rendered) == gzip.decompress(path.read_bytes())


def test_our_translation_of_a_real_genome_equals_the_tools(shared_data: Path) -> None:
    folder = shared_data / "annotated" / "bakta" / "assembly"
    ours = annotation_io.read(folder / "assembly.gff3.gz")
    theirs = annotation_io.read(folder / "assembly.gff3.gz", faa=folder / "assembly.faa.gz")
    assert sum(gene.protein is not None for gene in ours.genes) == 90
    assert [gene.protein for gene in ours.genes] == [gene.protein for gene in theirs.genes]


def test_real_prodigal_output_finds_its_proteins(shared_data: Path) -> None:
    folder = shared_data / "annotated" / "prodigal"
    genome = annotation_io.read(
        folder / "clostridioides_difficile.gff.gz", faa=folder / "clostridioides_difficile.pair.faa.gz"
    )
    assert sum(gene.protein is not None for gene in genome.genes) == 3819


def test_what_is_added_after_a_lone_carriage_return_is_taken_out_again(tmp_path: Path) -> None:
    line = b"c\tx\tCDS\t1\t30\t.\t+\t0\tID=a\n"
    text = b"\r" + line + b"##FASTA\n>c\n" + b"ATGAAAGCTATTGCTAAACGTCTGGGCTAA" + b"\n"
    path = tmp_path / "x.gff"
    path.write_bytes(text)
    genome = annotation_io.read(path)
    assert annotation_io.strip(annotation_io.render(genome, fake_predictions(genome))) == text
