"""`glm-annot plot`: a picture of an annotated file, and never over another file."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from glm_annot.cli.app import cli
from glm_annot.errors import GlmAnnotError
from tests.support.paths import EXAMPLE

pytest.importorskip("dna_features_viewer", reason="the extra plot is not installed")


@pytest.fixture
def annotated(tmp_path: Path) -> Path:
    """The annotated example and its table."""
    for ending in (".glm.gff3", ".glm.tsv"):
        (tmp_path / f"x{ending}").write_bytes(EXAMPLE.with_suffix(ending).read_bytes())
    return tmp_path / "x.glm.gff3"


def run(*args: object) -> Result:
    return CliRunner().invoke(cli, ["plot", *map(str, args)])


def refused(*args: object) -> str:
    error = run(*args).exception
    assert isinstance(error, GlmAnnotError), error
    return str(error)


def test_a_picture_beside_the_file_and_not_over_another(annotated: Path) -> None:
    part = ("--region", "contig_1:1-3000")
    done = run(annotated, *part)
    assert done.exit_code == 0, done.output
    picture = annotated.with_suffix(".svg")
    assert b"<svg" in picture.read_bytes()
    assert "exists; --force overwrites it" in refused(annotated, *part)
    assert run(annotated, *part, "--force").exit_code == 0
    assert run(annotated, *part, "-o", annotated.with_name("y.png")).exit_code == 0
    assert annotated.with_name("y.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_not_drawn(annotated: Path) -> None:
    assert "standard input has none" in refused("-")
    assert "as .svg, .png or .pdf" in refused(annotated, "-o", annotated.with_name("x.jpg"))
    assert "there is no contig 'x'" in refused(annotated, "--region", "x:1-5")


def test_without_its_table_the_file_is_drawn_as_far_as_it_says(annotated: Path) -> None:
    annotated.with_suffix(".tsv").unlink()
    done = run(annotated, "--region", "contig_1:1-3000")
    assert done.exit_code == 0 and "probabilities of operon links are left out" in done.output
