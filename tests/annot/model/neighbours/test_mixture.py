"""The mixture of memory and gLM: one distribution over candidates, no family and any other family."""

from __future__ import annotations

import math

import torch

from glm_annot.model.neighbours.memory import Genes, Memory, MemoryConfig
from glm_annot.model.neighbours.mixture import (
    CANDIDATE_FEATURES,
    PLACE_FEATURES,
    Asking,
    Candidates,
    Mixture,
    MixtureConfig,
    gather_candidates,
)

F = 6
PRIOR = torch.full((F,), 1 / F).log()


def memory() -> Memory:
    """Two genomes of one contig each: 0 1 2 3 and 0 1 4 3."""
    made = Memory(MemoryConfig(8, 2, 2, F))
    made.family_N.copy_(torch.tensor([0, 1, 2, 3, 0, 1, 4, 3]))
    made.first_C.copy_(torch.tensor([0, 4, 8]))
    made.genome_C.copy_(torch.tensor([0, 1]))
    made.group_M.copy_(torch.tensor([0, 1]))
    return made


def candidates(log_p: torch.Tensor | None = None, families: tuple[int, ...] = (0, 1, F, 3)) -> Candidates:
    """Of the third of four genes."""
    n = len(families)
    genes = Genes(torch.tensor(families), torch.ones(n, dtype=torch.long), torch.tensor([0, n]))
    asked = torch.tensor([2])
    return gather_candidates(Asking(memory().index().ask(genes, asked), genes, asked, log_p), PRIOR)


def test_candidates_are_those_of_the_memory_and_others_of_glm() -> None:
    log_p = torch.tensor([[0.01, 0.01, 0.3, 0.01, 0.01, 0.6, 0.06]]).log()
    found = candidates(log_p)
    named = [family for family in found.family_QK[0].tolist() if family >= 0]
    assert sorted(named[:2]) == [2, 4] and sorted(named[2:]) == [0, 1, 3, 5]  # each once
    assert found.features_QKX.shape[-1] == CANDIDATE_FEATURES and found.place_QY.shape == (1, PLACE_FEATURES)
    of = dict(zip(found.family_QK[0].tolist(), found.features_QKX[0], strict=True))
    assert math.isclose(of[5][11].item(), math.log(0.6), rel_tol=1e-6)
    assert of[2][1] == of[4][1] > 0 == of[5][1]  # the memory's best score
    assert (
        of[0][13] == of[1][13] == of[3][13] == 1 and of[2][13] == of[5][13] == 0
    )  # stands beside it already


def test_hidden_neighbours_are_not_seen() -> None:
    genes = Genes(
        torch.tensor([0, 1, F, 3]),
        torch.ones(4, dtype=torch.long),
        torch.tensor([0, 4]),
        torch.tensor([True, False, True, False]),
    )
    asked = torch.tensor([2])
    found = gather_candidates(Asking(memory().index().ask(genes, asked), genes, asked), PRIOR)
    assert found.place_QY[0, 4:6].tolist() == [1.0, 1.0]  # one on each side


def test_probabilities_add_up_and_a_family_nobody_named_has_its_share_of_the_rest() -> None:
    mixture, found = Mixture(MixtureConfig(F)), candidates()
    mixture.log_prior_F.copy_(PRIOR)
    log_p = mixture(found)
    torch.testing.assert_close(log_p.exp().sum(), torch.tensor(1.0))
    assert (log_p[0, :-2].isfinite() == (found.family_QK[0] >= 0)).all()
    asked = torch.tensor([5])
    torch.testing.assert_close(mixture.log_probability(log_p, found, asked), log_p[:, -1] + PRIOR[5])
    torch.testing.assert_close(mixture.log_probability(log_p, found, torch.tensor([F])), log_p[:, -2])
    first = found.family_QK[:, 0]
    torch.testing.assert_close(mixture.log_ratio(log_p, found, first), log_p[:, 0] - PRIOR[0])
    assert mixture.log_ratio(log_p, found, torch.tensor([F])).isnan().all()
