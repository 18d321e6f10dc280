"""Which protein a CDS gets: what is stated where it can be believed, else what the bases say."""

from __future__ import annotations

import logging

import pytest

from glm_annot.errors import InputError
from glm_annot.io.oddities import Oddities
from glm_annot.io.proteins import Coding, Proteins, Reading, agrees, find_reading
from tests.support.made_genomes import CODONS, ancestors

PROTEINS = ancestors(8)


def dna_of(protein: str, tryptophan: str = "TGG") -> str:
    codons = CODONS | {"W": tryptophan}
    return "".join(codons[residue] for residue in protein) + "TAA"


def taken(*codings: Coding) -> list[str | None]:
    oddities = Oddities("in.gff")
    proteins = Proteins("in.gff", oddities)
    found = [protein for protein, _ in proteins.of(codings)]
    oddities.tell()
    proteins.finish()
    return found


@pytest.mark.parametrize(
    ("stated", "believed"),
    [
        pytest.param("V" + PROTEINS[0][1:], True, id="another start"),
        pytest.param(PROTEINS[0] + "*", True, id="with its stop"),
        pytest.param(PROTEINS[0][:-2], True, id="two residues shorter"),
        pytest.param(PROTEINS[0][:-3], False, id="three residues shorter"),
        pytest.param(PROTEINS[0][:20] + "A" + PROTEINS[0][21:], True, id="one residue different"),
        pytest.param(PROTEINS[1], False, id="of another gene"),
        pytest.param("length.60", False, id="BioPerl's length"),
        pytest.param(PROTEINS[0][:30] + "+" + PROTEINS[0][30:], False, id="KBase's + at a line wrap"),
        pytest.param("X" * len(PROTEINS[0]), False, id="nothing but X"),
        pytest.param(PROTEINS[0][:20] + "X" + PROTEINS[0][21:], True, id="an X"),
    ],
)
def test_a_stated_protein_is_believed_if_it_is_that_of_the_bases(
    stated: str, believed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    coding = Coding("a", dna_of(PROTEINS[0]), stated=stated)
    clean = stated.rstrip("*")
    assert taken(coding) == [clean if believed else PROTEINS[0]]
    warning = "in.gff: stated proteins that disagree with the bases, which were translated instead: 1 (a)"
    assert (warning in caplog.messages) is not believed


def test_a_change_of_frame_is_allowed_for() -> None:
    dna = dna_of(PROTEINS[0])
    slipped = Coding("a", dna[:90] + "C" + dna[90:], stated=PROTEINS[0])
    assert agrees(PROTEINS[0], slipped, Reading())


def test_open_ends_and_recoding_allow_for_another_length() -> None:
    shorter = PROTEINS[0][:-6]
    assert not agrees(shorter, Coding("a", dna_of(PROTEINS[0])), Reading())
    assert agrees(shorter, Coding("a", dna_of(PROTEINS[0]), any_length=True), Reading())


def test_the_user_s_choice_wins_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert taken(Coding("a", dna_of(PROTEINS[0]), stated=PROTEINS[1], wins=True)) == [PROTEINS[1]]
    assert "they were used all the same: 1 (a)" in caplog.text


def test_without_bases_a_stated_protein_is_believed_if_it_is_made_of_residues() -> None:
    assert taken(Coding("a", stated=PROTEINS[1]), Coding("b", stated="length.60")) == [PROTEINS[1], None]


def test_phase_and_genetic_code_are_judged_by_all_genes(caplog: pytest.LogCaptureFixture) -> None:
    in_code_4 = [Coding(str(i), dna_of(p, tryptophan="TGA")) for i, p in enumerate(PROTEINS)]
    assert find_reading(in_code_4) == Reading(code=4)
    with caplog.at_level(logging.WARNING, logger="glm_annot"):
        assert taken(*in_code_4) == PROTEINS
    assert [m for m in caplog.messages if m.endswith("all CDS in genetic code 4")]
    shifted = [Coding(str(i), dna_of(p), phase=1) for i, p in enumerate(PROTEINS)]
    assert find_reading(shifted) == Reading("codon_start")
    assert taken(*shifted) == PROTEINS
    assert find_reading([Coding("a", dna_of(p)) for p in PROTEINS]) == Reading()
    two = [coding for coding in shifted if "*" in Reading().protein(coding)][:2]
    assert find_reading(two) == Reading("codon_start")
    assert find_reading(two[:1]) == Reading()  # one alone may be broken


def test_one_broken_protein_is_a_warning_and_most_are_an_error(caplog: pytest.LogCaptureFixture) -> None:
    broken = [Coding(f"b{i}", dna_of(p[:20]) + dna_of(p[20:])) for i, p in enumerate(PROTEINS)]
    good = [Coding(f"g{i}", dna_of(p)) for i, p in enumerate(PROTEINS)]
    taken(broken[0], good[0])
    assert "1 of 2 proteins have stop codons inside" in caplog.text
    with pytest.raises(InputError, match=r"8 of 10 proteins have stop codons inside \(first: b0\)"):
        taken(*broken, *good[:2])
