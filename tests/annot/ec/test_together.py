import pytest

from glm_annot.ec.together import together, with_others
from glm_annot.ec_numbers import node

RIBOSE, REDUCTASE = node("3.5.4.26"), node("1.1.1.193")


def test_what_labelled_proteins_have_together() -> None:
    known = together([("3.5.4.26", "1.1.1.193")] * 3 + [("3.5.4.26",)] * 4 + [("2.7.1.2",)])
    assert known[RIBOSE][REDUCTASE] == pytest.approx(3 / 8)  # of seven, and one more that has nothing else
    assert known[REDUCTASE][RIBOSE] == pytest.approx(3 / 4)
    assert known[RIBOSE][node("1.1.1.-")] == known[RIBOSE][node("1.-.-.-")] == known[RIBOSE][REDUCTASE]
    assert node("3.5.4.-") not in known[RIBOSE]  # it lies there itself
    assert node("2.7.1.2") not in known


def test_classes_are_no_numbers_that_a_protein_has_beside_others() -> None:
    assert together([("3.5.4.26", "1.1.1.-")]) == {}


def test_numbers_of_one_protein_raise_each_other() -> None:
    known = {RIBOSE: {REDUCTASE: 0.9, node("1.-.-.-"): 0.9}, REDUCTASE: {RIBOSE: 0.5}}
    found = with_others({(): 0.8, node("1.-.-.-"): 0.2, RIBOSE: 0.6, REDUCTASE: 0.1}, known)
    assert found[REDUCTASE] == pytest.approx(0.1 + 0.6 * 0.9)
    assert found[node("1.-.-.-")] == pytest.approx(0.2 + 0.6 * 0.9)
    assert found[RIBOSE] == pytest.approx(0.6 + 0.1 * 0.5)
    assert found[()] == 0.8


def test_numbers_keep_their_order() -> None:
    found = with_others({(): 1.0, RIBOSE: 0.5, REDUCTASE: 0.4}, {RIBOSE: {REDUCTASE: 0.9}})
    assert found[RIBOSE] == found[REDUCTASE] == 0.5


def test_a_number_that_is_no_candidate_stays_none() -> None:
    assert set(with_others({(): 1.0, RIBOSE: 1.0}, {RIBOSE: {REDUCTASE: 1.0}})) == {(), RIBOSE}
