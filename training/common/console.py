"""What a user sees while training runs: lines on standard error."""

from __future__ import annotations

from collections.abc import Callable

import click

from glm_annot.cli.console import visible

Report = Callable[[str], None]  # called with a line of text for the user, as `say` is


def say(message: str) -> None:
    """Print one line on standard error, at once."""
    click.echo(visible(f"glm-train: {message}"), err=True)
