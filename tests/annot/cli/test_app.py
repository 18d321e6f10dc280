"""`glm-annot` as users meet it: a subprocess, its exit status, its messages, the files it leaves."""

from __future__ import annotations

import gzip
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from glm_annot.io import strip as strip_text
from tests.support.paths import ROOT

INSTALLED = bool(entry_points(group="glm_annot.plugins"))

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `python -m glm_annot ARGS` in the test's folder."""

    def call(*args: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command(args), cwd=tmp_path, env=environment(), input=stdin, capture_output=True
        )

    return call


def command(args: Sequence[object]) -> list[str]:
    return [sys.executable, "-m", "glm_annot", *map(str, args)]


def environment() -> dict[str, str]:
    """The installed program where there is one, else that of the checkout."""
    path = {} if INSTALLED else {"PYTHONPATH": str(ROOT)}
    return {**os.environ, **path, "OMP_NUM_THREADS": "1"}


def complaint(done: subprocess.CompletedProcess[bytes], status: int) -> str:
    """The one line of a failure: nothing on stdout, no traceback, the expected exit status."""
    message = done.stderr.decode()
    assert done.returncode == status, message
    assert "Traceback" not in message
    lines = [line for line in message.splitlines() if line]
    assert len(lines) == 1 and lines[0].startswith("glm-annot: error: "), message
    assert done.stdout == b""
    return lines[0]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full here")
def test_a_full_disk_behind_standard_output_is_one_line(small_gff3: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command(["strip", small_gff3]), env=environment(), stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert done.stderr == b"glm-annot: error: cannot write to standard output: No space left on device\n"


@pytest.mark.parametrize(
    ("option", "value"), [("--min-confidence", "nan"), ("--promote-ec", "nan"), ("--max-unpacked", "inf")]
)
def test_a_number_is_a_number(run: Run, small_gff3: Path, tiny_bundle: Path, option: str, value: str) -> None:
    done = run(small_gff3, "--model", tiny_bundle, "--dry-run", option, value)
    assert done.returncode == 2 and b"is not a finite number" in done.stderr


@pytest.mark.parametrize(
    ("option", "value"), [("--threads", "100000"), ("--cache-size", "1e300"), ("--max-unpacked", "0")]
)
def test_sizes_beyond_all_bounds_are_wrong_usage(
    option: str, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from glm_annot.cli import app

    monkeypatch.setattr(sys, "argv", ["glm-annot", "x.gff3", option, value])
    with pytest.raises(SystemExit) as end:
        app.main()
    assert end.value.code == 2 and "is not in the range" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full here")
@pytest.mark.parametrize("args", [["--help"], ["models"]])
def test_help_and_models_on_a_full_disk_are_one_line(args: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command(args), env=environment(), stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.startswith(b"glm-annot: error: ") and done.stderr.count(b"\n") == 1
    assert b"No space left on device" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_streams_that_are_closed_are_no_traceback_and_take_no_file(
    closed: str, small_gff3: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    words = command([small_gff3, "--model", tiny_bundle, "-o", tmp_path / "out.gff3"])
    done = subprocess.run(f"{shlex.join(words)} {closed}", shell=True, env=environment(), capture_output=True)
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert strip_text((tmp_path / "out.gff3").read_bytes()) == small_gff3.read_bytes()


def test_a_pipe_by_name_goes_to_standard_output(run: Run, small_gff3: Path, tiny_bundle: Path) -> None:
    done = run("/dev/stdin", "--model", tiny_bundle, stdin=small_gff3.read_bytes())
    assert done.returncode == 0, done.stderr.decode()
    assert strip_text(done.stdout) == small_gff3.read_bytes()


def test_default_command_writes_annotation_and_table_beside_the_input(
    run: Run, small_gff3: Path, tiny_bundle: Path
) -> None:
    done = run(small_gff3, "--model", tiny_bundle)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout == b""
    annotated = small_gff3.with_name("small.glm.gff3").read_text()
    table = small_gff3.with_name("small.glm.tsv").read_text().splitlines()
    assert annotated.count("glm_operon=") == 34
    assert len(table) == 35 and table[0].startswith("contig\tstart\tend\tstrand\tlocus_tag")
    summary = done.stderr.decode().splitlines()[-1]
    assert "small.gff3: 34 genes; new EC numbers for " in summary and summary.endswith(" s")


def test_strip_gives_the_input_back(run: Run, small_gff3: Path, tiny_bundle: Path) -> None:
    annotated = run(small_gff3, "--model", tiny_bundle, "-o", "-").stdout
    assert annotated != small_gff3.read_bytes()
    (small_gff3.parent / "annotated.gff3").write_bytes(annotated)
    assert run("strip", "annotated.gff3").stdout == small_gff3.read_bytes()
    done = run("strip", "annotated.gff3", "-o", "back.gff3")
    assert done.returncode == 0
    assert (small_gff3.parent / "back.gff3").read_bytes() == small_gff3.read_bytes()


def test_strip_refuses_what_is_no_annotation(run: Run, small_gff3: Path) -> None:
    (small_gff3.parent / "proteins.faa").write_text(">a\nMKV\n")
    done = run("strip", "proteins.faa")
    assert "these are proteins (FASTA)" in complaint(done, 3) and done.stdout == b""


def test_annotating_our_own_output_replaces_the_additions(
    run: Run, small_gff3: Path, tiny_bundle: Path
) -> None:
    run(small_gff3, "--model", tiny_bundle)
    annotated = small_gff3.with_name("small.glm.gff3")
    first = annotated.read_bytes()
    again = run(annotated, "--model", tiny_bundle, "-o", "again.gff3")
    assert again.returncode == 0, again.stderr.decode()
    assert annotated.with_name("again.gff3").read_bytes() == first
    assert "is the input itself" in complaint(run(annotated, "--model", tiny_bundle, "--force"), 2)
    assert annotated.read_bytes() == first


def test_standard_input_goes_to_standard_output(run: Run, small_gff3: Path, tiny_bundle: Path) -> None:
    from_file = run(small_gff3, "--model", tiny_bundle, "-o", "-")
    piped = run("-", "--model", tiny_bundle, stdin=gzip.compress(small_gff3.read_bytes()))
    assert piped.returncode == 0, piped.stderr.decode()
    assert piped.stdout == from_file.stdout
    assert not list(small_gff3.parent.glob("*.tsv"))


def test_options_come_in_any_order_and_choose_what_is_predicted(
    run: Run, small_gff3: Path, tiny_bundle: Path
) -> None:
    options = ("--no-ec", "--no-operons", "--threads", 1, "--batch-size", 1, "--precision", "fp32")
    done = run(*options, "--device", "cpu", "--model", tiny_bundle, small_gff3, "-o", "-")
    assert done.returncode == 0, done.stderr.decode()
    assert b"glm_context_fit=" in done.stdout
    assert b"glm_ec=" not in done.stdout and b"glm_operon" not in done.stdout
    assert b"EC" not in done.stderr and b"operons" not in done.stderr


def test_dry_run_writes_nothing_and_says_what_it_would(run: Run, small_gff3: Path, tiny_bundle: Path) -> None:
    done = run("--dry-run", small_gff3, "--model", tiny_bundle)
    assert done.returncode == 0
    assert "34 genes; 2 windows" in done.stderr.decode()
    assert "would write" in done.stderr.decode() and "small.glm.gff3" in done.stderr.decode()
    assert [path.name for path in small_gff3.parent.iterdir()] == ["small.gff3"]


def test_nothing_is_overwritten_without_force(run: Run, small_gff3: Path, tiny_bundle: Path) -> None:
    table = small_gff3.with_name("small.glm.tsv")
    table.write_text("precious")
    assert "exists; --force overwrites" in complaint(run(small_gff3, "--model", tiny_bundle), 2)
    assert table.read_text() == "precious"
    assert run(small_gff3, "--model", tiny_bundle, "--force").returncode == 0
    assert table.read_text() != "precious"


def test_the_input_itself_is_never_overwritten(run: Run, small_gff3: Path, tiny_bundle: Path) -> None:
    before = small_gff3.read_bytes()
    done = run(small_gff3, "-o", small_gff3, "--force", "--model", tiny_bundle)
    assert "is the input itself" in complaint(done, 2)
    assert small_gff3.read_bytes() == before


def test_a_bad_file_among_several_does_not_stop_the_others(
    run: Run, small_gff3: Path, tiny_bundle: Path
) -> None:
    (small_gff3.parent / "bad.gff3").write_text("##gff-version 3\n")
    done = run("bad.gff3", small_gff3, "--model", tiny_bundle, "-o", "out")
    message = done.stderr.decode()
    assert done.returncode == 3 and "Traceback" not in message
    assert "1 of 2 inputs failed:\n  bad.gff3  " in message and message.count("bad.gff3") == 1
    names = sorted(path.name for path in (small_gff3.parent / "out").iterdir())
    assert names == ["small.glm.gff3", "small.glm.tsv"]


def test_quiet_and_log_file(run: Run, small_gff3: Path, tiny_bundle: Path) -> None:
    done = run(small_gff3, "--model", tiny_bundle, "-q", "--log-file", "run.log")
    assert done.returncode == 0 and done.stderr == b""
    assert "small.gff3: 34 genes; " in (small_gff3.parent / "run.log").read_text()


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full here")
def test_a_log_file_on_a_full_disk_is_given_up_in_one_line(
    run: Run, small_gff3: Path, tiny_bundle: Path
) -> None:
    done = run(small_gff3, "--model", tiny_bundle, "--log-file", "/dev/full")
    said = done.stderr.decode()
    assert done.returncode == 0 and "Traceback" not in said
    assert said.count("warning: --log-file /dev/full: No space left on device") == 1
    assert "small.gff3: 34 genes; " in said


def test_the_log_file_keeps_the_traceback_of_a_failure(run: Run, tmp_path: Path, tiny_bundle: Path) -> None:
    complaint(run("missing.gff3", "--model", tiny_bundle, "--log-file", "run.log"), 3)
    assert "Traceback" in (tmp_path / "run.log").read_text()


# Every kind of unusable input ends in one line that names the file (and line) and says what to do.
CDS = b"c1\tx\tCDS\t1\t90\t.\t+\t0\tID=a\n"
SEQUENCE = b"##FASTA\n>c1\n" + b"ATG" + b"GCA" * 28 + b"TAA\n"
BAD_INPUTS = {
    "empty": (b"", "the file is empty"),
    "binary": (bytes(range(256)) * 4, "binary"),
    "not annotation": (b"hello, world\n", "neither GFF3"),
    "fasta": (b">c1\nACGT\n", "these are contigs without genes (FASTA)"),
    "no CDS": (b"##gff-version 3\nc1\tx\tgene\t1\t90\t.\t+\t.\tID=a\n" + SEQUENCE, "no CDS"),
    "no sequences": (b"##gff-version 3\n" + CDS, "--fasta"),
    "past the end": (b"##gff-version 3\n" + CDS.replace(b"90", b"900") + SEQUENCE, "every CDS reaches past"),
    "broken gzip": (gzip.compress(b"##gff-version 3\n" + CDS)[:-9], "gzip"),
}


@pytest.mark.parametrize("kind", BAD_INPUTS)
def test_bad_input_is_one_clear_line(kind: str, run: Run, tmp_path: Path, tiny_bundle: Path) -> None:
    content, expected = BAD_INPUTS[kind]
    (tmp_path / "bad.gff3").write_bytes(content)
    line = complaint(run("bad.gff3", "--model", tiny_bundle), 3)
    assert "bad.gff3" in line and expected in line
    assert [path.name for path in tmp_path.iterdir()] == ["bad.gff3"]


@pytest.mark.skipif(not INSTALLED, reason="the package is not installed")
def test_the_installed_program_knows_the_folder_of_a_tool(small_gff3: Path, tiny_bundle: Path) -> None:
    small_gff3.with_suffix(".json").write_text("{}")  # with it the folder is Bakta's
    program = Path(sys.executable).with_name("glm-annot")
    args = [program, small_gff3.parent, "--model", tiny_bundle]
    done = subprocess.run(args, cwd=small_gff3.parent, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert b"output of bakta, reading small.gff3" in done.stderr
    assert small_gff3.with_name("small.glm.gff3").exists()


def test_missing_file_and_folder(run: Run, tmp_path: Path, tiny_bundle: Path) -> None:
    assert "missing.gff3: no such file" in complaint(run("missing.gff3", "--model", tiny_bundle), 3)
    (tmp_path / "folder").mkdir()
    assert "folder" in complaint(run("folder", "--model", tiny_bundle), 3)
    for name in ("a.gff3", "b.gbk.gz", "c.gff", "d.gbff", "e.txt", "a.glm.gff3"):
        (tmp_path / "folder" / name).touch()
    line = complaint(run("folder", "--model", tiny_bundle), 3)
    assert "name an annotation file in it (a.gff3, b.gbk.gz, c.gff, ...)" in line
    assert "give folder/* for all of them" in line


def test_nucleotides_where_proteins_are_expected(run: Run, small_gff3: Path, tiny_bundle: Path) -> None:
    (small_gff3.parent / "genes.faa").write_text(">MADE_0001\n" + "ACGT" * 30 + "\n")
    line = complaint(run(small_gff3, "--faa", "genes.faa", "--model", tiny_bundle), 3)
    assert "genes.faa" in line and "nucleotides" in line


def test_windows_line_ends_and_missing_last_newline_are_fine(
    run: Run, small_gff3: Path, tiny_bundle: Path
) -> None:
    windows_text = small_gff3.read_bytes().rstrip().replace(b"\n", b"\r\n")
    small_gff3.write_bytes(windows_text)
    annotated = run(small_gff3, "--model", tiny_bundle, "-o", "-")
    assert annotated.returncode == 0, annotated.stderr.decode()
    assert b"glm_operon=" in annotated.stdout
    assert run("strip", "-", stdin=annotated.stdout).stdout == windows_text


def test_unusable_model(run: Run, small_gff3: Path, tmp_path: Path) -> None:
    assert "no model 'nonsense'" in complaint(run(small_gff3, "--model", "nonsense"), 4)
    (tmp_path / "model").mkdir()
    assert "config.json" in complaint(run(small_gff3, "--model", "model"), 4)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--device", "nonsense"), "nonsense"),
        (("--device", "cuda:99"), "cuda:99"),
        (("--device", "meta"), "it holds no numbers"),
        (("-o", "nowhere/deep/out.gff3"), "does not exist"),
        (("--log-file", "nowhere/log"), "--log-file nowhere/log"),
    ],
)
def test_wrong_usage(
    options: tuple[str, ...], expected: str, run: Run, small_gff3: Path, tiny_bundle: Path
) -> None:
    assert expected in complaint(run(small_gff3, "--model", tiny_bundle, *options), 2)


def test_one_fasta_for_several_inputs_is_refused(run: Run, small_gff3: Path) -> None:
    assert "one input" in complaint(run(small_gff3, "other.gff3", "--fasta", "x.fna"), 2)


@pytest.mark.parametrize(
    "args", [("--min-confidence", "1.5", "x.gff"), ("--nonsense", "x.gff"), (), ("annotate",)]
)
def test_click_says_what_is_wrong_with_options(args: tuple[str, ...], run: Run) -> None:
    done = run(*args)
    assert done.returncode == 2
    assert b"Usage: glm-annot" in done.stderr and b"Traceback" not in done.stderr


def test_help_version_citation(run: Run) -> None:
    shown = run("--help").stdout.decode()
    assert run("help").stdout.decode() == shown
    assert "Examples:" in shown and "--promote-ec" in shown and "strip" in shown
    assert run("--version").stdout.decode().startswith("glm-annot, version ")
    assert "Hwang" in run("--citation").stdout.decode()


def test_models_are_listed_and_described(run: Run, tiny_bundle: Path) -> None:
    assert run("models").returncode == 0
    assert "tiny card" in run("models", tiny_bundle).stdout.decode()
    assert "no model 'nonsense'" in complaint(run("models", "nonsense"), 4)


def test_an_interrupt_is_no_traceback_and_leaves_no_file(tmp_path: Path) -> None:
    args = command(("-", "-o", "out.gff3", "--log-file", "run.log"))
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(
        args, cwd=tmp_path, env=environment(), preexec_fn=_heed_interrupts, **pipes
    ) as process:
        wait_for(tmp_path / "run.log", "reading -")  # and now it waits for its standard input
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted" in message and b"Traceback" not in message
    assert [path.name for path in tmp_path.iterdir()] == ["run.log"]


def _heed_interrupts() -> None:
    """What a shell starts in the background ignores interrupts, and so would all that the tests start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for(log: Path, text: str, seconds: float = 60.0) -> None:
    """Until the log holds the text."""
    end = time.monotonic() + seconds
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < end, f"no {text!r} in {log} after {seconds} s"
        time.sleep(0.05)
