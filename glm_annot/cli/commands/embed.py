"""`glm-annot embed`: the vectors of the genes, for analyses of one's own."""

from __future__ import annotations

import logging
from pathlib import Path

import click

from glm_annot.cli import options
from glm_annot.cli.console import counted
from glm_annot.errors import UsageError
from glm_annot.results.files import FilesInUse

log = logging.getLogger(__name__)


@click.command(short_help="Writes the vectors of the genes, as Parquet or for AnnData.")
@click.argument("source", metavar="INPUT", type=click.Path())
@click.option(
    "-o",
    "--output",
    required=True,
    **options.FILE,
    help="Where to write; the name ends in .parquet or, for AnnData, in .h5ad.",
)
@options.fasta
@options.faa
@options.model
@options.device
@options.batch_size
@options.precision
@click.option(
    "--layer",
    "layers",
    type=click.IntRange(0),
    multiple=True,
    metavar="N",
    help="A layer of gLM to write, from 0, its input; several times for several. Default: all.",
)
@click.option(
    "--context-only",
    is_flag=True,
    help="Also write what the neighbours alone say of each gene: seven more passes of gLM.",
)
@options.max_unpacked
@options.force
def embed(
    source: str,
    output: Path,
    fasta: Path | None,
    faa: Path | None,
    model: str,
    device: str,
    batch_size: int,
    precision: str,
    layers: tuple[int, ...],
    context_only: bool,
    max_unpacked: float,
    force: bool,
) -> None:
    """Writes a row for each gene with a protein: its vector alone, and those among its neighbours.

    INPUT is an annotated genome, as for `glm-annot INPUT`. The column `protein` has the protein encoder's
    vector, `context_N` the gene's vector in layer N of gLM. In .h5ad the first is X, the others are in obsm.
    """
    from glm_annot.bundle import load
    from glm_annot.io import read
    from glm_annot.io.source import allow_unpacked
    from glm_annot.model.devices import best_device
    from glm_annot.results.embeddings import ENDINGS, write_embeddings

    if output.suffix.lower() not in ENDINGS:
        raise UsageError(f"-o {output}: embeddings are written as {' or '.join(ENDINGS)}")
    allow_unpacked(max_unpacked)
    in_use = FilesInUse.of([("the input", source), ("the FASTA", fasta), ("the FASTA", faa)])
    genome = read(source, fasta=fasta, faa=faa)
    loaded = load(model, best_device() if device == "auto" else device)
    rows = write_embeddings(
        genome,
        loaded,
        output,
        layers=layers or None,
        masked=context_only,
        precision=precision,
        batch_size=batch_size,
        force=force,
        in_use=in_use,
    )
    log.info("%s: wrote the vectors of %s", output, counted(rows, "gene"))
