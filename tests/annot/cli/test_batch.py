"""Many inputs: jobs, resuming, what fails and how it is told. Runs in this process but for the workers."""

from __future__ import annotations

import gzip
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from Bio import SeqIO

from glm_annot.cli import batch, jobs
from glm_annot.cli.batch import annotate_files
from glm_annot.cli.console import start_log
from glm_annot.cli.one_input import Annotator
from glm_annot.cli.tasks import Options, Task
from glm_annot.ec import reference as homology
from glm_annot.errors import InputError, ModelError, UsageError
from glm_annot.io import source, strip, tool_folders
from glm_annot.plugins import bakta
from glm_annot.results.files import FilesInUse, open_log
from glm_annot.results.write import to_stdout
from tests.annot.cli.test_app import command, environment, wait_for
from tests.support.made_genomes import ancestors, bakta_json, genbank, make_genome
from tests.support.rewritten import as_embl
from tests.support.tiny import made_gff3, made_metagenome

NAMES = ("a", "b", "c")
WITH_PROC = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="lists processes as Linux does")


@pytest.fixture
def options(tiny_bundle: Path, tmp_path: Path) -> Options:
    """What `glm-annot -o out/` would ask for, with the tiny model."""
    return Options(
        output=f"{tmp_path / 'out'}{os.sep}",
        fasta=None,
        faa=None,
        genetic_code=None,
        reference=None,
        model=str(tiny_bundle),
        device="cpu",
        jobs=1,
        threads=1,
        batch_size=8,
        precision="fp32",
        cache=None,
        cache_size=1.0,
        min_confidence=0.5,
        operons=True,
        ec=True,
        only_hypothetical=False,
        promote_ec=None,
        promote_to="note",
        dry_run=False,
        force=False,
        resume=False,
        quiet=True,
        log_file=None,
    )


@pytest.fixture
def inputs(tmp_path: Path) -> list[str]:
    """Three small genomes, the last of them GenBank, compressed."""
    paths = [tmp_path / "a.gff3", tmp_path / "b.gff3", tmp_path / "c.gbk.gz"]
    for seed, path in enumerate(paths[:2]):
        path.write_text(made_gff3(4 + seed, seed))
    text = genbank(make_genome("Example example", ancestors(5), seed=3))
    paths[2].write_bytes(gzip.compress(text.encode()))
    return [str(path) for path in paths]


@pytest.fixture(autouse=True)
def messages(tmp_path: Path) -> Iterator[Callable[[], list[str]]]:
    """What the program said so far at the level of information and above, without times."""
    start_log(quiet=True, log_file=open_log(tmp_path / "run.log", FilesInUse()))

    def said() -> list[str]:
        lines = (tmp_path / "run.log").read_text().splitlines()
        kept = [line.split(" ", 2)[2] for line in lines if " INFO " in line or " ERROR " in line]
        return [line.rpartition("; ")[0] if line.endswith(" s") else line for line in kept]

    yield said
    logging.getLogger("glm_annot").handlers.clear()


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_no_room_for_temporary_files_costs_one_input(
    options: Options, inputs: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A limit of the size of files stands for a disk that is full; the others' results are smaller."""
    resource = pytest.importorskip("resource")
    with Path(inputs[1]).open("a") as file:
        file.write(">long\n" + "A" * 10**6 + "\n")
    monkeypatch.setattr(source, "_SPOOLED", 1000)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, usual[1]))
    try:
        assert annotate_files(inputs, options) == InputError.exit_status
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert "b.gff3  no room in " in (tmp_path / "run.log").read_text()
    assert sorted(results(tmp_path / "out")) == ["a.glm.gff3", "a.glm.tsv", "c.glm.gbk", "c.glm.tsv"]


def test_genes_are_called_where_an_input_is_contigs_alone(
    options: Options, tmp_path: Path, messages: Callable[[], list[str]]
) -> None:
    contigs, annotated = tmp_path / "s.fna", tmp_path / "a.gff3"
    dna = "".join(make_genome("Example", ancestors(8, length=120), seed=seed).dna for seed in range(3))
    contigs.write_text(f">c\n{dna}\n")
    annotated.write_text(made_gff3(4, 0))
    inputs = [str(contigs), str(annotated)]
    assert annotate_files(inputs[:1], options) == 3
    assert "--call-genes calls them" in messages()[-1]
    calling = replace(options, call_genes=True)
    assert annotate_files(inputs, calling) == 0
    first = results(tmp_path / "out")
    assert set(first) == {"s.glm.gff3", "s.glm.tsv", "a.glm.gff3", "a.glm.tsv"}
    assert strip(first["s.glm.gff3"]).endswith(b"##FASTA\n" + contigs.read_bytes())
    assert first["s.glm.tsv"].count(b"\n") > 10
    assert annotate_files(inputs, replace(calling, resume=True)) == 0
    assert messages()[-1].endswith("inputs: 2 done before")


def test_embl_and_json_are_written_as_they_came(options: Options, tmp_path: Path) -> None:
    json, embl = tmp_path / "j.json.gz", tmp_path / "e.embl"
    json.write_bytes(gzip.compress(bakta_json(make_genome("Example", ancestors(5), seed=3))))
    text = BytesIO(genbank(make_genome("Example", ancestors(5), seed=4)).encode())
    embl.write_bytes(as_embl(SeqIO.parse(TextIOWrapper(text), "genbank")))
    assert annotate_files([str(json), str(embl)], options) == 0
    made = results(tmp_path / "out")
    assert set(made) == {"j.glm.json", "j.glm.tsv", "e.glm.embl", "e.glm.tsv"}
    assert strip(made["j.glm.json"]) == gzip.decompress(json.read_bytes())
    assert strip(made["e.glm.embl"]) == embl.read_bytes()
    assert annotate_files([str(json), str(embl)], replace(options, resume=True)) == 0
    assert results(tmp_path / "out") == made


def test_results_and_messages_are_the_same_with_any_number_of_jobs(
    inputs: list[str], options: Options, tmp_path: Path, messages: Callable[[], list[str]]
) -> None:
    (tmp_path / "bad.gff3").write_text("##gff-version 3\n")
    several = [inputs[0], str(tmp_path / "bad.gff3"), *inputs[1:]]
    assert annotate_files(several, options) == 3
    alone, said = results(tmp_path / "out"), messages()
    (tmp_path / "run.log").write_text("")
    spread = replace(options, output=f"{tmp_path / 'spread'}{os.sep}", jobs=2)
    assert annotate_files(several, spread) == 3
    assert results(tmp_path / "spread") == alone
    assert len(alone) == 6
    # the first line says where the model is, which differs
    assert [line.replace("spread", "out") for line in messages()[1:]] == [
        line for line in said if "model tiny" not in line
    ]


def test_what_failed_is_listed_at_the_end(
    inputs: list[str], options: Options, tmp_path: Path, messages: Callable[[], list[str]]
) -> None:
    missing, bad = tmp_path / "missing.gff3", tmp_path / "bad.gff3"
    bad.write_text("##gff-version 3\nc1\tx\tCDS\t1.5\t9\t.\t+\t0\tID=a\n")
    assert annotate_files([str(missing), *inputs, str(bad)], options) == 3
    text = (tmp_path / "run.log").read_text()
    assert "inputs: 3 done, 2 failed" in text
    width = len(str(missing))
    assert text.splitlines()[-2:] == [
        f"  {missing!s:<{width}}  no such file; check the path",
        f"  {bad!s:<{width}}  line 2: start '1.5' and end '9' must be whole numbers from 1 on",
    ]
    assert "ERROR 2 of 5 inputs failed:" in text


def test_one_input_alone_keeps_its_own_exit_status(
    inputs: list[str], options: Options, tmp_path: Path
) -> None:
    annotate_files(inputs[:1], options)
    (tmp_path / "out" / "a.glm.tsv").unlink()
    assert annotate_files(inputs[:1], options) == UsageError.exit_status
    assert annotate_files(inputs[:2], options) == 3
    assert (tmp_path / "out" / "b.glm.tsv").exists()


@pytest.mark.parametrize("name", ["a.glm.tsv", "a.glm.gff3"])
@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_there_already_costs_only_its_own_input(
    inputs: list[str], options: Options, tmp_path: Path, name: str, jobs: int
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("precious")
    assert annotate_files(inputs, replace(options, jobs=jobs)) == 3
    assert (tmp_path / "out" / name).read_text() == "precious"
    assert sorted(results(tmp_path / "out")) == sorted([name, *(f"b.glm.{end}" for end in ("gff3", "tsv")),
                                                        "c.glm.gbk", "c.glm.tsv"])  # fmt: skip
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert f"{name} exists; --force overwrites it" in lines[-1] and lines[-2].endswith(
        "1 of 3 inputs failed:"
    )


def test_a_failed_input_is_reported_once(
    inputs: list[str], options: Options, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start_log(quiet=False, log_file=None)
    (tmp_path / "folder").mkdir()
    (tmp_path / "bad.gff3").write_text("hello")
    failing = [str(tmp_path / name) for name in ("folder", "bad.gff3", "missing.gff3")]
    assert annotate_files([inputs[0], *failing], options) == 3
    shown = capsys.readouterr().err
    assert [shown.count(name) for name in failing] == [1, 1, 1]
    assert annotate_files(failing[1:2], options) == 3
    assert capsys.readouterr().err.count("bad.gff3") == 1


def test_an_interrupt_tells_what_failed_before_it(
    inputs: list[str], options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Annotator, task: Task) -> object:
        if task.target.name == "a":
            raise KeyboardInterrupt
        return real(self, task)

    real = Annotator._annotate
    monkeypatch.setattr(Annotator, "_annotate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        annotate_files([str(tmp_path / "missing.gff3"), *inputs], options)
    assert "1 of 4 inputs failed:" in (tmp_path / "run.log").read_text()


def test_a_bad_model_ends_everything(inputs: list[str], options: Options, tmp_path: Path) -> None:
    for count in (1, 2):
        with pytest.raises(ModelError, match="no model 'nonsense'"):
            annotate_files(inputs, replace(options, model="nonsense", jobs=count))
    assert not (tmp_path / "out").exists()


def test_resume_leaves_out_what_is_done_and_mends_what_is_not(
    inputs: list[str], options: Options, tmp_path: Path, messages: Callable[[], list[str]]
) -> None:
    annotate_files(inputs[1:], options)
    done = results(tmp_path / "out")
    (tmp_path / "out" / "c.glm.tsv").unlink()  # as if the run had ended between the two
    kept = (tmp_path / "out" / "b.glm.gff3").stat().st_mtime_ns
    resumed = replace(options, resume=True)
    assert annotate_files(inputs, resumed) == 0
    assert "INFO inputs: 2 done, 1 done before" in messages()
    assert (tmp_path / "out" / "b.glm.gff3").stat().st_mtime_ns == kept
    after = results(tmp_path / "out")
    assert len(after) == 6 and {name: after[name] for name in done} == done

    (tmp_path / "out" / "a.glm.tsv").write_bytes(after["a.glm.tsv"][:-20])  # cut short
    assert annotate_files(inputs, resumed) == 0
    assert messages()[-1] == "INFO inputs: 1 done, 2 done before"
    assert results(tmp_path / "out") == after


def test_resume_goes_on_where_a_kill_left_a_report_alone(
    inputs: list[str], options: Options, tmp_path: Path
) -> None:
    resumed = replace(options, resume=True, report=True)
    assert annotate_files(inputs[:1], resumed) == 0
    before = sorted(results(tmp_path / "out"))
    for name in ("a.glm.gff3", "a.glm.tsv"):  # as --force removes them, before it writes new ones
        (tmp_path / "out" / name).unlink()
        (tmp_path / "out" / f".{name}.lock").touch()
    assert annotate_files(inputs[:1], resumed) == 0
    assert sorted(results(tmp_path / "out")) == before and "a.glm.html" in before


@pytest.mark.parametrize(
    "other",
    [
        {"min_confidence": 0.6},
        {"promote_ec": 0.9},
        {"ec": False},
        {"operons": False},
        {"precision": "bf16"},
        {"genetic_code": 11},
    ],
)
@pytest.mark.parametrize("which", [0, 2])
def test_resume_does_not_take_other_settings_for_its_own(
    other: dict[str, object], which: int, inputs: list[str], options: Options, tmp_path: Path
) -> None:
    annotate_files([inputs[which]], options)
    before = results(tmp_path / "out")
    changed = replace(options, resume=True, **other)  # type: ignore[arg-type]
    assert annotate_files([inputs[which]], changed) == UsageError.exit_status
    assert "another model, program, input or options" in (tmp_path / "run.log").read_text()
    assert results(tmp_path / "out") == before
    assert annotate_files([inputs[which]], replace(changed, force=True)) == 0
    assert results(tmp_path / "out") != before


def test_resume_sees_that_the_input_has_changed(inputs: list[str], options: Options, tmp_path: Path) -> None:
    annotate_files(inputs[:2], options)
    Path(inputs[0]).write_text(made_gff3(7, seed=9))
    assert annotate_files(inputs[:2], replace(options, resume=True)) == 3
    text = (tmp_path / "run.log").read_text()
    assert "inputs: 1 done before, 1 failed" in text and "a.glm.gff3 exists, but another" in text


def test_resume_overwrites_no_stranger(inputs: list[str], options: Options, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.glm.tsv").write_text("precious")
    assert annotate_files(inputs[:1], replace(options, resume=True)) == UsageError.exit_status
    assert results(tmp_path / "out") == {"a.glm.tsv": b"precious"}


def test_an_input_named_like_a_result_is_never_written_over(options: Options, tmp_path: Path) -> None:
    """`x.glm.gff3` need not be of an earlier run."""
    given = tmp_path / "x.glm.gff3"
    given.write_text(made_gff3(7))
    for changed in (replace(options, output=None), replace(options, output=str(tmp_path))):
        assert annotate_files([str(given)], changed) == UsageError.exit_status
    said = [line for line in (tmp_path / "run.log").read_text().splitlines() if " ERROR " in line]
    assert len(said) == 2 and all("is the input itself, which is never overwritten" in line for line in said)
    assert given.read_text() == made_gff3(7)


def test_earlier_results_among_the_inputs_are_passed_over(
    inputs: list[str], options: Options, tmp_path: Path, messages: Callable[[], list[str]]
) -> None:
    beside = replace(options, output=None)
    (tmp_path / "run.glm.gff").write_text("")  # of another program, or renamed
    assert annotate_files([*inputs, str(tmp_path / "run.glm.gff")], beside) == 0
    everything = [str(path) for path in sorted(tmp_path.iterdir()) if path.suffix != ".log"]
    before = {path: Path(path).read_bytes() for path in everything}
    assert len(everything) == 3 + 6 + 1
    assert annotate_files(everything, replace(beside, resume=True)) == 0
    assert "INFO passed over: 7 earlier results of glm-annot (*.glm.*)" in messages()
    assert messages()[-1] == "INFO inputs: 3 done before"
    assert {path: Path(path).read_bytes() for path in everything} == before


def test_a_result_is_annotated_anew_when_it_is_named_alone(
    inputs: list[str], options: Options, tmp_path: Path, messages: Callable[[], list[str]]
) -> None:
    annotate_files(inputs[:1], options)
    result = str(tmp_path / "out" / "a.glm.gff3")
    anew = replace(options, output=f"{tmp_path}{os.sep}anew.gff3")
    assert annotate_files([result], replace(anew, resume=True)) == 0
    assert messages()[-1] == "INFO passed over: 1 earlier result of glm-annot (*.glm.*)"
    with pytest.raises(UsageError, match="all inputs are earlier results"):
        annotate_files([result, str(tmp_path / "out" / "a.glm.tsv")], options)
    assert annotate_files([result], anew) == 0
    assert (tmp_path / "anew.gff3").read_bytes() == Path(result).read_bytes()


def test_one_place_for_two_results_is_refused_before_the_work(
    inputs: list[str], options: Options, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    for same in (tmp_path / "other" / ".." / "a.gff3", tmp_path / "other" / "a.gbk"):
        with pytest.raises(UsageError, match="would both write"):
            annotate_files([inputs[0], str(same)], options)
    with pytest.raises(UsageError, match="would both write"):
        annotate_files([inputs[0], str(tmp_path / "other" / ".." / "a.gff3")], replace(options, output=None))


def test_standard_input_is_not_shared_out(inputs: list[str], options: Options) -> None:
    with pytest.raises(UsageError, match="standard input"):
        annotate_files([*inputs, "-"], replace(options, jobs=2))


def test_a_bad_folder_does_not_turn_the_output_folder_into_a_file(
    inputs: list[str], options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_folders, "plugins", lambda: {"bakta": bakta.plugin})  # installed or not
    (tmp_path / "empty").mkdir()
    out = replace(options, output=str(tmp_path / "new"))
    assert annotate_files([str(tmp_path / "empty"), inputs[0]], out) == 3
    assert sorted(results(tmp_path / "new")) == ["a.glm.gff3", "a.glm.tsv"]


def test_an_output_in_gz_is_compressed_and_resumed(
    inputs: list[str], options: Options, tmp_path: Path, messages: Callable[[], list[str]]
) -> None:
    annotate_files(inputs[:1], options)
    packed = replace(options, output=str(tmp_path / "strain.v2.gff3.gz"))
    assert annotate_files(inputs[:1], packed) == 0
    content = (tmp_path / "strain.v2.gff3.gz").read_bytes()
    assert gzip.decompress(content) == (tmp_path / "out" / "a.glm.gff3").read_bytes()
    assert (tmp_path / "strain.v2.tsv").read_bytes() == (tmp_path / "out" / "a.glm.tsv").read_bytes()
    assert annotate_files(inputs[:1], replace(packed, resume=True)) == 0
    assert messages()[-1] == "INFO inputs: 1 done before"


@pytest.mark.parametrize("resume", [False, True])
def test_an_output_of_another_format_is_wrong_usage(
    inputs: list[str], options: Options, tmp_path: Path, resume: bool
) -> None:
    other = replace(options, output=str(tmp_path / "new.gbk"), resume=resume)
    assert annotate_files(inputs[:1], other) == UsageError.exit_status
    assert "name a .gff3 file" in (tmp_path / "run.log").read_text()
    assert not (tmp_path / "new.gbk").exists()


# ---- processes ----


def start_worker() -> Callable[[str], str]:
    """Work for `jobs.share` that can fail and die at will."""

    def work(task: str) -> str:
        if task == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "exit":
            os._exit(7)
        if task == "error":
            raise ModelError("no model")
        if task.startswith("wait"):
            time.sleep(float(task.removeprefix("wait")))
        return task.upper()

    return work


def test_answers_come_in_order_and_a_dead_process_costs_one_task() -> None:
    tasks = ["wait0.3", "a", "killed", "b", "exit", "c"]
    lost: list[tuple[str, int]] = []

    def note_death(task: str, process: int, exit_code: int) -> str:
        assert process > 0
        lost.append((task, exit_code))
        return "lost"

    answers = list(jobs.share(tasks, start_worker, 2, on_death=note_death))
    assert answers == ["WAIT0.3", "A", "lost", "B", "lost", "C"]
    assert sorted(lost) == [("exit", 7), ("killed", -signal.SIGKILL)]


@WITH_PROC
def test_an_error_ends_all_processes() -> None:
    before = children()
    with pytest.raises(ModelError, match="no model"):
        list(jobs.share(["error", "wait60"], start_worker, 2, on_death=lambda *_: ""))
    assert children() == before


def children() -> set[str]:
    """The processes that this one has started, but for the one that tracks resources."""
    here = Path("/proc/self/task").glob("*/children")
    found = {pid for path in here for pid in path.read_text().split()}
    return {pid for pid in found if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()}


def test_a_killed_process_is_a_failure_of_its_input(
    inputs: list[str], options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "_worker", fragile_worker)
    assert annotate_files(inputs, replace(options, jobs=2)) == 3
    text = (tmp_path / "run.log").read_text()
    assert f"{inputs[1]}  its process was killed by signal 9; most likely memory ran out" in text
    names = sorted(results(tmp_path / "out"))
    assert names == ["a.glm.gff3", "a.glm.tsv", "c.glm.gbk", "c.glm.tsv"]


def fragile_worker(options: Options) -> Callable[..., object]:
    """As `batch._worker`, but killed in the middle of writing what becomes of the input b."""
    work = Annotator(options)

    def killed_at_b(task: Task) -> object:
        if task.target.name == "b":
            folder = task.target.folder
            assert folder is not None
            folder.mkdir(exist_ok=True)
            (folder / f".b.glm.gff3.{os.getpid()}.tmp").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
        return work(task)

    return killed_at_b


@WITH_PROC
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_run_that_was_stopped(number: int, tmp_path: Path, tiny_bundle: Path) -> None:
    """Ctrl-C, which reaches all processes of a terminal, or the death of the first one alone."""
    for name in NAMES:  # some seconds of work each
        (tmp_path / f"{name}.gff3").write_text(made_metagenome(500))
    args = command([*(f"{name}.gff3" for name in NAMES), "-o", "out/", "--jobs", 2, "--model", tiny_bundle])
    log = tmp_path / "stderr"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            args, cwd=tmp_path, env=environment(), stderr=stderr, preexec_fn=_as_a_shell_would
        )
    wait_for(log, "2 processes")
    while len(at_work(process.pid)) < 2:
        time.sleep(0.05)
    os.killpg(process.pid, number) if number == signal.SIGINT else process.kill()
    assert process.wait(timeout=60) == (130 if number == signal.SIGINT else -signal.SIGKILL)
    end = time.monotonic() + 60
    while (left := group(process.pid)) and time.monotonic() < end:
        time.sleep(0.05)
    for pid in left:
        os.kill(int(pid), signal.SIGKILL)
    assert not left
    assert b"Traceback" not in log.read_bytes()
    assert not (tmp_path / "out").exists()


def _as_a_shell_would() -> None:
    """A group of processes of its own, which heeds interrupts."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def at_work(leader: int) -> list[str]:
    """Its workers that have begun; one that is only being started would end with a traceback of Python's."""
    found = []
    for pid in group(leader):
        with suppress(OSError):  # it may have ended
            if pid != str(leader) and "libtorch" in Path(f"/proc/{pid}/maps").read_text():
                found.append(pid)
    return found


def group(leader: int) -> list[str]:
    """Living processes of a group that run this program."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            words = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[2]) == leader and fields[0] != "Z" and b"resource_tracker" not in words:
            found.append(stat.parent.name)
    return found


def test_strip_still_gives_the_input_back(inputs: list[str], options: Options, tmp_path: Path) -> None:
    annotate_files(inputs, replace(options, ec=False, precision="bf16"))
    assert strip((tmp_path / "out" / "a.glm.gff3").read_bytes()) == Path(inputs[0]).read_bytes()
    original = gzip.decompress(Path(inputs[2]).read_bytes())
    assert strip((tmp_path / "out" / "c.glm.gbk").read_bytes()) == original


def test_a_reference_is_part_of_what_a_result_came_from(
    inputs: list[str], options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = tmp_path / "enzymes.faa"
    reference.write_text(">a EC=1.1.1.1\nMKVLAAGIVGLPNVGKSTLFNALTKAGIEAANYPFCTIEPNTGVVPMPDPRLDQLAEIVKPQR\n")
    annotate_files(inputs[:1], options)
    resumed = replace(options, resume=True, reference=reference)
    assert annotate_files(inputs[:1], resumed) == UsageError.exit_status
    assert annotate_files(inputs[:1], replace(resumed, force=True)) == 0
    assert annotate_files(inputs[:1], resumed) == 0
    assert re.search(
        rb"; reference_sha256=\w{64}; searched_by=pyopal [\d.]+\n",
        (tmp_path / "out" / "a.glm.gff3").read_bytes(),
    )
    with monkeypatch.context() as patch:
        patch.setattr(homology, "PROGRAM", "pyopal 0")
        assert annotate_files(inputs[:1], resumed) == UsageError.exit_status  # another program
    reference.write_text(">a\nMKV\n")
    with pytest.raises(InputError, match="no FASTA header holds an EC number"):
        annotate_files(inputs[:2], replace(options, force=True, reference=reference))


def test_standard_output_that_takes_only_a_part_gets_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an unbuffered one does (PYTHONUNBUFFERED) when its disk runs full: only the next write fails."""

    class Narrow(BytesIO):
        def write(self, content: Any) -> int:
            return super().write(content[:3])

    out = Narrow()
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out))
    to_stdout([b"12345678", b"", b"90"])
    assert out.getvalue() == b"1234567890"


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_faulty_reference_shows_before_inputs_and_model(
    inputs: list[str], options: Options, tmp_path: Path, jobs: int
) -> None:
    Path(inputs[0]).write_text("neither")
    missing = replace(options, jobs=jobs, model="none", reference=tmp_path / "enzymes.faa")
    with pytest.raises(InputError, match=r"enzymes\.faa: no such file"):
        annotate_files(inputs, missing)


@pytest.mark.parametrize("needs_ec", [{"promote_ec": 0.9}, {"reference": Path("enzymes.faa")}])
def test_what_needs_ec_numbers_contradicts_their_absence(
    inputs: list[str], options: Options, needs_ec: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match="--no-ec"):
        annotate_files(inputs[:1], replace(options, ec=False, **needs_ec))


def test_a_cache_changes_no_result(inputs: list[str], options: Options, tmp_path: Path) -> None:
    annotate_files(inputs[:1], options)
    alone = results(tmp_path / "out")
    for _ in range(2):
        annotate_files(inputs[:1], replace(options, force=True, cache=tmp_path / "cache"))
        assert results(tmp_path / "out") == alone
    assert len(list((tmp_path / "cache").glob("*.sqlite"))) == 1
