"""Training steps in several processes on this machine, under torchrun."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from glm_annot.errors import GlmAnnotError
from glm_annot.jobs import cores

from .recipe import Recipe


def train(step: str, recipe: Recipe, corpus: Path, folder: Path, *, budget: float, processes: int) -> None:
    """Run `glm-train plm` or `glm-train glm` in several processes that share the processor cores.

    Args:
        step: 'plm' or 'glm'.
        recipe: of the whole run; written to `recipe.json` in the run folder for the processes to read.
        corpus: the corpus folder.
        folder: the run folder.
        budget: seconds of the whole run.
        processes: how many; each reads `micro_batch` at once. On a machine with GPUs one for each of them.

    Raises:
        GlmAnnotError: a process failed; what it said stands on standard error.
    """
    settings = folder / "recipe.json"
    settings.write_text(json.dumps(asdict(recipe), indent=1) + "\n", encoding="utf-8")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = ["-m", f"{__package__}.cli", step, str(settings), "--corpus", str(corpus), "-o", str(folder)]
    threads = max(1, cores() // processes)
    done = subprocess.run(
        [sys.executable, *launcher, *command, "--budget", f"{budget}s"],
        env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        check=False,
    )
    if done.returncode:
        raise GlmAnnotError(
            f"the step {step} failed in one of its {processes} processes, which said why above"
        )
