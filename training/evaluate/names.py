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
from glm_annot.errors import InputError

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
    if model.neighbours is None or model.neighbours.hints is None:
        raise InputError("the model gives no names")
    facts = model.neighbours.facts
    names, ec = judge(model, path)
    model.neighbours.call(facts)
    hints = model.neighbours.hints
    least, least_ec = hints.least_K.tolist()
    with torch.inference_mode():
        name_Q, ec_Q = (
            layer(of.features_QZ)[:, 0].sigmoid()
            for layer, of in ((hints.trust_name, names), (hints.trust_ec, ec))
        )
    everything = torch.ones(len(name_Q), dtype=torch.bool)
    return {
        NAMES: _figures(names, name_Q, least, everything),
        "names_of_others": _figures(names, name_Q, least, ~names.own_Q),
        EC: _figures(ec, ec_Q, least_ec, torch.ones(len(ec_Q), dtype=torch.bool)),
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


def _figures(judged: Judged, probability_Q: Tensor, least: float, rows_Q: Tensor) -> dict[str, float]:
    shown_Q = rows_Q & (probability_Q >= least)
    some = bool(shown_Q.any())
    return {
        "genes": float(rows_Q.sum()),
        "shown": float(shown_Q.sum()),
        "share": float(shown_Q.sum()) / max(int(rows_Q.sum()), 1),
        "right": float(judged.right_Q[shown_Q].float().mean()) if some else 0.0,
        "probability": float(probability_Q[shown_Q].mean()) if some else 0.0,
    }
