"""A folder with the files that the pages and the docstrings speak of."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from glm_annot import bundle
from tests.support.made_genomes import ancestors, genbank, make_genome
from tests.support.paths import EXAMPLES
from tests.support.tiny import made_gff3


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every file that the pages speak of; small, and most of them made up."""
    folder = tmp_path_factory.mktemp("pages")
    gff3 = made_gff3(34)
    annotation, contigs = gff3.split("##FASTA\n")
    gene_bank = genbank(make_genome("Madeus unus", ancestors(12), seed=1))
    for name in ("bakta_output.gff3", "a.gff3", "genome.gff3", "bakta_output/bakta_output.gff3"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(gff3)
    (folder / "bakta_output/bakta_output.json").write_text("{}")
    (folder / "pgap.gff").write_text(annotation)
    (folder / "genome.fna").write_text(contigs)
    (folder / "genome.gbff").write_text(gene_bank)
    (folder / "b.gbk.gz").write_bytes(gzip.compress(gene_bank.encode()))
    (folder / "genome.gff3.gz").write_bytes(gzip.compress(gff3.encode()))
    (folder / "second.gff3.gz").write_bytes(gzip.compress(made_gff3(34, seed=1).encode()))
    (folder / "enzymes.faa").write_text(">one EC=1.1.1.1\n" + ancestors(1)[0] + "\n")
    shutil.copytree(EXAMPLES, folder / "examples")
    return folder


@pytest.fixture
def folder(
    prepared: Path, tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A copy of that folder to work in, where `mini` is a tiny model, for which one thread is fastest."""
    shutil.copytree(prepared, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(bundle, "known", lambda: {"mini": tiny_bundle})
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path / "here"
    torch.set_num_threads(threads)
