"""Similarity of a protein to families of labelled proteins, from short patterns of residues in their order.

A family is kept as a profile: the patterns that are typical of it, and roughly where they lie. Residues are
read in a reduced alphabet, so that a pattern survives the commonest substitutions. Patterns have gaps (spaced
seeds, as in Ma, Tromp and Li 2002, PatternHunter): their neighbouring hits depend less on one another, so
that more remote relatives share some. A pattern that differs by one likely substitution counts too, for less.
A true relative's shared patterns keep their distances, so they gather on one diagonal, while chance strews
its own over all of them (the diagonals of BLAST and of MMseqs2's prefilter, Steinegger and Söding 2017).

Axes: K patterns (every possible one); E entries (a pattern of a profile); P profiles; W patterns of a
protein, one for each seed and place; M matches of patterns and entries; C candidates; B diagonals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

# Residues that replace each other freely share a letter; the 15 letters of Murphy et al. 2000.
GROUPS = ("LVIM", "C", "A", "G", "S", "T", "P", "FY", "W", "E", "D", "N", "Q", "KR", "H")
# The letters that replace one likeliest, at most two: those whose residues' BLOSUM62 scores (Henikoff and
# Henikoff 1992), weighted by how common the residues are, have a mean of 0.5 or more.
ALIKE = {
    **{"A": "S", "S": "AT", "T": "S", "FY": "W", "W": "F"},
    **{"E": "DQ", "D": "EN", "N": "SD", "Q": "EK", "KR": "QE", "H": "N"},
}
SEEDS = ((0, 2, 3, 4, 6), (0, 1, 2, 4, 5))  # places, from its first, of a pattern's residues
N_OF_SEED = len(GROUPS) ** 5
N_PATTERNS = N_OF_SEED * len(SEEDS)
MAX_LISTED = 255  # profiles that one pattern may be listed for: counts are stored as bytes
MAX_PROFILES = 2**16  # profile numbers are stored in 16 bits
RARITY_STEP = 1 / 16  # of the stored inverse document frequencies, in nats
STRETCH = 24  # residues; places are stored in units of it
DIAGONALS = 16  # places are stored in four bits, so they and diagonals are counted round a circle
CANDIDATES = 64  # profiles, those that share most, whose diagonals are looked at
ALIKE_WEIGHT = 0.2  # of a pattern with one substitution, beside the same pattern
MAX_ALIKE = 64  # profiles that may list a pattern with one substitution: commoner ones cost time, tell little
BESIDE = 1.0  # weight of the diagonals next to the best one: insertions, and the stretches' borders
STREWN = 0.5  # weight of all that is shared on whatever diagonal: domains that moved
_UNKNOWN = 255

Ints = npt.NDArray[np.int64]


def _letter_table() -> npt.NDArray[np.uint8]:
    table = np.full(256, _UNKNOWN, np.uint8)
    for number, group in enumerate(GROUPS):
        table[np.frombuffer(group.encode(), np.uint8)] = number
    return table


_LETTERS = _letter_table()
_DIGITS = len(GROUPS) ** np.arange(4, -1, -1)  # what a letter counts at each place of a pattern


def _alike_table() -> Ints:
    """For each letter how far away its substitutes are, (letters, 2); 0 for none."""
    steps = np.zeros((len(GROUPS), 2), np.int64)
    for group, others in ALIKE.items():
        letter = GROUPS.index(group)
        steps[letter, : len(others)] = [int(_LETTERS[ord(other)]) - letter for other in others]
    return steps


_ALIKE = _alike_table()


@dataclass(frozen=True)
class Patterns:
    """The patterns of a protein in order of seed and place.

    Attributes:
        code_W: which patterns.
        place_W: residues before each.
        letters_W5: what each was read from.
    """

    code_W: Ints
    place_W: Ints
    letters_W5: Ints

    def alike(self) -> tuple[Ints, Ints]:
        """Codes and places of the patterns with one substitution of `ALIKE`."""
        steps_W52 = _ALIKE[self.letters_W5] * _DIGITS[:, None]
        which_W, *_ = changed = np.nonzero(steps_W52)
        return self.code_W[which_W] + steps_W52[changed], self.place_W[which_W]


def patterns(protein: str) -> Patterns:
    """All patterns of a protein; only stretches of the 20 residues have one."""
    letters = _LETTERS[np.frombuffer(protein.encode("ascii", "replace"), np.uint8)].astype(np.int64)
    codes, places, read = [], [], []
    for number, seed in enumerate(SEEDS):
        size = max(len(letters) - seed[-1], 0)
        letters_W5 = np.stack([letters[place : place + size] for place in seed], axis=1)
        known = (letters_W5 != _UNKNOWN).all(1)
        read.append(letters_W5[known])
        codes.append(read[-1] @ _DIGITS + number * N_OF_SEED)
        places.append(np.flatnonzero(known))
    return Patterns(np.concatenate(codes), np.concatenate(places), np.concatenate(read))


@dataclass(frozen=True)
class KmerConfig:
    """Sizes of a set of profiles.

    Attributes:
        profiles: how many there are.
        entries: patterns listed, over all profiles.
    """

    profiles: int
    entries: int

    def __post_init__(self) -> None:
        if not 0 <= self.profiles <= MAX_PROFILES:
            raise ValueError(f"{self.profiles} k-mer profiles, but only {MAX_PROFILES} can be numbered")


class KmerProfiles(nn.Module):
    """Profiles of families, listed by pattern.

    Buffers:
        listed_K: how many profiles list each pattern, uint8.
        rarity_K: inverse document frequency of each pattern in steps of `RARITY_STEP`, uint8.
        profile_E: profile of each entry, ordered by pattern: 16 bits without sign, in an int16 tensor.
        places: where each entry's pattern lies in its family, in units of `STRETCH` round a circle of
            `DIAGONALS`; two to a byte, the first in the lower bits, uint8.
        norm_P: what each profile's sum is divided by; long profiles gather more by chance.
    """

    listed_K: torch.Tensor
    rarity_K: torch.Tensor
    profile_E: torch.Tensor
    places: torch.Tensor
    norm_P: torch.Tensor

    def __init__(self, config: KmerConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("listed_K", torch.zeros(N_PATTERNS, dtype=torch.uint8))
        self.register_buffer("rarity_K", torch.zeros(N_PATTERNS, dtype=torch.uint8))
        self.register_buffer("profile_E", torch.zeros(config.entries, dtype=torch.int16))
        self.register_buffer("places", torch.zeros(-(-config.entries // 2), dtype=torch.uint8))
        self.register_buffer("norm_P", torch.ones(config.profiles))

    def check(self) -> None:
        """Raise ValueError for profiles that there are not, or another number of entries than is listed."""
        if int(self.listed_K.sum(dtype=torch.int64)) != self.config.entries:
            raise ValueError("listed_K lists another number of entries than there are")
        if self.profile_E.cpu().numpy().view(np.uint16).max(initial=0) >= max(self.config.profiles, 1):
            raise ValueError("profile_E names profiles that there are not")

    def searcher(self) -> Searcher:
        """The profiles unpacked for many searches."""
        places = self.places.cpu().numpy()
        return Searcher(
            first_K=np.concatenate([[0], np.cumsum(self.listed_K.cpu().numpy(), dtype=np.int64)]),
            weight_K=(self.rarity_K.cpu().numpy() * np.float32(RARITY_STEP)) ** 2,
            profile_E=self.profile_E.cpu().numpy().view(np.uint16),
            place_E=np.stack([places & 15, places >> 4], axis=1).ravel()[: self.config.entries],
            norm_P=self.norm_P.float().cpu().numpy(),
        )


def pack(place_E: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Places below 16 two to a byte, as `KmerProfiles` holds them."""
    even = np.append(place_E, np.zeros(len(place_E) % 2, np.uint8)).reshape(-1, 2)
    return np.asarray(even[:, 0] | even[:, 1] << 4, np.uint8)


@dataclass(frozen=True)
class Searcher:
    """`KmerProfiles` as arrays: first entry of each pattern, its weight (rarity squared), profiles, norms."""

    first_K: Ints
    weight_K: npt.NDArray[np.float32]
    profile_E: npt.NDArray[np.uint16]
    place_E: npt.NDArray[np.uint8]
    norm_P: npt.NDArray[np.float32]

    def search(self, protein: str) -> npt.NDArray[np.float32]:
        """Similarity of a protein to each profile, (P,); 0 but for the `CANDIDATES` that share most with it.

        Weights of shared patterns are summed on the best diagonal and those beside it, and added to a share
        of all of them; the sum is normed by the sizes of both.
        """
        own = patterns(protein)
        same = self._shared(own.code_W, own.place_W)
        sum_P = np.bincount(same.profile_M, self.weight_K[own.code_W][same.of_M], minlength=len(self.norm_P))
        candidate_C = _highest(sum_P / self.norm_P, CANDIDATES)
        same_CB = self._diagonals(same, candidate_C)
        sum_CB = same_CB + ALIKE_WEIGHT * self._diagonals(self._shared(*self._telling(own)), candidate_C)
        sum_CB += BESIDE * (np.roll(sum_CB, 1, axis=1) + np.roll(sum_CB, -1, axis=1))
        norm_C = self.norm_P[candidate_C] * np.sqrt(max(len(own.code_W), 1))
        similarity_P = np.zeros(len(self.norm_P), np.float32)
        similarity_P[candidate_C] = (sum_CB.max(1) + STREWN * same_CB.sum(1)) / norm_C
        return similarity_P

    def _telling(self, own: Patterns) -> tuple[Ints, Ints]:
        """Codes and places of the patterns with one substitution that few profiles list."""
        code_W, place_W = own.alike()
        few = self.first_K[code_W + 1] - self.first_K[code_W] <= MAX_ALIKE
        return code_W[few], place_W[few]

    def _shared(self, code_W: Ints, place_W: Ints) -> _Shared:
        """The entries of some patterns."""
        first = self.first_K[code_W]
        listed = self.first_K[code_W + 1] - first
        entry_M = np.repeat(first - np.cumsum(listed) + listed, listed)
        entry_M += np.arange(len(entry_M))
        of_M = np.repeat(np.arange(len(code_W)), listed)
        return _Shared(code_W, place_W, of_M, entry_M, self.profile_E[entry_M])

    def _diagonals(self, shared: _Shared, candidate_C: Ints) -> npt.NDArray[np.float64]:
        """Weights of patterns shared with the candidates, by diagonal, (C, B)."""
        row_P = np.full(len(self.norm_P), -1, np.int16)
        row_P[candidate_C] = np.arange(len(candidate_C))
        row_M = row_P[shared.profile_M]
        hits = np.flatnonzero(row_M >= 0)
        of_M = shared.of_M[hits]
        diagonal = (shared.place_W[of_M] // STRETCH - self.place_E[shared.entry_M[hits]]) % DIAGONALS
        weight = self.weight_K[shared.code_W[of_M]]
        cell = row_M[hits] * np.int64(DIAGONALS) + diagonal
        sums = np.bincount(cell, weight, minlength=len(candidate_C) * DIAGONALS)
        return np.asarray(sums, np.float64).reshape(-1, DIAGONALS)


@dataclass(frozen=True)
class _Shared:
    """Matches of some patterns of a protein: which of the patterns, and the entry and its profile."""

    code_W: Ints
    place_W: Ints
    of_M: Ints
    entry_M: Ints
    profile_M: npt.NDArray[np.uint16]


def _highest(values: npt.NDArray[np.floating], count: int) -> Ints:
    """Places of the highest values above 0, at most `count` of them, in order of place."""
    above = np.flatnonzero(values > 0)
    if len(above) <= count:
        return above
    return np.sort(above[np.argpartition(-values[above], count)[:count]])
