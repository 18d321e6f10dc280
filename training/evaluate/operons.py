"""How well an operon head predicts operons, on organisms and regions that did not train it.

Bars are computed in the same run on the same pairs: the distance between the genes, and gradient boosting on
strands, gaps and lengths. Average precision (AP) and area under the ROC curve (AUROC).
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score, roc_auc_score

from glm_annot.bundle import Model
from glm_annot.operons.features import Floats, Track
from glm_annot.operons.head import OperonHead
from glm_annot.operons.promoters import NO_PROMOTERS

from ..corpus.shared_data import ECOLI, SharedData
from ..operons.data import UNKNOWN, LabelledGenome, read_all_adjacent, read_confirmed, read_organisms
from ..operons.fit import OperonExample, fit_operon_head, hide, regions
from .scores import by_band, calibration_error

SALMONELLA = "salmonella_enterica_14028s"  # so near to E. coli that most of its operons are the same
FOLDS = 5
BANDS = (0.2, 0.4, 0.6, 0.8)  # of probability, to look at the calibration in detail
SIDE = 2  # pairs on each side that the boosting bar sees


def benchmark(model: Model, data: Path) -> dict[str, Any]:
    """Measure operon heads on the shared data, each fitted anew without what it is tested on.

    Args:
        model: encoder and gLM give the attention; its own operon head is not used.
        data: the folder of shared data.

    Returns:
        leave_one_out: organism -> method -> {ap, auroc}; `..., Salmonella left out too` for E. coli again.
            Only E. coli has its sequence, so that promoters are seen there alone.
        confirmed: method -> figures, on E. coli's pairs with strong or confirmed evidence.
        all_adjacent: method -> figures, on all adjacent pairs of K-12, five folds by region.
        calibration: what `calibration_by_band` finds of a head fitted without E. coli.
    """
    shared = SharedData(data)
    all_adjacent = read_all_adjacent(shared.k12, shared.k12_operons)
    organisms = read_organisms(shared.operons)
    organisms[ECOLI] = _with_sequence(organisms[ECOLI], all_adjacent)
    examples = {name: OperonExample.of(genome, model) for name, genome in organisms.items()}
    k12 = OperonExample.of(all_adjacent, model)
    confirmed = read_confirmed(shared.k12, shared.k12_confirmed)
    return measure(examples, k12, confirmed)


def measure(
    examples: dict[str, OperonExample], k12: OperonExample, confirmed: LabelledGenome
) -> dict[str, Any]:
    """What `benchmark` returns, from examples that are read already; `confirmed` labels pairs of `k12`."""
    # Promoters are added to calibrated log-odds; where no sequence is known, the order is that without.
    heads = {name: fit_operon_head(_others(examples, name), calibrate=name == ECOLI) for name in examples}
    far = _others(examples, ECOLI, SALMONELLA)
    far_head, sure = fit_operon_head(far), replace(k12, genome=confirmed)
    leave_one_out = {
        name: _transfer(heads[name], _others(examples, name), example) for name, example in examples.items()
    }
    leave_one_out[f"{ECOLI}, Salmonella left out too"] = _transfer(far_head, far, examples[ECOLI])
    tests = {"pairs.tsv": examples[ECOLI], "all tandem": k12, "confirmed": sure}
    return {
        "leave_one_out": leave_one_out,
        "confirmed": _transfer(far_head, far, sure),
        "all_adjacent": _by_region(k12, far, far_head),
        "calibration": {name: _calibration(heads[ECOLI], test) for name, test in tests.items()},
    }


def _with_sequence(labelled: LabelledGenome, source: LabelledGenome) -> LabelledGenome:
    """The same with the sequences of another annotation of the same contigs."""
    sequences = {contig.name: contig.sequence for contig in source.genome.contigs}
    contigs = tuple(replace(contig, sequence=sequences[contig.name]) for contig in labelled.genome.contigs)
    return replace(labelled, genome=replace(labelled.genome, contigs=contigs))


def _others(examples: dict[str, OperonExample], *names: str) -> list[OperonExample]:
    return [example for name, example in examples.items() if name not in names]


def _transfer(
    head: OperonHead, training: Sequence[OperonExample], test: OperonExample
) -> dict[str, dict[str, float]]:
    """Figures of each method on the labelled pairs of one genome; `training` has fitted the head."""
    bar = _boosting(np.concatenate([_plain(example) for example in training]), _stacked(training))
    scores = {
        "distance": -np.concatenate([track.gap for track in test.tracks]),
        "boosting": bar.decision_function(_plain(test)),
        **_head_scores(head, test),
    }
    return {method: figures(_stacked([test]), score) for method, score in scores.items()}


def _head_scores(head: OperonHead, test: OperonExample) -> dict[str, Floats]:
    """Log-odds of a head, of the same without promoters, and of its layout alone."""
    contigs, alone = test.genome.genome.contigs, copy(head)
    alone.config = replace(head.config, attention=0)
    return {
        "head": np.concatenate(head.log_odds(contigs, test.attention)),
        "no_promoters": np.concatenate(head.log_odds(contigs, test.attention, promoters=NO_PROMOTERS)),
        "layout": np.concatenate(alone.log_odds(contigs, promoters=NO_PROMOTERS)),
    }


def _by_region(
    k12: OperonExample, others: Sequence[OperonExample], far: OperonHead
) -> dict[str, dict[str, float]]:
    """Figures on all adjacent pairs, each judged by what was fitted to the other regions of the genome.

    The head also learns from the other organisms, which boosting on plain gaps cannot use: their labels are
    those of a caller that cuts. Its calibration is that of `far`, fitted to them alone: for the order of
    pairs a separate one in each region is not worth the minutes.
    """
    labels, plain = _stacked([k12]), _plain(k12)
    tandem = np.concatenate([track.same for track in k12.tracks])
    gap = np.concatenate([track.gap for track in k12.tracks])
    scores: dict[str, Floats] = {"distance": np.where(tandem, -gap, -np.inf)}
    for region in regions(k12, FOLDS):
        inside = np.concatenate(region)
        bar = _boosting(plain[~inside], labels[~inside])
        hidden = hide(k12, [~of_contig for of_contig in region])
        head = fit_operon_head([hidden, *others], calibrate=False)
        head.calibration.copy_(far.calibration)
        ours = {name: np.where(tandem, score, -np.inf) for name, score in _head_scores(head, k12).items()}
        for name, score in {"boosting": bar.decision_function(plain), **ours}.items():
            scores.setdefault(name, np.empty(len(labels)))[inside] = score[inside]
    lowest = np.finfo(np.float64).min
    return {name: figures(labels, np.maximum(score, lowest)) for name, score in scores.items()}


def _calibration(head: OperonHead, test: OperonExample) -> dict[str, Any]:
    probability = np.concatenate(head.predict(test.genome.genome.contigs, test.attention))
    label = _stacked([test])
    chosen = (label != UNKNOWN) & np.concatenate([track.same for track in test.tracks])
    return calibration_by_band(probability[chosen], label[chosen].astype(np.float64))


def calibration_by_band(probability_N: Floats, label_N: Floats) -> dict[str, Any]:
    """Calibration error, and of all pairs and of each band of probability: number, mean and true share."""
    found: dict[str, Any] = {"ece": calibration_error(probability_N, label_N)}
    found |= _said_and_true(probability_N, label_N)
    found["bands"] = {
        name: _said_and_true(probability_N[in_N], label_N[in_N])
        for name, in_N in by_band(probability_N, BANDS).items()
    }
    return found


def _said_and_true(probability_N: Floats, label_N: Floats) -> dict[str, Any]:
    return {
        "mean_probability": float(probability_N.mean()),
        "share": float(label_N.mean()),
        "pairs": len(label_N),
    }


def figures(label_N: NDArray[np.int8], score_N: Floats) -> dict[str, float]:
    """Average precision and AUROC over the pairs that carry a label."""
    known = label_N != UNKNOWN
    y, score = label_N[known], score_N[known]
    return {
        "ap": round(float(average_precision_score(y, score)), 4),
        "auroc": round(float(roc_auc_score(y, score)), 4),
    }


def _stacked(examples: Sequence[OperonExample]) -> NDArray[np.int8]:
    return np.concatenate([of_contig for example in examples for of_contig in example.genome.labels])


def _boosting(x_NF: Floats, label_N: NDArray[np.int8]) -> HistGradientBoostingClassifier:
    known = label_N != UNKNOWN
    model = HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.05, max_leaf_nodes=15, random_state=0
    )
    return model.fit(x_NF[known], label_N[known])


def _plain(example: OperonExample) -> Floats:
    """The bar's features (N, F): strands, gaps and lengths as they are, in the direction of transcription."""
    return np.concatenate([_plain_track(track) for track in example.tracks])


def _plain_track(track: Track) -> Floats:
    direction = track.strand[track.left]
    first = np.where(direction == 1, track.left, track.left + 1)
    length = track.end - track.start + 1
    columns = [_at(track.gap, track.left + k * direction) for k in range(-SIDE, SIDE + 1)]
    genes = [first + k * direction for k in range(-SIDE, SIDE + 2)]
    columns += [_at(track.strand.astype(np.float64), at) * direction for at in genes]
    columns += [_at(length, at) for at in genes[SIDE : SIDE + 2]]
    return np.stack(columns, axis=1)


def _at(values: Floats, at: NDArray[np.int64]) -> Floats:
    """values[at]; NaN beyond the contig's ends."""
    inside = (at >= 0) & (at < len(values))
    return np.where(inside, values[np.clip(at, 0, len(values) - 1)], np.nan) if len(values) else np.empty(0)
