"""README's table of figures, out of a model's metrics."""

from __future__ import annotations

from glm_annot.figures import FIGURES, figures_table

METRICS = {
    "masked_genes": {"pseudo_accuracy": 0.5, "chance_accuracy": 0.04},
    "ec": {"New-392": {"hit_rate": 0.61234, "f1": 0.6, "diamond": {"hit_rate": 0.567}}},
}


def test_a_row_for_what_was_measured_with_what_stands_beside_it() -> None:
    assert figures_table(METRICS).splitlines() == [
        "| measured | glm-annot | beside |",
        "|---|---|---|",
        "| masked genes of *E. coli* K-12, pseudo-accuracy | 0.500 | chance 0.040 |",
        "| EC numbers, New-392, hit rate | 0.612 | DIAMOND best hit 0.567 |",
        "| EC numbers, New-392, F1 | 0.600 |  |",
    ]


def test_nothing_measured_is_an_empty_table() -> None:
    assert figures_table({"masked_genes": "not measured"}).count("\n") == 2


def test_every_figure_is_a_place_of_its_own() -> None:
    assert (
        len({figure.path for figure in FIGURES}) == len({figure.what for figure in FIGURES}) == len(FIGURES)
    )
