"""The table of models: its sizes are those of the models, and the page has a place for it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from click.testing import CliRunner

from glm_annot.bundle import known
from glm_annot.model.sizes import PLMConfig
from glm_annot.training.encoder import official
from glm_annot.training.evaluate.tables import around
from glm_annot.training.plan.plan import PUBLISHED, UTILISATION, span
from tests.bench import model_table
from tests.support.paths import ROOT


def test_shapes_are_those_of_the_models() -> None:
    config = json.loads((known()["mini"] / "config.json").read_text())
    glm = config["glm"]
    assert config["plm"] == {"method": "kmers", **asdict(model_table.ENCODERS["encoder of mini"][0])}
    sizes = model_table.GLMS["gLM of mini"][0]
    assert sizes == (glm["input_dim"], glm["dim"], glm["layers"], glm["heads"], glm["ffn"])
    for name, shape in official.SHAPES.items():
        row = model_table.ENCODERS.get(f"ESM2 {name.split('_')[2]}")
        assert row is None or row[0] == PLMConfig(shape.layers, shape.dim, shape.heads)


def test_a_row_says_what_a_genome_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model_table.ENCODERS, "small", (PLMConfig(1, 32, 2), 500))
    row = model_table.encoder("small")
    assert row.operations > model_table.GENES * 322 * 24 * 32**2
    made = model_table.Row("m", 2_000_000, 100.0, 50.0, "residues", 6000.0, 1e15)
    there = span(1e15 / (PUBLISHED["A100"] * UTILISATION))
    assert str(made) == f"| m | 2.0 M | 8 MB | 100 MiB | 50 residues/s | 2.0 min | {there} |"


def test_the_page_of_the_documentation_has_markers() -> None:
    before, after = around(ROOT / "docs" / "models.md", model_table.MARKERS)
    assert before.startswith("# ") and "16 bytes per parameter" in after


def test_a_page_without_markers_is_said_before_anything_is_measured(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("no markers")
    result = CliRunner().invoke(model_table.main, ["--fill", str(page)])
    assert result.exit_code == 1 and f"Error: {page}: needs the lines" in result.output


def test_the_page_has_a_line_for_each_row_once_it_is_filled() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    if "Not measured yet" not in page:
        assert all(f"| {name} |" in page for name in model_table.ROWS)
