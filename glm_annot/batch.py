"""From files to files: read, predict and write each input, with one load of the model for all of them.

What is slow to import is imported when it is needed: the faults of an input or of an option show at once.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from glm_annot.console import Bars
from glm_annot.errors import GlmAnnotError, InputError, ModelError, UsageError
from glm_annot.output import STDIO, Target, plan, refuse_existing, write_all

if TYPE_CHECKING:
    from glm_annot.bundle import Model
    from glm_annot.homology import Reference
    from glm_annot.records import Genome, Predictions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked of `glm-annot`, as named in its --help."""

    output: str | None
    fasta: Path | None
    faa: Path | None
    reference: Path | None
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


@dataclass(frozen=True, slots=True)
class _Source:
    """An annotation and the sequences beside it."""

    annotation: str
    fasta: Path | None
    faa: Path | None


def annotate_files(inputs: Sequence[str], options: Options) -> int:
    """Annotates all inputs: files, output folders of annotation tools, or `-` for standard input.

    Returns:
        0 when all went well, else the highest exit status of an input that failed; the others are done.

    Raises:
        UsageError, ModelError: nothing more can be done for any input.
    """
    if len(inputs) > 1 and (options.fasta or options.faa):
        raise UsageError("--fasta and --faa belong to one input; run the inputs one by one")
    sources, statuses = _resolve(inputs, options)
    targets = plan([source.annotation for source in sources], options.output)
    if not options.force:
        refuse_existing([target.table for target in targets if target.table is not None])
    load_model = cache(partial(_load_model, options))
    reference = _read_reference(options)
    for source, target in zip(sources, targets, strict=True):
        statuses.append(_try_one(source, target, load_model, reference, options))
    failed = sum(status != 0 for status in statuses)
    if failed and len(inputs) > 1:
        log.error("%d of %d inputs failed", failed, len(inputs))
    return max(statuses)


def to_stdout(content: bytes) -> None:
    """Writes bytes to standard output.

    Raises:
        GlmAnnotError: nobody reads them any more.
    """
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # else Python complains again at its end
        raise GlmAnnotError("standard output was closed before everything was written") from error


def report(error: Exception) -> int:
    """Says in one line what went wrong (the log file gets the traceback too); the exit status for it."""
    if isinstance(error, GlmAnnotError):
        log.error("%s", error)
        status = error.exit_status
    else:
        what = " ".join(str(error).split()) or "no message"
        log.error("unexpected %s: %s (please report it; --log-file keeps more)", type(error).__name__, what)
        status = GlmAnnotError.exit_status
    log.debug("traceback", exc_info=error)
    return status


def _resolve(inputs: Sequence[str], options: Options) -> tuple[list[_Source], list[int]]:
    """What to read for each input, and the exit statuses of folders that cannot be read."""
    sources, statuses = [], []
    for name in inputs:
        try:
            sources.append(_source(name, options))
        except InputError as error:
            statuses.append(report(error))
    return sources, statuses


def _source(name: str, options: Options) -> _Source:
    """A file as it is; in a tool's output folder what its plugin names, unless options name others."""
    if name == STDIO or not Path(name).is_dir():
        return _Source(name, options.fasta, options.faa)
    from glm_annot.tools import find_output

    found = find_output(Path(name))
    log.info("%s: output of %s, reading %s", name, found.tool, found.annotation.name)
    return _Source(str(found.annotation), options.fasta or found.fasta, options.faa or found.faa)


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


def _read_reference(options: Options) -> Reference | None:
    if options.reference is None or not options.ec:
        return None
    from glm_annot.homology import read_reference

    reference = read_reference(options.reference)
    log.info("reference %s: %d proteins with EC numbers", options.reference, len(reference.proteins))
    return reference


def _try_one(
    source: _Source,
    target: Target,
    load_model: Callable[[], Model],
    reference: Reference | None,
    options: Options,
) -> int:
    """Annotates one input; its exit status, 0 when all went well. A faulty input ends only itself."""
    try:
        _annotate_one(source, target, load_model, reference, options)
    except (UsageError, ModelError):
        raise
    except Exception as error:
        return report(error)
    return 0


def _annotate_one(
    source: _Source,
    target: Target,
    load_model: Callable[[], Model],
    reference: Reference | None,
    options: Options,
) -> None:
    from glm_annot.io import read
    from glm_annot.summary import foresee, summarise

    started = time.monotonic()
    log.debug("reading %s", source.annotation)
    genome = read(source.annotation, fasta=source.fasta, faa=source.faa)
    assert genome.source is not None
    if not options.force:
        target.check_free(genome.source.format)
    model = load_model()
    if options.dry_run:
        log.info("%s; would write %s", foresee(genome), _places(target, genome.source.format))
        return
    predictions = _predict(genome, model, reference, options)
    _write(genome, predictions, target, options)
    log.info("%s; %.1f s", summarise(genome, predictions), time.monotonic() - started)


def _predict(genome: Genome, model: Model, reference: Reference | None, options: Options) -> Predictions:
    from glm_annot.pipeline import annotate

    with Bars(quiet=options.quiet) as bars:
        return annotate(
            genome,
            model,
            min_confidence=options.min_confidence,
            ec=options.ec,
            operons=options.operons,
            reference=reference,
            precision=options.precision,
            batch_size=options.batch_size,
            progress=bars,
        )


def _write(genome: Genome, predictions: Predictions, target: Target, options: Options) -> None:
    from io import StringIO

    from glm_annot.io import render, write_table

    assert genome.source is not None
    text = render(genome, predictions, promote_ec=options.promote_ec)
    annotation, table_path = target.annotation(genome.source.format), target.table
    if annotation is None or table_path is None:
        to_stdout(text)
        return
    table = StringIO(newline="")
    write_table(genome, predictions, table)
    write_all({annotation: text, table_path: table.getvalue().encode()}, force=options.force)
    log.info("%s: wrote %s", genome.name, _places(target, genome.source.format))


def _places(target: Target, format: str) -> str:
    annotation = target.annotation(format)
    return "to standard output" if annotation is None else f"{annotation} and {target.table}"
