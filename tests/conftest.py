"""Fixtures for all tests: a small genome, a tiny model with random weights, the shared data where present."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from glm_annot.bundle import Model


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that is not part of the project; skips the test where it is absent."""
    folder = Path(os.environ.get("GLM_ANNOT_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set GLM_ANNOT_DATA to its folder")
    return folder


@pytest.fixture
def small_gff3(tmp_path: Path) -> Path:
    """A made-up genome of 34 genes, more than one window, on one contig."""
    from tests.support.tiny import made_gff3

    path = tmp_path / "small.gff3"
    path.write_text(made_gff3(34), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer model with random weights and both heads, as a bundle on disk."""
    from glm_annot.bundle import save
    from tests.support.tiny import tiny

    folder = tmp_path_factory.mktemp("models") / "tiny"
    save(tiny(), folder, metrics={"suite": {"figure": 0.5}}, card="# tiny card\n")
    return folder


@pytest.fixture(scope="session")
def tiny_model(tiny_bundle: Path) -> Model:
    """The same, loaded."""
    from glm_annot.bundle import load

    return load(tiny_bundle)
