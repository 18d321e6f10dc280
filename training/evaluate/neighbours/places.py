"""What memory and gLM of a finished model expect at the places of a genome's genes, each hidden alone.

Axes: Q genes asked for, N proteins, D dimensions of an embedding; others as in
`glm_annot.model.neighbours.mixture`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from glm_annot.bundle import Model
from glm_annot.errors import InputError
from glm_annot.model.families import FamilyGLM
from glm_annot.model.neighbours.judge import Neighbours
from glm_annot.model.neighbours.memory import MemoryIndex
from glm_annot.model.neighbours.mixture import Candidates, Mixture
from glm_annot.pipeline import embed_distinct
from glm_annot.records import Genome

from ...glm.families import Families, read_families
from ...glm.train import read_embeddings
from ...glm.windows import Embeddings, GeneOrder
from ...memory.asked import Asked, Asker
from ...memory.build import CorpusMemory, build_memory


@dataclass(frozen=True)
class Places:
    """What is expected at the places of some genes.

    Attributes:
        asked: the genes.
        candidates: families that may stand there.
        log_p_QR: what the mixture makes of them.
        mixture: of memory and gLM.
        sure_Q: the genes' own families, the number of families for one that a gene is not surely of.
    """

    asked: Asked
    candidates: Candidates
    log_p_QR: Tensor
    mixture: Mixture
    sure_Q: Tensor

    @classmethod
    def of(cls, asker: Asker, order: GeneOrder, index: MemoryIndex, neighbours: Neighbours) -> Places:
        """Those of all genes on contigs of 15 genes or more."""
        asked, mixture, config = asker.alone(order), neighbours.mixture, neighbours.config
        candidates = asker.candidates(asker.ask(asked, index))
        cosine_Q = torch.from_numpy(asker.families.cosine_N[order.protein_G[asked.at_Q.numpy()]])
        sure_Q = asked.family_Q.masked_fill(cosine_Q < config.fit_from, config.families)
        with torch.inference_mode():
            return cls(asked, candidates, mixture(candidates), mixture, sure_Q)

    def ratios(self, family_Q: Tensor) -> Tensor:
        """How much likelier families are at the places than anywhere, in nats, (Q,); NaN for none."""
        return self.mixture.log_ratio(self.log_p_QR, self.candidates, family_Q)

    @property
    def own(self) -> Tensor:
        """The same of the genes that stand there; NaN for none that they are surely of."""
        return self.ratios(self.sure_Q)


def neighbours_of(model: Model) -> Neighbours:
    """A model's memory of gene order and all that reads it.

    Raises:
        InputError: it has none.
    """
    if model.neighbours is None:
        raise InputError("the model has no memory of gene order")
    return model.neighbours


def embed_families(model: Model, genome: Genome) -> Embeddings:
    """Embeddings of the coding genes by which the model tells families, (N, D)."""
    return embed_distinct(model.family_encoder or model.encoder, genome.proteins)


def asker_of(model: Model, embeddings_ND: Embeddings) -> Asker:
    """Who asks memory and gLM of a model for genes with these embeddings."""
    neighbours = neighbours_of(model)
    families = Families.of(neighbours.table, embeddings_ND)
    return Asker(families, embeddings_ND, neighbours.mixture.log_prior_F, _glm(model))


def of_corpus(corpus: Path, model: Model) -> tuple[CorpusMemory, Asker]:
    """The memory of the corpus that a model's memory was built from, and who asks it.

    Raises:
        InputError: the model has no memory, or another one than the corpus.
    """
    neighbours, families = neighbours_of(model), read_families(corpus)
    memory = build_memory(corpus, families)
    if not torch.equal(memory.memory.family_N, neighbours.memory.family_N):
        raise InputError("is not the corpus that the model's memory was built from", corpus)
    prior_F = neighbours.mixture.log_prior_F
    return memory, Asker(families, read_embeddings(corpus), prior_F, _glm(model))


def _glm(model: Model) -> FamilyGLM | None:
    return model.predictor if isinstance(model.predictor, FamilyGLM) else None
