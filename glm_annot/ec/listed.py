"""K-mers of proteins, lists of what holds each k-mer, and what a query shares with it.

These loops run for each protein of a genome over tens of thousands of entries, so they are compiled
(`glm_annot.ec.compiled`).

Axes: N residues; K k-mers (every possible one); O occurrences of k-mers in proteins; E entries (a k-mer of
a protein or profile), ordered by k-mer; T proteins or profiles; W k-mers of a query; R rows, those of the
proteins or profiles that are looked at; B diagonals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from glm_annot.ec.compiled import compiled

UNKNOWN = -1  # a letter that no k-mer may hold

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def letters(groups: Sequence[str]) -> npt.NDArray[np.int8]:
    """The number of each byte's group, shape (256,); `UNKNOWN` for bytes that are in none."""
    table = np.full(256, UNKNOWN, np.int8)
    for number, group in enumerate(groups):
        table[np.frombuffer(group.encode(), np.uint8)] = number
    return table


@compiled
def occurrences(
    letter_N: npt.NDArray[np.int8], end_T: Ints, places: Ints, base: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """The k-mers of proteins that stand one after another.

    Args:
        letter_N: of each residue, below `base`, or `UNKNOWN`.
        end_T: where each protein ends.
        places: of a k-mer's residues, from its first.
        base: how many letters there are.

    Returns:
        for each occurrence of a k-mer without unknown letters its number (its letters are the digits), the
        protein, and the residues before it there.
    """
    code_O = np.empty(len(letter_N), np.int32)
    owner_O = np.empty(len(letter_N), np.int32)
    place_O = np.empty(len(letter_N), np.int32)
    found = 0
    start = 0
    for owner in range(len(end_T)):
        for first in range(start, end_T[owner] - places[-1]):
            code = 0
            for place in places:
                letter = letter_N[first + place]
                if letter < 0:
                    code = -1
                    break
                code = code * base + letter
            if code >= 0:
                code_O[found] = code
                owner_O[found] = owner
                place_O[found] = first - start
                found += 1
        start = end_T[owner]
    return code_O[:found], owner_O[:found], place_O[:found]


@compiled
def first_entries(
    code_O: npt.NDArray[np.int32],
    owner_O: npt.NDArray[np.int32],
    stretch_O: npt.NDArray[np.uint8],
    size: int,
) -> tuple[Ints, npt.NDArray[np.uint16], npt.NDArray[np.uint8]]:
    """Each k-mer's proteins.

    Args:
        code_O, owner_O: as `occurrences` gives them, for at most 2^16 proteins.
        stretch_O: where each lies.
        size: how many k-mers there can be.

    Returns:
        how many proteins have each k-mer, (K,); these proteins, ordered by k-mer, and the lowest stretch in
        which each has it.
    """
    count_K = np.zeros(size, np.int64)
    last_K = np.full(size, -1, np.int32)
    for o in range(len(code_O)):
        code = code_O[o]
        if last_K[code] != owner_O[o]:
            last_K[code] = owner_O[o]
            count_K[code] += 1
    free_K = np.cumsum(count_K) - count_K
    last_K[:] = -1
    target_E = np.empty(count_K.sum(), np.uint16)
    stretch_E = np.empty(len(target_E), np.uint8)
    for o in range(len(code_O)):
        code = code_O[o]
        if last_K[code] != owner_O[o]:
            last_K[code] = owner_O[o]
            target_E[free_K[code]] = owner_O[o]
            stretch_E[free_K[code]] = stretch_O[o]
            free_K[code] += 1
        else:
            entry = free_K[code] - 1
            stretch_E[entry] = min(stretch_E[entry], stretch_O[o])
    return count_K, target_E, stretch_E


class Entries(NamedTuple):
    """Which entries a query's k-mers have.

    Attributes:
        first_W, end_W: the entries of each k-mer.
        weight_W: of each k-mer.
        stretch_W: where the query has each.
    """

    first_W: Ints
    end_W: Ints
    weight_W: Floats
    stretch_W: Ints


class Lists(NamedTuple):
    """The protein or profile of each entry, and where it has the k-mer."""

    target_E: npt.NDArray[np.uint16]
    stretch_E: npt.NDArray[np.uint8]


@compiled
def shared(entries: Entries, lists: Lists, size: int) -> Floats:
    """The summed weights of the k-mers that each of `size` proteins or profiles shares with a query, (T,)."""
    sum_T = np.zeros(size)
    for w in range(len(entries.first_W)):
        for entry in range(entries.first_W[w], entries.end_W[w]):
            sum_T[lists.target_E[entry]] += entries.weight_W[w]
    return sum_T


@compiled
def by_diagonal(
    entries: Entries, lists: Lists, row_T: npt.NDArray[np.int16], rows: int, diagonals: int
) -> Floats:
    """What `shared` sums, for some proteins or profiles and by diagonal, (R, B).

    Args:
        entries, lists: of the query, and of all proteins or profiles.
        row_T: as `rows_of` gives it.
        rows: how many there are.
        diagonals: differences of stretches are counted round a circle of so many.
    """
    sum_RB = np.zeros((rows, diagonals))
    for w in range(len(entries.first_W)):
        for entry in range(entries.first_W[w], entries.end_W[w]):
            row = row_T[lists.target_E[entry]]
            if row >= 0:
                diagonal = (entries.stretch_W[w] - np.int64(lists.stretch_E[entry])) % diagonals
                sum_RB[row, diagonal] += entries.weight_W[w]
    return sum_RB


@compiled
def best_diagonals(
    entries: Entries, lists: Lists, row_T: npt.NDArray[np.int16], rows: int, diagonals: int
) -> Floats:
    """The highest sum of two diagonals side by side in each row of `by_diagonal`, (R,).

    For many rows: it groups what is shared by row first, so that one row's diagonals are in use at a time.
    """
    most = (entries.end_W - entries.first_W).sum()
    row_H = np.empty(most, np.int16)  # H: what the rows share
    diagonal_H = np.empty(most, np.int16)
    weight_H = np.empty(most)
    end_R = np.zeros(rows + 1, np.int64)
    found = 0
    for w in range(len(entries.first_W)):
        for entry in range(entries.first_W[w], entries.end_W[w]):
            row = row_T[lists.target_E[entry]]
            if row >= 0:
                row_H[found] = row
                diagonal_H[found] = (entries.stretch_W[w] - np.int64(lists.stretch_E[entry])) % diagonals
                weight_H[found] = entries.weight_W[w]
                found += 1
                end_R[row + 1] += 1
    end_R = np.cumsum(end_R)
    free_R = end_R[:-1].copy()
    order_H = np.empty(found, np.int32)
    for hit in range(found):
        order_H[free_R[row_H[hit]]] = hit
        free_R[row_H[hit]] += 1
    best_R = np.zeros(rows)
    sum_B = np.zeros(diagonals)
    for row in range(rows):
        sum_B[:] = 0.0
        for place in range(end_R[row], end_R[row + 1]):
            hit = order_H[place]
            sum_B[diagonal_H[hit]] += weight_H[hit]
        before = sum_B[diagonals - 1]
        for here in sum_B:
            best_R[row] = max(best_R[row], before + here)
            before = here
    return best_R


def rows_of(chosen: Ints, size: int) -> npt.NDArray[np.int16]:
    """The row of each protein or profile (see `by_diagonal`), (T,), for the chosen ones in their order."""
    row_T = np.full(size, -1, np.int16)
    row_T[chosen] = np.arange(len(chosen))
    return row_T


def highest(values: npt.NDArray[np.floating], count: int) -> Ints:
    """Places of the highest values above 0, at most `count` of them, in no order."""
    above = np.flatnonzero(values > 0)
    if len(above) <= count:
        return above
    return above[np.argpartition(-values[above], count)[:count]]
