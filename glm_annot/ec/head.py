"""EC numbers with calibrated confidences.

Four sources name candidates: homologues among labelled proteins (`glm_annot.ec.search`), which the head
holds and to which a user may add, families that share patterns with the protein (`glm_annot.ec.families`), a
linear head on its embedding, and one on what gLM makes of it in its context. A small network tells how likely
the protein is an enzyme at all. A softmax shares that probability out among the candidates, by what the
sources say for each together and by the enzymes beside the gene (`glm_annot.ec.adjacency`). A candidate above
the last level, such as 2.7.1.-, stands for the numbers under it that are no candidates themselves. The
probability of a class is the sum of what lies under it, so it is never less likely than any of that. Numbers
that labelled proteins have together raise each other (`glm_annot.ec.together`).

Axes: G proteins; D embedding; L hidden layers; C labels; P profiles; N labels over all profiles; R rows of
features; F features.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import accumulate, islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from glm_annot.ec.adjacency import LEAST, LabelPairs
from glm_annot.ec.evidence import (
    ENZYME_FEATURES,
    RANKING_FEATURES,
    SOURCES,
    Evidence,
    Homologue,
    SimilarFamily,
    by_node,
    nearest,
    spans,
)
from glm_annot.ec.families import KmerConfig, KmerProfiles
from glm_annot.ec.reference import CLEAR_BITS, Reference
from glm_annot.ec.together import with_others
from glm_annot.ec_numbers import LEVELS, ROOT, Node, ancestry, node, number, sort_key
from glm_annot.records import ECCall

TOP = 3  # complete numbers listed whatever their confidence
THRESHOLD = 0.5  # of a head that nothing has calibrated
_NO_WORD = re.compile(r"[^A-Za-z0-9._|-]")  # in the name of a homologue
ENZYME_WIDTH = 16  # hidden units of what tells enzymes
_BATCH = 1024  # proteins whose probabilities over all labels are held at once

Confidences = dict[Node, float]


@dataclass(frozen=True)
class ECHeadConfig:
    """Shape of an EC head.

    Attributes:
        labels: EC numbers, in the order of `sort_key`.
        layers: gLM hidden layers that are read.
        hidden_dim: numbers of one hidden layer; 0 leaves the context's evidence out.
        embedding_dim: numbers of a protein embedding; 0 leaves the encoder's evidence out.
        profiles, entries: sizes of the k-mer profiles (`KmerConfig`); 0 leaves this evidence out.
        profile_labels: labels over all profiles; a profile of proteins without an EC has none.
        pairs: pairs of labels that were seen beside each other; 0 leaves this evidence out.
        collections: how many of the labelled proteins that it holds come from where, and on whose terms.
        threshold: least confidence of a number that is called, unless the user states another; the one at
            which the calls on the calibrating genomes had the best F1.
    """

    labels: tuple[str, ...]
    layers: tuple[int, ...] = ()
    hidden_dim: int = 0
    embedding_dim: int = 0
    profiles: int = 0
    entries: int = 0
    profile_labels: int = 0
    pairs: int = 0
    collections: Mapping[str, int] = field(default_factory=dict)
    threshold: float = THRESHOLD

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "labels", tuple(self.labels))
        if list(self.labels) != sorted(set(self.labels), key=sort_key):
            raise ValueError("labels of an EC head must be distinct and in order")
        if not 0 <= self.threshold <= 1:  # NaN is not
            raise ValueError(f"the threshold of an EC head must be from 0 to 1, not {self.threshold}")

    @property
    def context_dim(self) -> int:
        """Numbers that the context's linear head reads; 0 without one."""
        return len(self.layers) * self.hidden_dim


@dataclass(frozen=True, slots=True)
class ECResult:
    """What the EC head says of one protein; the fields are those of `GenePrediction`."""

    ec: tuple[ECCall, ...]
    ec_top: tuple[ECCall, ...]
    enzyme: float
    evidence: str


class LinearHead(nn.Module):
    """Softmax over all labels and, last, 'not an enzyme'; weights are kept as fp16."""

    mean_D: Tensor
    scale_D: Tensor
    weight_CD: Tensor
    bias_C: Tensor

    def __init__(self, dim: int, labels: int) -> None:
        super().__init__()
        self.register_buffer("mean_D", torch.zeros(dim))
        self.register_buffer("scale_D", torch.ones(dim))
        self.register_buffer("weight_CD", torch.zeros(labels + 1, dim, dtype=torch.float16))
        self.register_buffer("bias_C", torch.zeros(labels + 1))

    def forward(self, x_GD: Tensor) -> Tensor:
        """Probabilities (G, C + 1)."""
        z_GD = (x_GD - self.mean_D) / self.scale_D
        return torch.softmax(z_GD @ self.weight_CD.float().T + self.bias_C, dim=-1)


class EnzymeOdds(nn.Module):
    """From `ENZYME_FEATURES` to the log odds that a protein is an enzyme."""

    mean_F: Tensor
    scale_F: Tensor

    def __init__(self) -> None:
        super().__init__()
        features = len(ENZYME_FEATURES)
        self.register_buffer("mean_F", torch.zeros(features))
        self.register_buffer("scale_F", torch.ones(features))
        self.hidden = nn.Linear(features, ENZYME_WIDTH)
        self.direct = nn.Linear(features, 1)
        self.output = nn.Linear(ENZYME_WIDTH, 1, bias=False)

    def forward(self, features_GF: Tensor) -> Tensor:
        """Log odds (G,)."""
        z_GF = (features_GF - self.mean_F) / self.scale_F
        logits_G1: Tensor = self.direct(z_GF) + self.output(torch.tanh(self.hidden(z_GF)))
        return logits_G1.squeeze(-1)


class Ranking(nn.Module):
    """From `RANKING_FEATURES` to the scores of candidates, linear for each level of the hierarchy."""

    def __init__(self) -> None:
        super().__init__()
        self.weight_SF = nn.Parameter(torch.zeros(LEVELS + 1, len(RANKING_FEATURES)))
        self.bias_S = nn.Parameter(torch.zeros(LEVELS + 1))

    def forward(self, features_RF: Tensor, level_R: Tensor) -> Tensor:
        """Scores (R,) of candidates with so many levels."""
        return (features_RF * self.weight_SF[level_R]).sum(1) + self.bias_S[level_R]


class ECHead(nn.Module):
    """All evidences and their calibration.

    Attributes:
        base: labelled proteins that are searched for homologues; none in a head without this evidence.

    Buffers:
        profile_listed_P, profile_label_N: how many labels each profile has, and their places.
        rate_C2: for each label how often annotators gave any EC, and this one, to a protein whose nearest
            profile has it; some families are rarely given the numbers that they deserve.
    """

    profile_listed_P: Tensor
    profile_label_N: Tensor
    rate_C2: Tensor

    def __init__(self, config: ECHeadConfig) -> None:
        super().__init__()
        self.config = config
        self.base = Reference()
        self.profiles = KmerProfiles(KmerConfig(config.profiles, config.entries))
        self.register_buffer("profile_listed_P", torch.zeros(config.profiles, dtype=torch.uint8))
        self.register_buffer("profile_label_N", torch.zeros(config.profile_labels, dtype=torch.int16))
        n_labels = len(config.labels)
        self.register_buffer("rate_C2", torch.full((n_labels, 2), 0.5))
        self.pairs = LabelPairs(n_labels, config.pairs)
        self.encoder = LinearHead(config.embedding_dim, n_labels) if config.embedding_dim else None
        self.context = LinearHead(config.context_dim, n_labels) if config.context_dim else None
        self.enzyme = EnzymeOdds()
        self.ranking = Ranking()

    def check(self) -> None:
        """Raise ValueError for labels, profiles and pairs that there are not."""
        self.profiles.check()
        self.pairs.check()
        if int(self.profile_listed_P.sum(dtype=torch.int64)) != self.config.profile_labels:
            raise ValueError("profile_listed_P lists another number of labels than there are")
        if bool(((self.profile_label_N < 0) | (self.profile_label_N >= len(self.config.labels))).any()):
            raise ValueError("profile_label_N names labels that there are not")

    def predict(
        self,
        proteins: Sequence[str],
        embeddings_GD: npt.NDArray[np.float32],
        hidden_GLD: npt.NDArray[np.float32],
        homologues: Sequence[Sequence[Homologue]] | None = None,
        *,
        run_G: Sequence[int] | None = None,
        min_confidence: float,
    ) -> list[ECResult]:
        """Predicts EC numbers.

        Args:
            proteins: amino acids.
            embeddings_GD: protein embeddings; not read when the head has no use for them.
            hidden_GLD: the layers `config.layers` of gLM for each protein in its context; likewise.
            homologues: of each protein, the highest score first; None: those in `base`.
            run_G: of the proteins' genes, as `glm_annot.ec.adjacency.runs` gives them; None: no neighbours.
            min_confidence: least probability of a number that is called.
        """
        evidences = self.gather(proteins, embeddings_GD, hidden_GLD, homologues)
        if run_G is not None:
            evidences = self.with_neighbours(evidences, run_G)
        return self.judge(evidences, min_confidence=min_confidence)

    def judge(
        self, evidences: Sequence[Evidence], *, min_confidence: float, ignored: Collection[str] = ()
    ) -> list[ECResult]:
        """What `predict` returns, from evidence that was gathered before; `ignored` as for `confidences`."""
        confidences = self.confidences(evidences, ignored=ignored)
        calls = [_calls(found, min_confidence) for found in confidences]
        carriers = self._carriers(evidences, calls, min_confidence, ignored)
        named = [
            ",".join([carrier, *_homologue(evidence, node(ec[0].number))]) if ec else ""
            for evidence, ec, carrier in zip(evidences, calls, carriers, strict=True)
        ]
        return [
            ECResult(ec, _top(found), found[ROOT], evidence)
            for found, ec, evidence in zip(confidences, calls, named, strict=True)
        ]

    def gather(
        self,
        proteins: Sequence[str],
        embeddings_GD: npt.NDArray[np.float32],
        hidden_GLD: npt.NDArray[np.float32],
        homologues: Sequence[Sequence[Homologue]] | None = None,
    ) -> list[Evidence]:
        """The evidence for each protein; arguments as for `predict`."""
        if homologues is None:
            homologues = self.base.homologues(proteins, threads=torch.get_num_threads())
        profile, search = self._profiles(), self.profiles.searcher().search

        def similar(protein: str) -> list[SimilarFamily]:
            similarity_P = search(protein)
            return [replace(profile(p), similarity=float(similarity_P[p])) for p in nearest(similarity_P)]

        with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # NumPy lets go of the lock as it gathers
            profiles = list(pool.map(similar, proteins))
        encoder = self._linear(self.encoder, embeddings_GD, len(proteins))
        context = self._linear(self.context, hidden_GLD, len(proteins))
        found = []
        for row, protein in enumerate(proteins):
            found.append(Evidence(len(protein), profiles[row], encoder[row], context[row], homologues[row]))
        return found

    def with_neighbours(self, evidences: Sequence[Evidence], run_G: Sequence[int]) -> list[Evidence]:
        """The evidence for genes, and what the enzymes beside them say.

        Args:
            evidences: of genes in the order of the genome; what they say of neighbours is replaced.
            run_G: as `glm_annot.ec.adjacency.runs` gives them.
        """
        alone = [replace(evidence, beside={}) for evidence in evidences]
        if not self.config.pairs:
            return alone
        nodes = [node(label) for label in self.config.labels]
        place = {step: c for c, step in enumerate(nodes) if len(step) == LEVELS}
        found_G = self.confidences(alone)
        known_G = [{place[step]: p for step, p in found.items() if step in place} for found in found_G]
        likely_G = [{c: p for c, p in known.items() if p >= LEAST} for known in known_G]
        return [
            replace(evidence, beside={nodes[c]: change for c, change in changes.items()})
            for evidence, changes in zip(alone, self.pairs.support(known_G, likely_G, run_G), strict=True)
        ]

    @torch.inference_mode()
    def confidences(
        self, evidences: Sequence[Evidence], *, ignored: Collection[str] = ()
    ) -> list[Confidences]:
        """Probability of every candidate node of each protein, parents before children.

        Args:
            evidences: as `gather` gives them.
            ignored: sources that say nothing; what they know of enzymes is put at its mean.
        """
        if not evidences:
            return []
        candidates = [evidence.candidates() for evidence in evidences]
        rows = [
            row
            for one, nodes in zip(evidences, candidates, strict=True)
            for row in one.ranking_features(nodes, ignored)
        ]
        level_R = torch.tensor([len(node) for nodes in candidates for node in nodes])
        device = self.enzyme.mean_F.device
        scores = iter(self.ranking(torch.tensor(rows, device=device), level_R.to(device)).tolist())
        enzyme_GF = torch.tensor([evidence.enzyme_features() for evidence in evidences], device=device)
        unknown = [column for source in ignored for column in SOURCES[source]]
        enzyme_GF[:, unknown] = self.enzyme.mean_F[unknown]
        enzyme_G = torch.sigmoid(self.enzyme(enzyme_GF)).tolist()
        together = self.base.together
        return [
            with_others(_shared_out(enzyme, nodes, list(islice(scores, len(nodes)))), together)
            for enzyme, nodes in zip(enzyme_G, candidates, strict=True)
        ]

    def _profiles(self) -> Callable[[int], SimilarFamily]:
        """Gives a profile by its number, as if it were similar to nothing."""
        places_N, rate_C2 = self.profile_label_N.tolist(), self.rate_C2.tolist()
        end_P = list(accumulate(self.profile_listed_P.tolist()))

        @cache
        def profile(p: int) -> SimilarFamily:
            first = end_P[p - 1] if p else 0
            return neighbour(self.config.labels, tuple(places_N[first : end_P[p]]), rate_C2)

        return profile

    @torch.inference_mode()
    def _linear(
        self, head: LinearHead | None, x: npt.NDArray[np.float32], n_proteins: int
    ) -> list[dict[Node, float]]:
        """Predictions of a linear head for each protein; none without such a head."""
        if head is None:
            return [{} for _ in range(n_proteins)]
        found, runs = [], spans(self.config.labels)
        for start in range(0, n_proteins, _BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(x[start : start + _BATCH], np.float32))
            probability_GC = head(batch.flatten(1).to(head.bias_C.device))[:, :-1].cpu().numpy()
            found += [by_node(probability_C, self.config.labels, runs) for probability_C in probability_GC]
        return found

    def _carriers(
        self,
        evidences: Sequence[Evidence],
        calls: Sequence[tuple[ECCall, ...]],
        least: float,
        ignored: Collection[str],
    ) -> list[str]:
        """For each protein the source that carried its first call; '' without a call.

        That is the neighbours where the call is not likely enough without them, else the source that says
        most for it.
        """
        beside = [row for row, ec in enumerate(calls) if ec and evidences[row].beside]
        found = self.confidences([evidences[row] for row in beside], ignored=[*ignored, "neighbours"])
        alone = dict(zip(beside, found, strict=True))
        carriers = ["" for _ in calls]
        for row, ec in enumerate(calls):
            if not ec:
                continue
            first = node(ec[0].number)
            says = {
                source: of.get(first, 0.0)
                for source, of in evidences[row].says().items()
                if source not in ignored
            }
            unlikely = row in alone and alone[row][first] < least
            carriers[row] = (
                "neighbours" if unlikely or not says else max(says, key=lambda source: says[source])
            )
        return carriers


def neighbour(
    labels: Sequence[str], places: tuple[int, ...], rate_C2: Sequence[Sequence[float]]
) -> SimilarFamily:
    """A profile with the labels at these places, not yet compared with anything."""
    rates = [rate_C2[place] for place in places]
    return SimilarFamily(
        similarity=0.0,
        nodes=ancestry(labels[place] for place in places),
        labels=places,
        enzyme_rate=max((enzyme for enzyme, _ in rates), default=0.0),
        exact_rate=max((exact for _, exact in rates), default=0.0),
    )


def _shared_out(enzyme: float, nodes: Sequence[Node], scores: Sequence[float]) -> Confidences:
    """The probability of each node: its own share of P(enzyme), and that of all candidates under it."""
    highest = max(scores)
    share = [math.exp(score - highest) for score in scores]
    total = sum(share) / enzyme if enzyme else math.inf
    found = {step: own / total for step, own in zip(nodes, share, strict=True)}
    for step in reversed(nodes):  # parents come first
        if step:
            found[step[:-1]] += found[step]
    return found


def _homologue(evidence: Evidence, called: Node) -> Iterator[str]:
    """The best homologue with a number: `accession:identity:coverage` in percent, if one is clear."""
    for near in evidence.homologues:
        if called in near.nodes and near.name and near.bits >= CLEAR_BITS:
            yield f"{_NO_WORD.sub('_', near.name)}:{100 * near.identity:.0f}:{100 * near.coverage:.0f}"
            return


def _calls(confidences: Confidences, least: float) -> tuple[ECCall, ...]:
    """The deepest nodes that are likely enough: none that has a child among the likely ones."""
    likely = {step: p for step, p in confidences.items() if step and p >= least}
    parents = {step[:-1] for step in likely}
    deepest = [ECCall(number(step), p) for step, p in likely.items() if step not in parents]
    return tuple(sorted(deepest, key=lambda call: -call.confidence))


def _top(confidences: Confidences) -> tuple[ECCall, ...]:
    """The likeliest complete numbers."""
    complete = [ECCall(number(step), p) for step, p in confidences.items() if len(step) == LEVELS]
    return tuple(sorted(complete, key=lambda call: -call.confidence)[:TOP])
