"""A GFF3 that is read in sections says and becomes what it does when it is read as a whole."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import glm_annot.io as annotation_io
from glm_annot.annotation import annotate
from glm_annot.bundle import Model
from glm_annot.errors import InputError
from glm_annot.io import source
from glm_annot.io.gff3 import lines as gff3_lines
from glm_annot.model import windows
from glm_annot.operons.features import GEOMETRY
from glm_annot.operons.head import OperonHead, OperonHeadConfig
from glm_annot.overview import Overview
from glm_annot.pipeline import Settings, annotate_sections
from glm_annot.records import Gene, Genome
from tests.bench.metagenome import write_metagenome
from tests.support.paths import EXAMPLE
from tests.support.tiny import made_metagenome

FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda text: text,
    "CRLF": lambda text: text.replace(b"\n", b"\r\n"),
    "byte order mark": lambda text: b"\xef\xbb\xbf" + text,
    "mixed line ends": lambda text: text.replace(b"\n", b"\r\n", 3),
    "no ##FASTA": lambda text: text.replace(b"##FASTA\n", b""),
    "no last line end": lambda text: text.rstrip(),
    "comments and blank lines": lambda text: text.replace(b"\ncontig_5\t", b"\n# here\n\ncontig_5\t", 1),
}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five genes a part instead of thousands, and no file in memory."""
    monkeypatch.setattr(windows, "PART_GENES", 5)
    monkeypatch.setattr(gff3_lines, "SECTION_CDS", 5)
    monkeypatch.setattr(source, "_SPOOLED", 10)


@pytest.fixture
def model(tiny_model: Model) -> Model:
    """Its operons depend on how the gaps of the whole genome are distributed."""
    head = OperonHead(OperonHeadConfig(trees=80, nodes=3))
    head.layout.feature_TN.fill_(GEOMETRY.index("log_odds_0"))
    head.layout.threshold_TN.copy_(torch.linspace(-2, 2, 80)[:, None])
    head.layout.children_TN2.copy_(torch.tensor([[1, 2], [1, 1], [2, 2]]))
    head.layout.value_TN.copy_(torch.tensor([0.0, -0.1, 0.1]))
    return replace(tiny_model, operons=head)


def written(folder: Path, text: bytes) -> Path:
    (folder / "in.gff3").write_bytes(text)
    return folder / "in.gff3"


def genes(genome: Genome) -> list[Gene]:
    """All but the numbers of its genes, which each section counts anew."""
    return [replace(gene, index=0) for gene in genome.genes]


@pytest.mark.parametrize("form", FORMS)
def test_sections_become_what_the_whole_does(form: str, tmp_path: Path, model: Model) -> None:
    path = written(tmp_path, FORMS[form](made_metagenome(9).encode()))
    whole = annotation_io.read(path)
    predictions = annotate(whole, model).predictions
    sections = annotation_io.open_sections(path)
    overview = Overview.of(sections)
    assert [sum(1 for _ in section.genes) for section in sections] == [5, 5, 5, 5, 2]
    assert [gene for section in sections for gene in genes(section)] == genes(whole)
    assert repr(overview) == repr(Overview.of([whole]))
    assert overview.windows(30) == predictions.n_windows == 9
    for promote_ec in (None, 0.5):
        pieces = [
            annotation_io.render(section, predicted, promote_ec=promote_ec)
            for section, predicted in annotate_sections(sections, overview, model, Settings())
        ]
        text = b"".join([*pieces, *sections.rest()])
        assert text == annotation_io.render(whole, predictions, promote_ec=promote_ec)
        assert annotation_io.strip(text) == path.read_bytes()
    sections.close()


def test_additions_of_an_earlier_run_are_taken_out_first(tmp_path: Path, model: Model) -> None:
    whole = annotation_io.read(written(tmp_path, b"\xef\xbb\xbf" + made_metagenome(9).encode()))
    path = written(tmp_path, annotation_io.render(whole, annotate(whole, model).predictions))
    sections = annotation_io.open_sections(path)
    assert [gene for section in sections for gene in genes(section)] == genes(whole)
    assert b"glm" not in b"".join(sections.rest())


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text.replace("ID=C8_0001", "Parent=C0_0001;ID=C8_0001"), id="Parent"),
        pytest.param(lambda text: text.replace("ID=C8_0001", "ID=C0%5F0001x").replace(
            "ID=C0_0002", "Parent=C0_0001x;ID=C0_0002"), id="escaped ID"),
        pytest.param(lambda text: text.replace("##gff-version 3\n", "##sequence-region contig_8 1 9999\n"),
                     id="other order"),
        pytest.param(lambda text: text.replace("##FASTA", "contig_0\tx\tgene\t1\t9\t.\t+\t.\tID=z\n##FASTA"),
                     id="contig in two places"),
    ],
)  # fmt: skip
def test_what_hangs_together_is_not_cut(change: Callable[[str], str], tmp_path: Path) -> None:
    text = change("##gff-version 3\n" + made_metagenome(9))
    path = written(tmp_path, text.encode())
    (section,) = annotation_io.open_sections(path)
    assert genes(section) == genes(annotation_io.read(path))
    assert [contig.name for contig in section.contigs] == [c.name for c in annotation_io.read(path).contigs]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("contig_8\tmade\tCDS\t", "contig_8\tmade\tCDS\t0.", "must be whole numbers"),
        ("contig_8\tmade\tCDS\t", "contig_8\tmade\tCDS\t999", "after its end"),
    ],
)
def test_faults_name_the_line_of_the_file(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, made_metagenome(9).replace(old, new, 1).encode())
    with pytest.raises(InputError, match=message) as whole:
        annotation_io.read(path)
    with pytest.raises(InputError) as sections:
        Overview.of(annotation_io.open_sections(path))
    assert str(sections.value) == str(whole.value)
    assert path.read_text().splitlines()[(whole.value.line or 0) - 1].startswith("contig_8")


def test_a_fasta_beside_that_fits_nothing_is_refused_after_the_last_section(tmp_path: Path) -> None:
    path, faa = written(tmp_path, made_metagenome(9).encode()), tmp_path / "x.faa"
    faa.write_text(">C8_0001\nMKTAYIAKQRLGSLVED\n")
    *_, last = annotation_io.open_sections(path, faa=faa)
    assert "MKTAYIAKQRLGSLVED" in last.proteins
    faa.write_text(">nobody\nMKTAYIAKQRLGSLVED\n")
    with pytest.raises(InputError, match="no protein of the --faa file"):
        Overview.of(annotation_io.open_sections(path, faa=faa))


def test_a_terminated_run_leaves_nothing(tmp_path: Path, tiny_bundle: Path) -> None:
    write_metagenome(EXAMPLE, 2000, tmp_path / "in.gff3")
    words = [sys.executable, "-m", "glm_annot", "-q", str(tmp_path / "in.gff3"), "-o", f"{tmp_path}/out/"]
    with subprocess.Popen([*words, "--model", str(tiny_bundle)]) as process:
        while process.poll() is None and not list(tmp_path.glob("out/.*.tmp")):
            time.sleep(0.1)
        process.terminate()
    assert process.returncode == 128 + signal.SIGTERM
    assert list((tmp_path / "out").iterdir()) == []


def test_a_metagenome_is_cut_out_of_a_genome(tmp_path: Path) -> None:
    n_genes = write_metagenome(EXAMPLE, 7, tmp_path / "meta.gff3")
    genome = annotation_io.read(tmp_path / "meta.gff3")
    proteins = {gene.protein for gene in annotation_io.read(EXAMPLE).genes}
    assert len(genome.contigs) == 7 and sum(1 for _ in genome.genes) == n_genes
    assert {gene.protein for gene in genome.genes} <= proteins
