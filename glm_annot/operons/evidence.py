"""What speaks for a link between two neighbours, and for an operon.

It explains a probability in words; it has no part in it.

Axis letters: P neighbouring pairs of a contig, C columns of `CONSERVED` and `IN_GENERA`, K points of the gap
axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from glm_annot.operons.features import (
    IN_GENERA,
    Floats,
    GapTables,
    Ints,
    Track,
    by_pair,
    gap_counts,
    gap_histograms,
)
from glm_annot.operons.promoters import Promoters, promoter_counts
from glm_annot.records import Contig

LEAST_GROUPS = 3  # of related genomes that have two genes side by side, for these to count as conserved
GAP, PROMOTER, CONSERVED_IN = "gap", "promoter", "conserved"


class LinkEvidence(NamedTuple):
    """What speaks for a link.

    Attributes:
        gap: whether a gap of this length is likelier between neighbours on one strand than between
            transcripts of this genome.
        promoter: whether there is room for a promoter, but none to be seen; None where there is no room, or
            no sequence.
        groups: groups of related genomes in which the two families stand side by side on one strand.
    """

    gap: bool
    promoter: bool | None
    groups: int


def link_evidence(
    contigs: Sequence[Contig],
    prior_3K: Floats,
    gaps_3K: Ints | None = None,
    promoters: Promoters | None = None,
    conserved: Sequence[Floats] | None = None,
) -> dict[tuple[int, int], LinkEvidence]:
    """What speaks for each pair of neighbours, keyed by gene indices.

    Args:
        contigs, gaps_3K, promoters, conserved: as for `OperonHead.predict`.
        prior_3K: gap densities of the average genome.
    """
    tracks = [Track.of(contig) for contig in contigs]
    tables = GapTables.of(gap_histograms(gap_counts(tracks) if gaps_3K is None else gaps_3K), prior_3K)
    promoters = promoters or Promoters.of(promoter_counts(contigs))
    found = []
    for number, (track, against_P) in enumerate(zip(tracks, promoters.log_odds(contigs), strict=True)):
        groups_P = np.zeros(len(track.gap))
        if conserved is not None:
            groups_P = conserved[number][:, IN_GENERA]
        likely_P = tables.log_odds(track.gap) > 0
        found.append(
            [
                LinkEvidence(bool(likely), bool(against < 0) if against else None, int(groups))
                for likely, against, groups in zip(likely_P, against_P, groups_P, strict=True)
            ]
        )
    return by_pair(contigs, found)


def said_of(links: Sequence[LinkEvidence]) -> tuple[str, ...]:
    """What speaks for every one of an operon's links.

    Links without room for a promoter say nothing of one. The number of groups is that of the link with the
    fewest.
    """
    seen = [link.promoter for link in links if link.promoter is not None]
    groups = min(link.groups for link in links)
    said = [GAP] if all(link.gap for link in links) else []
    said += [PROMOTER] if seen and all(seen) else []
    said += [f"{CONSERVED_IN}:{groups}"] if groups >= LEAST_GROUPS else []
    return tuple(said)
