"""The command line: options and help. Slow modules are imported inside the commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from glm_annot import __version__
from glm_annot.cli import options
from glm_annot.cli.batch import annotate_files
from glm_annot.cli.commands.doctor import doctor
from glm_annot.cli.commands.embed import embed
from glm_annot.cli.commands.models import models
from glm_annot.cli.commands.plot import plot
from glm_annot.cli.commands.report import make_report
from glm_annot.cli.console import report, start_log
from glm_annot.cli.defaults import ConfigurableCommand
from glm_annot.cli.groups import MainGroup
from glm_annot.cli.tasks import Options
from glm_annot.processes import end_on_signals, fill_closed_streams, signal_status
from glm_annot.results.files import FilesInUse, whole_files
from glm_annot.results.output import STDIO
from glm_annot.results.write import discard_unwritten, to_stdout

INTERRUPTED = 130  # exit status after Ctrl-C: 128 + SIGINT, as shells count

CITATION = """\
glm-annot {version} (MIT licence)

It builds on:
  Hwang Y, Cornman AL, Kellogg EH, Ovchinnikov S, Girguis PR. Genomic language model predicts protein
  co-regulation and function. Nature Communications 15, 2880 (2024). doi:10.1038/s41467-024-46947-9
  Lin Z et al. Evolutionary-scale prediction of atomic-level protein structure with a language model.
  Science 379, 1123-1130 (2023). doi:10.1126/science.ade2574
"""

EXAMPLES = """\
\b
Examples:
  glm-annot bakta_output.gff3                  writes bakta_output.glm.gff3 and .glm.tsv beside it
  glm-annot a.gff3 b.gbk.gz -o results/        several files; the model is loaded once
  glm-annot *.gbk.gz -o out/ --jobs 4          many files, four at a time; --resume continues later
  glm-annot pgap.gff --fasta genome.fna        contigs in a separate FASTA file
  glm-annot genome.gbff -o - > annotated.gbk   to standard output, without the table
  glm-annot genome.gff3 --reference enzymes.faa   your own labelled proteins as evidence
  glm-annot genome.gff3 --report               also writes genome.glm.html, to look at in a browser
  glm-annot strip bakta_output.glm.gff3 > original.gff3   the original file again

\b
Exit status: 0 success, 1 failed while running, 2 wrong usage, 3 unusable input, 4 unusable model.
With several inputs, those that failed are listed at the end, and the status is 3; the others are done.
"""


# The help shows the options under these headings.
SECTIONS = {
    "What to read": (
        "--fasta",
        "--faa",
        "--genetic-code",
        "--call-genes",
        "--reference",
        "--max-unpacked",
    ),
    "What to predict": ("--model", "--min-confidence", "--no-operons", "--no-ec", "--only-hypothetical"),
    "What to write": (
        "--output",
        "--promote-ec",
        "--promote-to",
        "--report",
        "--manifest",
        "--force",
        "--resume",
        "--dry-run",
    ),
    "How to compute": (
        "--device",
        "--jobs",
        "--threads",
        "--batch-size",
        "--precision",
        "--cache",
        "--cache-size",
    ),
    "Settings, messages, help": (
        "--config",
        "--quiet",
        "--json-log",
        "--log-file",
        "--version",
        "--citation",
        "--help",
    ),
}


class _Annotate(ConfigurableCommand):
    sections = SECTIONS


def _print_citation(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(CITATION.format(version=__version__), nl=False)
        ctx.exit()


@click.group(
    cls=MainGroup,
    epilog=EXAMPLES,
    options_metavar="",
    subcommand_metavar="[OPTIONS] INPUT... | COMMAND ...",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="glm-annot")
@click.option(
    "--citation",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_citation,
    help="Show what to cite and exit.",
)
def cli() -> None:
    """Adds EC numbers and operons, with confidences, to annotated bacterial and archaeal genomes.

    INPUT is a GFF3, GenBank or EMBL file or Bakta's JSON, gzipped or not, or the output folder of a tool that
    a plugin knows (Bakta, Baktfold, Prokka, PGAP, DFAST, NCBI datasets); - is standard input. The output is
    the same file with additions, and a table (.tsv) of all scores, among them how well each gene fits its
    neighbours (context fit).
    """


def _check_code(_: click.Context, __: click.Parameter, code: int | None) -> int | None:
    from glm_annot.io.sequences import is_genetic_code

    if code is not None and not is_genetic_code(str(code)):
        raise click.BadParameter(f"{code} is not an NCBI genetic code; bacteria use 11 or 4.")
    return code


_PROBABILITY: dict[str, Any] = {"type": options.NumberRange(0.0, 1.0), "metavar": "CONF"}
_THREADS: dict[str, Any] = {"type": click.IntRange(0, 1024), "metavar": "N"}  # of far more torch dies
_COUNT_OR_ALL: dict[str, Any] = {"type": click.IntRange(0), "metavar": "N"}


@cli.command(
    cls=_Annotate, epilog=EXAMPLES, short_help="Annotates files; `glm-annot INPUT` is short for this."
)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...", type=click.Path(allow_dash=True))
@click.option("-o", "--output", metavar="FILE|DIR|-", help="Where to write; default: beside each input.")
@options.fasta
@options.faa
@click.option(
    "--genetic-code",
    type=int,
    metavar="N",
    callback=_check_code,
    help="NCBI genetic code of all CDS; default: what each CDS states, else 11.",
)
@click.option(
    "--reference",
    **options.FILE,
    help="Proteins with EC=... in their FASTA headers; homology to them is used as evidence, beside that to "
    "the model's own labelled proteins.",
)
@options.model
@options.device
@click.option(
    "--jobs",
    **_COUNT_OR_ALL,
    default=1,
    show_default=True,
    help="Number of inputs annotated at the same time, each in a process of its own; 0: as many as cores and "
    "memory (1 GB each) allow.",
)
@click.option(
    "-t", "--threads", **_THREADS, help="CPU threads, shared by the jobs; default, and 0: all cores."
)
@options.batch_size
@options.precision
@click.option(
    "--cache",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Keep protein embeddings in this folder, for later calls.",
)
@click.option(
    "--cache-size",
    type=options.NumberRange(0.0, options.MOST_GB, min_open=True),
    default=10.0,
    show_default=True,
    metavar="GB",
    help="Largest size of the cache; the least recently used proteins are dropped.",
)
@click.option(
    "--min-confidence",
    **_PROBABILITY,
    help="Lowest confidence of an EC number that is written; each model has a default.",
)
@click.option("--no-operons", "operons", flag_value=False, default=True, help="Predict no operons.")
@click.option("--no-ec", "ec", flag_value=False, default=True, help="Predict no EC numbers.")
@click.option(
    "--only-hypothetical",
    is_flag=True,
    help="Annotate only genes without a known product; the others only serve as their context.",
)
@click.option(
    "--promote-ec",
    **_PROBABILITY,
    help="Also write EC numbers of at least this confidence into the annotation tool's own field, where that "
    "is empty.",
)
@click.option(
    "--promote-to",
    type=click.Choice(["note", "field"]),
    default="note",
    show_default=True,
    help="Where --promote-ec writes the EC numbers of hypothetical proteins, from whose fields ENA deletes "
    "them.",
)
@click.option("--report", is_flag=True, help="Also write a report to look at, one HTML file for any browser.")
@click.option(
    "--call-genes",
    is_flag=True,
    help="Call genes, with pyrodigal, in inputs that are contigs without annotation (FASTA).",
)
@options.max_unpacked
@click.option(
    "--manifest",
    is_flag=True,
    help="Also write NAME.glm.run.json: model, input and its sha256, settings, counts, times.",
)
@click.option("--dry-run", is_flag=True, help="Read and check everything, but predict and write nothing.")
@options.force
@click.option(
    "--resume", is_flag=True, help="Skip inputs that an earlier run with the same settings has finished."
)
@click.option("--config", **options.FILE, help="TOML file with defaults for these options, such as jobs = 4.")
@click.option("-q", "--quiet", is_flag=True, help="Show only errors.")
@click.option("--json-log", is_flag=True, help="Messages as JSON, one object a line, for other programs.")
@click.option("--log-file", **options.FILE, help="Write all messages, with details, to this file.")
def annotate(inputs: tuple[str, ...], **given: Any) -> None:
    """Annotates files or output folders of annotation tools; `glm-annot INPUT` is short for this."""
    start_log(quiet=given["quiet"], json_lines=given["json_log"])
    status = annotate_files(inputs, Options(**given))
    if status:
        sys.exit(status)


@cli.command(short_help="Gives the original file back, without what glm-annot added.")
@click.argument("file")
@click.option("-o", "--output", default=STDIO, show_default=True, metavar="FILE|-", help="Where to write.")
@click.option("--force", is_flag=True, help="Overwrite an existing output.")
@options.max_unpacked
def strip(file: str, output: str, force: bool, max_unpacked: float) -> None:
    """Removes what glm-annot added to FILE, which gives the original back, byte for byte."""
    from glm_annot.io import strip as strip_text
    from glm_annot.io.source import allow_unpacked, read_bytes, sniff

    allow_unpacked(max_unpacked)
    annotated = read_bytes(file)
    sniff(annotated, file)
    text = strip_text(annotated)
    if output == STDIO:
        to_stdout([text])
    else:
        in_use = FilesInUse.of([("the input", file)], stdin=file == STDIO)
        with whole_files(Path(output), force=force, in_use=in_use) as (stripped,):
            stripped.write(text)


for _command in (doctor, embed, make_report, models, plot):
    cli.add_command(_command)


def main() -> None:
    """Runs the command line and turns every failure into one line and an exit status."""
    start_log(quiet=False)
    fill_closed_streams()
    end_on_signals()
    try:
        cli.main(prog_name="glm-annot", standalone_mode=False)
        to_stdout([])
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nglm-annot: interrupted; nothing was left half written", err=True)
        status = INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError):  # click's own printing: a full disk, a closed pipe
            discard_unwritten()
        status = signal_status() or report(error)
    else:
        return
    sys.exit(status)
