"""What speaks for an EC number: similar families, the protein's embedding, its genomic context, homologues.

For every candidate node of the EC hierarchy each evidence gives a few numbers; `Evidence.features` lines them
up for the calibration (`glm_annot.ec.head`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from glm_annot.ec.search import votes
from glm_annot.ec_numbers import ROOT, Node, lineage

NEIGHBOURS = 8  # most similar profiles that speak for a protein
VOTE_POWER = 3  # a profile's say grows with this power of its similarity
GUESSES = 5  # most likely numbers of a linear head that become candidates
LEAST_PROBABILITY = 1e-4  # what a linear head's smaller probabilities are taken for
FEATURES = (
    "log_similarity",  # of the most similar profile under the node
    "log_rival",  # of the most similar one that is not
    "log_top",  # of the most similar one at all
    "share",  # of the profiles' votes
    "enzyme_rate",  # of the most similar profile under the node (see `SimilarFamily`)
    "exact_rate",  # likewise
    "log_length",  # residues
    "encoder_logit",
    "encoder_enzyme_logit",
    "context_logit",
    "context_enzyme_logit",
    "beside",  # change of the log odds by the enzymes beside the gene: of the best number under the node
    "beside_rival",  # likewise, of the best one that is not
)
HOMOLOGY_FEATURES = (  # follow those where a labelled protein is a homologue
    "log_score",  # bits per residue of the best homologue under the node
    "log_score_rival",  # of the best one that is not
    "log_bits",  # of the best homologue under the node
    "identity",  # of that one
    "coverage",  # likewise
    "votes",  # share of the homologues' votes (`glm_annot.ec.search.votes`) that are for the node
)
SOURCES = {  # columns of the features that each source fills, from the plainest source on
    "homology": (13, 14, 15, 16, 17, 18),
    "kmer": (0, 1, 2, 3, 4, 5),
    "encoder": (7, 8),
    "context": (9, 10),
    "neighbours": (11, 12),
}


@dataclass(frozen=True)
class SimilarFamily:
    """A profile that resembles a protein.

    Attributes:
        similarity: as `glm_annot.ec.families` measures it; about 0.4 at half identical residues.
        nodes: EC nodes that it speaks for; none for a family of proteins without an EC.
        labels: places of its EC numbers among the head's labels.
        enzyme_rate: how often annotators gave any EC to proteins nearest to families of its numbers.
        exact_rate: how often they gave one of its numbers.
    """

    similarity: float
    nodes: frozenset[Node]
    labels: tuple[int, ...] = ()
    enzyme_rate: float = 0.0
    exact_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Homologue:
    """A labelled protein that aligns with a protein.

    Attributes:
        nodes: EC nodes that it supports; empty for a protein that is no enzyme.
        bits: score of the alignment.
        identity: share of identical residues in it.
        coverage: share of the protein that it spans, or of the homologue if that is less.
        name: of the homologue; '' for none.
    """

    nodes: frozenset[Node]
    bits: float
    identity: float
    coverage: float
    name: str = ""


_Near = TypeVar("_Near", SimilarFamily, Homologue)


@dataclass(frozen=True)
class Evidence:
    """All that is known of one protein, by node.

    Attributes:
        length: residues.
        profiles: the most similar ones, most similar first.
        encoder, context: probability by candidate node from each linear head; empty where there is none.
        homologues: among labelled proteins, the highest score first.
        beside: what the enzymes beside the gene say of each complete number (`glm_annot.ec.adjacency`);
            empty where there are none.
    """

    length: int
    profiles: Sequence[SimilarFamily] = ()
    encoder: Mapping[Node, float] = field(default_factory=dict)
    context: Mapping[Node, float] = field(default_factory=dict)
    homologues: Sequence[Homologue] = ()
    beside: Mapping[Node, float] = field(default_factory=dict)

    def candidates(self) -> list[Node]:
        """Every node that some evidence names, the root among them, parents before children."""
        similar = [near.nodes for near in self.profiles] + [near.nodes for near in self.homologues]
        named = {ROOT}.union(*similar, self.encoder, self.context)
        return sorted(named, key=lambda node: (len(node), node))

    def features(self, nodes: Iterable[Node]) -> list[list[float]]:
        """For each node the numbers of `FEATURES`, and of `HOMOLOGY_FEATURES` where there are homologues."""
        under, votes_under = _first_under(self.profiles), _votes(self.profiles)
        all_votes = sum(near.similarity**VOTE_POWER for near in self.profiles)
        log_top = _log(self.profiles[0].similarity if self.profiles else 0.0)
        log_length = math.log(max(self.length, 1))
        encoder_enzyme, context_enzyme = _logit(self.encoder.get(ROOT)), _logit(self.context.get(ROOT))
        beside, of_homologues = self._beside(), self._of_homologues()
        rows = []
        for node in nodes:
            best, rival = under.get(node, _NO_PROFILE), _rival(self.profiles, node)
            rows.append(
                [
                    _log(best.similarity),
                    _log(rival.similarity if rival else 0.0),
                    log_top,
                    votes_under.get(node, 0.0) / all_votes if all_votes else 0.0,
                    best.enzyme_rate,
                    best.exact_rate,
                    log_length,
                    _logit(self.encoder.get(node)),
                    encoder_enzyme,
                    _logit(self.context.get(node)),
                    context_enzyme,
                    *beside(node),
                    *of_homologues(node),
                ]
            )
        return rows

    def _beside(self) -> Callable[[Node], tuple[float, float]]:
        """Gives the change of the best number under a node, and of the best that is not; 0 without one."""
        ranked = sorted(self.beside.items(), key=lambda item: -item[1])
        under: dict[Node, float] = {}
        for number, change in ranked:
            for depth in range(len(number) + 1):
                under.setdefault(number[:depth], change)

        def changes(node: Node) -> tuple[float, float]:
            rival = next((change for number, change in ranked if number[: len(node)] != node), 0.0)
            return under.get(node, 0.0), rival

        return changes

    def _of_homologues(self) -> Callable[[Node], list[float]]:
        """Gives the numbers of `HOMOLOGY_FEATURES` for a node; none without homologues."""
        if not self.homologues:
            return lambda node: []
        under, length = _first_under(self.homologues), max(self.length, 1)
        vote = votes([near.bits for near in self.homologues])
        total = sum(vote)

        def numbers(node: Node) -> list[float]:
            best, rival = under.get(node, _NO_HOMOLOGUE), _rival(self.homologues, node)
            return [
                _log(best.bits / length),
                _log(rival.bits / length if rival else 0.0),
                math.log1p(best.bits),
                best.identity,
                best.coverage,
                sum(v for v, near in zip(vote, self.homologues, strict=True) if node in near.nodes) / total,
            ]

        return numbers


_NO_PROFILE, _NO_HOMOLOGUE = SimilarFamily(0.0, frozenset()), Homologue(frozenset(), 0.0, 0.0, 0.0)


def _first_under(found: Iterable[_Near]) -> dict[Node, _Near]:
    """For each node the first of some profiles or homologues that speaks for it."""
    under: dict[Node, _Near] = {}
    for near in found:
        for node in near.nodes:
            under.setdefault(node, near)
    return under


def _rival(found: Iterable[_Near], node: Node) -> _Near | None:
    """The first of some profiles or homologues that does not speak for a node."""
    return next((near for near in found if node not in near.nodes), None)


def _votes(profiles: Iterable[SimilarFamily]) -> dict[Node, float]:
    """What the profiles that speak for each node have to say."""
    found: dict[Node, float] = {}
    for near in profiles:
        for node in near.nodes:
            found[node] = found.get(node, 0.0) + near.similarity**VOTE_POWER
    return found


def _log(similarity: float) -> float:
    return math.log(similarity + 0.01)


def _logit(probability: float | None) -> float:
    """Log odds within bounds; a node that a head did not name is as unlikely as can be."""
    p = min(max(probability or 0.0, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY)
    return math.log(p / (1 - p))


def nearest(similarity_P: npt.NDArray[np.float32]) -> list[int]:
    """The profiles that are most similar to a protein and share anything with it, most similar first."""
    top = _largest(similarity_P, NEIGHBOURS)
    return sorted((p for p in top if similarity_P[p] > 0), key=lambda p: (-similarity_P[p], p))


def by_node(
    probability_C: npt.NDArray[np.float32], labels: Sequence[str], spans: Mapping[Node, tuple[int, int]]
) -> dict[Node, float]:
    """Probabilities of the nodes above a linear head's likeliest numbers.

    Args:
        probability_C: of each label; what is missing to 1 is 'not an enzyme'.
        labels: in the order of `sort_key`.
        spans: for each node the first label under it, and the first one after those.
    """
    sums = np.concatenate([[0.0], np.cumsum(probability_C, dtype=np.float64)])
    named = {step for guess in _largest(probability_C, GUESSES) for step in lineage(labels[guess])}
    return {node: float(sums[spans[node][1]] - sums[spans[node][0]]) for node in named | {ROOT}}


def _largest(values: npt.NDArray[np.float32], count: int) -> list[int]:
    """Places of the largest values, in no order."""
    count = min(count, len(values))
    places: list[int] = np.argpartition(-values, count - 1)[:count].tolist() if count else []
    return places


def spans(labels: Sequence[str]) -> dict[Node, tuple[int, int]]:
    """For each node the run of labels under it; labels in the order of `sort_key`."""
    found: dict[Node, tuple[int, int]] = {ROOT: (0, len(labels))}
    for place, label in enumerate(labels):
        for step in lineage(label)[1:]:
            found[step] = (found.get(step, (place, place))[0], place + 1)
    return found
