"""Where results go: file names, and what stands in the way there. `files` writes them.

This module handles paths only. The results of `<stem>.<suffix>` are `<stem>.glm.gff3` or `<stem>.glm.gbk`
(the format of the input), `<stem>.glm.tsv` and, where asked for, the report `<stem>.glm.html` and the
manifest of the run, `<stem>.glm.run.json`. A file that `--output` names gets the others beside it, as `.tsv`,
`.html` and `.run.json`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glm_annot.errors import UsageError
from glm_annot.results.files import FilesInUse, refuse_devices, refuse_existing, resolved

STDIO = "-"  # standard input as an input, standard output as a destination

_STREAM = re.compile(r"-|/dev/(?:stdin|fd/\d+)|/proc/[^/]+/fd/\d+")
_SUFFIXES = {"gff3": ".gff3", "genbank": ".gbk", "embl": ".embl", "bakta": ".json"}
_INPUT_SUFFIXES = {
    ".gff",
    ".gff3",
    ".gb",
    ".gbk",
    ".gbff",
    ".genbank",
    ".embl",
    ".json",
    ".fna",
    ".fa",
    ".fasta",
}
_COMPRESSED_SUFFIXES = {".gz", ".bgz"}
GZIP = ".gz"
_MANIFEST = ".run.json"
# An --output that ends so (or so and .gz) is a file of that format; every other one is a folder.
_FILE_FORMATS = {
    ".gff": "gff3",
    ".gff3": "gff3",
    ".gb": "genbank",
    ".gbk": "genbank",
    ".gbff": "genbank",
    ".embl": "embl",
    ".json": "bakta",
}


def is_stream(source: str) -> bool:
    """Whether an input can be read only once and has no place beside it: standard input or a pipe."""
    return _STREAM.fullmatch(source) is not None or Path(source).is_fifo()


def stem(path: str) -> str:
    """A file's name without compression, format and an earlier `.glm`: `x.glm.gff3.gz` -> `x`.

    Other suffixes stay, so `strain.v2` keeps its version.
    """
    name = Path(path)
    for removable in (_COMPRESSED_SUFFIXES, _INPUT_SUFFIXES, {".glm"}):
        if name.suffix.lower() in removable:
            name = name.with_suffix("")
    return name.name


def is_result(path: Path) -> bool:
    """Whether a file is named as results are: `x.glm.gff3`, `x.glm.run.json`, compressed or not."""
    name = path.with_suffix("") if path.suffix.lower() in _COMPRESSED_SUFFIXES else path
    if name.name.endswith(_MANIFEST):
        name = name.with_name(name.name.removesuffix(_MANIFEST) + ".json")
    return name.suffix != "" and Path(name.stem).suffix == ".glm"


@dataclass(frozen=True, slots=True)
class Target:
    """Where the results of one input go.

    Attributes:
        source: the input.
        folder: None is standard output, which takes the annotation alone.
        name: a stem within the folder, or a whole file name when `exact`; one in `.gz` is compressed.
        with_report: whether a report is asked for.
        with_manifest: whether what the run was is written, too.
    """

    source: str
    folder: Path | None
    name: str = ""
    exact: bool = False
    with_report: bool = False
    with_manifest: bool = False

    def annotation(self, format: str) -> Path | None:
        """The annotated file for an input of this format ('gff3' or 'genbank'); None is standard output."""
        if self.folder is None:
            return None
        return self.folder / (self.name if self.exact else f"{self.name}.glm{_SUFFIXES[format]}")

    @property
    def table(self) -> Path | None:
        """The table of results; None when the annotation goes to standard output."""
        return self._beside(".tsv")

    @property
    def report(self) -> Path | None:
        """The report; None when none is asked for."""
        return self._beside(".html") if self.with_report else None

    @property
    def manifest(self) -> Path | None:
        """What the run was; None where it is not asked for."""
        return self._beside(_MANIFEST) if self.with_manifest else None

    def _beside(self, suffix: str) -> Path | None:
        """What goes beside the annotated file; None when that is standard output."""
        if self.folder is None:
            return None
        return self.folder / (f"{_cut(self.name)[0]}{suffix}" if self.exact else f"{self.name}.glm{suffix}")

    def files(self, format: str) -> list[Path]:
        """All files of the results of an input of this format."""
        places = (self.annotation(format), self.table, self.report, self.manifest)
        return [path for path in places if path is not None]

    def check_format(self, format: str) -> None:
        """Raises UsageError when the user named a file of another format than that of the input."""
        if self.exact and _FILE_FORMATS[_cut(self.name)[1]] != format:
            raise UsageError(
                f"-o {self.name}: the result has the format of the input, {self.source}; "
                f"name a {_SUFFIXES[format]} file"
            )

    def check_source(self, in_use: FilesInUse) -> None:
        """Raises UsageError when a result would take the place of a file that the call reads or logs to."""
        for place in (*map(self.annotation, _SUFFIXES), self.table, self.report, self.manifest):
            if place is not None:
                in_use.refuse(place)

    def check_table(self) -> None:
        """Raises UsageError when another file than the annotated one is there: known before reading."""
        refuse_existing([path for path in (self.table, self.report, self.manifest) if path is not None])

    def check_free(self, format: str) -> None:
        """Raises UsageError when one of the results is there already."""
        refuse_existing(self.files(format))


def beside(annotation: str, suffix: str) -> Path:
    """A file beside an annotated one: `x.glm.tsv` for `x.glm.gff3.gz` and '.tsv'."""
    path = Path(annotation)
    return path.with_name(_cut(path.name)[0] + suffix)


def table_beside(annotation: str) -> Path | None:
    """The table beside an annotated file; None where it is not there."""
    table = beside(annotation, ".tsv")
    return table if table.exists() else None


def plan(
    inputs: Sequence[str],
    output: str | None,
    *,
    several: bool | None = None,
    names: Sequence[str] | None = None,
    report: bool = False,
    manifest: bool = False,
) -> list[Target]:
    """One target for each input.

    Args:
        inputs: files, or `-` for standard input.
        several: whether the user named several inputs. Some of them may have failed already, so `inputs` may
            hold only one. None: decided by the number of `inputs`.
        output: None (beside each input; standard input goes to standard output), `-`, the name of the
            annotated file (it ends as such a file does), or else a folder.
        names: what the results of each input are named after. None: the input's own name.
        report: whether a report goes beside the results.
        manifest: whether what the run was is written, too.

    Raises:
        UsageError: two inputs would write to the same place, or a place cannot be written to.
    """
    alone = len(inputs) == 1 if several is None else not several
    stems = map(stem, inputs) if names is None else names
    targets = [
        replace(_target(source, output, name, alone=alone), with_report=report, with_manifest=manifest)
        for source, name in zip(inputs, stems, strict=True)
    ]
    for option in [*(["--report"] if report else []), *(["--manifest"] if manifest else [])]:
        if any(target.folder is None for target in targets):
            raise UsageError(
                f"{option} needs a place for its file; name one with -o instead of standard output"
            )
    _refuse_collisions(targets)
    for folder in {target.folder for target in targets if target.folder is not None}:
        _require_writable(folder)
    return targets


def _target(source: str, output: str | None, name: str, *, alone: bool) -> Target:
    name = "stdin" if source == STDIO else name
    if output == STDIO or (output is None and is_stream(source)):
        return Target(source, None)
    if output is None:
        return Target(source, Path(source).parent, name)
    if not _is_file_name(output):
        return Target(source, Path(output), name)
    if not alone:
        raise UsageError(f"-o {output} is the name of one file; name a folder for several inputs")
    refuse_devices([Path(output)])
    return Target(source, Path(output).parent, Path(output).name, exact=True)


def _is_file_name(output: str) -> bool:
    """Whether an `--output` is a file: by its name alone, unless it is a folder already.

    Raises:
        UsageError: it is the name of a table or a report.
    """
    if output.endswith(os.sep) or Path(output).is_dir():
        return False
    if Path(output).suffix.lower() in (".tsv", ".html"):
        raise UsageError(f"-o {output}: name the annotated file; table and report are put beside it")
    return _cut(Path(output).name)[1] in _FILE_FORMATS


def _cut(name: str) -> tuple[str, str]:
    """A file name without its suffix, and that suffix in lower case, `.gz` apart: ('strain.v2', '.gff3')."""
    path = Path(name)
    if path.suffix.lower() == GZIP:
        path = path.with_suffix("")
    return path.stem, path.suffix.lower()


def _refuse_collisions(targets: Sequence[Target]) -> None:
    taken: dict[Path | None, str] = {}
    for target in targets:
        place = target.table and resolved(target.table)  # one folder may be named in two ways
        if place in taken:
            where = "standard output" if target.table is None else str(target.table)
            raise UsageError(
                f"{taken[place]} and {target.source} would both write to {where}; annotate them separately"
            )
        taken[place] = target.source


def _require_writable(folder: Path) -> None:
    """Raises UsageError, before any work, where results could not be written into a folder.

    A folder that is missing in an existing one is no error: it is made when results are written.
    """
    refuse_devices([folder])
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder to write results into")
    nearest = folder if folder.exists() else folder.parent
    if not nearest.is_dir():
        raise UsageError(f"the folder {nearest} does not exist; create it, or name another with -o")
    if not os.access(nearest, os.W_OK):
        raise UsageError(f"no permission to write into {nearest}; choose another place with -o")
