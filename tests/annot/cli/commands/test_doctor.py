"""`glm-annot doctor`: all is well, or what is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from glm_annot import bundle, io
from glm_annot.cli.app import cli
from glm_annot.cli.commands import doctor
from glm_annot.errors import GlmAnnotError


@pytest.fixture
def model(tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny model in the place of mini, the only one."""
    copy = Path(shutil.copytree(tiny_bundle, tmp_path / "mini"))
    monkeypatch.setattr(bundle, "known", lambda: {"mini": copy})
    monkeypatch.setattr(bundle, "user_folder", lambda: tmp_path / "none")
    return copy


def test_all_is_well(model: Path) -> None:
    result = CliRunner().invoke(cli, ["doctor"], catch_exceptions=False)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert any(line.startswith("ok       model mini 1.0.0: ") for line in lines)
    assert any(line.startswith("ok       self-test: 8 genes annotated") for line in lines)
    assert any(line.startswith("ok       torch ") for line in lines)
    assert lines[-1] == "Everything that glm-annot needs is here and works."


def test_a_damaged_model_and_a_failed_run_are_told(model: Path) -> None:
    (model / "ec_labels.tsv").write_text("ec\n")
    result = CliRunner().invoke(cli, ["doctor"])
    assert isinstance(result.exception, GlmAnnotError) and result.exception.exit_status == 1
    assert str(result.exception) == "2 of what glm-annot needs are missing"
    missing = [line for line in result.output.splitlines() if line.startswith("missing")]
    assert "ec_labels.tsv is damaged" in missing[0] and "self-test: ModelError" in missing[1]


def test_a_missing_library_ends_it_before_what_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_NEEDED", {"no-such-library": "no_such_library", "click": "click"})
    result = CliRunner().invoke(cli, ["doctor"])
    assert str(result.exception) == "1 of what glm-annot needs is missing"
    assert "pip install no-such-library" in result.output and "self-test" not in result.output


def test_what_is_optional_may_be_missing(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_OPTIONAL_LIBRARIES", {"no_such_library": "nothing"})
    monkeypatch.setattr(doctor, "_OPTIONAL_PROGRAMS", {"no_such_program": "nothing"})
    result = CliRunner().invoke(cli, ["doctor"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "-        no_such_library: not here; for nothing; pip install no_such_library" in result.output
    assert "-        no_such_program: not on PATH; for nothing" in result.output


def test_every_needed_library_is_looked_for() -> None:
    from importlib.metadata import requires

    needed = {line.split(">=")[0] for line in requires("glm-annot") or () if ";" not in line}
    assert needed == set(doctor._NEEDED)


def test_the_made_up_contig_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.gff3").write_text(doctor._made_up_contig())
    proteins = io.read(tmp_path / "x.gff3").proteins
    assert [len(protein) for protein in proteins] == [101] * 8 and all("*" not in p for p in proteins)
