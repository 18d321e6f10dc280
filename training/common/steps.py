"""Steps of a recipe: each runs once, and again only when that is asked for.

`steps.json` in the working folder holds for each step its settings (contents of what it reads included), a
key made of these and of the keys of the steps before it, whether it is complete, its seconds so far, and the
files that it made. A step that was interrupted is called again with its folder as it left it, to continue.

A step that is killed cannot record its files. So its record says, before it starts, which names it may write
and which files are there already. The next run counts as its own what has such a name and was not there.

Nothing is removed unasked. When the settings of a begun or complete step changed, or a step before it, it is
done again only with `restart`; without it, the run stops and says what changed and what it would cost.
Only files that the record names are ever removed, and a folder that holds any other file is refused.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from reprlib import repr as short
from typing import Any

from filelock import FileLock, Timeout

from glm_annot.errors import InputError, UsageError

from . import own_files
from .json_files import write_json

RECORD, LOCK = "steps.json", ".glm-train.lock"
FORMAT = 4  # of the record; raised when it or the keys are made in another way
_MOST_CHANGES = 4  # named in a message
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        name: of the step and of its folder.
        settings: all that decides its result, besides the steps before it; must survive JSON.
        run: does the work in the folder given.
        results: files outside its folder that it makes, as paths within the working folder. The step is
            called again when one is gone; other files that it makes beside them are its own, too.
        names: all files that it may write, as paths within the working folder; `*` stands for any letters.
            By them the step's files are recognised when it was killed.
    """

    name: str
    settings: Mapping[str, Any]
    run: Callable[[Path], object]
    results: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class _State:
    """What is recorded of a step that was begun; `after` names the step before it, '' for the first.

    While the step runs, `before` holds the sizes of all files at its start, and `names` what it may write.
    """

    key: str
    settings: Mapping[str, Any]
    after: str
    complete: bool = False
    seconds: float = 0.0
    files: Mapping[str, int] = field(default_factory=dict)
    names: Sequence[str] = ()
    before: Mapping[str, int] | None = None


def run_steps(
    steps: Sequence[Step], work: Path, report: Callable[[str], None], *, restart: bool = False
) -> None:
    """Run steps in order, each in `work/<name>`, leaving out those that are complete.

    Args:
        steps: in order; each may read the folders of those before it.
        work: folder of all steps; made if need be.
        report: called with a line when a step starts, ends or is left out.
        restart: do steps again that are begun or complete but whose settings, or a step before them, changed.

    Raises:
        UsageError: another run works in the folder; steps would have to be done again and `restart` is not
            given; or there is a file that no step made, where a step is to start.
        InputError: the folder holds the record of another version of the program, or none of this one.
    """
    work.mkdir(parents=True, exist_ok=True)
    with _alone_in(work):
        _Folder(steps, work, report).run(restart=restart)


def seconds_spent(steps: Sequence[Step], work: Path) -> dict[str, float]:
    """Wall-clock seconds of those steps that are complete, in their order, resumed parts together.

    The time of a part that was killed is not in it.
    """
    states = _read(work / RECORD)
    return {
        step.name: states[step.name].seconds
        for step in steps
        if step.name in states and states[step.name].complete
    }


class _Folder:
    """The steps of one working folder and what is recorded of them."""

    def __init__(self, steps: Sequence[Step], work: Path, report: Callable[[str], None]) -> None:
        self._steps, self._work, self._report = steps, work, report
        self._states = _read(work / RECORD)
        self._new: dict[str, _State] = {}  # each step as it would be begun now
        key = after = ""
        for step in steps:
            key, settings = _key(step, key), json.loads(json.dumps(step.settings))
            self._new[step.name] = _State(key, settings, after)
            after = step.name
        self._recognise_files_of_killed_steps()

    def run(self, *, restart: bool) -> None:
        """Do every step that is not complete; raises as `run_steps`, before anything is done."""
        stale = self._stale()
        if any(map(self._left_something, stale)) and not restart:
            raise UsageError(f"{self._work}: {self._what_restarting_means(stale)}")
        self._refuse_foreign(stale)
        for name in stale:
            own_files.remove(self._work, self._states[name].files)
        self._states = {name: state for name, state in self._states.items() if name not in stale}
        for number, step in enumerate(self._steps, 1):
            self._run_step(step, f"[{number}/{len(self._steps)}] {step.name}")

    def _run_step(self, step: Step, title: str) -> None:
        folder, state = self._work / step.name, self._states.get(step.name)
        gone = [path for path in step.results if not (self._work / path).exists()]
        if state and state.complete and not gone:
            self._report(f"{title}: already done")
            return
        if state and state.complete:
            self._report(f"{title}: done again, because {self._work / gone[0]} is gone")
        else:
            self._report(f"{title}: {'resumes' if state else 'starts'}")
        folder.mkdir(exist_ok=True)
        begun, before = replace(state or self._new[step.name], complete=False), self._files()
        self._states[step.name] = replace(begun, names=step.names, before=before)
        self._write()
        start = time.monotonic()
        complete = False
        try:
            step.run(folder)
            complete = True
        finally:
            elapsed = time.monotonic() - start
            done = replace(begun, complete=complete, seconds=round(begun.seconds + elapsed, 1))
            self._states[step.name] = done
            places = _places([step])
            self._note_files(
                step.name,
                before,
                made=lambda path: path in step.results or PurePosixPath(path).parts[0] in places,
                rewritten=lambda _: True,
            )
            self._write()
        self._report(f"{title}: done in {elapsed:.0f} s")

    def _stale(self) -> list[str]:
        """Names of recorded steps that have to be done again."""
        names = [step.name for step in self._steps]
        first = next((number for number, name in enumerate(names) if self._changed(name)), len(names))
        return [name for name in names[first:] if name in self._states]

    def _changed(self, name: str) -> bool:
        state = self._states.get(name)
        return state is not None and (state.key != self._new[name].key or not (self._work / name).is_dir())

    def _left_something(self, name: str) -> bool:
        return (self._work / name).is_dir() or any(
            (self._work / path).exists() for path in self._states[name].files
        )

    def _refuse_foreign(self, stale: Sequence[str]) -> None:
        """Refuse files that no step made where a step is to start in an empty folder."""
        own = {path: size for name in stale for path, size in self._states[name].files.items()}
        starting = [step for step in self._steps if step.name in stale or step.name not in self._states]
        results = (path for step in starting for path in step.results)
        found = own_files.files_below(self._work, [step.name for step in starting])
        found |= own_files.sizes_of(self._work, (*results, *own))
        own_files.refuse_foreign(self._work, found, own)

    def _files(self) -> dict[str, int]:
        """All files that steps made or may have made."""
        recorded = (path for state in self._states.values() for path in state.files)
        named = (path for step in self._steps for path in step.results)
        below = own_files.files_below(self._work, {*_places(self._steps), *self._states})
        return below | own_files.sizes_of(self._work, (*recorded, *named))

    def _recognise_files_of_killed_steps(self) -> None:
        """Record what steps made that ended without recording it."""
        for name, state in list(self._states.items()):
            if state.before is not None:
                self._states[name] = replace(state, names=(), before=None)
                named = partial(own_files.is_named, names=state.names)
                self._note_files(name, state.before, made=named, rewritten=named)

    def _note_files(
        self,
        step: str,
        before: Mapping[str, int],
        *,
        made: Callable[[str], bool],
        rewritten: Callable[[str], bool],
    ) -> None:
        """Record what a step made, and the new sizes of files that it wrote anew.

        Args:
            step: its name.
            before: sizes of all files when it started.
            made: whether a new file is the step's.
            rewritten: whether the step may have written to a file that was there.
        """
        now, known = self._files(), set[str]()
        for name, state in self._states.items():
            known |= set(state.files)
            sizes = {
                path: now[path] if before.get(path, size) == size and rewritten(path) else size
                for path, size in state.files.items()
                if path in now
            }
            self._states[name] = replace(state, files=sizes)
        new = {
            path: size
            for path, size in now.items()
            if path not in before and path not in known and made(path)
        }
        state = self._states[step]
        self._states[step] = replace(state, files={**state.files, **new})

    def _what_restarting_means(self, stale: Sequence[str]) -> str:
        """A message: what changed, what would be done again, and how long that took."""
        changes = [change for name in stale for change in self._changes(name)]
        more = len(changes) - _MOST_CHANGES
        named = "; ".join(changes[:_MOST_CHANGES]) + (f"; and {more} more changes" if more > 0 else "")
        cost = ", ".join(f"{name} {self._states[name].seconds:,.0f} s" for name in stale)
        return (
            f"{named}. Steps to do again, with the time that they took: {cost}. Add --restart to remove "
            "their results and do them again, or give another folder"
        )

    def _changes(self, name: str) -> Iterator[str]:
        """Why a step has to be done again, apart from changes of earlier steps."""
        old, new = self._states[name], self._new[name]
        if not (self._work / name).is_dir():
            yield f"{self._work / name} is gone"
        yield from (f"{name}: {change}" for change in _differences(old.settings, new.settings))
        if old.after != new.after:
            yield f"{name} now follows {new.after or 'no step'}, not {old.after or 'no step'}"

    def _write(self) -> None:
        states = {name: asdict(state) for name, state in self._states.items()}
        write_json(self._work / RECORD, {"format": FORMAT, "steps": states})


@contextmanager
def _alone_in(work: Path) -> Iterator[None]:
    """Holds the lock of the working folder; it is released however the process ends."""
    lock = FileLock(work / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError(
            f"{work}: another glm-train works in this folder; wait until it ends, or give another folder"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _places(steps: Sequence[Step]) -> list[str]:
    """Folders in which steps make files."""
    beside = (PurePosixPath(path).parts for step in steps for path in step.results)
    return [*(step.name for step in steps), *(parts[0] for parts in beside if len(parts) > 1)]


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What two sets of settings differ in, each as 'NAME was 1 and is 2'."""
    before, now = _flat(old), _flat(new)
    for name in {**before, **now}:
        values = before.get(name), now.get(name)
        if values[0] == values[1] and (name in before) == (name in now):
            continue
        if any(isinstance(value, str) and _SHA256.fullmatch(value) for value in values):
            file = name.removeprefix("files.")
            how = "is new" if name not in before else "is gone" if name not in now else "has other contents"
            yield f"{file} {how}"
        else:
            was, now_is = (short(found[name]) if name in found else "not set" for found in (before, now))
            yield f"{name} was {was} and is {now_is}"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def _key(step: Step, before: str) -> str:
    text = json.dumps([step.name, step.settings, before], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> dict[str, _State]:
    """Read what is recorded of the steps; {} when there is no record."""
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"is no record of steps ({error}); give another folder", path) from None
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise InputError(
            "holds the steps of another version of the program, which cannot be resumed; give another "
            "folder, or delete this one",
            path.parent,
        )
    try:
        return {name: _State(**state) for name, state in record["steps"].items()}
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError("is no record of steps; give another folder", path) from error
