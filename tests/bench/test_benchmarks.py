"""The benchmarks' arithmetic; that they are fast is nothing that a test should say."""

from __future__ import annotations

import re

import torch
from click.testing import CliRunner

from glm_annot.model.glm import GLM
from glm_annot.model.sizes import GLMConfig
from glm_annot.training.plan.speed import made_proteins
from tests.bench import benchmarks
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "speed.md"


def test_sizes_are_those_of_the_models() -> None:
    (sizes, _) = benchmarks.GLMS["published"]
    with torch.device("meta"):
        network = GLM(GLMConfig(*sizes))
    assert sum(part.numel() for part in network.parameters()) == 278_867_988


def test_padded_batches_hold_everything_once_within_the_limit() -> None:
    proteins = sorted(made_proteins(20_000), key=len)
    assert abs(sum(map(len, proteins)) - 20_000) < 1100
    batches = list(benchmarks.padded_batches(proteins, tokens=2000))
    assert [protein for batch in batches for protein in batch] == proteins
    assert all(len(batch) * (len(batch[-1]) + 2) <= 2000 for batch in batches) and len(batches) > 5


def test_help_and_documentation_name_every_row() -> None:
    shown = CliRunner().invoke(benchmarks.main, ["--help"]).output
    page = PAGE.read_text(encoding="utf-8")
    for row in benchmarks.ROWS:
        assert re.search(rf"^ +{row} +[A-Z`]", shown, re.MULTILINE), row
        assert f"`{row}`" in page


def test_a_row_prints_as_a_line_of_the_table() -> None:
    line = benchmarks.Line("gLM", "2 s", "1 s", 2.0, "1.3")
    assert str(line) == "| gLM | 2 s | 1 s | 2.00 | 1.3 |"
