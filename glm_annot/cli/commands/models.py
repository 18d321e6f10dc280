"""`glm-annot models`: which models there are, what they are, whether they are whole; installing one."""

from __future__ import annotations

from pathlib import Path

import click

from glm_annot.cli.console import visible
from glm_annot.cli.groups import DefaultGroup
from glm_annot.results.write import to_stdout


class _Models(DefaultGroup):
    """Lists the models where nothing else is said."""

    default = "show"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:  # a shell asks what may follow
            args = [self.default]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Models,
    short_help="Lists the models, or shows the card of one; verifies, installs.",
    options_metavar="",
    subcommand_metavar="[NAME|FOLDER] [--figures] | verify NAME | install FOLDER",
)
def models() -> None:
    """Lists the models that go by a name, or shows the card of one.

    The card says what a model was trained on and how good it is. `./verify` means a folder of that name.
    """


@models.command(short_help="The models, or the card of one; `glm-annot models NAME` is short for this.")
@click.argument("name", required=False, metavar="[NAME|FOLDER]")
@click.option("--figures", is_flag=True, help="Only the table of measured figures.")
def show(name: str | None, figures: bool) -> None:
    """Lists the models that go by a name, or shows the card of one."""
    from glm_annot.bundle import list_models, read_texts
    from glm_annot.report.figures import figures_table

    if name is None:
        text = visible("\n".join(list_models()) + "\n")
    else:
        metrics, card = read_texts(name)
        text = visible(figures_table(metrics) if figures else card)
    to_stdout([text.encode()])


@models.command(short_help="Whether each file of a model is as it was made.")
@click.argument("name", metavar="NAME|FOLDER")
def verify(name: str) -> None:
    """Compares the sha256 of each file of a model with the one that the model states."""
    from glm_annot.bundle import verify as verify_model

    model = verify_model(name)
    click.echo(f"{model.name} {model.version}: all {model.files} files are whole; sha256 {model.sha256}")


@models.command(short_help="Keeps a model in your data folder, so that --model NAME finds it.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace an installed model of the same name.")
def install(folder: Path, force: bool) -> None:
    """Copies the model in FOLDER into your data folder; --model finds it by its name from then on."""
    from glm_annot.bundle import install as install_model

    place = install_model(folder, force=force)
    click.echo(f"installed in {place}; use it with --model {place.name}")
