"""Steps in a working folder: what is done once, what is done again, and what is never removed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock

from glm_annot.errors import InputError, UsageError
from glm_annot.training.common.steps import LOCK, Step, run_steps, seconds_spent


def steps(log: list[str], settings: dict[str, Any], fail: str = "") -> list[Step]:
    """Steps that note their names, leave a file `seen` and fail where asked to."""

    def run(name: str, folder: Path) -> None:
        log.append(f"{name}{' again' if (folder / 'seen').exists() else ''}")
        (folder / "seen").touch()
        if name == fail:
            raise RuntimeError(name)

    return [
        Step(name, {"value": value}, lambda folder, name=name: run(name, folder))  # type: ignore[misc]
        for name, value in settings.items()
    ]


def ran(work: Path, settings: dict[str, Any], *, restart: bool = False) -> list[str]:
    """Names of the steps that ran."""
    log: list[str] = []
    run_steps(steps(log, settings), work, lambda _: None, restart=restart)
    return log


def snapshot(work: Path) -> dict[str, bytes]:
    """All files and their contents, but for the lock."""
    files = (path for path in work.rglob("*") if path.is_file() and path.name != LOCK)
    return {path.relative_to(work).as_posix(): path.read_bytes() for path in files}


def test_complete_steps_are_left_out(tmp_path: Path) -> None:
    log: list[str] = []
    said: list[str] = []
    for _ in range(2):
        run_steps(steps(log, {"a": 1, "b": 1}), tmp_path, said.append)
    assert log == ["a", "b"]
    assert said[-1] == "[2/2] b: already done"


def test_a_changed_setting_stops_and_says_what_changed_and_what_it_costs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0, 10.0, 3700.0, 3700.0, 3725.0])
    monkeypatch.setattr(
        "glm_annot.training.common.steps.time", SimpleNamespace(monotonic=lambda: next(clock))
    )
    ran(tmp_path, {"a": 1, "b": {"x": 1, "y": [1]}, "c": 1})
    before = snapshot(tmp_path)
    with pytest.raises(UsageError) as stopped:
        ran(tmp_path, {"a": 1, "b": {"x": 2, "z": 3}, "c": 1})
    assert str(stopped.value) == (
        f"{tmp_path}: b: value.x was 1 and is 2; b: value.y was [1] and is not set; b: value.z was not set "
        "and is 3. Steps to do again, with the time that they took: b 3,690 s, c 25 s. Add --restart to "
        "remove their results and do them again, or give another folder"
    )
    assert snapshot(tmp_path) == before


def test_restart_does_a_changed_step_and_all_after_it_again(tmp_path: Path) -> None:
    ran(tmp_path, {"a": 1, "b": 1, "c": 1})
    assert ran(tmp_path, {"a": 1, "b": 2, "c": 1}, restart=True) == ["b", "c"]  # not 'again': it starts empty
    assert ran(tmp_path, {"a": 1, "b": 2, "c": 1}, restart=True) == []


def test_a_changed_setting_of_an_interrupted_step_stops_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        run_steps(steps([], {"a": 1, "b": 1}, fail="a"), tmp_path, lambda _: None)
    with pytest.raises(UsageError, match="a: value was 1 and is 2"):
        ran(tmp_path, {"a": 2, "b": 1})
    assert ran(tmp_path, {"a": 2, "b": 1}, restart=True) == ["a", "b"]


def test_other_contents_of_a_file_are_said_without_digits(tmp_path: Path) -> None:
    ran(tmp_path, {"a": {"genes.tsv": "0" * 64}})
    with pytest.raises(
        UsageError, match=r"a: value\.genes\.tsv has other contents; a: value\.x\.tsv is new\."
    ):
        ran(tmp_path, {"a": {"genes.tsv": "1" * 64, "x.tsv": "2" * 64}})


def test_a_new_step_changes_those_after_it(tmp_path: Path) -> None:
    ran(tmp_path, {"a": 1, "c": 1})
    with pytest.raises(UsageError, match=r": c now follows b, not a\. Steps to do again, .*: c 0 s\."):
        ran(tmp_path, {"a": 1, "b": 1, "c": 1})
    assert ran(tmp_path, {"a": 1, "b": 1, "c": 1}, restart=True) == ["b", "c"]


def test_a_step_whose_folder_is_gone_runs_afresh(tmp_path: Path) -> None:
    ran(tmp_path, {"a": 1, "b": 1})
    shutil.rmtree(tmp_path / "b")
    assert ran(tmp_path, {"a": 1, "b": 1}) == ["b"]


def test_finished_steps_after_one_whose_folder_is_gone_need_restart(tmp_path: Path) -> None:
    ran(tmp_path, {"a": 1, "b": 1, "c": 1})
    shutil.rmtree(tmp_path / "b")
    with pytest.raises(UsageError, match=r"/b is gone\. Steps to do again"):
        ran(tmp_path, {"a": 1, "b": 1, "c": 1})
    with pytest.raises(RuntimeError):
        run_steps(steps([], {"a": 1, "b": 1, "c": 1}, fail="b"), tmp_path, lambda _: None, restart=True)
    assert ran(tmp_path, {"a": 1, "b": 1, "c": 1}) == ["b again", "c"]


def test_an_interrupted_step_finds_its_folder_as_it_left_it(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        run_steps(steps([], {"a": 1, "b": 1}, fail="b"), tmp_path, lambda _: None)
    assert ran(tmp_path, {"a": 1, "b": 1}) == ["b again"]


@pytest.mark.parametrize("restart", [False, True])
def test_a_folder_that_no_step_made_is_refused(tmp_path: Path, restart: bool) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "thesis.txt").write_text("years of work\n")
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match=r"b/thesis\.txt is not among the files that glm-train recorded"):
        ran(tmp_path, {"a": 1, "b": 1}, restart=restart)
    assert snapshot(tmp_path) == before  # and nothing was done before it was said


@pytest.mark.parametrize("file", ["b/thesis.txt", "b/deep/er/thesis.txt", "b/seen"])
def test_nothing_foreign_goes_with_a_step_that_is_done_again(tmp_path: Path, file: str) -> None:
    ran(tmp_path, {"a": 1, "b": 1})
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("years of work\n")  # into a file of the step's, too
    before = snapshot(tmp_path)
    with pytest.raises(UsageError, match=f"/{file} (is not among|was changed after)"):
        ran(tmp_path, {"a": 2, "b": 1}, restart=True)
    assert snapshot(tmp_path) == before


def test_what_was_there_while_a_step_ran_stays_foreign(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        run_steps(steps([], {"a": 1}, fail="a"), tmp_path, lambda _: None)
    (tmp_path / "a" / "thesis.txt").write_text("years of work\n")
    ran(tmp_path, {"a": 1})
    with pytest.raises(UsageError, match=r"thesis\.txt is not among"):
        ran(tmp_path, {"a": 2}, restart=True)


def test_a_link_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("years of work\n")

    def link(folder: Path) -> None:
        (folder / "data").symlink_to(tmp_path / "data")

    for value in (1, 2):
        run_steps([Step("a", {"value": value}, link)], tmp_path / "work", lambda _: None, restart=True)
    assert (tmp_path / "data" / "thesis.txt").read_text() == "years of work\n"


def beside(value: int) -> list[Step]:
    """A step that makes a table, and one that writes beside it and to it."""

    def add(folder: Path) -> None:
        (folder.parent / "a" / "result.npy").write_text("numbers")
        (folder.parent / "a" / "result.json").write_text("{}")
        with (folder.parent / "a" / "table").open("a") as stream:
            stream.write("more\n")

    def make(folder: Path) -> None:
        (folder / "table").write_text("some\n")

    return [Step("a", {}, make), Step("b", {"value": value}, add, results=("a/result.npy",))]


def test_results_beside_go_with_the_step_that_made_them_alone(tmp_path: Path) -> None:
    run_steps(beside(1), tmp_path, lambda _: None)
    seen: list[list[str]] = []
    first, second = beside(2)

    def run(folder: Path) -> None:
        seen.append(sorted(path.name for path in (tmp_path / "a").iterdir()))
        second.run(folder)

    run_steps(
        [first, Step("b", second.settings, run, second.results)], tmp_path, lambda _: None, restart=True
    )
    assert seen == [["table"]]
    assert (tmp_path / "a" / "table").read_text() == "some\nmore\nmore\n"
    both = [Step("a", {"other": 1}, first.run), second]  # a's table is still its own, though b wrote to it
    run_steps(both, tmp_path, lambda _: None, restart=True)
    assert (tmp_path / "a" / "table").read_text() == "some\nmore\n"


def test_a_step_whose_result_is_gone_is_done_again_and_none_after_it(tmp_path: Path) -> None:
    after: list[str] = []
    last = Step("c", {}, lambda folder: after.append(folder.name))
    said: list[str] = []
    run_steps([*beside(1), last], tmp_path, said.append)
    (tmp_path / "a" / "result.npy").unlink()
    said.clear()
    run_steps([*beside(1), last], tmp_path, said.append)
    assert said[1] == f"[2/3] b: done again, because {tmp_path / 'a' / 'result.npy'} is gone"
    assert (tmp_path / "a" / "result.npy").exists() and after == ["c"]


def test_a_result_that_no_step_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("mine\n")
    page = Step("a", {}, lambda folder: (folder.parent / "page.html").write_text("ours\n"), ("page.html",))
    with pytest.raises(UsageError, match=r"page\.html is not among"):
        run_steps([page], tmp_path, lambda _: None, restart=True)
    assert (tmp_path / "page.html").read_text() == "mine\n"


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    ran(tmp_path, {"a": 1})
    with (
        FileLock(tmp_path / LOCK),
        pytest.raises(UsageError, match="another glm-train works in this folder"),
    ):
        ran(tmp_path, {"a": 1, "b": 1})
    assert ran(tmp_path, {"a": 1, "b": 1}) == ["b"]


def test_seconds_of_resumed_parts_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 100.0, 107.0, 200.0, 203.0])  # of a; of b, which fails; of b, resumed
    monkeypatch.setattr(
        "glm_annot.training.common.steps.time", SimpleNamespace(monotonic=lambda: next(clock))
    )
    with pytest.raises(RuntimeError):
        run_steps(steps([], {"a": 1, "b": 1}, fail="b"), tmp_path, lambda _: None)
    both = steps([], {"a": 1, "b": 1})
    assert seconds_spent(both, tmp_path) == {"a": 5.0}
    run_steps(both, tmp_path, lambda _: None)
    assert seconds_spent(both, tmp_path) == {"a": 5.0, "b": 10.0}


def test_seconds_are_those_of_the_steps_in_their_order(tmp_path: Path) -> None:
    run_steps(steps([], {"dropped": 1, "b": 1}), tmp_path, lambda _: None)
    now = steps([], {"a": 1, "b": 1})
    run_steps(now, tmp_path, lambda _: None, restart=True)
    assert list(seconds_spent(now, tmp_path)) == ["a", "b"]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            '{"a": {"key": "0"}}',
            "holds the steps of another version of the program",
        ),  # before it had a format
        ("[1]", "holds the steps of another version of the program"),
        ("thesis", r"steps\.json: is no record of steps"),
    ],
)
def test_work_of_another_program_is_refused_and_stays(tmp_path: Path, record: str, message: str) -> None:
    ran(tmp_path, {"a": 1})
    (tmp_path / "steps.json").write_text(record)
    with pytest.raises(InputError, match=message):
        ran(tmp_path, {"a": 1}, restart=True)
    assert (tmp_path / "a" / "seen").exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from glm_annot.training.common.steps import Step, run_steps

def make(folder):
    (folder / "table").write_text("whole")

def die(folder):
    (folder / "weights-1").write_text("half")
    (folder / "weights-2.part").write_text("half")
    (folder.parent / "a" / "table").write_text("and more")
    os.kill(os.getpid(), signal.SIGKILL)

run_steps(
    [Step("a", {}, make, names=("a/table",)), Step("b", {}, die, names=("b/weights-*", "a/table"))],
    Path(sys.argv[1]),
    print,
)
"""


def after_kill(value: int) -> list[Step]:
    """The steps of `KILLED`, with other settings of the first if `value` is not 0."""
    names = ("b/weights-*", "a/table")
    return [
        Step("a", {"value": value} if value else {}, lambda folder: None, names=("a/table",)),
        Step("b", {}, lambda folder: None, names=names),
    ]


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A working folder whose second step was killed."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    return tmp_path


def test_restart_recognises_the_files_of_a_killed_step(killed: Path) -> None:
    run_steps(after_kill(1), killed, lambda _: None, restart=True)
    assert set(snapshot(killed)) == {"steps.json"}


def test_files_of_a_killed_step_stay_its_own_when_it_is_resumed(killed: Path) -> None:
    run_steps(after_kill(0), killed, lambda _: None)
    assert set(snapshot(killed)) == {"steps.json", "a/table", "b/weights-1", "b/weights-2.part"}
    run_steps(after_kill(1), killed, lambda _: None, restart=True)
    assert set(snapshot(killed)) == {"steps.json"}


@pytest.mark.parametrize("file", ["b/thesis.txt", "b/deep/weights-1", "a/weights-1"])
def test_a_foreign_file_in_the_folder_of_a_killed_step_is_protected(killed: Path, file: str) -> None:
    (killed / file).parent.mkdir(exist_ok=True)
    (killed / file).write_text("years of work")
    before = snapshot(killed)
    with pytest.raises(UsageError, match=f"{file} is not among"):
        run_steps(after_kill(1), killed, lambda _: None, restart=True)
    assert snapshot(killed) == before


def test_a_file_that_was_there_before_a_killed_step_is_protected(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        run_steps(steps([], {"a": 1, "b": 1}, fail="b"), tmp_path, lambda _: None)
    (tmp_path / "b" / "weights-1").write_text("mine")
    script = KILLED.replace('"a", {}', '"a", {"value": 1}').replace('"b", {}', '"b", {"value": 1}')
    script = script.replace('(folder / "weights-1").write_text("half")', "pass")
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=False)
    assert (tmp_path / "b" / "weights-2.part").exists()
    with pytest.raises(UsageError, match="b/weights-1 is not among"):
        run_steps(after_kill(2), tmp_path, lambda _: None, restart=True)
