"""From Python: one call, one kind of result, which shows itself in a line and writes the same files."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

import glm_annot
from glm_annot import bundle
from glm_annot.bundle import Model
from glm_annot.cli.app import cli
from glm_annot.errors import GlmAnnotError, InputError, UsageError
from glm_annot.io.table import COLUMNS
from glm_annot.records import Contig, Genome, Source
from tests.support.tiny import made_gff3, made_metagenome, tiny


@pytest.fixture
def annotation(small_gff3: Path, tiny_model: Model) -> glm_annot.Annotation:
    return glm_annot.annotate(small_gff3, tiny_model)


def test_a_path_a_text_and_a_genome_give_the_same(
    small_gff3: Path, tiny_model: Model, annotation: glm_annot.Annotation
) -> None:
    for given in (str(small_gff3), glm_annot.read(small_gff3)):
        again = glm_annot.annotate(given, tiny_model)
        assert again.predictions == annotation.predictions
        assert list(again.genome.genes) == list(annotation.genome.genes)


def test_models_go_by_name_and_mini_is_taken_without_one(
    small_gff3: Path, tiny_bundle: Path, annotation: glm_annot.Annotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "known", lambda: {"mini": tiny_bundle})
    assert glm_annot.load_model().name == "tiny"
    for named in (glm_annot.annotate(small_gff3), glm_annot.annotate(small_gff3, tiny_bundle)):
        assert named.predictions == annotation.predictions


def test_a_folder_of_a_tool_is_read_as_on_the_command_line(
    tmp_path: Path, tiny_bundle: Path, tiny_model: Model
) -> None:
    folder = tmp_path / "prokka"
    folder.mkdir()
    (folder / "x.gff").write_text(made_gff3(5))
    with pytest.raises(InputError, match="this folder is not the output of a known tool"):
        glm_annot.annotate(folder, tiny_model)
    (folder / "x.tbl").write_text("")
    command = [str(folder), "--model", str(tiny_bundle), "-o", str(tmp_path / "by_command.gff"), "-q"]
    assert CliRunner().invoke(cli, command).exit_code == 0
    annotated, _ = glm_annot.annotate(folder, tiny_model).write(tmp_path / "by_python.gff")
    assert annotated.read_bytes() == (tmp_path / "by_command.gff").read_bytes()


@pytest.mark.parametrize("name", ["small.gff3", "many.gff3"])
def test_files_are_those_of_the_command_line(
    tmp_path: Path, tiny_bundle: Path, tiny_model: Model, name: str
) -> None:
    """Also for a metagenome, which the command line reads in sections."""
    (tmp_path / "small.gff3").write_text(made_gff3(34))
    (tmp_path / "many.gff3").write_text(made_metagenome(7))
    command = [str(tmp_path / name), "--model", str(tiny_bundle), "-o", f"{tmp_path}/by_command/", "-q"]
    assert CliRunner().invoke(cli, [*command, "--promote-ec", "0.1"]).exit_code == 0
    written = glm_annot.annotate(tmp_path / name, tiny_model).write(f"{tmp_path}/by_python/", promote_ec=0.1)
    assert [path.name for path in written] == [name.replace(".", ".glm."), name.replace(".gff3", ".glm.tsv")]
    for path in written:
        assert path.read_bytes() == (tmp_path / "by_command" / path.name).read_bytes()


def test_nothing_is_overwritten(small_gff3: Path, annotation: glm_annot.Annotation) -> None:
    annotation.write()
    with pytest.raises(UsageError, match="exists"):
        annotation.write()
    annotation.write(force=True)
    with pytest.raises(UsageError, match="is the input itself"):
        annotation.write(small_gff3, force=True)
    with pytest.raises(UsageError, match="the result has the format of the input"):
        annotation.write(small_gff3.with_suffix(".gbk"))
    with pytest.raises(UsageError, match="needs the name of a file"):
        annotation.write("-")
    assert small_gff3.read_text() == made_gff3(34)


def test_the_report_is_that_of_the_command_line(
    small_gff3: Path, tiny_bundle: Path, annotation: glm_annot.Annotation
) -> None:
    command = [str(small_gff3), "--model", str(tiny_bundle), "--report", "-q"]
    assert CliRunner().invoke(cli, command).exit_code == 0
    by_command = small_gff3.with_name("small.glm.html").read_bytes()
    with pytest.raises(UsageError, match="exists"):
        annotation.report()
    page = annotation.report(model=tiny_bundle, force=True)
    assert page == small_gff3.with_name("small.glm.html") and page.read_bytes() == by_command
    named = annotation.report(small_gff3.with_name("mine.html"), model=tiny_bundle)
    assert named.read_bytes() == by_command
    with pytest.raises(UsageError, match="is the input itself"):
        small_gff3.rename(named)
        glm_annot.Annotation(
            Genome(annotation.genome.contigs, Source(str(named), "gff3", b"")), annotation.predictions
        ).report(named, force=True)


def test_a_picture_is_returned_and_written(small_gff3: Path, annotation: glm_annot.Annotation) -> None:
    pytest.importorskip("dna_features_viewer", reason="the extra plot is not installed")
    figure = annotation.plot(small_gff3.with_suffix(".png"), region="contig_1:1-3000")
    assert small_gff3.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert any("MADE_0001" in text.get_text() for text in figure.axes[0].texts)
    with pytest.raises(UsageError, match="exists"):
        annotation.plot(small_gff3.with_suffix(".png"), region="contig_1:1-3000")


def test_what_no_file_held_is_not_written(annotation: glm_annot.Annotation) -> None:
    unread = glm_annot.Annotation(Genome(annotation.genome.contigs), annotation.predictions)
    with pytest.raises(GlmAnnotError, match="not read from a file"):
        unread.write("x.gff3")


def test_the_data_frame_is_the_table(small_gff3: Path, annotation: glm_annot.Annotation) -> None:
    pandas = pytest.importorskip("pandas")
    frame = annotation.to_dataframe()
    assert list(frame.columns) == list(COLUMNS) and len(frame) == 34
    _, table = annotation.write()
    read = pandas.read_csv(table, sep="\t", keep_default_na=False, dtype=str)
    for name in COLUMNS:
        if frame[name].dtype.kind in "if":
            expected = pandas.to_numeric(read[name], errors="coerce")
            assert frame[name].astype(float).equals(expected.astype(float)), name
        else:
            assert list(frame[name]) == list(read[name]), name
    assert frame["start"].dtype.kind == "i" and frame["context_fit"].dtype.kind == "f"


def test_text_stays_as_annotated_in_the_data_frame(tmp_path: Path, tiny_model: Model) -> None:
    """A spreadsheet takes '=1+1' for a formula, so the file has a quote before it; a data frame has none."""
    pytest.importorskip("pandas")
    (tmp_path / "x.gff3").write_text(made_gff3(2).replace("product=protein 0", "product=%3D1+1"))
    frame = glm_annot.annotate(tmp_path / "x.gff3", tiny_model).to_dataframe()
    assert frame["product"].iloc[0] == "=1+1"


def test_operons_as_a_data_frame(annotation: glm_annot.Annotation) -> None:
    pytest.importorskip("pandas")
    frame = annotation.operons_dataframe()
    operons = annotation.predictions.operons
    assert operons and len(frame) == len(operons)
    first, row = operons[0], frame.iloc[0]
    assert (row["operon"], row["start"], row["end"]) == (first.id, first.start, first.end)
    assert row["genes"].split(",") == [
        gene.id for gene in annotation.genome.genes if gene.index in first.genes
    ]
    assert row["n_genes"] == len(first.genes) and row["confidence"] == first.confidence


def test_as_json(annotation: glm_annot.Annotation) -> None:
    said = json.loads(json.dumps(annotation.to_dict()))
    assert said["provenance"]["model"] == "tiny" and len(said["genes"]) == 34
    assert said["genes"][0]["locus_tag"] == "MADE_0001" and list(said["genes"][0]) == list(COLUMNS)
    operons = annotation.predictions.operons
    assert operons and [operon["operon"] for operon in said["operons"]] == [operon.id for operon in operons]
    assert said["operons"][0]["confidence"] == operons[0].confidence


def test_without_operons_their_data_frame_is_empty(small_gff3: Path, tiny_model: Model) -> None:
    pytest.importorskip("pandas")
    frame = glm_annot.annotate(small_gff3, tiny_model, operons=False).operons_dataframe()
    assert len(frame) == 0 and "confidence" in frame.columns


class _Cells(HTMLParser):
    """Counts what a browser would see of a table."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)


def test_a_bare_name_shows_a_line(annotation: glm_annot.Annotation, tiny_model: Model) -> None:
    shown = (annotation, annotation.genome, annotation.predictions, tiny_model)
    for thing in (*shown, annotation.genome.contigs, annotation.genome.source, *annotation.genome.genes):
        assert len(repr(thing)) < 300
    assert "genes: 34" in repr(annotation) and "model: tiny 1.0.0" in repr(annotation)
    assert "EC numbers, operons, context fit" in repr(tiny_model)
    assert "never on disk" in repr(tiny())
    for thing in shown:
        html = thing._repr_html_()
        assert len(html) < 1500
        assert set(_Cells(html).tags) == {"table", "caption", "tr", "th", "td"}


def test_what_is_shown_stays_text_and_short() -> None:
    source = Source("/" + "folder/" * 99 + "<script>.gff3", "gff3", b"x" * 10**6)
    genome = Genome((Contig("c" * 50, 100, False, ()),), source)
    assert len(repr(genome)) < 300 and "<script>.gff3" in repr(genome)
    assert "script" not in _Cells(genome._repr_html_()).tags
