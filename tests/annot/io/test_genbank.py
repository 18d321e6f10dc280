"""GenBank files: what is read of each tool's dialect, the lines that errors name, and reversible writing."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from Bio import SeqIO
from Bio.SeqRecord import SeqRecord
from hypothesis import given, settings
from hypothesis import strategies as st

from glm_annot.errors import InputError
from glm_annot.io import qualifiers, source
from glm_annot.io.genbank import ours as genbank_ours
from glm_annot.io.genbank import patch as genbank_patch
from glm_annot.io.genbank import read as genbank
from glm_annot.io.genbank import text as genbank_text
from glm_annot.io.sequences import Sequences
from glm_annot.records import ECCall, Gene, GenePrediction, Genome, OperonCall, Predictions, Skip
from tests.support.damage import check_damaged, with_line_ends
from tests.support.fakes import PROVENANCE, fake_predictions

GOLDEN = Path(__file__).parent / "data" / "genbank"
FILES = ("bakta.gbff", "pgap.gbff", "prokka.gbk", "rast.gb")
REAL = (
    "bakta/assembly/assembly.gbff.gz",
    "bakta/plasmid_1.gbff.gz",
    "ncbi/ecoli_k12.gbff.gz",
    "rast/streptococcus_pyogenes.gb.gz",
)
INDENT = b" " * 21


def text_of(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def parse(text: bytes, sequences: Sequences | None = None) -> Genome:
    return genbank.parse("in.gbff", text, sequences or Sequences())


def read(name: str) -> Genome:
    return parse(text_of(name))


def gene(genome: Genome, gene_id: str) -> Gene:
    return next(g for g in genome.genes if g.id == gene_id)


def biopython(text: bytes) -> list[SeqRecord]:
    return list(SeqIO.parse(io.StringIO(text.decode()), "genbank"))


def predictions(genes: dict[int, GenePrediction], operons: tuple[OperonCall, ...] | None) -> Predictions:
    return Predictions(genes, {}, operons, PROVENANCE)


def sequence_lost(text: bytes) -> bytes:
    """A file without ORIGIN lines."""
    return re.sub(rb"(?m)^ORIGIN.*\n(?: +\d+ .*\n)+", b"", text)


def translations_lost(text: bytes) -> bytes:
    return re.sub(rb' {21}/translation="[^"]*"\n', b"", text)


# ---- reading ----


def test_bakta_dialect() -> None:
    genome = read("bakta.gbff")
    (contig,) = genome.contigs
    assert (contig.name, contig.length, contig.circular) == ("contig_1", 420, True)
    kinase = gene(genome, "MADEUP_001")
    assert (kinase.start, kinase.end, kinase.strand) == (31, 243, 1)
    assert (kinase.name, kinase.product, kinase.ec) == ("kinA", "glucokinase", ("2.7.1.2",))
    assert gene(genome, "MADEUP_002").strand == -1
    assert gene(genome, "MADEUP_003").skip is Skip.PSEUDOGENE
    assert gene(genome, "MADEUP_003").protein is None


def test_cds_over_the_origin_ends_past_the_length() -> None:
    repa = gene(read("bakta.gbff"), "MADEUP_004")
    assert (repa.start, repa.end) == (388, 450)
    assert repa.protein == "MTKVPFQAPTKSIWAFSPGN"


def test_cds_over_the_origin_on_the_minus_strand() -> None:
    text = text_of("bakta.gbff").replace(b"join(388..420,1..30)", b"complement(join(388..420,1..30))")
    repa = gene(parse(text), "MADEUP_004")
    assert (repa.start, repa.end, repa.strand) == (388, 450, -1)


def test_cds_over_the_origin_makes_a_record_circular_that_is_not_marked_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    genome = parse(text_of("bakta.gbff").replace(b"circular", b"linear  "))
    repa = gene(genome, "MADEUP_004")
    assert (repa.start, repa.end, genome.contigs[0].circular) == (388, 450, True)
    assert "not marked circular, but read so: MADEUP_004 lies over its origin" in caplog.text


def test_join_that_does_not_meet_at_the_origin_does_not_wrap() -> None:
    genome = parse(text_of("bakta.gbff").replace(b"join(388..420,1..30)", b"join(388..417,1..30)"))
    assert (gene(genome, "MADEUP_004").start, gene(genome, "MADEUP_004").end) == (1, 417)


def test_prokka_locus_lines_that_run_together() -> None:
    genome = read("prokka.gbk")
    assert [(c.name, c.length) for c in genome.contigs] == [
        ("NODE_1_length_210_cov_12.345678", 210),
        ("NODE_2_length_150_cov_9.5", 150),
    ]
    assert [g.index for g in genome.genes] == [0, 1, 2]
    with pytest.raises(ValueError, match="LOCUS"):
        biopython(text_of("prokka.gbk"))  # else nothing would need repair


def test_run_together_locus_without_sequence_is_told_by_the_source_feature() -> None:
    genome = parse(sequence_lost(text_of("prokka.gbk")))
    assert [c.length for c in genome.contigs] == [210, 150]


def test_pgap_dialect() -> None:
    genome = read("pgap.gbff")
    assert genome.contigs[0].name == "NZ_MADEUP01.1"
    assert gene(genome, "MDX_RS00005").ec == ("1.1.1.3", "2.7.2.4")
    slipped = gene(genome, "MDX_RS00010")
    assert (slipped.start, slipped.end, slipped.product) == (206, 327, 'protein of "unknown" function')
    assert [g.skip for g in genome.genes] == [None, None, Skip.PSEUDOGENE, None]


def test_rast_dialect_names_genes_without_locus_tag() -> None:
    genome = read("rast.gb")
    assert genome.contigs[0].name == "NC_MADEUP"  # its ACCESSION is 'unknown'
    assert [g.id for g in genome.genes] == ["fig|1.1.peg.1", "fig|1.1.peg.2", "NC_MADEUP_270_347_-"]
    assert [g.locus_tag for g in genome.genes] == ["", "", ""]
    first = gene(genome, "fig|1.1.peg.1")
    assert first.product.endswith("/ PTS system, made-up-specific IIA component")  # a line that begins with /
    assert first.ec == ("2.7.1.69",)


def test_cds_without_translation_is_translated_from_its_alternative_start() -> None:
    assert gene(read("rast.gb"), "fig|1.1.peg.2").protein == "MEAKIIFEWDYRCADHIVAWHWRISYKAGR"


def test_an_open_start_is_no_start_codon() -> None:
    text = text_of("rast.gb").replace(b"170..262", b"<170..262")
    assert gene(parse(text), "fig|1.1.peg.2").protein == "VEAKIIFEWDYRCADHIVAWHWRISYKAGR"


def test_an_open_start_on_the_minus_strand_is_the_right_end() -> None:
    text = sequence_lost(text_of("rast.gb")).replace(b"270..347", b"270..>347")
    dna = list(str(biopython(text_of("rast.gb"))[0].seq))
    dna[344:347] = "CAC"  # GTG on the other strand
    genome = parse(text, Sequences(contigs={"NC_MADEUP": "".join(dna)}))
    assert gene(genome, "NC_MADEUP_270_347_-").protein == "VCLFSPESTAVRYPWRQGCEEQFEG"


@pytest.mark.parametrize("name", FILES)
def test_own_translation_equals_the_stated_one(name: str) -> None:
    """Over the origin, minus strand, slippage, codon_start 2 at an open start, open end."""
    bare = parse(translations_lost(text_of(name)))
    assert [g.protein for g in bare.genes] == [g.protein for g in read(name).genes]


@pytest.mark.parametrize("name", FILES)
def test_anchors_are_the_key_line_and_the_last_line(name: str) -> None:
    genome = read(name)
    assert genome.source is not None
    lines = genome.source.text.splitlines()
    for index, (first, last) in genome.source.anchors.items():
        assert lines[first].startswith(b"     CDS "), index
        assert lines[last].startswith(b" " * 21)
        assert not lines[last + 1].startswith(b" " * 21)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.rstrip(b"\n"),
        lambda text: text.rstrip(b"/\n") + b"\n",
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: b"A preamble of a release file\n\n" + text + b"\n\n",
        lambda text: text.replace(b"REFERENCE   1  (bases 1 to 480)", b"REFERENCE   x  (bases ? to ?)"),
    ],
    ids=["crlf", "no newline", "no //", "byte order mark", "preamble", "odd reference"],
)
def test_harmless_variants_read_and_write_alike(name: str, change: Callable[[bytes], bytes]) -> None:
    varied, plain = parse(change(text_of(name))), read(name)
    assert varied.contigs == plain.contigs
    assert genbank_ours.strip(genbank_patch.render(varied, fake_predictions(varied), 0.5)) == change(
        text_of(name)
    )


# ---- sequences from elsewhere ----


def test_fasta_gives_the_sequence_a_record_lacks() -> None:
    text = text_of("rast.gb")
    dna = str(biopython(text)[0].seq)
    without = sequence_lost(translations_lost(text))
    genome = parse(without, Sequences(contigs={"NC_MADEUP": dna}))
    assert [g.protein for g in genome.genes] == [g.protein for g in read("rast.gb").genes]


def test_fasta_of_another_length_is_refused() -> None:
    with pytest.raises(InputError, match=r"line 1: LOCUS says 360 bp but the FASTA file has 3 for NC_MADEUP"):
        parse(text_of("rast.gb"), Sequences(contigs={"NC_MADEUP": "ACG"}))


@pytest.mark.parametrize("lost", [bytes, sequence_lost])
def test_fasta_whose_names_are_others_is_refused(lost: Callable[[bytes], bytes]) -> None:
    said = r"--fasta file \('other', \.\.\.\) has the name of a contig \('NC_MADEUP'\)"
    with pytest.raises(InputError, match=said):
        parse(lost(text_of("rast.gb")), Sequences(contigs={"other": "ACG"}))


def test_faa_wins_by_locus_tag_and_protein_id() -> None:
    proteins = {"MDX_RS00005": "MKKKKKKKKKKKK", "WP_000000002.1": "MLLLLLLLLLLLL"}
    genome = parse(text_of("pgap.gbff"), Sequences(proteins=proteins))
    assert gene(genome, "MDX_RS00005").protein == "MKKKKKKKKKKKK"
    assert gene(genome, "MDX_RS00010").protein == "MLLLLLLLLLLLL"
    assert gene(genome, "MDX_RS00020").protein == gene(read("pgap.gbff"), "MDX_RS00020").protein


def test_faa_of_another_genome_is_refused() -> None:
    with pytest.raises(InputError, match="--faa"):
        parse(text_of("pgap.gbff"), Sequences(proteins={"other": "MKKKKKKKKKKKK"}))


def test_missing_translations_are_counted_one_by_one() -> None:
    genome = parse(sequence_lost(text_of("rast.gb")))
    assert [g.skip for g in genome.genes] == [None, Skip.NO_SEQUENCE, Skip.NO_SEQUENCE]


# ---- errors: one line that names the file and the line ----


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("rast.gb", rb"(?m)^     CDS ", b"     XYZ ", r"in.gbff: no CDS"),
        ("rast.gb", rb"CDS  +[^\n]*", b"CDS             here", r"in.gbff: no CDS of this file can be read"),
        ("rast.gb", rb"\A.*\n", b"", r"in.gbff: this is not a GenBank or EMBL file"),
        ("rast.gb", rb" bp    DNA", b" aa       ", r"line 1: a protein record"),
        (
            "rast.gb",
            rb"(?m)^LOCUS.*",
            b"LOCUS       bp bp",
            r"line 1: this LOCUS line has no name and length",
        ),
        ("rast.gb", rb"//\n", b"//LOCUS       two", r"line 37: a second record begins on the line that ends"),
        ("rast.gb", rb"(?m)^     rRNA.*", b"\x00\xff garbage", r"line 28: this line is not a feature"),
        (
            "rast.gb",
            rb"ggatcacaga",
            b"ggat{}caga",
            r"line 31: this line is not a feature, qualifier or sequence",
        ),
        ("rast.gb", rb"(?s)FEATURES.*", b"", r"line 4: the record that begins on line 1 stops here"),
        ("rast.gb", rb"(?s)     rRNA.*", b"", r"line 27: the record that begins on line 1 stops here"),
        ("rast.gb", rb"(?s) +301 .*", b"", r"line 35: LOCUS says 360 bp but the sequence has 300"),
        ("rast.gb", rb"ggatcacaga ", b"", r"line 1: LOCUS says 360 bp but the sequence has 350"),
        (
            "prokka.gbk",
            rb"(?s)FEATURES.*?ORIGIN.*?//\n",
            b"ORIGIN\n//\n",
            r"line 1: name and length run together",
        ),
    ],
)
def test_damage_is_named_with_its_line(name: str, old: bytes, new: bytes, message: str) -> None:
    text, count = re.subn(old, lambda _: new, text_of(name))
    assert count, "the damage must be done"
    with pytest.raises(InputError, match=message) as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_with_one_cds_costs_only_that_cds(caplog: pytest.LogCaptureFixture) -> None:
    outside = parse(text_of("rast.gb").replace(b"170..262", b"170..363"))
    assert [g.skip for g in outside.genes] == [None, Skip.OUTSIDE, None]
    assert "past the end of their record, skipped: 1 (" in caplog.text
    read_as_1 = parse(re.sub(rb'/note="rast.*"', b"/codon_start=4", text_of("rast.gb")))
    assert list(read_as_1.genes) == list(read("rast.gb").genes)
    assert "codon_start is not 1, 2 or 3, read as 1: 2 (first: line 20)" in caplog.text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (rb"170\.\.262", b"170..nowhere"),
        (rb"170\.\.262", b"170..?262"),
        (rb"170\.\.262", b"0..262"),
        (rb"170\.\.262", b"-5..262"),
        (rb"170\.\.262", b"170^171"),
        (rb"170\.\.262", b"join(170..262"),
        (rb"170\.\.262", b"170..262)"),
        (rb"170\.\.262", b""),
        (rb'protein"', b"protein"),
    ],
)
def test_a_cds_that_cannot_be_read_is_skipped(
    old: bytes, new: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    text, count = re.subn(old, new, text_of("rast.gb"))
    assert count == 1, "the damage must be done"
    genome, whole = parse(text), list(read("rast.gb").genes)
    found = sorted(genome.genes, key=lambda gene: gene.index)
    (odd,) = [gene for gene in found if gene.skip is Skip.MALFORMED]
    assert (odd.start, odd.end, odd.strand) == (0, 0, 0)
    assert [gene for gene in found if gene is not odd] == [whole[i] for i in range(3) if i != odd.index]
    assert "CDS that cannot be read, skipped: 1 (" in caplog.text
    assert genbank_ours.strip(genbank_patch.render(genome, fake_predictions(genome))) == text


def test_a_cds_in_another_record_is_skipped(caplog: pytest.LogCaptureFixture) -> None:
    text = text_of("rast.gb").replace(b"170..262", b"J00194.1:170..262")
    genome = parse(text)
    assert [g.skip for g in genome.genes] == [None, Skip.OUTSIDE, None]
    assert "CDS that lie in another record, skipped: 1 (" in caplog.text
    assert genbank_ours.strip(genbank_patch.render(genome, fake_predictions(genome))) == text


def test_a_location_may_begin_in_another_column() -> None:
    text = re.sub(rb"CDS +170", b"CDS 170", text_of("rast.gb"))
    assert list(parse(text).genes) == list(read("rast.gb").genes)


@pytest.mark.parametrize("odd", [b"-17..80", b"1..9999999", b"", b"what(ever"])
def test_nothing_depends_on_other_features(odd: bytes) -> None:
    text = re.sub(rb"(?m)^     rRNA .*", b"     rRNA            " + odd, text_of("rast.gb"))
    genome = parse(text)
    assert list(genome.genes) == list(read("rast.gb").genes)
    assert genbank_ours.strip(genbank_patch.render(genome, fake_predictions(genome))) == text


def test_the_same_cds_twice_is_predicted_once(caplog: pytest.LogCaptureFixture) -> None:
    text = text_of("rast.gb")
    cds = re.search(rb"(?s)     CDS  .*?(?=\n     \S)", text)
    assert cds
    genome = parse(text.replace(cds[0], cds[0] + b"\n" + cds[0], 1))
    assert [g.skip for g in genome.genes] == [None, Skip.DUPLICATE, None, None]
    assert "CDS at the same place as another, skipped: 1 (" in caplog.text


def test_a_location_that_runs_backwards_says_what_is_meant() -> None:
    with pytest.raises(InputError, match=r"line 20: the CDS 262..170 starts after its end; .*\(170..262\)"):
        parse(text_of("rast.gb").replace(b"170..262", b"262..170"))
    with pytest.raises(InputError, match=r"line 20: the CDS complement\(262..170\) .*; write 170..262 if"):
        parse(text_of("rast.gb").replace(b"170..262", b"complement(262..170)"))


def test_no_sequence_at_all() -> None:
    with pytest.raises(InputError, match="--fasta"):
        parse(sequence_lost(translations_lost(text_of("rast.gb"))))


def test_two_records_of_one_name() -> None:
    with pytest.raises(InputError, match="line 38: a second record called NC_MADEUP"):
        parse(text_of("rast.gb") * 2)


def test_an_unknown_genetic_code_is_left_aside_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    text = text_of("rast.gb").replace(b"/transl_table=11", b"/transl_table=7", 1)
    assert [g.protein for g in parse(text).genes] == [g.protein for g in read("rast.gb").genes]
    assert (
        "genetic codes that NCBI does not define, which were ignored: 1 (transl_table=7, line 11)"
        in caplog.text
    )


# ---- writing ----


def operon(genome: Genome, *indices: int, start: int, end: int) -> OperonCall:
    strand = next(g.strand for g in genome.genes if g.index == indices[0])
    return OperonCall("glm_operon_0001", genome.contigs[0].name, indices, start, end, strand, 0.9, 0.75, None)


def added_lines(genome: Genome, text: bytes) -> list[str]:
    """What is in `text` and not in the source, which must all be there in its order."""
    assert genome.source is not None
    original = iter(genome.source.text.decode().splitlines())
    expected, added = next(original), []
    for line in text.decode().splitlines():
        if line == expected:
            expected = next(original, "")
        else:
            added.append(line)
    assert not expected
    return added


def test_operon_feature_and_tags_as_written() -> None:
    genome = read("bakta.gbff")
    calls = (ECCall("2.7.1.2", 0.9814), ECCall("2.7.1.-", 0.99))
    genes = {
        0: GenePrediction(ec=calls, enzyme=0.995, context_fit=47.31, evidence="encoder"),
        3: GenePrediction(),
    }
    text = genbank_patch.render(genome, predictions(genes, (operon(genome, 3, 0, start=388, end=663),)))
    by_index = {g.index: g for g in genome.genes}
    label = f"{by_index[3].locus_tag}-{by_index[0].name}"
    assert added_lines(genome, text)[4:] == [
        '                     /inference="ab initio prediction:glm-annot:0.1.0"',
        '                     /operon="glm_operon_0001"',
        '                     /note="glm-annot: ec=2.7.1.2, 2.7.1.-; ec_confidence=0.981,',
        "                     0.990; ec_evidence=encoder; enzyme_confidence=0.995;",
        "                     context_fit=47.3; operon=glm_operon_0001;",
        '                     operon_confidence=0.900"',
        "     operon          join(388..420,1..243)",
        '                     /operon="glm_operon_0001"',
        f'                     /standard_name="{label}"',
        '                     /inference="ab initio prediction:glm-annot:0.1.0"',
        '                     /note="glm-annot: operon_confidence=0.900; genes=2;',
        '                     start_confidence=0.750"',
        '                     /inference="ab initio prediction:glm-annot:0.1.0"',
        '                     /operon="glm_operon_0001"',
        '                     /note="glm-annot: operon=glm_operon_0001;',
        '                     operon_confidence=0.900"',
    ]
    lines = text.decode().splitlines()
    place = lines.index("     operon          join(388..420,1..243)")
    assert (
        lines[place + 6] == "     gene            join(388..420,1..30)"
    )  # before its gene, not between both


def test_provenance_is_a_comment_of_each_annotated_record() -> None:
    genome = read("prokka.gbk")
    text = genbank_patch.render(genome, predictions({2: GenePrediction()}, ()))
    first, second = text.split(b"//\n")[:2]
    assert b"glm-annot" not in first
    lines = (b"COMMENT     glm-annot: program=glm-annot 0.1.0; model=fake 1.0.0; sha256=", b"0" * 64 + b";")
    assert lines[0] + b"\n            " + lines[1] in second
    assert second.index(b"COMMENT") < second.index(b"FEATURES")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("crlf", [False, True])
def test_provenance_keeps_to_the_width_and_is_read_as_it_was(name: str, crlf: bool) -> None:
    genome = parse(text_of(name).replace(b"\n", b"\r\n") if crlf else text_of(name))
    made = fake_predictions(genome)
    made_by = replace(made.provenance, reference="1" * 64, searcher="DIAMOND 2.1.3", precision="bf16")
    text = genbank_patch.render(genome, replace(made, provenance=made_by), 0.5)
    lines = source.split_lines(text_of(name))
    width = genbank_text.wrapped_width(lines, genbank_text.records(lines))
    added = added_lines(genome, text)
    assert "            " + "1" * 64 + ";" in added and "0" * 64 in str(added)
    assert max(map(len, added)) <= width
    assert genbank_ours.provenance(text) == qualifiers.provenance_comment(made_by, 0.5)


def test_a_gene_of_which_nothing_is_said_is_left_alone() -> None:
    genome = read("bakta.gbff")
    assert genome.source is not None
    assert genbank_patch.render(genome, predictions({0: GenePrediction()}, None)) == genome.source.text


@pytest.mark.parametrize(
    ("strand", "end", "location"),
    [
        (1, 300, "31..300"),
        (-1, 300, "complement(31..300)"),
        (-1, 430, "complement(join(31..420,1..10))"),
        (1, 450, "1..420"),  # once around
    ],
)
def test_operon_locations(strand: int, end: int, location: str) -> None:
    genome = read("bakta.gbff")
    call = replace(operon(genome, 0, 1, start=31, end=end), strand=strand)
    text = genbank_patch.render(genome, predictions({}, (call,)))
    assert f"\n     operon          {location}\n".encode() in text


def test_a_foreign_operon_qualifier_is_kept_and_none_added() -> None:
    genome = read("pgap.gbff")
    call = operon(genome, 0, 1, start=20, end=327)
    text = genbank_patch.render(genome, predictions({0: GenePrediction(), 1: GenePrediction()}, (call,)))
    cds = next(f for f in biopython(text)[0].features if f.type == "CDS")
    assert cds.qualifiers["operon"] == ["fooAB"]
    assert "operon=glm_operon_0001" in cds.qualifiers["note"][-1]
    assert genbank_ours.strip(text) == text_of("pgap.gbff")


def test_promoted_numbers_of_hypothetical_proteins_are_qualifiers_on_request() -> None:
    genome = read("bakta.gbff")
    call = GenePrediction((ECCall("2.7.1.9", 0.95),), enzyme=0.9)
    for place, qualifier in (("field", b'/EC_number="2.7.1.9"'), ("note", b'/note="predicted EC 2.7.1.9')):
        got = genbank_patch.render(genome, predictions({1: call}, None), 0.9, place)
        assert qualifier in got
        assert genbank_patch.strip(got) == text_of("bakta.gbff")


def test_promoted_ec_numbers() -> None:
    """Where the file has none and the call is sure; in a note where ENA would delete it; stripped again."""
    genome = read("bakta.gbff")
    call = GenePrediction(ec=(ECCall("1.1.1.1", 0.95), ECCall("2.7.1.2", 0.6)))
    text = genbank_patch.render(genome, predictions({0: call, 1: call, 3: call}, None), promote_ec=0.9)
    features = {f.qualifiers["locus_tag"][0]: f for f in biopython(text)[0].features if f.type == "CDS"}
    assert "EC_number" not in features["MADEUP_001"].qualifiers  # has one, in its db_xref
    assert "EC_number" not in features["MADEUP_002"].qualifiers  # hypothetical protein
    assert "predicted EC 1.1.1.1 (glm-annot)" in features["MADEUP_002"].qualifiers["note"]
    assert features["MADEUP_004"].qualifiers["EC_number"] == ["1.1.1.1"]
    assert genbank_ours.strip(text) == text_of("bakta.gbff")


def test_an_ec_number_that_a_curator_added_survives_stripping() -> None:
    genome = read("bakta.gbff")
    call = GenePrediction(ec=(ECCall("1.1.1.1", 0.95),))
    text = genbank_patch.render(genome, predictions({3: call}, None), promote_ec=0.9)
    curated = text.replace(b'/EC_number="1.1.1.1"', b'/EC_number="3.6.4.12"')
    assert b'/EC_number="3.6.4.12"' in genbank_ours.strip(curated)
    assert b"glm-annot" not in genbank_ours.strip(curated)


USER = [  # lines of a user's own at the end of the CDS that gets additions
    b'/note="',
    b'/note="predicted EC 1.1.1.1 (glm-annot)"',
    b'/operon="glm_operon_0001"',
    b'/inference="ab initio prediction:glm-annot:0.1.0"',
    b'/note="glm-annot: nothing of note"',
    b'/note="glm-annot: ec=1.1.1.1"',
]


@pytest.mark.parametrize("own", USER)
@pytest.mark.parametrize("newline", [b"\n", b"\r"])
def test_what_a_user_wrote_is_no_addition_of_ours(own: bytes, newline: bytes) -> None:
    following = b"     gene            320..367"
    text = text_of("bakta.gbff").replace(following, INDENT + own + newline + following)
    assert own in text and genbank_ours.strip(text) == text
    if own == USER[-1]:
        with pytest.raises(InputError, match=r"line \d+: this CDS has names that glm-annot writes, but"):
            parse(text)
        return
    genome = parse(text)
    call = GenePrediction(ec=(ECCall("1.1.1.1", 0.95),))
    calls = (operon(genome, 0, 1, start=31, end=300),)
    written = genbank_patch.render(genome, predictions({0: call, 1: call}, calls), promote_ec=0.9)
    assert written.count(b'/note="predicted EC 1.1.1.1') == 1 + (own == USER[1])
    assert genbank_ours.strip(written) == text


def test_a_gene_whose_location_has_no_number_is_kept_as_it_is() -> None:
    text = text_of("bakta.gbff").replace(
        b"gene            join(388..420,1..30)", b"gene            order(a,b)", 1
    )
    genome = parse(text)
    assert genbank_ours.strip(genbank_patch.render(genome, fake_predictions(genome))) == text


@pytest.mark.parametrize("digits", ["9" * 5000, "9" * 5000 + " bp", " 1" * 100_000, "1" * 200_000])
def test_a_locus_line_of_any_length_is_read_or_refused_at_once(digits: str) -> None:
    locus = text_of("bakta.gbff").partition(b"\n")[0]
    with pytest.raises(InputError, match=r"LOCUS|no name and length"):
        parse(text_of("bakta.gbff").replace(locus, b"LOCUS       contig_1 " + digits.encode()))


@pytest.mark.parametrize("style", [genbank_text.GENBANK, genbank_text.EMBL])
def test_lines_of_bases(style: genbank_text.Style) -> None:
    lines = {
        b"        1 acgtn acgt": style is genbank_text.GENBANK,
        b"     acgtn acgt        9\n": style is genbank_text.EMBL,
        b" acgt-*.\n": True,
        b"  1 acgt 2 acgt": False,
        b" " * 200_000 + b"!": False,
    }
    for line, expected in lines.items():
        assert (style.sequence.fullmatch(line) is not None) == expected


def test_qualifiers_moved_by_another_tool_are_still_stripped() -> None:
    """Biopython writes /inference together and /note together."""
    genome = read("bakta.gbff")
    rewritten = io.StringIO()
    SeqIO.write(biopython(genbank_patch.render(genome, fake_predictions(genome), 0.5)), rewritten, "genbank")
    features = [
        f for record in biopython(genbank_ours.strip(rewritten.getvalue().encode())) for f in record.features
    ]
    said = str([(f.type, f.qualifiers) for f in features])
    assert len(features) == len(biopython(text_of("bakta.gbff"))[0].features)
    assert "glm" not in said


@pytest.mark.parametrize(("name", "width"), [("bakta.gbff", 80), ("pgap.gbff", 79), ("prokka.gbk", 80)])
def test_wrapped_at_the_width_of_the_file(name: str, width: int) -> None:
    """Bakta wraps at 80 columns, NCBI at 79; the Prokka file has no full line to tell it by."""
    lines = source.split_lines(text_of(name))
    assert genbank_text.wrapped_width(lines, genbank_text.records(lines)) == width
    genome = read(name)
    calls = tuple(ECCall(f"1.1.1.{i}", 0.9) for i in range(100))
    text = genbank_patch.render(genome, predictions({0: GenePrediction(ec=calls)}, None))
    note = [line for line in added_lines(genome, text) if "1.1.1." in line]
    assert 70 < max(map(len, note)) <= width


@pytest.mark.parametrize("name", FILES)
def test_line_endings_of_additions_are_those_of_the_file(name: str) -> None:
    genome = parse(text_of(name).replace(b"\n", b"\r\n"))
    text = genbank_patch.render(genome, fake_predictions(genome), 0.5)
    assert text.count(b"\n") == text.count(b"\r\n")


@pytest.mark.parametrize("name", ["bakta.gbff", "pgap.gbff", "rast.gb"])
def test_biopython_reads_the_same_features_and_ours(name: str) -> None:
    genome = read(name)
    before = biopython(text_of(name))
    after = biopython(genbank_patch.render(genome, fake_predictions(genome, seed=3), 0.5))
    for old, new in zip(before, after, strict=True):
        ours = [f for f in new.features if "glm_operon" in str(f.qualifiers) and f.type == "operon"]
        kept = [f for f in new.features if f not in ours]
        assert ours
        assert [(f.type, str(f.location)) for f in kept] == [(f.type, str(f.location)) for f in old.features]
        for ancestor, feature in zip(old.features, kept, strict=True):
            for key, values in ancestor.qualifiers.items():
                assert feature.qualifiers[key][: len(values)] == values
        assert old.annotations.get("structured_comment") == new.annotations.get("structured_comment")
        assert old.seq == new.seq


@pytest.mark.parametrize("name", FILES)
def test_annotating_the_stripped_output_gives_the_same_genome(name: str) -> None:
    genome = read(name)
    again = parse(genbank_ours.strip(genbank_patch.render(genome, fake_predictions(genome), 0.5)))
    assert again == genome


LOOKALIKES = {  # other people's lines that look a little like ours, and before which lines they go
    b"COMMENT     Not by glm-annot: but about it.\n": b"FEATURES",
    b"     operon          1..9\n" + INDENT + b'/operon="glm_like"\n': b"     CDS",
    INDENT + b'/note="compare glm-annot: ec=1.1.1.1; promoted=1.1.1.1"\n': INDENT + b"/product",
    INDENT.join(
        [b"", b'/note="it\n', b"said\n", b'/inference=ab initio prediction:glm-annot:9"\n']
    ): b"     gene",
    INDENT + b'/inference="similar to glm-annot:0.1.0"\n': INDENT + b"/product",
    b"\n": b"     ",
}


def with_lookalikes(text: bytes, chosen: list[bytes], place: int) -> bytes:
    lines = text.splitlines(keepends=True)
    for piece in chosen:
        spots = [i for i, line in enumerate(lines) if i > 3 and line.startswith(LOOKALIKES[piece])]
        if spots:
            lines.insert(spots[place % len(spots)], piece)
    return b"".join(lines)


@settings(max_examples=120, deadline=None)
@given(
    name=st.sampled_from(FILES),
    seed=st.integers(0, 10**6),
    promote=st.sampled_from([None, 0.5, 0.9]),
    chosen=st.lists(st.sampled_from(list(LOOKALIKES)), max_size=3),
    place=st.integers(0, 40),
    crlf=st.booleans(),
    newline=st.booleans(),
)
def test_writing_then_stripping_gives_back_the_bytes(
    name: str, seed: int, promote: float | None, chosen: list[bytes], place: int, crlf: bool, newline: bool
) -> None:
    text = with_line_ends(with_lookalikes(text_of(name), chosen, place), crlf=crlf, newline=newline)
    assert genbank_ours.strip(text) == text
    genome = parse(text)
    written = genbank_patch.render(genome, fake_predictions(genome, seed), promote)
    assert written != text
    assert genbank_ours.strip(written) == text


@given(st.binary(max_size=300).map(lambda noise: b"LOCUS       glm_operon_0001 9 bp glm-annot\n" + noise))
def test_stripping_never_fails_and_leaves_foreign_bytes_alone(text: bytes) -> None:
    assert genbank_ours.strip(text) == text


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(FILES), data=st.data())
def test_damage_of_any_kind_is_read_or_refused_in_one_line(name: str, data: st.DataObject) -> None:
    check_damaged(text_of(name), data, parse=parse, strip=genbank_ours.strip, first=0)


# ---- real files ----


@pytest.mark.parametrize("name", REAL)
def test_real_files_round_trip(name: str, shared_data: Path) -> None:
    text = gzip.decompress((shared_data / "annotated" / name).read_bytes())
    genome = parse(text)
    written = genbank_patch.render(genome, fake_predictions(genome), 0.6)
    assert genbank_ours.strip(text) == text
    assert genbank_ours.strip(written) == text
    for old, new in zip(biopython(text), biopython(written), strict=True):
        kept = [f for f in new.features if f.type != "operon"]
        assert [(f.type, str(f.location)) for f in kept] == [(f.type, str(f.location)) for f in old.features]


def test_k12_is_accounted_for(shared_data: Path) -> None:
    path = shared_data / "annotated" / "ncbi" / "ecoli_k12.gbff.gz"
    genome = parse(gzip.decompress(path.read_bytes()))
    (contig,) = genome.contigs
    assert (contig.name, contig.length, contig.circular) == ("NC_000913.3", 4_641_652, True)
    assert len(contig.genes) == 4315
    assert sum(len(g.ec) for g in contig.genes) == 1659
    assert sum(g.skip is Skip.PSEUDOGENE for g in contig.genes) == 17
