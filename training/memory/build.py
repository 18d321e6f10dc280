"""The memory of gene order of a corpus: every gene of its genomes as a family number, in order.

It holds all genomes of the corpus, also those that calibrate and test: what a measurement may not see is left
out when the memory is asked (`rings_of`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from glm_annot.model.neighbours.memory import Memory, MemoryConfig

from ..corpus import rings
from ..corpus.tables import read_table
from ..glm.families import Families
from ..glm.windows import GeneOrder

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class CorpusMemory:
    """A memory and what its genomes are.

    Attributes:
        memory: of all genomes of a corpus.
        protein_N: row of each place's protein in the corpus's embeddings.
        genomes: their numbers in the corpus, in the memory's order.
        split: of each, as in the corpus.
        shares_MM: share of the smaller genome's families that the other has, for each two.
    """

    memory: Memory
    protein_N: Ints
    genomes: Ints
    split: tuple[str, ...]
    shares_MM: npt.NDArray[np.float64]

    def seen_by(self, row: int, ring: str) -> Tensor:
        """Places that a measurement on a genome may see: not its own, nor its relatives' in the ring."""
        return self.memory.places_without(torch.from_numpy(rings.left_out(self.shares_MM, row, ring)))

    def nearest_of(self, row: int, ring: str) -> float:
        """How near the nearest genome is that a measurement on a genome may see: its share of families."""
        seen_M = ~rings.left_out(self.shares_MM, row, ring)
        return float(self.shares_MM[row].max(initial=0.0, where=seen_M))

    def order_of(self, row: int) -> GeneOrder:
        """The genes of one genome."""
        own_C, length_C = self.memory.genome_C == row, self.memory.first_C.diff()
        own_N = own_C.repeat_interleave(length_C).numpy()
        strand_G = self.memory.strand_N.numpy()[own_N].astype(np.int64)
        first_C = np.cumsum([0, *length_C[own_C].tolist()])
        return GeneOrder(self.protein_N[own_N], strand_G, np.zeros(len(strand_G), np.bool_), first_C)


@dataclass(frozen=True)
class Places:
    """Genes of genomes as a memory holds them, contig by contig in the order of the genes.

    Attributes:
        family_N: the number of families for none.
        strand_N: 1 or -1.
        gap_N: bases to the next gene of the contig, negative for an overlap; any number for a contig's last.
        first_C: first gene of each contig, and the number of genes at the end.
        genome_C: row of each contig's genome, rising.
    """

    family_N: npt.NDArray[np.integer]
    strand_N: npt.NDArray[np.integer]
    gap_N: npt.NDArray[np.integer]
    first_C: npt.NDArray[np.integer]
    genome_C: npt.NDArray[np.integer]

    @classmethod
    def of(cls, memory: Memory) -> Places:
        """Those that a memory holds, gaps as it rounds them; 0 for one without gaps."""
        gap_N = memory.gap_N if memory.config.gaps else torch.zeros_like(memory.family_N)
        held = (memory.family_N, memory.strand_N, gap_N, memory.first_C, memory.genome_C)
        return cls(*(values.numpy().astype(np.int64) for values in held))

    @classmethod
    def joined(cls, parts: Sequence[Places]) -> Places:
        """The genomes of several, one after the other."""
        genes = np.cumsum([0, *(len(part.family_N) for part in parts)]).tolist()
        genomes = np.cumsum([0, *(int(part.genome_C.max(initial=-1)) + 1 for part in parts)]).tolist()
        first = [part.first_C[:-1] + n for part, n in zip(parts, genes, strict=False)]
        return cls(
            np.concatenate([part.family_N for part in parts]),
            np.concatenate([part.strand_N for part in parts]),
            np.concatenate([part.gap_N for part in parts]),
            np.concatenate([*first, genes[-1:]]),
            np.concatenate([part.genome_C + n for part, n in zip(parts, genomes, strict=False)]),
        )


def filled_memory(
    places: Places, genomes: int, families: int, *, gaps: bool = True, lineages: bool = True
) -> tuple[Memory, npt.NDArray[np.float64]]:
    """A memory of some genomes, and `rings.shares` of each two.

    Genomes that share `rings.RINGS['genus']` of their families or more with the first one of a group vote as
    one group. A lineage is all genomes that chains of such pairs link.

    Args:
        places: of all genomes.
        genomes: how many there are.
        families: how many there are.
        gaps: whether it holds the gaps.
        lineages: whether it tells lineages.
    """
    row_N = np.repeat(places.genome_C, np.diff(places.first_C))
    shares_MM = rings.shares(_families_of(places.family_N, row_N, genomes, families))
    sizes = len(places.family_N), len(places.genome_C), genomes, families
    memory = Memory(MemoryConfig(*sizes, gaps=gaps, lineages=lineages))
    filled = {
        "family_N": places.family_N,
        "strand_N": places.strand_N,
        "first_C": places.first_C,
        "genome_C": places.genome_C,
        "group_M": _groups(shares_MM),
    }
    if lineages:
        filled["lineage_M"] = _lineages(shares_MM)
    for name, values in filled.items():
        getattr(memory, name).copy_(torch.from_numpy(np.array(values)))
    if gaps:
        memory.hold_gaps(torch.from_numpy(places.gap_N.astype(np.int64)))
    return memory, shares_MM


def build_memory(corpus: Path, families: Families) -> CorpusMemory:
    """Build the memory of a corpus, as `filled_memory` does.

    Args:
        corpus: the corpus folder.
        families: of its proteins.

    Raises:
        InputError: the folder is no corpus.
    """
    genomes = read_table(corpus, "genomes", ["genome", "split"])
    contigs = read_table(corpus, "contigs", ["contig", "genome"])
    genes = read_table(corpus, "genes", ["contig", "protein", "strand", "start", "end"])
    number_M = genomes["genome"].to_numpy()
    contig_G, protein_G = genes["contig"].to_numpy(), genes["protein"].to_numpy().astype(np.int64)
    start_G, end_G = (genes[name].to_numpy().astype(np.int64) for name in ("start", "end"))
    first_C = np.append(np.flatnonzero(np.diff(contig_G, prepend=-1)), len(contig_G))
    genome_of = dict(zip(contigs["contig"].to_pylist(), contigs["genome"].to_pylist(), strict=True))
    row_of = {genome: row for row, genome in enumerate(number_M.tolist())}
    places = Places(
        family_N=families.family_N[protein_G],
        strand_N=genes["strand"].to_numpy(),
        gap_N=np.append(start_G[1:], 0) - end_G - 1,
        first_C=first_C,
        genome_C=np.array(
            [row_of[genome_of[contig]] for contig in contig_G[first_C[:-1]].tolist()], np.int64
        ),
    )
    memory, shares_MM = filled_memory(places, len(number_M), families.table.none)
    return CorpusMemory(memory, protein_G, number_M, tuple(genomes["split"].to_pylist()), shares_MM)


def _families_of(
    family_G: npt.NDArray[np.integer], row_G: npt.NDArray[np.integer], n: int, none: int
) -> list[Ints]:
    """The distinct families of each genome; 'none' is none."""
    kept = family_G < none
    pairs = np.unique(np.stack([row_G[kept], family_G[kept].astype(np.int64)]), axis=1)
    ends = np.cumsum(np.bincount(pairs[0], minlength=n))
    return np.split(pairs[1], ends[:-1])


def _groups(shares_MM: npt.NDArray[np.float64]) -> Ints:
    """A number for each group of near relatives: genomes that are near the first one of their group.

    A genome joins the nearest of the first ones so far, or begins a group of its own. Chains do not make a
    group: two genomes of one may be less near to each other than each is to its first.
    """
    first: list[int] = []
    group_M = np.zeros(len(shares_MM), np.int64)
    for row, shares_M in enumerate(shares_MM):
        nearest = int(shares_M[first].argmax()) if first else -1
        if nearest < 0 or shares_M[first[nearest]] < rings.RINGS["genus"]:
            nearest = len(first)
            first.append(row)
        group_M[row] = nearest
    return group_M


def _lineages(shares_MM: npt.NDArray[np.float64]) -> Ints:
    """A number for each lineage: near relatives, and all whom chains of these link."""
    from scipy import sparse
    from scipy.sparse import csgraph

    near_MM = sparse.csr_matrix(shares_MM >= rings.RINGS["genus"])
    return np.asarray(csgraph.connected_components(near_MM, directed=False)[1], np.int64)
