"""JSON files that are whole or not there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_json(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    """Write a file in one step, so that an interruption leaves the old one or the new one."""
    draft = path.with_name(f"{path.name}.part")
    draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)
