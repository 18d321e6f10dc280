"""How far names are trusted: what judges them, and what counts as right."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from glm_annot.errors import InputError
from glm_annot.model.neighbours.hints import TRUST_FEATURES, Hint
from glm_annot.model.neighbours.memory import Genes
from glm_annot.model.neighbours.mixture import Candidates, Mixture, MixtureConfig
from glm_annot.model.neighbours.names import Fact, FamilyName
from glm_annot.records import Gene
from glm_annot.training.evaluate.neighbours.names import _alone, _far, lines
from glm_annot.training.evaluate.neighbours.places import Places
from glm_annot.training.memory import trust
from glm_annot.training.memory.asked import Asked
from glm_annot.training.memory.trust import Judged, like, not_believed, said


def hint(families: list[int]) -> Hint:
    family = torch.tensor(families)
    some, features = torch.zeros(len(families)), torch.zeros(len(families), TRUST_FEATURES)
    return Hint(family, some, family, some, some, some, features, features)


def gene(name: str = "", product: str = "", ec: tuple[str, ...] = ()) -> Gene:
    return Gene(0, "a", "c", 1, 90, 1, name=name, product=product, ec=ec)


NAMES = {0: FamilyName("ribE", "riboflavin synthase", "2.5.1.9")}


def test_a_name_is_right_by_symbol_product_or_number() -> None:
    genes = [
        gene("ribE", "something else"),
        gene("", "Riboflavin Synthase (EC 2.5.1.9)"),
        gene("", "hypothetical protein", ("2.5.1.9",)),
        gene("thrA", "aspartokinase"),
        gene("", "hypothetical protein"),
        gene("ribE", "riboflavin synthase"),
    ]
    right = trust._names(genes, hint([0, 0, 0, 0, 0, -1]), NAMES)
    assert right == [True, True, True, False, None, None]


def test_a_broader_name_is_right_where_the_product_ends_with_it() -> None:
    names = {0: FamilyName("", "sensor histidine kinase", broad=True)}
    genes = [gene("", "nitrate sensor histidine kinase NarX"), gene("", "sensor histidine kinase inhibitor")]
    assert trust._names(genes, hint([0, 0]), names) == [True, False]


def test_numbers_are_judged_where_a_genome_states_any() -> None:
    def of(*genes: Gene) -> list[bool | None]:
        return trust._numbers(genes, hint([0] * len(genes)), NAMES)

    assert of(gene(ec=("2.5.1.9",)), gene(), gene(ec=("1.1.1.1",))) == [True, False, False]
    assert of(gene(), gene()) == [None, None]


def test_a_genome_and_its_like_are_left_out() -> None:
    facts = [Fact(family, source, "abcD", "", "", 1) for source in ("a", "b") for family in range(10)]
    facts += [Fact(family, "labelled", "", "", "1.1.1.1", 1) for family in range(100)]
    facts += [Fact(family, "c", "abcD", "", "", 1) for family in range(5, 15)]
    assert like("a", facts) == {"a", "b"}
    assert like("unknown", facts) == {"unknown"}
    assert not_believed("a", facts) == {"a", "b"}
    assert not_believed("a", facts[:20]) == {"a"}  # b, nearly the same, is all that is left to name it


def test_trust_follows_what_was_right_elsewhere() -> None:
    generator = torch.Generator().manual_seed(0)

    def judged(source: str) -> Judged:
        features = torch.randn(400, TRUST_FEATURES, generator=generator)
        right, nowhere = features[:, 0] > 0, torch.zeros(400, dtype=torch.bool)
        return Judged(source, features, torch.zeros(400), right, nowhere, torch.arange(400))

    parts = [judged("a"), judged("b")]
    probability = trust._elsewhere(parts[0], parts)
    assert probability[parts[0].right_Q].min() > 0.3 and probability[~parts[0].right_Q].max() < 0.7
    layer = nn.Linear(TRUST_FEATURES, 1)
    trust._fit(layer, parts)
    assert layer.weight[0, 0] > 5 * layer.weight[0, 1:].abs().max()
    least = trust._least(probability, parts[0].right_Q)
    assert 0.5 <= least < 0.6


def test_names_that_are_all_right_are_trusted() -> None:
    features, right = torch.randn(200, TRUST_FEATURES), torch.ones(200, dtype=torch.bool)
    layer = nn.Linear(TRUST_FEATURES, 1)
    trust._fit(layer, [Judged("a", features, torch.zeros(200), right, right, torch.arange(200))])
    assert layer(features).sigmoid().min() > 0.9


def test_figures_in_words() -> None:
    probability, right = torch.tensor([0.9, 0.8, 0.2]), torch.tensor([True, False, True])
    assert said(probability, right, 0.5) == (
        "2 of 3 at 0.50 and above; 0.500 of them are right, at a mean probability of 0.850"
    )
    assert said(probability, right, 0.95) == "none of 3 is sure enough"
    some = {"genes": 1000.0, "shown": 10.0, "share": 0.01, "right": 0.7, "probability": 0.75}
    found = {"names": some, "names_of_others": some, "ec": some, "hypothetical": {"genes": 9.0, "shown": 2.0}}
    first, *_, last = lines(found)
    assert first == "names: 10 of 1,000 genes; 0.700 of them right, at a mean probability of 0.750"
    assert last == "hypothetical proteins: 2 of 9 get a name"


def places(expected: list[tuple[int, float]], own: list[int]) -> Places:
    """Two candidates at each place: the expected family with its probability, and family 3 with 0.1."""
    family = torch.tensor([[family, 3] for family, _ in expected])
    p = torch.tensor([[probability, 0.1, 0.0, 0.9 - probability] for _, probability in expected])
    asked = Asked(Genes(*torch.zeros(3, 0).long()), torch.arange(len(own)), torch.tensor(own), True)
    candidates = Candidates(family, torch.zeros(*family.shape, 14), torch.zeros(len(own), 9))
    return Places(asked, candidates, p.log(), Mixture(MixtureConfig(4)), asked.family_Q)


def test_neighbours_alone_are_right_by_the_number_that_families_share() -> None:
    names = {0: FamilyName(ec="1.1.1.1"), 1: FamilyName(ec="2.5.1.9"), 3: FamilyName(ec="2.5.1.9")}
    genes = [gene(ec=("1.1.1.1",)), gene(ec=("2.5.1.9",)), gene(), gene(ec=("2.5.1.9",))]
    found = _alone(places([(0, 0.8), (1, 0.45), (0, 0.7), (0, 0.3)], own=[0, 2, 0, 3]), genes, names, 4)
    assert found["enzymes"] == 3
    assert found["first"] == pytest.approx(2 / 3) and found["three"] == 1.0
    assert found["hinted"] == 3 and found["precision"] == pytest.approx(2 / 3)  # 0.45 + 0.1 for one number
    assert found["hinted_own"] == 2 and found["precision_own"] == 0.5


def test_far_genes_are_those_without_a_near_relative() -> None:
    nowhere = torch.zeros(5, dtype=torch.bool)
    right = torch.tensor([True, True, False, True, False])
    rows = torch.tensor([0, 2, 3, 4, 5])
    judged = Judged("a", torch.zeros(5, 1), torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5]), right, nowhere, rows)
    found = _far(judged, 0.65, torch.tensor([0.3, 0.9, 0.39, 0.4, 0.0, 0.1]))
    assert found["genes"] == 4 and found["shown"] == 2 and found["right"] == 1.0
    assert found["precision"] == 1.0 and found["coverage"] == 0.75
    with pytest.raises(InputError, match="near"):
        _far(judged, 0.65, torch.ones(6))
