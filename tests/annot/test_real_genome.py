"""Whole runs on real genomes, with a tiny model: every CDS accounted for, the input given back."""

from __future__ import annotations

import gzip
import io
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import gffutils
import pytest
from Bio import SeqIO

import glm_annot
from tests.support.paths import EXAMPLES
from tests.support.real_genomes import CORYNEBACTERIUM, call_genes

MODEL_OPTIONS = {"precision": "fp32"}


def test_a_whole_chromosome(tiny_model: glm_annot.Model, tmp_path: Path) -> None:
    gff, fasta, n_genes = call_genes(CORYNEBACTERIUM, tmp_path)
    genome = glm_annot.read(gff, fasta=fasta)
    predictions = glm_annot.annotate(genome, tiny_model, **MODEL_OPTIONS).predictions
    annotated = glm_annot.render(genome, predictions)

    assert n_genes > 2000
    assert len(predictions.genes) == n_genes
    assert len(predictions.pairs) == n_genes - 1
    assert all(0 <= p <= 1 for p in predictions.pairs.values())
    assert glm_annot.strip(annotated) == gff.read_bytes()
    database = gffutils.create_db(
        annotated.decode(), ":memory:", from_string=True, merge_strategy="create_unique"
    )
    assert database.count_features_of_type("CDS") == n_genes
    assert database.count_features_of_type("operon") == len(predictions.operons or ())
    assert all("glm_context_fit" in cds.attributes for cds in database.features_of_type("CDS"))


def test_the_example_is_what_its_script_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = runpy.run_path(str(EXAMPLES / "make_example.py"))
    monkeypatch.setitem(script["main"].__globals__, "OUTPUT", tmp_path / "made.gff3")
    script["main"]()
    shipped = (EXAMPLES / "corynebacterium_80_genes.gff3").read_text()
    assert (tmp_path / "made.gff3").read_text().splitlines()[2:] == shipped.splitlines()[2:]


@pytest.mark.skipif(shutil.which("gt") is None, reason="needs gt (Debian: genometools)")
def test_genometools_accept_the_output_of_the_example(tiny_model: glm_annot.Model, tmp_path: Path) -> None:
    source = EXAMPLES / "corynebacterium_80_genes.gff3"
    genome = glm_annot.read(source)
    annotated = tmp_path / "annotated.gff3"
    annotated.write_bytes(
        glm_annot.render(genome, glm_annot.annotate(genome, tiny_model, **MODEL_OPTIONS).predictions)
    )
    for path in (source, annotated):
        done = subprocess.run(["gt", "gff3validator", path], capture_output=True, text=True)
        assert done.returncode == 0, f"{path}: {done.stderr}"


def count_cds(text: bytes) -> int:
    """CDS of a file, counted without our reader: GFF3 lines by ID, GenBank feature keys."""
    if text.startswith(b"LOCUS"):
        return len(re.findall(rb"^     CDS  ", text, re.MULTILINE))
    lines = [line for line in text.split(b"##FASTA")[0].splitlines() if line.split(b"\t")[2:3] == [b"CDS"]]
    ids = [re.search(rb"\bID=([^;]+)", line) for line in lines]
    return len({found[1] if found else line for found, line in zip(ids, lines, strict=True)})


@pytest.mark.parametrize(
    "name",
    [
        "bakta/plasmid_1.gff3.gz",
        "bakta/plasmid_1.gbff.gz",
        "bakta/chlamydia_trachomatis.gff3.gz",
        "prokka/prokka_2021.gff.gz",
        "rast/streptococcus_pyogenes.gb.gz",
    ],
)
def test_real_files(name: str, shared_data: Path, tiny_model: glm_annot.Model) -> None:
    path = shared_data / "annotated" / name
    text = gzip.decompress(path.read_bytes())
    genome = glm_annot.read(path)
    predictions = glm_annot.annotate(genome, tiny_model, **MODEL_OPTIONS).predictions
    table = io.StringIO()
    glm_annot.write_table(genome, predictions, table)
    rows = table.getvalue().splitlines()[1:]

    assert len(rows) == count_cds(text)
    skipped = sum(gene.skip is not None for gene in genome.genes)
    assert len(predictions.genes) + skipped == len(rows)
    annotated = glm_annot.render(genome, predictions)
    assert glm_annot.strip(annotated) == text
    if genome.source is not None and genome.source.format == "genbank":
        before = [len(record.features) for record in SeqIO.parse(io.StringIO(text.decode()), "genbank")]
        after = [len(record.features) for record in SeqIO.parse(io.StringIO(annotated.decode()), "genbank")]
        assert sum(after) == sum(before) + len(predictions.operons or ())
