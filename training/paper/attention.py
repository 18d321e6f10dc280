"""Attention and operons: which attention heads follow operons, and how well all together predict operons.

Axes: N labelled pairs of adjacent genes; A = layers * heads, layer-major; F features; K folds; T genes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import pearsonr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from sklearn.model_selection import PredefinedSplit, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.stats.multitest import multipletests

from glm_annot.operons.features import Floats, Track, warp
from glm_annot.records import Contig

from ..operons.data import UNKNOWN
from ..operons.fit import OperonExample, regions

FOLDS = 5
SIGNIFICANT = 0.05  # level of the Bonferroni-adjusted tests
RECALLS = np.linspace(0.0, 1.0, 101)  # at which curves are written
EXAMPLE_GENES = 14  # of each example window
EXAMPLES = 3
SHUFFLED, BY_REGION = "shuffled", "by region"
VERSION = 2  # raised when the figures change, so that they are measured anew

Fold = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # positions of pairs to fit to, and to score


@dataclass(frozen=True)
class Pairs:
    """All labelled adjacent pairs of a genome, contig by contig.

    Attributes:
        label_N: 1 one operon, 0 not.
        attention_NA: A + A^T of each head.
        layout_NF: strand and distance (see `layout`).
        region_N: number of the stretch of the genome that a pair lies in.
        place_N: position among all pairs of the genome, labelled or not.
    """

    label_N: npt.NDArray[np.int64]
    attention_NA: npt.NDArray[np.float32]
    layout_NF: Floats
    region_N: npt.NDArray[np.int64]
    place_N: npt.NDArray[np.int64]

    @classmethod
    def of(cls, example: OperonExample) -> Pairs:
        """Take the labelled pairs of a genome whose attention was read."""
        if example.attention is None:
            raise ValueError("this experiment needs attention")
        label = np.concatenate(example.genome.labels).astype(np.int64)
        attention = np.concatenate(example.attention)
        layouts = np.concatenate([layout(track) for track in example.tracks])
        region = sum(k * np.concatenate(part) for k, part in enumerate(regions(example, FOLDS)))
        known = np.flatnonzero(label != UNKNOWN)
        return cls(label[known], attention[known], layouts[known], np.asarray(region)[known], known)


def layout(track: Track) -> Floats:
    """(P, 3): same strand or not, and the gap on each kind of strand (see `operon_features.warp`)."""
    same, gap = track.same.astype(np.float64), warp(track.gap)
    return np.stack([same, same * gap, (1 - same) * gap], axis=1)


def correlations(pairs: Pairs, heads: int) -> pd.DataFrame:
    """Pearson correlation of each head with operon membership, p-values Bonferroni-adjusted over all heads.

    Columns layer and head (from 1), rho, p, p_adjusted, significant. A head that is the same everywhere has
    no correlation: rho and p are empty.

    Args:
        pairs: the labelled pairs.
        heads: of each layer.
    """
    rows = []
    for column, attention_N in enumerate(pairs.attention_NA.T):
        constant = bool(np.ptp(attention_N) == 0)
        rho, p = (np.nan, np.nan) if constant else pearsonr(attention_N.astype(np.float64), pairs.label_N)
        rows.append({"layer": column // heads + 1, "head": column % heads + 1, "rho": rho, "p": p})
    table = pd.DataFrame(rows)
    tested = table["p"].notna()
    table["p_adjusted"], table["significant"] = np.nan, False
    if tested.any():
        rejected, adjusted, *_ = multipletests(table.loc[tested, "p"], SIGNIFICANT, method="bonferroni")
        table.loc[tested, "p_adjusted"], table.loc[tested, "significant"] = adjusted, rejected
    return table


def best_head(table: pd.DataFrame) -> int:
    """Column of the head with the highest correlation of either sign."""
    return int(table["rho"].abs().fillna(-1).argmax())


@dataclass(frozen=True)
class Scores:
    """Out-of-fold scores of one method in one kind of folds."""

    method: str
    folds: str
    score_N: Floats
    fold_N: npt.NDArray[np.int64]


def cross_validate(pairs: Pairs, *, seed: int) -> list[Scores]:
    """Score every pair by what was fitted to the other folds.

    Methods: logistic regression on all heads, on strand and distance, on both together; and the best head
    alone, which is chosen on the other folds, too. Folds are shuffled as in the paper, or whole regions, so
    that no pair is judged by its neighbours.

    Args:
        pairs: the labelled pairs.
        seed: of the shuffling.
    """
    shuffled = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    splits = {
        SHUFFLED: list(shuffled.split(pairs.layout_NF, pairs.label_N)),
        BY_REGION: list(PredefinedSplit(pairs.region_N).split()),
    }
    attention = pairs.attention_NA.astype(np.float64)
    features = {
        "attention of all heads": attention,
        "strand + distance": pairs.layout_NF,
        "both": np.concatenate([attention, pairs.layout_NF], axis=1),
    }
    found = []
    for folds, split in splits.items():
        fold_N = np.empty(len(pairs.label_N), np.int64)
        for number, (_, test) in enumerate(split):
            fold_N[test] = number
        for method, x_NF in features.items():
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
            scores = cross_val_predict(model, x_NF, pairs.label_N, cv=split, method="predict_proba")[:, 1]
            found.append(Scores(method, folds, scores, fold_N))
        found.append(Scores("best head alone", folds, best_alone(attention, pairs.label_N, split), fold_N))
    return found


def best_alone(attention_NA: Floats, label_N: npt.NDArray[np.int64], split: Sequence[Fold]) -> Floats:
    """Score each fold by the head that follows the labels of the other folds most closely.

    Attention is z-scored by the other folds, since folds may choose different heads, and turned round where
    its correlation is negative. Where no head follows anything, all scores are 0.
    """
    score_N = np.zeros(len(label_N))
    for train, test in split:
        deviation_NA = attention_NA[train] - attention_NA[train].mean(0)
        spread_A = deviation_NA.std(0)
        covariance_A = (label_N[train] - label_N[train].mean()) @ deviation_NA
        strength_A = np.divide(covariance_A, spread_A, out=np.zeros_like(spread_A), where=spread_A > 0)
        best = int(np.abs(strength_A).argmax())
        if strength_A[best]:
            z_N = (attention_NA[test, best] - attention_NA[train, best].mean()) / spread_A[best]
            score_N[test] = np.sign(strength_A[best]) * z_N
    return score_N


def figures(found: Sequence[Scores], label_N: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Average precision and AUROC: mean and standard deviation over the folds, and of all scores at once."""
    return pd.DataFrame([_figures(scores, label_N) for scores in found])


def _figures(scores: Scores, label_N: npt.NDArray[np.int64]) -> dict[str, object]:
    row: dict[str, object] = {"folds": scores.folds, "method": scores.method, "pairs": len(label_N)}
    row["chance"] = float(label_N.mean())
    for name, measure in (("ap", average_precision_score), ("auroc", roc_auc_score)):
        each = [
            measure(label_N[inside], scores.score_N[inside])
            for inside in (scores.fold_N == k for k in range(FOLDS))
            if 0 < label_N[inside].sum() < inside.sum()
        ]
        row |= {name: float(np.mean(each)), f"{name}_sd": float(np.std(each, ddof=1))}
        row[f"{name}_pooled"] = float(measure(label_N, scores.score_N))
    return row


def curves(found: Sequence[Scores], label_N: npt.NDArray[np.int64]) -> pd.DataFrame:
    """Precision by recall of all out-of-fold scores at once; columns folds, method, recall, precision."""
    tables = []
    for scores in found:
        curve = precision_recall(label_N, scores.score_N)
        tables.append(curve.assign(folds=scores.folds, method=scores.method))
    return pd.concat(tables)[["folds", "method", "recall", "precision"]]


def precision_recall(label_N: npt.NDArray[np.int64], score_N: Floats) -> pd.DataFrame:
    """Precision at each of `RECALLS`: that of the strictest threshold that reaches it."""
    precision, recall, _ = precision_recall_curve(label_N, score_N)
    rising_precision, rising_recall = precision[::-1][1:], recall[::-1][1:]
    at = np.searchsorted(rising_recall, RECALLS - 1e-12)
    return pd.DataFrame({"recall": RECALLS, "precision": rising_precision[at]})


def example_windows(example: OperonExample, *, seed: int) -> list[tuple[int, int]]:
    """Up to three stretches of genes, (contig, first gene), drawn from those with the most to see.

    Every pair in them is labelled, most genes have names, and at least two operons of three genes or more
    lie wholly inside.
    """
    fitting = []
    for number, (contig, label_P) in enumerate(
        zip(example.genome.genome.contigs, example.genome.labels, strict=True)
    ):
        for first in range(0, len(contig.coding) - EXAMPLE_GENES, EXAMPLE_GENES):
            inside_P = label_P[first : first + EXAMPLE_GENES - 1]
            named = sum(bool(gene.name) for gene in contig.coding[first : first + EXAMPLE_GENES])
            if (inside_P != UNKNOWN).all() and _long_runs(inside_P) >= 2 and named > EXAMPLE_GENES // 2:
                fitting.append((number, first))
    chosen = np.random.default_rng(seed).permutation(len(fitting))[:EXAMPLES]
    return [fitting[k] for k in sorted(chosen.tolist())]


def _long_runs(label_P: npt.NDArray[np.int8]) -> int:
    """How many runs of two or more 1s lie between two 0s."""
    borders = np.flatnonzero(label_P == 0)
    return sum(after - before > 2 for before, after in pairwise(borders.tolist()))


def example_table(
    example: OperonExample, pairs: Pairs, scores: Scores, best: int, chosen: Sequence[tuple[int, int]]
) -> pd.DataFrame:
    """Genes of example windows in order, each with what is known and predicted of it and the next gene.

    Columns window, contig, gene, name, strand, start, end; and of the pair with the next gene label,
    attention (of the best head, A + A^T) and probability (out of fold, from all heads): empty for a window's
    last gene.
    """
    first_pair = np.cumsum([0, *(len(part) for part in example.genome.labels)])
    probability = dict(zip(pairs.place_N.tolist(), scores.score_N.tolist(), strict=True))
    rows = [
        {"window": number, **row}
        for number, (contig, first) in enumerate(chosen, 1)
        for row in _genes(example, contig, first, best, first_pair[contig], probability)
    ]
    return pd.DataFrame(rows)


def _genes(
    example: OperonExample,
    number: int,
    first: int,
    best: int,
    first_pair: int,
    probability: Mapping[int, float],
) -> Iterator[dict[str, object]]:
    contig: Contig = example.genome.genome.contigs[number]
    assert example.attention is not None
    for place in range(first, first + EXAMPLE_GENES):
        gene = contig.coding[place]
        row: dict[str, object] = {
            "contig": contig.name,
            "gene": gene.locus_tag or gene.id,
            "name": gene.name or gene.locus_tag or gene.id,
            "strand": gene.strand,
            "start": gene.start,
            "end": gene.end,
        }
        if place < first + EXAMPLE_GENES - 1:
            row["label"] = int(example.genome.labels[number][place])
            row["attention"] = float(example.attention[number][place, best])
            row["probability"] = probability[int(first_pair) + place]
        yield row
