"""What the memory of gene order and gLM say together of a gene that is hidden: one distribution of families.

The candidates are the families that the memory votes for and those that gLM finds likeliest. A small network
scores each by what both say of it; another scores the two other outcomes, that the gene has no family and
that it is of one that nobody named. All scores compete in one softmax, fitted to the genes of genomes that
neither memory nor gLM had seen, so that its shares are probabilities.

Axes: Q genes asked for; K candidates; X numbers that describe a candidate; Y numbers that describe a gene's
place; F families.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glm_annot.model.neighbours.memory import REACH, Genes, MemoryIndex, Votes

FROM_GLM = 8  # families that gLM adds to the candidates
AROUND = 15  # genes to either side among which a family counts as seen already
_CHUNK = 256  # genes asked for at a time; bounds memory
_RARE = 1e-6  # stands for a share or probability of nothing
CANDIDATE_FEATURES = 14
PLACE_FEATURES = 9


@dataclass(frozen=True)
class Candidates:
    """The families that may stand at the places asked for, and what speaks for each.

    Attributes:
        family_QK: int64, -1 where there are fewer.
        features_QKX: of each candidate.
        place_QY: of each place.
    """

    family_QK: Tensor
    features_QKX: Tensor
    place_QY: Tensor

    @property
    def seen_QK(self) -> Tensor:
        """Whether each family stands visibly among the genes around."""
        return self.features_QKX[..., CANDIDATE_FEATURES - 1] > 0

    def take(self, rows: Tensor) -> Candidates:
        """Those of some places."""
        return Candidates(self.family_QK[rows], self.features_QKX[rows], self.place_QY[rows])

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        """Those of several lists of places, one after the other."""
        columns = zip(*((of.family_QK, of.features_QKX, of.place_QY) for of in parts), strict=True)
        return cls(*(torch.cat(column) for column in columns))


class Scorer(nn.Module):
    """Scores candidates and some other outcomes against each other, in one softmax.

    Args:
        features: numbers that describe a candidate.
        place: numbers that describe a place.
        hidden: hidden features of both networks.
        others: outcomes beside the candidates.

    Buffers: mean_X, std_X, mean_Y, std_Y bring the features to one scale.
    """

    mean_X: Tensor
    std_X: Tensor
    mean_Y: Tensor
    std_Y: Tensor

    def __init__(self, features: int, place: int, hidden: int, others: int) -> None:
        super().__init__()
        self.candidate = nn.Sequential(
            nn.Linear(features + place, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, 1),
        )
        self.rest = nn.Sequential(nn.Linear(place, hidden), nn.GELU(), nn.Linear(hidden, others))
        for name, size in (("X", features), ("Y", place)):
            self.register_buffer(f"mean_{name}", torch.zeros(size))
            self.register_buffer(f"std_{name}", torch.ones(size))

    def forward(self, candidates: Candidates) -> Tensor:
        """Logarithms of the probabilities of the candidates and of the other outcomes, (Q, K + others)."""
        place_QY = (candidates.place_QY - self.mean_Y) / self.std_Y
        features_QKX = (candidates.features_QKX - self.mean_X) / self.std_X
        K = features_QKX.shape[1]
        both = torch.cat([features_QKX, place_QY[:, None].expand(-1, K, -1)], dim=-1)
        score_QK = self.candidate(both)[..., 0].masked_fill(candidates.family_QK < 0, -math.inf)
        return torch.cat([score_QK, self.rest(place_QY)], dim=1).log_softmax(-1)


@dataclass(frozen=True)
class MixtureConfig:
    """Size of a `Mixture`: hidden features of its two networks, and families."""

    families: int
    hidden: int = 32


class Mixture(Scorer):
    """Scores candidates, 'no family' and 'another family' (in this order) against each other.

    Args:
        config: its size.

    Buffers beside those of `Scorer`: log_prior_F is the logarithm of each family's share of the memory's
    genes.
    """

    log_prior_F: Tensor

    def __init__(self, config: MixtureConfig) -> None:
        super().__init__(CANDIDATE_FEATURES, PLACE_FEATURES, config.hidden, others=2)
        self.config = config
        self.register_buffer("log_prior_F", torch.zeros(config.families))

    def log_probability(self, log_p_QR: Tensor, candidates: Candidates, family_Q: Tensor) -> Tensor:
        """Logarithm of the probability of one family (or none, `config.families`) at each place, (Q,).

        A family that is no candidate has the share of 'another family' that its frequency gives it.

        Args:
            log_p_QR: as `forward` gives it, K candidates and the rest.
            candidates: the same.
            family_Q: int64, the families asked about.
        """
        hit_QK = candidates.family_QK == family_Q[:, None]
        named_Q = log_p_QR[:, :-2].masked_fill(~hit_QK, -math.inf).amax(1)
        none_Q = family_Q >= self.config.families
        prior_Q = self.log_prior_F[family_Q.clamp_max(self.config.families - 1)]
        other_Q = torch.where(none_Q, log_p_QR[:, -2], log_p_QR[:, -1] + prior_Q)
        return torch.where(hit_QK.any(1), named_Q, other_Q)

    def log_ratio(self, log_p_QR: Tensor, candidates: Candidates, family_Q: Tensor) -> Tensor:
        """How much likelier a family is at its place than anywhere, in nats, (Q,); NaN for no family.

        Arguments as for `log_probability`.
        """
        none_Q = family_Q >= self.config.families
        prior_Q = self.log_prior_F[family_Q.clamp_max(self.config.families - 1)]
        ratio_Q = self.log_probability(log_p_QR, candidates, family_Q) - prior_Q
        return ratio_Q.masked_fill(none_Q, math.nan)


@dataclass(frozen=True)
class Asking:
    """What memory and gLM say of some genes.

    Attributes:
        votes: of the memory.
        genes: that voted; their hidden ones are seen by nobody.
        at_Q: int64, the genes asked for.
        log_p_QF: logarithms of gLM's probabilities of the families and, last, of none; None without a gLM
            that tells families.
        strand_known: whether the strand of the genes asked for is known.
    """

    votes: Votes
    genes: Genes
    at_Q: Tensor
    log_p_QF: Tensor | None = None
    strand_known: bool = True


def ask(
    index: MemoryIndex,
    genes: Genes,
    at_Q: Tensor,
    log_p: Callable[[Tensor], Tensor | None] = lambda rows: None,
    *,
    strand_known: bool = True,
) -> Iterator[Asking]:
    """Ask the memory for many genes, some at a time and in order, which bounds memory.

    Args:
        index: the memory.
        genes: of the genome that asks.
        at_Q: int64, the genes asked for, rising.
        log_p: gLM's probabilities for some of them, as in `Asking`; called with their rows in at_Q.
        strand_known: as in `Asking`.

    Yields:
        what is said of some of them.
    """
    for rows in torch.split(torch.arange(len(at_Q), device=at_Q.device), _CHUNK):
        votes = index.ask(genes, at_Q[rows])
        yield Asking(votes, genes, at_Q[rows], log_p(rows), strand_known)


def gather_candidates(asking: Asking, log_prior_F: Tensor, more_QK: Tensor | None = None) -> Candidates:
    """Put together what memory and gLM say of the same places.

    Args:
        asking: what they say.
        log_prior_F: see `Mixture`.
        more_QK: families that are to be candidates whoever names them; they come last, -1 for those that are
            candidates already.
    """
    votes, genes, asked_Q, log_p_QF = asking.votes, asking.genes, asking.at_Q, asking.log_p_QF
    none = len(log_prior_F)
    Q, voted = votes.family_QK.shape
    family_QK = votes.family_QK
    own_QY = votes.share_QK.new_zeros(Q, 2)
    if log_p_QF is not None:
        family_QK = _with(family_QK, log_p_QF[:, :none].topk(min(FROM_GLM, none), dim=-1).indices)
        own_QY = torch.stack([log_p_QF[:, none], log_p_QF[:, :none].amax(1)], dim=1)
    if more_QK is not None:
        family_QK = _with(family_QK, more_QK)
    if log_p_QF is None:
        log_p_QK = votes.share_QK.new_zeros(family_QK.shape)
    else:
        log_p_QK = log_p_QF.gather(1, family_QK.clamp_min(0)).clamp_min(math.log(_RARE))
    more = family_QK.shape[1] - voted
    best_Q, groups_Q = votes.best_Q[:, None], votes.groups_Q[:, None].float()
    columns = [
        votes.share_QK.clamp_min(_RARE).log(),
        votes.best_QK,
        votes.mean_QK,
        votes.best_QK / best_Q.clamp_min(_RARE),
        votes.groups_QK.log1p(),
        votes.groups_QK / groups_Q.clamp_min(1),
        votes.left_QK,
        votes.right_QK,
        votes.beside_QK,
        votes.same_strand_QK if asking.strand_known else torch.full_like(votes.share_QK, 0.5),
        torch.ones_like(votes.share_QK),
    ]
    floors = [math.log(_RARE), *(0.0,) * 8, 0.5, 0.0]
    padded = [nn.functional.pad(of, (0, more), value=low) for of, low in zip(columns, floors, strict=True)]
    seen_QK = _seen(genes, asked_Q, family_QK, none)
    features = [*padded, log_p_QK, log_prior_F[family_QK.clamp_min(0)], seen_QK]
    place = [
        votes.best_Q,
        votes.groups_Q.float().log1p(),
        votes.none_Q,
        votes.share_QK.amax(1) if voted else votes.best_Q,
        *_neighbours(genes, asked_Q, none),
        torch.full_like(votes.best_Q, float(asking.strand_known)),
        *own_QY.unbind(1),
    ]
    return Candidates(family_QK, torch.stack(features, dim=-1), torch.stack(place, dim=-1))


def _with(family_QK: Tensor, more_QK: Tensor) -> Tensor:
    """Candidates and more of them, -1 for those that are there already."""
    known_QK = (more_QK[:, :, None] == family_QK[:, None, :]).any(-1)
    return torch.cat([family_QK, more_QK.masked_fill(known_QK, -1)], dim=1)


def _around(genes: Genes, asked_Q: Tensor, reach: int) -> tuple[Tensor, Tensor]:
    """Genes up to `reach` to either side on the same contig, (Q, 2 reach), and which of them are seen."""
    G = len(genes.family_G)
    step = torch.cat([torch.arange(-reach, 0), torch.arange(1, reach + 1)]).to(asked_Q.device)
    at = asked_Q[:, None] + step
    contig_G = torch.repeat_interleave(
        torch.arange(len(genes.first_C) - 1, device=asked_Q.device), genes.first_C.diff()
    )
    near = at.clamp(0, G - 1)
    seen = (at == near) & (contig_G[near] == contig_G[asked_Q][:, None])
    return near, seen if genes.hidden_G is None else seen & ~genes.hidden_G[near]


def _seen(genes: Genes, asked_Q: Tensor, family_QK: Tensor, none: int) -> Tensor:
    """Whether each candidate stands visibly among the genes around, (Q, K): 1 or 0."""
    near, visible = _around(genes, asked_Q, AROUND)
    family = genes.family_G[near].masked_fill(~visible, none)
    found = torch.zeros_like(family_QK, dtype=torch.bool)
    for column in family.unbind(1):
        found |= family_QK == column[:, None]
    return found.float()


def _neighbours(genes: Genes, asked_Q: Tensor, none: int) -> tuple[Tensor, Tensor]:
    """Visible genes of a family on the left and on the right, of six each: (Q,) and (Q,)."""
    near, visible = _around(genes, asked_Q, REACH)
    of_family = (visible & (genes.family_G[near] < none)).float()
    return of_family[:, :REACH].sum(1), of_family[:, REACH:].sum(1)
