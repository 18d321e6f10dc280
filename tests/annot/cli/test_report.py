"""`--report` and `glm-annot report`: one page, of a run or of its files, and never over another file."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from glm_annot import bundle
from glm_annot.cli.app import cli
from glm_annot.errors import GlmAnnotError
from tests.support.tiny import made_metagenome


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> None:
    """The tiny model is the one that ships."""
    monkeypatch.setattr(bundle, "known", lambda: {"mini": tiny_bundle})


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, args)])


def refused(*args: object) -> str:
    """The message of a call that ends in an error of ours."""
    error = run(*args).exception
    assert isinstance(error, GlmAnnotError), error
    return str(error)


def test_the_report_of_a_run_is_that_of_its_files(small_gff3: Path) -> None:
    done = run(small_gff3, "--report")
    assert done.exit_code == 0, done.output
    page = small_gff3.with_name("small.glm.html")
    of_run = page.read_bytes()
    assert b"34 genes on 1 contig" in of_run and b"MADE_0001" in of_run
    annotated = small_gff3.with_name("small.glm.gff3")
    assert "exists; --force overwrites it" in refused("report", annotated)
    assert run("report", annotated, "--force").exit_code == 0
    assert page.read_bytes() == of_run


def test_a_report_of_many_contigs(tmp_path: Path) -> None:
    (tmp_path / "many.gff3").write_text(made_metagenome(30))
    assert run(tmp_path / "many.gff3", "--report", "-o", tmp_path / "out.gff3").exit_code == 0
    of_run = (tmp_path / "out.html").read_bytes()
    assert b"on 30 contigs" in of_run
    assert run("report", tmp_path / "out.gff3", "-o", tmp_path / "again.html").exit_code == 0
    again = (tmp_path / "again.html").read_bytes()
    assert again == of_run.replace(b"<title>many", b"<title>out").replace(b"<h1>many", b"<h1>out").replace(
        b'"title":"many"', b'"title":"out"'
    )


def test_resume_makes_a_missing_report_and_leaves_a_whole_run_out(small_gff3: Path) -> None:
    run(small_gff3)
    page = small_gff3.with_name("small.glm.html")
    assert run(small_gff3, "--report", "--resume").exit_code == 0
    written = page.stat().st_mtime_ns
    assert run(small_gff3, "--report", "--resume").exit_code == 0
    assert page.stat().st_mtime_ns == written


def test_a_report_overwrites_nothing(small_gff3: Path) -> None:
    page = small_gff3.with_name("small.glm.html")
    page.write_text("mine")
    assert run(small_gff3, "--report").exit_code == 2
    assert page.read_text() == "mine" and not page.with_suffix(".tsv").exists()
    assert run(small_gff3, "--report", "--force").exit_code == 0
    annotated = small_gff3.with_name("small.glm.gff3")
    for what, place in (("the input", annotated), ("the table", page.with_suffix(".tsv"))):
        assert f"is {what} itself" in refused("report", annotated, "-o", place, "--force")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{0}", "--report", "-o", "-"], "--report needs a place for its file"),
        (["{0}", "-o", "x.html"], "table and report are put beside it"),
        (["report", "-"], "standard input has none"),
        (["report", "{0}"], "nothing in this file is from glm-annot"),
    ],
)
def test_what_has_no_report(small_gff3: Path, arguments: list[str], message: str) -> None:
    assert message in refused(*(argument.format(small_gff3) for argument in arguments))


def test_a_table_of_another_file_is_refused(small_gff3: Path, tmp_path: Path) -> None:
    run(small_gff3)
    annotated, table = small_gff3.with_name("small.glm.gff3"), small_gff3.with_name("small.glm.tsv")
    table.write_text(table.read_text().replace("contig_1\t", "other\t"))
    assert "this table is of another file" in refused("report", annotated)
    table.write_text("a\tb\n")
    assert "this is no table of glm-annot" in refused("report", annotated)
    assert "no such file" in refused("report", annotated, "--table", tmp_path / "x.tsv").lower()


def test_a_report_without_a_table_says_what_is_left_out(small_gff3: Path) -> None:
    run(small_gff3, "--report")
    page = small_gff3.with_name("small.glm.html")
    with_table = page.read_text()
    small_gff3.with_name("small.glm.tsv").unlink()
    assert run("report", small_gff3.with_name("small.glm.gff3"), "--force").exit_code == 0
    without = page.read_text()
    left_out = "This page was made from the annotated file alone. Left out"
    assert left_out in without and left_out not in with_table
    for said in ("34 genes on 1 contig", "MADE_0001", '"ec_passed"', '"operon_position"'):
        assert said in without and said in with_table
    assert '"prob_pair_next":[' in with_table and '"prob_pair_next":[' not in without


def test_a_file_whose_sequences_lie_beside_it_needs_its_table(small_gff3: Path) -> None:
    run(small_gff3)
    annotated = small_gff3.with_name("small.glm.gff3")
    annotated.write_text(annotated.read_text().partition("##FASTA")[0])
    assert run("report", annotated).exit_code == 0
    small_gff3.with_name("small.glm.tsv").unlink()
    assert "cannot be read without its table; name that with --table" in refused(
        "report", annotated, "--force"
    )
