"""Steps of a recipe: each runs once, and again only when its settings or an earlier step changed.

`steps.json` in the working folder holds for each step a key, made of its settings (contents of what it reads
included) and of the keys of the steps before it, whether it is complete, and its seconds so far. A step that
was interrupted is called again with its folder as it left it, to resume; one whose folder is gone is done
anew, and all after it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glm_annot.errors import InputError

from .json_files import write_json

RECORD = "steps.json"
FORMAT = 3  # of the record; raised when keys are made in another way, so that nothing is deleted for that


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: of the step and of its folder.
        settings: all that decides its result, besides the steps before it; must survive JSON.
        run: does the work in the folder given.
    """

    name: str
    settings: Mapping[str, Any]
    run: Callable[[Path], object]


def run_steps(steps: Sequence[Step], work: Path, report: Callable[[str], None]) -> None:
    """Run steps in order, each in `work/<name>`, leaving out those that are complete.

    Args:
        steps: in order; each may read the folders of those before it.
        work: folder of all steps; made if need be.
        report: called with a line when a step starts, ends or is left out.

    Raises:
        InputError: the folder was begun by a version of the program with other keys.
    """
    work.mkdir(parents=True, exist_ok=True)
    states = _read(work / RECORD)
    before = ""
    for number, step in enumerate(steps, 1):
        before = _key(step, before)
        title = f"[{number}/{len(steps)}] {step.name}"
        folder = work / step.name
        state = states.get(step.name, {})
        resumed = state.get("key") == before and folder.is_dir()
        if resumed and state["complete"]:
            report(f"{title}: already done")
            continue
        if not resumed:
            for later in steps[number - 1 :]:
                states.pop(later.name, None)
            if folder.exists():
                shutil.rmtree(folder)
        folder.mkdir(exist_ok=True)
        report(f"{title}: {'resumes' if resumed else 'starts'}")
        spent, began = state.get("seconds", 0.0) if resumed else 0.0, time.monotonic()
        states[step.name] = {"key": before, "complete": False, "seconds": spent}
        _write(work / RECORD, states)
        try:
            step.run(folder)
            states[step.name]["complete"] = True
        finally:
            elapsed = time.monotonic() - began
            states[step.name]["seconds"] = round(spent + elapsed, 1)
            _write(work / RECORD, states)
        report(f"{title}: done in {elapsed:.0f} s")


def seconds_spent(steps: Sequence[Step], work: Path) -> dict[str, float]:
    """Wall-clock seconds of those steps that are complete and timed, in their order, resumed parts together.

    A part that ended without being able to say so (killed, power lost) is not in it.
    """
    states = _read(work / RECORD)
    of_steps = {step.name: states.get(step.name, {}) for step in steps}
    return {
        name: state["seconds"]
        for name, state in of_steps.items()
        if state.get("complete") and "seconds" in state
    }


def _key(step: Step, before: str) -> str:
    text = json.dumps([step.name, step.settings, before], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> dict[str, dict[str, Any]]:
    """Read what is known of the steps; {} when there is no record."""
    if not path.exists():
        return {}
    record = json.loads(path.read_text(encoding="utf-8"))
    if record.get("format") != FORMAT:
        raise InputError(
            "holds the steps of another version of the program, which cannot be resumed; give another "
            "folder, or delete this one",
            path.parent,
        )
    states: dict[str, dict[str, Any]] = record["steps"]
    return states


def _write(path: Path, states: Mapping[str, Mapping[str, Any]]) -> None:
    write_json(path, {"format": FORMAT, "steps": states})
