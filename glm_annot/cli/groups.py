"""How the command line is read and its help laid out: the default command, and groups of options."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from glm_annot.errors import UsageError

log = logging.getLogger(__name__)

_OTHERS = "Other options"


class DefaultGroup(click.Group):
    """A group that takes what is none of its commands as arguments of one of them, `default`.

    Its own options come first.
    """

    default = "annotate"
    own_options = ("-h", "--help", "--version", "--citation")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args == ["help"] and not Path("help").exists():
            args = ["--help"]
        if args and args[0] not in self.commands and args[0] not in self.own_options:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Commands and own options, and what may follow the default command."""
        default = self.commands[self.default]
        with click.Context(default, parent=ctx, info_name=self.default) as inner:
            of_default = default.shell_complete(inner, incomplete)
            first = next((p for p in default.params if isinstance(p, click.Argument)), None)
            if first is not None and not incomplete.startswith("-"):
                of_default += first.shell_complete(inner, incomplete)
        return [*super().shell_complete(ctx, incomplete), *of_default]


class GroupedCommand(click.Command):
    """A command whose help shows its options under headings.

    `sections` has the long names of the options under each heading; those in none come last.
    """

    sections: Mapping[str, Sequence[str]] = {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_sections(self.get_params(ctx), self.sections, ctx, formatter)


class MainGroup(DefaultGroup):
    """`glm-annot`: what its first word is, is checked, and its help shows the options of `annotate`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args != ["help"] and not ctx.resilient_parsing:
            refuse_misspelt(args[0], list(self.commands))
            tell_ambiguous(args[0], list(self.commands))
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Shows the options of `annotate` in the main help, since most users need no other command."""
        default = self.commands[self.default]
        sections = default.sections if isinstance(default, GroupedCommand) else {}
        write_sections([*default.params, *self.get_params(ctx)], sections, ctx, formatter)
        self.format_commands(ctx, formatter)


def refuse_misspelt(word: str, commands: Sequence[str]) -> None:
    """Raises UsageError where a first word is no option, no command, nothing that exists, and no path.

    With a dot or a slash in it, it is a path, and reading it says what is wrong.
    """
    if word.startswith("-") or word in commands or any(mark in word for mark in (".", "/", os.sep)):
        return
    if Path(word).exists():
        return
    near = get_close_matches(word, [*commands, *(path.name for path in Path().iterdir())])
    hint = f"did you mean {' or '.join(near)}?" if near else f"the commands are {', '.join(sorted(commands))}"
    raise UsageError(f"{word!r} is neither a command nor a file or folder here; {hint}")


def tell_ambiguous(word: str, commands: Sequence[str]) -> None:
    """Says in one line that a first word is taken for a command although a file or folder has that name."""
    if word in commands and Path(word).exists():
        log.info("%s is taken for the command; ./%s means the file or folder of that name", word, word)


def write_sections(
    params: Sequence[click.Parameter],
    sections: Mapping[str, Sequence[str]],
    ctx: click.Context,
    formatter: click.HelpFormatter,
) -> None:
    """Writes the help of options under their headings."""
    headings = {name: heading for heading, names in sections.items() for name in names}
    records: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*sections, _OTHERS)}
    for param in params:
        record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
        if record:
            heading = next((headings[name] for name in param.opts if name in headings), _OTHERS)
            records[heading].append(record)
    for heading, lines in records.items():
        if lines:
            with formatter.section(heading):
                formatter.write_dl(lines)
