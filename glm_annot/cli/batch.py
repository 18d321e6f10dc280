"""From files to files: read, predict and write each input, with one load of the model for all of them.

What is slow to import is imported when it is needed: the faults of an input or of an option show at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

from glm_annot.cli.console import Bars, Kept, say
from glm_annot.cli.jobs import share
from glm_annot.cli.output import STDIO, Target, plan, refuse_existing, remove_half_files, whole_files
from glm_annot.errors import GlmAnnotError, InputError, UsageError
from glm_annot.processes import cores

if TYPE_CHECKING:
    from glm_annot.bundle import Model
    from glm_annot.ec.reference import Reference
    from glm_annot.io import Sections
    from glm_annot.model.embedding_cache import EmbeddingCache
    from glm_annot.overview import Overview
    from glm_annot.pipeline import Settings
    from glm_annot.records import Genome, Predictions

log = logging.getLogger(__name__)
_Needed = TypeVar("_Needed")

CALL_CACHE = 1.0  # GB of embeddings that the inputs of one call share


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked of `glm-annot`, as named in its --help."""

    output: str | None
    fasta: Path | None
    faa: Path | None
    reference: Path | None
    model: str
    device: str
    jobs: int
    threads: int | None
    batch_size: int
    precision: str
    cache: Path | None
    cache_size: float
    min_confidence: float | None
    operons: bool
    ec: bool
    promote_ec: float | None
    dry_run: bool
    force: bool
    resume: bool
    quiet: bool


@dataclass(frozen=True, slots=True)
class _Source:
    """An annotation and the sequences beside it."""

    annotation: str
    fasta: Path | None
    faa: Path | None


@dataclass(frozen=True, slots=True)
class _Task:
    """An input and where its results go."""

    source: _Source
    target: Target


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of one input.

    Attributes:
        name: the input, as the user named it.
        status: its exit status.
        error: what went wrong, in one line.
        left_out: `--resume` found it done.
        messages: what else was to be said of it, where a process without a screen had it.
    """

    name: str
    status: int = 0
    error: str = ""
    left_out: bool = False
    messages: tuple[logging.LogRecord, ...] = ()


def annotate_files(inputs: Sequence[str], options: Options) -> int:
    """Annotates all inputs: files, output folders of annotation tools, or `-` for standard input.

    Returns:
        0 when all went well; else the exit status of a lone input, and that of an unusable input where some
        of several failed: the others are done.

    Raises:
        GlmAnnotError: nothing more can be done for any input.
    """
    several = len(inputs) > 1
    if several and (options.fasta or options.faa):
        raise UsageError("--fasta and --faa belong to one input; run the inputs one by one")
    if several and options.jobs > 1 and STDIO in inputs:
        raise UsageError("standard input (-) cannot be shared out with --jobs; run it apart")
    if not options.ec and (options.reference or options.promote_ec is not None):
        raise UsageError("--reference and --promote-ec need EC numbers; leave out --no-ec")
    sources, outcomes = _resolve(inputs, options)
    targets = plan([source.annotation for source in sources], options.output, several=several)
    if not options.force:
        for target in targets:
            target.check_source()
        if not options.resume:
            refuse_existing([target.table for target in targets if target.table is not None])
    tasks = list(map(_Task, sources, targets))
    jobs = min(options.jobs, len(tasks))
    with _with_cache(options, several) as cached:
        for outcome in _shared(tasks, cached, jobs) if jobs > 1 else map(_Annotator(cached), tasks):
            say(outcome.messages)
            if outcome.status:
                log.error("%s", outcome.error)
            outcomes.append(replace(outcome, messages=()))
    if several or options.resume:
        _count(outcomes)
    if several:
        _list_failures(outcomes)
    failed = [outcome.status for outcome in outcomes if outcome.status]
    return (InputError.exit_status if several else failed[0]) if failed else 0


@contextmanager
def _with_cache(options: Options, several: bool) -> Iterator[Options]:
    """The options, with a cache for this call alone where several inputs may share proteins."""
    if options.cache or options.dry_run or not several:
        yield options
        return
    with TemporaryDirectory(prefix="glm-annot-") as folder:
        yield replace(options, cache=Path(folder), cache_size=CALL_CACHE)


def _count(outcomes: Sequence[_Outcome]) -> None:
    failed = sum(outcome.status != 0 for outcome in outcomes)
    left_out = sum(outcome.left_out for outcome in outcomes)
    counts = {"done": len(outcomes) - failed - left_out, "done before": left_out, "failed": failed}
    log.info("inputs: %s", ", ".join(f"{count} {what}" for what, count in counts.items() if count))


def _list_failures(outcomes: Sequence[_Outcome]) -> None:
    """A table of the inputs that failed and why, in the order in which they were reported."""
    failed = [outcome for outcome in outcomes if outcome.status]
    if not failed:
        return
    width = max(len(outcome.name) for outcome in failed)
    rows = [
        f"  {outcome.name:<{width}}  {outcome.error.removeprefix(outcome.name).lstrip(':, ')}"
        for outcome in failed
    ]
    log.error("%d of %d inputs failed:\n%s", len(failed), len(outcomes), "\n".join(rows))


def to_stdout(content: Iterable[bytes]) -> None:
    """Writes bytes to standard output, piece by piece.

    Raises:
        GlmAnnotError: nobody reads them any more, or the disk that they go to is full.
    """
    try:
        for piece in content:
            rest = memoryview(piece)
            while rest:  # unbuffered (PYTHONUNBUFFERED) it takes less than all where the disk runs full
                rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        _let_go_of_stdout()
        raise GlmAnnotError("standard output was closed before everything was written") from error
    except OSError as error:
        _let_go_of_stdout()
        raise GlmAnnotError(f"cannot write to standard output: {error.strerror}") from error


def _let_go_of_stdout() -> None:
    """What is still unwritten goes nowhere; else Python complains of it again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def report(error: Exception) -> int:
    """Says in one line what went wrong (the log file gets the traceback too); the exit status for it."""
    message, status = _in_words(error)
    log.error("%s", message)
    log.debug("traceback", exc_info=error)
    return status


def _in_words(error: Exception) -> tuple[str, int]:
    """One line for a user, and the exit status."""
    if isinstance(error, GlmAnnotError):
        return str(error), error.exit_status
    what = " ".join(str(error).split()) or "no message"
    return (
        f"unexpected {type(error).__name__}: {what} (please report it; --log-file keeps more)",
        GlmAnnotError.exit_status,
    )


def _failure(name: str, error: Exception) -> _Outcome:
    """An input that an error has ended."""
    log.debug("traceback", exc_info=error)
    message, status = _in_words(error)
    return _Outcome(name, status, message)


def _resolve(inputs: Sequence[str], options: Options) -> tuple[list[_Source], list[_Outcome]]:
    """What to read for each input, and the failures of folders that cannot be read."""
    sources, failures = [], []
    for name in inputs:
        try:
            sources.append(_source(name, options))
        except InputError as error:
            failures.append(_failure(name, error))
            log.error("%s", error)
    return sources, failures


def _source(name: str, options: Options) -> _Source:
    """A file as it is; in a tool's output folder what its plugin names, unless options name others."""
    if name == STDIO or not Path(name).is_dir():
        return _Source(name, options.fasta, options.faa)
    from glm_annot.cli.tool_folders import find_output

    found = find_output(Path(name))
    log.info("%s: output of %s, reading %s", name, found.tool, found.annotation.name)
    return _Source(str(found.annotation), options.fasta or found.fasta, options.faa or found.faa)


# ---- many inputs at a time ----


def _shared(tasks: Sequence[_Task], options: Options, jobs: int) -> Iterator[_Outcome]:
    """Does the tasks in processes of their own, each with its model and its share of the threads."""
    threads = max((options.threads or cores()) // jobs, 1)
    _read_reference(options)  # each process reads it again, but its faults are to show before they start
    log.info("model %s in %d processes, threads of each: %d", options.model, jobs, threads)
    return share(tasks, partial(_worker, replace(options, threads=threads, quiet=True)), jobs, lost=_lost)


def _worker(options: Options) -> Callable[[_Task], _Outcome]:
    """What a process of its own does with a task: its messages come back with the outcome."""
    kept, annotator = Kept(), _Annotator(options)

    def work(task: _Task) -> _Outcome:
        outcome = annotator(task)
        return replace(outcome, messages=kept.taken())

    return work


def _lost(task: _Task, process: int, exit_code: int) -> _Outcome:
    """The failure of an input whose process died, for which this process has to speak and to tidy up."""
    remove_half_files(task.target, process)
    how = f"ended with status {exit_code}" if exit_code >= 0 else f"was killed by signal {-exit_code}"
    hint = "; most likely memory ran out, use fewer --jobs" if exit_code == -signal.SIGKILL else ""
    name = task.source.annotation
    return _Outcome(name, GlmAnnotError.exit_status, f"{name}: its process {how}{hint}")


# ---- one input ----


class _Annotator:
    """Does one task after another with one load of the model, which waits for the first readable input."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._end: GlmAnnotError | None = None

    def __call__(self, task: _Task) -> _Outcome:
        """Annotates one input; a faulty one ends only itself.

        Raises:
            GlmAnnotError: no model, no device for it, no cache, no reference or nothing to search that with,
                and so nothing for any input.
        """
        try:
            return self._annotate(task)
        except Exception as error:
            if error is self._end:
                raise
            return _failure(task.source.annotation, error)

    def _annotate(self, task: _Task) -> _Outcome:
        from glm_annot.cli.summary import Summary, foresee
        from glm_annot.io import open_sections
        from glm_annot.overview import Overview
        from glm_annot.pipeline import window_size

        source, target, options = task.source, task.target, self._options
        name, started = source.annotation, time.monotonic()
        _ = self._reference  # its faults show before the inputs are read and the model is loaded
        shown = Path(name).name
        ours = options.resume and self._is_ours(task)
        if ours and _is_whole(target):
            log.debug("%s: done before, left out", name)
            return _Outcome(name, left_out=True)
        log.debug("reading %s", name)
        with closing(open_sections(name, fasta=source.fasta, faa=source.faa)) as sections:
            overview = Overview.of(sections)
            force, places = options.force or ours, _places(target, sections.format)
            if not force:
                target.check_free(sections.format)
            model, settings = self._model, self._settings
            if options.dry_run:
                log.info("%s; would write %s", foresee(shown, overview, window_size(model)), places)
                return _Outcome(name)
            summary = Summary(shown, overview)
            predicted = summary.watched(_predict(sections, overview, model, settings, quiet=options.quiet))
            _write(sections, predicted, target, options.promote_ec, force=force)
            if target.folder is not None:
                log.info("%s: wrote %s", shown, places)
        log.info("%s; %.1f s", summary, time.monotonic() - started)
        return _Outcome(name)

    @cached_property
    def _model(self) -> Model:
        return self._needed(_load_model)

    @cached_property
    def _settings(self) -> Settings:
        return self._needed(partial(_make_settings, self._model, self._reference))

    @cached_property
    def _reference(self) -> Reference | None:
        return self._needed(_read_reference)

    def _needed(self, load: Callable[[Options], _Needed]) -> _Needed:
        """What every input needs: without it nothing more is tried."""
        try:
            return load(self._options)
        except GlmAnnotError as error:
            self._end = error
            raise

    def _is_ours(self, task: _Task) -> bool:
        """Whether the annotated file is there already, as this very run would make it of the input.

        Raises:
            UsageError: something else is in its place, which only `--force` may overwrite.
        """
        from glm_annot.io import is_rendered
        from glm_annot.io.qualifiers import provenance_comment
        from glm_annot.io.source import read_bytes, sniff
        from glm_annot.pipeline import provenance

        name, table, options = task.source.annotation, task.target.table, self._options
        if name == STDIO or table is None:
            return False  # read once, or never kept
        original = read_bytes(name)
        annotation = task.target.annotation(sniff(original, name))
        assert annotation is not None
        if annotation.exists():
            comment = provenance_comment(provenance(self._model, self._settings), options.promote_ec)
            if is_rendered(annotation.read_bytes(), original, comment):
                return True
        elif not table.exists():
            return False
        if not options.force:
            place = annotation if annotation.exists() else table
            raise UsageError(
                f"{place} exists, but another model, program, input or options made it; --force overwrites it"
            )
        return False


def _is_whole(target: Target) -> bool:
    from glm_annot.io.table import is_whole_table

    return target.table is not None and target.table.exists() and is_whole_table(target.table.read_bytes())


def _load_model(options: Options) -> Model:
    import torch

    from glm_annot.bundle import load
    from glm_annot.model.devices import best_device

    if options.threads:
        torch.set_num_threads(options.threads)
    device = best_device() if options.device == "auto" else options.device
    model = load(options.model, device)
    log.log(_said_once(options), "model %s %s on %s", model.name, model.version, device)
    return model


def _said_once(options: Options) -> int:
    """The level of what is the same in all processes: the one that has the screen, not quiet, says it."""
    return logging.DEBUG if options.quiet else logging.INFO


def _make_settings(model: Model, reference: Reference | None, options: Options) -> Settings:
    from glm_annot.pipeline import Settings

    return Settings(
        min_confidence=options.min_confidence,
        ec=options.ec,
        operons=options.operons,
        reference=reference,
        precision=options.precision,
        batch_size=options.batch_size,
        cache=_open_cache(model, options),
    )


def _read_reference(options: Options) -> Reference | None:
    if options.reference is None:
        return None
    from glm_annot.ec.reference import read_reference

    reference = read_reference(options.reference)
    with_number = sum(map(bool, reference.ec))
    log.log(
        _said_once(options),
        "reference %s: %d proteins with EC numbers, %d that are no enzymes; searched by %s",
        options.reference,
        with_number,
        len(reference.ec) - with_number,
        reference.searched_by,
    )
    return reference


def _open_cache(model: Model, options: Options) -> EmbeddingCache | None:
    if options.cache is None or options.dry_run:
        return None
    from glm_annot.model.embedding_cache import EmbeddingCache

    size = int(options.cache_size * 1e9)
    return EmbeddingCache(options.cache, model.encoder, precision=options.precision, max_bytes=size)


def _predict(
    sections: Sections, overview: Overview, model: Model, settings: Settings, *, quiet: bool
) -> Iterator[tuple[Genome, Predictions]]:
    from glm_annot.pipeline import annotate_sections

    with Bars(quiet=quiet) as bars:
        yield from annotate_sections(sections, overview, model, settings, bars)


def _write(
    sections: Sections,
    predicted: Iterable[tuple[Genome, Predictions]],
    target: Target,
    promote_ec: float | None,
    *,
    force: bool,
) -> None:
    """Writes each section as soon as it is predicted; to standard output only when all are."""
    from glm_annot.io.source import blocks_from, spooled

    written = _rendered(sections, predicted, promote_ec)
    annotation, table = target.annotation(sections.format), target.table
    if annotation is None or table is None:
        with spooled(text for text, _ in written) as whole:
            to_stdout(blocks_from(whole, 0))
        return
    # In this order: --resume takes an annotated file that is there for the sign that its run came to the end.
    with whole_files(table, annotation, force=force) as (tabled, annotated):
        for text, rows in written:
            annotated.write(text)
            tabled.write(rows)


def _rendered(
    sections: Sections, predicted: Iterable[tuple[Genome, Predictions]], promote_ec: float | None
) -> Iterator[tuple[bytes, bytes]]:
    """The annotated file and the table, piece by piece."""
    from io import StringIO

    from glm_annot.io import render
    from glm_annot.io.table import write_header, write_rows

    rows = StringIO(newline="")
    write_header(rows)
    for section, predictions in predicted:
        write_rows(section, predictions, rows)
        yield render(section, predictions, promote_ec=promote_ec), rows.getvalue().encode()
        rows = StringIO(newline="")
    yield from ((block, b"") for block in sections.rest())


def _places(target: Target, format: str) -> str:
    annotation = target.annotation(format)
    return "to standard output" if annotation is None else f"{annotation} and {target.table}"
