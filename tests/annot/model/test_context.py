"""gLM over a genome, against one window at a time without batches and padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glm_annot.model.context import ContextStates, contextualise
from glm_annot.model.glm import GLM, ContextFit, ContextFitConfig, GeneFeatures, context_masks, mask_inputs
from glm_annot.model.sizes import GLMConfig
from glm_annot.model.windows import central_gene, central_pair, windows
from glm_annot.records import Contig, Gene, Genome, Skip

D, LAYERS, HEADS = 12, 3, 2


def contig(name: str, n: int, first: int, *, circular: bool = False) -> Contig:
    """`n` coding genes with mixed strands, and a pseudogene in the middle that the model must not see."""
    genes = [
        Gene(first + i, f"{name}_{i}", name, 1000 * i + 1, 1000 * i + 900, (1, -1)[i // 3 % 2], protein="M")
        for i in range(n + 1)
    ]
    dead = genes[n // 2]
    genes[n // 2] = Gene(
        dead.index, dead.id, name, dead.start, dead.end, 1, protein=None, skip=Skip.PSEUDOGENE
    )
    return Contig(name, 1000 * (n + 1), circular, tuple(genes))


@pytest.fixture(scope="module")
def genome() -> Genome:
    """A long contig, a lone gene, a plasmid, one contig whose only CDS is a pseudogene."""
    sizes = [("long", 70, False), ("lone", 1, False), ("dead", 0, False), ("plasmid", 9, True)]
    contigs, first = [], 0
    for name, n, circular in sizes:
        contigs.append(contig(name, n, first, circular=circular))
        first += n + 1
    return Genome(tuple(contigs))


@pytest.fixture(scope="module")
def parts(genome: Genome) -> tuple[GLM, GeneFeatures, ContextFit, np.ndarray]:
    torch.manual_seed(0)
    config = GLMConfig(D + 1, 16, LAYERS, HEADS, 32, max_distance=32, labels=6)
    features, fit = GeneFeatures(config), ContextFit(ContextFitConfig(quantiles=5))
    features.mean_D.normal_()
    features.std_D.uniform_(0.5, 2.0)
    fit.sigma.fill_(0.8)
    n_genes = sum(len(contig.coding) for contig in genome.contigs)
    embeddings = np.random.default_rng(1).normal(size=(n_genes, D)).astype(np.float32)
    return GLM(config).eval(), features, fit, embeddings


@pytest.fixture(scope="module")
def states(genome: Genome, parts: tuple[GLM, GeneFeatures, ContextFit, np.ndarray]) -> ContextStates:
    glm, features, fit, embeddings = parts
    return contextualise(
        genome, embeddings, glm, features, layers=(0, 2), attention=True, fit=fit, batch_size=3
    )


def test_shapes(genome: Genome, states: ContextStates) -> None:
    assert states.hidden_GSF.shape == (80, 2, 16)
    assert [a.shape for a in states.attention_NA] == [(69, 6), (0, 6), (0, 6), (9, 6)]
    assert states.n_windows == len(windows(genome))


def test_every_value_is_that_of_its_most_central_window_read_alone(
    genome: Genome, parts: tuple[GLM, GeneFeatures, ContextFit, np.ndarray], states: ContextStates
) -> None:
    glm, features, fit, embeddings = parts
    first = np.cumsum([0] + [len(contig.coding) for contig in genome.contigs])
    plan = windows(genome)
    strands = torch.tensor([gene.strand for contig in genome.contigs for gene in contig.coding])
    seen = np.zeros(80, dtype=bool)
    for (number, gene), (w, slot) in central_gene(plan).items():
        rows = [first[number] + g for g in plan[w].genes]
        x = features.inputs(torch.from_numpy(embeddings[rows]), strands[rows])[None]
        y = features.labels(torch.from_numpy(embeddings[rows]), strands[rows])[None]
        real = torch.ones(1, len(rows), dtype=torch.bool)
        with torch.no_grad():
            out = glm(x, real, hidden_states=True)
            mask = next(m for m in context_masks(len(rows)) if m[slot])[None]
            masked = glm(mask_inputs(x, mask), real)
            alone = glm(torch.full_like(x[:, :1], -1.0), torch.ones(1, 1, dtype=torch.bool))
            log_ratio = (fit.log_likelihood(masked, y) - fit.log_likelihood(alone, y[:, [slot]]))[0, slot]
        row = first[number] + gene
        seen[row] = True
        for column, layer in enumerate((0, 2)):
            np.testing.assert_allclose(
                states.hidden_GSF[row, column], out.hidden_states[layer][0, slot], atol=1e-5
            )
        np.testing.assert_allclose(states.log_ratio_G[row], log_ratio, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(states.confidence_G[row], masked.likelihoods_BTP[0, slot].max(), rtol=1e-4)
    assert seen.all()


def test_pair_attention_is_both_directions_in_every_head(
    genome: Genome, parts: tuple[GLM, GeneFeatures, ContextFit, np.ndarray], states: ContextStates
) -> None:
    glm, features, _, embeddings = parts
    first = np.cumsum([0] + [len(contig.coding) for contig in genome.contigs])
    plan = windows(genome)
    strands = torch.tensor([gene.strand for contig in genome.contigs for gene in contig.coding])
    places = central_pair(plan)
    assert len(places) == sum(len(contig.pairs) for contig in genome.contigs)
    for (number, pair), (w, slot) in places.items():
        rows = [first[number] + g for g in plan[w].genes]
        x = features.inputs(torch.from_numpy(embeddings[rows]), strands[rows])[None]
        with torch.no_grad():
            out = glm(x, torch.ones(1, len(rows), dtype=torch.bool), attentions=True)
        for layer in range(LAYERS):
            for head in range(HEADS):
                a = out.attentions[layer][0, head]
                expected = a[slot, slot + 1] + a[slot + 1, slot]
                found = states.attention_NA[number][pair, layer * HEADS + head]
                assert found == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("batch_size", [1, 64])
def test_batches_do_not_matter(
    genome: Genome,
    parts: tuple[GLM, GeneFeatures, ContextFit, np.ndarray],
    states: ContextStates,
    batch_size: int,
) -> None:
    glm, features, fit, embeddings = parts
    again = contextualise(
        genome, embeddings, glm, features, layers=(0, 2), attention=True, fit=fit, batch_size=batch_size
    )
    np.testing.assert_allclose(again.hidden_GSF, states.hidden_GSF, atol=1e-5)
    np.testing.assert_allclose(again.log_ratio_G, states.log_ratio_G, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(again.attention_NA[0], states.attention_NA[0], atol=1e-5)


def test_only_what_is_asked_for(
    genome: Genome, parts: tuple[GLM, GeneFeatures, ContextFit, np.ndarray]
) -> None:
    glm, features, _, embeddings = parts
    seen: list[tuple[int, int]] = []
    states = contextualise(
        genome, embeddings, glm, features, batch_size=4, progress=lambda *at: seen.append(at)
    )
    assert states.hidden_GSF.shape == (80, 0, 16)
    assert np.isnan(states.log_ratio_G).all()
    assert seen[-1] == (states.n_windows, states.n_windows)


def test_a_genome_without_coding_genes(parts: tuple[GLM, GeneFeatures, ContextFit, np.ndarray]) -> None:
    glm, features, fit, _ = parts
    states = contextualise(
        Genome((contig("dead", 0, 0),)), np.zeros((0, D), np.float32), glm, features, layers=(1,), fit=fit
    )
    assert states.hidden_GSF.shape == (0, 1, 16) and states.n_windows == 0
