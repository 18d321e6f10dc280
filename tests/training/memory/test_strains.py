"""More genomes for a finished memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glm_annot.model.neighbours.judge import Neighbours, NeighboursConfig
from glm_annot.training.memory.build import Places
from glm_annot.training.memory.strains import is_known, with_genomes

FAMILIES = 300


def genome(seed: int, contigs: tuple[int, ...] = (150, 250)) -> Places:
    """Families in random order on some contigs."""
    rng = np.random.default_rng(seed)
    n = sum(contigs)
    return Places(
        family_N=rng.integers(FAMILIES, size=n),
        strand_N=rng.choice([-1, 1], size=n),
        gap_N=rng.integers(-10, 400, size=n),
        first_C=np.cumsum([0, *contigs]),
        genome_C=np.zeros(len(contigs), np.int64),
    )


@pytest.fixture
def empty() -> Neighbours:
    """A memory of no genome."""
    return Neighbours(NeighboursConfig(FAMILIES, 4, places=0, contigs=0, genomes=0, mixture=4, gaps=True))


def test_a_genome_is_known_once_it_was_added(empty: Neighbours) -> None:
    first, second = genome(1), genome(2)
    one = with_genomes(empty, [first])
    assert is_known(one, first) and not is_known(one, second)
    two = with_genomes(one, [second])
    assert is_known(two, first) and is_known(two, second)
    assert (empty.config.genomes, one.config.genomes, two.config.genomes) == (0, 1, 2)


def test_genomes_added_together_or_one_by_one_are_the_same(empty: Neighbours) -> None:
    several = [genome(1), genome(2), genome(1, contigs=(400,))]
    together, one_by_one = with_genomes(empty, several), empty
    for each in several:
        one_by_one = with_genomes(one_by_one, [each])
    assert together.config == one_by_one.config
    for name, tensor in together.state_dict().items():
        assert torch.equal(tensor, one_by_one.state_dict()[name]), name
    memory = together.memory
    assert memory.first_C.tolist() == [0, 150, 400, 550, 800, 1200]
    assert memory.genome_C.tolist() == [0, 0, 1, 1, 2]
    assert memory.family_N[400:800].tolist() == several[1].family_N.tolist()
    group_M = memory.group_M.tolist()
    assert group_M[0] == group_M[2] != group_M[1]  # the same genome on other contigs votes with it
    assert (
        memory.gap_N - torch.from_numpy(np.concatenate([each.gap_N for each in several]))
    ).abs().max() <= 75


def test_places_of_a_memory_come_back(empty: Neighbours) -> None:
    first = genome(1)
    found = Places.of(with_genomes(empty, [first]).memory)
    for name in ("family_N", "strand_N", "first_C", "genome_C"):
        assert getattr(found, name).tolist() == getattr(first, name).tolist(), name
