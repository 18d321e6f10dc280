"""The pages agree with the program: options, attributes, columns, figures, and names of the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import reduce
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

import glm_annot
from glm_annot.bundle import known
from glm_annot.cli.app import cli
from glm_annot.io import qualifiers
from glm_annot.io.table import COLUMNS
from glm_annot.training import cli as training
from tests.bench import benchmarks, model_table
from tests.hostile import __main__ as hostile
from tests.support.pages import PAGES, text_of
from tests.support.paths import EXAMPLE, ROOT


def commands_of(name: str, group: click.Group) -> Iterator[tuple[str, click.Command]]:
    """The commands of a group by name, and those of groups in it."""
    for sub, command in group.commands.items():
        yield f"{name} {sub}", command
        if isinstance(command, click.Group):
            yield from commands_of(f"{name} {sub}", command)


COMMANDS = dict([*commands_of("glm-annot", cli), *commands_of("glm-train", training.cli)])
README, RESULTS, OPTIONS = map(text_of, ("README.md", "docs/results.md", "docs/options.md"))
FIGURES_BEGIN, FIGURES_END = "<!-- figures: glm-annot models mini --figures -->\n", "<!-- /figures -->"
needs_mini = pytest.mark.skipif("mini" not in known(), reason="this checkout ships no model")


def options(command: click.Command) -> list[str]:
    given = [option for option in command.params if isinstance(option, click.Option)]
    return [name for option in given for name in (*option.opts, *option.secondary_opts)]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_has_help(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    undocumented = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert undocumented == []


@pytest.mark.parametrize("option", options(cli.commands["annotate"]) + options(cli))
def test_every_option_of_the_main_command_is_documented(option: str) -> None:
    assert f"`{option}" in OPTIONS


@pytest.mark.parametrize("page", [page.name for page in (ROOT / "docs").glob("*.md")])
def test_no_page_names_an_option_that_is_not_there(page: str) -> None:
    """Options of other programs stand in blocks, which are run or parsed; in running text all are ours."""
    programs = [cli, benchmarks.main, model_table.main, hostile.main, *COMMANDS.values()]
    existing = {"--help"}.union(*map(options, programs))
    named = re.findall(r"`(--[a-z][a-z0-9-]+)", text_of(f"docs/{page}"))
    assert set(named) <= existing


def test_no_page_help_or_card_names_a_particular_folder_of_data() -> None:
    shown = [CliRunner().invoke(program, ["--help"]).output for program in (cli, training.cli)]
    cards = [(folder / "MODEL_CARD.md").read_text(encoding="utf-8") for folder in known().values()]
    pages = [page.read_text(encoding="utf-8") for page in PAGES]
    named = {found for text in (*shown, *cards, *pages) for found in re.findall(r"--data ([\w./]+)", text)}
    assert named == {"DATA", "my_genomes"}


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150


def test_columns_of_the_table() -> None:
    rows = [f"| `{name}` | {meaning} |" for name, meaning in COLUMNS.items()]
    assert "\n".join(rows) in RESULTS


def test_attributes() -> None:
    names = [value for value in vars(qualifiers).values() if isinstance(value, str)]
    ours = [value for value in names if re.fullmatch(r"glm_[a-z_]+", value) and value != qualifiers.PREFIX]
    assert len(ours) >= 10
    assert [name for name in ours if f"`{name}`" not in RESULTS] == []
    in_readme = re.findall(r"^\| `(glm_\w+)` \|", README, re.MULTILINE)
    assert len(in_readme) >= 5 and set(in_readme) <= set(ours)


def test_the_gene_before_and_after_is_one_of_the_example() -> None:
    before, after = re.findall(r"^```gff3\n(.+)\n```$", README, re.MULTILINE)
    assert before in EXAMPLE.read_text().splitlines()
    assert after in EXAMPLE.with_suffix(".glm.gff3").read_text().splitlines()
    assert after.startswith(f"{before};glm_ec=")


def test_exit_statuses() -> None:
    from glm_annot.cli.app import INTERRUPTED
    from glm_annot.errors import GlmAnnotError, InputError, ModelError, UsageError

    failed, usage, unusable, model = (
        kind.exit_status for kind in (GlmAnnotError, UsageError, InputError, ModelError)
    )
    statuses = (
        f"0 success, {failed} failed while running, {usage} wrong usage, {unusable} unusable input, "
        f"{model} unusable model, {INTERRUPTED} interrupted."
    )
    assert statuses in OPTIONS


@needs_mini
def test_figures_are_those_of_the_model() -> None:
    printed = CliRunner().invoke(cli, ["models", "mini", "--figures"]).output
    page = text_of("docs/accuracy.md")
    block = page[page.index(FIGURES_BEGIN) + len(FIGURES_BEGIN) : page.index(FIGURES_END)]
    assert block.strip() == printed.strip()
    rows = [line for line in README.splitlines() if re.search(r"\| \d\.\d{3} \|", line)]
    assert len(rows) == 5 and set(rows) <= set(printed.splitlines())


def test_python_example_names_what_there_is() -> None:
    page = text_of("docs/python.md")
    used = re.findall(r"glm_annot\.(\w+)", page)
    listed = re.findall(r"^\| `(\w+)\(", page, re.MULTILINE)
    assert len(listed) >= 5 and set(used + listed) <= set(glm_annot.__all__)


def test_version_is_the_same_everywhere() -> None:
    assert f"\nversion: {glm_annot.__version__}\n" in text_of("CITATION.cff")
    assert f"## [{glm_annot.__version__}]" in text_of("CHANGELOG.md")


def test_the_two_lines_of_the_readme() -> None:
    lines = re.findall(r"^    (pip install -c constraints\.txt .+)$", README, re.MULTILINE)
    assert len(lines) == 2
    install, test = lines
    example = install.split()[-1]
    assert (ROOT / example).is_file()
    assert test.endswith("&& pytest")
    assert re.search(r"^torch==", text_of("constraints.txt"), re.MULTILINE)


def test_links_of_the_readme_lead_somewhere() -> None:
    """Those within docs/ are followed by `mkdocs build --strict`."""
    for page in PAGES:
        if page.parent != ROOT / "docs":
            for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text(encoding="utf-8")):
                assert (page.parent / link).exists(), f"{page}: {link}"


def test_the_code_tour_names_what_there_is() -> None:
    names = set(re.findall(r"`(glm_annot(?:\.\w+)+)`", text_of("CONTRIBUTING.md")))
    assert len(names) >= 25
    for name in sorted(names):
        assert exists(name), name


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or a function, class or method in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            module = import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        return reduce(lambda thing, part: getattr(thing, part, None), parts[length:], module) is not None
    return False


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("glm_annot.annotation.annotate", True),
        ("glm_annot.training.recipe.read", True),
        ("glm_annot.pipeline.nonsense", False),
        ("glm_annot.nonsense.annotate", False),
    ],
)
def test_names_are_looked_up(name: str, there: bool) -> None:
    assert exists(name) is there
