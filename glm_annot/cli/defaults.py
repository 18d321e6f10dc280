"""`--config`: a TOML file with defaults for the options of a command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from glm_annot.cli.groups import GroupedCommand
from glm_annot.errors import UsageError


class ConfigurableCommand(GroupedCommand):
    """A command whose option --config names a file of further options; those on the command line win."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named, _, _ = self.make_parser(ctx).parse_args(list(args))
        if named.get("config") and not ctx.resilient_parsing:
            args = [*self._words(Path(named["config"]), ctx), *args]
        return super().parse_args(ctx, args)

    def _words(self, path: Path, ctx: click.Context) -> Iterator[str]:
        """The file as options: `min-confidence = 0.8` is --min-confidence 0.8, `force = true` is --force."""
        options = {
            name.removeprefix("--"): option
            for option in self.params
            if isinstance(option, click.Option) and option.name != "config"
            for name in option.opts
            if name.startswith("--")
        }
        for key, value in read_toml(path).items():
            name = key.replace("_", "-")
            if name not in options:
                near = get_close_matches(name, options, n=1)
                hint = f"did you mean {near[0]}?" if near else "see glm-annot --help"
                raise UsageError(f"{path}: there is no option {key!r}; {hint}")
            yield from _option_words(path, key, value, options[name], ctx)


def _option_words(
    path: Path, key: str, value: Any, option: click.Option, ctx: click.Context
) -> Iterator[str]:
    name = f"--{key.replace('_', '-')}"
    if option.is_flag:
        if not isinstance(value, bool):
            raise UsageError(f"{path}: {key} must be true or false, but is {value!r}")
        if value:
            yield name
        return
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise UsageError(f"{path}: {key} must be a text or a number, but is {value!r}")
    try:
        option.type_cast_value(ctx, str(value))
    except click.BadParameter as error:
        raise UsageError(f"{path}: {key}: {error.message}") from error
    yield from (name, str(value))


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises:
        UsageError: it cannot be read, or is no TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path}: {error.strerror}") from error
    except ValueError as error:  # of TOML, and of UTF-8
        raise UsageError(f"--config {path}: no TOML: {' '.join(str(error).split())}") from error
