"""Every command that the pages show is run as it stands, or parsed by the real command line.

An indented block is run in a folder with the files that the pages speak of, with a tiny model in the place of
`mini`. A block that cannot be run in seconds has the comment `<!-- parsed only: REASON -->` before it: its
commands are only parsed.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from glm_annot.cli import app
from glm_annot.training import cli as training
from tests.bench import benchmarks, model_table
from tests.hostile import __main__ as hostile
from tests.support.pages import PAGES, Block, Command, blocks, commands, inline_commands, text_of

BLOCKS = [block for page in PAGES for block in blocks(page)]
RUN = [block for block in BLOCKS if not block.reason]
PARSED = [block for block in BLOCKS if block.reason]
SPANS = [command for page in PAGES for command in inline_commands(page)]
CLICK: dict[str, click.Command] = {
    "glm-annot": app.cli,
    "glm-train": training.cli,
    "python -m tests.bench.benchmarks": benchmarks.main,
    "python -m tests.bench.model_table": model_table.main,
    "python -m tests.hostile": hostile.main,
}
# What the pages call by a name in capitals; RECIPE is any recipe.
PLACES = {"RECIPE": "own"}


def parse(words: Sequence[str]) -> bool:
    """Lets click parse a command of ours, without running it; False for other programs.

    Raises:
        click.UsageError, KeyError: an option or value, or a command, that does not exist.
    """
    for name, command in CLICK.items():
        program = name.split()
        if [*words[: len(program)]] == program:
            given = [PLACES.get(word, word) for word in words[len(program) :]]
            if isinstance(command, click.Group):
                command, given = _subcommand(command, given)
            with suppress(click.exceptions.Exit):  # --help and the like end the program
                command.make_context(name, given)
            return True
    return False


def _subcommand(group: click.Group, words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that the words name, or that of `glm-annot FILE`, and what follows."""
    if not words or words[0] in ("-h", "--help", "--version", "--citation"):
        return group, words
    if words[0] in group.commands:
        command, words = group.commands[words[0]], words[1:]
    else:
        command = group.commands[getattr(group, "default", words[0])]
    return _subcommand(command, words) if isinstance(command, click.Group) else (command, words)


@pytest.mark.parametrize("block", RUN, ids=str)
def test_a_block_runs(block: Block, folder: Path) -> None:
    output = b""
    for command in commands(block.text):
        output = run(command, folder, output if command.reads else b"")
        if command.target:
            (folder / command.target).write_bytes(output)


def run(command: Command, folder: Path, given: bytes) -> bytes:
    """Runs one command, ours within this process; its standard output."""
    name, *words = command.words
    words = [
        match for word in words for match in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
    ]
    if name in ("glm-annot", "glm-train"):
        result = CliRunner().invoke(CLICK[name], words, input=given)
        assert result.exit_code == 0, result.output
        return result.stdout_bytes
    return subprocess.run([name, *words], input=given, capture_output=True, check=True).stdout


@pytest.mark.parametrize("block", PARSED, ids=str)
def test_a_block_that_is_not_run_is_parsed(
    block: Block, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared)
    subprocess.run(["bash", "-n", "-c", block.text], check=True)
    for command in commands(block.text):
        parse(command.words)


@pytest.mark.parametrize("command", SPANS, ids=lambda command: " ".join(command.words))
def test_a_command_in_running_text_names_what_there_is(command: Command) -> None:
    with suppress(click.MissingParameter):  # running text may leave out what the reader knows
        assert parse(command.words)


@pytest.mark.parametrize("epilog", [app.EXAMPLES, training.EXAMPLES], ids=["glm-annot", "glm-train"])
def test_examples_of_the_help_are_parsed(epilog: str) -> None:
    """An example ends at the line's end or at two spaces, where its explanation begins."""
    examples = re.findall(r"^ +(glm-(?:.+?'[^']+'|.+?))(?:  .*)?$", epilog, re.MULTILINE)
    assert len(examples) >= 7
    for example in examples:
        assert parse(next(commands(example)).words)


def names_after(page: str) -> dict[str, Any]:
    """What the Python examples of a page leave behind, run one after another."""
    pytest.importorskip("pandas", reason="the extra 'table' is not installed")
    names: dict[str, Any] = {}
    for block in text_of(page).split("```python\n")[1:]:
        exec(block.split("```")[0], names)
    return names


def test_the_python_examples_run(folder: Path) -> None:
    names = names_after("docs/python.md")
    assert b"glm_operon" in (folder / "results" / "bakta_output.glm.gff3").read_bytes()
    assert names["annotated_file"].is_file() and len(names["table"]) == 34


def test_the_table_of_operons_is_written(folder: Path) -> None:
    operons = names_after("docs/how-to.md")["operons"]
    header = "\t".join(operons.columns)
    assert (folder / "operons.tsv").read_text(encoding="utf-8").startswith(f"{header}\n")


def test_the_notebook_runs(folder: Path) -> None:
    """Its cells, one after another; Jupyter is not needed for that."""
    pytest.importorskip("pandas", reason="the extra 'table' is not installed")
    notebook = json.loads((folder / "examples" / "notebook.ipynb").read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            exec("".join(cell["source"]), names)
    assert len(names["genes"]) == 80 and len(names["operons"]) and names["annotated_file"].is_file()


def test_every_block_is_run_or_parsed() -> None:
    assert len(RUN) >= 12 and len(PARSED) >= 12
    of_blocks = [command.words[0] for block in BLOCKS for command in commands(block.text)]
    ours = [name for name in of_blocks if name.startswith("glm-")]
    assert len(ours) >= 30


@pytest.mark.parametrize(
    "wrong",
    [
        "glm-annot x.gff3 --no-such-option",
        "glm-annot x.gff3 --jobs many",
        "glm-train nonsense",
        "glm-train run own --data DATA",
    ],
)
def test_a_wrong_command_does_not_parse(wrong: str) -> None:
    with pytest.raises((click.UsageError, KeyError)):
        parse(next(commands(wrong)).words)


def test_quotations_pipes_and_comments_are_understood() -> None:
    text = (
        "zcat x.gz | glm-annot - > y  # to a file\nglm-train run own --launcher \\\n 'srun a\n  b' --work w"
    )
    assert list(commands(text)) == [
        Command(["zcat", "x.gz"]),
        Command(["glm-annot", "-"], reads=True, target="y"),
        Command(["glm-train", "run", "own", "--launcher", "srun a   b", "--work", "w"]),
    ]
