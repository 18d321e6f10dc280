"""The compiled loops against plain ones."""

import random
from collections import defaultdict

import numpy as np
import pytest

from glm_annot.ec import listed

GROUPS = ("LVIM", "C", "AST", "G", "P", "FYW", "ED", "NQ", "KR", "H")
PLACES = (0, 1, 3)
STRETCH, DIAGONALS = 16, 128


def proteins_of(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return ["".join(chance.choices("ACDEFGHIKLMNPQRSTVWYX", k=chance.randrange(60))) for _ in range(count)]


def plain(proteins: list[str]) -> list[tuple[int, int, int]]:
    """(code, protein, place) of each k-mer without unknown letters."""
    digit = {residue: number for number, group in enumerate(GROUPS) for residue in group}
    found = []
    for owner, protein in enumerate(proteins):
        for first in range(len(protein) - PLACES[-1]):
            read = [digit.get(protein[first + place]) for place in PLACES]
            if None not in read:
                found.append((int(np.polyval(read, len(GROUPS))), owner, first))
    return found


def occurrences(proteins: list[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    text = np.frombuffer("".join(proteins).encode(), np.uint8)
    end_T = np.cumsum(np.array([len(protein) for protein in proteins], np.int64))
    return listed.occurrences(listed.letters(GROUPS)[text], end_T, np.array(PLACES), len(GROUPS))


def test_letters_are_numbered_by_group():
    table = listed.letters(GROUPS)
    assert [table[ord(letter)] for letter in "LMCH"] == [0, 0, 1, 9]
    assert table[ord("X")] == table[ord("*")] == listed.UNKNOWN


def test_occurrences_are_those_of_a_plain_loop():
    proteins = ["", "AC", "ACDE", *proteins_of(40, 1)]
    assert list(zip(*(column.tolist() for column in occurrences(proteins)), strict=True)) == plain(proteins)
    assert [len(column) for column in occurrences([])] == [0, 0, 0]


def test_entries_are_each_kmers_proteins_with_the_lowest_stretch():
    long = "GGGG" + "X" * (STRETCH * DIAGONALS + 40) + "GGGG"  # its second place lies one circle further on
    proteins = [*proteins_of(60, 2), long, long[::-1]]
    code_O, owner_O, place_O = occurrences(proteins)
    stretch_O = (place_O // STRETCH % DIAGONALS).astype(np.uint8)
    size = len(GROUPS) ** len(PLACES)
    count_K, target_E, stretch_E = listed.first_entries(code_O, owner_O, stretch_O, size)
    expected: dict[int, dict[int, int]] = defaultdict(dict)
    for code, owner, place in plain(proteins):
        stretch = place // STRETCH % DIAGONALS
        expected[code][owner] = min(stretch, expected[code].get(owner, stretch))
    assert count_K.tolist() == [len(expected[code]) for code in range(size)]
    entries = [pair for code in range(size) for pair in sorted(expected[code].items())]
    assert list(zip(target_E.tolist(), stretch_E.tolist(), strict=True)) == entries


@pytest.fixture
def made() -> tuple[listed.Entries, listed.Lists]:
    chance = np.random.default_rng(3)
    first_W = chance.integers(0, 900, 50)
    end_W = first_W + chance.integers(0, 30, 50)
    target_E = chance.integers(0, 40, 1000).astype(np.uint16)
    stretch_E = chance.integers(0, DIAGONALS, 1000).astype(np.uint8)
    entries = listed.Entries(first_W, end_W, chance.random(50), chance.integers(0, DIAGONALS, 50))
    return entries, listed.Lists(target_E, stretch_E)


def test_what_is_shared_is_summed_by_protein_and_by_diagonal(made: tuple[listed.Entries, listed.Lists]):
    entries, lists = made
    expected_TB = np.zeros((40, DIAGONALS))
    for first, end, weight, stretch in zip(*entries, strict=True):
        for entry in range(first, end):
            expected_TB[lists.target_E[entry], (int(stretch) - int(lists.stretch_E[entry])) % DIAGONALS] += (
                weight
            )
    assert np.allclose(listed.shared(entries, lists, 40), expected_TB.sum(1))
    chosen = np.array([7, 3, 39])
    rest = entries, lists, listed.rows_of(chosen, 40), len(chosen), DIAGONALS
    assert np.allclose(listed.by_diagonal(*rest), expected_TB[chosen])
    two_TB = expected_TB + np.roll(expected_TB, 1, axis=1)
    assert np.allclose(listed.best_diagonals(*rest), two_TB[chosen].max(1))


def test_without_kmers_nothing_is_shared(made: tuple[listed.Entries, listed.Lists]):
    none, lists = np.empty(0, np.int64), made[1]
    entries = listed.Entries(none, none, np.empty(0), none)
    assert listed.shared(entries, lists, 40).tolist() == [0.0] * 40
    rest = entries, lists, listed.rows_of(np.array([5]), 40), 1, DIAGONALS
    assert listed.best_diagonals(*rest).tolist() == [0.0]
    assert listed.by_diagonal(*rest).tolist() == [[0.0] * DIAGONALS]


def test_the_highest_values_above_zero_are_chosen():
    assert sorted(listed.highest(np.array([0.0, 3.0, 1.0, 2.0, -1.0]), 2).tolist()) == [1, 3]
    assert listed.highest(np.array([0.0, 3.0, 1.0]), 5).tolist() == [1, 2]
    assert listed.highest(np.zeros(3), 2).tolist() == []
