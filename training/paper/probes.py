"""Linear probes: what the encoder's embedding and each gLM layer say of a protein's EC number.

Axes: N proteins, F features, C classes, R repeats.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import ttest_ind
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, average_precision_score, f1_score
from sklearn.model_selection import GroupKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler, label_binarize
from statsmodels.stats.multitest import multipletests

from .attention import precision_recall

REPEATS = 5
STEPS = 1000  # of the optimiser, whatever the number of proteins
RATE = 0.01  # Adam's
BATCH = 256  # proteins
LEAST_TRAIN = 3  # proteins to train on in a class that is probed
MORE_THAN = 10  # test proteins in a class whose F1 is compared
FDR = 0.05  # Benjamini-Hochberg
FOLDS = 3  # of the training proteins, to choose a layer in
VERSION = 2  # raised when the figures change, so that they are measured anew

Floats = npt.NDArray[np.float64]
Names = npt.NDArray[np.str_]


@dataclass(frozen=True)
class ProbeProteins:
    """Proteins to probe: their EC numbers, which of them test, and their groups of related proteins, (N,).

    Only classes that can be probed.
    """

    rows_N: npt.NDArray[np.int64]
    ec_N: Names
    is_test_N: npt.NDArray[np.bool_]
    group_N: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls, ec: Sequence[str], is_test: npt.NDArray[np.bool_], group: npt.NDArray[np.int64]
    ) -> ProbeProteins:
        """Keep the proteins of classes with one test protein and three to train on, or more."""
        names = np.array(ec)
        tested, train = names[is_test], pd.Series(names[~is_test]).value_counts()
        enough = train.index[train >= LEAST_TRAIN]
        rows_N = np.flatnonzero(np.isin(names, np.intersect1d(tested, enough)))
        return cls(rows_N, names[rows_N], is_test[rows_N], group[rows_N])

    @property
    def classes(self) -> Names:
        """All EC numbers, sorted."""
        return np.unique(self.ec_N)


@dataclass(frozen=True)
class Probed:
    """What five probes say of the test proteins.

    Attributes:
        name: of the features; 'masked': whether the queried protein was masked in them.
        probability_RNC: of each class.
    """

    name: str
    masked: bool
    probability_RNC: npt.NDArray[np.float32]


def probe(x_NF: npt.NDArray[np.floating], proteins: ProbeProteins, *, seed: int) -> npt.NDArray[np.float32]:
    """Fit five linear probes that differ in their start and order of proteins: (R, test proteins, C).

    Each is one softmax layer on z-scored features, trained by Adam as in the paper (scikit-learn's
    perceptron without hidden layers).
    """
    train, test = ~proteins.is_test_N, proteins.is_test_N
    models = (_fit(x_NF[train], proteins.ec_N[train], seed * REPEATS + repeat) for repeat in range(REPEATS))
    return np.stack([np.asarray(model.predict_proba(x_NF[test]), np.float32) for model in models])


def validate(x_NF: npt.NDArray[np.floating], proteins: ProbeProteins, *, seed: int) -> float:
    """Accuracy on the training proteins, whole groups of relatives judged by a probe on the other groups.

    Layers are chosen by it, never by the test proteins that they are scored on.
    """
    train = np.flatnonzero(~proteins.is_test_N)
    x_NF, ec_N, group_N = x_NF[train], proteins.ec_N[train], proteins.group_N[train]
    folds = GroupKFold(min(FOLDS, len(np.unique(group_N))))
    right_N = np.zeros(len(train), np.bool_)
    for fitted, judged in folds.split(x_NF, groups=group_N):
        right_N[judged] = _fit(x_NF[fitted], ec_N[fitted], seed).predict(x_NF[judged]) == ec_N[judged]
    return float(right_N.mean())


def _fit(x_NF: npt.NDArray[np.floating], ec_N: Names, seed: int) -> Pipeline:
    network = MLPClassifier(
        (),
        batch_size=min(BATCH, len(ec_N)),
        learning_rate_init=RATE,
        max_iter=-(-STEPS // -(-len(ec_N) // BATCH)),
        random_state=seed,
    )
    model = make_pipeline(StandardScaler(), network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is the design
        return model.fit(x_NF, ec_N)


def accuracies(probed: Sequence[Probed], proteins: ProbeProteins) -> pd.DataFrame:
    """Accuracy of each repeat; columns features, masked, repeat, accuracy. The first row is guessing."""
    true = proteins.ec_N[proteins.is_test_N]
    rows: list[dict[str, object]] = [
        {"features": "most frequent class", "masked": False, "repeat": 1, "accuracy": _guessing(proteins)}
    ]
    for item in probed:
        for repeat, answer_N in enumerate(_answers(item, proteins), 1):
            accuracy = accuracy_score(true, answer_N)
            rows.append(
                {"features": item.name, "masked": item.masked, "repeat": repeat, "accuracy": accuracy}
            )
    return pd.DataFrame(rows)


def summary(table: pd.DataFrame, validation: Mapping[tuple[str, bool], float]) -> pd.DataFrame:
    """Mean and standard deviation over repeats, in the order of the table, and what `validate` gave."""
    grouped = table.groupby(["features", "masked"], sort=False)["accuracy"]
    found = grouped.agg(accuracy="mean", sd="std", repeats="count").reset_index()
    keys = zip(found["features"], found["masked"], strict=True)
    return found.assign(validation=[validation.get(key, np.nan) for key in keys])


def _guessing(proteins: ProbeProteins) -> float:
    train, test = ~proteins.is_test_N, proteins.is_test_N
    model = DummyClassifier(strategy="most_frequent").fit(np.zeros((train.sum(), 1)), proteins.ec_N[train])
    return float(model.score(np.zeros((test.sum(), 1)), proteins.ec_N[test]))


def _answers(item: Probed, proteins: ProbeProteins) -> Iterator[Names]:
    return (proteins.classes[probability_NC.argmax(1)] for probability_NC in item.probability_RNC)


def compare_classes(before: Probed, after: Probed, proteins: ProbeProteins) -> pd.DataFrame:
    """F1 of each class with more than ten test proteins, two kinds of features compared.

    Welch's t-test over the repeats, adjusted by Benjamini and Hochberg. Columns ec, test, before, before_sd,
    after, after_sd, p, p_adjusted, differs. Where no repeat differs from another, p is 1 for equal F1.
    """
    true = proteins.ec_N[proteins.is_test_N]
    names, counts = np.unique(true, return_counts=True)
    chosen = names[counts > MORE_THAN]
    f1_RC = {item.name: _f1(item, proteins, chosen) for item in (before, after)}
    rows = []
    for place, ec in enumerate(chosen):
        a, b = f1_RC[before.name][:, place], f1_RC[after.name][:, place]
        rows.append(
            {
                "ec": ec,
                "test": int(counts[names == ec][0]),
                "before": a.mean(),
                "before_sd": a.std(ddof=1),
                "after": b.mean(),
                "after_sd": b.std(ddof=1),
                "p": _p_value(a, b),
            }
        )
    columns = ["ec", "test", "before", "before_sd", "after", "after_sd", "p"]
    return adjust(pd.DataFrame(rows, columns=columns))


def _f1(item: Probed, proteins: ProbeProteins, classes: Names) -> Floats:
    true = proteins.ec_N[proteins.is_test_N]
    if not len(classes):
        return np.empty((REPEATS, 0))
    scores = [
        f1_score(true, answer_N, labels=classes, average=None, zero_division=0.0)
        for answer_N in _answers(item, proteins)
    ]
    return np.stack(scores)


def _p_value(a: Floats, b: Floats) -> float:
    """Welch's t-test; without any spread equal means are no difference, and other means surely one."""
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return float(a[0] == b[0])
    return float(ttest_ind(a, b, equal_var=False).pvalue)


def adjust(table: pd.DataFrame) -> pd.DataFrame:
    """Add columns p_adjusted and differs by Benjamini and Hochberg's procedure at 0.05."""
    if not len(table):
        return table.assign(p_adjusted=pd.Series(dtype=float), differs=pd.Series(dtype=bool))
    differs, adjusted, *_ = multipletests(table["p"], FDR, method="fdr_bh")
    return table.assign(p_adjusted=adjusted, differs=differs)


def curves(probed: Sequence[Probed], proteins: ProbeProteins) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Precision-recall curves over all (protein, class) answers, and average precisions.

    Returns:
        curves (features, masked, recall, precision), probabilities averaged over the repeats; and
        averages (features, masked, map, map_sd: mean over classes that have test proteins, mean and standard
        deviation over repeats; micro_ap: of all answers at once).
    """
    truth_NC = _truth(proteins)
    tested_C = truth_NC.any(0)
    lines, rows = [], []
    for item in probed:
        each = [
            average_precision_score(truth_NC[:, tested_C], p_NC[:, tested_C], average="macro")
            for p_NC in item.probability_RNC
        ]
        curve = precision_recall(truth_NC.ravel(), item.probability_RNC.mean(0).ravel().astype(np.float64))
        lines.append(curve.assign(features=item.name, masked=item.masked))
        rows.append(
            {
                "features": item.name,
                "masked": item.masked,
                "map": np.mean(each),
                "map_sd": np.std(each, ddof=1),
                "micro_ap": average_precision_score(truth_NC.ravel(), item.probability_RNC.mean(0).ravel()),
            }
        )
    return pd.concat(lines)[["features", "masked", "recall", "precision"]], pd.DataFrame(rows)


def _truth(proteins: ProbeProteins) -> npt.NDArray[np.int64]:
    """(test proteins, C): 1 where a protein is of a class."""
    truth = label_binarize(proteins.ec_N[proteins.is_test_N], classes=proteins.classes)
    # Two classes come as one column.
    return np.hstack([1 - truth, truth]) if truth.shape[1] == 1 else truth


def best(table: pd.DataFrame, *, masked: bool) -> str:
    """The gLM layer that does best on the training proteins (`validate`), queried protein masked or not."""
    rows = table[(table["masked"] == masked) & table["features"].str.startswith("gLM layer")]
    return str(rows.loc[rows["validation"].idxmax(), "features"])
