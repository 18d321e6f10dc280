"""Tables of figures in the documentation, on the card and on the screen, and how they get into pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glm_annot.bundle import known
from glm_annot.errors import InputError
from glm_annot.report.figures import FIGURES, figures_table
from glm_annot.training.evaluate.tables import aligned, fill, tables

METRICS = {
    "masked_genes": {
        "pseudo_accuracy": 0.5,
        "chance_accuracy": 0.04,
        "lstm": {"pseudo_accuracy": 0.3},
        "of": "E. coli K-12",
    },
    "operons": {
        "leave_one_out": {"escherichia_coli_k12": {"head": {"ap": 0.9}, "layout": {"ap": 0.8}}},
        "calibration": {
            "all tandem": {"bands": {"0 to 0.2": {"mean_probability": 0.1, "share": 0.2, "pairs": 10}}},
            "confirmed": {"bands": {}},
        },
    },
    "ec": {
        "New-392": {"hit_rate": 0.61234, "f1": 0.6, "diamond": {"hit_rate": 0.567}},
        "K-12 ablations": {"no context": {"hit_rate": 0.25, "genome_f1": 0.125}},
        "K-12 enzymes by identity": {
            "no hit": {"proteins": 1, "hit_rate": 0.0, "diamond": {"hit_rate": 1.0}},
            ">= 90 %": {"proteins": 0},
        },
        "K-12 audit": {"calls": 7, "confirmed": 4, "contradicted": 2, "unknown": 1},
    },
}
OPERONS = "operons of *E. coli* K-12, heads fitted anew, average precision on its pairs on one strand"


def test_a_row_for_what_was_measured_with_what_stands_beside_it() -> None:
    assert figures_table(METRICS).splitlines() == [
        "| measured | glm-annot | beside |",
        "|---|---|---|",
        "| masked genes of E. coli K-12, pseudo-accuracy of gLM | 0.500 | chance 0.040, biLSTM 0.300 |",
        f"| {OPERONS} | 0.900 | UniOP 0.951 (published) |",
        "| EC numbers, New-392, hit rate | 0.612 | DIAMOND best hit 0.567 |",
        "| EC numbers, New-392, F1 | 0.600 |  |",
    ]


def test_nothing_measured_is_an_empty_table() -> None:
    assert figures_table({"masked_genes": "not measured"}).count("\n") == 2
    assert tables({"masked_genes": "not measured"}) == tables({}) == ""


def test_every_figure_is_a_place_of_its_own() -> None:
    assert (
        len({figure.path for figure in FIGURES}) == len({figure.what for figure in FIGURES}) == len(FIGURES)
    )


def test_tables_of_what_was_measured_and_no_others() -> None:
    found = tables(METRICS)
    assert "neither gLM nor the enzymes beside the gene | 0.250 |  | 0.125 |" in found
    assert "encoder alone" not in found
    assert "| neighbours on one strand | 0.900 |  | 0.800 |  |" in found
    assert "| 0 to 0.2 | 10 | 0.100 | 0.200 |  |  |  |" in found
    assert "| no hit | 1 | 0.000 |  |  |  | 1.000 |" in found
    assert "| >= 90 % | 0 |  |  |  |  |  |" in found
    assert "confirm 4 and contradict 2; 1 have no such entry" in found
    assert "Confidences" not in found


def test_aligned_tables_say_the_same() -> None:
    text = "### a\n\n| b | c |\n| --- | --- |\n| longer | 1 |"
    lines = aligned(text).splitlines()
    assert lines == ["### a", "", "| b      | c   |", "| ------ | --- |", "| longer | 1   |"]


@pytest.mark.skipif("mini" not in known(), reason="this checkout ships no model")
def test_the_shipped_figures_make_tables() -> None:
    metrics = json.loads((known()["mini"] / "metrics.json").read_text())
    assert "### Figures" in tables(metrics)


def test_a_page_is_filled_between_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- of: start -->\nold\n<!-- of: end -->\nafter\n")
    for _ in range(2):
        fill(page, "of", "| new |")
        assert page.read_text() == "before\n<!-- of: start -->\n| new |\n<!-- of: end -->\nafter\n"
    page.write_text("<!-- of: end -->\n<!-- of: start -->\n")
    with pytest.raises(
        InputError, match="needs the lines <!-- of: start --> and <!-- of: end -->, once each"
    ):
        fill(page, "of", "")
