"""What a user sees while training runs: lines on standard error."""

from __future__ import annotations

from collections.abc import Callable

import click

Report = Callable[[str], None]  # called with a line for people, as `say` is


def say(message: str) -> None:
    """Print one line on standard error, at once."""
    click.echo(f"glm-train: {message}", err=True)
