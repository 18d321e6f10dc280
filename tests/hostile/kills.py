"""Kills annotation and training at random moments: inputs stay whole, nothing is half written, both go on.

Most runs are forks of this process, which has loaded everything: kills then fall into the work, not into the
loading of libraries. One in `_FRESH` starts Python anew, as users do.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path

import torch

from glm_annot import bundle
from tests.hostile.outcomes import LostError, require
from tests.support.made_genomes import write_clusters, write_folder
from tests.support.tiny import made_gff3, tiny
from tests.support.tiny_recipe import TINY, write_recipe

INPUTS = 3
OF_TRAINING = 4  # one in so many kills
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_LATEST = 1.1  # of the time that a whole run takes: some kills come too late
_FRESH = 20
_HANG = 120.0  # seconds
_LOADED = {
    "glm_annot": ("glm_annot.cli.app", "glm_annot.pipeline", "glm_annot.io.genbank.read"),
    "glm_annot.training.cli": ("glm_annot.training.cli", "glm_annot.training.run.recipe_run", "deepspeed"),
}
# The same bytes from each training; other files tell times.
_KEPT = (".safetensors", ".parquet", ".npy")


def run(folder: Path, number: int, *, seed: int, say: Callable[[str], None] = print) -> int:
    """Start and kill `number` runs; returns after how many something was not as it should be.

    Args:
        folder: of inputs and results; what is in it is replaced.
        number: of kills; one in `OF_TRAINING` is of training, all others of annotation.
        seed: of their moments and signals.
        say: is told each failure.
    """
    torch.set_num_threads(1)  # a fork of a process with more might wait for ever
    shutil.rmtree(folder, ignore_errors=True)
    rng, failed = random.Random(seed), 0
    for victim, kills in ((_Annotation, number - number // OF_TRAINING), (_Training, number // OF_TRAINING)):
        if not kills:
            continue
        of_victim = victim(folder / victim.name)
        began = time.monotonic()
        for kill in range(kills):
            moment = _Moment(rng.uniform(0, _LATEST), rng.choice(SIGNALS), fresh=kill % _FRESH == 0)
            try:
                of_victim.kill(moment)
            except LostError as error:
                failed += 1
                say(f"{victim.name}, kill {kill} ({moment.how.name} after {moment.part:.2f}): {error}")
        minutes = (time.monotonic() - began) / 60
        say(f"{kills} kills of {victim.name} in {minutes:.1f} minutes; failed so far: {failed}")
    return failed


@dataclass(frozen=True)
class _Moment:
    """When a run is killed, as a part of its whole time, how, and whether Python starts anew for it."""

    part: float
    how: signal.Signals
    fresh: bool


class _Victim:
    """A command that is started and killed.

    Attributes:
        name: what it does.
        module: of the command.
    """

    name = ""
    module = ""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "tmp").mkdir(parents=True)
        self.make_inputs()
        for loaded in _LOADED[self.module]:
            importlib.import_module(loaded)
        self.inputs = _sums(folder / "in")
        self.seconds = {fresh: self._time(f"expected-{fresh}", fresh) for fresh in (True, False)}
        self.expected = self.results("expected-True")
        same = self.results("expected-False") == self.expected
        require(same, f"two runs of {self.name} that nobody killed give different results")

    def make_inputs(self) -> None:
        """Write what the command reads to the folder `in`."""
        raise NotImplementedError

    def arguments(self, output: str) -> Sequence[str]:
        """Of the command, when it writes into the folder `output`; they go on with what is there."""
        raise NotImplementedError

    def results(self, output: str) -> dict[str, str]:
        """The files by which results are compared, and their checksums."""
        return _sums(self.folder / output)

    def kill(self, moment: _Moment) -> None:
        """Start, kill, and look at what is left.

        Raises:
            LostError: something is not as it should be.
        """
        raise NotImplementedError

    def start_and_kill(self, moment: _Moment) -> int:
        """Returns the exit status: 0 where the kill came too late."""
        process = self._start("out", fresh=moment.fresh)
        process.join(moment.part * self.seconds[moment.fresh])
        if process.pid is not None and process.exitcode is None:
            os.kill(process.pid, moment.how)
        process.join(_HANG)
        if (status := process.exitcode) is None:
            process.kill()
            process.join()
            raise LostError(f"it still runs {_HANG:g} s after the signal")
        require(_sums(self.folder / "in") == self.inputs, "an input was changed")
        usual = (0, 128 + moment.how, -moment.how)  # the last where Python is not yet up
        require(status in usual, f"its exit status is {status}: {self._said()}")
        if moment.how is not signal.SIGKILL:
            ours = (self.folder / "tmp").glob("glm-annot*")  # PyTorch makes a folder that it keeps
            left = sorted(path.name for path in ours)
            require(not left, f"it left temporary files: {left}")
        return status or 0

    def finish(self) -> None:
        """The same command once more, which nobody kills."""
        process = self._start("out", fresh=False)
        process.join()
        require(process.exitcode == 0, f"it does not go on: status {process.exitcode}: {self._said()}")

    def _time(self, output: str, fresh: bool) -> float:
        began = time.monotonic()
        process = self._start(output, fresh=fresh)
        process.join()
        require(process.exitcode == 0, f"the run that nobody killed has failed: {self._said()}")
        return time.monotonic() - began

    def _start(self, output: str, *, fresh: bool) -> ForkProcess:
        temporary = self.folder / "tmp"
        shutil.rmtree(temporary)
        temporary.mkdir()
        task = self.module, self.arguments(output), temporary, self.folder / "said", fresh
        process = multiprocessing.get_context("fork").Process(target=_work, args=task)
        process.start()
        return process

    def _said(self) -> str:
        return (self.folder / "said").read_text(errors="replace").strip()[-300:]


class _Annotation(_Victim):
    """Of a few files with a small model; it is resumed after each kill."""

    name, module = "annotation", "glm_annot"

    def make_inputs(self) -> None:
        (self.folder / "in").mkdir()
        bundle.save(tiny(), self.folder / "model", metrics={}, card="# Tiny\n")
        for i in range(INPUTS):
            (self.folder / "in" / f"{i}.gff3").write_text(made_gff3(60, seed=i))

    def arguments(self, output: str) -> Sequence[str]:
        names = [str(path) for path in sorted((self.folder / "in").iterdir())]
        folders = ["-o", str(self.folder / output), "--model", str(self.folder / "model")]
        return [*names, *folders, "--resume", "--quiet", "-t", "1"]

    def kill(self, moment: _Moment) -> None:
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        self.start_and_kill(moment)
        found = _sums(self.folder / "out")
        results = {name: sum_ for name, sum_ in found.items() if not name.startswith(".")}
        wrong = [name for name, sum_ in results.items() if sum_ != self.expected.get(name)]
        require(not wrong, f"half written or wrong: {wrong}")
        if moment.how is not signal.SIGKILL:
            require(not [name for name in found if name.endswith(".tmp")], "a temporary file is left")
        self.finish()
        require(self.results("out") == self.expected, "--resume gives other results")


class _Training(_Victim):
    """Of a small recipe, killed again and again until it comes to its end; then the next begins."""

    name, module = "training", "glm_annot.training.cli"

    def make_inputs(self) -> None:
        organisms = [f"{letter} one" for letter in ("Aaa", "Bbb", "Ccc", "Ddd")]
        genomes = write_folder(self.folder / "in", organisms)
        write_clusters(self.folder / "in" / "clusters.tsv", genomes)
        engine = {"learning_rate": 0.002, "steps": 20, "micro_batch": 8, "save_every": 0.05}
        parts = {part: {**TINY[part], "engine": engine} for part in ("plm", "glm")}
        write_recipe(self.folder / "recipe.json", **parts, heads={"ec": "none"})

    def arguments(self, output: str) -> Sequence[str]:
        recipe, data, work = (str(self.folder / name) for name in ("recipe.json", "in", output))
        return ["run", recipe, "--data", data, "--work", work]

    def results(self, output: str) -> dict[str, str]:
        found = super().results(output)
        return {name: sum_ for name, sum_ in found.items() if name.endswith(_KEPT)}

    def kill(self, moment: _Moment) -> None:
        try:
            if self.start_and_kill(moment) == 0:
                require(self.results("out") == self.expected, "it ends with other results")
                shutil.rmtree(self.folder / "out")
        except LostError:
            shutil.rmtree(self.folder / "out", ignore_errors=True)  # the next begins anew
            raise


def _work(module: str, arguments: Sequence[str], temporary: Path, said: Path, fresh: bool) -> None:
    """What a process does: a command with its own folder of temporary files; it ends with its exit status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which what runs in the background ignores
    os.environ["TMPDIR"], tempfile.tempdir = str(temporary), None
    with said.open("wb") as stream:
        for number in (1, 2):
            os.dup2(stream.fileno(), number)
    if fresh:
        os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
    sys.argv = [module, *arguments]
    status: object = 0
    try:
        importlib.import_module(_LOADED[module][0]).main()
    except SystemExit as end:
        status = end.code
    except KeyboardInterrupt:  # before the command is in charge of signals
        status = 128 + signal.SIGINT
    atexit._run_exitfuncs()  # as Python does where it was not forked
    os._exit(status if isinstance(status, int) else 1)


def _sums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.exists() else []
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
