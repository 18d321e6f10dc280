"""Fitting an operon head to genomes with known operons.

Most known operons were called from RNA-seq by a program that itself cuts at a distance between genes, so that
its 'no' beyond that distance is no observation (`LabelledGenome.reach`). Four measures follow:

- Beyond its reach a label 0 is replaced by a soft one: the probability of an operon at that gap by the layout
  alone, gaps of tandem genes against those between opposite strands as in UniOP (Su, Zhang, Söding 2024). A
  memory of gene order moves it by what it says of the two families (`_with_memory`): by log-odds that were
  fitted on other genomes, to labels that come from gaps. So do two views teach each other (co-training, Blum
  and Mitchell 1998).
- Attention, as memory, is fitted without sight of the pair's own gap. Given the truth, the gap and what the
  proteins are say nothing of each other, so labels made from gaps also teach what these know of operons.
  Their weight is set with gaps as noisy observations (`_evidence_weight`). Beside what a memory says
  attention adds nothing on organisms left out: a model with a memory goes without.
- What the memory says of an organism is said without its relatives in the ring `genus`, here and where a head
  is judged: strains have one gene order whether genes are transcribed together or not.
- Calibration is over all tandem neighbours, also those that nobody labelled, of genomes left out of the fit.
  Soft labels come from gaps alone there: moved by the memory they would make the head too sure of its 'no'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from glm_annot.bundle import Model
from glm_annot.errors import GlmAnnotError, InputError
from glm_annot.model.context import contextualise
from glm_annot.model.neighbours.adjacent import conserved_pairs
from glm_annot.model.neighbours.memory import Memory
from glm_annot.operons.features import (
    AXIS,
    CONSERVED,
    KINDS,
    Floats,
    GapTables,
    Track,
    gap_counts,
    gap_histograms,
    geometry,
    warp,
)
from glm_annot.operons.head import BoostedTrees, OperonHead, OperonHeadConfig, attention_features
from glm_annot.pipeline import embed_distinct

from ..common.console import Report
from ..corpus.rings import RINGS
from .data import UNKNOWN, LabelledGenome

# (rounds, leaves) of the boosted models whose log-odds are averaged: large trees learn where callers cut,
# small ones carry over better to operons that were found by experiment.
ENSEMBLE = ((120, 15), (200, 6))
LEARNING_RATE = 0.05
COLUMNS = 0.5  # share of the features that each split may use
RIDGE = 0.01  # inverse penalty of the attention's weights, scikit-learn's C
REGIONS = 5  # folds of one genome alone

Attention = Sequence[NDArray[np.floating]]  # for each contig (P, A)


@dataclass(frozen=True)
class OperonExample:
    """A labelled genome and what a head reads besides its layout.

    Attributes:
        genome: it.
        attention: gLM's, for each contig (P, A); None for a head that reads none.
        conserved: what a memory of gene order says without the genome's relatives, for each contig (P, C);
            None for a head without memory.
    """

    genome: LabelledGenome
    attention: Attention | None = None
    conserved: Sequence[Floats] | None = None

    @property
    def tracks(self) -> list[Track]:
        """The layout of each contig."""
        return [Track.of(contig) for contig in self.genome.genome.contigs]

    @classmethod
    def of(cls, labelled: LabelledGenome, model: Model) -> OperonExample:
        """What a model makes of a labelled genome: its memory of gene order, or else gLM's attention."""
        genome = labelled.genome
        if model.neighbours is not None and model.neighbours.config.gaps:
            embeddings_GD = embed_distinct(model.family_encoder or model.encoder, genome.proteins)
            table, memory = model.neighbours.table, model.neighbours.memory
            family_G, _ = table.assign(torch.from_numpy(embeddings_GD).to(memory.family_N.device))
            tracks = [Track.of(contig) for contig in genome.contigs]
            hidden_M = relatives(family_G, memory)
            return cls(labelled, conserved=conserved_pairs(tracks, family_G, memory, hidden_M))
        embeddings_GD = embed_distinct(model.encoder, genome.proteins)
        states = contextualise(genome, embeddings_GD, model.glm, model.features, attention=True)
        return cls(labelled, states.attention_NA)


def relatives(family_G: Tensor, memory: Memory, ring: str = "genus") -> Tensor:
    """Which genomes (M,) of a memory are within a ring of relatives (see `rings`) of a genome's families."""
    families = memory.config.families
    family_N, genome_C = memory.family_N.long(), memory.genome_C.long()
    genome_N = genome_C.repeat_interleave(memory.first_C.diff())
    has_MF = torch.zeros(memory.config.genomes, families + 1, dtype=torch.bool, device=family_N.device)
    has_MF[genome_N, family_N] = True
    own_F = torch.unique(family_G[family_G < families])
    common_M, size_M = has_MF[:, own_F].sum(1), has_MF[:, :families].sum(1)
    return common_M >= RINGS[ring] * size_M.clamp(max=len(own_F)).clamp_min(1)


@dataclass(frozen=True)
class _Rows:
    """All tandem pairs of one genome, labelled (`trains_N`) or not; targets lie in 0..1."""

    features_NF: Floats  # layout, and what the memory says
    target_N: Floats
    soft_N: NDArray[np.bool_]  # targets that no label gives
    trains_N: NDArray[np.bool_]
    odds_N: Floats  # density of the gap within operons over that between them, by the layout alone
    attention_NF: Floats | None
    conserved_NC: Floats | None


def fit_operon_head(
    examples: Sequence[OperonExample],
    *,
    calibrate: bool = True,
    seed: int = 0,
    report: Report = lambda line: None,
) -> OperonHead:
    """Fit a head; the same examples and seed give the same head.

    Args:
        examples: labelled genomes, all with attention or none, and all with what a memory says or none.
        calibrate: fit the calibration on each genome with a head fitted to the others (on regions in turn if
            there is only one genome); without it probabilities are only good for ranking. A genome is left
            out of this if the others have too few labels; if all are, no calibration is fitted.
        seed: of the boosting.
        report: called with a line of text for the user if there are too few labels for one of these steps.

    Raises:
        InputError: the labels of tandem pairs are all 0 or all 1, or a kind of neighbours is missing (see
            `average_gaps`).
    """
    prior_3K = average_gaps([example.tracks for example in examples])
    by_gaps = [_rows(example, prior_3K) for example in examples]
    rows = _with_memory(by_gaps)
    heads = 0 if examples[0].attention is None else examples[0].attention[0].shape[1]
    models = [_boost(rows, *shape, seed) for shape in ENSEMBLE]
    trees = [tree for model in models for tree in _trees(model)]
    conserved = examples[0].conserved is not None
    head = OperonHead(OperonHeadConfig(heads, len(trees), max(len(tree) for tree in trees), conserved))
    head.gap_prior_3K.copy_(torch.from_numpy(prior_3K))
    _load_trees(head.layout, models, rows[0].features_NF)
    if heads:
        _fit_attention(head, rows, report)
    if calibrate:
        head.calibration.copy_(torch.from_numpy(_calibration(examples, by_gaps, seed, report)))
    return head.eval()


def average_gaps(genomes: Sequence[Sequence[Track]]) -> Floats:
    """Gap densities (3, K) of the average genome.

    Raises:
        InputError: no genome has neighbours of a kind, as when all genes lie on one strand.
    """
    counts = np.stack([gap_histograms(gap_counts(tracks)) for tracks in genomes])
    missing = [kind for kind, found in zip(KINDS, counts.sum((0, 2)), strict=True) if not found]
    if missing:
        raise InputError(
            f"genomes with known operons have no {' and no '.join(missing)} neighbours, but an operon head "
            "learns from the gaps of each kind; give whole genomes, or more of them"
        )
    return np.asarray((counts / np.maximum(counts.sum(2, keepdims=True), 1)).mean(0))


def hide(example: OperonExample, shown: Sequence[NDArray[np.bool_]]) -> OperonExample:
    """The example with labels only where `shown` (for each contig (P,)) says so."""
    labels = tuple(
        np.where(keep, of_contig, UNKNOWN).astype(np.int8)
        for keep, of_contig in zip(shown, example.genome.labels, strict=True)
    )
    return replace(example, genome=replace(example.genome, labels=labels))


def regions(example: OperonExample, n: int) -> list[list[NDArray[np.bool_]]]:
    """Split a genome into n stretches; for each, which pairs (P,) of each contig it holds."""
    return _by_contig(example, _stretches(np.ones(sum(map(len, example.genome.labels)), np.bool_), n))


def _labelled_regions(example: OperonExample, n: int) -> list[list[NDArray[np.bool_]]]:
    """The same, but so that the stretches hold equally many labelled tandem pairs."""
    tandem = np.concatenate([track.same for track in example.tracks])
    return _by_contig(example, _stretches(tandem & (np.concatenate(example.genome.labels) != UNKNOWN), n))


def _stretches(counts_P: NDArray[np.bool_], n: int) -> list[NDArray[np.bool_]]:
    """Split rows into n stretches (P,) that hold equally many of those that count."""
    total = max(int(counts_P.sum()), 1)
    before_P: NDArray[np.int64] = np.cumsum(counts_P) - counts_P
    stretch_P = np.minimum(before_P * n // total, n - 1)
    return [stretch_P == k for k in range(n)]


def _by_contig(example: OperonExample, parts: Sequence[NDArray[np.bool_]]) -> list[list[NDArray[np.bool_]]]:
    """Each part of all pairs as parts of the contigs' pairs."""
    ends = np.cumsum([len(of_contig) for of_contig in example.genome.labels])
    return [np.split(part, ends[:-1]) for part in parts]


def _rows(example: OperonExample, prior_3K: Floats) -> _Rows:
    tracks = example.tracks
    tables = GapTables.of(gap_histograms(gap_counts(tracks)), prior_3K)
    same = np.concatenate([track.same for track in tracks])
    gap = np.concatenate([track.gap for track in tracks])[same]
    label = np.concatenate(example.genome.labels)[same]
    by_layout = _posterior(tables, example.genome.reach)
    posterior = np.interp(warp(gap), AXIS, by_layout)
    soft = (label == UNKNOWN) | ((label == 0) & (gap >= example.genome.reach))
    target = np.where(soft, posterior, label)
    attention = None
    if example.attention is not None:
        of_contigs = [attention_features(*pair) for pair in zip(tracks, example.attention, strict=True)]
        attention = np.concatenate(of_contigs)[same]
    borders = tables.borders
    odds = posterior / (1 - posterior) * borders / (1 - borders)
    features, conserved = np.concatenate(geometry(tracks, prior_3K))[same], None
    if example.conserved is not None:
        conserved = np.concatenate(example.conserved)[same][:, : len(CONSERVED)]
        features = np.concatenate([features, conserved], axis=1)
    return _Rows(features, target, soft, label != UNKNOWN, odds, attention, conserved)


def _posterior(tables: GapTables, reach: float) -> Floats:
    """Probability (K,) of an operon by the genome's gaps alone, non-increasing beyond `reach`."""
    posterior_K = np.clip(1 - tables.borders * np.exp(-tables.log_odds_K), 0.01, 0.99)
    beyond = warp(np.array(min(reach, 1e6))) <= AXIS
    return np.asarray(
        np.where(beyond, np.minimum.accumulate(np.where(beyond, posterior_K, 1.0)), posterior_K)
    )


def _boost(rows: Sequence[_Rows], rounds: int, leaves: int, seed: int) -> HistGradientBoostingClassifier:
    """Boosted trees on layout and memory; a soft target counts as both answers, weighted."""
    x = np.concatenate([row.features_NF[row.trains_N] for row in rows])
    y, weight, twice = _both_answers(np.concatenate([row.target_N[row.trains_N] for row in rows]))
    model = HistGradientBoostingClassifier(
        max_iter=rounds,
        learning_rate=LEARNING_RATE,
        max_leaf_nodes=leaves,
        max_features=COLUMNS,
        early_stopping=False,  # it would judge by a random part of the pairs, neighbours of those it fits
        random_state=seed,
    )
    return model.fit(x[twice], y, sample_weight=weight)


def _both_answers(target_N: Floats) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Hard labels, their weights, and the row that each is of.

    Raises:
        InputError: there is but one answer.
    """
    if not _has_both_answers(target_N):
        raise InputError(
            "operon labels are all equal; an operon head needs neighbours on one strand with label 1 and "
            "such with label 0"
        )
    yes, no = np.flatnonzero(target_N > 0), np.flatnonzero(target_N < 1)
    labels = np.concatenate([np.ones(len(yes)), np.zeros(len(no))])
    return labels, np.concatenate([target_N[yes], 1 - target_N[no]]), np.concatenate([yes, no])


def _has_both_answers(target_N: Floats) -> bool:
    return bool((target_N > 0).any() and (target_N < 1).any())


def _trees(model: HistGradientBoostingClassifier) -> list[NDArray[np.void]]:
    """Node tables of a fitted model; not public in scikit-learn, hence the check in `_load_trees`."""
    return [stage[0].nodes for stage in model._predictors]


def _load_trees(
    layout: BoostedTrees, models: Sequence[HistGradientBoostingClassifier], probe_NF: Floats
) -> None:
    """Write the mean of scikit-learn's models into the head's tables and compare on some rows."""
    start = float(np.mean([model._baseline_prediction.item() for model in models]))
    layout.start.fill_(start)
    for number, nodes in enumerate(nodes for model in models for nodes in _trees(model)):
        n, leaf = len(nodes), nodes["is_leaf"].astype(bool)
        children = np.stack([nodes["left"], nodes["right"]], axis=1).astype(np.int64)
        children[leaf] = np.flatnonzero(leaf)[:, None]
        layout.feature_TN[number, :n] = torch.from_numpy(
            np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64)
        )
        layout.threshold_TN[number, :n] = torch.from_numpy(np.where(leaf, 0.0, nodes["num_threshold"]))
        layout.children_TN2[number, :n] = torch.from_numpy(children)
        layout.value_TN[number, :n] = torch.from_numpy(np.where(leaf, nodes["value"], 0.0) / len(models))
    theirs = np.mean([model.decision_function(probe_NF) for model in models], axis=0)
    ours = layout(torch.from_numpy(probe_NF)).numpy()
    if not np.allclose(ours, theirs, atol=1e-9):
        raise GlmAnnotError(
            "this version of scikit-learn keeps its trees in another way; install another 1.x"
        )


def _fit_attention(head: OperonHead, rows: Sequence[_Rows], report: Report) -> None:
    """Ridge-penalised logistic regression on log attention, then its weight beside the layout."""
    x = np.concatenate([_attention_of(row) for row in rows])
    target = np.concatenate([row.target_N for row in rows])
    trains = np.concatenate([row.trains_N for row in rows])
    evidence, judged = _evidence_left_out(x, rows)
    if not judged.any():
        report("operons: too few labels to judge what attention knows of them, so it does not count")
        return
    odds = np.concatenate([row.odds_N for row in rows])
    factor = _evidence_weight(evidence[judged], odds[judged])
    # Centred on all tandem neighbours: attention moves verdicts of the layout, it does not shift all of them.
    head.attention.mean_F.copy_(torch.from_numpy(x.mean(0)))
    head.attention.weight_F.copy_(torch.from_numpy(factor * _slopes(x[trains], target[trains])))


def _with_memory(rows: list[_Rows]) -> list[_Rows]:
    """The rows with soft targets moved by what the memory says, if there is one that can be judged."""
    if any(row.conserved_NC is None for row in rows):
        return rows
    x = np.concatenate([_memory_terms(row.conserved_NC) for row in rows if row.conserved_NC is not None])
    evidence, judged = _evidence_left_out(x, rows)
    if not judged.any():
        return rows
    odds = np.concatenate([row.odds_N for row in rows])
    moved = np.where(judged, _evidence_weight(evidence[judged], odds[judged]) * evidence, 0.0)
    parts = np.split(moved, np.cumsum([len(row.target_N) for row in rows])[:-1])
    return [
        replace(row, target_N=np.where(row.soft_N, _moved(row.target_N, part), row.target_N))
        for row, part in zip(rows, parts, strict=True)
    ]


def _moved(probability_N: Floats, log_odds_N: Floats) -> Floats:
    """Probabilities after evidence; certain ones stay."""
    with np.errstate(divide="ignore"):
        logit_N = np.log(probability_N) - np.log1p(-probability_N) + log_odds_N
    return np.asarray(1 / (1 + np.exp(-logit_N)))


def _memory_terms(conserved_NC: Floats) -> Floats:
    """What the memory says of each pair, on scales on which a line is a fair fit to log-odds."""
    column = dict(zip(CONSERVED, conserved_NC.T, strict=True))
    seen = column["beside"] > 0
    gap = np.where(seen, warp(column["gap"]), 0.0)
    return np.stack(
        [
            seen,
            np.log1p(column["beside"]),
            np.log1p(column["both"]),
            column["share"],
            gap,
            column["close"],
            column["ends"],
            column["begins"],
        ],
        axis=1,
    ).astype(np.float64)


def _evidence_left_out(x_NF: Floats, rows: Sequence[_Rows]) -> tuple[Floats, NDArray[np.bool_]]:
    """Log-odds (N,) of each genome's or region's rows by slopes fitted to the others, and which have any.

    A weight is judged, and targets are moved, by what was not fitted: else chance agreement would pass for
    knowledge. They are centred on all rows.
    """
    target = np.concatenate([row.target_N for row in rows])
    trains = np.concatenate([row.trains_N for row in rows])
    mean_F = x_NF.mean(0)
    evidence, judged = np.zeros(len(x_NF)), np.zeros(len(x_NF), np.bool_)
    for part in _parts(rows):
        others = np.setdiff1d(np.flatnonzero(trains), part)
        if _has_both_answers(target[others]):
            evidence[part] = (x_NF[part] - mean_F) @ _slopes(x_NF[others], target[others])
            judged[part] = True
    return evidence, judged


def _slopes(x_NF: Floats, target_N: Floats) -> Floats:
    """Log-odds (F,) per unit of each feature."""
    y, weight, twice = _both_answers(target_N)
    scale = x_NF.std(0) + 1e-6
    model = LogisticRegression(C=RIDGE, max_iter=1000)
    model.fit(((x_NF - x_NF.mean(0)) / scale)[twice], y, sample_weight=weight)
    return np.asarray(model.coef_[0] / scale)


def _parts(rows: Sequence[_Rows]) -> list[NDArray[np.int64]]:
    """Row numbers of each genome, or of each region of a single one."""
    sizes = [len(row.target_N) for row in rows]
    if len(sizes) > 1:
        return np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    return [np.flatnonzero(part) for part in _stretches(rows[0].trains_N, REGIONS)]


def _attention_of(rows: _Rows) -> Floats:
    if rows.attention_NF is None:
        raise ValueError("some examples have attention and others none")
    return rows.attention_NF


def _evidence_weight(evidence_N: Floats, odds_N: Floats) -> float:
    """The factor w that makes sigmoid(w evidence + b) the prior best fitting to the gaps that are seen.

    Each gap is an observation from one of two densities of known ratio, within operons over between them:
    maximises sum log(p odds + 1 - p) over w and b. Labels made from gaps would understate w, for there the
    noise of the gap is taken for noise of the evidence.
    """

    def loss(parameters: Floats) -> float:
        z = parameters[0] * evidence_N + parameters[1]
        yes = -np.logaddexp(0, -z) + np.log(odds_N)
        return float(-np.logaddexp(yes, -np.logaddexp(0, z)).mean())

    return max(0.0, float(minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x[0]))


def _calibration(
    examples: Sequence[OperonExample], rows: Sequence[_Rows], seed: int, report: Report
) -> Floats:
    """Slope and offset of the log-odds, by Platt's method, over all tandem neighbours of genomes left out.

    Their targets are those of `rows`, which no memory has moved: what the head knows of one judges nothing.

    A genome or region without which no head can be fitted is passed over; (1, 0) where all of them are.
    """
    logits, targets, weights = [np.empty(0)], [np.empty(0)], [np.empty(0)]
    for training, number, counted in _folds(examples):
        held_out = examples[number]
        try:
            head = fit_operon_head(training, calibrate=False, seed=seed)
        except InputError:
            continue
        tracks = held_out.tracks
        logit = np.concatenate(head.logits(tracks, held_out.attention, conserved=held_out.conserved))
        same = np.concatenate([track.same for track in tracks])
        chosen = counted[same]
        logits.append(logit[same][chosen])
        targets.append(rows[number].target_N[chosen])
        weights.append(np.full(chosen.sum(), 1 / max(chosen.sum(), 1)))
    target = np.concatenate(targets)
    if not _has_both_answers(target):
        report("operons: too few labels to calibrate probabilities: they are good for ranking only")
        return np.array([1.0, 0.0])
    y, share, twice = _both_answers(target)
    weight = share * np.concatenate(weights)[twice]
    x = np.concatenate(logits)[twice, None]
    model = LogisticRegression(C=1e6).fit(x, y, sample_weight=weight * len(x))
    return np.array([model.coef_[0, 0], model.intercept_[0]])


def _folds(
    examples: Sequence[OperonExample],
) -> Iterator[tuple[list[OperonExample], int, NDArray[np.bool_]]]:
    """(training, number of the held out one, which of its pairs count): each genome, or regions of one."""
    if len(examples) > 1:
        for number, example in enumerate(examples):
            pairs = sum(map(len, example.genome.labels))
            others = [other for k, other in enumerate(examples) if k != number]
            yield others, number, np.ones(pairs, dtype=np.bool_)
        return
    for region in _labelled_regions(examples[0], REGIONS):
        yield [hide(examples[0], [~inside for inside in region])], 0, np.concatenate(region)
