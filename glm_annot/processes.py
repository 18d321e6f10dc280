"""CPU cores, signals that end a process, temporary folders, and other programs, which may hang."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from glm_annot.errors import GlmAnnotError

PATIENCE = 20.0  # seconds; what is done at the end takes one
_FIRST_FREE = 3  # number of a file; 0, 1 and 2 are standard input, output and error
_came: list[int] = []  # 128 and the number of each signal that ended this process


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def end_on_signals() -> None:
    """Let SIGTERM, and SIGHUP unless it is ignored (nohup), end this process as an exception does.

    SIGINT does so anyway. Python's own locks may stay locked where a signal comes amid them, and the way out
    would then wait for ever: after `PATIENCE` seconds the process leaves such a wait, and after as many again
    it ends at once.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _end)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def signal_status() -> int | None:
    """128 and the number of the signal that is ending this process; None where none came.

    A library may have turned the exception that a signal raised amid its work into an error of its own.
    """
    return _came[0] if _came else None


def _end(number: int, _: object) -> None:
    """Ends the process so that unfinished files are removed on the way; the next signal does not wait."""
    signal.signal(number, signal.SIG_DFL)
    _watch_the_end(128 + number)
    sys.exit(128 + number)


def _interrupt(number: int, _: object) -> None:
    signal.signal(number, signal.default_int_handler)
    _watch_the_end(128 + number)
    raise KeyboardInterrupt


def _watch_the_end(status: int) -> None:
    _came.append(status)

    def leave(*_: object) -> None:
        signal.signal(signal.SIGALRM, lambda *_: os._exit(status))
        sys.exit(status)

    signal.signal(signal.SIGALRM, leave)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE, PATIENCE)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder for temporary files that is removed at the end, even if a signal ends the process meanwhile.

    Raises:
        OSError: there is no place for it.
    """
    with ExitStack() as at_the_end:
        with signals_later():
            folder = TemporaryDirectory(prefix="glm-annot-")
            # Whatever a signal leaves of the folder amid its removal:
            at_the_end.callback(shutil.rmtree, folder.name, ignore_errors=True)
            at_the_end.callback(folder.cleanup)
        yield Path(folder.name)


@contextmanager
def signals_later() -> Iterator[None]:
    """Signals that end this process wait until the block is done, which must not take long.

    They wait in Python's own handlers: what blocks them in one thread leaves them to the other threads, and
    Python would still handle them in the main one.
    """
    if threading.current_thread() is not threading.main_thread():  # where nothing is raised
        yield
        return
    came: list[int] = []
    usual: dict[int, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not None:  # None: one that is not Python's
                usual[number] = signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for kind, handler in usual.items():
            signal.signal(kind, handler)
    for kind in came:
        signal.raise_signal(kind)


def fill_closed_streams() -> None:
    """Take the numbers of standard streams that are closed, lest a file of results get one of them."""
    while (number := os.open(os.devnull, os.O_RDWR)) < _FIRST_FREE:
        pass
    os.close(number)


def free_memory() -> int | None:
    """Bytes that new processes can take without swapping, as Linux and its control group say; else None."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
        free = next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvail"))
    except (OSError, StopIteration):
        return None
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text(encoding="ascii"))  # a word where there is none
        used = int((group / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return free
    return min(free, max(limit - used, 0))


def jobs_that_fit(memory: int) -> int:
    """How many processes of so many bytes each cores and memory have room for; at least one."""
    free = free_memory()
    return cores() if free is None else max(min(cores(), free // memory), 1)


def run_tool(command: Sequence[str], *, install: str, idle_limit: float | None = None) -> str:
    """Run an outside program and return its standard output.

    Args:
        command: the program and its arguments.
        install: says how to get it.
        idle_limit: seconds without any computing after which the program counts as hanging and is started
            once more; for programs that compute in their own process. Needs Linux; elsewhere it waits on.

    Raises:
        GlmAnnotError: it is not installed, it failed (its last line), or it hung twice.
    """
    if shutil.which(command[0]) is None:
        raise GlmAnnotError(f"{command[0]} is not installed or not on PATH; {install}")
    done = _run(command, idle_limit) or _run(command, idle_limit)
    if done is None:
        raise GlmAnnotError(f"{command[0]} {command[1]} hung twice, computing nothing for {idle_limit:g} s")
    if done.returncode:
        tail = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["no message"]
        raise GlmAnnotError(f"{command[0]} {command[1]} ended with status {done.returncode}: {tail[0]}")
    return done.stdout


def _run(command: Sequence[str], idle_limit: float | None) -> subprocess.CompletedProcess[str] | None:
    """A program's end; None if it hung and was killed."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        before = None
        while True:
            try:
                out, error = process.communicate(timeout=idle_limit)
            except subprocess.TimeoutExpired:
                before, earlier = _computed(process.pid), before
                if before is None or before != earlier:
                    continue
                process.kill()
                process.communicate()
                return None
            except BaseException:
                process.kill()
                raise
            return subprocess.CompletedProcess(command, process.returncode, out, error)


def _computed(pid: int) -> int | None:
    """CPU time of a sleeping process in clock ticks; None if it is running, or where this is unknown."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = status.rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]) if fields[0] == "S" else None  # man 5 proc: state, utime, stime
