"""`glm-annot report`: a page to look at, of a file that was annotated before."""

from __future__ import annotations

from pathlib import Path

import click

from glm_annot.cli import options
from glm_annot.errors import UsageError
from glm_annot.results.files import FilesInUse, whole_files
from glm_annot.results.output import STDIO, beside, stem, table_beside


@click.command("report", short_help="Makes a report to look at from an annotated file.")
@click.argument("file", type=click.Path())
@click.option("-o", "--output", **options.FILE, help="Where to write; default: beside FILE, as .html.")
@click.option("--table", **options.FILE, help="The table of FILE; default: beside it, as .tsv.")
@click.option("--force", is_flag=True, help="Overwrite an existing report.")
def make_report(file: str, output: Path | None, table: Path | None, force: bool) -> None:
    """Makes one HTML file from FILE, which glm-annot has annotated, and the table beside it.

    It opens in any browser, without a network. Without the table it has what FILE itself says, and tells what
    is left out.
    """
    from glm_annot.report.annotated import read
    from glm_annot.report.page import render

    if file == STDIO:
        raise UsageError("a report needs a file and the table beside it; standard input has none")
    table, output = table or table_beside(file), output or beside(file, ".html")
    genes, comment = read(file, table)
    page = render(stem(file), genes, comment, annotation=Path(file).name, table=table.name if table else None)
    in_use = FilesInUse.of([("the input", file), ("the table", table)])
    with whole_files(output, force=force, in_use=in_use) as (written,):
        written.write(page)
    click.echo(f"wrote {output}", err=True)
