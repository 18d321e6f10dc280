"""Steps in several processes, on this machine or on several hosts, under torchrun or another launcher."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from glm_annot.errors import GlmAnnotError, UsageError
from glm_annot.processes import cores

from ..recipe import Recipe


@dataclass(frozen=True)
class Launcher:
    """A command that starts a Python module in several processes.

    Attributes:
        command: everything before the module. It sets the variables RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR
            and MASTER_PORT, as torchrun does.
        environment: variables to add to those of this process.
    """

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def local(cls, processes: int) -> Launcher:
        """A number of processes on this machine, which share its cores."""
        torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes))
        return cls((sys.executable, *torchrun), {"OMP_NUM_THREADS": str(max(1, cores() // processes))})

    @classmethod
    def of(cls, command: str) -> Launcher:
        """A launcher as typed, such as 'torchrun --nnodes 2 ...' or 'deepspeed --hostfile hosts'.

        Raises:
            UsageError: it cannot be split into words.
        """
        try:
            return cls(tuple(shlex.split(command)))
        except ValueError as error:
            raise UsageError(f"--launcher {command!r} is no command: {error}") from error

    def train(self, step: str, recipe: Recipe, corpus: Path, folder: Path, *, budget: float) -> None:
        """Run `glm-train plm` or `glm-train glm`.

        Args:
            step: 'plm' or 'glm'.
            recipe: of the whole run; written to `recipe.json` in the run folder for the processes to read.
            corpus: the corpus folder.
            folder: the run folder.
            budget: seconds of the whole run.

        Raises:
            GlmAnnotError: a process failed; its own message is on standard error.
        """
        self._run(step, recipe, folder, ["--corpus", corpus, "-o", folder, "--budget", f"{budget}s"])

    def embed(self, recipe: Recipe, corpus: Path, plm: Path, folder: Path) -> None:
        """Run `glm-train embed`; the recipe is written to `folder`. Raises as `train`."""
        self._run("embed", recipe, folder, ["--corpus", corpus, "--plm", plm])

    def _run(self, step: str, recipe: Recipe, folder: Path, options: list[str | Path]) -> None:
        settings = folder / "recipe.json"
        settings.write_text(json.dumps(recipe.content(), indent=1) + "\n", encoding="utf-8")
        # Hosts may start in another folder.
        words = [str(word.resolve()) if isinstance(word, Path) else word for word in (settings, *options)]
        command = [*self.command, "--module", "glm_annot.training.cli", step, *words]
        try:
            done = subprocess.run(command, env={**os.environ, **self.environment}, check=False)
        except OSError as error:
            raise UsageError(f"cannot start {self.command[0]!r}: {error.strerror}") from error
        if done.returncode:
            raise GlmAnnotError(f"the step {step} failed in one of its processes; the reason is above")
