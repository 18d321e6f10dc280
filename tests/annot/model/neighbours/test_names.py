"""What families are called: which products are names, and where sources agree."""

from __future__ import annotations

import pytest

from glm_annot.errors import InputError
from glm_annot.model.neighbours.names import Fact, FamilyName, from_text, labels, names_of, to_text, usable


@pytest.mark.parametrize(
    ("symbol", "product", "expected"),
    [
        ("ribE", "Riboflavin synthase (EC 2.5.1.9)", ("ribE", "Riboflavin synthase")),
        ("ribE_2", "putative riboflavin synthase", ("ribE", "riboflavin synthase")),
        ("ribE", "riboflavin synthase [Escherichia coli K-12]", ("ribE", "riboflavin synthase")),
        ("fabI", "enoyl reductase [NADH]", ("fabI", "enoyl reductase [NADH]")),
        ("b1234", "riboflavin synthase", ("", "riboflavin synthase")),
        ("", "GTP-binding protein YchF", ("ychF", "GTP-binding protein YchF")),
        ("yaaW", "hypothetical protein", ("", "")),
        ("yaaW", "DUF2541 domain-containing protein YaaW", ("", "")),
        ("ybgI", "NIF3 family protein", ("", "")),
        ("insA", "IS1 transposase", ("", "")),
        ("intS", "phage integrase", ("", "")),
        ("x", "", ("", "")),
        ("thrA", "synth\u00e8se", ("", "")),
    ],
)
def test_only_what_says_what_a_protein_does_is_a_name(
    symbol: str, product: str, expected: tuple[str, str]
) -> None:
    assert usable(symbol, product) == expected


def test_a_family_has_the_name_that_its_members_share() -> None:
    facts = [
        Fact(1, "a", "ribE", "Riboflavin synthase", "2.5.1.9", 3),
        Fact(1, "b", "ribE", "riboflavin synthase", "", 1),
        Fact(1, "b", "", "lumazine protein", "2.5.1.78", 1),
        Fact(2, "a", "abcA", "one thing", "", 1),
        Fact(2, "b", "abcB", "another thing", "", 1),
        Fact(3, "a", "", "", "1.1.1.1", 2),
    ]
    assert names_of(facts) == {
        1: FamilyName("ribE", "Riboflavin synthase", "2.5.1.9", members=4, sources=2),
        3: FamilyName("", "", "1.1.1.1", members=2, sources=1),
    }
    without = names_of(facts, without=["a"])
    assert without[2] == FamilyName("abcB", "another thing", "", 1, 1)
    assert without[1] == FamilyName("ribE", "", "2.5.1.78", 2, 1) and 3 not in without


@pytest.mark.parametrize(
    ("products", "broader"),
    [
        (
            [
                "ribose ABC transporter ATP-binding protein RbsA",
                "xylose ABC transporter ATP binding protein",
                "ABC transporter ATP-binding protein",
            ],
            "ABC transporter ATP-binding protein",
        ),
        (["sensor histidine kinase NarQ", "sensor histidine kinase NarX"], "sensor histidine kinase"),
        (["regulator of FtsH protease", "modulator of FtsH protease"], ""),
        (["DNA gyrase subunit A", "DNA topoisomerase IV subunit A"], ""),
        (["valine--tRNA ligase", "leucine--tRNA ligase"], ""),
        (["lactose permease / PTS enzyme IIC component", "a IIC component"], ""),
        (["DedA family protein YghB", "DedA family protein YqjA"], ""),
        (["one synthase", "another protein", "a third kinase"], ""),
    ],
)
def test_members_that_differ_have_a_broader_name_where_they_agree(products: list[str], broader: str) -> None:
    facts = [Fact(1, "a", "", product, "", 1) for product in products]
    names = names_of(facts)
    assert names.get(1, FamilyName()).product == broader
    if broader:
        name = names[1]
        assert name.broad and name.members == len(products)
        assert name.says("", f"new {broader}", ()) and name.says("", f"{broader} AbcD", ())
        assert not name.says("", f"{broader} inhibitor", ()) and not name.says("", "kinase", ())


def test_families_of_one_name_share_a_number() -> None:
    names = {
        0: FamilyName("ribE", "a b", ""),
        2: FamilyName("RibE", "", "1.1.1.1"),
        3: FamilyName("", "A-B", ""),
    }
    symbols, products, numbers = labels(names, 4)
    assert symbols[0] == symbols[2] >= 0 and symbols[1] == symbols[3] == -1
    assert products[0] == products[3] >= 0 and numbers == [-1, -1, 0, -1]


def test_facts_come_back_from_their_text() -> None:
    facts = (Fact(1, "a b.gff", "ribE", "x, y", "2.5.1.9", 3), Fact(7, "labelled", "", "", "1.1.1.1", 1))
    assert from_text(to_text(facts), "names.tsv") == facts


@pytest.mark.parametrize("row", ["1\ta\t\t\t1.1.1.-\t1", "-1\ta\t\tx\t\t1", "1\ta\t\tx\t\tmany", "1\ta"])
def test_a_faulty_row_is_named(row: str) -> None:
    header = to_text([]).strip()
    with pytest.raises(InputError, match="line 2 is no row"):
        from_text(f"{header}\n{row}\n", "names.tsv")
    with pytest.raises(InputError, match="no table of family names"):
        from_text("anything\n", "names.tsv")
