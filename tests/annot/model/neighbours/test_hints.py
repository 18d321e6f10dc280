"""What neighbours and protein say together: which families are candidates, and what counts as one name."""

from __future__ import annotations

import torch

from glm_annot.model.neighbours.beside import Beside, named_beside
from glm_annot.model.neighbours.hints import Hints
from glm_annot.model.neighbours.judge import Neighbours
from glm_annot.model.neighbours.mixture import Asking, Candidates, gather_candidates
from glm_annot.model.neighbours.names import Fact, FamilyName
from glm_annot.model.neighbours.told import _beside, context_names, in_words

from .test_judge import F, genes, made

FACTS = (
    Fact(2, "a", "cccC", "third thing", "", 1),
    Fact(3, "a", "dddD", "fourth thing", "1.1.1.1", 1),
    Fact(6, "a", "dddD", "the same by symbol", "", 1),
    Fact(7, "a", "", "eighth thing", "2.2.2.2", 1),
)


def named() -> Neighbours:
    neighbours = made(named=True)
    neighbours.call(FACTS)
    return neighbours


def candidates(neighbours: Neighbours, families: list[int], at: int, hidden: int = -1) -> Candidates:
    """Of one gene, whose protein is that of its family."""
    assert neighbours.hints is not None
    who, asked = genes(families), torch.tensor([at])
    asking = Asking(neighbours.memory.index().ask(who, asked), who, asked)
    base = gather_candidates(asking, neighbours.mixture.log_prior_F)
    direction = torch.eye(F + 1)[[families[at]], :F]
    own = direction, torch.tensor([families[at]])
    return neighbours.hints.candidates(
        asking,
        base,
        neighbours.mixture(base),
        *own,
        neighbours.mixture,
        neighbours.table,
        torch.tensor([hidden]),
    )


def families_of(found: Candidates) -> list[int]:
    return sorted(family for family in found.family_QK[0].tolist() if family >= 0)


def test_candidates_have_a_name_whoever_names_them() -> None:
    neighbours = named()
    assert families_of(candidates(neighbours, [0, 1, 2, F, 4, 5], 3)) == [2, 3, 6, 7]
    assert families_of(candidates(neighbours, [0, 1, 2, 3, 4, 5], 3, hidden=3)) == [2, 6, 7]


def test_families_of_one_name_share_their_probability() -> None:
    neighbours = named()
    hints = neighbours.hints
    assert hints is not None
    found = candidates(neighbours, [0, 1, 2, F, 4, 5], 3)
    p = hints(found)[0, :-1].exp()
    by_name, by_ec = (
        dict(zip(found.family_QK[0].tolist(), of[0].tolist(), strict=True)) for of in hints.by_name(found)
    )
    at = {family: place for place, family in enumerate(found.family_QK[0].tolist())}
    both = (p[at[3]] + p[at[6]]).item()
    assert abs(by_name[3] - both) < 1e-5 and abs(by_name[6] - both) < 1e-5
    assert abs(by_ec[3] - p[at[3]].item()) < 1e-5 and by_ec[6] == 0.0
    assert by_name[2] == 0.0  # stands beside it: a neighbour that was pushed along


def test_the_own_family_is_an_answer_though_it_stands_there() -> None:
    neighbours = named()
    hints = neighbours.hints
    assert hints is not None
    found = candidates(neighbours, [3, 1, 2, 3, 4, 5], 3)
    shared = dict(zip(found.family_QK[0].tolist(), hints.by_name(found)[0][0].tolist(), strict=True))
    assert shared[3] > 0


def test_a_symbol_a_product_or_a_number_in_common_is_one_name() -> None:
    hints = named().hints
    assert isinstance(hints, Hints)
    families = torch.tensor([[2, 3, 6, 7, 0, -1]])
    assert hints.same_name(families, torch.tensor([3])).tolist() == [[False, True, True, False, False, False]]
    assert not hints.same_name(families, torch.tensor([F])).any()
    assert hints.named(torch.tensor([0, 2, F, -1])).tolist() == [False, True, False, False]


def test_probabilities_below_the_least_are_no_names() -> None:
    neighbours = named()
    assert neighbours.hints is not None
    embeddings, strands = torch.eye(F)[[0, 1, 2, 3, 4, 5]], torch.ones(6, dtype=torch.long)
    context = neighbours.judge(embeddings, strands, torch.tensor([0, 6]))
    neighbours.hints.least_K.fill_(1.0)
    assert all(said.name == said.ec == "" for said in context_names(context, neighbours, {}))
    neighbours.hints.least_K.fill_(0.0)
    said = context_names(context, neighbours, {})
    assert all(of.confidence is not None and 0 <= of.confidence <= 1 for of in said if of.name)
    assert any(of.name for of in said)


def test_a_name_in_words() -> None:
    assert in_words(FamilyName("ribE", "riboflavin synthase"), {}) == "riboflavin synthase (ribE)"
    assert in_words(FamilyName("", "", "1.1.1.1"), {"1.1.1.1": 'a; "b"'}) == "a, 'b'"
    assert in_words(FamilyName("ribE"), {}) == "ribE" and in_words(FamilyName(), {}) == ""


def test_neighbours_are_told_once_and_without_commas() -> None:
    names = {
        1: FamilyName("ribE"),
        2: FamilyName("ribE", "another"),
        3: FamilyName("", "a, b", ""),
        4: FamilyName("", "c", "1.1.1.1"),
    }
    found = tuple(Beside(family, 9 - family, 9) for family in names)
    assert _beside(found, names) == (("ribE", 8, 9), ("a b", 6, 9), ("EC 1.1.1.1", 5, 9))


def test_named_families_beside_a_family_are_counted_by_groups_of_genomes() -> None:
    neighbours = named()
    neighbours.memory.family_N.copy_(torch.tensor([4, 3, 2, 0, 0, 0] * 2))
    index, who = neighbours.memory.index(), genes([4, F, 0])
    assert named_beside(index, who, neighbours.names, least=2) == {
        0: (Beside(2, 2, 2), Beside(3, 2, 2)),
        2: (Beside(2, 2, 2), Beside(3, 2, 2)),
    }
    assert named_beside(index, who, neighbours.names, least=3) == {}
    neighbours.memory.strand_N[:] = torch.tensor([1, -1, 1, 1, 1, 1] * 2)
    assert named_beside(neighbours.memory.index(), who, neighbours.names, least=2)[0] == (Beside(2, 2, 2),)
