"""The command line: parse, call, print. Whatever is slow to import is imported inside the command."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glm_annot import __version__
from glm_annot.console import Bars, start_log
from glm_annot.errors import GlmAnnotError, ModelError, UsageError
from glm_annot.output import STDIO, Target, plan, refuse_existing, write_all

if TYPE_CHECKING:
    from glm_annot.bundle import Model
    from glm_annot.records import Genome, Predictions

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
  glm-annot a.gff3 b.gbk.gz -o results/        several files, one model load
  glm-annot pgap.gff --fasta genome.fna        the sequences stand in a file of their own
  glm-annot genome.gbff -o - > annotated.gbk   to standard output, no table
  glm-annot strip bakta_output.glm.gff3        takes the additions out again

\b
Exit status: 0 fine, 1 failed while running, 2 wrong usage, 3 unusable input, 4 unusable model.
"""

log = logging.getLogger("glm_annot")


class DefaultGroup(click.Group):
    """A group that takes what is none of its commands as arguments of `annotate`."""

    default = "annotate"
    own_options = ("-h", "--help", "--version", "--citation")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in self.own_options:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The default command's options stand in the group's own help: most users need no other command."""
        self.commands[self.default].format_options(ctx, formatter)
        super().format_options(ctx, formatter)


def _print_citation(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(CITATION.format(version=__version__), nl=False)
        ctx.exit()


@click.group(
    cls=DefaultGroup,
    epilog=EXAMPLES,
    subcommand_metavar="[OPTIONS] INPUT... | COMMAND",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="glm-annot")
@click.option(
    "--citation",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_citation,
    help="What to cite.",
)
def cli() -> None:
    """Adds EC numbers, operons and context fit to annotated prokaryotic genomes.

    INPUT is GFF3 or GenBank from any annotation tool, gzipped or not; - is standard input. The output is the
    same file with additions, and a table (.tsv) of all scores.
    """


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked of `annotate`, as named in --help."""

    output: str | None
    fasta: Path | None
    faa: Path | None
    model: str
    device: str
    threads: int | None
    batch_size: int
    precision: str
    min_confidence: float
    operons: bool
    ec: bool
    promote_ec: float | None
    dry_run: bool
    force: bool
    quiet: bool
    log_file: Path | None


_PROBABILITY = click.FloatRange(0.0, 1.0)
_FILE = click.Path(path_type=Path)


@cli.command(epilog=EXAMPLES)
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("-o", "--output", metavar="FILE|DIR|-", help="Where to write; beside each input by default.")
@click.option("--fasta", type=_FILE, help="Genome sequences, for a GFF3 without ##FASTA.")
@click.option("--faa", type=_FILE, help="Protein sequences by CDS ID; they win over translation.")
@click.option(
    "--model", default="mini", show_default=True, metavar="NAME|FOLDER", help="See `glm-annot models`."
)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ...")
@click.option("--threads", type=click.IntRange(1), help="CPU threads; all cores by default.")
@click.option(
    "--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Windows per batch."
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    default="auto",
    show_default=True,
    help="Of the protein encoder; auto is bf16 where the hardware has it.",
)
@click.option(
    "--min-confidence",
    type=_PROBABILITY,
    default=0.5,
    show_default=True,
    help="Least confidence of an EC number.",
)
@click.option("--no-operons", "operons", flag_value=False, default=True, help="Predict no operons.")
@click.option("--no-ec", "ec", flag_value=False, default=True, help="Predict no EC numbers.")
@click.option(
    "--promote-ec",
    type=_PROBABILITY,
    metavar="CONF",
    help="Write EC numbers this sure into the tool's own field too, where it has none.",
)
@click.option("--dry-run", is_flag=True, help="Read and check everything, predict and write nothing.")
@click.option("--force", is_flag=True, help="Overwrite results that are there already.")
@click.option("-q", "--quiet", is_flag=True, help="Only errors on standard error.")
@click.option("--log-file", type=_FILE, help="Keep all messages in this file.")
def annotate(inputs: tuple[str, ...], **named: Any) -> None:
    """Annotates files (the default command: `glm-annot INPUT` is enough)."""
    options = Options(**named)
    start_log(quiet=options.quiet, log_file=options.log_file)
    targets = _plan(inputs, options)
    load_model = cache(
        partial(_load_model, options)
    )  # after the first input was read: its faults show at once
    failures = [status for target in targets if (status := _try_one(target, load_model, options))]
    if failures:
        if len(targets) > 1:
            log.error("%d of %d inputs failed", len(failures), len(targets))
        sys.exit(max(failures))


@cli.command()
@click.argument("file")
@click.option("-o", "--output", default=STDIO, show_default=True, metavar="FILE|-", help="Where to write.")
@click.option("--force", is_flag=True, help="Overwrite the output if it is there already.")
def strip(file: str, output: str, force: bool) -> None:
    """Takes glm-annot's additions out of FILE: the bytes of the original come back."""
    from glm_annot.io import strip as strip_text
    from glm_annot.io.source import read_bytes

    text = strip_text(read_bytes(file))
    if output == STDIO:
        _to_stdout(text)
    else:
        write_all({Path(output): text}, force=force)


@cli.command()
@click.argument("name", required=False, metavar="[NAME|FOLDER]")
@click.option("--figures", is_flag=True, help="Only the table of measured figures, as in the README.")
def models(name: str | None, figures: bool) -> None:
    """Lists the models that ship, or shows the card of one."""
    from glm_annot.bundle import known, read_texts
    from glm_annot.figures import figures_table

    if name is None:
        click.echo("\n".join(known()))
        return
    metrics, card = read_texts(name)
    click.echo(figures_table(metrics) if figures else card, nl=False)


def main() -> None:
    """Runs the command line and turns every failure into one line and an exit status."""
    start_log(quiet=False, log_file=None)
    try:
        cli.main(prog_name="glm-annot", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("\nglm-annot: interrupted; nothing was left half written", err=True)
        status = INTERRUPTED
    except Exception as error:
        status = _report(error)
    else:
        return
    sys.exit(status)


def _plan(inputs: Sequence[str], options: Options) -> list[Target]:
    """Everything that can be refused before a model is loaded."""
    if len(inputs) > 1 and (options.fasta or options.faa):
        raise UsageError("--fasta and --faa belong to one input; run the inputs one by one")
    targets = plan(inputs, options.output)
    if not options.force:
        refuse_existing([target.table for target in targets if target.table is not None])
    return targets


def _load_model(options: Options) -> Model:
    import torch

    from glm_annot.bundle import load

    if options.threads:
        torch.set_num_threads(options.threads)
    device = options.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    model = load(options.model, device)
    log.info("model %s %s on %s", model.name, model.version, device)
    return model


def _try_one(target: Target, load_model: Callable[[], Model], options: Options) -> int:
    """Annotates one input; its exit status, 0 when all went well. A faulty input ends only itself."""
    try:
        _annotate_one(target, load_model, options)
    except (UsageError, ModelError):
        raise
    except Exception as error:
        return _report(error)
    return 0


def _annotate_one(target: Target, load_model: Callable[[], Model], options: Options) -> None:
    from glm_annot.io import read
    from glm_annot.summary import foresee, summarise

    started = time.monotonic()
    log.debug("reading %s", target.source)
    genome = read(target.source, fasta=options.fasta, faa=options.faa)
    assert genome.source is not None
    if not options.force:
        target.check_free(genome.source.format)
    model = load_model()
    if options.dry_run:
        log.info("%s", foresee(genome))
        log.info("%s: would write %s", genome.name, _places(target, genome.source.format))
        return

    from glm_annot.pipeline import annotate as predict

    with Bars(quiet=options.quiet) as bars:
        predictions = predict(
            genome,
            model,
            min_confidence=options.min_confidence,
            ec=options.ec,
            operons=options.operons,
            precision=options.precision,
            batch_size=options.batch_size,
            progress=bars,
        )
    _write(genome, predictions, target, options)
    log.info("%s; %.1f s", summarise(genome, predictions), time.monotonic() - started)


def _write(genome: Genome, predictions: Predictions, target: Target, options: Options) -> None:
    from io import StringIO

    from glm_annot.io import render, write_table

    assert genome.source is not None
    text = render(genome, predictions, promote_ec=options.promote_ec)
    annotation, table_path = target.annotation(genome.source.format), target.table
    if annotation is None or table_path is None:
        _to_stdout(text)
        return
    table = StringIO(newline="")
    write_table(genome, predictions, table)
    write_all({annotation: text, table_path: table.getvalue().encode()}, force=options.force)
    log.info("%s: wrote %s", genome.name, _places(target, genome.source.format))


def _places(target: Target, format: str) -> str:
    annotation = target.annotation(format)
    return "to standard output" if annotation is None else f"{annotation} and {target.table}"


def _to_stdout(content: bytes) -> None:
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # else Python complains again at its end
        raise GlmAnnotError("standard output was closed before everything was written") from error


def _report(error: Exception) -> int:
    """Says in one line what went wrong (the log file gets the traceback too); the exit status for it."""
    if isinstance(error, GlmAnnotError):
        log.error("%s", error)
        log.debug("traceback", exc_info=error)
        return error.exit_status
    what = " ".join(str(error).split()) or "no message"
    log.error(
        "unexpected %s: %s (please report it; --log-file keeps the details)", type(error).__name__, what
    )
    log.debug("traceback", exc_info=error)
    return GlmAnnotError.exit_status
