"""The memory of gene order of a corpus: every gene of its genomes as a family number, in order.

It holds all genomes of the corpus, also those that calibrate and test: what a measurement may not see is left
out when the memory is asked (`rings_of`).
"""

from __future__ import annotations

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
        hidden_M = torch.from_numpy(rings.left_out(self.shares_MM, row, ring))
        hidden_C = hidden_M[self.memory.genome_C.long()]
        return ~hidden_C.repeat_interleave(self.memory.first_C.diff())

    def order_of(self, row: int) -> GeneOrder:
        """The genes of one genome."""
        own_C, length_C = self.memory.genome_C == row, self.memory.first_C.diff()
        own_N = own_C.repeat_interleave(length_C).numpy()
        strand_G = self.memory.strand_N.numpy()[own_N].astype(np.int64)
        first_C = np.cumsum([0, *length_C[own_C].tolist()])
        return GeneOrder(self.protein_N[own_N], strand_G, np.zeros(len(strand_G), np.bool_), first_C)


def build_memory(corpus: Path, families: Families) -> CorpusMemory:
    """Build the memory of a corpus.

    Genomes that share `rings.RINGS['genus']` of their families or more, directly or through others, vote as
    one group.

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
    first_C = np.append(np.flatnonzero(np.diff(contig_G, prepend=-1)), len(contig_G))
    genome_of = dict(zip(contigs["contig"].to_pylist(), contigs["genome"].to_pylist(), strict=True))
    row_of = {genome: row for row, genome in enumerate(number_M.tolist())}
    row_C = np.array([row_of[genome_of[contig]] for contig in contig_G[first_C[:-1]].tolist()], np.int64)
    family_G, none = families.family_N[protein_G], families.table.none
    row_G = np.repeat(row_C, np.diff(first_C))
    shares_MM = rings.shares(_families_of(family_G, row_G, len(number_M), none))
    memory = Memory(MemoryConfig(len(family_G), len(row_C), len(number_M), none, gaps=True))
    filled = {
        "family_N": family_G,
        "strand_N": genes["strand"].to_numpy(),
        "first_C": first_C,
        "genome_C": row_C,
        "group_M": _groups(shares_MM),
    }
    for name, values in filled.items():
        getattr(memory, name).copy_(torch.from_numpy(np.array(values)))
    start_G, end_G = (genes[name].to_numpy().astype(np.int64) for name in ("start", "end"))
    memory.hold_gaps(torch.from_numpy(np.append(start_G[1:], 0) - end_G - 1))
    return CorpusMemory(memory, protein_G, number_M, tuple(genomes["split"].to_pylist()), shares_MM)


def _families_of(family_G: npt.NDArray[np.int32], row_G: Ints, n: int, none: int) -> list[Ints]:
    """The distinct families of each genome; 'none' is none."""
    kept = family_G < none
    pairs = np.unique(np.stack([row_G[kept], family_G[kept].astype(np.int64)]), axis=1)
    ends = np.cumsum(np.bincount(pairs[0], minlength=n))
    return np.split(pairs[1], ends[:-1])


def _groups(shares_MM: npt.NDArray[np.float64]) -> Ints:
    """A number for each group of near relatives."""
    from scipy import sparse
    from scipy.sparse import csgraph

    near_MM = sparse.csr_matrix(shares_MM >= rings.RINGS["genus"])
    return np.asarray(csgraph.connected_components(near_MM, directed=False)[1], np.int64)
