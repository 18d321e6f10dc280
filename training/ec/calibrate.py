"""Fits the calibrated steps of the EC head.

Step 0 (enzyme or not) learns from whole genomes, so that its prior is a genome's: about a third of the
proteins are enzymes, and a gene that its annotators gave no EC counts as none. The steps below it ask which
enzyme, and learn from enzymes only: those of the genomes and those of labelled clusters that no evidence has
seen, so that they know remote relatives too.

Axes: R rows (candidates); F features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from glm_annot.ec.evidence import Evidence
from glm_annot.ec.head import THRESHOLD, ECHead, Step
from glm_annot.ec_numbers import LEVELS, Node, ancestry, is_complete, node

PENALTY = 3.0  # of squared weights, against the summed loss
ITERATIONS = 200  # of L-BFGS
CLOSE = 0.4  # similarity of a profile that counts for its labels' rates
THRESHOLDS = tuple(round(0.05 * place, 2) for place in range(1, 20))  # to choose the default from
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
    """Fit the rates, all steps and the default threshold of a head in place.

    Proteins with homologues are judged by steps that are fitted on such proteins, those without by steps that
    are fitted on the others; where all have some, on the same without them.

    The rates that a genome's own proteins are judged by come from the other genomes. What genes are likely to
    be by themselves, which is what they say to those beside them, is judged by steps that were fitted before.

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
        with_homologues = [e for e in crossed if e.evidence.homologues]
        alone = [e for e in crossed if not e.evidence.homologues] or [_alone(e) for e in crossed]
        for steps, seen in ((head.steps, alone), (head.referenced, with_homologues)):
            for level, step in enumerate(steps):
                assert isinstance(step, Step)
                rows_RF, right_R = _rows(seen, level, step.mean_F.shape[0])
                _fit(step, rows_RF, right_R, seed)
        if again:
            crossed = _with_neighbours(head, crossed)
    head.config = replace(head.config, threshold=best_threshold(head, crossed))


def best_threshold(head: ECHead, examples: Sequence[CalibrationExample]) -> float:
    """The threshold whose calls have the best F1 over all proteins of genomes, of `THRESHOLDS`.

    F1 counts complete numbers, 2 right / (called + true), over all proteins together; of equally good
    thresholds the highest is taken. A call of calibrated probability p raises F1 where p > F1 / 2 (Lipton,
    Elkan and Naryanaswamy 2014, doi:10.1007/978-3-662-44851-9_15), so the best lies below 0.5.
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
    return max(zip(f1, THRESHOLDS, strict=True))[1]


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


def _alone(example: CalibrationExample) -> CalibrationExample:
    return replace(example, evidence=replace(example.evidence, homologues=()))


def _with_neighbours(head: ECHead, examples: Sequence[CalibrationExample]) -> list[CalibrationExample]:
    """The same with what the enzymes beside each gene of a genome say."""
    found = [e for e in examples if e.genome is None]
    for _, own in groupby((e for e in examples if e.genome is not None), key=lambda e: e.genome):
        genes = list(own)
        evidences = head.with_neighbours([e.evidence for e in genes], [e.run for e in genes])
        found += [replace(e, evidence=evidence) for e, evidence in zip(genes, evidences, strict=True)]
    return found


def _rows(
    examples: Sequence[CalibrationExample], level: int, features: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Features of all candidates of one level whose parent is right, and whether they are right."""
    rows, right = [], []
    for example in examples:
        if level == 0 and example.genome is None:
            continue
        true, ends = ancestry(example.ec), {node(number) for number in example.ec}
        named = (candidate for candidate in example.evidence.candidates() if len(candidate) == level)
        known = [c for c in named if not c or _has_known_children(c[:-1], true, ends)]
        rows += example.evidence.features(known)
        right += [candidate in true for candidate in known]
    return np.array(rows, np.float32).reshape(-1, features), np.array(right, np.float32)


def _has_known_children(parent: Node, true: frozenset[Node], ends: set[Node]) -> bool:
    """Whether a node is right and the true numbers go on below it; a true number 2.7.1.- ends there."""
    return parent in true and parent not in ends


def _fit(step: Step, rows_RF: npt.NDArray[np.float32], right_R: npt.NDArray[np.float32], seed: int) -> None:
    """Logistic loss with a penalty; without rows the step keeps to its prior, even odds."""
    step.requires_grad_(True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for layer in (step.hidden, step.direct, step.output):
            layer.reset_parameters()
    nn.init.zeros_(step.direct.weight)
    nn.init.zeros_(step.direct.bias)
    nn.init.zeros_(step.output.weight)
    if not len(right_R):
        return
    features_RF, target_R = torch.from_numpy(rows_RF), torch.from_numpy(right_R)
    step.mean_F.copy_(features_RF.mean(0))
    step.scale_F.copy_(features_RF.std(0, correction=0).clamp_min(1e-3))
    weights = [step.direct.weight, step.hidden.weight, step.output.weight]
    optimiser = torch.optim.LBFGS(step.parameters(), max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        cross_entropy = nn.functional.binary_cross_entropy_with_logits(step(features_RF), target_R)
        total = cross_entropy + PENALTY / len(right_R) * sum(w.square().sum() for w in weights)
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
