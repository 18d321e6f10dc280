"""Annotates one input: reads it, predicts, writes the results; with `--resume` only if not done before."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from glm_annot.cli.console import Bars, failure
from glm_annot.cli.loading import Shared
from glm_annot.cli.tasks import Options, Outcome, Task
from glm_annot.errors import UsageError
from glm_annot.results.files import remove_remains, was_killed
from glm_annot.results.output import STDIO, Target, is_stream
from glm_annot.results.write import write_results

if TYPE_CHECKING:
    from glm_annot.bundle import Model
    from glm_annot.io import Sections
    from glm_annot.overview import Overview
    from glm_annot.pipeline import Settings
    from glm_annot.records import Genome, Predictions

log = logging.getLogger(__name__)


class Earlier(Enum):
    """Which results of an input exist already, made by an earlier run with the same settings."""

    NOTHING = "nothing"
    PART = "part"  # all files are written again
    ALL = "all"


class Annotator:
    """Annotates one input after another; model and reference are loaded once.

    The model is loaded only when an input has been read, so that a faulty one is reported at once.
    """

    def __init__(self, options: Options) -> None:
        from glm_annot.io.source import allow_unpacked

        self._options = options
        self._shared = Shared(options)
        allow_unpacked(options.max_unpacked)

    def __call__(self, task: Task) -> Outcome:
        """Annotates one input. A fault of the input is returned as its outcome, and the others go on.

        Raises:
            GlmAnnotError: what all inputs need cannot be loaded: the model, its device, the cache, the
                reference or a program to search it with.
        """
        try:
            return self._annotate(task)
        except Exception as error:
            if error is self._shared.failure:
                raise
            message, status = failure(error)
            return Outcome(task.name, status, message)

    def _annotate(self, task: Task) -> Outcome:
        from glm_annot.cli.manifest import run_manifest
        from glm_annot.cli.summary import Summary, foresee
        from glm_annot.io import open_sections
        from glm_annot.overview import Overview
        from glm_annot.pipeline import window_size

        started, began = time.monotonic(), datetime.now(timezone.utc)
        self._shared.load_reference()  # first, so that its faults are reported before any other work
        task.target.check_source(task.in_use)
        if not self._options.force and not self._options.resume:
            task.target.check_table()
        earlier = self._earlier(task) if self._options.resume else Earlier.NOTHING
        if earlier is Earlier.ALL:
            log.debug("%s: done before, left out", task.name)
            return Outcome(task.name, left_out=True)
        overwrite = self._options.force or earlier is Earlier.PART
        log.debug("reading %s", task.name)
        files = task.files
        sections = open_sections(
            task.name,
            fasta=files.fasta,
            faa=files.faa,
            faa_wins=files.faa_chosen,
            genetic_code=self._options.genetic_code,
            details=files.details,
            call_genes=self._options.call_genes,
        )
        with closing(sections):
            task.target.check_format(sections.format)
            overview = Overview.of(sections)
            if not overwrite:
                task.target.check_free(sections.format)
            model, settings = self._shared.load_model(), self._shared.load_settings()
            if self._options.dry_run:
                expected = foresee(_file_name(task), overview, window_size(model))
                log.info("%s; would write %s", expected, _places(task.target, sections.format))
                return Outcome(task.name)
            summary = Summary(_file_name(task), overview)
            hidden = self._options.quiet or self._options.json_log
            predicted = _predict(sections, overview, model, settings, hidden=hidden)
            write_results(
                sections,
                summary.watched(predicted),
                task.target,
                (self._options.promote_ec, self._options.promote_to),
                manifest=partial(run_manifest, task, self._options, model, settings, summary, began),
                model=self._options.model,
                force=overwrite,
                in_use=task.in_use,
            )
            if task.target.folder is not None:
                log.info("%s: wrote %s", _file_name(task), _places(task.target, sections.format))
        log.info("%s; %.1f s", summary, time.monotonic() - started)
        return Outcome(task.name)

    def _earlier(self, task: Task) -> Earlier:
        """Which of the results that this run would write exist already.

        Raises:
            UsageError: other files are in their place, which only `--force` may overwrite.
        """
        from glm_annot.io import annotation_text, is_rendered
        from glm_annot.io.source import read_bytes, sniff
        from glm_annot.io.table import is_whole_table

        table = task.target.table
        if is_stream(task.name) or table is None:
            return Earlier.NOTHING  # a stream is read once, standard output is not kept
        original = annotation_text(
            task.name, genetic_code=self._options.genetic_code, call_genes=self._options.call_genes
        )
        format = sniff(original, task.name)
        task.target.check_format(format)
        annotation = task.target.annotation(format)
        assert annotation is not None
        if annotation.exists():
            if is_rendered(read_bytes(annotation), original, self._provenance_comment()):
                whole = table.exists() and is_whole_table(table.read_bytes())
                whole &= all(path.exists() for path in task.target.files(format))
                if not whole:
                    return Earlier.PART
                remove_remains(task.target.files(format))
                return Earlier.ALL
        elif not any(path.exists() for path in task.target.files(format)):
            return Earlier.NOTHING
        if was_killed(table, annotation):
            return Earlier.PART
        if not self._options.force:
            place = next(path for path in (annotation, *task.target.files(format)) if path.exists())
            raise UsageError(
                f"{place} exists, but another model, program, input or options made it; --force overwrites it"
            )
        return Earlier.NOTHING

    def _provenance_comment(self) -> str:
        """The comment that this run writes into annotated files."""
        from glm_annot.io.qualifiers import provenance_comment
        from glm_annot.pipeline import provenance

        made_by = provenance(self._shared.load_model(), self._shared.load_settings())
        options = self._options
        return provenance_comment(made_by, options.promote_ec, options.promote_to, options.genetic_code)


def _predict(
    sections: Sections, overview: Overview, model: Model, settings: Settings, *, hidden: bool
) -> Iterator[tuple[Genome, Predictions]]:
    """Each section and its predictions, with progress bars meanwhile unless hidden."""
    from glm_annot.pipeline import annotate_sections

    written = 0
    with Bars(hidden=hidden) as bars:
        for section, predictions in annotate_sections(sections, overview, model, settings, bars):
            bars("writing", written, overview.genes)
            yield section, predictions
            written += sum(1 for _ in section.genes)
            bars("writing", written, overview.genes)


def _file_name(task: Task) -> str:
    return "standard input" if task.name == STDIO else Path(task.name).name


def _places(target: Target, format: str) -> str:
    """Where the results go, as text for a message."""
    *first, last = map(str, target.files(format)) or ["to standard output"]
    return f"{', '.join(first)} and {last}" if first else last
