"""Makes the profiles of `glm_annot.ec.families` from families of proteins.

Axes: K patterns (every possible one); E entries (a pattern of a profile); P profiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from glm_annot.ec.families import (
    DIAGONALS,
    MAX_LISTED,
    N_PATTERNS,
    RARITY_STEP,
    STRETCH,
    KmerConfig,
    KmerProfiles,
    pack,
    patterns,
)
from glm_annot.ec.listed import Ints

ENTRIES = 12_000_000  # entries kept: 30 MB, and 3 MB for the patterns
MAX_MEMBERS = 20  # proteins read for a profile; more hardly change what is typical of it
RARITY_POWER = 0.5  # of rarity in an entry's rank: typical patterns first, rare ones before common ones
PRIOR = (0.3, 1.5)  # pattern seen 0.3 times in 1.5 members before any is read: one member proves little
OWN_NORM = 0.5  # how far a profile's norm follows its own patterns; the rest is the mean of all norms


@dataclass(frozen=True)
class _Entries:
    """Patterns of profiles: pattern, profile, place, and rank (high: typical of it and rare elsewhere)."""

    pattern_E: npt.NDArray[np.int32]
    profile_E: npt.NDArray[np.int32]
    place_E: npt.NDArray[np.uint8]
    rank_E: npt.NDArray[np.float32]

    @classmethod
    def of(cls, number: int, code_W: Ints, place_W: Ints, rank_W: npt.NDArray[np.floating]) -> _Entries:
        """Those of one profile; places are residues."""
        place = place_W // STRETCH % DIAGONALS
        profile = np.full(len(code_W), number, np.int32)
        return cls(code_W.astype(np.int32), profile, place.astype(np.uint8), rank_W.astype(np.float32))

    @classmethod
    def joined(cls, parts: Sequence[_Entries]) -> _Entries:
        return cls(
            np.concatenate([part.pattern_E for part in parts]),
            np.concatenate([part.profile_E for part in parts]),
            np.concatenate([part.place_E for part in parts]),
            np.concatenate([part.rank_E for part in parts]),
        )

    def take(self, which: Ints) -> _Entries:
        return _Entries(self.pattern_E[which], self.profile_E[which], self.place_E[which], self.rank_E[which])


def rarity(proteins: Iterable[str]) -> npt.NDArray[np.uint8]:
    """Inverse document frequency of each pattern, shape (K,).

    It is log((n + 1) / (count + 1)) for a pattern that `count` of n proteins have, in steps of `RARITY_STEP`.
    """
    count_K, n = np.zeros(N_PATTERNS, np.int64), 0
    for protein in proteins:
        count_K[np.unique(patterns(protein).code_W)] += 1
        n += 1
    steps_K = np.log((n + 1) / (count_K + 1)) / RARITY_STEP
    return np.clip(np.rint(steps_K), 0, 255).astype(np.uint8)


def build(
    families: Sequence[Sequence[str]], rarity_K: npt.NDArray[np.uint8], *, entries: int = ENTRIES
) -> KmerProfiles:
    """Make one profile per family.

    Args:
        families: the proteins of each; of long lists the first `MAX_MEMBERS` are read.
        rarity_K: as `rarity` gives it.
        entries: most entries to keep, over all profiles.
    """
    kept = _strongest(_unfold(families, rarity_K.astype(np.float32) * RARITY_STEP), entries)
    kept = kept.take(np.lexsort((kept.profile_E, kept.pattern_E)))
    profiles = KmerProfiles(KmerConfig(len(families), len(kept.pattern_E)))
    listed_K = np.bincount(kept.pattern_E, minlength=N_PATTERNS).astype(np.uint8)
    profiles.listed_K.copy_(torch.from_numpy(listed_K))
    profiles.rarity_K.copy_(torch.from_numpy(rarity_K))
    profiles.profile_E.copy_(torch.from_numpy(kept.profile_E.astype(np.uint16).view(np.int16)))
    profiles.places.copy_(torch.from_numpy(pack(kept.place_E)))
    profiles.norm_P.copy_(torch.from_numpy(_norms(kept, rarity_K, len(families))))
    return profiles


def _unfold(families: Sequence[Sequence[str]], rarity_K: npt.NDArray[np.float32]) -> _Entries:
    """Every pattern of every family."""
    none = np.empty(0, np.int64)
    parts = [_Entries.of(0, none, none, none.astype(np.float32))]
    for number, family in enumerate(families):
        members = family[:MAX_MEMBERS]
        read = [_distinct(member) for member in members]
        code, place = (np.concatenate(column) for column in zip(*_aligned(read), strict=True))
        found, first, count = np.unique(code, return_index=True, return_counts=True)
        typical = (count + PRIOR[0]) / (len(members) + PRIOR[1])
        parts.append(_Entries.of(number, found, place[first], typical * rarity_K[found] ** RARITY_POWER))
    return _Entries.joined(parts)


def _distinct(protein: str) -> tuple[Ints, Ints]:
    """Distinct patterns of a protein, and where each lies first."""
    found = patterns(protein)
    code, first = np.unique(found.code_W, return_index=True)
    return code, found.place_W[first]


def _aligned(members: Sequence[tuple[Ints, Ints]]) -> Iterator[tuple[Ints, Ints]]:
    """Patterns and places of each member, moved to the diagonal on which most are shared with the first."""
    if not members:
        return
    first_code, first_place = members[0]
    for code, place in members:
        _, mine, theirs = np.intersect1d(code, first_code, assume_unique=True, return_indices=True)
        offsets, count = np.unique(place[mine] - first_place[theirs], return_counts=True)
        yield code, place - (offsets[count.argmax()] if len(offsets) else 0)


def _strongest(entries: _Entries, most: int) -> _Entries:
    """The entries of highest rank, at most `most` in all and `MAX_LISTED` of one pattern."""
    order = np.lexsort((-entries.rank_E, entries.pattern_E))
    pattern = entries.pattern_E[order]
    place = np.arange(len(order)) - np.searchsorted(pattern, pattern)
    order = order[place < MAX_LISTED]
    strongest = np.argsort(-entries.rank_E[order], kind="stable")[:most]
    return entries.take(order[strongest])


def _norms(entries: _Entries, rarity_K: npt.NDArray[np.uint8], n: int) -> npt.NDArray[np.float32]:
    """Root of each profile's summed weights, drawn towards the mean of all."""
    weight_K = (rarity_K.astype(np.float32) * RARITY_STEP) ** 2
    root_P = np.sqrt(np.bincount(entries.profile_E, weight_K[entries.pattern_E], minlength=n))
    norm_P = OWN_NORM * root_P + (1 - OWN_NORM) * (root_P.mean() if n else 0.0)
    return np.maximum(norm_P, 1e-3).astype(np.float32)
