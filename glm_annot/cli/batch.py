"""Annotates many inputs: finds their files, plans the results, shares out the work, lists failures."""

from __future__ import annotations

import logging
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from glm_annot.cli.console import MessageBuffer, counted, failure, replay, start_log
from glm_annot.cli.jobs import share
from glm_annot.cli.loading import read_reference
from glm_annot.cli.one_input import Annotator
from glm_annot.cli.tasks import Files, Options, Outcome, Task
from glm_annot.errors import GlmAnnotError, InputError, UsageError
from glm_annot.processes import cores, jobs_that_fit, temporary_folder
from glm_annot.results.files import FilesInUse, open_log, remove_half_files
from glm_annot.results.output import STDIO, is_result, is_stream, plan, stem

log = logging.getLogger(__name__)

JOB_MEMORY = 10**9  # bytes that a process of --jobs 0 is taken to need; a bacterial genome needs less
CALL_CACHE = 1.0  # GB of embeddings that the inputs of one call share


def annotate_files(named: Sequence[str], options: Options) -> int:
    """Annotates all named inputs: files, output folders of annotation tools, or `-` for standard input.

    Returns:
        the exit status: 0 when all inputs succeeded. When one of several failed, the status of an unusable
        input, and the others are done. When the only input failed, the status of its error.

    Raises:
        GlmAnnotError: nothing more can be done for any input.
    """
    inputs = _without_results(named, options)
    several = len(inputs) > 1
    _check_options(inputs, options)
    files, outcomes = _find_files(inputs, options)
    in_use = _files_in_use(files, options)
    if options.log_file:
        log_file = open_log(options.log_file, in_use)
        start_log(quiet=options.quiet, json_lines=options.json_log, log_file=log_file)
        in_use = in_use.plus("the log file", options.log_file)
    _tell_found(files, len(named) - len(inputs))
    names = result_names(files)
    targets = plan(
        [found.annotation for found in files],
        options.output,
        several=several,
        names=names,
        report=options.report,
        manifest=options.manifest,
    )
    tasks = [Task(found, target, in_use) for found, target in zip(files, targets, strict=True)]
    try:
        for outcome in _annotate_all(tasks, options, several=several):
            replay(outcome.messages)
            outcomes.append(replace(outcome, messages=()))
        if outcomes and (several or options.resume):
            _count(outcomes)
    finally:  # an interrupt does not keep what failed so far from being told
        _tell_failures(outcomes, len(inputs))
    failed = [outcome.status for outcome in outcomes if outcome.status]
    return (InputError.exit_status if several else failed[0]) if failed else 0


def _without_results(inputs: Sequence[str], options: Options) -> Sequence[str]:
    """The inputs but for earlier results, which `*.gff*` finds beside them; one named alone is meant.

    Raises:
        UsageError: nothing else was named.
    """
    if len(inputs) == 1 and not options.resume:
        return inputs
    kept = [name for name in inputs if not is_result(Path(name))]
    if not kept and not options.resume:
        raise UsageError("all inputs are earlier results of glm-annot; name one alone to annotate it anew")
    return kept


def _check_options(inputs: Sequence[str], options: Options) -> None:
    """Raises UsageError for options that contradict each other or the inputs."""
    several = len(inputs) > 1
    if several and (options.fasta or options.faa):
        raise UsageError("--fasta and --faa belong to one input; run the inputs one by one")
    streams = [name for name in (*inputs, str(options.reference)) if is_stream(name)]
    if several and options.jobs != 1 and streams:
        raise UsageError(
            f"standard input and pipes ({streams[0]}) cannot be used with --jobs and several inputs; "
            "annotate them in a separate call"
        )
    if not options.ec and (options.reference or options.promote_ec is not None):
        raise UsageError("--reference and --promote-ec need EC numbers; leave out --no-ec")


def _files_in_use(files: Sequence[Files], options: Options) -> FilesInUse:
    """All that the call reads."""
    model = Path(options.model)
    named = [
        *(("the model's file", path) for path in (sorted(model.iterdir()) if model.is_dir() else ())),
        ("the file of --reference", options.reference),
        ("the file of --config", options.config),
        *(("the FASTA of the contigs", found.fasta) for found in files),
        *(("the FASTA of the proteins", found.faa) for found in files),
        *(("the JSON of the annotation", found.details) for found in files),
        *(("the input", found.annotation) for found in files if found.annotation != STDIO),
    ]
    return FilesInUse.of(named, stdin=any(found.annotation == STDIO for found in files))


def _annotate_all(tasks: Sequence[Task], options: Options, *, several: bool) -> Iterator[Outcome]:
    """Does the tasks, one after another or several at a time; yields their outcomes in order."""
    jobs = min(options.jobs or jobs_that_fit(JOB_MEMORY), len(tasks))
    with _with_cache(options, several) as cached:
        yield from _in_processes(tasks, cached, jobs) if jobs > 1 else map(Annotator(cached), tasks)


@contextmanager
def _with_cache(options: Options, several: bool) -> Iterator[Options]:
    """The options, with a cache for this call alone where several inputs may share proteins."""
    if options.cache or options.dry_run or not several:
        yield options
        return
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(temporary_folder())
        except OSError as error:
            log.warning("no folder for temporary files (%s); embeddings are not shared", error.strerror)
            yield options
        else:
            yield replace(options, cache=folder, cache_size=CALL_CACHE)


def _count(outcomes: Sequence[Outcome]) -> None:
    """Logs how many inputs are done, were done before, or failed."""
    failed = sum(outcome.status != 0 for outcome in outcomes)
    left_out = sum(outcome.left_out for outcome in outcomes)
    counts = {"done": len(outcomes) - failed - left_out, "done before": left_out, "failed": failed}
    log.info("inputs: %s", ", ".join(f"{count} {what}" for what, count in counts.items() if count))


def _tell_failures(outcomes: Sequence[Outcome], inputs: int) -> None:
    """Logs why a single input failed, or a table of those inputs that failed, with their errors."""
    failed = [outcome for outcome in outcomes if outcome.status]
    if not failed:
        return
    if inputs == 1:
        log.error("%s", failed[0].error)
        return
    width = max(len(outcome.name) for outcome in failed)
    rows = [
        f"  {outcome.name:<{width}}  {outcome.error.removeprefix(outcome.name).lstrip(':, ')}"
        for outcome in failed
    ]
    log.error("%d of %d inputs failed:\n%s", len(failed), inputs, "\n".join(rows))


def _find_files(inputs: Sequence[str], options: Options) -> tuple[list[Files], list[Outcome]]:
    """The files to read for each input, and an outcome for each folder that cannot be read."""
    files, failures = [], []
    for name in inputs:
        try:
            files.append(_files(name, options))
        except InputError as error:
            message, status = failure(error)
            failures.append(Outcome(name, status, message))
    return files, failures


def _tell_found(files: Sequence[Files], passed_over: int) -> None:
    if passed_over:
        log.info("passed over: %s of glm-annot (*.glm.*)", counted(passed_over, "earlier result"))
    for found in files:
        if found.tool:
            place = Path(found.annotation)
            log.info("%s: output of %s, reading %s", place.parent, found.tool, place.name)


def _files(name: str, options: Options) -> Files:
    """The files to read for one input.

    In a tool's output folder its plugin names them; `--fasta` and `--faa` come before those."""
    if name == STDIO or not Path(name).is_dir():
        return Files(name, options.fasta, options.faa)
    from glm_annot.io.tool_folders import find_output

    found = find_output(Path(name))
    fasta, faa = options.fasta or found.fasta, options.faa or found.faa
    chosen = options.faa is not None
    return Files(
        str(found.annotation),
        fasta,
        faa,
        faa_chosen=chosen,
        details=found.details,
        tool=found.tool,
        folder=Path(name).resolve().name,
        genome=found.genome,
    )


def result_names(files: Sequence[Files]) -> list[str]:
    """What the results of each input are named after: the file, or its folder where files share a name."""
    own = [found.genome or stem(found.annotation) for found in files]
    shared = {name for name, count in Counter(own).items() if count > 1}
    return [found.folder if name in shared and found.folder else name
            for name, found in zip(own, files, strict=True)]  # fmt: skip


# ---- many inputs at a time ----


def _in_processes(tasks: Sequence[Task], options: Options, jobs: int) -> Iterator[Outcome]:
    """Does the tasks in several processes. Each loads the model and has its share of the threads."""
    threads = max((options.threads or cores()) // jobs, 1)
    read_reference(options)  # each process reads it again; a faulty one is reported before they start
    log.info("model %s in %d processes, threads of each: %d", options.model, jobs, threads)
    return share(
        tasks, partial(_worker, replace(options, threads=threads, quiet=True)), jobs, on_death=_report_death
    )


def _worker(options: Options) -> Callable[[Task], Outcome]:
    """The function that a worker process calls for each task. Its messages come back with the outcome."""
    messages, annotator = MessageBuffer(), Annotator(options)

    def work(task: Task) -> Outcome:
        outcome = annotator(task)
        return replace(outcome, messages=messages.drain())

    return work


def _report_death(task: Task, process: int, exit_code: int) -> Outcome:
    """The outcome of an input whose process died; its unfinished files are removed here."""
    if task.target.folder is not None:
        remove_half_files(task.target.folder, task.target.name, process)
    how = f"ended with status {exit_code}" if exit_code >= 0 else f"was killed by signal {-exit_code}"
    hint = "; most likely memory ran out, use fewer --jobs" if exit_code == -signal.SIGKILL else ""
    return Outcome(task.name, GlmAnnotError.exit_status, f"{task.name}: its process {how}{hint}")
