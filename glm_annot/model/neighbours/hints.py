"""What a gene may be called: what its neighbours and its own protein say together.

The neighbours alone must not name a gene that its own sequence contradicts. So the families that have a name
compete once more, those that the neighbours expect and those whose centroids lie nearest to the protein, and
a small network scores each by both. It is fitted to genes of genomes that memory, encoder and gLM had not
seen, some of them with the name of their own family hidden, as a gene is met whose family nobody has named
(see `training.memory.hints`).

Axes: Q genes asked for; K candidates; F families; D dimensions of a protein's embedding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from glm_annot.model.families import FamilyTable
from glm_annot.model.neighbours.memory import Votes
from glm_annot.model.neighbours.mixture import (
    CANDIDATE_FEATURES,
    PLACE_FEATURES,
    Asking,
    Candidates,
    Mixture,
    Scorer,
    gather_candidates,
)
from glm_annot.model.neighbours.names import EC, FamilyName, labels

NEAREST = 8  # families nearest to the protein that are candidates
TRUST_FEATURES = 11  # of the best name of a gene
_MORE_FEATURES = 5  # of a candidate, beside those of the mixture
_MORE_PLACE = 4  # of a place, beside those of the mixture
_OWN = CANDIDATE_FEATURES + _MORE_FEATURES - 1  # the feature that says whether it is the gene's own
_RARE = 1e-6  # no probability is nearer to 0 or 1
_LEAST_LOG = math.log(1e-12)  # for candidates that do not count, so that no number is infinite


@dataclass(frozen=True)
class HintsConfig:
    """Size of `Hints`: families, and hidden features of its networks."""

    families: int
    hidden: int = 32


@dataclass(frozen=True)
class Hint:
    """The best name of each gene asked for, and the best EC number.

    Attributes:
        family_Q: a family of that name, -1 where no candidate has any.
        probability_Q: that the gene is of that name.
        ec_family_Q, ec_probability_Q: the same of the EC number.
        features_QZ, ec_features_QZ: what told both probabilities.
        genera_Q, of_Q: groups of genomes that have the named family at this place, of all where two of its
            neighbours or more stand alike.
    """

    family_Q: Tensor
    probability_Q: Tensor
    ec_family_Q: Tensor
    ec_probability_Q: Tensor
    genera_Q: Tensor
    of_Q: Tensor
    features_QZ: Tensor
    ec_features_QZ: Tensor

    @classmethod
    def joined(cls, parts: Sequence[Hint]) -> Hint:
        """Those of several lists of genes, one after the other."""
        return cls(*(torch.cat([getattr(part, of.name) for part in parts]) for of in fields(cls)))


class Hints(Scorer):
    """Scores the families that have a name, and 'none of these', against each other.

    Args:
        config: its size.

    Attributes:
        trust_name, trust_ec: tell the probability that the best name (EC number) is right, fitted to genomes
            whose annotators named the genes themselves.

    Buffers beside those of `Scorer`: least_K is the probability from which on a name, and an EC number, is
    shown. `name` sets two more: label_NF has a number that families of one name share for each kind of name
    (symbol, product, EC number), -1 for none; support_SF how many members and sources say so.
    """

    least_K: Tensor
    support_SF: Tensor
    label_NF: Tensor

    def __init__(self, config: HintsConfig) -> None:
        features, place = CANDIDATE_FEATURES + _MORE_FEATURES, PLACE_FEATURES + _MORE_PLACE
        super().__init__(features, place, config.hidden, others=1)
        self.config = config
        self.register_buffer("least_K", torch.ones(2))
        self.trust_name, self.trust_ec = nn.Linear(TRUST_FEATURES, 1), nn.Linear(TRUST_FEATURES, 1)
        self.register_buffer("support_SF", torch.zeros(2, config.families), persistent=False)
        self.register_buffer("label_NF", torch.full((EC + 1, config.families), -1), persistent=False)

    def name(self, names: Mapping[int, FamilyName]) -> None:
        """Take the names of families; a candidate must have one."""
        found = torch.tensor(labels(names, self.config.families), device=self.label_NF.device)
        self.label_NF.copy_(found)
        self.support_SF.zero_()
        for family, name in names.items():
            if family < self.config.families:
                self.support_SF[0, family], self.support_SF[1, family] = name.members, name.sources

    def named(self, family: Tensor) -> Tensor:
        """Whether families have a name; those beyond the last have none."""
        inside = (family >= 0) & (family < self.config.families)
        return (self.label_NF[:, family.clamp(0, self.config.families - 1)] >= 0).any(0) & inside

    def same_name(self, family_QK: Tensor, other_Q: Tensor) -> Tensor:
        """Whether families and another one share symbol, product or EC number, (Q, K)."""
        return (
            (self._labels(family_QK) == self._labels(other_Q)[..., None])
            .logical_and(self._labels(family_QK) >= 0)
            .any(0)
        )

    def candidates(
        self,
        asking: Asking,
        base: Candidates,
        log_p_QR: Tensor,
        direction_QD: Tensor,
        family_Q: Tensor,
        mixture: Mixture,
        table: FamilyTable,
        hidden_Q: Tensor | None = None,
    ) -> Candidates:
        """The named families that may stand at the places asked for, and what speaks for each.

        Args:
            asking: what memory and gLM say of the genes.
            base: the candidates that these two name.
            log_p_QR: what the mixture makes of them.
            direction_QD: their embeddings as `FamilyTable.directions` gives them.
            family_Q: their own families, the number of families for none.
            mixture: of memory and gLM.
            table: of the families.
            hidden_Q: a family whose name is not known for each gene, -1 for none; None: all names are known.
        """
        prior_F = mixture.log_prior_F
        cosine_QF = direction_QD @ table.centroids_FD.T
        nearest = cosine_QF.topk(min(NEAREST, table.none), dim=1)
        wide = gather_candidates(asking, prior_F, nearest.indices)
        K, known_QK = base.family_QK.shape[1], wide.family_QK.clamp_min(0)
        prior_QK, cosine_QK = prior_F[known_QK], cosine_QF.gather(1, known_QK)
        log_p_QK = torch.cat([log_p_QR[:, :K], log_p_QR[:, -1:] + prior_QK[:, K:]], dim=1)
        own_QK = wide.family_QK == family_Q[:, None]
        named_QK, own_named_Q = self.named(wide.family_QK), self.named(family_Q)
        if hidden_Q is not None:
            named_QK = named_QK & (wide.family_QK != hidden_Q[:, None])
            own_named_Q = own_named_Q & (family_Q != hidden_Q)
        nearest_Q = nearest.values[:, 0]
        more = [log_p_QK, log_p_QK - prior_QK, cosine_QK, cosine_QK - nearest_Q[:, None], own_QK.float()]
        place = [
            nearest_Q,
            (family_Q < table.none).float(),
            mixture.log_probability(log_p_QR, base, family_Q),
            own_named_Q.float(),
        ]
        features_QKX = torch.cat([wide.features_QKX, torch.stack(more, dim=-1).clamp_min(_LEAST_LOG)], dim=-1)
        place_QY = torch.cat([wide.place_QY, torch.stack(place, dim=-1).clamp_min(_LEAST_LOG)], dim=-1)
        return Candidates(wide.family_QK.masked_fill(~named_QK, -1), features_QKX, place_QY)

    def by_name(self, candidates: Candidates) -> tuple[Tensor, Tensor]:
        """Probability of the name of each candidate, and of its EC number: (Q, K) each.

        Families of one name share it. A family that stands visibly near the place already is a neighbour that
        was pushed along, and no answer, unless it is the gene's own.
        """
        pushed_QK = candidates.seen_QK & (candidates.features_QKX[..., _OWN] == 0)
        family_QK = candidates.family_QK.masked_fill(pushed_QK, -1)
        p_QK = self(candidates)[:, :-1].exp().masked_fill(family_QK < 0, 0.0)
        label_NQK = self._labels(family_QK)
        same_NQKK = (label_NQK[..., :, None] == label_NQK[..., None, :]) & (label_NQK >= 0)[..., None]
        name_QK, ec_QK = ((same * p_QK[:, None, :]).sum(-1) for same in (same_NQKK.any(0), same_NQKK[EC]))
        return name_QK, ec_QK

    def best(self, candidates: Candidates, votes: Votes) -> Hint:
        """The likeliest name and EC number of each gene, and how far each can be trusted."""
        name, ec = (p_QK.max(1) for p_QK in self.by_name(candidates))
        family_Q, ec_family_Q = (
            candidates.family_QK.gather(1, best.indices[:, None])[:, 0].masked_fill(best.values <= 0, -1)
            for best in (name, ec)
        )
        features = [self._trust_features(candidates, best, votes) for best in (name, ec)]
        return Hint(
            family_Q=family_Q,
            probability_Q=self.trust_name(features[0])[:, 0].sigmoid() * (family_Q >= 0),
            ec_family_Q=ec_family_Q,
            ec_probability_Q=self.trust_ec(features[1])[:, 0].sigmoid() * (ec_family_Q >= 0),
            genera_Q=_groups_with(votes, family_Q),
            of_Q=votes.alike_Q,
            features_QZ=features[0],
            ec_features_QZ=features[1],
        )

    def _trust_features(self, candidates: Candidates, best: torch.return_types.max, votes: Votes) -> Tensor:
        """What tells whether the name of the best candidate is right, (Q, Z)."""
        at_Q1 = best.indices[:, None]
        family_Q = candidates.family_QK.gather(1, at_Q1)[:, 0].clamp_min(0)
        chosen_QX = candidates.features_QKX.gather(
            1, at_Q1[..., None].expand(-1, 1, candidates.features_QKX.shape[2])
        )[:, 0]
        cosine_Q, own_Q = chosen_QX[:, _OWN - 2], chosen_QX[:, _OWN]
        support_SQ = self.support_SF[:, family_Q].log1p()
        columns = [
            best.values.clamp(_RARE, 1 - _RARE).logit(),
            cosine_Q,
            own_Q,
            cosine_Q * own_Q,
            candidates.place_QY[:, PLACE_FEATURES + 1],
            *support_SQ,
            _groups_with(votes, family_Q) / votes.alike_Q.clamp_min(1),
            *(self.label_NF[:, family_Q] >= 0).float(),
        ]
        return torch.stack(columns, dim=-1)

    def _labels(self, family: Tensor) -> Tensor:
        """Numbers of the names of families, a row for each kind; -1 for no name."""
        inside = (family >= 0) & (family < self.config.families)
        return self.label_NF[:, family.clamp(0, self.config.families - 1)].masked_fill(~inside, -1)


def _groups_with(votes: Votes, family_Q: Tensor) -> Tensor:
    """Groups of genomes that have one family at each place, of those that stand alike there, (Q,)."""
    return (votes.alike_QK * (votes.family_QK == family_Q[:, None])).sum(1)
