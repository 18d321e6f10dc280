"""Runs the inputs of a campaign one after another in a process of its own, and keeps those that fail.

Input number n of a target is made from the seed, the target's name and n alone. `progress.json` says which
number comes next, so that a campaign that was stopped goes on.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import random
import resource
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from glm_annot.errors import GlmAnnotError
from tests.hostile.outcomes import PASSING, Kind, LostError
from tests.hostile.targets import FILES, Target, all_targets

HANG_SECONDS = 10.0  # of the processor; a busy machine makes no hang of anything
BLOCKED_SECONDS = 600.0  # without any answer, as from a pipe that nobody writes to
MEMORY = 10**9  # bytes that an input below 1 MB may take
PROGRESS = "progress.json"
FAILURES = "failures"
KEPT = 50  # failures of one kind and target that are kept as files
_SAVED_EVERY = 5.0  # seconds


@dataclass
class Progress:
    """How far a target has come.

    Attributes:
        next: the number of its next input.
        seconds: of the processor that it took.
        counts: how many inputs had each outcome.
    """

    next: int = 0
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """How many outcomes were not as they should be."""
        return sum(self.counts.values()) - sum(self.counts[kind.value] for kind in PASSING)


def run(
    folder: Path,
    names: Sequence[str],
    *,
    seed: int,
    seconds: float,
    most: int | None = None,
    examples: Sequence[Path] = (),
    say: Callable[[str], None] = print,
) -> dict[str, Progress]:
    """Attacks targets, each for its share of the time; continues what `folder` holds of the same seed.

    Args:
        folder: of progress and failures; made if need be.
        names: the targets.
        seed: of all inputs.
        seconds: that the campaign may take.
        most: inputs of each target, all calls together; None for as many as there is time for.
        examples: files that are damaged beside those of the repository.
        say: is told each failure.

    Returns:
        the progress of each target.
    """
    folder.mkdir(parents=True, exist_ok=True)
    progress = _read_progress(folder, seed)
    for name in names:
        each = progress.setdefault(name, Progress())
        stop = time.monotonic() + seconds / len(names)
        while time.monotonic() < stop and (most is None or each.next < most):
            saved = time.monotonic()
            for _ in _attack(name, each, folder, seed, examples, say):
                if time.monotonic() > saved + _SAVED_EVERY:
                    saved = time.monotonic()
                    _save_progress(folder, seed, progress)
                if time.monotonic() > stop or each.next == most:
                    break
            _save_progress(folder, seed, progress)
    return {name: progress[name] for name in names}


def table(progress: dict[str, Progress]) -> str:
    """The outcomes of each target, for people, as a table of Markdown."""
    kinds = [kind.value for kind in Kind]
    rows = [["target", "inputs", "per second of one core", *kinds]]
    for name, each in progress.items():
        rate = f"{each.next / each.seconds:.0f}" if each.seconds else ""
        rows.append([name, f"{each.next:,}", rate, *(f"{each.counts[kind]:,}" for kind in kinds)])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def make_input(target: Target, name: str, seed: int, number: int, examples: Sequence[bytes] = ()) -> bytes:
    """The input of a number."""
    return target.make(_random(name, seed, number), examples)


# ---- the process that is watched ----


def _attack(
    name: str,
    progress: Progress,
    folder: Path,
    seed: int,
    examples: Sequence[Path],
    say: Callable[[str], None],
) -> Iterator[None]:
    """One input of a target after another, until one of them ends or blocks its process."""
    process, pipe = _start(name, seed, progress.next, examples)
    try:
        kind = Kind.RIGHT
        while kind not in (Kind.HANG, Kind.DEATH, Kind.MEMORY):
            kind, why, used = _receive(process, pipe)
            progress.seconds += used
            progress.counts[kind.value] += 1
            if kind not in PASSING:
                _keep(name, progress, kind, why, folder, seed, examples, say)
            progress.next += 1
            yield
    finally:
        process.kill()
        process.join()
        pipe.close()


def _receive(process: ForkProcess, pipe: Connection) -> tuple[Kind, str, float]:
    """The outcome of the next input, why, and the seconds of the processor that it took."""
    if not pipe.poll(BLOCKED_SECONDS):
        return Kind.HANG, f"no answer within {BLOCKED_SECONDS:g} s", 0.0
    try:
        return pipe.recv()  # type: ignore[no-any-return]
    except EOFError:
        process.join()
        if process.exitcode == -signal.SIGPROF:
            return Kind.HANG, f"still at work after {HANG_SECONDS:g} s", HANG_SECONDS
        return Kind.DEATH, f"exit status {process.exitcode}", 0.0


def _start(name: str, seed: int, first: int, examples: Sequence[Path]) -> tuple[ForkProcess, Connection]:
    texts = [path.read_bytes() for path in examples]
    make_input(_target(name), name, seed, first, texts)  # loads what is loaded once, for all processes
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_work, args=(theirs, name, seed, first, texts), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def _work(pipe: Connection, name: str, seed: int, first: int, texts: Sequence[bytes]) -> None:
    """What the process does: input after input, until it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    target = _target(name)
    limit_memory(MEMORY)
    with TemporaryDirectory(prefix="glm-annot-hostile-") as folder:
        number = first
        while True:
            path = Path(folder) / f"input{target.suffix}"
            path.write_bytes(make_input(target, name, seed, number, texts))
            signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)  # which ends the process
            began = time.process_time()
            kind, why = outcome(target, path, _random(name, seed, number))
            signal.setitimer(signal.ITIMER_PROF, 0)
            pipe.send((kind, why, time.process_time() - began))
            number += 1


def outcome(target: Target, path: Path, rng: random.Random) -> tuple[Kind, str]:
    """What becomes of an input, and why where it is not as it should be."""
    try:
        target.attempt(path, rng)
    except GlmAnnotError as error:
        message = str(error)
        one_line = message.strip() and "\n" not in message
        return (Kind.ERROR, "") if one_line else (Kind.TRACEBACK, f"not one line: {message!r}")
    except LostError as error:
        return Kind.LOST, str(error)
    except MemoryError:
        return Kind.MEMORY, traceback.format_exc()
    except Exception:
        return Kind.TRACEBACK, traceback.format_exc()
    return Kind.RIGHT, ""


def limit_memory(more: int) -> None:
    """Let this process take so many bytes more than it has now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _target(name: str) -> Target:
    return FILES[name] if name in FILES else all_targets()[name]  # annotations need no torch


def _random(name: str, seed: int, number: int) -> random.Random:
    return random.Random(f"{seed} {name} {number}")


# ---- what is kept ----


def _keep(
    name: str,
    progress: Progress,
    kind: Kind,
    why: str,
    folder: Path,
    seed: int,
    examples: Sequence[Path],
    say: Callable[[str], None],
) -> None:
    last = why.strip().splitlines()[-1] if why.strip() else ""
    say(f"{name} {progress.next}: {kind.value}: {last[:200]}")
    if progress.counts[kind.value] > KEPT:
        return
    target = _target(name)
    place = folder / FAILURES / f"{name}-{kind.value.replace(' ', '-')}-{seed}-{progress.next}"
    place.parent.mkdir(exist_ok=True)
    content = make_input(target, name, seed, progress.next, [path.read_bytes() for path in examples])
    place.with_name(place.name + target.suffix).write_bytes(content)
    place.with_name(place.name + ".why").write_text(why + "\n", encoding="utf-8", errors="backslashreplace")


def _read_progress(folder: Path, seed: int) -> dict[str, Progress]:
    path = folder / PROGRESS
    if not path.exists():
        return {}
    saved: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if saved["seed"] != seed:
        raise SystemExit(
            f"{folder} holds a campaign of seed {saved['seed']}; give another folder or that seed"
        )
    return {
        name: Progress(each["next"], each["seconds"], Counter(each["counts"]))
        for name, each in saved["targets"].items()
    }


def _save_progress(folder: Path, seed: int, progress: dict[str, Progress]) -> None:
    targets = {
        name: {"next": each.next, "seconds": round(each.seconds, 1), "counts": dict(each.counts)}
        for name, each in progress.items()
    }
    draft = folder / f"{PROGRESS}.part"
    draft.write_text(json.dumps({"seed": seed, "targets": targets}, indent=1) + "\n", encoding="utf-8")
    draft.replace(folder / PROGRESS)
