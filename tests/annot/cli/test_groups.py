"""The first word: a command, a path, or neither; and the help in groups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from glm_annot.cli import groups
from glm_annot.cli.app import SECTIONS, cli
from glm_annot.cli.groups import refuse_misspelt
from glm_annot.errors import InputError, UsageError

COMMANDS = sorted(cli.commands)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("word", "near"), [("docter", "doctor"), ("stripp", "strip"), ("model", "models")])
def test_a_misspelt_command_is_told(word: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean {near}"):
        refuse_misspelt(word, COMMANDS)
    result = CliRunner().invoke(cli, [word, "x.gff3"])
    assert isinstance(result.exception, UsageError)


def test_a_file_without_its_ending_is_told(here: Path) -> None:
    (here / "genome.gff3").write_text("")
    with pytest.raises(UsageError, match=r"did you mean genome\.gff3\?"):
        refuse_misspelt("genome", COMMANDS)


def test_what_is_like_nothing_gets_the_commands() -> None:
    with pytest.raises(UsageError, match="the commands are annotate, doctor, "):
        refuse_misspelt("xyzzy", COMMANDS)


@pytest.mark.parametrize("word", ["-", "--force", "strip", "./docter", "docter/", "docter.gff3", "there"])
def test_other_words_are_let_through(here: Path, word: str) -> None:
    (here / "there").mkdir()
    refuse_misspelt(word, COMMANDS)


def test_a_path_with_the_name_of_a_command_is_told_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(groups.log, "info", lambda message, *values: said.append(message % values))
    assert CliRunner().invoke(cli, ["models"]).exit_code == 0 and said == []
    (here / "models").mkdir()
    assert CliRunner().invoke(cli, ["models"]).exit_code == 0
    assert said == ["models is taken for the command; ./models means the file or folder of that name"]
    result = CliRunner().invoke(cli, ["./models"])
    assert result.exit_code == InputError.exit_status and len(said) == 1


@pytest.mark.parametrize("words", [["--help"], ["annotate", "--help"]])
def test_help_is_in_groups_and_each_option_in_one(words: list[str]) -> None:
    shown = CliRunner().invoke(cli, words).output
    places = [shown.index(f"\n{heading}:\n") for heading in SECTIONS]
    assert places == sorted(places) and "Other options" not in shown
    for name in (name for names in SECTIONS.values() for name in names):
        if words == ["--help"] or name not in ("--version", "--citation"):
            assert shown.count(f"{name} ") >= 1, name


def completed(words: str, number: int) -> str:
    """What a shell is offered at a word of a line."""
    given = {"COMP_WORDS": words, "COMP_CWORD": str(number), "_GLM_ANNOT_COMPLETE": "bash_complete"}
    result = CliRunner().invoke(cli, [], prog_name="glm-annot", env={**os.environ, **given})
    return result.output


def test_a_shell_completes_commands_options_and_files() -> None:
    assert "plain,doctor" in completed("glm-annot doc", 1)
    assert "plain,--min-confidence" in completed("glm-annot --min", 1)
    assert "plain,--min-confidence" in completed("glm-annot x.gff3 --min", 2)
    assert "file," in completed("glm-annot gen", 1)
    assert "plain,verify" in completed("glm-annot models ver", 2)


def test_there_are_no_colours() -> None:
    assert "\x1b" not in CliRunner().invoke(cli, ["--help"], color=True).output
