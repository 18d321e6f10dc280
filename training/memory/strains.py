"""More genomes for a finished memory of gene order: a user's own strains.

Encoder, families, gLM and mixture stay; the genomes become more places of the memory. Each votes with its
relatives as one group, as in a memory that is made of all of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch

from glm_annot.model.encoder import ProteinEncoder
from glm_annot.model.families import FamilyTable
from glm_annot.model.neighbours.judge import Neighbours
from glm_annot.model.neighbours.memory import Genes
from glm_annot.pipeline import embed_distinct
from glm_annot.records import Genome

from .build import Places, filled_memory


def places_of(genome: Genome, encoder: ProteinEncoder, table: FamilyTable) -> Places:
    """The coding genes of a genome as places of a memory.

    Args:
        genome: read as a whole.
        encoder, table: of the model that has the memory.
    """
    contigs = [contig.coding for contig in genome.contigs if contig.coding]
    family_N, _ = table.assign(torch.from_numpy(embed_distinct(encoder, genome.proteins)))
    gaps = [[right.start - left.end - 1 for left, right in pairwise(genes)] + [0] for genes in contigs]
    return Places(
        family_N=family_N.numpy(),
        strand_N=np.array([gene.strand for genes in contigs for gene in genes], np.int64),
        gap_N=np.array([gap for of_contig in gaps for gap in of_contig], np.int64),
        first_C=np.cumsum([0, *map(len, contigs)]),
        genome_C=np.zeros(len(contigs), np.int64),
    )


def is_known(neighbours: Neighbours, genome: Places) -> bool:
    """Whether the memory holds this genome, or nearly the same one."""
    family_G, strand_G, first_C = map(torch.from_numpy, (genome.family_N, genome.strand_N, genome.first_C))
    return bool(neighbours.same_genomes(Genes(family_G.long(), strand_G, first_C)).any())


def with_genomes(neighbours: Neighbours, more: Sequence[Places]) -> Neighbours:
    """The same neighbours with more genomes in their memory.

    Args:
        neighbours: stay as they are.
        more: one or more new genomes, each by itself.
    """
    places = Places.joined([Places.of(neighbours.memory), *more])
    genomes = neighbours.config.genomes + len(more)
    was = neighbours.config
    memory, _ = filled_memory(places, genomes, was.families, gaps=was.gaps, lineages=was.lineages)
    config = replace(was, places=memory.config.places, contigs=memory.config.contigs, genomes=genomes)
    found = Neighbours(config)
    kept = {f"memory.{name}": value for name, value in memory.state_dict().items()}
    found.load_state_dict({**neighbours.state_dict(), **kept})
    if found.hints is not None:
        found.call(neighbours.facts)
    return found.eval().requires_grad_(False)
