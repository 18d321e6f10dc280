"""Fixtures for all tests: a small genome, a tiny model with random weights, the shared data where present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that is not part of the project; skips the test where it is absent."""
    folder = Path(os.environ.get("GLM_ANNOT_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set GLM_ANNOT_DATA to its folder")
    return folder
