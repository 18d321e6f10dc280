"""What the user sees while a command runs: messages on standard error, a log file, a progress bar."""

from __future__ import annotations

import json
import logging
import logging.handlers
import re
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from glm_annot.errors import GlmAnnotError

if TYPE_CHECKING:
    from tqdm import tqdm

log = logging.getLogger(__name__)

_NO_MEMORY = "DefaultCPUAllocator: "  # torch's name for what has run out
_UNITS = {"proteins": "aa", "windows": "", "heads": "genes", "writing": "genes"}  # stages of the work


def start_log(*, quiet: bool, json_lines: bool = False, log_file: TextIO | None = None) -> None:
    """Sends the program's messages to standard error, and with details and times to a file.

    Args:
        quiet: errors only on standard error.
        json_lines: each message on standard error is a JSON object on a line of its own.
        log_file: holds tracebacks and other libraries' warnings, too.
    """
    log = logging.getLogger("glm_annot")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.handlers.clear()
    screen = logging.StreamHandler(sys.stderr)
    screen.setLevel(logging.ERROR if quiet else logging.INFO)
    screen.setFormatter(_JsonFormat() if json_lines else _ScreenFormat())
    log.addHandler(screen)
    logging.captureWarnings(True)
    libraries = logging.getLogger("py.warnings")
    libraries.propagate = False
    libraries.handlers = [logging.NullHandler()]
    if log_file is None:
        return
    log_handler = _LogFile(log_file)
    log_handler.setFormatter(_FileFormat())
    log.addHandler(log_handler)
    libraries.handlers = [log_handler]


if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:  # takes no parameter on Python 3.10
    _StreamHandler = logging.StreamHandler


class _LogFile(_StreamHandler):
    """A log file. When it cannot be written (disk full), one warning says so and the work continues."""

    def handleError(self, record: logging.LogRecord) -> None:  # logging's name for it
        """Called where a message cannot be written; logging's own would print a traceback for each."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
            return
        for name in ("glm_annot", "py.warnings"):
            logging.getLogger(name).removeHandler(self)
        logging.getLogger("glm_annot").warning(
            "--log-file %s: %s; no more messages are written to it", self.stream.name, error.strerror
        )


class MessageBuffer(logging.handlers.QueueHandler):
    """Collects the messages of a worker process; the main process shows them with `replay`."""

    def __init__(self) -> None:
        super().__init__(self)  # type: ignore[arg-type]  # it is its own queue
        self._records: list[logging.LogRecord] = []
        for name, level in (("glm_annot", logging.DEBUG), ("py.warnings", logging.NOTSET)):
            log = logging.getLogger(name)
            log.setLevel(level)
            log.propagate = False
            log.handlers = [self]
        logging.captureWarnings(True)

    def enqueue(self, record: logging.LogRecord) -> None:
        """Called for each message, as text that can be sent."""
        self._records.append(record)

    def drain(self) -> tuple[logging.LogRecord, ...]:
        """The messages since the last call."""
        records, self._records = tuple(self._records), []
        return records


def replay(records: Iterable[logging.LogRecord]) -> None:
    """Shows messages of a worker process on the screen and adds them to the log file."""
    for record in records:
        logging.getLogger(record.name).handle(record)


class _ScreenFormat(logging.Formatter):
    """Plain text; errors and warnings say what they are. Tracebacks are for the log file."""

    def format(self, record: logging.LogRecord) -> str:
        label = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return visible(f"glm-annot: {label}{record.getMessage()}")


class _JsonFormat(logging.Formatter):
    """An object with time (UTC), level and message, for programs that read messages."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        said = {"time": time, "level": record.levelname.lower(), "message": visible(record.getMessage())}
        return json.dumps(said)


class _FileFormat(logging.Formatter):
    """With time and level, and with tracebacks."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def visible(text: str) -> str:
    r"""A text with control characters as `\x1b`, but for tabs and line ends: names in files may hold any."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


def report(error: Exception) -> int:
    """Logs in one line what went wrong (the log file gets the traceback too); returns the exit status."""
    message, status = failure(error)
    log.error("%s", message)
    return status


def failure(error: Exception) -> tuple[str, int]:
    """One line for the user and the exit status; the traceback goes to the log file."""
    log.debug("traceback", exc_info=error)
    if isinstance(error, GlmAnnotError):
        return str(error), error.exit_status
    if isinstance(error, MemoryError) or _NO_MEMORY in str(error):
        advice = "lower --batch-size or --jobs, or use a machine with more"
        return f"there is not enough memory; {advice}", GlmAnnotError.exit_status
    if isinstance(error, OSError):  # a full disk, a folder for temporary files that is none
        place = error.filename or "writing"
        return f"{place}: {error.strerror or error}", GlmAnnotError.exit_status
    what = " ".join(str(error).split()) or "no message"
    return (
        f"unexpected {type(error).__name__}: {what} (please report it; --log-file FILE saves the details)",
        GlmAnnotError.exit_status,
    )


def counted(number: int, singular: str, plural: str = "") -> str:
    """'1 gene', '2 genes'; a plural that takes more than an s is given."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


class Bars:
    """One progress bar after another, for each stage of the work; none where stderr is no terminal."""

    def __init__(self, *, hidden: bool) -> None:
        self._hidden = hidden or sys.stderr is None or not sys.stderr.isatty()
        self._stage = ""
        self._bar: tqdm[None] | None = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Shows that `done` of `total` units of a stage are finished."""
        if self._hidden:
            return
        if stage != self._stage or self._bar is None:
            self._start(stage, total)
        assert self._bar is not None
        self._bar.update(min(done, total) - self._bar.n)

    def _start(self, stage: str, total: int) -> None:
        from tqdm import tqdm

        self.close()
        self._stage = stage
        self._bar = tqdm(total=total, desc=stage, unit=_UNITS[stage], unit_scale=True, leave=False)

    def close(self) -> None:
        """Takes the bar off the screen."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Bars:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
