"""What speaks for an EC number: similar families, the protein's embedding, its genomic context, homologues.

Whether a protein is an enzyme at all is told by a row of numbers (`ENZYME_FEATURES`). Which number it has,
the sources say together: each shares out a weight among the candidates, and the weights are added up. So a
source that is sure decides, and one that knows nothing takes nothing from the others; products of their
probabilities were tried, and are worse than homologues alone on enzymes without near relatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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
ENZYME_FEATURES = (
    "log_similarity",  # of the most similar profile with an EC number
    "log_rival",  # of the most similar one without
    "log_top",  # of the most similar one at all
    "share",  # of the profiles' votes that are for enzymes
    "enzyme_rate",  # of the most similar profile with an EC number (see `SimilarFamily`)
    "exact_rate",  # likewise
    "log_length",  # residues
    "encoder_logit",
    "context_logit",
    "beside",  # change of the log odds by the enzymes beside the gene: of the best number
    "log_score",  # bits per residue of the best homologue with an EC number
    "log_score_rival",  # of the best one without
    "log_bits",  # of the best homologue with an EC number
    "identity",  # of that one
    "coverage",  # likewise
    "votes",  # share of the homologues' votes (`glm_annot.ec.search.votes`) that are for enzymes
)
RANKING_FEATURES = (  # of a candidate
    "log_said",  # what homologues, families, encoder and context say for it together
    "beside",  # change of the log odds by the enzymes beside the gene: of the best number under the node
    "beside_rival",  # likewise, of the best one that is not
)
SOURCES = {  # columns of `ENZYME_FEATURES` that each source fills, from the plainest source on
    "homology": (10, 11, 12, 13, 14, 15),
    "kmer": (0, 1, 2, 3, 4, 5),
    "encoder": (7,),
    "context": (8,),
    "neighbours": (9,),
}
# What each source can say at most. Homologues and families say 1 for an identical protein and about 0.45 at
# half identical residues. Of eight pairs of weights for the other two this had the best balance of the F1 on
# the calibrating genomes and the first guesses on enzymes that are far from all labelled ones.
BITS_PER_RESIDUE = 2.0  # of a homologue that says 1
ENCODER_SAYS, CONTEXT_SAYS = 0.5, 0.2
MOST_SAID = 3.0  # similarity (bits per residue) of near relatives that are rich in rare residues
LEAST_SAID = 0.01  # what is said for a candidate of which no source knows


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

    def enzyme_features(self) -> list[float]:
        """The numbers of `ENZYME_FEATURES`."""
        near = next((near for near in self.profiles if near.nodes), _NO_PROFILE)
        homologue = next((near for near in self.homologues if near.nodes), _NO_HOMOLOGUE)
        rival = next((near.similarity for near in self.profiles if not near.nodes), 0.0)
        bits_rival = next((near.bits for near in self.homologues if not near.nodes), 0.0)
        length = max(self.length, 1)
        return [
            _log(near.similarity),
            _log(rival),
            _log(self.profiles[0].similarity if self.profiles else 0.0),
            _family_shares(self.profiles).get(ROOT, 0.0),
            near.enzyme_rate,
            near.exact_rate,
            math.log(length),
            _logit(self.encoder.get(ROOT)),
            _logit(self.context.get(ROOT)),
            max(self.beside.values(), default=0.0),
            _log(homologue.bits / length),
            _log(bits_rival / length),
            math.log1p(homologue.bits),
            homologue.identity,
            homologue.coverage,
            _homologue_shares(self.homologues).get(ROOT, 0.0),
        ]

    def says(self) -> dict[str, dict[Node, float]]:
        """What each source says for the nodes that it knows of, by the names of `SOURCES`."""
        homologue_share, family_share = _homologue_shares(self.homologues), _family_shares(self.profiles)
        nearest, length = _first_under(self.homologues), max(self.length, 1)
        top = min(self.profiles[0].similarity, MOST_SAID) if self.profiles else 0.0
        return {
            "homology": {
                node: share * min(nearest[node].bits / length, MOST_SAID) / BITS_PER_RESIDUE
                for node, share in homologue_share.items()
            },
            "kmer": {node: share * top for node, share in family_share.items()},
            "encoder": {node: ENCODER_SAYS * p for node, p in self.encoder.items()},
            "context": {node: CONTEXT_SAYS * p for node, p in self.context.items()},
        }

    def ranking_features(self, nodes: Iterable[Node], ignored: Collection[str] = ()) -> list[list[float]]:
        """For each node the numbers of `RANKING_FEATURES`, as if the ignored sources said nothing."""
        said = [of for source, of in self.says().items() if source not in ignored]
        beside = self._beside({} if "neighbours" in ignored else self.beside)
        return [
            [math.log(sum(of.get(node, 0.0) for of in said) + LEAST_SAID), *beside(node)] for node in nodes
        ]

    @staticmethod
    def _beside(beside: Mapping[Node, float]) -> Callable[[Node], tuple[float, float]]:
        """Gives the change of the best number under a node, and of the best that is not; 0 without one."""
        ranked = sorted(beside.items(), key=lambda item: -item[1])
        under: dict[Node, float] = {}
        for number, change in ranked:
            for depth in range(len(number) + 1):
                under.setdefault(number[:depth], change)

        def changes(node: Node) -> tuple[float, float]:
            rival = next((change for number, change in ranked if number[: len(node)] != node), 0.0)
            return under.get(node, 0.0), rival

        return changes


_NO_PROFILE, _NO_HOMOLOGUE = SimilarFamily(0.0, frozenset()), Homologue(frozenset(), 0.0, 0.0, 0.0)


def _first_under(found: Iterable[_Near]) -> dict[Node, _Near]:
    """For each node the first of some profiles or homologues that speaks for it."""
    under: dict[Node, _Near] = {}
    for near in found:
        for node in near.nodes:
            under.setdefault(node, near)
    return under


def _homologue_shares(homologues: Sequence[Homologue]) -> dict[Node, float]:
    """The share of the homologues' votes for each node."""
    return _shares(homologues, votes([near.bits for near in homologues]))


def _family_shares(profiles: Sequence[SimilarFamily]) -> dict[Node, float]:
    """The share of the profiles' votes for each node."""
    return _shares(profiles, [near.similarity**VOTE_POWER for near in profiles])


def _shares(found: Sequence[_Near], vote: Sequence[float]) -> dict[Node, float]:
    shares: dict[Node, float] = {}
    total = sum(vote)
    for near, own in zip(found, vote, strict=True):
        for node in near.nodes:
            shares[node] = shares.get(node, 0.0) + own / total
    return shares


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
