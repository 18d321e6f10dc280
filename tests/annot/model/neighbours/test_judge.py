"""What neighbours say of every gene of a genome."""

from __future__ import annotations

import pytest
import torch

from glm_annot.model.neighbours import judge
from glm_annot.model.neighbours.judge import Neighbours, NeighboursConfig
from glm_annot.model.neighbours.memory import Genes

F = 8


def made(**sizes: float) -> Neighbours:
    """A memory of two genomes, of one contig each: families 0 to 5, and the same with 6 for 3 and 7 for 4."""
    torch.manual_seed(0)
    config = NeighboursConfig(families=F, dim=F, places=12, contigs=2, genomes=2, mixture=8, **sizes)
    neighbours = Neighbours(config).eval().requires_grad_(False)
    neighbours.table.centroids_FD.copy_(torch.eye(F))
    neighbours.table.nearest.fill_(0.5)
    neighbours.memory.family_N.copy_(torch.tensor([0, 1, 2, 3, 4, 5, 0, 1, 2, 6, 7, 5]))
    neighbours.memory.first_C.copy_(torch.tensor([0, 6, 12]))
    neighbours.memory.genome_C.copy_(torch.tensor([0, 1]))
    neighbours.memory.group_M.copy_(torch.tensor([0, 1]))
    neighbours.mixture.log_prior_F.fill_(-2.0)
    return neighbours


def genes(families: list[int], strands: list[int] | None = None) -> Genes:
    n = len(families)
    return Genes(
        torch.tensor(families), torch.tensor(strands or [1] * n), torch.tensor([0, n], dtype=torch.long)
    )


def test_the_same_genome_is_told_on_either_strand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "LEAST_PAIRS", 3)
    neighbours = made()
    assert neighbours.same_genomes(genes([0, 1, 2, 3, 4, 5])).tolist() == [True, False]
    reverse = genes([5, 4, 3, 2, 1, 0], [-1] * 6)
    assert neighbours.same_genomes(reverse).tolist() == [True, False]
    assert neighbours.same_genomes(genes([0, 1, 2, 3, 5, 4])).tolist() == [False, False]
    assert neighbours.same_genomes(genes([0, 1, 2])).tolist() == [False, False]  # too few to tell it by


def test_every_gene_gets_an_answer_and_one_without_a_family_no_fit() -> None:
    neighbours = made()
    embeddings = torch.eye(F)[[0, 1, 2, 5, 4]]
    embeddings[3] = 0.1  # near to nothing
    strands, first = torch.ones(5, dtype=torch.long), torch.tensor([0, 3, 5])
    found = neighbours.judge(embeddings, strands, first)
    assert found.family_G.tolist() == [0, 1, 2, F, 4]
    assert found.log_ratio_G.isnan().tolist() == [False, False, False, True, False]
    assert ((found.confidence_G >= 0) & (found.confidence_G <= 1)).all()
    assert not found.same_M.any()
    percentile = neighbours.percentile(found.log_ratio_G)
    assert percentile.isnan().tolist() == found.log_ratio_G.isnan().tolist()


def test_no_genes_are_no_error() -> None:
    found = made().judge(torch.zeros(0, F), torch.zeros(0, dtype=torch.long), torch.tensor([0]))
    assert found.log_ratio_G.shape == found.confidence_G.shape == (0,)


def test_glm_counts_where_it_tells_families() -> None:
    neighbours = made(glm=4, own=3)
    embeddings, strands = torch.eye(F)[[0, 1, 2]], torch.ones(3, dtype=torch.long)
    first, hidden = torch.tensor([0, 3]), torch.randn(3, 4)
    one = neighbours.judge(embeddings, strands, first, hidden)
    other = neighbours.judge(embeddings, strands, first, -hidden)
    assert not torch.equal(one.log_ratio_G, other.log_ratio_G)


@pytest.mark.parametrize("cosine", [float("nan"), 2.0, -1.0])
def test_a_fit_from_a_cosine_that_cannot_be_is_refused(cosine: float) -> None:
    with pytest.raises(ValueError, match="fit_from must be from 0 to 1"):
        made(fit_from=cosine)


def test_only_genes_surely_of_their_family_have_a_fit_or_are_unexpected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(judge, "SURE", 0.0)
    embeddings = torch.eye(F)[[0, 1, 2, 7, 4]]
    embeddings[3, 6] = 0.75  # cosine 0.8 to family 7
    genome = embeddings, torch.ones(5, dtype=torch.long), torch.tensor([0, 5])
    loose, strict = made().judge(*genome), made(fit_from=0.9).judge(*genome)
    assert loose.family_G.tolist() == strict.family_G.tolist() == [0, 1, 2, 7, 4]
    assert not loose.log_ratio_G.isnan().any() and loose.unexpected_G[3]
    assert strict.log_ratio_G.isnan().tolist() == [False, False, False, True, False]
    assert strict.unexpected_G.tolist() == [
        *loose.unexpected_G[:3].tolist(),
        False,
        bool(loose.unexpected_G[4]),
    ]
