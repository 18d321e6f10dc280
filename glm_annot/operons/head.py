"""Operons: the probability that neighbouring genes share one, and the operons that follow.

Boosted trees read the layout of the genome (`glm_annot.operons.features`) and what a memory of gene order
says of the two families. A model without such a memory adds the log-odds of gLM's attention between the two
genes. The sum is calibrated. What promoters between the genes say (`glm_annot.operons.promoters`) is added
to that, where the sequence is known.

Axis letters: P neighbouring pairs of a contig, F features, C columns of `CONSERVED` and `IN_GENERA`, A
attention heads of all layers, T trees, N nodes of a tree, K points of the gap axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glm_annot.operons.evidence import LinkEvidence, link_evidence, said_of
from glm_annot.operons.features import (
    AXIS_POINTS,
    CONSERVED,
    GEOMETRY,
    KINDS,
    Floats,
    Ints,
    Track,
    by_pair,
    circumference,
    geometry,
)
from glm_annot.operons.places import Places
from glm_annot.operons.promoters import Promoters, promoter_counts
from glm_annot.records import Contig, Gene, Genome, OperonCall

LINK_THRESHOLD = 0.5  # neighbours are one operon from this probability on
LEAST_ATTENTION = 1e-4  # added before the logarithm; attention below it is noise


@dataclass(frozen=True)
class OperonHeadConfig:
    """Sizes of an operon head.

    Attributes:
        attention: layers x heads of the gLM whose attention it reads; 0 for a head that needs no gLM.
        trees: number of boosted trees.
        nodes: nodes of the largest tree.
        conserved: whether the trees read what a memory of gene order says, too.
    """

    attention: int = 0
    trees: int = 320
    nodes: int = 29
    conserved: bool = False

    @property
    def features(self) -> tuple[str, ...]:
        """What the trees read."""
        return GEOMETRY + CONSERVED if self.conserved else GEOMETRY


class BoostedTrees(nn.Module):
    """A sum of regression trees as tables: node n of tree t asks whether feature <= threshold.

    Leaves name themselves as both children, so that a fixed number of steps ends every path.
    """

    feature_TN: Tensor
    threshold_TN: Tensor
    children_TN2: Tensor
    value_TN: Tensor
    start: Tensor

    def __init__(self, trees: int, nodes: int) -> None:
        super().__init__()
        shape = (trees, nodes)
        self.register_buffer("feature_TN", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("threshold_TN", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("children_TN2", torch.zeros((*shape, 2), dtype=torch.int64))
        self.register_buffer("value_TN", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("start", torch.zeros((), dtype=torch.float64))

    def check(self, features: int) -> None:
        """Raise ValueError unless every path ends, at a node that there is, by features below `features`."""
        for children_N2 in self.children_TN2.tolist():
            reached = {0}
            for node, children in enumerate(children_N2):
                if node not in reached:
                    continue  # no path comes here
                if not all(node <= child < len(children_N2) for child in children):
                    raise ValueError("children_TN2 names nodes that do not come after their parents")
                reached.update(children)
        if bool(((self.feature_TN < 0) | (self.feature_TN >= features)).any()):
            raise ValueError("feature_TN names features that there are not")

    def forward(self, x_PF: Tensor) -> Tensor:
        """Scores (P,) of feature rows."""
        x_PF = x_PF.to(self.threshold_TN)
        tree_T = torch.arange(self.feature_TN.shape[0], device=x_PF.device)
        node_PT = torch.zeros((len(x_PF), len(tree_T)), dtype=torch.int64, device=x_PF.device)
        while True:
            value_PT = x_PF.gather(1, self.feature_TN[tree_T, node_PT])
            right_PT = (value_PT > self.threshold_TN[tree_T, node_PT]).long()
            next_PT = self.children_TN2[tree_T, node_PT, right_PT]
            if torch.equal(next_PT, node_PT):
                return self.start + self.value_TN[tree_T, node_PT].sum(1)
            node_PT = next_PT


class AttentionEvidence(nn.Module):
    """Log-odds of an operon from the attention within a pair and within the pairs beside it."""

    mean_F: Tensor
    weight_F: Tensor

    def __init__(self, attention: int) -> None:
        super().__init__()
        features = len(NEARBY) * attention
        self.register_buffer("mean_F", torch.zeros(features, dtype=torch.float64))
        self.register_buffer("weight_F", torch.zeros(features, dtype=torch.float64))

    def forward(self, x_PF: Tensor) -> Tensor:
        """Log-odds (P,) of feature rows as `attention_features` makes them."""
        return (x_PF.to(self.mean_F.device) - self.mean_F) @ self.weight_F


NEARBY = (0, -1, 1)  # the pair itself, the one upstream, the one downstream


def attention_features(track: Track, attention_PA: NDArray[np.floating]) -> Floats:
    """Log attention (P, 3A) of each pair and of the pairs up- and downstream of it.

    A pair at a contig's edge takes its own attention for that of the missing neighbour.

    Raises:
        ValueError: there are not as many rows as pairs.
    """
    n = len(track.gap)
    if len(attention_PA) != n:
        raise ValueError(f"{len(attention_PA)} rows of attention for {n} pairs of neighbours")
    logs_PA = np.log(np.asarray(attention_PA, dtype=np.float64) + LEAST_ATTENTION)
    direction = track.strand[track.left]
    parts = []
    for k in NEARBY:
        at = track.left + k * direction
        at = at % max(n, 1) if track.circular else np.where((at < 0) | (at >= n), track.left, at)
        parts.append(logs_PA[at])
    return np.concatenate(parts, axis=1)


class OperonHead(nn.Module):
    """Calibrated probability that neighbouring genes share an operon.

    Built by `OperonHead(OperonHeadConfig(...))` and `load_state_dict`; all that was fitted is in its buffers.
    """

    gap_prior_3K: Tensor
    calibration: Tensor

    def __init__(self, config: OperonHeadConfig) -> None:
        super().__init__()
        self.config = config
        self.layout = BoostedTrees(config.trees, config.nodes)
        self.attention = AttentionEvidence(config.attention)
        # Until it is fitted, all gaps are equally likely.
        even_3K = torch.full((len(KINDS), AXIS_POINTS), 1 / AXIS_POINTS, dtype=torch.float64)
        self.register_buffer("gap_prior_3K", even_3K)
        self.register_buffer("calibration", torch.tensor([1.0, 0.0], dtype=torch.float64))  # slope, offset

    def check(self) -> None:
        """Raise ValueError for trees that cannot be followed."""
        self.layout.check(len(self.config.features))

    def predict(
        self,
        contigs: Sequence[Contig],
        attention: Sequence[NDArray[np.floating]] | None = None,
        gaps_3K: Ints | None = None,
        promoters: Promoters | None = None,
        conserved: Sequence[Floats] | None = None,
    ) -> list[Floats]:
        """Probability of sharing an operon for each pair of neighbouring coding genes.

        Gaps and promoters are judged against those of the whole genome.

        Args:
            contigs: all contigs of the genome, or some of them; also those without coding genes.
            attention: for each contig (P, A) attention within each pair, A + A transposed, from the window
                where the pair is most central. Not read, and may be None, if `config.attention` is 0.
            gaps_3K: the whole genome's `gap_counts`; None where `contigs` are all of it.
            promoters: learned from the whole genome; None where `contigs` are all of it.
            conserved: for each contig (P, C) what the memory says of each pair. Not read, and may be None,
                without `config.conserved`.

        Returns:
            for each contig (P,) in order of `contig.pairs`; 0.0 where the strands differ.

        Raises:
            ValueError: attention or `conserved` is missing, or of another shape than contigs and config say.
        """
        log_odds = self.log_odds(contigs, attention, gaps_3K, promoters, conserved)
        return [
            np.where(Track.of(contig).same, _sigmoid(log_odds_P), 0.0)
            for contig, log_odds_P in zip(contigs, log_odds, strict=True)
        ]

    def evidence(
        self,
        contigs: Sequence[Contig],
        gaps_3K: Ints | None = None,
        promoters: Promoters | None = None,
        conserved: Sequence[Floats] | None = None,
    ) -> dict[tuple[int, int], LinkEvidence]:
        """What speaks for each pair, keyed by gene indices; arguments as for `predict`."""
        return link_evidence(contigs, self.gap_prior_3K.cpu().numpy(), gaps_3K, promoters, conserved)

    def log_odds(
        self,
        contigs: Sequence[Contig],
        attention: Sequence[NDArray[np.floating]] | None = None,
        gaps_3K: Ints | None = None,
        promoters: Promoters | None = None,
        conserved: Sequence[Floats] | None = None,
    ) -> list[Floats]:
        """Log-odds (P,) of what `predict` gives: calibrated trees and attention, and promoters.

        They have no meaning where strands differ.
        """
        tracks = [Track.of(contig) for contig in contigs]
        promoters = promoters or Promoters.of(promoter_counts(contigs))
        slope, offset = self.calibration.tolist()
        logits = self.logits(tracks, attention, gaps_3K, conserved)
        against = promoters.log_odds(contigs)
        return [slope * x_P + offset - y_P for x_P, y_P in zip(logits, against, strict=True)]

    @torch.no_grad()
    def logits(
        self,
        tracks: Sequence[Track],
        attention: Sequence[NDArray[np.floating]] | None = None,
        gaps_3K: Ints | None = None,
        conserved: Sequence[Floats] | None = None,
    ) -> list[Floats]:
        """Log-odds (P,) before calibration and without promoters; without meaning where strands differ."""
        features = geometry(tracks, self.gap_prior_3K.cpu().numpy(), gaps_3K)
        if self.config.conserved:
            if conserved is None:
                raise ValueError("this operon head needs what its memory of gene order says")
            pairs = zip(features, conserved, strict=True)
            features = [np.concatenate([x_PF, x_PC[:, : len(CONSERVED)]], axis=1) for x_PF, x_PC in pairs]
        logits = [_array(self.layout(torch.from_numpy(x_PF))) for x_PF in features]
        if not self.config.attention:
            return logits
        if attention is None:
            raise ValueError("this operon head needs the attention of its gLM")
        evidence = [attention_features(*pair) for pair in zip(tracks, attention, strict=True)]
        return [
            logit_P + _array(self.attention(torch.from_numpy(x_PF)))
            for logit_P, x_PF in zip(logits, evidence, strict=True)
        ]


def _array(values: Tensor) -> Floats:
    return np.asarray(values.cpu().numpy(), dtype=np.float64)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))


def pair_probabilities(
    contigs: Sequence[Contig], probabilities: Sequence[Floats]
) -> dict[tuple[int, int], float]:
    """What `OperonHead.predict` gave, keyed by the pair's gene indices, as `Predictions.pairs` holds it."""
    pairs = by_pair(contigs, probabilities)
    return {pair: float(probability) for pair, probability in pairs.items()}


def call_operons(
    genome: Genome,
    pairs: Mapping[tuple[int, int], float],
    threshold: float = LINK_THRESHOLD,
    *,
    first: int = 1,
    evidence: Mapping[tuple[int, int], LinkEvidence] | None = None,
) -> tuple[OperonCall, ...]:
    """Runs of neighbours on one strand that are linked with at least `threshold`, numbered from `first` on.

    With `evidence` of the pairs each operon tells what speaks for all its links.

    An operon over the origin of a circular contig starts before it and has `end > contig.length`. If all
    neighbours of a circular contig are linked, its genes are one operon from the first on, without borders.
    """
    runs = [
        (contig, places, run)
        for contig in genome.contigs
        for places in [Places.of(contig)]
        for run in _runs(contig, pairs, threshold)
    ]
    return tuple(
        _call(f"glm_operon_{number:04d}", contig, places, run, pairs, evidence or {})
        for number, (contig, places, run) in enumerate(runs, first)
    )


@dataclass(frozen=True)
class _Run:
    """Linked genes in order, the genes before and after them where there are such, and the first position."""

    genes: tuple[Gene, ...]
    before: Gene | None
    after: Gene | None
    first: int


def _runs(contig: Contig, pairs: Mapping[tuple[int, int], float], threshold: float) -> Iterator[_Run]:
    """The operons of a contig, ordered by their first gene."""
    genes, n = contig.coding, len(contig.coding)
    linked = [
        genes[left].strand == genes[right].strand
        and pairs[genes[left].index, genes[right].index] >= threshold
        for left, right in contig.pairs
    ]
    circle = len(linked) == n  # there is a pair after the last gene
    begins = [i for i in range(n) if not (linked[i - 1] if i or circle else False)]
    if n and not begins:
        yield _Run(genes, None, None, 0)
    for begin, next_begin in zip(begins, [*begins[1:], begins[0] + n] if begins else [], strict=True):
        run = tuple(genes[i % n] for i in range(begin, next_begin))
        if len(run) > 1:
            before = genes[begin - 1] if begin or circle else None
            after = genes[next_begin % n] if next_begin < n or circle else None
            yield _Run(run, before, after, begin)


def _call(
    name: str,
    contig: Contig,
    places: Places,
    run: _Run,
    pairs: Mapping[tuple[int, int], float],
    evidence: Mapping[tuple[int, int], LinkEvidence],
) -> OperonCall:
    first, last = run.genes[0], run.genes[-1]
    links = [(left.index, right.index) for left, right in pairwise(run.genes)]
    n = len(places.home)
    ends = [
        places.home[i % n][1] + (circumference(contig) if i >= n else 0)
        for i in range(run.first, run.first + len(run.genes))
    ]
    return OperonCall(
        id=name,
        contig=contig.name,
        genes=tuple(gene.index for gene in run.genes),
        start=first.start,
        end=max(ends),
        strand=first.strand,
        confidence=min(pairs[link] for link in links),
        evidence=said_of([evidence[link] for link in links]) if evidence else (),
        start_confidence=1 - pairs[run.before.index, first.index] if run.before else None,
        end_confidence=1 - pairs[last.index, run.after.index] if run.after else None,
    )
