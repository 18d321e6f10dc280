"""Fits what makes probabilities of the evidence for EC numbers.

Whether a protein is an enzyme learns from whole genomes, so that its prior is a genome's: about a third of
the proteins are enzymes, and a gene that its annotators gave no EC counts as none. Which enzyme learns from
enzymes only: those of the genomes and those of labelled clusters that no evidence has seen, so that remote
relatives count too.

Axes: E examples; R rows (candidates); F features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from glm_annot.ec.evidence import RANKING_FEATURES, Evidence
from glm_annot.ec.head import THRESHOLD, ECHead, EnzymeOdds, Ranking
from glm_annot.ec_numbers import LEVELS, Node, is_complete, node

PENALTY = 10.0  # of squared weights, against the summed loss
ITERATIONS = 200  # of L-BFGS
LEAST_SPREAD = 1e-3  # of a feature; one that varies less is no evidence here, and is not blown up
RARE = 1e-9  # no right answer is taken to be less likely
CLOSE = 0.4  # similarity of a profile that counts for its labels' rates
THRESHOLDS = tuple(round(0.05 * place, 2) for place in range(1, 20))  # to choose the default from
NEARLY = 0.99  # of the best F1
PRIOR = 2.0  # proteins that the mean rate counts for beside those seen


@dataclass(frozen=True)
class CalibrationExample:
    """A protein that nothing else was fitted on.

    Attributes:
        evidence: for its EC numbers.
        ec: those numbers; none: not an enzyme.
        genome: whose proteins it stands for, enzymes and others alike; None for a labelled protein.
        run: of the gene, as `glm_annot.ec.adjacency.runs` counts them; genes of a genome come in order.
    """

    evidence: Evidence
    ec: tuple[str, ...]
    genome: int | None
    run: int = 0


def calibrate(head: ECHead, examples: Sequence[CalibrationExample], *, seed: int = 0) -> None:
    """Fit the rates, the probabilities and the default threshold of a head in place.

    The rates that a genome's own proteins are judged by come from the other genomes. What genes are likely to
    be by themselves, which is what they say to those beside them, is told by a fit that came before.

    Args:
        head: whose evidence the examples hold.
        examples: proteins with known answers.
        seed: of the first weights.
    """
    labels = head.config.labels
    head.rate_C2.copy_(torch.from_numpy(_rates(examples, labels)))
    crossed = []
    for genome in sorted({e.genome for e in examples}, key=lambda g: -1 if g is None else g):
        others = [e for e in examples if e.genome != genome]
        rate_C2 = _rates(others, labels).tolist()
        crossed += [_with_rates(e, rate_C2) for e in examples if e.genome == genome]
    for again in (True, False) if head.config.pairs else (False,):
        _fit_enzyme(head.enzyme, [e for e in crossed if e.genome is not None], seed)
        _fit_ranking(head.ranking, [e for e in crossed if e.ec])
        if again:
            crossed = _with_neighbours(head, crossed)
    head.config = replace(head.config, threshold=best_threshold(head, crossed))


def best_threshold(head: ECHead, examples: Sequence[CalibrationExample]) -> float:
    """The lowest of `THRESHOLDS` whose calls have nearly the best F1 over all proteins of genomes.

    F1 counts complete numbers, 2 right / (called + true), over all proteins together. Around the best it is
    flat, and annotations lack numbers, so that some calls that count as wrong are right: of thresholds that
    are nearly as good (`NEARLY`) the one that calls most is taken. A call of calibrated probability p raises
    F1 where p > F1 / 2 (Lipton, Elkan and Naryanaswamy 2014, doi:10.1007/978-3-662-44851-9_15), so the best
    lies below 0.5.
    """
    examples = [e for e in examples if e.genome is not None]
    true = [{node(number) for number in e.ec if is_complete(number)} for e in examples]
    p, right = [], []
    for found, known in zip(head.confidences([e.evidence for e in examples]), true, strict=True):
        complete = [step for step in found if len(step) == LEVELS]
        p += [found[step] for step in complete]
        right += [step in known for step in complete]
    p_R, right_R, n_true = np.array(p), np.array(right, bool), sum(map(len, true))
    if not n_true:
        return THRESHOLD
    f1 = [2 * right_R[p_R >= t].sum() / ((p_R >= t).sum() + n_true) for t in THRESHOLDS]
    return next(t for t, reached in zip(THRESHOLDS, f1, strict=True) if reached >= NEARLY * max(f1))


def _rates(examples: Sequence[CalibrationExample], labels: Sequence[str]) -> npt.NDArray[np.float32]:
    """For each label how often proteins of genomes nearest to it have an EC, and this one, (C, 2)."""
    count_C, given_C2 = np.zeros((len(labels), 1)), np.zeros((len(labels), 2))
    for example in examples:
        if example.genome is None or not example.evidence.profiles:
            continue
        near = example.evidence.profiles[0]
        if near.similarity >= CLOSE:
            for place in near.labels:
                count_C[place] += 1
                given_C2[place] += bool(example.ec), labels[place] in example.ec
    overall = given_C2.sum(0) / max(count_C.sum(), 1)
    rate_C2: npt.NDArray[np.float64] = (given_C2 + PRIOR * overall) / (count_C + PRIOR)
    return rate_C2.astype(np.float32)


def _with_rates(example: CalibrationExample, rate_C2: Sequence[Sequence[float]]) -> CalibrationExample:
    profiles = []
    for near in example.evidence.profiles:
        rates = [rate_C2[place] for place in near.labels] or [[0.0, 0.0]]
        enzyme, exact = (max(column) for column in zip(*rates, strict=True))
        profiles.append(replace(near, enzyme_rate=enzyme, exact_rate=exact))
    return replace(example, evidence=replace(example.evidence, profiles=profiles))


def _with_neighbours(head: ECHead, examples: Sequence[CalibrationExample]) -> list[CalibrationExample]:
    """The same with what the enzymes beside each gene of a genome say."""
    found = [e for e in examples if e.genome is None]
    for _, own in groupby((e for e in examples if e.genome is not None), key=lambda e: e.genome):
        genes = list(own)
        evidences = head.with_neighbours([e.evidence for e in genes], [e.run for e in genes])
        found += [replace(e, evidence=evidence) for e, evidence in zip(genes, evidences, strict=True)]
    return found


def _fit_enzyme(odds: EnzymeOdds, examples: Sequence[CalibrationExample], seed: int) -> None:
    """Logistic loss with a penalty; without examples it keeps to even odds."""
    odds.requires_grad_(True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for layer in (odds.hidden, odds.direct, odds.output):
            layer.reset_parameters()
    nn.init.zeros_(odds.direct.weight)
    nn.init.zeros_(odds.direct.bias)
    nn.init.zeros_(odds.output.weight)
    if not examples:
        return
    features_EF = torch.tensor([example.evidence.enzyme_features() for example in examples])
    enzyme_E = torch.tensor([float(bool(example.ec)) for example in examples])
    odds.mean_F.copy_(features_EF.mean(0))
    std_F = features_EF.std(0, correction=0)
    odds.scale_F.copy_(torch.where(std_F < LEAST_SPREAD, 1.0, std_F))
    weights = [odds.direct.weight, odds.hidden.weight, odds.output.weight]

    def loss() -> Tensor:
        cross_entropy = nn.functional.binary_cross_entropy_with_logits(odds(features_EF), enzyme_E)
        return cross_entropy + PENALTY / len(examples) * sum(w.square().sum() for w in weights)

    _minimise(odds, loss)


def _fit_ranking(ranking: Ranking, examples: Sequence[CalibrationExample]) -> None:
    """Minus the logarithm of what the right candidates of each enzyme get together, with a penalty.

    The penalty keeps the weight of what the sources say near 1, where a candidate gets its share of that, and
    the others near 0."""
    ranking.requires_grad_(True)
    start_SF = torch.zeros_like(ranking.weight_SF)
    start_SF[:, RANKING_FEATURES.index("log_said")] = 1.0
    with torch.no_grad():
        ranking.weight_SF.copy_(start_SF)
        ranking.bias_S.zero_()
    if not examples:
        return
    rows, level, right, sizes = [], [], [], []
    for example in examples:
        nodes = example.evidence.candidates()
        known = _right_candidates(example.ec, nodes)
        rows += example.evidence.ranking_features(nodes)
        level += [len(candidate) for candidate in nodes]
        right += [candidate in known for candidate in nodes]
        sizes.append(len(nodes))
    features_RF, level_R, right_R = torch.tensor(rows), torch.tensor(level), torch.tensor(right)
    example_R = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))

    def loss() -> Tensor:
        score_R = ranking(features_RF, level_R)
        highest_E = torch.full((len(sizes),), -torch.inf).scatter_reduce(
            0, example_R, score_R.detach(), "amax"
        )
        share_R = torch.exp(score_R - highest_E[example_R])
        all_E, right_E = (
            torch.zeros(len(sizes)).scatter_add(0, example_R, of) for of in (share_R, share_R * right_R)
        )
        told = -torch.log(right_E / all_E + RARE).mean()
        return told + PENALTY / len(sizes) * (ranking.weight_SF - start_SF).square().sum()

    _minimise(ranking, loss)


def _right_candidates(ec: Sequence[str], nodes: Sequence[Node]) -> set[Node]:
    """The candidates that stand for the true numbers.

    Of a number that is no candidate, the deepest class that is one; of a class such as 2.7.1.-, all
    candidates under it."""
    there, right = set(nodes), set[Node]()
    for true in map(node, ec):
        under = {candidate for candidate in nodes if candidate[: len(true)] == true}
        right |= under or {next(true[:depth] for depth in range(len(true), -1, -1) if true[:depth] in there)}
    return right


def _minimise(module: nn.Module, loss: Callable[[], Tensor]) -> None:
    """Fits all parameters of a module by L-BFGS."""
    optimiser = torch.optim.LBFGS(module.parameters(), max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        total = loss()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(closure)  # type: ignore[no-untyped-call]
