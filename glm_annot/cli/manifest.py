"""`--manifest`: what a run was, as JSON beside its results. Times are in it, so no two are the same."""

from __future__ import annotations

import json
import platform
import shlex
import sys
from dataclasses import asdict
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glm_annot.cli.tasks import Options, Task
from glm_annot.results.output import is_stream

if TYPE_CHECKING:
    from glm_annot.bundle import Model
    from glm_annot.cli.summary import Summary
    from glm_annot.pipeline import Settings


def run_manifest(
    task: Task, options: Options, model: Model, settings: Settings, summary: Summary, started: datetime
) -> bytes:
    """The manifest of one input, once all of it is predicted.

    Args:
        task, options: what was asked for.
        model, settings: as they were used.
        summary: the counts.
        started: when work on this input began, in UTC.
    """
    from glm_annot.pipeline import provenance

    made_by = asdict(provenance(model, settings))
    content = {
        "program": made_by.pop("program"),
        "command": shlex.join(["glm-annot", *sys.argv[1:]]),
        "model": {key: made_by.pop(f"model{rest}") for key, rest in _MODEL.items()},
        "inputs": _inputs(task, options),
        "settings": {
            **made_by,
            "promote_ec": options.promote_ec,
            "promote_to": options.promote_to,
            "genetic_code": options.genetic_code,
            "call_genes": options.call_genes,
            "batch_size": settings.batch_size,
        },
        "counts": summary.counts(),
        "times": {
            "started": started.isoformat(timespec="seconds"),
            "seconds": round((datetime.now(timezone.utc) - started).total_seconds(), 1),
        },
        "machine": {
            "system": platform.platform(),
            "python": platform.python_version(),
            "torch": version("torch"),
            "device": str(next(model.glm.parameters()).device),
        },
    }
    return (json.dumps(content, indent=1) + "\n").encode()


_MODEL = {"name": "", "version": "_version", "sha256": "_sha256"}  # of the manifest, of `Provenance`


def _inputs(task: Task, options: Options) -> dict[str, Any]:
    """Each file that was read, with its sha256; what can be read only once, as standard input, has none."""
    from glm_annot.io.checksums import file_sha256

    files = task.files
    read = {
        "annotation": Path(files.annotation),
        "fasta": files.fasta,
        "faa": files.faa,
        "details": files.details,
        "reference": options.reference,
    }
    return {
        what: {"file": str(path), "sha256": None if is_stream(str(path)) else file_sha256(path)}
        for what, path in read.items()
        if path
    }
