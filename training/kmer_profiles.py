"""Makes the profiles of `glm_annot.kmers` from families of proteins.

Axes: K patterns (every possible one); E entries (a pattern of a profile); P profiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from glm_annot.kmers import (
    MAX_LISTED,
    N_PATTERNS,
    RARITY_STEP,
    KmerConfig,
    KmerProfiles,
    patterns,
)

ENTRIES = 12_000_000  # entries kept: 24 MB, and 3 MB for the patterns
MAX_MEMBERS = 20  # proteins read for a profile; more hardly change what is typical of it
RARITY_POWER = 0.5  # of rarity in an entry's rank: typical patterns first, rare ones before common ones
PRIOR = (0.3, 1.5)  # pattern seen 0.3 times in 1.5 members before any is read: one member proves little
OWN_NORM = 0.5  # how far a profile's norm follows its own patterns; the rest is the mean of all norms


@dataclass(frozen=True)
class _Entries:
    """Patterns of profiles: pattern, profile, and rank (high: typical of it and rare elsewhere)."""

    pattern_E: npt.NDArray[np.int32]
    profile_E: npt.NDArray[np.int32]
    rank_E: npt.NDArray[np.float32]

    def take(self, which: npt.NDArray[np.int64]) -> _Entries:
        return _Entries(self.pattern_E[which], self.profile_E[which], self.rank_E[which])


def rarity(proteins: Iterable[str]) -> npt.NDArray[np.uint8]:
    """Inverse document frequency of each pattern, shape (K,).

    It is log((n + 1) / (count + 1)) for a pattern that `count` of n proteins have, in steps of `RARITY_STEP`.
    """
    count_K, n = np.zeros(N_PATTERNS, np.int64), 0
    for protein in proteins:
        count_K[patterns(protein)] += 1
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
    profiles.norm_P.copy_(torch.from_numpy(_norms(kept, rarity_K, len(families))))
    return profiles


def _unfold(families: Sequence[Sequence[str]], rarity_K: npt.NDArray[np.float32]) -> _Entries:
    """Every pattern of every family."""
    pattern, profile, rank = [], [], []
    for number, family in enumerate(families):
        members = family[:MAX_MEMBERS]
        found, count = np.unique(np.concatenate([patterns(member) for member in members]), return_counts=True)
        typical = (count + PRIOR[0]) / (len(members) + PRIOR[1])
        pattern.append(found.astype(np.int32))
        profile.append(np.full(len(found), number, np.int32))
        rank.append((typical * rarity_K[found] ** RARITY_POWER).astype(np.float32))
    if not families:
        return _Entries(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))
    return _Entries(np.concatenate(pattern), np.concatenate(profile), np.concatenate(rank))


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
