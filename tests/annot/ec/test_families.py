import random

import numpy as np
import pytest
import torch

from glm_annot.ec.families import (
    ALIKE,
    ALIKE_WEIGHT,
    BESIDE,
    DIAGONALS,
    GROUPS,
    MAX_ALIKE,
    N_PATTERNS,
    STRETCH,
    STREWN,
    KmerConfig,
    KmerProfiles,
    Searcher,
    pack,
    patterns,
)
from glm_annot.training.ec.profiles import build, rarity

HAT = "MKTAYIAKQRQISFVKSHFSRQ"
COLD = "GGGSPWDNECHHWCPPDDNNEE"
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def code(five: str, seed: int = 0) -> int:
    """The code of five residues that a seed picks, digit by digit in base 15; each seed has its own space."""
    groups = [next(n for n, group in enumerate(GROUPS) if residue in group) for residue in five]
    assert len(five) == 5
    return int(np.polyval(groups, len(GROUPS))) + seed * 15**5


def codes(protein: str) -> list[int]:
    return patterns(protein).code_W.tolist()


def protein_of(length: int, seed: int) -> str:
    return "".join(random.Random(seed).choices(RESIDUES, k=length))


def one_profile(*entries: tuple[int, int], rarity: int = 16) -> Searcher:
    """A profile with some (pattern, stretch of its place), each of weight (rarity / 16) squared, norm 1."""
    profiles = KmerProfiles(KmerConfig(profiles=1, entries=len(entries)))
    for pattern, _ in entries:
        profiles.listed_K[pattern] = 1
        profiles.rarity_K[pattern] = rarity
    ordered = [stretch for _, stretch in sorted(entries)]
    profiles.places.copy_(torch.from_numpy(pack(np.array(ordered, np.uint8))))
    return profiles.searcher()


def test_patterns_are_the_fives_that_each_seed_picks_in_the_reduced_alphabet_with_their_places():
    # Seed 0 reads 'x.xx.x.'-like places 0 2 3 4 6, seed 1 places 0 1 2 4 5.
    expected = [code("ADEFH"), code("CEFGK"), code("ACDFG", 1), code("CDEGH", 1), code("DEFHK", 1)]
    assert codes("ACDEFGHK") == expected
    assert patterns("ACDEFGHK").place_W.tolist() == [0, 1, 0, 1, 2]
    assert codes("AAAAAAAA") == [code("AAAAA")] * 2 + [code("AAAAA", 1)] * 3
    assert N_PATTERNS == 2 * 15**5


def test_patterns_do_not_tell_residues_of_one_group_apart():
    assert codes("ALKFCLA") == codes("AIRYCVA")
    assert codes("ALKFCLA") != codes("ALKFSLA")


def test_a_substitution_in_a_gap_keeps_the_pattern():
    assert code("ADEFH") in codes("AWDEFGH") and code("ADEFH") in codes("ACDEFWH")


def test_patterns_leave_out_windows_with_unknown_residues_and_short_proteins():
    assert codes("ACDEFXXACDEFG") == [code("ACDFG", 1)]
    assert patterns("ACDEFXXACDEFG").place_W.tolist() == [7]
    assert codes("ACXEFGH") == []
    assert codes("AXDEFGH") == [code("ADEFH")]  # the gap does not care
    assert codes("ACDEF") == codes("") == []


def test_alike_patterns_have_one_likely_substitution():
    found = zip(*patterns("PAEGEE").alike(), strict=True)  # seed 1 alone has a place: P A E . E E
    expected = ("PSEEE", "PADEE", "PAQEE", "PAEDE", "PAEQE", "PAEED", "PAEEQ")
    assert sorted(found) == sorted((code(five, 1), 0) for five in expected)
    assert [len(of) for of in patterns("PLGCPLG").alike()] == [0, 0]  # none of these is replaced easily


@pytest.mark.parametrize(("group", "others"), ALIKE.items())
def test_letters_are_alike_where_blosum62_says_so(group: str, others: str):
    from Bio.Align import substitution_matrices

    scores = substitution_matrices.load("BLOSUM62")
    mean = {g: np.mean([[scores[a][b] for b in g] for a in group]) for g in GROUPS if g != group}
    chosen = {g for g in GROUPS if set(g) & set(others)}
    least = min(mean[g] for g in chosen)
    assert least >= 0.5
    assert all(score <= least for g, score in mean.items() if g not in chosen)


def test_rarity_is_the_inverse_document_frequency():
    rarity_K = rarity(["AAAAAAAAA", "AAAAAAC", "GGGGGGG"])
    assert rarity_K[code("AAAAA", 1)] == round(np.log(4 / 3) * 16)
    assert rarity_K[code("GGGGG")] == round(np.log(4 / 2) * 16)
    assert rarity_K[code("WWWWW")] == round(np.log(4) * 16)


def test_places_are_packed_two_to_a_byte():
    assert pack(np.array([3, 15, 7], np.uint8)).tolist() == [3 + 15 * 16, 7]
    searcher = one_profile((5, 3), (6, 15), (9, 7))
    assert searcher.place_E.tolist() == [3, 15, 7]
    assert pack(np.empty(0, np.uint8)).tolist() == []


def test_patterns_count_for_the_diagonal_that_they_lie_on():
    first, second = code("ACDFG", 1), code("WYVMH", 1)
    far = "ACDEFG" + "X" * (3 * STRETCH - 6) + "WYVPMH"  # one pattern at place 0, one at place 3
    found = patterns(far)
    assert (found.code_W.tolist(), found.place_W.tolist()) == ([first, second], [0, 3 * STRETCH])

    def similarity(stretch_of_second: int) -> float:
        return float(one_profile((first, 0), (second, stretch_of_second)).search(far)[0]) * np.sqrt(2)

    together = 2 + STREWN * 2
    assert similarity(3) == pytest.approx(together)
    assert similarity(4) == similarity(2) == pytest.approx(1 + BESIDE + STREWN * 2)
    assert similarity(5) == pytest.approx(max(1, 2 * BESIDE) + STREWN * 2)  # beside one diagonal, both
    assert similarity(11) == pytest.approx(1 + STREWN * 2)


def test_places_are_counted_round_a_circle():
    pattern = code("ACDFG", 1)
    far = "X" * (DIAGONALS * STRETCH) + "ACDEFG"
    near = one_profile((pattern, 0)).search("ACDEFG")
    np.testing.assert_array_equal(one_profile((pattern, 0)).search(far), near)


def test_an_alike_pattern_counts_for_less():
    searcher = one_profile((code("ACDFG", 1), 0), rarity=32)
    assert searcher.search("ACDEFG")[0] == pytest.approx(4 * (1 + STREWN))
    assert searcher.search("SCDEFG")[0] == 0  # shares no pattern outright, so it is no candidate
    both = one_profile((code("ACDFG", 1), 0), (code("WYVMH", 1), 1), rarity=32)
    far = "CDEFG" + "X" * (STRETCH - 6) + "WYVPMH"
    expected = 4 * (1 + ALIKE_WEIGHT + STREWN) / np.sqrt(2)
    assert both.search("S" + far)[0] == pytest.approx(expected)
    assert both.search("P" + far)[0] == pytest.approx(4 * (1 + STREWN) / np.sqrt(2))


@pytest.mark.parametrize(("profiles", "counts"), [(MAX_ALIKE, True), (MAX_ALIKE + 1, False)])
def test_alike_patterns_that_many_profiles_list_are_left_out(profiles: int, counts: bool):
    common, shared = code("ACDFG", 1), code("WYVMH", 1)
    listing = KmerProfiles(KmerConfig(profiles, entries=profiles + 1))
    listing.listed_K[common], listing.listed_K[shared] = profiles, 1
    listing.rarity_K[[common, shared]] = 16
    listing.profile_E[:profiles] = torch.arange(profiles)
    similarity = listing.searcher().search("SCDEFGXXXXXXWYVPMH")[0] * np.sqrt(2)  # S is like A
    assert similarity == pytest.approx(1 + STREWN + ALIKE_WEIGHT * counts)


def test_search_agrees_with_counting_by_hand():
    families = [[protein_of(200, seed), protein_of(200, seed + 50)] for seed in range(6)]
    query = families[2][0][:90] + protein_of(40, 99) + families[2][0][110:]
    profiles = build(families, rarity([p for family in families for p in family]))
    searcher = profiles.searcher()
    listing: dict[int, list[tuple[int, int]]] = {}
    listed = iter(zip(searcher.profile_E.tolist(), searcher.place_E.tolist(), strict=True))
    for pattern, count in enumerate(profiles.listed_K.tolist()):
        if count:
            listing[pattern] = [next(listed) for _ in range(count)]
    sums, total = np.zeros((6, DIAGONALS)), np.zeros(6)
    own = patterns(query)
    for share, found in ((1.0, (own.code_W, own.place_W)), (ALIKE_WEIGHT, own.alike())):
        for pattern, place in zip(*(column.tolist() for column in found), strict=True):
            weight = share * (int(profiles.rarity_K[pattern]) / 16) ** 2
            for profile, stretch in listing.get(pattern, ()):
                sums[profile, (place // STRETCH - stretch) % DIAGONALS] += weight
                total[profile] += weight if share == 1 else 0
    best = [
        max(row[k] + BESIDE * (row[k - 1] + row[(k + 1) % DIAGONALS]) for k in range(DIAGONALS))
        for row in sums
    ]
    best = np.where(total > 0, best, 0)
    expected = (best + STREWN * total) / profiles.norm_P.numpy() / np.sqrt(len(own.code_W))
    np.testing.assert_allclose(searcher.search(query), expected, rtol=1e-5)
    assert int(expected.argmax()) == 2


def test_members_are_laid_on_the_diagonal_of_the_first():
    rarity_K = np.full(N_PATTERNS, 50, np.uint8)
    first, rest = protein_of(100, 1), protein_of(100, 2)
    whole = build([[first + rest]], rarity_K).searcher()
    later = build([[first, "X" * 2 * STRETCH + first + rest]], rarity_K).searcher()
    np.testing.assert_array_equal(whole.first_K, later.first_K)
    np.testing.assert_array_equal(whole.place_E, later.place_E)


def test_only_profiles_that_share_most_are_looked_at(monkeypatch: pytest.MonkeyPatch):
    families = [[protein_of(60, seed)] for seed in range(4)]
    query = families[1][0] + families[3][0]
    searcher = build(families, np.full(N_PATTERNS, 50, np.uint8)).searcher()
    assert np.count_nonzero(searcher.search(query)) >= 2
    monkeypatch.setattr("glm_annot.ec.families.CANDIDATES", 1)
    assert np.count_nonzero(searcher.search(query)) == 1


def test_a_protein_is_most_like_its_own_family():
    profiles = build([[HAT], [COLD]], rarity([HAT, COLD]))
    search = profiles.searcher().search
    assert search(HAT)[0] > 0 == search(HAT)[1]
    assert search(COLD[3:])[1] > 0 == search(COLD[3:])[0]
    assert search("").tolist() == [0.0, 0.0]


def test_what_all_members_share_is_kept_before_what_one_has():
    common = HAT[:8]
    family = [common + tail for tail in ("WWWWWWWW", "CCCCCCCC", "PPPPPPPP", "HHHHHHHH")]
    profiles = build([family], np.full(N_PATTERNS, 50, np.uint8), entries=4)
    kept = np.flatnonzero(profiles.listed_K.numpy())
    assert set(kept.tolist()) <= set(codes(common))


def test_profile_numbers_use_all_sixteen_bits():
    profiles = KmerProfiles(KmerConfig(profiles=65536, entries=1))
    profiles.listed_K[code("ADEFH")] = 1
    profiles.rarity_K[code("ADEFH")] = 16
    profiles.profile_E.copy_(torch.tensor([65535 - 65536]))
    assert int(profiles.searcher().search("ACDEFGH").argmax()) == 65535


def test_no_profiles_can_be_searched():
    assert build([], np.full(N_PATTERNS, 50, np.uint8)).searcher().search(HAT).tolist() == []
