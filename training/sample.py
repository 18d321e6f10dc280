"""A fixed, listed sample of genomes, balanced over genera, and its split into train, valid and test.

Genomes are grouped first, so that relatives never stand on both sides of a split: one group per genus,
and genomes of unknown genus ('?') alone, until genomes that share many identical proteins join their
groups. Groups are drawn in a seeded random order, one genome of each in the first round, a second one in
the next, and so on, until the budget is spent; the last groups drawn become valid and test. Fragmented
genomes wait until no sound one is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glm_annot.errors import UsageError

UNKNOWN_GENUS = "?"
RELATED = (
    0.05  # share of the smaller genome's proteins, identical in both, from which two genomes are one group
)
UNKNOWN_SHARE = 0.25  # at most this share of a sample is of unknown genus
SOUND_SHARE = 0.6  # of a sound genome's genes stand on contigs that are long enough for windows
SOUND_GENES = (
    300  # genes on such contigs that make a genome worth drawing early; the smallest symbionts have about 360
)
SOUND_LENGTH = 200  # mean residues of a protein; prokaryotes have about 310, broken gene calls half of that


@dataclass(frozen=True)
class Candidate:
    """What the sampler knows of one genome.

    Attributes:
        genome, genus: as in the corpus tables.
        genes, residues: on contigs long enough for windows; the others do not count.
        long_share: share of all its genes that stand on such contigs.
        labelled: how many of them carry an EC number.
    """

    genome: int
    genus: str
    genes: int
    residues: int
    long_share: float
    labelled: int

    @property
    def sound(self) -> bool:
        """Whether it is whole enough to be drawn before the fragmented ones."""
        whole = self.genes >= SOUND_GENES and self.long_share >= SOUND_SHARE
        return whole and self.residues >= SOUND_LENGTH * self.genes


@dataclass(frozen=True)
class Chosen:
    """One genome of the sample, its group and its split ('train', 'valid', 'test')."""

    candidate: Candidate
    group: int
    split: str


def related_groups(
    genus: list[str], genome_of_gene: npt.NDArray[np.int64], protein_of_gene: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Group genomes that share a genus or at least `RELATED` of their distinct proteins.

    Args:
        genus: of each genome, shape (n,).
        genome_of_gene, protein_of_gene: positions of each gene's genome (0..n-1) and protein.

    Returns:
        a group number for each genome, shape (n,).
    """
    from scipy import sparse
    from scipy.sparse import csgraph

    n = len(genus)
    shape = (n, int(protein_of_gene.max()) + 1)
    ones = np.ones(len(genome_of_gene), dtype=np.int32)
    has = sparse.csr_matrix((ones, (genome_of_gene, protein_of_gene)), shape=shape)
    has.data[:] = 1
    shared = (has @ has.T).toarray()
    size = np.maximum(shared.diagonal(), 1)
    linked = shared >= RELATED * np.minimum.outer(size, size)
    names = np.array(genus)
    linked |= (names[:, None] == names[None, :]) & (names != UNKNOWN_GENUS)[:, None]
    return np.asarray(csgraph.connected_components(sparse.csr_matrix(linked))[1], dtype=np.int64)


def draw_order(candidates: list[Candidate], groups: npt.NDArray[np.int64], seed: int) -> list[int]:
    """Put all candidates (by position) in the order in which they are drawn.

    Within a group, genomes that carry EC numbers come first, then those with more genes on long contigs.
    """
    random = np.random.default_rng(seed)
    turn = {int(group): place for place, group in enumerate(random.permutation(np.unique(groups)))}

    def merit(position: int) -> tuple[bool, bool, float, int]:
        candidate = candidates[position]
        return (not candidate.sound, candidate.labelled == 0, -candidate.long_share, candidate.genome)

    rounds: dict[int, int] = {}
    keys: dict[int, tuple[bool, int, int]] = {}
    for position in sorted(range(len(candidates)), key=merit):
        group = int(groups[position])
        rounds[group] = rounds.get(group, -1) + 1
        keys[position] = (not candidates[position].sound, rounds[group], turn[group])
    return sorted(keys, key=keys.__getitem__)


def choose(
    candidates: list[Candidate],
    groups: npt.NDArray[np.int64],
    *,
    genomes: int | None = None,
    residues: int | None = None,
    valid: int = 1,
    test: int = 0,
    seed: int = 0,
) -> list[Chosen]:
    """Draw a sample and split it.

    Args:
        candidates: the genomes that may be drawn.
        groups: their group numbers, as `related_groups` gives them.
        genomes, residues: stop at this many genomes, or before this many residues; None is no limit.
        valid, test: how many genomes to set aside from groups of their own, beside those that train.
        seed: of the random order of groups.

    Raises:
        UsageError: nothing would be left to train on.
    """
    limit = len(candidates) if genomes is None else genomes
    everything = genomes is None and residues is None
    drawn: list[int] = []
    spent = unknown = 0
    for position in draw_order(candidates, groups, seed):
        candidate = candidates[position]
        if len(drawn) >= limit or (residues is not None and spent + candidate.residues > residues):
            break
        if candidate.genus == UNKNOWN_GENUS:
            if not everything and unknown + 1 > max(1.0, UNKNOWN_SHARE * (len(drawn) + 1)):
                continue
            unknown += 1
        spent += candidate.residues
        drawn.append(position)
    return _split(candidates, groups, drawn, valid, test)


def _split(
    candidates: list[Candidate], groups: npt.NDArray[np.int64], drawn: list[int], valid: int, test: int
) -> list[Chosen]:
    """Set whole groups aside, the last drawn first, until enough genomes are valid and test."""
    order = list(dict.fromkeys(int(groups[position]) for position in drawn))
    if len(order) < 1 + (valid > 0) + (test > 0):
        # Relatives only (strains of one species): the best left is a split by genome.
        groups = np.arange(len(candidates))
        order = list(drawn)
    splits: dict[int, str] = {}
    for split, wanted in (("valid", valid), ("test", test)):
        while wanted > 0 and len(order) > 1:
            group = order.pop()
            splits[group] = split
            wanted -= sum(int(groups[position]) == group for position in drawn)
    chosen = [Chosen(candidates[p], int(groups[p]), splits.get(int(groups[p]), "train")) for p in drawn]
    if len({c.split for c in chosen}) < 1 + (valid > 0) + (test > 0):
        raise UsageError(
            f"{len(drawn)} genomes are too few for a split into training, validation and test; "
            "add genomes or raise the budget"
        )
    return chosen
