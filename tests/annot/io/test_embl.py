"""EMBL flat files: read and written like GenBank. They are made here by Biopython from GenBank files."""

from __future__ import annotations

import gzip
import io
from dataclasses import replace
from pathlib import Path

import pytest
from Bio import SeqIO
from Bio.SeqRecord import SeqRecord
from hypothesis import given, settings
from hypothesis import strategies as st

import glm_annot.io as annotation_io
from glm_annot.errors import InputError
from glm_annot.io.genbank import ours, patch
from glm_annot.io.genbank import read as genbank
from glm_annot.io.sequences import Sequences
from glm_annot.records import Gene, Genome
from tests.support.damage import check_damaged, with_line_ends
from tests.support.fakes import PROVENANCE, fake_predictions
from tests.support.real_genomes import CONTIG, call_genes
from tests.support.rewritten import as_embl, with_genes

DATA = Path(__file__).parent / "data" / "genbank"
FILES = ("bakta.gbff", "pgap.gbff", "rast.gb")


def text_of(name: str) -> bytes:
    return as_embl(SeqIO.parse(DATA / name, "genbank"))


def parse(text: bytes, sequences: Sequences | None = None) -> Genome:
    return genbank.parse("in.embl", text, sequences or Sequences())


def biopython(text: bytes) -> list[SeqRecord]:
    return list(SeqIO.parse(io.StringIO(text.decode()), "embl"))


def genes_of(genome: Genome) -> list[Gene]:
    """Its genes; Biopython gives some contigs other names."""
    return [replace(gene, contig="") for gene in genome.genes]


# ---- reading ----


@pytest.mark.parametrize("name", ["bakta.gbff", "pgap.gbff"])  # Biopython does not keep RAST's names
def test_genes_are_those_of_the_genbank_file(name: str) -> None:
    genome, twin = parse(text_of(name)), annotation_io.read(DATA / name)
    assert genes_of(genome) == genes_of(twin)
    assert [c.sequence for c in genome.contigs] == [c.sequence for c in twin.contigs]
    assert [(c.length, c.circular) for c in genome.contigs] == [(c.length, c.circular) for c in twin.contigs]
    assert genome.source is not None
    assert genome.source.format == "embl"


def test_all_records_of_a_file_are_read() -> None:
    records = [next(SeqIO.parse(DATA / name, "genbank")) for name in FILES]
    genome = parse(as_embl(records))
    assert [len(contig.genes) for contig in genome.contigs] == [
        len(parse(as_embl([record])).contigs[0].genes) for record in records
    ]


def test_a_genome_that_pyrodigal_carries(tmp_path: Path) -> None:
    gff, fasta, n_genes = call_genes(CONTIG, tmp_path)
    called = annotation_io.read(gff, fasta=fasta)
    path = tmp_path / "genome.embl.gz"
    path.write_bytes(gzip.compress(as_embl([with_genes(contig) for contig in called.contigs])))
    genome = annotation_io.read(path)
    assert len(list(genome.genes)) == n_genes
    assert [(g.start, g.end, g.strand, g.protein) for g in genome.genes] == [
        (g.start, g.end, g.strand, g.protein) for g in called.genes
    ]
    written = annotation_io.render(genome, fake_predictions(genome), promote_ec=0.6)
    assert annotation_io.strip(written) == gzip.decompress(path.read_bytes())
    sections = annotation_io.open_sections(path)
    assert sections.format == "embl"
    assert [len(list(section.genes)) for section in sections] == [n_genes]


@pytest.mark.parametrize(
    ("first", "name", "length", "circular"),
    [
        ("ID   contig_1; ; circular; DNA; ; PRO; 420 BP.", "contig_1", 420, True),  # Bakta
        ("ID   AB12; SV 3; linear; genomic DNA; STD; PRO; 420 BP.", "AB12.3", 420, False),  # ENA
        ("ID   SC10H5 standard; DNA; PRO; 420 BP.", "SC10H5", 420, False),  # before 2006
        ("ID   SC10H5 standard; circular DNA; PRO; 420 BP.", "SC10H5", 420, True),
        ("ID   XXX; XXX; circular; XXX; XXX; XXX; XXX.", "chr1", 420, True),  # a submission
        ("ID   XXX; XXX; linear; XXX; XXX; XXX; 420 BP.", "chr1", 420, False),
        ("ID   c1 ; ; ; ; ; 420 BP.", "c1", 420, False),  # Artemis
    ],
)
def test_id_lines_of_all_kinds(first: str, name: str, length: int, circular: bool) -> None:
    head, _, rest = text_of("bakta.gbff").decode().partition("\n")
    assert head.startswith("ID   contig_1; ")
    rest = rest.replace("AC   contig_1;", "AC   XXX;\nXX\nAC * _chr1")
    cds = "FT   CDS             join(388..420,1..30)"
    assert cds in rest
    text = (
        f"{first}\n{rest}"
        if circular
        else f"{first}\n{rest.replace(cds, cds.replace('join(388..420,1..30)', '388..420'))}"
    )
    (contig,) = parse(text.encode()).contigs
    assert (contig.name, contig.length, contig.circular) == (name, length, circular)


def test_a_table_without_its_heading_is_read() -> None:
    text = text_of("bakta.gbff")
    bare = b"".join(line for line in text.splitlines(keepends=True) if not line.startswith(b"FH"))
    assert bare != text
    assert list(parse(bare).genes) == list(parse(text).genes)
    genome = parse(bare)
    assert ours.strip(patch.render(genome, fake_predictions(genome), 0.5)) == bare


def test_contigs_may_come_from_a_fasta_file() -> None:
    text = text_of("bakta.gbff")
    bases = parse(text).contigs[0].sequence
    lines = text[: text.index(b"SQ   ")].splitlines(keepends=True)
    bare = b"".join(line for line in lines if b"/translation" not in line) + b"//\n"
    genome = parse(bare, Sequences({"contig_1": bases}))
    assert genome.contigs[0].sequence == bases


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"contig_1;", b";", "line 1: this ID line has no name"),
        (b"420 BP.", b"420 AA.", "line 1: a protein record"),
        (b"420 BP.", b"421 BP.", "line 1: ID says 421 bp but the sequence has 420"),
        (b"FT   CDS ", b"FX   CDS ", "not a feature, qualifier or sequence of an EMBL file"),
    ],
)
def test_damage_is_named(old: bytes, new: bytes, message: str) -> None:
    text = text_of("bakta.gbff")
    assert old in text
    with pytest.raises(InputError, match=message):
        parse(text.replace(old, new))


# ---- writing ----


def test_what_is_added() -> None:
    text = text_of("bakta.gbff")
    genome = parse(text)
    kept = set(text.splitlines())
    added = [row for row in patch.render(genome, fake_predictions(genome)).splitlines() if row not in kept]
    assert added[0] == b"CC   glm-annot: program=glm-annot 0.1.0; model=fake 1.0.0; sha256="
    assert added[1].startswith(b"CC       000")
    assert all(row.startswith((b"CC       ", b"FT   operon  ", b"FT" + b" " * 19)) for row in added[1:])
    assert any(row.startswith(b'FT                   /note="glm-annot: ') for row in added)


@pytest.mark.parametrize("name", FILES)
def test_biopython_reads_what_is_written(name: str) -> None:
    text = text_of(name)
    genome = parse(text)
    written = patch.render(genome, fake_predictions(genome), 0.5)
    old, new = biopython(text), biopython(written)
    for before, after in zip(old, new, strict=True):
        assert before.seq == after.seq
        assert others(after) == others(before)
    assert any(f.type == "operon" for record in new for f in record.features)


def test_the_provenance_is_read_again() -> None:
    from glm_annot.io.qualifiers import provenance_comment

    genome = parse(text_of("bakta.gbff"))
    written = patch.render(genome, fake_predictions(genome), 0.5)
    assert ours.provenance(written) == provenance_comment(PROVENANCE, 0.5)
    assert annotation_io.is_rendered(written, text_of("bakta.gbff"), provenance_comment(PROVENANCE, 0.5))


def others(record: SeqRecord) -> list[tuple[str, str]]:
    """Features other than operons, of which some are ours."""
    return [(f.type, str(f.location)) for f in record.features if f.type != "operon"]


INDENT = b"FT" + b" " * 19
LOOKALIKES = {  # other people's lines that look a little like ours, and before which lines they go
    b"CC   Not by glm-annot: but about it.\nXX\n": b"FH   Key",
    b"CC   glm-annot was here.\n": b"FH   Key",
    b"XX\n": b"FH   Key",
    b"FT   operon          1..9\nFT                   /operon=\"glm_like\"\n": b"FT   CDS",
    INDENT + b'/note="compare glm-annot: ec=1.1.1.1; promoted=1.1.1.1"\n': INDENT + b"/product",
    INDENT + b'/inference="similar to glm-annot:0.1.0"\n': INDENT + b"/product",
}  # fmt: skip


@settings(max_examples=80, deadline=None)
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
    lines = text_of(name).splitlines(keepends=True)
    for piece in chosen:
        spots = [i for i, line in enumerate(lines) if line.startswith(LOOKALIKES[piece])]
        lines.insert(spots[place % len(spots)], piece)
    text = with_line_ends(b"".join(lines), crlf=crlf, newline=newline)
    assert ours.strip(text) == text
    genome = parse(text)
    written = patch.render(genome, fake_predictions(genome, seed), promote)
    assert written != text
    assert ours.strip(written) == text


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(FILES), data=st.data())
def test_damage_of_any_kind_is_read_or_refused_in_one_line(name: str, data: st.DataObject) -> None:
    check_damaged(text_of(name), data, parse=parse, strip=ours.strip)


# ---- real files ----


def test_bakta_says_the_same_in_embl_and_genbank(shared_data: Path) -> None:
    folder = shared_data / "annotated" / "bakta" / "assembly"
    genome = annotation_io.read(folder / "assembly.embl.gz")
    twin = annotation_io.read(folder / "assembly.gbff.gz")
    assert genome.contigs == twin.contigs
    assert len(list(genome.genes)) == 93
    written = annotation_io.render(genome, fake_predictions(genome), promote_ec=0.5)
    assert annotation_io.strip(written) == gzip.decompress((folder / "assembly.embl.gz").read_bytes())
