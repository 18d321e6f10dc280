"""What speaks for an EC number: similar families, the protein's embedding, its genomic context.

For every candidate node of the EC hierarchy each evidence gives a few numbers; `Evidence.features` lines them
up for the calibration (`glm_annot.ec`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from glm_annot.ec_numbers import ROOT, Node, lineage

NEIGHBOURS = 8  # most similar profiles that speak for a protein
VOTE_POWER = 3  # a profile's say grows with this power of its similarity
GUESSES = 5  # most likely numbers of a linear head that become candidates
LEAST_PROBABILITY = 1e-4  # what a linear head's smaller probabilities are taken for
SOURCES = ("kmer", "encoder", "context")
FEATURES = (
    "log_similarity",  # of the most similar profile under the node
    "log_rival",  # of the most similar one that is not
    "log_top",  # of the most similar one at all
    "share",  # of the profiles' votes
    "log_length",  # residues
    "encoder_logit",
    "encoder_enzyme_logit",
    "context_logit",
    "context_enzyme_logit",
)


@dataclass(frozen=True)
class Evidence:
    """All that is known of one protein, by node.

    Attributes:
        length: residues.
        profiles: (similarity, nodes it speaks for) of the nearest profiles; those of proteins without an EC
            speak for no node.
        encoder, context: probability by candidate node from each linear head; empty where there is none.
    """

    length: int
    profiles: Sequence[tuple[float, frozenset[Node]]] = ()
    encoder: Mapping[Node, float] = field(default_factory=dict)
    context: Mapping[Node, float] = field(default_factory=dict)

    def candidates(self) -> list[Node]:
        """Every node that some evidence names, the root among them, parents before children."""
        named = {ROOT}.union(*(nodes for _, nodes in self.profiles), self.encoder, self.context)
        return sorted(named, key=lambda node: (len(node), node))

    def without(self, source: str) -> Evidence:
        """The same protein had one of `SOURCES` been silent."""
        if source == "kmer":
            return replace(self, profiles=())
        return replace(self, encoder={}) if source == "encoder" else replace(self, context={})

    def features(self, node: Node) -> list[float]:
        """The numbers of `FEATURES` for a node."""
        similar = [(s, node in nodes) for s, nodes in self.profiles]
        votes = [s**VOTE_POWER for s, _ in similar]
        mine = [vote for vote, (_, agrees) in zip(votes, similar, strict=True) if agrees]
        return [
            _log(max((s for s, agrees in similar if agrees), default=0.0)),
            _log(max((s for s, agrees in similar if not agrees), default=0.0)),
            _log(max((s for s, _ in similar), default=0.0)),
            sum(mine) / sum(votes) if sum(votes) else 0.0,
            float(np.log(max(self.length, 1))),
            _logit(self.encoder.get(node)),
            _logit(self.encoder.get(ROOT)),
            _logit(self.context.get(node)),
            _logit(self.context.get(ROOT)),
        ]


def _log(similarity: float) -> float:
    return float(np.log(similarity + 0.01))


def _logit(probability: float | None) -> float:
    """Log odds within bounds; a node that a head did not name is as unlikely as can be."""
    p = min(max(probability or 0.0, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY)
    return float(np.log(p / (1 - p)))


def nearest(
    similarity_P: npt.NDArray[np.float32], nodes_P: Sequence[frozenset[Node]]
) -> list[tuple[float, frozenset[Node]]]:
    """The most similar profiles that share anything with a protein, most similar first."""
    count = min(NEIGHBOURS, len(similarity_P))
    top = np.argpartition(-similarity_P, count - 1)[:count] if count else np.empty(0, np.int64)
    ordered = sorted(top.tolist(), key=lambda p: (-similarity_P[p], p))
    return [(float(similarity_P[p]), nodes_P[p]) for p in ordered if similarity_P[p] > 0]


def by_node(
    probability_C: npt.NDArray[np.float32], labels: Sequence[str], spans: Mapping[Node, tuple[int, int]]
) -> dict[Node, float]:
    """Probabilities of the nodes above a linear head's likeliest numbers.

    Args:
        probability_C: of each label; what is missing to 1 is 'not an enzyme'.
        labels: in the order of `sort_key`.
        spans: for each node the first label under it, and the first one after those.
    """
    guesses = np.argsort(-probability_C)[:GUESSES]
    sums = np.concatenate([[0.0], np.cumsum(probability_C, dtype=np.float64)])
    named = {step for guess in guesses for step in lineage(labels[guess])}
    return {node: float(sums[spans[node][1]] - sums[spans[node][0]]) for node in named | {ROOT}}


def spans(labels: Sequence[str]) -> dict[Node, tuple[int, int]]:
    """For each node the run of labels under it; labels in the order of `sort_key`."""
    found: dict[Node, tuple[int, int]] = {ROOT: (0, len(labels))}
    for place, label in enumerate(labels):
        for step in lineage(label)[1:]:
            found[step] = (found.get(step, (place, place))[0], place + 1)
    return found
