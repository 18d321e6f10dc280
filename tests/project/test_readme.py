"""README cannot drift: commands, options, attributes and columns are the program's, figures the model's."""

from __future__ import annotations

import re
import shlex

import click
import pytest
from click.testing import CliRunner

from glm_annot.bundle import known
from glm_annot.cli.app import INTERRUPTED, cli
from glm_annot.errors import GlmAnnotError, InputError, ModelError, UsageError
from glm_annot.io import qualifiers
from glm_annot.io.table import COLUMNS
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(cli.commands)
INVOCATIONS = sorted(set(re.findall(r"^    (?:zcat [^|]*\| )?(glm-annot [^#>\n]*)", README, re.MULTILINE)))


def options(command: click.Command) -> list[str]:
    return [name for option in command.params if isinstance(option, click.Option) for name in option.opts]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    command = cli.commands[name]
    assert command.help
    undocumented = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert undocumented == []


@pytest.mark.parametrize("option", options(cli.commands["annotate"]) + options(cli))
def test_every_option_of_the_main_command_is_in_the_readme(option: str) -> None:
    assert f"`{option}" in README


def test_the_readme_names_no_option_that_is_not_there() -> None:
    existing = {"--help", "-h"}.union(*(options(c) for c in [cli, *cli.commands.values()]))
    section = README[README.index("## Usage") : README.index("From Python")]
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", section)) <= existing


@pytest.mark.parametrize("line", INVOCATIONS)
def test_every_command_line_of_the_readme_parses(line: str) -> None:
    args = shlex.split(line)[1:]
    name, rest = (args[0], args[1:]) if args[0] in cli.commands else (cli.default, args)
    cli.commands[name].make_context(name, rest, resilient_parsing=False)


def test_command_lines_were_found() -> None:
    assert len(INVOCATIONS) >= 7


def test_columns_of_the_table() -> None:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in COLUMNS.items()]
    assert "\n".join(rows) in README


def test_attributes() -> None:
    names = [value for value in vars(qualifiers).values() if isinstance(value, str)]
    ours = [value for value in names if re.fullmatch(r"glm_[a-z_]+", value) and value != qualifiers.PREFIX]
    assert len(ours) >= 10
    assert [name for name in ours if f"`{name}`" not in README] == []


def test_exit_statuses() -> None:
    kinds = {
        GlmAnnotError: "failed while running",
        UsageError: "wrong usage",
        InputError: "unusable input",
        ModelError: "unusable model",
    }
    said = ", ".join(f"{kind.exit_status} {meaning}" for kind, meaning in kinds.items())
    assert f"0 fine, {said}, {INTERRUPTED} interrupted" in README


@pytest.mark.skipif("mini" not in known(), reason="this checkout ships no model")
def test_figures_are_those_of_the_model() -> None:
    printed = CliRunner().invoke(cli, ["models", "mini", "--figures"]).output
    start, end = "<!-- figures: glm-annot models mini --figures -->\n", "<!-- /figures -->"
    block = README[README.index(start) + len(start) : README.index(end)]
    assert block.strip() == printed.strip()


def test_python_example_names_what_there_is() -> None:
    import glm_annot

    code = README[README.index("```python") : README.index("```\n\n## How good")]
    used = re.findall(r"glm_annot\.(\w+)", code)
    assert used and set(used) <= set(glm_annot.__all__)


def test_version_is_the_same_everywhere() -> None:
    from glm_annot import __version__

    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_two_lines_of_the_readme() -> None:
    lines = re.findall(r"^    (pip install -c constraints\.txt .+)$", README, re.MULTILINE)
    assert len(lines) == 2
    install, test = lines
    example = install.split()[-1]
    assert (ROOT / example).is_file()
    assert test.endswith("&& pytest")
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text().splitlines()
