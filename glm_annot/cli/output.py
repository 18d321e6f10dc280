"""Where results go: file names, no overwriting without --force, no half-written files.

This module handles paths and bytes only. The results of `<stem>.<suffix>` are `<stem>.glm.gff3` or
`<stem>.glm.gbk` (the format of the input) and `<stem>.glm.tsv`. A file that `--output` names gets its table
beside it, as `.tsv`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from glm_annot.errors import GlmAnnotError, UsageError

STDIO = "-"  # standard input as an input, standard output as a destination

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
# An --output that ends so (or so and .gz) is a file of that format; every other one is a folder.
_FILE_FORMATS = {
    ".gff": "gff3",
    ".gff3": "gff3",
    ".gb": "genbank",
    ".gbk": "genbank",
    ".gbff": "genbank",
    ".embl": "embl",
    ".json": "json",
}


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
    """Whether a file is named as results are: `x.glm.gff3`, `x.glm.tsv`, `x.glm.gff`, compressed or not."""
    name = path.with_suffix("") if path.suffix.lower() in _COMPRESSED_SUFFIXES else path
    return name.suffix != "" and Path(name.stem).suffix == ".glm"


@dataclass(frozen=True, slots=True)
class Target:
    """Where the results of one input go.

    Attributes:
        source: the input.
        folder: None is standard output, which takes the annotation alone.
        name: a stem within the folder, or a whole file name when `exact`; one in `.gz` is compressed.
    """

    source: str
    folder: Path | None
    name: str = ""
    exact: bool = False

    def annotation(self, format: str) -> Path | None:
        """The annotated file for an input of this format ('gff3' or 'genbank'); None is standard output."""
        if self.folder is None:
            return None
        return self.folder / (self.name if self.exact else f"{self.name}.glm{_SUFFIXES[format]}")

    @property
    def table(self) -> Path | None:
        """The table of results; None when the annotation goes to standard output."""
        if self.folder is None:
            return None
        return self.folder / (f"{_cut(self.name)[0]}.tsv" if self.exact else f"{self.name}.glm.tsv")

    def check_format(self, format: str) -> None:
        """Raises UsageError when the user named a file of another format than that of the input."""
        if self.exact and _FILE_FORMATS[_cut(self.name)[1]] != format:
            raise UsageError(
                f"-o {self.name}: the result has the format of the input, {self.source}; "
                f"name a {_SUFFIXES[format]} file"
            )

    def check_source(self) -> None:
        """Raises UsageError when the annotated file would replace the input, as happens with `x.glm.gff3`."""
        for place in map(self.annotation, _SUFFIXES):
            if self.source != STDIO and place and place.resolve() == Path(self.source).resolve():
                raise UsageError(
                    f"{place} is the input itself, which is never overwritten; name another place with -o"
                )

    def check_table(self) -> None:
        """Raises UsageError when the table is there already; its name is known before the input is read."""
        refuse_existing([self.table] if self.table is not None else [])

    def check_free(self, format: str) -> None:
        """Raises UsageError when the annotated file or the table is there already."""
        refuse_existing([path for path in (self.annotation(format), self.table) if path is not None])


def plan(inputs: Sequence[str], output: str | None, *, several: bool | None = None) -> list[Target]:
    """One target for each input.

    Args:
        inputs: files, or `-` for standard input.
        several: whether the user named several inputs. Some of them may have failed already, so `inputs` may
            hold only one. None: decided by the number of `inputs`.
        output: None (beside each input; standard input goes to standard output), `-`, the name of the
            annotated file (it ends as such a file does), or else a folder.

    Raises:
        UsageError: two inputs would write to the same place, or a place cannot be written to.
    """
    alone = len(inputs) == 1 if several is None else not several
    targets = [_target(source, output, alone=alone) for source in inputs]
    _refuse_collisions(targets)
    for folder in {target.folder for target in targets if target.folder is not None}:
        _require_writable(folder)
    return targets


def _target(source: str, output: str | None, *, alone: bool) -> Target:
    name = "stdin" if source == STDIO else stem(source)
    if output == STDIO or (output is None and source == STDIO):
        return Target(source, None)
    if output is None:
        return Target(source, Path(source).parent, name)
    if not _is_file_name(output):
        return Target(source, Path(output), name)
    if not alone:
        raise UsageError(f"-o {output} is the name of one file; name a folder for several inputs")
    _refuse_devices([Path(output)])
    target = Target(source, Path(output).parent, Path(output).name, exact=True)
    target.check_source()
    return target


def _is_file_name(output: str) -> bool:
    """Whether an `--output` is a file: by its name alone, unless it is a folder already.

    Raises:
        UsageError: it is the name of a table.
    """
    if output.endswith(os.sep) or Path(output).is_dir():
        return False
    if Path(output).suffix.lower() == ".tsv":
        raise UsageError(f"-o {output}: name the annotated file; the table (.tsv) is put beside it")
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
        place = target.table and target.table.resolve()  # one folder may be named in two ways
        if place in taken:
            where = "standard output" if target.table is None else str(target.table)
            raise UsageError(
                f"{taken[place]} and {target.source} would both write to {where}; annotate them separately"
            )
        taken[place] = target.source


def _require_writable(folder: Path) -> None:
    """Raises UsageError, before any work, where results could not be written into a folder.

    A folder that is missing in an existing one is no error: it is made when results are written."""
    _refuse_devices([folder])
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, not a folder to write results into")
    nearest = folder if folder.exists() else folder.parent
    if not nearest.is_dir():
        raise UsageError(f"the folder {nearest} does not exist; create it, or name another with -o")
    if not os.access(nearest, os.W_OK):
        raise UsageError(f"no permission to write into {nearest}; choose another place with -o")


def _refuse_devices(paths: Iterable[Path]) -> None:
    """Raises UsageError for devices and pipes, which moving a result into place would replace by a file."""
    for path in paths:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise UsageError(f"{path} is no ordinary file; -o - writes to standard output")


def refuse_existing(paths: Sequence[Path]) -> None:
    """Raises UsageError when one of the paths exists."""
    for path in paths:
        if path.exists():
            raise UsageError(f"{path} exists; --force overwrites it, -o writes elsewhere")


def _temporary(name: str, process: int) -> str:
    return f".{name}.{process}.tmp"


def remove_half_files(target: Target, process: int) -> None:
    """Removes the unfinished files that a killed process has left of one input's results."""
    if target.folder is not None:
        for path in target.folder.glob(_temporary(f"{escape(target.name)}*", process)):
            path.unlink(missing_ok=True)


class WholeFile:
    """A file that is written under a temporary name and then moved to its place.

    A symbolic link in its place is kept; the file that it points to is replaced.

    Raises:
        GlmAnnotError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._temporary = self._path.with_name(_temporary(self._path.name, os.getpid()))
        with _disk_errors():
            self._path.parent.mkdir(exist_ok=True)
            self._file = self._temporary.open("wb")

    def write(self, content: bytes) -> None:
        """Adds `content` at the end."""
        with _disk_errors():
            self._file.write(content)

    def close(self) -> None:
        """Ends writing."""
        with _disk_errors():
            self._file.close()

    def publish(self) -> None:
        """Moves it from its temporary name to its own."""
        with _disk_errors():
            self._temporary.replace(self._path)

    def discard(self) -> None:
        """Removes the temporary file, if it has not been published."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turns an error of the operating system into a message that names the file."""
    try:
        yield
    except OSError as error:
        raise GlmAnnotError(f"cannot write {error.filename or 'the results'}: {error.strerror}") from error


@contextmanager
def whole_files(*paths: Path, force: bool) -> Iterator[list[WholeFile]]:
    """Opens files for writing. They appear, complete, only if the block ends without an error.

    Raises:
        UsageError: a file exists and `force` is not given, or it is a device or a pipe; none is written.
        GlmAnnotError: a file cannot be written.
    """
    _refuse_devices(paths)
    if not force:
        refuse_existing(paths)
    with ExitStack() as stack:
        files = []
        for path in paths:
            files.append(WholeFile(path))
            stack.callback(files[-1].discard)
        yield files
        for file in files:
            file.close()
        for file in files:
            file.publish()
