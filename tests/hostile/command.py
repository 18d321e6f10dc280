"""Damaged annotations through the real command, with a small model: what it writes, prints and returns."""

from __future__ import annotations

import contextlib
import io
import logging
import random
import re
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from glm_annot import bundle
from glm_annot.cli import app
from glm_annot.errors import InputError
from glm_annot.io import strip
from glm_annot.io.source import read_bytes
from tests.hostile.outcomes import require
from tests.support.tiny import tiny

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@cache
def _model() -> Path:
    folder = Path(mkdtemp(prefix="hostile-")) / "model"
    bundle.save(tiny(), folder, metrics={}, card="# Tiny\n")
    return folder


def annotate_and_strip(path: Path, rng: random.Random) -> None:
    """`glm-annot FILE`, and what it leaves.

    Raises:
        InputError: it was refused, with status 3.
        LostError: bytes are lost, or the message is not as it should be.
    """
    original = path.read_bytes()
    output = path.with_name("out.gff3")
    options = ["--force", "--threads", "1", *(["--promote-ec", "0.6"] if rng.random() < 0.5 else [])]
    status, said = _run([str(path), "-o", str(output), "--model", str(_model()), *options])
    require(path.read_bytes() == original, "the input was changed")
    require("Traceback" not in said and "unexpected" not in said, f"it said: {said[-500:]}")
    require(not _CONTROL.search(said), f"control characters on the screen: {said!r}")
    left = sorted(each.name for each in path.parent.iterdir() if each.name.startswith("."))
    require(not left, f"left behind: {left}")
    if status:
        require(status == InputError.exit_status, f"status {status}: {said[-500:]}")
        require(not output.exists(), "a refused input has a result")
        raise InputError(said.strip().splitlines()[-1])
    require(strip(output.read_bytes()) == strip(read_bytes(path)), "strip gives other bytes than the input's")
    require(output.with_suffix(".tsv").exists(), "no table")
    for written in (output, output.with_suffix(".tsv")):
        written.unlink()


def _run(arguments: list[str]) -> tuple[int, str]:
    """Status, and what it said on standard error."""
    before, said = sys.argv, io.StringIO()
    sys.argv = ["glm-annot", *arguments]
    logging.disable(logging.NOTSET)
    try:
        with contextlib.redirect_stderr(said):
            app.main()
        return 0, said.getvalue()
    except SystemExit as end:
        return int(end.code or 0), said.getvalue()
    finally:
        logging.disable(logging.CRITICAL)
        sys.argv = before
