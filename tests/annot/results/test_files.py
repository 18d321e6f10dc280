"""Files that are read are never written, and those that are written appear whole, once, or not at all."""

from __future__ import annotations

import ast
import errno
import io
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import glm_annot
from glm_annot.errors import GlmAnnotError, UsageError
from glm_annot.results import files
from glm_annot.results.files import FilesInUse, open_log, was_killed, whole_files
from glm_annot.results.output import plan

NONE = FilesInUse()


def write(content: bytes, *paths: Path, force: bool = False, in_use: FilesInUse = NONE) -> None:
    with whole_files(*paths, force=force, in_use=in_use) as files:
        for file in files:
            file.write(content)


def test_existing_results_are_kept_unless_forced(tmp_path: Path) -> None:
    old, new = tmp_path / "old.gff3", tmp_path / "old.tsv"
    old.write_bytes(b"old")
    with pytest.raises(UsageError, match=r"old\.gff3 exists; --force"):
        write(b"new", new, old)
    assert old.read_bytes() == b"old" and not new.exists()
    write(b"new", new, old, force=True)
    assert old.read_bytes() == new.read_bytes() == b"new"


def test_a_symbolic_link_goes_on_to_lead_to_the_results(tmp_path: Path) -> None:
    place, link = tmp_path / "elsewhere" / "results.gff3", tmp_path / "link.gff3"
    place.parent.mkdir()
    place.write_bytes(b"old")
    link.symlink_to(place)
    write(b"new", link, force=True)
    assert link.is_symlink() and place.read_bytes() == b"new"
    assert list(place.parent.iterdir()) == [place]


def test_devices_and_pipes_stay_what_they_are(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.gff3"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match=r"pipe\.gff3 is not an ordinary file; to write"):
        plan(["x.gff"], str(pipe))
    with pytest.raises(UsageError, match="not an ordinary file; to write to standard output, use -o -"):
        write(b"", pipe, force=True)
    assert pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class FullDisk(io.BytesIO):
        def write(self, content: Any) -> int:
            raise OSError(28, "No space left on device")

    def opened(self: Path, mode: str) -> FullDisk:
        self.touch()
        return FullDisk()

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(GlmAnnotError, match="No space left on device"):
        write(b"content", tmp_path / "x.gff3", tmp_path / "x.tsv")
    assert list(tmp_path.iterdir()) == []


def test_what_fails_while_files_are_written_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError),
        whole_files(tmp_path / "new" / "x", force=False, in_use=NONE) as (file,),
    ):
        file.write(b"half")
        assert {path.suffix for path in (tmp_path / "new").iterdir()} == {".tmp", ".lock"}
        _ = 1 / 0
    assert list((tmp_path / "new").iterdir()) == []


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT interrupts, also where tests run in the background, whose shell has it ignored."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("force", [False, True])
def test_a_signal_waits_until_all_files_are_there_and_nothing_else(force: bool, tmp_path: Path) -> None:
    """Whenever it comes while files are removed, moved and tidied up: before or after any of these steps."""
    wanted = dict.fromkeys(("x.tsv", "x.html", "x.gff3"), b"content")
    for moment in count(1):
        folder = tmp_path / str(moment)
        folder.mkdir()
        if force:
            for name in wanted:
                (folder / name).write_bytes(b"old")
        with pytest.MonkeyPatch.context() as patch:
            steps = interrupt_at(moment, patch)
            with suppress(KeyboardInterrupt):
                write(b"content", *(folder / name for name in wanted), force=force)
                assert len(steps) < moment
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == wanted, moment
        if len(steps) < moment:
            break
    assert moment > 15


def interrupt_at(moment: int, patch: pytest.MonkeyPatch) -> list[str]:
    """Sends SIGINT before or after a step that removes or moves a file; returns the steps as they come."""
    steps: list[str] = []

    def step(name: str) -> None:
        steps.append(name)
        if len(steps) == moment:
            signal.raise_signal(signal.SIGINT)

    def watch(owner: Any, name: str) -> None:
        usual = getattr(owner, name)

        def watched(*args: Any, **options: Any) -> Any:
            step(name)
            done = usual(*args, **options)
            step(name)
            return done

        patch.setattr(owner, name, watched)

    watch(os, "link")
    watch(Path, "unlink")
    watch(Path, "replace")
    return steps


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_during_the_run_stays(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "no links here")

    if not links:
        monkeypatch.setattr(os, "link", refused)
    table, annotation = tmp_path / "x.tsv", tmp_path / "x.gff3"
    with (
        pytest.raises(UsageError, match=r"x\.gff3 exists; --force"),
        whole_files(table, annotation, force=False, in_use=NONE),
    ):
        annotation.write_bytes(b"precious")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == {annotation: b"precious"}
    annotation.unlink()
    write(b"content", table, annotation)
    assert table.read_bytes() == annotation.read_bytes() == b"content"


@pytest.mark.parametrize("force", [False, True])
def test_one_run_at_a_time_writes_a_file(force: bool, tmp_path: Path) -> None:
    place = tmp_path / "x.gff3"
    with whole_files(place, force=force, in_use=NONE) as (file,):
        file.write(b"first")
        with pytest.raises(UsageError, match=r"x\.gff3 is being written by another run"):
            write(b"second", place, force=force)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == {place: b"first"}


def killed_between(table: Path, annotation: Path) -> None:
    """Writes two files, and is killed when the first is there."""

    def publish(source: Path, target: Path) -> None:
        if target == annotation:
            os.kill(os.getpid(), signal.SIGKILL)
        source.replace(target)

    files._create = publish
    write(b"content", table, annotation)


def test_what_a_kill_left_is_known_for_it_and_mended(tmp_path: Path) -> None:
    table, annotation = tmp_path / "x.tsv", tmp_path / "x.gff3"
    process = get_context("spawn").Process(target=killed_between, args=(table, annotation))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL and table.exists() and not annotation.exists()
    assert was_killed(table, annotation)
    write(b"again", table, annotation, force=True)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == {table: b"again", annotation: b"again"}
    assert not was_killed(table, annotation)


def test_what_a_kill_left_beside_whole_files_goes(tmp_path: Path) -> None:
    place = tmp_path / "x.gff3"
    for left in (place, tmp_path / ".x.gff3.lock", tmp_path / ".x.gff3.123.tmp"):
        left.touch()
    files.remove_remains([place])
    assert list(tmp_path.iterdir()) == [place]
    with whole_files(tmp_path / "y", force=False, in_use=NONE):
        files.remove_remains([tmp_path / "y"])
        assert len(list(tmp_path.iterdir())) == 3  # another run's, which is at work


@pytest.mark.parametrize("how", ["itself", "symbolic", "hard"])
def test_what_is_read_is_never_written(how: str, tmp_path: Path) -> None:
    read, place = tmp_path / "x.gff3", tmp_path / "y.gff3"
    read.write_bytes(b"precious")
    if how == "itself":
        place = read
    elif how == "symbolic":
        place.symlink_to(read)
    else:
        place.hardlink_to(read)
    in_use = FilesInUse.of([("the input", read), ("the FASTA", None)])
    with pytest.raises(UsageError, match="is the input itself, which is never overwritten"):
        write(b"new", place, force=True, in_use=in_use)
    with pytest.raises(UsageError, match="is the input itself; name another file"):
        open_log(place, in_use)
    with pytest.raises(UsageError, match="y is the log file itself"):
        (tmp_path / "y").touch()
        write(b"new", tmp_path / "y", force=True, in_use=in_use.plus("the log file", tmp_path / "y"))
    assert read.read_bytes() == place.read_bytes() == b"precious"


def test_a_link_to_itself_is_no_output(tmp_path: Path) -> None:
    place = tmp_path / "x.gff3"
    place.symlink_to(place)
    with pytest.raises(UsageError, match=r"x\.gff3 is a link that leads nowhere"):
        write(b"new", place, force=True)


# What else opens files for writing, and why it need not ask: folders of its own, or training's bundles.
ELSEWHERE = {"bundle.py", "cli/commands/doctor.py", "io/sequences.py"}


def test_files_are_opened_for_writing_in_one_place() -> None:
    package = Path(glm_annot.__file__).parent
    found = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if any(_writes(node) for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    }
    assert {name for name in found if not name.startswith(("training/", "plugins/"))} == {
        "results/files.py",
        *ELSEWHERE,
    }


def _writes(node: ast.AST) -> bool:
    """Whether a call opens a file for writing: `open` with such a mode, or Path's own ways to do so."""
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    modes = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "mode")]
    said = [mode.value for mode in modes if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
    return name in ("write_text", "write_bytes", "FileHandler") or (
        name == "open" and any(set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in said)
    )
