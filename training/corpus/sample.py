"""A fixed, listed sample of genomes, balanced over genera, and its split into train, valid and test.

Genomes are grouped first, so that relatives are never on both sides of a split: one group per genus,
and genomes of unknown genus ('?') alone, until genomes that share many identical proteins join their
groups. Groups are drawn in a seeded random order, one genome of each in the first round, a second one in
the next, and so on, until the budget is spent. Fragmented genomes wait until no sound one is left, and
most of those of unknown genus until no named one is left. Of the groups drawn, the last that are small
enough become valid and test. Where there are too few groups for that, single genomes do (`split_by`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from glm_annot.errors import UsageError

UNKNOWN_GENUS = "?"
RELATED = (
    0.05  # share of the smaller genome's proteins, identical in both, from which two genomes are one group
)
UNKNOWN_SHARE = 0.25  # at most this share of a sample is of unknown genus, while there are named ones
SOUND_SHARE = 0.6  # of a sound genome's genes stand on contigs that are long enough for windows
SOUND_GENES = (
    300  # genes on such contigs that make a genome worth drawing early; the smallest symbionts have about 360
)
VALID_SHARE = 0.2  # of the genomes drawn validate at most, but one always
SOUND_LENGTH = 200  # mean residues of a protein; prokaryotes have about 310, broken gene calls half of that


@dataclass(frozen=True)
class Candidate:
    """What the sampler knows of one genome.

    Attributes:
        genome, genus: as in the corpus tables.
        genes, residues: on contigs long enough for windows; the others do not count.
        long_share: share of all its genes that are on such contigs.
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
        valid, test: how many genomes to set aside from groups of their own, beside those that train (see
            `most_valid`). Groups are set aside whole: fewer where another group would be more than is wanted,
            more where the smallest group is.
        seed: of the random order of groups.

    Raises:
        UsageError: nothing would be left to train on.
    """
    order = draw_order(candidates, groups, seed)
    limit = len(candidates) if genomes is None else genomes
    taken: set[int] = set()
    spent = 0
    for position in _unknown_late(candidates, order):
        spent += candidates[position].residues
        if len(taken) >= limit or (residues is not None and spent > residues):
            break
        taken.add(position)
    # In the order of the groups again: what had to wait is as likely to train as what had not.
    return _split(candidates, groups, [position for position in order if position in taken], valid, test)


def most_valid(wanted: int, drawn: int) -> int:
    """How many of the genomes drawn validate where so many are wanted."""
    return min(wanted, max(1, int(VALID_SHARE * drawn)))


def split_by(chosen: Sequence[Chosen]) -> Literal["genus", "genome"]:
    """Say whether groups were set aside whole ('genus'), or relatives had to be parted ('genome')."""
    sides = {(item.group, item.split) for item in chosen}
    return "genus" if len(sides) == len({group for group, _ in sides}) else "genome"


def _unknown_late(candidates: list[Candidate], order: list[int]) -> list[int]:
    """Let genomes of unknown genus wait wherever they would be more than `UNKNOWN_SHARE` of those so far."""
    early: list[int] = []
    late: list[int] = []
    unknown = 0
    for position in order:
        if candidates[position].genus == UNKNOWN_GENUS:
            if unknown + 1 > max(1.0, UNKNOWN_SHARE * (len(early) + 1)):
                late.append(position)
                continue
            unknown += 1
        early.append(position)
    return early + late


def _split(
    candidates: list[Candidate], groups: npt.NDArray[np.int64], drawn: list[int], valid: int, test: int
) -> list[Chosen]:
    """Set whole groups aside, or genomes where there are too few groups; of two genomes none tests."""
    asked = (("valid", most_valid(valid, len(drawn))), ("test", test))
    wanted = {split: number for split, number in asked if number > 0}
    if len(drawn) == len(wanted) == 2:
        del wanted["test"]
    if len(drawn) < 1 + len(wanted):
        raise UsageError(
            f"too few genomes ({len(drawn)}) for a split into {', '.join(['train', *wanted])}; "
            "add genomes, or raise the limit of genomes or the budget. `glm-train memory` adds even one "
            "genome to the memory of a finished model"
        )
    units = [int(groups[position]) for position in drawn]
    if len(set(units)) < 1 + len(wanted):
        # Relatives only (strains of one species): the best left is a split by genome.
        units = drawn
    splits = _set_aside(Counter(units), wanted)
    return [
        Chosen(candidates[position], int(groups[position]), splits.get(unit, "train"))
        for position, unit in zip(drawn, units, strict=True)
    ]


def _set_aside(size_of: Mapping[int, int], wanted: Mapping[str, int]) -> dict[int, str]:
    """Choose the groups that do not train.

    The last drawn that is no larger than what is still wanted comes first. A larger one is taken, the
    smallest, only where a split would have none; and never the largest of all, which trains.

    Args:
        size_of: genomes of each group, in the order drawn; more groups than splits are wanted.
        wanted: genomes of each split.

    Returns:
        the split of each group that was set aside; at least one of each split.
    """
    free = list(size_of)
    if wanted:
        free.remove(max(free, key=size_of.__getitem__))  # of equals, the first drawn
    splits: dict[int, str] = {}
    missing = dict(wanted)
    found = True
    while found:  # in turns, so that one split does not take all small groups
        found = False
        for split, number in missing.items():
            small = [group for group in free if size_of[group] <= number]
            if not small and split not in splits.values():
                small = [min(reversed(free), key=size_of.__getitem__)]
            if small:
                found = True
                free.remove(small[-1])
                splits[small[-1]] = split
                missing[split] -= size_of[small[-1]]
    return splits
