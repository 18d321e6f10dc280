"""Evidence from the enzymes beside a gene: enzymes of one pathway are often neighbours.

Genes of one run, uninterrupted on one strand, tend to work together (Overbeek et al. 1999,
doi:10.1073/pnas.96.6.2896). For two EC numbers it is known how many times as often as by chance they lie
beside each other in such runs. With p(e) of each number e for a gene beside, the odds for a candidate c
change by

    product over the genes beside of  (sum over e of p(e) ratio(c, e)  +  1 - sum over e of p(e))

Axes: G genes, in order along their contigs; C labels; N pairs that were seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from glm_annot.records import Genome

REACH = 5  # genes of the same run to either side
LEAST = 0.02  # probability of a number that counts for the genes beside


def runs(genome: Genome) -> list[int]:
    """For each coding gene the number of its run: of neighbours on one strand, none on the other between.

    A run ends at the origin of a circular contig, too.
    """
    found: list[int] = []
    for contig in genome.contigs:
        strand = 0
        for gene in contig.coding:
            same = gene.strand == strand
            found.append(found[-1] if same else (found[-1] + 1 if found else 0))
            strand = gene.strand
    return found


class LabelPairs(nn.Module):
    """How many times as often as by chance two EC numbers lie beside each other.

    Args:
        labels: how many EC numbers there are.
        pairs: how many pairs were seen, each in both orders.

    Buffers:
        first_C: where each label's pairs begin; the pairs are ordered by label.
        other_N: the other label.
        log_ratio_N: natural logarithm of how many times as often as by chance they are neighbours.
        log_unseen_C: the same for a label and one that it was never seen beside.
    """

    first_C: Tensor
    other_N: Tensor
    log_ratio_N: Tensor
    log_unseen_C: Tensor

    def __init__(self, labels: int, pairs: int) -> None:
        super().__init__()
        self.register_buffer("first_C", torch.zeros(labels, dtype=torch.int32))
        self.register_buffer("other_N", torch.zeros(pairs, dtype=torch.int16))
        self.register_buffer("log_ratio_N", torch.zeros(pairs, dtype=torch.float16))
        self.register_buffer("log_unseen_C", torch.zeros(labels))

    def check(self) -> None:
        """Raise ValueError for places and labels that there are not."""
        first_C, labels = self.first_C.tolist(), len(self.first_C)
        if first_C != sorted(first_C) or not all(0 <= first <= len(self.other_N) for first in first_C):
            raise ValueError("first_C is no list of places of pairs in order")
        if bool(((self.other_N < 0) | (self.other_N >= labels)).any()):
            raise ValueError("other_N names labels that there are not")

    def support(
        self,
        candidates_G: Sequence[Iterable[int]],
        likely_G: Sequence[Mapping[int, float]],
        run_G: Sequence[int],
    ) -> list[dict[int, float]]:
        """What the genes beside each gene say of its candidates.

        Args:
            candidates_G: labels to judge, of each gene.
            likely_G: probability of labels for each gene, by itself.
            run_G: as `runs` gives them.

        Returns:
            for each gene the change of each candidate's log odds; none where no gene beside is an enzyme.
        """
        ratio_C, unseen_C = self._ratios(), self.log_unseen_C.exp().tolist()
        found: list[dict[int, float]] = []
        for g, candidates in enumerate(candidates_G):
            places = range(max(0, g - REACH), min(len(run_G), g + REACH + 1))
            beside = [likely_G[h] for h in places if h != g and run_G[h] == run_G[g] and likely_G[h]]
            found.append(
                {c: _log_odds(ratio_C[c], unseen_C[c], beside) for c in candidates} if beside else {}
            )
        return found

    def _ratios(self) -> list[dict[int, float]]:
        """For each label the ratio of each label that it was seen beside."""
        pairs = list(zip(self.other_N.tolist(), self.log_ratio_N.float().exp().tolist(), strict=True))
        first = [*self.first_C.tolist(), len(pairs)]
        return [dict(pairs[start:end]) for start, end in pairwise(first)]


def _log_odds(ratios: Mapping[int, float], unseen: float, beside: Sequence[Mapping[int, float]]) -> float:
    total = 0.0
    for likely in beside:
        known = min(sum(likely.values()), 1.0)
        share = known / sum(likely.values())  # several numbers of one protein may add up to more than 1
        named = sum(p * share * ratios.get(label, unseen) for label, p in likely.items())
        total += math.log(named + 1.0 - known)
    return total
