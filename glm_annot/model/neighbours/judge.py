"""What the neighbours of a gene say of it: families, the memory of gene order, gLM and their mixture.

Axes: G coding genes of a genome or of some whole contigs, contig by contig; D dimensions of a protein's
embedding; H hidden features of gLM; Q genes asked for; M genomes of the memory; F families.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from glm_annot.model.families import FamilyHead, FamilyHeadConfig, FamilyTable, FamilyTableConfig
from glm_annot.model.glm import percentile
from glm_annot.model.neighbours.beside import Beside, named_beside
from glm_annot.model.neighbours.hints import Hint, Hints, HintsConfig
from glm_annot.model.neighbours.memory import Genes, Memory, MemoryConfig
from glm_annot.model.neighbours.mixture import Candidates, Mixture, MixtureConfig, ask, gather_candidates
from glm_annot.model.neighbours.names import Fact, FamilyName, names_of

SAME_GENOME = 0.95  # of the adjacent families of a genome that one in the memory has, too: it is the same
SURE = 0.9  # probability of another family from which on a gene is unexpected
LEAST_PAIRS = 200  # of adjacent families: a fragment with fewer may stand alike in many genomes
_QUANTILES = 101


@dataclass(frozen=True)
class NeighboursConfig:
    """Sizes of `Neighbours`.

    Attributes:
        families, dim: of the family table.
        places, contigs, genomes: of the memory.
        mixture: hidden features of the mixture.
        glm: hidden features of the gLM whose head tells families; 0 for a gLM that tells none.
        own: families that have weights of their own in it.
        named: whether families have names, which genes get by their neighbours and their protein.
        gaps: whether the memory holds the gaps between genes, by which operons are told.
        lineages: whether it tells lineages, by which operons are told where it holds gaps, too.
        fit_from: cosine to its family from which on a gene has a context fit; nearer 0 it may be of another
            family, and its fit tells nothing. 0 in models made before this was measured.
    """

    families: int
    dim: int
    places: int
    contigs: int
    genomes: int
    mixture: int
    glm: int = 0
    own: int = 0
    named: bool = False
    gaps: bool = False
    lineages: bool = False
    fit_from: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.fit_from <= 1:  # NaN is not
            raise ValueError(f"fit_from must be from 0 to 1, not {self.fit_from}")


@dataclass(frozen=True)
class ContextOfGenes:
    """What neighbours say of genes, each hidden by itself.

    Attributes:
        family_G: each gene's own family, the number of families for none.
        log_ratio_G: log P(own family | neighbours) - log P(own family), in nats; NaN without a family that
            the gene is surely of (`NeighboursConfig.fit_from`).
        expected_G: the likeliest family at each place.
        confidence_G: its probability.
        unexpected_G: whether that is high and the gene is surely of another family, while none of the
            expected one stands near, as it would after an insertion.
        same_M: genomes of the memory that are this one, or nearly, and did not vote.
        hint: what each gene may be called; None where families have no names.
        beside: for each gene of a family the named families that stand beside it in other genomes; see
            `named_beside`.
    """

    family_G: Tensor
    log_ratio_G: Tensor
    expected_G: Tensor
    confidence_G: Tensor
    unexpected_G: Tensor
    same_M: Tensor
    hint: Hint | None = None
    beside: Mapping[int, tuple[Beside, ...]] = field(default_factory=dict)


class Neighbours(nn.Module):
    """All that tells what stands beside what.

    Args:
        config: its sizes.

    Attributes:
        facts: what families are called, by source.
        names: the families that have a name.

    Buffers: quantiles_Q of the log-ratio of calibrating genomes' genes, rising.
    """

    quantiles_Q: Tensor

    def __init__(self, config: NeighboursConfig) -> None:
        super().__init__()
        self.config = config
        self.table = FamilyTable(FamilyTableConfig(config.families, config.dim))
        self.memory = Memory(
            MemoryConfig(
                config.places, config.contigs, config.genomes, config.families, config.gaps, config.lineages
            )
        )
        self.mixture = Mixture(MixtureConfig(config.families, config.mixture))
        head = FamilyHeadConfig(config.glm, config.families, config.dim, config.own)
        self.head = FamilyHead(head) if config.glm else None
        self.hints = Hints(HintsConfig(config.families)) if config.named else None
        self.facts: tuple[Fact, ...] = ()
        self.names: dict[int, FamilyName] = {}
        self.register_buffer("quantiles_Q", torch.linspace(0.0, 1.0, _QUANTILES))

    def call(self, facts: Iterable[Fact], without: Collection[str] = ()) -> None:
        """Take what families are called; sources in `without` are not believed."""
        self.facts = tuple(facts)
        self.names = names_of(self.facts, without)
        if self.hints is not None:
            self.hints.name(self.names)

    def check(self) -> None:
        """Raise ValueError for a memory that names what there is not."""
        self.memory.check()

    @torch.inference_mode()
    def judge(
        self,
        embeddings_GD: Tensor,
        strand_G: Tensor,
        first_C: Tensor,
        hidden_GH: Tensor | None = None,
        *,
        own_named: bool = True,
    ) -> ContextOfGenes:
        """Ask memory and gLM for every gene, hidden by itself.

        Args:
            embeddings_GD: of the coding genes.
            strand_G: 1 or -1.
            first_C: first gene of each contig, and the number of genes at the end.
            hidden_GH: gLM's last hidden state where each gene is hidden and its strand known; None for a
                gLM that tells no families.
            own_named: False names each gene as if nobody had named its own family.
        """
        family_G, cosine_G = self.table.assign(embeddings_GD)
        sure_G = cosine_G >= self.config.fit_from
        genes = Genes(family_G, strand_G.long(), first_C)
        same_M = self.same_genomes(genes)
        index = self.memory.index(self.memory.places_without(same_M))

        def log_p(rows: Tensor) -> Tensor | None:
            if self.head is None or hidden_GH is None:
                return None
            log_p_QF: Tensor = self.head(hidden_GH[rows], self.table)
            return log_p_QF

        parts, hints = [], []
        direction_GD = self.table.directions(embeddings_GD.to(family_G.device))
        for asking in ask(index, genes, torch.arange(len(family_G), device=family_G.device), log_p):
            candidates = gather_candidates(asking, self.mixture.log_prior_F)
            log_p_QR = self.mixture(candidates)
            parts.append(self._judged(candidates, log_p_QR, family_G[asking.at_Q]))
            if self.hints is not None:
                own = direction_GD[asking.at_Q], family_G[asking.at_Q]
                hide_Q = None if own_named else own[1]
                named = self.hints.candidates(
                    asking, candidates, log_p_QR, *own, self.mixture, self.table, hide_Q
                )
                hints.append(self.hints.best(named, asking.votes))
        if not parts:
            nothing = torch.zeros(0, device=family_G.device)
            return ContextOfGenes(family_G, nothing, family_G, nothing, nothing.bool(), same_M)
        ratio_G, expected_G, confidence_G, unexpected_G = map(torch.cat, zip(*parts, strict=True))
        return ContextOfGenes(
            family_G,
            ratio_G.masked_fill(~sure_G, torch.nan),
            expected_G,
            confidence_G,
            unexpected_G & sure_G,
            same_M,
            Hint.joined(hints) if hints else None,
            named_beside(index, genes, self.names) if hints else {},
        )

    def places_of_others(self, genes: Genes) -> Tensor:
        """Places of the memory but those of the genome itself, (N,)."""
        return self.memory.places_without(self.same_genomes(genes))

    def same_genomes(self, genes: Genes) -> Tensor:
        """Genomes of the memory that have `SAME_GENOME` of the adjacent families of these genes, (M,).

        None of them for a fragment, by which no genome can be told from its relatives.
        """
        memory, families = self.memory, self.config.families
        own = torch.unique(_adjacent(genes.family_G, genes.strand_G, genes.first_C, families)[0])
        if len(own) < LEAST_PAIRS:
            return torch.zeros(self.config.genomes, dtype=torch.bool, device=own.device)
        kept = memory.family_N.long(), memory.strand_N.long(), memory.first_C
        known, at = _adjacent(*kept, families)
        found = torch.isin(known, own)
        genome_N = memory.genome_C.long().repeat_interleave(memory.first_C.diff())
        size = (families + 1) ** 2 * 4
        pairs = torch.unique(genome_N[at[found]] * size + known[found])
        shared_M = torch.bincount(pairs // size, minlength=self.config.genomes)
        return shared_M >= SAME_GENOME * len(own)

    def percentile(self, log_ratio_G: Tensor) -> Tensor:
        """Percentage (0 to 100) of calibrating genomes' genes whose log-ratio is lower; NaN stays NaN."""
        found = percentile(self.quantiles_Q, log_ratio_G.nan_to_num())
        return found.masked_fill(log_ratio_G.isnan(), torch.nan)

    def _judged(
        self, candidates: Candidates, log_p_QR: Tensor, family_Q: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """log_ratio, expected, confidence and unexpected of `ContextOfGenes` for some genes."""
        ratio_Q = self.mixture.log_ratio(log_p_QR, candidates, family_Q)
        best = log_p_QR[:, :-2].max(dim=1)
        expected_Q = candidates.family_QK.gather(1, best.indices[:, None])[:, 0]
        near_Q = candidates.seen_QK.gather(1, best.indices[:, None])[:, 0]
        other_Q = (family_Q != expected_Q) & (family_Q < self.config.families)
        confidence_Q = best.values.exp()
        return ratio_Q, expected_Q, confidence_Q, other_Q & ~near_Q & (confidence_Q >= SURE)


def _adjacent(family_N: Tensor, strand_N: Tensor, first_C: Tensor, families: int) -> tuple[Tensor, Tensor]:
    """A number for each pair of adjacent genes of a family, the same on both strands, and its first gene."""
    n = len(family_N)
    inner_N = torch.ones(n, dtype=torch.bool, device=family_N.device)
    inner_N[first_C[1:][first_C[1:] > 0] - 1] = False  # the last gene of a contig has none after it
    at = torch.nonzero(inner_N & (family_N < families))[:, 0]
    at = at[family_N[at + 1] < families]
    left, right = family_N[at], family_N[at + 1]
    up, down = (strand_N[at] > 0).long(), (strand_N[at + 1] > 0).long()
    forwards = ((left * (families + 1) + right) * 2 + up) * 2 + down
    backwards = ((right * (families + 1) + left) * 2 + 1 - down) * 2 + 1 - up
    return torch.minimum(forwards, backwards), at
