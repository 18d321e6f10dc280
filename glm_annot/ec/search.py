"""Which of many proteins resemble a protein: shared k-mers choose some, exact alignment scores rank them.

K-mers with gaps (spaced seeds, as in Ma, Tromp and Li 2002, PatternHunter), in alphabets of 20, 15 and 10
letters, find remote relatives, too. A relative's shared k-mers keep their distances, so they gather on one
diagonal, while chance strews its own (as in BLAST and in MMseqs2's prefilter, Steinegger and Söding 2017).
The proteins that share the most and the rarest k-mers with a query, in their order, are candidates. Each gets
its exact local alignment score (Smith and Waterman 1981) with BLOSUM62 and BLAST's gap costs, by Opal through
pyopal. (parasail gives the same scores, twice as fast for twelve candidates and no faster for sixty, but has
no wheels for Macs.)

A large set of proteins is read in blocks with one index at a time, so that no index grows with it.

Axes: Q queries; K k-mers (every possible one); W k-mers of a query; E entries (a k-mer of a protein); T
proteins of a block; B diagonals.
"""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyopal

from glm_annot.ec import listed

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
FIFTEEN = (
    "LVIM",
    "C",
    "A",
    "G",
    "S",
    "T",
    "P",
    "FY",
    "W",
    "E",
    "D",
    "N",
    "Q",
    "KR",
    "H",
)  # Murphy et al. 2000
TEN = ("LVIM", "C", "AST", "G", "P", "FYW", "ED", "NQ", "KR", "H")  # coarser still
SEEDS = (  # letters, and the places of a k-mer's residues from its first
    (tuple(RESIDUES), (0, 1, 2, 3)),
    (FIFTEEN, (0, 1, 3, 4, 6)),
    (TEN, (0, 1, 2, 4, 5, 7)),
    (TEN, (0, 2, 3, 5, 6, 8)),
)
LISTED = (
    60_000  # entries read for a query in one block, those of its rarest k-mers; all (130,000) choose worse
)
LENGTH = 50  # residues added to a protein's length, by whose root what it shares is divided
LIKELY = 1000  # proteins of a block, those that share most, whose diagonals are looked at
STRETCH = 16  # residues; places are kept in units of it
DIAGONALS = 128  # places and diagonals are counted round a circle of so many stretches
STREWN = 0.5  # weight of all that is shared on whatever diagonal, beside the best one: domains that moved
CANDIDATES = 12  # of a query that are aligned
MORE = 60  # that are aligned where none of those is near
NEAR = 0.4  # of the score of a query with itself: a relative of half its residues, about
LEAST = 0.5  # of the best hit's score: weaker ones have no say (see `votes`)
PROGRAM = f"pyopal {importlib.metadata.version('pyopal')}"
MATRIX, GAP_OPEN, GAP_EXTEND = "BLOSUM62", 12, 1  # Opal's first gap costs GAP_OPEN: BLAST's 11 + 1
LAMBDA, KAPPA = 0.267, 0.041  # of Karlin and Altschul for these scores, as BLAST has them
STEEPNESS = 10.0  # of a hit's vote as its score falls
BLOCK_PROTEINS, BLOCK_RESIDUES = 2**16, 12_000_000  # most in one index: 16-bit numbers, 100 MB
BATCH = 256  # queries whose k-mers are held at once

Ints: TypeAlias = npt.NDArray[np.int64]

_STRETCH_BITS = 8  # of a number that ends with a stretch
_MOST_STRETCHES = (1 << _STRETCH_BITS) - 1


class Hit(NamedTuple):
    """A protein that resembles a query: its position, and the score of the alignment."""

    target: int
    score: int

    @property
    def bits(self) -> float:
        """The score in bits."""
        return (LAMBDA * self.score - math.log(KAPPA)) / math.log(2)


class Alignment(NamedTuple):
    """How two proteins align.

    Attributes:
        identity: share of identical residues in the alignment.
        coverage: share that it spans of the protein of which it spans less.
    """

    identity: float
    coverage: float


class ProteinSearch:
    """Searches a set of proteins.

    Args:
        proteins: amino acids; letters beside the 20 match nothing.
    """

    def __init__(self, proteins: Iterable[str]) -> None:
        self.proteins = tuple(map(_known, proteins))
        self._ends = _blocks(list(map(len, self.proteins)))
        self._index: tuple[int, _Index] | None = None  # the number of a block, and its index

    def hits(self, queries: Sequence[str], *, threads: int = 1) -> list[list[Hit]]:
        """For each query the proteins that resemble it, the highest score first.

        Those of less than `LEAST` of the best score are left out.

        Args:
            queries: amino acids.
            threads: processor cores to use.
        """
        distinct = {query: row for row, query in enumerate(dict.fromkeys(queries))}
        known = list(map(_known, distinct))
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(self._ranked, known, self._candidates(known, pool)))
        return [found[distinct[query]] for query in queries]

    def alignment(self, query: str, target: int) -> Alignment:
        """How a query and the protein at a position align."""
        query, other = _known(query), self.proteins[target]
        (found,) = _aligner().align(query, pyopal.Database([other]), mode="full")
        spans = (
            (found.query_end - found.query_start + 1) / len(query),
            (found.target_end - found.target_start + 1) / len(other),
        )
        return Alignment(found.identity(), min(spans))

    def _candidates(self, queries: Sequence[str], pool: ThreadPoolExecutor) -> list[Ints]:
        """For each query the proteins that share most with it, at most `MORE`, the likeliest first."""
        target_Q = [np.empty(0, np.int64) for _ in queries]
        share_Q = [np.empty(0) for _ in queries]
        for block, first in enumerate(self._ends[:-1]):
            shared_by = partial(self._of_block(block).shared, most=MORE)
            kmers_Q = (
                kmers
                for start in range(0, len(queries), BATCH)
                for kmers in _queries(queries[start : start + BATCH])
            )
            for row, (target, share) in enumerate(pool.map(shared_by, kmers_Q)):
                target = np.concatenate([target_Q[row], target + first])
                share = np.concatenate([share_Q[row], share])
                best = np.argsort(-share, kind="stable")[:MORE]
                target_Q[row], share_Q[row] = target[best], share[best]
        return target_Q

    def _of_block(self, block: int) -> _Index:
        """The index of a block; the last one is kept."""
        if self._index is None or self._index[0] != block:
            self._index = None  # never two at once
            self._index = block, _Index.of(self.proteins[self._ends[block] : self._ends[block + 1]])
        return self._index[1]

    def _ranked(self, query: str, candidates: Ints) -> list[Hit]:
        hits = self._scored(query, candidates[:CANDIDATES])
        if max((hit.score for hit in hits), default=0) < NEAR * self_score(query):
            hits += self._scored(query, candidates[CANDIDATES:])
        best = max((hit.score for hit in hits), default=0)
        return sorted(
            (hit for hit in hits if hit.score >= max(LEAST * best, 1)),
            key=lambda hit: (-hit.score, hit.target),
        )

    def _scored(self, query: str, candidates: Ints) -> list[Hit]:
        targets = candidates.tolist()
        if not targets:
            return []
        found = _aligner().align(query, pyopal.Database([self.proteins[target] for target in targets]))
        return [Hit(targets[result.target_index], result.score) for result in found]


def votes(scores: Sequence[float]) -> list[float]:
    """What each hit of a query counts: exp(10 (score / best score - 1)), 1 for the best."""
    best = max(scores, default=1)
    return [math.exp(STEEPNESS * (score / best - 1)) for score in scores]


def self_score(protein: str) -> int:
    """Score of a protein's alignment with itself."""
    own = _self_scores()
    return int(own[np.frombuffer(_known(protein).encode(), np.uint8)].sum())


@dataclass(frozen=True)
class _Index:
    """The k-mers of some proteins.

    Attributes:
        first_K: the first entry of each k-mer; one more at the end.
        lists: proteins that have each k-mer, once each, ordered by k-mer, and the lowest of the stretches
            round the circle in which they have it.
        norm_T: what a protein's shared weights are divided by; long proteins share more by chance.
    """

    first_K: npt.NDArray[np.int32]
    lists: listed.Lists
    norm_T: npt.NDArray[np.float64]

    @classmethod
    def of(cls, proteins: Sequence[str]) -> _Index:
        count, target, place = [], [], []
        for seed, (code, owner, stretch) in enumerate(_kmers(proteins)):
            count_K, target_E, place_E = listed.first_entries(code, owner, stretch, _sizes()[seed])
            count.append(count_K)
            target.append(target_E)
            place.append(place_E)
        first_K = np.concatenate([[0], np.cumsum(np.concatenate(count))]).astype(np.int32)
        norm_T = np.sqrt(np.array(list(map(len, proteins)), float) + LENGTH)
        return cls(first_K, listed.Lists(np.concatenate(target), np.concatenate(place)), norm_T)

    def shared(self, kmers: _Query, most: int) -> tuple[Ints, npt.NDArray[np.float64]]:
        """The proteins that share most with a query, at most so many, and how much each shares."""
        size = len(self.norm_T)
        first_W = self.first_K[kmers.code_W].astype(np.int64)
        listed_W = self.first_K[kmers.code_W + 1] - first_W
        rarest = np.argsort(listed_W, kind="stable")
        rarest = rarest[np.cumsum(listed_W[rarest]) <= LISTED]
        first_W, listed_W = first_W[rarest], listed_W[rarest]
        weight_W = np.log1p(size / np.maximum(listed_W, 1))
        entries = listed.Entries(first_W, first_W + listed_W, weight_W, kmers.place_W[rarest])
        share_T = listed.shared(entries, self.lists, size) / self.norm_T
        likely = listed.highest(share_T, LIKELY)
        # Places within stretches differ, so that what lies on one diagonal fills two.
        row_T = listed.rows_of(likely, size)
        best_R = listed.best_diagonals(entries, self.lists, row_T, len(likely), DIAGONALS)
        share = best_R / self.norm_T[likely] + STREWN * share_T[likely]
        best = listed.highest(share, most)
        return likely[best], share[best]


@dataclass(frozen=True)
class _Query:
    """The distinct k-mers of a query, numbered over all seeds, and the lowest stretch in which each lies."""

    code_W: Ints
    place_W: Ints


def _queries(proteins: Sequence[str]) -> list[_Query]:
    first = np.cumsum([0, *_sizes()])
    parts = [
        (owner.astype(np.int64) << 32 | code + first[seed]) << _STRETCH_BITS | stretch
        for seed, (code, owner, stretch) in enumerate(_kmers(proteins))
    ]
    key = np.sort(np.concatenate(parts))
    key = key[np.diff(key >> _STRETCH_BITS, prepend=-1) != 0]
    place, key = key & _MOST_STRETCHES, key >> _STRETCH_BITS
    ends = np.searchsorted(key, np.arange(len(proteins) + 1, dtype=np.int64) << 32)
    return [_Query(key[start:end] & 0xFFFFFFFF, place[start:end]) for start, end in pairwise(ends.tolist())]


def _kmers(
    proteins: Sequence[str],
) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.uint8]]]:
    """For each seed the k-mers of all proteins, the protein of each, and the stretch that it begins in."""
    text = np.frombuffer("".join(proteins).encode(), np.uint8)
    end_T = np.cumsum(np.array(list(map(len, proteins)), np.int64))
    for groups, places in SEEDS:
        code, owner, place = listed.occurrences(
            listed.letters(groups)[text], end_T, np.array(places), len(groups)
        )
        yield code, owner, (place // STRETCH % DIAGONALS).astype(np.uint8)


@cache
def _sizes() -> tuple[int, ...]:
    """How many k-mers each seed can read."""
    return tuple(len(letters) ** len(places) for letters, places in SEEDS)


@cache
def _aligner() -> pyopal.Aligner:
    return pyopal.Aligner(MATRIX, gap_open=GAP_OPEN, gap_extend=GAP_EXTEND)


@cache
def _self_scores() -> Ints:
    """The score of each letter with itself, by its byte."""
    matrix, table = _aligner().scoring_matrix, np.zeros(256, np.int64)
    for place, letter in enumerate(matrix.alphabet):
        table[ord(letter)] = matrix[place][place]
    return table


_OTHERS = {byte: "X" for byte in range(128) if chr(byte) not in RESIDUES}


def _known(protein: str) -> str:
    """A protein with X for every letter beside the 20."""
    return protein.translate(_OTHERS)


def _blocks(lengths: Sequence[int]) -> list[int]:
    """Where blocks of proteins begin, and the end of the last one."""
    ends, residues = [0], 0
    for place, length in enumerate(lengths):
        if place > ends[-1] and (place - ends[-1] == BLOCK_PROTEINS or residues + length > BLOCK_RESIDUES):
            ends.append(place)
            residues = 0
        residues += length
    return [*ends, len(lengths)] if lengths else [0]
