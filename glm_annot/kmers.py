"""Similarity of a protein to families of labelled proteins, from short patterns of residues, not aligned.

A family is kept as a profile: the patterns that are typical of it. Residues are read in a reduced alphabet,
so that a pattern survives the commonest substitutions. Patterns have gaps (spaced seeds, as in Ma, Tromp and
Li 2002, PatternHunter): their neighbouring hits depend less on one another, so that more remote relatives
share some than would share a pattern of residues in a row.

Axes: K patterns (every possible one); E entries (a pattern of a profile); P profiles.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

# Residues that replace each other freely share a letter; the 15 letters of Murphy et al. 2000.
GROUPS = ("LVIM", "C", "A", "G", "S", "T", "P", "FY", "W", "E", "D", "N", "Q", "KR", "H")
SEEDS = ((0, 2, 3, 4, 6), (0, 1, 2, 4, 5))  # places, from its first, of a pattern's residues
N_OF_SEED = len(GROUPS) ** 5
N_PATTERNS = N_OF_SEED * len(SEEDS)
MAX_LISTED = 255  # profiles that one pattern may be listed for: counts are stored as bytes
MAX_PROFILES = 2**16  # profile numbers are stored in 16 bits
RARITY_STEP = 1 / 16  # of the stored inverse document frequencies, in nats
_UNKNOWN = 255


def _letter_table() -> npt.NDArray[np.uint8]:
    table = np.full(256, _UNKNOWN, np.uint8)
    for number, group in enumerate(GROUPS):
        table[np.frombuffer(group.encode(), np.uint8)] = number
    return table


_LETTERS = _letter_table()


def patterns(protein: str) -> npt.NDArray[np.int64]:
    """The distinct patterns of a protein, as sorted codes; only stretches of the 20 residues have one."""
    letters = _LETTERS[np.frombuffer(protein.encode("ascii", "replace"), np.uint8)]
    return np.concatenate([np.unique(_codes(letters, seed)) + n * N_OF_SEED for n, seed in enumerate(SEEDS)])


def _codes(letters: npt.NDArray[np.uint8], seed: tuple[int, ...]) -> npt.NDArray[np.int64]:
    size = max(len(letters) - seed[-1], 0)
    codes, known = np.zeros(size, np.int64), np.ones(size, np.bool_)
    for place in seed if size else ():
        column = letters[place : place + size]
        codes = codes * len(GROUPS) + column
        known &= column != _UNKNOWN
    return codes[known]


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
        norm_P: what each profile's sum is divided by; long profiles gather more by chance.
    """

    listed_K: torch.Tensor
    rarity_K: torch.Tensor
    profile_E: torch.Tensor
    norm_P: torch.Tensor

    def __init__(self, config: KmerConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("listed_K", torch.zeros(N_PATTERNS, dtype=torch.uint8))
        self.register_buffer("rarity_K", torch.zeros(N_PATTERNS, dtype=torch.uint8))
        self.register_buffer("profile_E", torch.zeros(config.entries, dtype=torch.int16))
        self.register_buffer("norm_P", torch.ones(config.profiles))

    def searcher(self) -> Searcher:
        """The profiles unpacked for many searches."""
        return Searcher(
            first_K=np.concatenate([[0], np.cumsum(self.listed_K.cpu().numpy(), dtype=np.int64)]),
            weight_K=(self.rarity_K.cpu().numpy() * np.float32(RARITY_STEP)) ** 2,
            profile_E=self.profile_E.cpu().numpy().view(np.uint16),
            norm_P=self.norm_P.float().cpu().numpy(),
        )


@dataclass(frozen=True)
class Searcher:
    """`KmerProfiles` as arrays: first entry of each pattern, its weight (rarity squared), profiles, norms."""

    first_K: npt.NDArray[np.int64]
    weight_K: npt.NDArray[np.float32]
    profile_E: npt.NDArray[np.uint16]
    norm_P: npt.NDArray[np.float32]

    def search(self, protein: str) -> npt.NDArray[np.float32]:
        """Similarity of a protein to each profile, (P,): weights of shared patterns, summed and normed."""
        found = patterns(protein)
        first = self.first_K[found]
        listed = self.first_K[found + 1] - first
        entries = _ranges(first, listed)
        weights = np.repeat(self.weight_K[found], listed)
        sums_P = np.bincount(self.profile_E[entries], weights, minlength=len(self.norm_P))
        norm_P = self.norm_P * np.float32(np.sqrt(max(len(found), 1)))
        return sums_P.astype(np.float32) / norm_P


def _ranges(first: npt.NDArray[np.int64], length: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """first[0], first[0] + 1, ... (length[0] of them), then first[1], ..."""
    ends = np.cumsum(length)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(first - ends + length, length)
