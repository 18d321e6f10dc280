"""The search for labelled proteins: known scores, planted relatives, votes by hand."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from glm_annot.ec import search
from glm_annot.ec.search import CANDIDATES, Hit, ProteinSearch, self_score, votes

pytestmark = pytest.mark.versions


def protein(seed: int, length: int = 200) -> str:
    return "".join(random.Random(seed).choices("ACDEFGHIKLMNPQRSTVWY", k=length))


def mutated(sequence: str, share: float, seed: int) -> str:
    rng = random.Random(seed)
    return "".join(rng.choice("ACDEFGHIKLMNPQRSTVWY") if rng.random() < share else c for c in sequence)


def score(query: str, target: str) -> int:
    """By the search's own aligner; k-mers choose nothing."""
    ((_, found),) = ProteinSearch([target])._scored(query, np.array([0]))
    return found


def test_scores_of_pairs_are_those_by_hand() -> None:
    """BLOSUM62: W/W 11, M/M 5, K/K 5, C/C 9, H/H 8, K/R 2, D/E 2, V/I 3, A/X 0; a gap of n costs 11 + n."""
    assert self_score("WMKCH") == score("WMKCH", "WMKCH") == 11 + 5 + 5 + 9 + 8
    assert score("WMKCH", "WMRCH") == 38 - 5 + 2
    assert score("AWMKCHX", "WMKCHA") == 38  # local: the ends do not count
    left, right = "WCWHW", "HWCWC"
    whole = score(left + right, left + right)
    assert score(left + right, left + "P" + right) == whole - 12
    assert score(left + right, left + "PGP" + right) == whole - 14


def plain_score(a: str, b: str) -> int:
    """Smith-Waterman by the definition (Gotoh 1982)."""
    matrix = search._aligner().scoring_matrix
    place = {letter: n for n, letter in enumerate(matrix.alphabet)}
    best = 0
    above = [(0, -99, -99)] * (len(b) + 1)  # best, ending in a gap in a, ending in a gap in b
    for x in a:
        row = [(0, -99, -99)]
        for n, y in enumerate(b, start=1):
            gap_a = max(row[-1][0] - 12, row[-1][1] - 1)
            gap_b = max(above[n][0] - 12, above[n][2] - 1)
            here = max(0, above[n - 1][0] + int(matrix[place[x]][place[y]]), gap_a, gap_b)
            row.append((here, gap_a, gap_b))
            best = max(best, here)
        above = row
    return best


@pytest.mark.parametrize("seed", range(6))
def test_scores_are_exact(seed: int) -> None:
    a = protein(seed, 90)
    b = mutated(a[:30] + a[45:], 0.3, seed + 50) + protein(seed + 100, 20)
    assert score(a, b) == plain_score(a, b)
    assert score("X" + a, b + "XU*") == plain_score(a, b)  # letters that are no residue


def test_a_planted_relative_is_found_first() -> None:
    others = [protein(seed) for seed in range(300)]
    query = protein(1000)
    near, far = mutated(query, 0.2, 1), mutated(query, 0.6, 2)
    found = ProteinSearch([*others[:100], far, *others[100:], near])
    (hits,) = found.hits([query])
    assert hits[0].target == 301 and hits[0].score == score(query, near)
    assert 100 not in [hit.target for hit in hits]  # less than half of the best score
    (hits,) = ProteinSearch([*others[:100], far, *others[100:]]).hits([query], threads=2)
    assert hits[0] == Hit(100, score(query, far))
    assert hits == sorted(hits, key=lambda hit: -hit.score)


def test_queries_keep_their_order_and_empty_sets_give_nothing() -> None:
    targets = [protein(seed) for seed in range(3)]
    found = ProteinSearch(targets).hits([targets[2], targets[0], "MK", "", targets[2]])
    assert [[hit.target for hit in hits[:1]] for hits in found] == [[2], [0], [], [], [2]]
    assert ProteinSearch([]).hits(["MKVLAA"]) == [[]]
    assert ProteinSearch(["", "MK", targets[0]]).hits(targets[:1])[0][0].target == 2
    assert ProteinSearch(targets).hits([]) == []


def test_more_are_aligned_where_none_is_near() -> None:
    family = [mutated(protein(1), 0.65, seed) for seed in range(40)]
    found = ProteinSearch(family)
    (far,) = found.hits([protein(1)])
    assert len(far) > CANDIDATES
    (near,) = found.hits([family[0]])
    assert len(near) <= CANDIDATES and near[0].target == 0


def test_blocks_find_what_one_index_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = [mutated(protein(seed // 4), 0.3, seed) for seed in range(40)]
    queries = [protein(n) for n in range(10)]
    whole = ProteinSearch(targets).hits(queries)
    monkeypatch.setattr(search, "BLOCK_PROTEINS", 7)
    by_count = ProteinSearch(targets)
    monkeypatch.setattr(search, "BLOCK_PROTEINS", 1000)
    monkeypatch.setattr(search, "BLOCK_RESIDUES", 900)
    by_size = ProteinSearch(targets)
    assert by_count._ends == [0, 7, 14, 21, 28, 35, 40] and by_size._ends == [*range(0, 40, 4), 40]
    relatives = [[hit for hit in hits if hit.bits > 60] for hits in whole]
    assert all(len(hits) == 4 for hits in relatives)
    for parted in (by_count, by_size):
        assert [[hit for hit in hits if hit.bits > 60] for hits in parted.hits(queries)] == relatives


def test_kmers_of_a_short_protein_by_hand() -> None:
    """MKVLA has two k-mers of four plain residues, and none of the longer seeds."""
    letters = search.RESIDUES
    expected = [
        sum(letters.index(c) * 20 ** (3 - n) for n, c in enumerate(part)) for part in ("MKVL", "KVLA")
    ]
    (found, none) = search._queries(["MKVLA", "MKXLA"])
    assert found.code_W.tolist() == sorted(expected) and none.code_W.tolist() == []
    (later,) = search._queries(["X" * search.STRETCH * (search.DIAGONALS + 2) + "MKVL" + "X" * 60 + "MKVL"])
    assert later.place_W.tolist() == [2]  # round the circle; what comes again counts once


def test_what_is_shared_in_order_counts_more_than_what_is_strewn() -> None:
    """Both share the same four stretches with the query, one of them in their order."""
    query = protein(1, 320)
    parts = [query[start : start + 40] for start in range(0, 320, 40)]
    spacers = [protein(seed, 40) for seed in range(50, 54)]

    def joined(*order: int) -> str:
        return "".join(parts[place] + spacer for place, spacer in zip(order, spacers, strict=True))

    (kmers,) = search._queries([query])
    target, share = search._Index.of([joined(6, 2, 0, 4), joined(0, 2, 4, 6)]).shared(kmers, 2)
    shared = dict(zip(target.tolist(), share.tolist(), strict=True))
    assert shared[1] > 1.5 * shared[0] > 0


def test_votes_by_hand() -> None:
    assert votes([200, 180, 100]) == pytest.approx([1.0, math.exp(-1), math.exp(-5)])
    assert votes([]) == []


def test_bits_are_those_of_blast() -> None:
    """BLASTP's raw 300 is 120 bits with gap costs 11 and 1: (0.267 * 300 - ln 0.041) / ln 2."""
    assert Hit(0, 300).bits == pytest.approx(120.2, abs=0.1)


def test_an_alignment_tells_identity_and_coverage() -> None:
    target = protein(1, 100)
    found = ProteinSearch([target + protein(2, 100)])
    shares = found.alignment(target, 0)
    assert shares.identity == 1.0 and shares.coverage == pytest.approx(0.5, abs=0.02)
    changed = "".join("A" if n % 10 == 5 and c != "A" else c for n, c in enumerate(target))
    same = sum(a == b for a, b in zip(target, changed, strict=True)) / 100
    assert ProteinSearch([target]).alignment(changed, 0).identity == pytest.approx(same)
