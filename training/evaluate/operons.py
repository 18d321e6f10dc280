"""How well an operon head predicts operons, on organisms and regions that did not train it.

Bars are computed in the same run on the same pairs: the distance between the genes, and gradient boosting on
strands, gaps and lengths. Average precision (AP) and area under the ROC curve (AUROC). A gain counts
where its 95 % interval, by resampling regions of the genome, excludes 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
FAR = f"{ECOLI}, Salmonella left out too"
FOLDS = 5
BANDS = (0.2, 0.4, 0.6, 0.8)  # of probability, to look at the calibration in detail
SIDE = 2  # pairs on each side that the boosting bar sees
STRETCHES = 60  # regions that are resampled for the interval of a gain
RESAMPLES = 1000


def benchmark(model: Model, data: Path) -> dict[str, Any]:
    """Measure operon heads on the shared data, each fitted anew without what it is tested on.

    Args:
        model: its memory of gene order or gLM's attention is read; its own operon head is not used.
        data: the folder of shared data.

    Returns:
        leave_one_out: organism -> method -> {ap, auroc}; `..., Salmonella left out too` for E. coli again.
            Only E. coli has its sequence, so that promoters are seen there alone.
        observed: the same without the labels 0 that only say how far apart the genes are (`reach`).
        confirmed: method -> figures, on E. coli's pairs with strong or confirmed evidence.
        unseen: method -> figures, on all adjacent pairs of K-12, by a head that saw nothing of E. coli.
        all_adjacent: the same by heads that learned from the other regions of K-12 too, five folds.
        gains: test -> method -> {gain, low, high} of the head's AP over that of the method.
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
    methods = {name: _Methods.of(_others(examples, name), calibrate=name == ECOLI) for name in examples}
    far = _others(examples, ECOLI, SALMONELLA)
    unseen, sure = _Methods.of(far), replace(k12, genome=confirmed)
    scores = {name: methods[name].scores(example) for name, example in examples.items()}
    scores[FAR] = unseen.scores(examples[ECOLI])
    labels = {name: _stacked([example]) for name, example in {**examples, FAR: examples[ECOLI]}.items()}
    tests = {"pairs.tsv": examples[ECOLI], "all tandem": k12, "confirmed": sure}
    of_k12 = {"confirmed": (sure, unseen.scores(sure)), "unseen": (k12, unseen.scores(k12))}
    gains = {"pairs.tsv": (examples[ECOLI], scores[FAR]), **of_k12}
    return {
        "leave_one_out": {name: _figures_of(labels[name], found) for name, found in scores.items()},
        "observed": {name: _figures_of(_observed(test), scores[name]) for name, test in examples.items()},
        **{name: _figures_of(_stacked([test]), found) for name, (test, found) in of_k12.items()},
        "all_adjacent": _by_region(k12, far, unseen.head),
        "gains": {
            name: {
                method: gain(_stacked([test]), found["head"], found[method])
                for method in ("layout", "boosting")
            }
            for name, (test, found) in gains.items()
        },
        "calibration": {name: _calibration(methods[ECOLI].head, test) for name, test in tests.items()},
    }


def _with_sequence(labelled: LabelledGenome, source: LabelledGenome) -> LabelledGenome:
    """The same with the sequences of another annotation of the same contigs."""
    sequences = {contig.name: contig.sequence for contig in source.genome.contigs}
    contigs = tuple(replace(contig, sequence=sequences[contig.name]) for contig in labelled.genome.contigs)
    return replace(labelled, genome=replace(labelled.genome, contigs=contigs))


def _others(examples: dict[str, OperonExample], *names: str) -> list[OperonExample]:
    return [example for name, example in examples.items() if name not in names]


@dataclass(frozen=True)
class _Methods:
    """What is compared, all fitted to the same genomes: a head, one of the layout alone, and a bar."""

    head: OperonHead
    layout: OperonHead
    bar: HistGradientBoostingClassifier

    @classmethod
    def of(cls, training: Sequence[OperonExample], *, calibrate: bool = True) -> _Methods:
        blind = [OperonExample(example.genome) for example in training]
        plain = np.concatenate([_plain(example) for example in training])
        return cls(
            fit_operon_head(training, calibrate=calibrate),
            fit_operon_head(blind, calibrate=False),
            _boosting(plain, _stacked(training)),
        )

    def scores(self, test: OperonExample) -> dict[str, Floats]:
        """Scores of all pairs of a genome by each method; the lowest ones where strands differ."""
        tandem = np.concatenate([track.same for track in test.tracks])
        scores = {
            "distance": -np.concatenate([track.gap for track in test.tracks]),
            "boosting": self.bar.decision_function(_plain(test)),
            **_head_scores(self.head, test),
            "layout": _layout_score(self.layout, test),
        }
        return {name: _tandem_only(score, tandem) for name, score in scores.items()}


def _head_scores(head: OperonHead, test: OperonExample) -> dict[str, Floats]:
    """Log-odds of a head, and of the same without promoters."""
    contigs, attention, conserved = test.genome.genome.contigs, test.attention, test.conserved
    promoters = {"head": None, "no_promoters": NO_PROMOTERS}
    return {
        name: np.concatenate(head.log_odds(contigs, attention, promoters=seen, conserved=conserved))
        for name, seen in promoters.items()
    }


def _layout_score(head: OperonHead, test: OperonExample) -> Floats:
    return np.concatenate(head.logits(test.tracks))


def _tandem_only(score: Floats, tandem: NDArray[np.bool_]) -> Floats:
    """Scores with the lowest number where strands differ, for such pairs share no operon."""
    return np.where(tandem, score, np.finfo(np.float64).min)


def _observed(example: OperonExample) -> NDArray[np.int8]:
    """Labels of a genome without those that say nothing, for their caller cuts at a distance."""
    gap = np.concatenate([track.gap for track in example.tracks])
    label = _stacked([example])
    return np.where((label == 0) & (gap >= example.genome.reach), np.int8(UNKNOWN), label)


def _figures_of(label_N: NDArray[np.int8], scores: dict[str, Floats]) -> dict[str, dict[str, float]]:
    return {method: figures(label_N, score) for method, score in scores.items()}


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
    scores = {"distance": _tandem_only(-gap, tandem)}
    for region in regions(k12, FOLDS):
        inside = np.concatenate(region)
        hidden = hide(k12, [~of_contig for of_contig in region])
        head = fit_operon_head([hidden, *others], calibrate=False)
        head.calibration.copy_(far.calibration)
        blind = [OperonExample(example.genome) for example in (hidden, *others)]
        found = {
            "boosting": _boosting(plain[~inside], labels[~inside]).decision_function(plain),
            **_head_scores(head, k12),
            "layout": _layout_score(fit_operon_head(blind, calibrate=False), k12),
        }
        for name, score in found.items():
            scores.setdefault(name, np.empty(len(labels)))[inside] = score[inside]
    return _figures_of(labels, {name: _tandem_only(score, tandem) for name, score in scores.items()})


def gain(label_N: NDArray[np.int8], better_N: Floats, worse_N: Floats) -> dict[str, float]:
    """How much higher one AP is than another, with the 95 % interval of a bootstrap over regions."""
    known = label_N != UNKNOWN
    label, scores = label_N[known], (better_N[known], worse_N[known])
    stretches = np.array_split(np.arange(len(label)), STRETCHES)
    rng = np.random.default_rng(0)

    def difference(rows: NDArray[np.int64]) -> float:
        one, other = (average_precision_score(label[rows], score[rows]) for score in scores)
        return float(one - other)

    drawn = [
        difference(np.concatenate([stretches[k] for k in rng.integers(STRETCHES, size=STRETCHES)]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    rounded = {"gain": difference(np.arange(len(label))), "low": float(low), "high": float(high)}
    return {name: round(value, 4) for name, value in rounded.items()}


def _calibration(head: OperonHead, test: OperonExample) -> dict[str, Any]:
    probability = np.concatenate(
        head.predict(test.genome.genome.contigs, test.attention, conserved=test.conserved)
    )
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
