"""Kills annotation at random moments: inputs stay whole, nothing is half written, `--resume` goes on."""

from __future__ import annotations

import hashlib
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from glm_annot import bundle
from tests.hostile.outcomes import LostError, require
from tests.support.tiny import made_gff3, tiny

INPUTS = 3
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_LATEST = 1.1  # of the time that a whole run takes: some kills come too late


def run(folder: Path, number: int, *, seed: int, say: Callable[[str], None] = print) -> int:
    """Start and kill `number` runs of annotation; returns after how many something was not as it should be.

    Args:
        folder: of inputs and results; what is in it is replaced.
        number: of kills.
        seed: of their moments and signals.
        say: is told each failure.
    """
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "in").mkdir(parents=True)
    bundle.save(tiny(), folder / "model", metrics={}, card="# Tiny\n")
    for i in range(INPUTS):
        (folder / "in" / f"{i}.gff3").write_text(made_gff3(200, seed=i))
    inputs, began = _sums(folder / "in"), time.monotonic()
    require(_start(folder, "expected").wait() == 0, "the run that nobody killed has failed")
    seconds, expected = time.monotonic() - began, _sums(folder / "expected")
    rng, failed = random.Random(seed), 0
    for kill in range(number):
        moment, how = rng.uniform(0, _LATEST * seconds), rng.choice(SIGNALS)
        try:
            _kill_and_resume(folder, moment, how, inputs, expected)
        except LostError as error:
            failed += 1
            say(f"kill {kill} ({how.name} after {moment:.2f} s): {error}")
    say(f"{number} kills within {_LATEST * seconds:.1f} s, {failed} failed")
    return failed


def _kill_and_resume(
    folder: Path, moment: float, how: signal.Signals, inputs: dict[str, str], expected: dict[str, str]
) -> None:
    shutil.rmtree(folder / "out", ignore_errors=True)
    process = _start(folder, "out")
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        process.send_signal(how)
        process.wait()
    require(_sums(folder / "in") == inputs, "an input was changed")
    found = _sums(folder / "out")
    wrong = [name for name, sum_ in found.items() if not name.startswith(".") and sum_ != expected.get(name)]
    require(not wrong, f"half written or wrong: {wrong}")
    if how is not signal.SIGKILL:
        require(not [name for name in found if name.endswith(".tmp")], "a temporary file is left")
    require(_start(folder, "out").wait() == 0, "--resume failed")
    require(_sums(folder / "out") == expected, "--resume gives other results")


def _start(folder: Path, output: str) -> subprocess.Popen[bytes]:
    names = [str(path) for path in sorted((folder / "in").iterdir())]
    options = ["-o", str(folder / output), "--model", str(folder / "model"), "--resume", "--quiet", "-t", "1"]
    return subprocess.Popen([sys.executable, "-m", "glm_annot", *names, *options], stderr=subprocess.DEVNULL)


def _sums(folder: Path) -> dict[str, str]:
    files = sorted(folder.iterdir()) if folder.exists() else []
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
