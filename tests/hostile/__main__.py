"""`python -m tests.hostile`: the campaign of damage. docs/reliability.md describes it."""

from __future__ import annotations

from pathlib import Path

import click

from tests.hostile.campaign import run, table
from tests.hostile.targets import NAMES


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("targets", nargs=-1, type=click.Choice(NAMES), metavar="[TARGET]...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default="hostile",
    help="Folder of progress and failures.",
)
@click.option("--seed", type=int, default=1, help="Of all inputs, or of the moments of kills.")
@click.option("--minutes", type=float, default=10.0, help="For all targets together.")
@click.option("--most", type=click.IntRange(1), help="Inputs of each target.")
@click.option(
    "--example",
    "examples",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="An annotation that is damaged, too; may be given several times.",
)
@click.option(
    "--kills", type=click.IntRange(1), metavar="N", help="Kill N runs of annotation and training instead."
)
def main(
    targets: tuple[str, ...],
    output: Path,
    seed: int,
    minutes: float,
    most: int | None,
    examples: tuple[Path, ...],
    kills: int | None,
) -> None:
    """Attacks TARGETs (all without any) with damaged inputs; the exit status is 1 where one was not stood."""
    if kills is not None:
        from tests.hostile.kills import run as run_kills

        raise SystemExit(int(run_kills(output / "kills", kills, seed=seed) > 0))
    progress = run(output, targets or NAMES, seed=seed, seconds=60 * minutes, most=most, examples=examples)
    click.echo(table(progress))
    raise SystemExit(int(any(each.failed for each in progress.values())))


if __name__ == "__main__":
    main()
