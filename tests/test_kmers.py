import numpy as np
import torch

from glm_annot.kmers import GROUPS, N_PATTERNS, KmerConfig, KmerProfiles, patterns
from training.kmer_profiles import build, rarity

HAT = "MKTAYIAKQRQISFVKSHFSRQ"
COLD = "GGGSPWDNECHHWCPPDDNNEE"


def code(five: str) -> int:
    """The code of five residues, digit by digit in base 15."""
    places = ["".join(GROUPS).index(residue) for residue in five]
    groups = [next(n for n, group in enumerate(GROUPS) if residue in group) for residue in five]
    assert len(places) == 5
    return int(np.polyval(groups, len(GROUPS)))


def test_patterns_are_the_distinct_fives_in_the_reduced_alphabet():
    assert patterns("ACDEFG").tolist() == sorted({code("ACDEF"), code("CDEFG")})
    assert patterns("AAAAAAAA").tolist() == [code("AAAAA")]


def test_patterns_do_not_tell_residues_of_one_group_apart():
    assert patterns("ALKFC").tolist() == patterns("AIRYC").tolist()
    assert patterns("ALKFC").tolist() != patterns("ALKFS").tolist()


def test_patterns_leave_out_windows_with_unknown_residues_and_short_proteins():
    assert patterns("ACDEXACDEF").tolist() == [code("ACDEF")]
    assert patterns("ACDE").tolist() == patterns("").tolist() == []


def test_rarity_is_the_inverse_document_frequency():
    rarity_K = rarity(["AAAAAAA", "AAAAAC", "GGGGG"])
    assert rarity_K[code("AAAAA")] == round(np.log(4 / 3) * 16)
    assert rarity_K[code("GGGGG")] == round(np.log(4 / 2) * 16)
    assert rarity_K[code("WWWWW")] == round(np.log(4) * 16)


def test_search_sums_the_squared_rarity_of_shared_patterns():
    profiles = KmerProfiles(KmerConfig(profiles=2, entries=3))
    shared, other = sorted([code("ACDEF"), code("CDEFG")])
    profiles.listed_K[shared], profiles.listed_K[other] = 2, 1
    profiles.rarity_K[shared], profiles.rarity_K[other] = 32, 16  # 2 and 1 nats
    profiles.profile_E.copy_(torch.tensor([0, 1, 1]))
    profiles.norm_P.copy_(torch.tensor([1.0, 2.0]))
    similarity_P = profiles.searcher().search("ACDEFG")
    expected = np.array([4.0, (4.0 + 1.0) / 2]) / np.sqrt(2)
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
    assert kept.tolist() == patterns(common).tolist()


def test_profile_numbers_use_all_sixteen_bits():
    profiles = KmerProfiles(KmerConfig(profiles=65536, entries=1))
    profiles.listed_K[code("ACDEF")] = 1
    profiles.rarity_K[code("ACDEF")] = 16
    profiles.profile_E.copy_(torch.tensor([65535 - 65536]))
    assert int(profiles.searcher().search("ACDEF").argmax()) == 65535
