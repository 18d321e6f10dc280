"""Similarity of a protein to families of labelled proteins, from short patterns of residues in their order.

A family is kept as a profile: the patterns that are typical of it, and roughly where they lie. Residues are
read in a reduced alphabet, so that a pattern survives the commonest substitutions. Patterns have gaps (spaced
seeds, as in Ma, Tromp and Li 2002, PatternHunter): their neighbouring hits depend less on one another, so
that more remote relatives share some. A pattern that differs by one likely substitution counts too, for less.
A true relative's shared patterns keep their distances, so they gather on one diagonal, while chance strews
its own over all of them (the diagonals of BLAST and of MMseqs2's prefilter, Steinegger and Söding 2017).

Axes: K patterns (every possible one); E entries (a pattern of a profile); P profiles; W patterns of a
protein, one for each seed and place; C candidates; B diagonals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from glm_annot.ec import listed
from glm_annot.ec.compiled import compiled
from glm_annot.ec.listed import Ints

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

_LETTERS = listed.letters(GROUPS)


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
    letters_W5: npt.NDArray[np.int8]

    def alike(self) -> tuple[Ints, Ints]:
        """Codes and places of the patterns with one substitution of `ALIKE`."""
        code_W, of_W = _substituted(self.code_W, self.letters_W5, _ALIKE)
        return code_W, self.place_W[of_W]


@compiled
def _substituted(code_W: Ints, letters_W5: npt.NDArray[np.int8], steps_L2: Ints) -> tuple[Ints, Ints]:
    """Codes with one letter moved by one of its steps, and the pattern that each was made of."""
    most = len(code_W) * letters_W5.shape[1] * steps_L2.shape[1]
    found_V, of_V, found = np.empty(most, np.int64), np.empty(most, np.int64), 0
    for w in range(len(code_W)):
        digit = len(GROUPS) ** (letters_W5.shape[1] - 1)
        for letter in letters_W5[w]:
            for step in steps_L2[letter]:
                if step:
                    found_V[found] = code_W[w] + step * digit
                    of_V[found] = w
                    found += 1
            digit //= len(GROUPS)
    return found_V[:found], of_V[:found]


def patterns(protein: str) -> Patterns:
    """All patterns of a protein; only stretches of the 20 residues have one."""
    letter_N = _LETTERS[np.frombuffer(protein.encode("ascii", "replace"), np.uint8)]
    end_T = np.array([len(letter_N)])
    codes, places, read = [], [], []
    for number, seed in enumerate(SEEDS):
        code_W, _, place_W = listed.occurrences(letter_N, end_T, np.array(seed), len(GROUPS))
        codes.append(code_W.astype(np.int64) + number * N_OF_SEED)
        places.append(place_W.astype(np.int64))
        read.append(letter_N[places[-1][:, None] + np.array(seed)])
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
        same = self._entries(own.code_W, own.place_W)
        size = len(self.norm_P)
        sum_P = listed.shared(same, self._lists, size)
        candidate_C = np.sort(listed.highest(sum_P / self.norm_P, CANDIDATES))
        same_CB = self._by_diagonal(same, candidate_C)
        sum_CB = same_CB + ALIKE_WEIGHT * self._by_diagonal(self._telling(own), candidate_C)
        sum_CB += BESIDE * (np.roll(sum_CB, 1, axis=1) + np.roll(sum_CB, -1, axis=1))
        norm_C = self.norm_P[candidate_C] * np.sqrt(max(len(own.code_W), 1))
        similarity_P = np.zeros(size, np.float32)
        similarity_P[candidate_C] = (sum_CB.max(1) + STREWN * same_CB.sum(1)) / norm_C
        return similarity_P

    def _telling(self, own: Patterns) -> listed.Entries:
        """Those of the patterns with one substitution that few profiles list."""
        code_W, place_W = own.alike()
        few = self.first_K[code_W + 1] - self.first_K[code_W] <= MAX_ALIKE
        return self._entries(code_W[few], place_W[few])

    def _entries(self, code_W: Ints, place_W: Ints) -> listed.Entries:
        """The entries of some patterns."""
        weight_W = self.weight_K[code_W].astype(np.float64)
        return listed.Entries(self.first_K[code_W], self.first_K[code_W + 1], weight_W, place_W // STRETCH)

    def _by_diagonal(self, entries: listed.Entries, candidate_C: Ints) -> listed.Floats:
        """Weights of patterns shared with the candidates, by diagonal, (C, B)."""
        row_P = listed.rows_of(candidate_C, len(self.norm_P))
        return listed.by_diagonal(entries, self._lists, row_P, len(candidate_C), DIAGONALS)

    @property
    def _lists(self) -> listed.Lists:
        return listed.Lists(self.profile_E, self.place_E)
