"""Outside programs: missing, failing, hanging; how many processes there is room for."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from glm_annot import processes
from glm_annot.errors import GlmAnnotError
from glm_annot.processes import run_tool

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="this system does not say what a process does"
)


def test_a_missing_tool_is_named_with_what_to_install() -> None:
    with pytest.raises(GlmAnnotError, match="no-such-tool is not installed or not on PATH; fetch it"):
        run_tool(["no-such-tool", "x"], install="fetch it")


def test_a_failing_tool_gives_its_last_line() -> None:
    with pytest.raises(GlmAnnotError, match="status 3: broken"):
        run_tool(["sh", "-c", "echo broken >&2; exit 3"], install="")


@needs_proc
def test_a_tool_that_hangs_is_started_once_more(tmp_path: Path) -> None:
    hangs_once = f"test -e {tmp_path}/again && echo done || {{ touch {tmp_path}/again; exec sleep 60; }}"
    assert run_tool(["sh", "-c", hangs_once], install="", idle_limit=0.2) == "done\n"
    with pytest.raises(GlmAnnotError, match="hung twice"):
        run_tool(["sleep", "60"], install="", idle_limit=0.2)


@needs_proc
def test_a_tool_that_computes_for_long_is_left_alone() -> None:
    counts = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo $i"
    assert run_tool(["sh", "-c", counts], install="", idle_limit=0.1) == "300000\n"


ENDS = """
import os, signal, sys, threading, time
from pathlib import Path
from glm_annot import processes
processes.PATIENCE = 0.2
processes.end_on_signals()
lock = threading.Lock()
lock.acquire()
try:
    os.kill(os.getpid(), int(sys.argv[2]))
    time.sleep(60)
finally:
    try:
        lock.acquire()  # as a thread pool's lock that the signal left locked
    finally:
        Path(sys.argv[1]).touch()
        for _ in range(int(sys.argv[3])):
            lock.acquire()
"""


TURNED = """
import importlib, os, signal, sys, time
from glm_annot.errors import ModelError
app = importlib.import_module(sys.argv[1])
def library(**options):
    try:
        os.kill(os.getpid(), int(sys.argv[2]))
        time.sleep(60)
    except BaseException:
        raise ModelError("the parts do not fit together") from None
app.cli.main = library
app.main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("program", ["glm_annot.cli.app", "glm_annot.training.cli"])
def test_a_signal_counts_where_a_library_makes_another_error_of_it(
    program: str, number: signal.Signals
) -> None:
    command = [sys.executable, "-c", TURNED, program, str(int(number))]
    done = subprocess.run(command, preexec_fn=usual_signals, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "Traceback" in done.stderr) == (128 + number, False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("more", [0, 1])
def test_a_signal_ends_the_process_even_where_its_way_out_waits_for_ever(
    number: signal.Signals, more: int, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", ENDS, str(tmp_path / "cleaned"), str(int(number)), str(more)]
    with subprocess.Popen(command, preexec_fn=usual_signals) as process:
        assert process.wait(30) == 128 + number
    assert (tmp_path / "cleaned").exists()


def usual_signals() -> None:
    """A program that is started in the background may have to ignore these."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def test_a_signal_amid_the_removal_of_a_temporary_folder_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_: object) -> None:
        raise SystemExit(143)

    monkeypatch.setattr(processes.TemporaryDirectory, "cleanup", interrupted)
    with pytest.raises(SystemExit), processes.temporary_folder() as folder:
        (folder / "x").write_text("x")
    assert not folder.exists()


def test_a_signal_while_a_temporary_folder_is_made_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def interrupted(prefix: str) -> TemporaryDirectory[str]:
        folder = TemporaryDirectory(prefix=prefix, dir=tmp_path)
        signal.raise_signal(signal.SIGINT)
        return folder

    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(processes, "TemporaryDirectory", interrupted)
        with pytest.raises(KeyboardInterrupt), processes.temporary_folder():
            raise AssertionError("it was used")
    finally:
        signal.signal(signal.SIGINT, usual)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("free", "expected"), [(None, 8), (64 * 10**9, 8), (3_999_999_999, 3), (10**8, 1)])
def test_jobs_are_as_many_as_cores_and_memory_allow(
    free: int | None, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "cores", lambda: 8)
    monkeypatch.setattr(processes, "free_memory", lambda: free)
    assert processes.jobs_that_fit(10**9) == expected


def test_free_memory_is_known_where_linux_tells_it() -> None:
    free = processes.free_memory()
    assert (free is None) == (not Path("/proc/meminfo").exists())
    assert free is None or 0 < free < 2**50
