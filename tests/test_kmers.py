import numpy as np
import torch

from glm_annot.kmers import GROUPS, N_PATTERNS, KmerConfig, KmerProfiles, patterns
from training.kmer_profiles import build, rarity

HAT = "MKTAYIAKQRQISFVKSHFSRQ"
COLD = "GGGSPWDNECHHWCPPDDNNEE"


def code(five: str, seed: int = 0) -> int:
    """The code of five residues that a seed picks, digit by digit in base 15; each seed has its own space."""
    groups = [next(n for n, group in enumerate(GROUPS) if residue in group) for residue in five]
    assert len(five) == 5
    return int(np.polyval(groups, len(GROUPS))) + seed * 15**5


def test_patterns_are_the_distinct_fives_that_each_seed_picks_in_the_reduced_alphabet():
    # Seed 0 reads 'x.xx.x.'-like places 0 2 3 4 6, seed 1 places 0 1 2 4 5.
    expected = {code("ADEFH"), code("CEFGK"), code("ACDFG", 1), code("CDEGH", 1), code("DEFHK", 1)}
    assert patterns("ACDEFGHK").tolist() == sorted(expected)
    assert patterns("AAAAAAAA").tolist() == [code("AAAAA"), code("AAAAA", 1)]
    assert N_PATTERNS == 2 * 15**5


def test_patterns_do_not_tell_residues_of_one_group_apart():
    assert patterns("ALKFCLA").tolist() == patterns("AIRYCVA").tolist()
    assert patterns("ALKFCLA").tolist() != patterns("ALKFSLA").tolist()


def test_a_substitution_in_a_gap_keeps_the_pattern():
    assert code("ADEFH") in patterns("AWDEFGH") and code("ADEFH") in patterns("ACDEFWH")


def test_patterns_leave_out_windows_with_unknown_residues_and_short_proteins():
    assert patterns("ACDEFXXACDEFG").tolist() == [code("ACDFG", 1)]
    assert patterns("ACXEFGH").tolist() == []
    assert patterns("AXDEFGH").tolist() == [code("ADEFH")]  # the gap does not care
    assert patterns("ACDEF").tolist() == patterns("").tolist() == []


def test_rarity_is_the_inverse_document_frequency():
    rarity_K = rarity(["AAAAAAAAA", "AAAAAAC", "GGGGGGG"])
    assert rarity_K[code("AAAAA", 1)] == round(np.log(4 / 3) * 16)
    assert rarity_K[code("GGGGG")] == round(np.log(4 / 2) * 16)
    assert rarity_K[code("WWWWW")] == round(np.log(4) * 16)


def test_search_sums_the_squared_rarity_of_shared_patterns():
    profiles = KmerProfiles(KmerConfig(profiles=2, entries=3))
    shared, other = patterns("ACDEFGH")[:2].tolist()
    profiles.listed_K[shared], profiles.listed_K[other] = 2, 1
    profiles.rarity_K[shared], profiles.rarity_K[other] = 32, 16  # 2 and 1 nats
    profiles.profile_E.copy_(torch.tensor([0, 1, 1]))
    profiles.norm_P.copy_(torch.tensor([1.0, 2.0]))
    similarity_P = profiles.searcher().search("ACDEFGH")
    expected = np.array([4.0, (4.0 + 1.0) / 2]) / np.sqrt(3)  # one of the three patterns is in no profile
    np.testing.assert_allclose(similarity_P, expected, rtol=1e-6)


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
    assert kept.tolist() == patterns(common)[: len(kept)].tolist()


def test_profile_numbers_use_all_sixteen_bits():
    profiles = KmerProfiles(KmerConfig(profiles=65536, entries=1))
    profiles.listed_K[code("ADEFH")] = 1
    profiles.rarity_K[code("ADEFH")] = 16
    profiles.profile_E.copy_(torch.tensor([65535 - 65536]))
    assert int(profiles.searcher().search("ACDEFGH").argmax()) == 65535
