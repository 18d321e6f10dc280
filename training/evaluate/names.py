"""How good the names are that genes get by their neighbours and their proteins.

An annotated genome is read as if it had named nothing, nor any genome that is nearly the same. A name is
right where it has the symbol, the product or the EC number that the annotators gave the gene, in the same
letters; other words for the same thing count as wrong.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from glm_annot.bundle import Model

from ..memory.trust import Judged, judge

NAMES, EC = "names", "ec"


def evaluate_names(model: Model, path: Path) -> dict[str, dict[str, float]]:
    """Measure the names and the EC numbers that the genes of an annotated genome get.

    Returns:
        for names, names by another family than the gene's own, and EC numbers: how many genes could be
        judged, how many are shown a name, their share of all, the share of them that is right, and their
        mean probability.

    Raises:
        InputError: the model gives no names.
    """
    names, ec = judge(model, path)
    assert model.neighbours is not None and model.neighbours.hints is not None, "judge has looked"
    least, least_ec = model.neighbours.hints.least_K.tolist()
    return {
        NAMES: _figures(names, least, torch.ones_like(names.own_Q)),
        "names_of_others": _figures(names, least, ~names.own_Q),
        EC: _figures(ec, least_ec, torch.ones_like(ec.own_Q)),
    }


def lines(found: dict[str, dict[str, float]]) -> list[str]:
    """The figures as text."""
    titles = {
        NAMES: "names",
        "names_of_others": "names of another family than the gene's own",
        EC: "EC numbers",
    }
    return [
        f"{titles[what]}: {figures['shown']:,.0f} of {figures['genes']:,.0f} genes; "
        f"{figures['right']:.3f} of them right, at a mean probability of {figures['probability']:.3f}"
        for what, figures in found.items()
    ]


def _figures(judged: Judged, least: float, rows_Q: Tensor) -> dict[str, float]:
    """Of those judged in some rows."""
    shown_Q = rows_Q & (judged.probability_Q >= least)
    some = bool(shown_Q.any())
    return {
        "genes": float(rows_Q.sum()),
        "shown": float(shown_Q.sum()),
        "share": float(shown_Q.sum()) / max(int(rows_Q.sum()), 1),
        "right": float(judged.right_Q[shown_Q].float().mean()) if some else 0.0,
        "probability": float(judged.probability_Q[shown_Q].mean()) if some else 0.0,
    }
