"""The files of one call: those it reads, which nothing may write to, and those it writes, whole or not.

The only place of the program that opens a file for writing.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from glob import escape
from pathlib import Path
from types import TracebackType
from typing import TextIO

from filelock import FileLock, Timeout

from glm_annot.errors import GlmAnnotError, UsageError
from glm_annot.processes import signals_later

log = logging.getLogger(__name__)

_FileId = tuple[int, int]  # device and inode: one for all names of a file
# What `link` says where a file system has no hard links.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}


@dataclass(frozen=True, slots=True)
class FilesInUse:
    """The files that a call reads, and its log file, by what they are to it. Results never go there."""

    names: Mapping[_FileId, str] = field(default_factory=dict)

    @classmethod
    def of(cls, files: Iterable[tuple[str, str | Path | None]], *, stdin: bool = False) -> FilesInUse:
        """Of (what it is, path); what is None, not there or no ordinary file is passed over.

        `stdin`: whether standard input is read, which may be a file.
        """
        found = {}
        for what, path in files:
            if path is not None and (known := _file_id(path)):
                found[known] = what
        if stdin and (known := _file_id(0)):
            found[known] = "the input"
        return cls(found)

    def plus(self, what: str, path: Path) -> FilesInUse:
        """These and one more."""
        return replace(self, names={**self.names, **FilesInUse.of([(what, path)]).names})

    def refuse(self, path: Path) -> None:
        """Raises UsageError where `path` is one of them, under whatever name; `--force` changes nothing."""
        known = _file_id(path)
        if known and known in self.names:
            raise UsageError(
                f"{path} is {self.names[known]} itself, which is never overwritten; "
                "name another place with -o"
            )


def _file_id(path: str | Path | int) -> _FileId | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # a file descriptor, too
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def open_log(path: Path, in_use: FilesInUse) -> TextIO:
    """A log file, opened to be added to.

    Raises:
        UsageError: it is a file that this call reads, or cannot be written.
    """
    known = _file_id(path)
    if known and known in in_use.names:
        raise UsageError(f"--log-file {path} is {in_use.names[known]} itself; name another file")
    try:
        return path.open("a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise UsageError(f"--log-file {path}: {error.strerror}") from error


def refuse_existing(paths: Sequence[Path]) -> None:
    """Raises UsageError when one of the paths exists."""
    for path in paths:
        if path.exists():
            raise _exists(path)


def refuse_devices(paths: Iterable[Path]) -> None:
    """Raises UsageError for devices and pipes: results are moved into place, which would put a file there."""
    for path in paths:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise UsageError(f"{path} is not an ordinary file; to write to standard output, use -o -")


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path} exists; --force overwrites it, -o writes elsewhere")


# ---- writing ----


class WholeFile:
    """A file that is being written under a temporary name. A symbolic link to it stays one.

    Raises:
        GlmAnnotError: it cannot be written, perhaps because the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._temporary = path.with_name(_temporary(path.name, os.getpid()))
        with _disk_errors():
            self._file = self._temporary.open("wb")

    def write(self, content: bytes) -> None:
        """Adds `content` at the end."""
        with _disk_errors():
            self._file.write(content)

    def close(self) -> None:
        """Ends writing; the content is on the disk then."""
        with _disk_errors():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def publish(self, *, force: bool) -> None:
        """Moves it from its temporary name to its own, over a file that is there only with `force`.

        Does nothing where it has been moved.

        Raises:
            UsageError: a file has appeared there, and `force` is not given.
        """
        with _disk_errors():
            if self._is_published():
                return
            if force:
                self._temporary.replace(self.path)
                return
            try:
                _create(self._temporary, self.path)
            except FileExistsError:
                raise _exists(self.path) from None

    def withdraw(self) -> None:
        """Removes it again where it has been moved."""
        if self._is_published():
            self.path.unlink(missing_ok=True)

    def _is_published(self) -> bool:
        if not self._temporary.exists():
            return True
        return self.path.exists() and self.path.samefile(self._temporary)

    def discard(self) -> None:
        """Removes the temporary file."""
        with suppress(OSError):  # what could not be written before
            self._file.close()
        self._temporary.unlink(missing_ok=True)


def _create(source: Path, path: Path) -> None:
    """Gives a file another name, under which there must be none."""
    try:
        os.link(source, path)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        path.open("xb").close()
        source.replace(path)


@contextmanager
def whole_files(*paths: Path, force: bool, in_use: FilesInUse) -> Iterator[list[WholeFile]]:
    """Opens files for writing, each of which appears whole or not at all: only if all goes well within.

    They appear in the order of `paths`. Of old ones the last goes first, so that it is never seen beside a
    file of another run. `was_killed` recognises what a killed run leaves.

    Raises:
        UsageError: one is read by this call, or being written by another, or exists and `force` is not given,
            or is a device or a pipe; none is written then.
        GlmAnnotError: they cannot be written, perhaps because the disk is full.
    """
    places = [resolved(path) for path in paths]
    with _WholeExit() as stack:
        for place in places:
            in_use.refuse(place)
        refuse_devices(places)
        with signals_later():
            for place in places:
                with _disk_errors():
                    place.parent.mkdir(exist_ok=True)
                stack.enter_context(_locked(place))
            if not force:
                refuse_existing(paths)
            files = []
            for place in places:
                _remove_remains(place)
                files.append(WholeFile(place))
                stack.callback(files[-1].discard)
        yield files
        for file in files:
            file.close()
        _publish(files, force=force)


class _WholeExit(ExitStack):
    """An exit that no signal cuts short."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        with signals_later():
            return super().__exit__(kind, error, trace)


def _publish(files: Sequence[WholeFile], *, force: bool) -> None:
    """Publishes all files or none; signals wait until all are there."""
    with signals_later():
        if force:
            for file in reversed(files[1:]):
                with _disk_errors():
                    file.path.unlink(missing_ok=True)
        try:
            for file in files:
                file.publish(force=force)
        except Exception:
            if not force:
                for file in files:
                    file.withdraw()
            raise


def resolved(path: Path) -> Path:
    """`path` without links; UsageError where a link in it leads to itself."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: before Python 3.13, a link that leads to itself
        raise UsageError(
            f"{path} is a link that leads nowhere, or in one; remove it, or name another place"
        ) from error


def _remove_remains(path: Path) -> None:
    """Removes what killed runs have left unfinished of a file that is locked."""
    for left in path.parent.glob(_temporary(escape(path.name), "[0-9]*")):
        left.unlink(missing_ok=True)


def _temporary(name: str, process: int | str) -> str:
    return f".{name}.{process}.tmp"


def remove_half_files(folder: Path, name: str, process: int) -> None:
    """Removes the unfinished files and the locks that a killed process has left, of files that begin so."""
    for path in folder.glob(_temporary(f"{escape(name)}*", process)):
        path.unlink(missing_ok=True)
    for path in folder.glob(_lock_name(f"{escape(name)}*")):
        with suppress(UsageError), _locked(path.with_name(path.name[1 : -len(_LOCK)])):
            pass


def remove_remains(paths: Iterable[Path]) -> None:
    """Removes what killed runs have left beside files that are whole; nothing where a run writes them now."""
    for path in map(resolved, paths):
        left = path.parent.glob(_temporary(escape(path.name), "[0-9]*"))
        if path.with_name(_lock_name(path.name)).exists() or any(left):
            with suppress(GlmAnnotError, OSError), _locked(path):
                _remove_remains(path)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """Turns an error of the disk into one that says what cannot be written."""
    try:
        yield
    except OSError as error:
        raise GlmAnnotError(f"cannot write {error.filename or 'the results'}: {error.strerror}") from error


# ---- one writer at a time ----

_LOCK = ".lock"


def _lock_name(name: str) -> str:
    return f".{name}{_LOCK}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keeps other runs from writing a file; the system ends the lock when the process dies.

    Raises:
        UsageError: another run is writing it.
    """
    place = path.with_name(_lock_name(path.name))
    lock = FileLock(place, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        message = f"{path} is being written by another run; wait for it, or name another place"
        raise UsageError(message) from None
    except NotImplementedError:
        log.warning("%s: this file system has no locks; start no second run that writes there", path)
        yield
        return
    except OSError as error:
        raise GlmAnnotError(f"cannot write {path}: {error.strerror}") from error
    try:
        yield
    finally:
        place.unlink(missing_ok=True)  # before it is released: a later run makes its own
        lock.release()


def was_killed(*paths: Path) -> bool:
    """Whether a run was killed while it wrote these files: the last is then not there, or empty."""
    last = paths[-1]
    left = [path.with_name(_lock_name(path.name)) for path in map(resolved, paths)]
    return any(path.exists() for path in left) and not (last.exists() and last.stat().st_size)
