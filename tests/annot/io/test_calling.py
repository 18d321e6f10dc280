"""Contigs alone: their genes are called by pyrodigal, and the result is a GFF3 like any other."""

from __future__ import annotations

import gzip
import importlib.util
import random
from importlib.resources import files
from pathlib import Path

import pyrodigal
import pytest

import glm_annot.io as annotation_io
from glm_annot.errors import GlmAnnotError, InputError
from glm_annot.io.calling import called_genes
from glm_annot.records import Genome
from tests.support.fakes import fake_predictions
from tests.support.real_genomes import CONTIG


def contig(start: int, length: int) -> str:
    """A piece of a real contig."""
    text = gzip.decompress((files("pyrodigal") / f"tests/data/{CONTIG}.fna.gz").read_bytes()).decode()
    return "".join(text.splitlines()[1:])[start : start + length]


pytestmark = pytest.mark.filterwarnings("ignore:sequence should be at least")  # pyrodigal's
LONG, SHORT = contig(30_000, 40_000), contig(100_000, 6_000)
FASTA = f">long one\n{LONG}\n>short|2 two\n{SHORT}\n".encode()


def read(path: Path) -> Genome:
    (genome,) = annotation_io.open_sections(path, call_genes=True)
    return genome


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "contigs.fna"
    path.write_bytes(FASTA)
    return path


def test_genes_are_those_of_pyrodigal_long_contigs_trained_on_short_ones_in_metagenome_mode(
    fasta: Path,
) -> None:
    single, meta = pyrodigal.GeneFinder(), pyrodigal.GeneFinder(meta=True)
    single.train(LONG)
    genome = read(fasta)
    assert [c.name for c in genome.contigs] == ["long", "short|2"]
    for found, finder, dna in zip(genome.contigs, (single, meta), (LONG, SHORT), strict=True):
        genes = finder.find_genes(dna)
        assert [(g.start, g.end, g.strand) for g in found.genes] == [
            (g.begin, g.end, g.strand) for g in genes
        ]
        for gene, called in zip(found.genes, genes, strict=True):
            residues = called.translate().rstrip("*")
            assert gene.protein is not None
            assert gene.protein[1:] == residues[1:]
        assert found.sequence == dna
        assert len(found.genes) >= 3


def test_the_gff3_says_how_and_strip_gives_it_back(fasta: Path) -> None:
    genome = read(fasta)
    assert genome.source is not None
    called = called_genes(FASTA, "x")
    assert called.startswith(b"##gff-version 3\n# genes: pyrodigal " + pyrodigal.__version__.encode())
    assert b"metagenome mode for shorter ones" in called.splitlines()[1]
    assert called.endswith(b"##FASTA\n" + FASTA)
    assert annotation_io.annotation_text(fasta, call_genes=True) == called
    sections = annotation_io.open_sections(fasta, call_genes=True)
    (section,) = sections
    rendered = annotation_io.render(section, fake_predictions(section)) + b"".join(sections.rest())
    assert rendered != called
    assert annotation_io.strip(rendered) == called


def test_an_annotation_is_taken_as_it_is(fasta: Path) -> None:
    path = fasta.with_suffix(".gff3")
    path.write_bytes(called_genes(FASTA, "x"))
    assert list(read(path).genes) == list(read(fasta).genes)
    assert annotation_io.annotation_text(path, call_genes=True) == path.read_bytes()


def test_the_genetic_code_of_metagenome_mode_is_stated() -> None:
    called = called_genes(FASTA, "x").decode()
    lines = [line for line in called.splitlines() if "\tCDS\t" in line]
    assert lines
    assert all("transl_table=11" in line for line in lines)


def test_rna_gaps_and_odd_names_are_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "odd.fa.gz"
    dna = SHORT[:3000] + "N" * 50 + SHORT[3000:]
    text = f"\n>a%b;c=1\n{dna.lower().replace('t', 'u')}"
    path.write_bytes(gzip.compress(text.encode()))
    genome = read(path)
    assert [c.length for c in genome.contigs] == [6050]
    assert all(gene.protein and gene.skip is None for gene in genome.genes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b">p\nMKLVDEWWQ\n", "these are proteins: give --faa with the GFF3"),
        (b">c\n" + b"TTAA" * 100 + b"\n", "finds no genes in these contigs"),
        (b">c\nACGT\n>c\nACGG\n", "two different sequences are both called 'c'"),
    ],
)
def test_what_holds_no_genes_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        called_genes(text, "in.fna")


def test_without_the_extra_one_line_says_how_to_get_genes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(GlmAnnotError, match=r"pip install 'glm-annot\[genes\]'.*Bakta or Prokka"):
        called_genes(FASTA, "in.fna")


def mycoplasma(genes: int, seed: int = 0) -> str:
    """Genes as those of Mycoplasma: in genetic code 4, poor in G and C, TGA for tryptophan."""
    codons = "GCT TGT GAT GAA TTT GGT CAT ATT AAA TTA ATG AAT CCA CAA AGA TCA ACT GTT TGA TAT"
    codon_of = dict(zip("ACDEFGHIKLMNPQRSTVWY", codons.split(), strict=True))
    chance = random.Random(seed)
    often = "AAACDDEEEFFGGGHIIIIIKKKKKKLLLLLLLMNNNNPPQQRRSSSSTTTVVVWYY"
    proteins = ("".join(chance.choices(often, k=250)) for _ in range(genes))
    return "".join(
        f"TTTATTAATAAGGAGGTTTAAATG{''.join(map(codon_of.__getitem__, protein))}TAA" for protein in proteins
    )


@pytest.mark.parametrize("dna", [mycoplasma(40), mycoplasma(6)], ids=["long", "short"])
def test_genes_are_called_in_the_genetic_code_that_the_user_chose(dna: str, tmp_path: Path) -> None:
    path = tmp_path / "c.fna"
    path.write_text(f">c\n{dna}\n")
    (section,) = annotation_io.open_sections(path, genetic_code=4, call_genes=True)
    assert section.source is not None
    assert b", in genetic code 4; trained" in section.source.text
    lines = [line for line in section.source.text.splitlines() if b"\tCDS\t" in line]
    assert len(lines) == len(list(section.genes)) >= 3
    assert all(b"transl_table=4;" in line for line in lines)
    proteins = [gene.protein or "" for gene in section.genes]
    assert "W" in "".join(proteins)
    assert not any("X" in protein for protein in proteins)
    original = annotation_io.annotation_text(path, genetic_code=4, call_genes=True)
    assert (
        annotation_io.strip(annotation_io.render(section, fake_predictions(section)))
        + b"".join(section_rest(path))
        == original
    )


def section_rest(path: Path) -> list[bytes]:
    return list(annotation_io.open_sections(path, genetic_code=4, call_genes=True).rest())


def test_short_contigs_in_a_code_that_metagenome_mode_lacks_are_read_like_the_long_ones() -> None:
    lines = called_genes(FASTA, "x", 25).decode().splitlines()
    assert "in genetic code 25; trained on the contigs of 20000 bp or more, used for shorter ones" in lines[1]
    for name in ("long", "short|2"):
        coding = [line for line in lines if line.startswith(f"{name}\t")]
        assert coding
        assert all("transl_table=25" in line for line in coding)


@pytest.mark.parametrize(
    ("code", "message"), [(25, "only where a contig has 20000 bp or more"), (31, "cannot call")]
)
def test_a_code_in_which_no_genes_can_be_called_is_refused(code: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        called_genes(f">short\n{SHORT}\n".encode(), "in.fna", code)
