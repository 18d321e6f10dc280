"""What a user sees while training runs: lines on standard error, and a bar where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tqdm import tqdm

Report = Callable[[str], None]  # called with a line for people, as `say` is


def say(message: str) -> None:
    """Print one line on standard error, at once."""
    click.echo(f"glm-train: {message}", err=True)


class Bar:
    """A progress bar that is called with (units done, units in all).

    Args:
        title: what is being done.
        unit: of what is counted.
    """

    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._bar: tqdm[None] | None = None

    def __call__(self, done: int, total: int) -> None:
        """Show how far the work has come."""
        if not sys.stderr.isatty():
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=self._title, unit=self._unit, unit_scale=True)
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
