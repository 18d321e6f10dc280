"""`glm-annot plot`: a picture of a region, of a file that was annotated before."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from glm_annot.cli import options
from glm_annot.errors import UsageError
from glm_annot.results.files import FilesInUse, refuse_existing
from glm_annot.results.output import STDIO, beside, table_beside
from glm_annot.results.write import write_picture


@click.command(short_help="Draws a region of an annotated file, for papers.")
@click.argument("file", type=click.Path())
@click.option(
    "-o",
    "--output",
    **options.FILE,
    help="Where to write, as .svg, .png or .pdf; default: beside FILE, as .svg.",
)
@click.option(
    "--region",
    metavar="CONTIG[:FROM-TO]",
    help="What to draw, 1-based and inclusive; default: the first contig. A contig of more than 150 kb is "
    "drawn as a circle.",
)
@click.option("--table", **options.FILE, help="The table of FILE; default: beside it, as .tsv.")
@click.option("--force", is_flag=True, help="Overwrite an existing picture.")
def plot(file: str, output: Path | None, region: str | None, table: Path | None, force: bool) -> None:
    """Draws genes, operons and context fit of FILE, which glm-annot has annotated, and the table beside it.

    It needs two more libraries: pip install 'glm-annot[plot]'.
    """
    from glm_annot.report.annotated import read
    from glm_annot.report.drawing import picture_format
    from glm_annot.report.picture import draw
    from glm_annot.report.regions import region as find

    if file == STDIO:
        raise UsageError("a picture needs a file and the table beside it; standard input has none")
    table, output = table or table_beside(file), output or beside(file, ".svg")
    picture_format(output)
    if not force:
        refuse_existing([output])
    if table is None:
        click.echo("its table is not there: probabilities of operon links are left out", err=True)
    genes, _ = read(file, table, most=sys.maxsize)
    in_use = FilesInUse.of([("the input", file), ("the table", table)])
    write_picture(draw(find(genes, region)), output, force=force, in_use=in_use)
    click.echo(f"wrote {output}", err=True)
