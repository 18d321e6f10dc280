"""The options of one call of `glm-annot`, its tasks, and the outcome of each."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from glm_annot.results.files import FilesInUse
from glm_annot.results.output import Target


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked of `glm-annot`, as named in its --help."""

    output: str | None
    fasta: Path | None
    faa: Path | None
    genetic_code: int | None
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
    only_hypothetical: bool
    promote_ec: float | None
    promote_to: str
    dry_run: bool
    force: bool
    resume: bool
    quiet: bool
    log_file: Path | None
    call_genes: bool = False
    manifest: bool = False
    config: Path | None = None
    max_unpacked: float = 1.0
    report: bool = False
    json_log: bool = False


@dataclass(frozen=True, slots=True)
class Files:
    """What to read of one input: an annotation, and the sequences given beside it."""

    annotation: str
    fasta: Path | None
    faa: Path | None
    faa_chosen: bool = True  # by the user; False for that of a tool's folder
    details: Path | None = None  # what a tool's folder says beside the annotation
    tool: str = ""  # whose output folder the user named, if it was one
    folder: str = ""  # the name of that folder
    genome: str = ""  # what results are named after; '' for the annotation's own name


@dataclass(frozen=True, slots=True)
class Task:
    """An input, where its results go, and the files of the whole call, where they must not go."""

    files: Files
    target: Target
    in_use: FilesInUse

    @property
    def name(self) -> str:
        """The annotation, as the user named it."""
        return self.files.annotation


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one input.

    Attributes:
        name: the input, as the user named it.
        status: its exit status.
        error: what went wrong, in one line.
        left_out: `--resume` found it done.
        messages: what a worker process logged about it, to be shown by the main process.
    """

    name: str
    status: int = 0
    error: str = ""
    left_out: bool = False
    messages: tuple[logging.LogRecord, ...] = ()
