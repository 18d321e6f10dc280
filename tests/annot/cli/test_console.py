"""What the user sees: one line for each failure, and nothing that moves the cursor."""

from __future__ import annotations

import io
import json
import logging
from datetime import datetime, timedelta

import pytest

from glm_annot.cli.console import failure, start_log, visible
from glm_annot.errors import InputError


def test_control_characters_are_shown_not_obeyed() -> None:
    assert visible("a\x1b[31m\x07\r\x85b\tc\nd\u00e9") == "a\\x1b[31m\\x07\\r\\x85b\tc\nd\u00e9"


def test_names_from_files_are_inert_on_the_screen_and_in_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    log_file = io.StringIO()
    start_log(quiet=False, log_file=log_file)
    logging.getLogger("glm_annot.x").warning("contig %s", "\x1b]0;title\x07")
    start_log(quiet=False)
    for said in (capsys.readouterr().err, log_file.getvalue()):
        assert "contig \\x1b]0;title\\x07\n" in said and "\x1b" not in said


def test_messages_as_json_are_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    start_log(quiet=False, json_lines=True)
    log = logging.getLogger("glm_annot.x")
    log.info("%s of 3", 2)
    log.error('no "gene"\nhere \x1b')
    start_log(quiet=False)
    info, error = map(json.loads, capsys.readouterr().err.splitlines())
    assert (info["level"], info["message"]) == ("info", "2 of 3") and info.keys() == error.keys()
    assert error["message"] == 'no "gene"\nhere \\x1b' and error["level"] == "error"
    assert datetime.fromisoformat(info["time"]).utcoffset() == timedelta()


@pytest.mark.parametrize(
    ("error", "line", "status"),
    [
        (InputError("no CDS", "x.gff3"), "x.gff3: no CDS", 3),
        (MemoryError(), "there is not enough memory; ", 1),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "there is not enough", 1),
        (OSError(28, "No space left on device", "/tmp/x"), "/tmp/x: No space left on device", 1),
        (FileNotFoundError(2, "No usable temporary directory"), "writing: No usable temporary directory", 1),
        (KeyError("x"), "unexpected KeyError: 'x'", 1),
    ],
)
def test_every_failure_is_one_line(error: Exception, line: str, status: int) -> None:
    said, code = failure(error)
    assert said.startswith(line) and "\n" not in said and code == status
