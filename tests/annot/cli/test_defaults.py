"""`--config`: a file's settings are those of the command line, which wins over it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from glm_annot.cli import app
from glm_annot.cli.tasks import Options
from glm_annot.errors import UsageError


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `glm-annot x.gff3 --config FILE WORDS` with such a file; what would be asked for."""
    asked: list[Options] = []
    monkeypatch.setattr(app, "annotate_files", lambda inputs, options: asked.append(options))

    def run(text: str, *words: str) -> Options:
        path = tmp_path / "glm.toml"
        path.write_text(text)
        CliRunner().invoke(app.cli, ["x.gff3", "--config", str(path), *words], catch_exceptions=False)
        return asked.pop()

    return run


def test_all_kinds_of_options_come_from_the_file(given: Any) -> None:
    options = given(
        'min-confidence = 0.8\nmodel = "my_model"\njobs = 4\nresume = true\nforce = false\nno-ec = true\n'
        'fasta = "contigs.fna"\npromote_to = "field"\n'
    )
    assert (options.min_confidence, options.model, options.jobs) == (0.8, "my_model", 4)
    assert (options.resume, options.force, options.ec, options.operons) == (True, False, False, True)
    assert (options.fasta, options.promote_to) == (Path("contigs.fna"), "field")


def test_the_command_line_wins(given: Any) -> None:
    options = given("min-confidence = 0.8\njobs = 4\n", "--min-confidence", "0.3")
    assert (options.min_confidence, options.jobs) == (0.3, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min-confidance = 0.8", "there is no option 'min-confidance'; did you mean min-confidence"),
        ("config = 'other.toml'", "there is no option 'config'"),
        ("jobs = 'many'", "jobs: 'many' is not a valid integer"),
        ("min-confidence = 2", "min-confidence: 2"),
        ("force = 1", "force must be true or false, but is 1"),
        ("jobs = true", "jobs must be a text or a number, but is True"),
        ("[jobs]\nn = 1", "jobs must be a text or a number"),
        ("jobs = ", "no TOML"),
    ],
)
def test_what_is_wrong_in_the_file_is_told(given: Any, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=r"glm\.toml") as caught:
        given(text)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    result = CliRunner().invoke(app.cli, ["x.gff3", "--config", str(tmp_path / "none.toml")])
    assert isinstance(result.exception, UsageError) and "No such file" in str(result.exception)
