"""References of labelled proteins: reading their EC numbers, finding homologues, what those count for."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from glm_annot.ec.evidence import ENZYME_FEATURES, RANKING_FEATURES, Evidence, Homologue, SimilarFamily
from glm_annot.ec.head import ECHead, ECHeadConfig
from glm_annot.ec.reference import (
    CLEAR_BITS,
    Reference,
    from_bytes,
    header_numbers,
    read_reference,
    says_no_enzyme,
    to_bytes,
)
from glm_annot.ec_numbers import LEVELS, ROOT, ancestry
from glm_annot.errors import InputError
from glm_annot.records import ECCall
from glm_annot.training.ec.calibrate import CalibrationExample, calibrate
from tests.support import paths

LABELS = ("1.1.1.1", "2.7.1.2")
NOTHING = np.zeros((9, 0), np.float32)


def protein(seed: int, length: int = 150) -> str:
    return "M" + "".join(random.Random(seed).choices("ACDEFGHIKLMNPQRSTVWY", k=length - 1))


@pytest.mark.parametrize(
    ("header", "numbers"),
    [
        ("sp|P1|X_ECOLI Something OS=E. coli EC=2.7.1.2 GN=glk", ("2.7.1.2",)),
        ("a kinase [EC:2.7.1.2, 2.7.1.-]", ("2.7.1.2", "2.7.1.-")),
        ("a ec_number=1.1.1.1;2.7.1.n3", ("1.1.1.1", "2.7.1.n3")),
        ("a Some enzyme (EC 3.4.21.102)", ("3.4.21.102",)),
        ("Q6GZX4 2.7.11.1~~~gene~~~product~~~COG", ("2.7.11.1",)),
        ("Q6GZX4 ~~~gene~~~product 1.2.3.4~~~", ()),
        ("a protein of length 1.2.3.4", ()),
        ("a EC=9.9.9.9 EC=2.7", ()),
        ("a EC=2.7.1.2 EC=2.7.1.2", ("2.7.1.2",)),
    ],
)
def test_numbers_of_a_header(header: str, numbers: tuple[str, ...]) -> None:
    assert header_numbers(header) == numbers


def test_a_reference_keeps_what_has_a_number_or_is_no_enzyme(tmp_path: Path) -> None:
    path = tmp_path / "reference.faa"
    entries = [
        ("a EC=2.7.1.2", protein(1).lower() + "*"),
        ("b unknown", protein(2)),
        ("c Porin", protein(3)),
        ("a EC=1.1.1.1", protein(4)),
        ("c Porin", protein(5)),  # headers may be equal, and sequences may come twice
        ("d EC=1.1.1.2", protein(4)),
        ("e Maltodextrin-binding protein", protein(4)),
        ("f Porin", "*"),
    ]
    path.write_text("".join(f">{header}\n{sequence}\n" for header, sequence in entries))
    known = {1: ("2.7.1.2",), 3: (), 4: ("1.1.1.1", "1.1.1.2"), 5: ()}
    assert read_reference(path) == Reference(tuple(map(protein, known)), tuple(known.values()))


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("sp|P02931|OMPF_ECOLI Outer membrane porin F OS=Escherichia coli", True),
        ("P02931 ~~~ompF~~~Outer membrane porin F~~~COG3203", True),
        ("P02931", False),
        ("P02931  12 345", False),
        ("P1 ~~~~~~hypothetical protein~~~", False),
        ("P1 UPF0145 protein YbjQ", False),
        ("P1 Uncharacterised protein", False),
        ("P1 putative oxidoreductase", False),  # an enzyme whose number nobody knows
        ("P1 ABC transporter, Periplasmic component", True),
        ("P1 Something EC=2.7", False),
        ("P1 Lysozyme C", False),
        ("P1 Peroxiredoxin", False),
        ("P1 Trypsin-like protein", False),
        ("P1 Subtilisin BPN'", False),
        ("P1 Cytochrome P450 107B1", False),
        ("P1 Cytochrome P-450cam", False),
        ("P1 CYP102A1", False),
        ("P1 Proteasome subunit alpha", False),
        ("P1 ABC-type zinc transporter", False),
        ("P1 chain A of a DNA-binding protein", True),
        ("P1 30S ribosomal protein S1", True),
    ],
)
def test_whether_an_entry_without_a_number_speaks_against_one(header: str, says: bool) -> None:
    assert says_no_enzyme(header) is says


def test_no_name_of_an_enzyme_speaks_against_one() -> None:
    """The names of EC numbers that the shipped model knows, but for those cut off within brackets."""
    rows = (
        (paths.ROOT / "glm_annot" / "models" / "mini" / "ec_names.tsv")
        .read_text(encoding="utf-8")
        .splitlines()[1:]
    )
    names = [row.split("\t")[1] for row in rows]
    whole = [name for name in names if name.count("(") == name.count(")")]
    assert len(whole) > 1000
    assert not [name for name in whole if says_no_enzyme(f"P1 {name}")]


def test_a_homologue_that_is_no_enzyme_names_nothing_and_carries_nothing() -> None:
    rival = Homologue(ancestry(()), 300.0, 0.9, 1.0)
    assert rival.nodes == frozenset() and Evidence(100, homologues=[rival]).candidates() == [ROOT]
    profile = SimilarFamily(1.0, ancestry(["2.7.1.2"]))
    evidence = Evidence(100, [profile], homologues=[rival])
    found = dict(zip(ENZYME_FEATURES, evidence.enzyme_features(), strict=True))
    assert (found["identity"], found["coverage"], found["votes"]) == (0.0, 0.0, 0.0)
    assert found["log_score_rival"] == pytest.approx(np.log(3.01))
    head = ECHead(ECHeadConfig(LABELS, profiles=1)).eval().requires_grad_(False)
    (named,) = head._carriers([evidence], [(ECCall("2.7.1.2", 1.0),)], 0.5, ())
    assert named == "kmer"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f">a\n{protein(1)}\n", "no FASTA header holds an EC number"),
        (">a EC=2.7.1.2\n" + "ACGT" * 50, "nucleotides"),
        ("hello", "expected FASTA"),
    ],
)
def test_a_reference_without_use_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "reference.faa"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_reference(path)


def test_homologues_are_found_best_first() -> None:
    target = protein(1, 300)
    half = target[:180] + protein(8, 120)
    names = ("A", "half", "whole")
    reference = Reference((protein(2, 300), half, target), (("1.1.1.1",), ("2.7.1.3",), ("2.7.1.2",)), names)
    none, found, again = reference.homologues([protein(9, 300), target, target])
    assert none == [] and found == again
    assert [homologue.nodes for homologue in found] == [ancestry(["2.7.1.2"]), ancestry(["2.7.1.3"])]
    assert [homologue.name for homologue in found] == ["whole", "half"]
    assert (found[0].identity, found[0].coverage) == (1.0, 1.0)
    assert found[1].coverage == pytest.approx(0.6, abs=0.05) and found[0].bits > found[1].bits > 0


def test_only_homologues_that_may_be_named_are_described() -> None:
    """The first with a number, and the first with each other set of numbers that is clear."""
    target = protein(1, 300)
    same, rival, faint = target[:200] + protein(7, 100), target[:190] + protein(8, 110), target[:12]
    for numbers, described in ((("2.7.1.3",), True), ((), False), (("2.7.1.2",), False)):
        known = Reference((target, same, rival), (("2.7.1.2",), ("2.7.1.2",), numbers), ("A", "B", "C"))
        found = known.homologues([target])[0]
        assert [near.coverage > 0 for near in found] == [True, False, described]
    few = Reference((target, rival), (("2.7.1.2",), ("2.7.1.3",)))
    near = few.homologues([faint])[0]
    assert [one.bits < CLEAR_BITS for one in near] == [True, True] and near[0].coverage > 0 == near[
        1
    ].coverage


def test_bits_and_identity_are_those_of_diamond() -> None:
    """The pair's own identity, and the bits that DIAMOND 2.1.3 gave it."""
    target = protein(1, 400)
    rng = random.Random(5)
    changed = "".join(rng.choice("ACDEFGHIKLMNPQRSTVWY") if rng.random() < 0.5 else a for a in target)
    identity = sum(a == b for a, b in zip(target, changed, strict=True)) / 400
    others = [protein(seed, 300) for seed in range(20, 40)]
    found, faint = Reference((*others, target), (*[("1.1.1.1",)] * 20, ("2.7.1.2",))).homologues(
        [changed, changed[:80]], threads=2
    )
    assert [near.nodes for near in (*found, *faint)] == [ancestry(["2.7.1.2"])] * 2
    assert found[0].identity == pytest.approx(identity, abs=0.03) and found[0].coverage > 0.95
    assert faint[0].coverage == pytest.approx(0.2, abs=0.03)
    assert found[0].bits == pytest.approx(380.0, rel=0.05)
    assert faint[0].bits == pytest.approx(71.2, rel=0.05)


def test_a_reference_with_others_has_the_numbers_of_both() -> None:
    mine = Reference(("MKV", "MKL"), (("1.1.1.1",), ()), ("P1", "P2"))
    both = mine.with_others(Reference(("MKL", "MAA", "MKV"), (("2.7.1.2",), (), ("1.1.1.2",))))
    assert both == Reference(
        ("MKV", "MKL", "MAA"), (("1.1.1.1", "1.1.1.2"), ("2.7.1.2",), ()), ("P1", "P2", "")
    )


@pytest.mark.parametrize(
    "reference",
    [
        Reference(("MKV", "MKL", "MAA"), (("1.1.1.1", "2.7.1.n3"), (), ("2.-.-.-",)), ("P1", "a EC=1", "")),
        Reference(),
    ],
)
def test_a_model_s_proteins_survive_a_file(reference: Reference, tmp_path: Path) -> None:
    packed = to_bytes(reference)
    assert from_bytes(packed, tmp_path) == reference and to_bytes(reference) == packed


def test_features_of_homologues() -> None:
    near = [
        Homologue(ancestry(["2.7.1.2"]), 200.0, 0.6, 0.9),
        Homologue(ancestry(["1.1.1.1"]), 100.0, 0.5, 0.8),
        Homologue(frozenset(), 100.0, 0.4, 0.7),
    ]
    evidence = Evidence(100, homologues=near)
    assert evidence.candidates()[-1] == ("2", "7", "1", "2")
    found = dict(zip(ENZYME_FEATURES, evidence.enzyme_features(), strict=True))
    assert found["log_score"] == pytest.approx(np.log(2.01))
    assert found["log_score_rival"] == pytest.approx(np.log(1.01))
    assert (found["identity"], found["coverage"]) == (0.6, 0.9)
    of_all = 1 + 2 * math.exp(-5)
    assert found["votes"] == pytest.approx((1 + math.exp(-5)) / of_all)
    says = evidence.says()["homology"]
    assert says[("2",)] == pytest.approx(1 / of_all) and says[("1",)] == pytest.approx(
        0.5 * math.exp(-5) / of_all
    )


def certain_of_identity() -> ECHead:
    """A head that believes homologues of 60 % identity and more, and nothing else."""
    head = ECHead(ECHeadConfig(LABELS)).eval().requires_grad_(False)
    for parameter in head.enzyme.parameters():
        torch.nn.init.zeros_(parameter)
    head.enzyme.direct.bias.fill_(-3.0)
    head.enzyme.direct.weight[0, ENZYME_FEATURES.index("identity")] = 10.0
    head.ranking.weight_SF[:, RANKING_FEATURES.index("log_said")] = 1.0
    head.ranking.bias_S[:LEVELS] = -100.0
    return head


def test_homologues_judge_only_those_who_have_any_and_are_said_to_carry() -> None:
    head = certain_of_identity()
    known = Homologue(ancestry(["3.4.21.102"]), 300.0, 0.9, 1.0)  # a number that the model itself cannot name
    results = head.predict([protein(1), protein(2)], NOTHING, NOTHING, [[known], []], min_confidence=0.5)
    assert [call.number for call in results[0].ec] == ["3.4.21.102"]
    assert results[0].evidence == "homology"
    assert results[1].ec == () and results[1].enzyme == pytest.approx(1 / (1 + np.exp(3)), rel=1e-4)
    (alone,) = head.predict([protein(1)], NOTHING[:1], NOTHING[:1], min_confidence=0.5)
    assert alone.ec == ()


def test_the_nearest_labelled_protein_with_the_number_is_named() -> None:
    head = certain_of_identity()
    number = ancestry(["2.7.1.2"])
    rival = Homologue(ancestry(["1.1.1.1"]), 250.0, 0.9, 1.0, "other")
    clear, faint = (Homologue(number, bits, 0.621, 0.95, "sp|P1:2") for bits in (350.0, 40.0))
    nameless = Homologue(number, 380.0, 0.7, 1.0)
    for homologues, evidence in (
        ([nameless, clear, rival], "homology,sp|P1_2:62:95"),
        ([faint], "homology"),
    ):
        (result,) = head.judge([Evidence(200, homologues=homologues)], min_confidence=0.3)
        assert (result.ec[0].number, result.evidence) == ("2.7.1.2", evidence)


def test_a_head_searches_its_own_proteins_unless_homologues_are_given() -> None:
    head = certain_of_identity()
    head.base = Reference((protein(1), protein(2)), (("2.7.1.2",), ()), ("P1", "P2"))
    results = head.predict([protein(1), protein(9)], NOTHING, NOTHING, min_confidence=0.5)
    assert [[call.number for call in result.ec] for result in results] == [["2.7.1.2"], []]
    assert [result.evidence for result in results] == ["homology,P1:100:100", ""]
    (given,) = head.predict([protein(1)], NOTHING[:1], NOTHING[:1], [[]], min_confidence=0.5)
    assert given.ec == ()
    both = head.base.with_others(Reference((protein(9),), (("1.1.1.1",),)))
    homologues = both.homologues([protein(9)])
    (added,) = head.predict([protein(9)], NOTHING[:1], NOTHING[:1], homologues, min_confidence=0.5)
    assert [call.number for call in added.ec] == ["1.1.1.1"]


def test_calibration_learns_what_identity_is_worth() -> None:
    rng = np.random.default_rng(0)
    examples = []
    for number in range(2000):
        identity = rng.uniform(0.2, 1.0)
        right = rng.random() < identity
        near = Homologue(ancestry(["2.7.1.2"]), 100.0, identity, 1.0)
        profile = SimilarFamily(1.0, ancestry(["2.7.1.2"]))
        examples.append(
            CalibrationExample(
                Evidence(100, [profile], homologues=[near]), ("2.7.1.2",) if right else (), number % 5
            )
        )
    head = ECHead(ECHeadConfig(LABELS)).eval().requires_grad_(False)
    calibrate(head, examples)
    sure, unsure = (
        head.confidences([Evidence(100, homologues=[Homologue(near.nodes, 100.0, identity, 1.0)])])[0][ROOT]
        for identity in (0.9, 0.3)
    )
    assert sure == pytest.approx(0.9, abs=0.12) and unsure == pytest.approx(0.3, abs=0.12)
