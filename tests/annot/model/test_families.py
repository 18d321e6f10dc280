"""Families: which a protein is of, and which a gLM expects."""

from __future__ import annotations

import math

import pytest
import torch

from glm_annot.model.families import (
    FamilyGLM,
    FamilyHead,
    FamilyHeadConfig,
    FamilyTable,
    FamilyTableConfig,
    masked_genes,
)
from glm_annot.model.glm import GLM, GeneFeatures, GLMConfig, mask_inputs

D, F = 6, 5
CONFIG = GLMConfig(input_dim=D + 1, dim=16, layers=1, heads=2, ffn=16, labels=D + 1, norm="pre")


def table() -> FamilyTable:
    made = FamilyTable(FamilyTableConfig(F, D))
    made.centroids_FD.copy_(torch.eye(F, D))
    made.nearest.fill_(0.8)
    return made


def test_a_protein_is_of_the_nearest_family_if_it_is_near_enough() -> None:
    near = torch.tensor([0.0, 3.0, 0.3, 0.0, 0.0, 0.0])
    between = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    outside = torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 1.0])
    family, cosine = table().assign(torch.stack([near, between, outside]))
    assert family.tolist() == [1, F, F]
    assert cosine.tolist() == pytest.approx([3 / math.sqrt(9.09), math.sqrt(0.5), 0.0], abs=1e-6)


def test_embeddings_are_brought_to_one_scale_first() -> None:
    made = table()
    made.mean_D.fill_(10.0)
    made.std_D.copy_(torch.tensor([1.0, 100.0, 1.0, 1.0, 1.0, 1.0]))
    family, cosine = made.assign(torch.tensor([[10.0, 60.0, 10.1, 10.0, 10.0, 10.0]]))
    assert family.tolist() == [1] and cosine.item() == pytest.approx(0.5 / math.sqrt(0.26))


def test_no_proteins_have_no_families() -> None:
    family, cosine = table().assign(torch.zeros(0, D))
    assert family.shape == cosine.shape == (0,)


def test_a_familys_logit_is_a_product_with_its_centroid_and_of_large_ones_weights_of_its_own() -> None:
    head = FamilyHead(FamilyHeadConfig(3, F, D, own=2))
    with torch.no_grad():
        head.vector.weight.zero_()
        head.vector.bias.copy_(torch.tensor([0.0, 0.0, 4.0, 3.0, 0.0, 0.0]))
        head.bias_F.copy_(torch.arange(F + 0.0))
        head.own.weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 10.0, 0.0]]))
    logits = head.family_logits(torch.tensor([[1.0, 2.0, 3.0]]), table())[0]
    assert logits.tolist() == pytest.approx([0 + 1, 1 + 20, 2 + 4, 3 + 3, 4])


def test_families_and_none_share_the_probability() -> None:
    head = FamilyHead(FamilyHeadConfig(3, F, D))
    with torch.no_grad():
        head.none.weight.zero_()
        head.none.bias.fill_(math.log(3))  # 3 to 1 for none
    log_p = head(torch.randn(4, 3), table())
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(4))
    torch.testing.assert_close(log_p[:, F].exp(), torch.full((4,), 0.75))


def predicting() -> FamilyGLM:
    torch.manual_seed(0)
    return FamilyGLM(
        GLM(CONFIG), table(), FamilyHead(FamilyHeadConfig(16, F, D)), GeneFeatures(CONFIG)
    ).eval()


def test_predictions_are_the_labels_of_the_likeliest_families() -> None:
    model, x = predicting(), torch.randn(2, 9, D + 1)
    real = torch.ones(2, 9, dtype=torch.bool)
    masked = torch.zeros(2, 9, dtype=torch.bool)
    masked[0, 4] = masked[1, 0] = masked[1, 8] = True
    output = model(mask_inputs(x, masked), real)
    logits = model.log_probabilities(output, masked)
    assert logits.shape == (3, F + 1)
    for n, (b, t) in enumerate(masked.nonzero().tolist()):
        best = logits[n, :F].topk(4)
        expected = torch.eye(F, D)[best.indices]
        torch.testing.assert_close(output.predictions_BTPL[b, t, :, :D], expected)
        torch.testing.assert_close(output.likelihoods_BTP[b, t], best.values.softmax(-1))
        assert output.predictions_BTPL[b, t, :, D].unique().numel() == 1
    assert not output.predictions_BTPL[~masked].any()


def test_masked_genes_are_told_with_and_without_their_strand() -> None:
    x, masked = torch.randn(1, 5, D + 1), torch.tensor([[False, True, False, True, False]])
    kept = torch.tensor([[False, True, False, False, False]])
    hidden = mask_inputs(x, masked, kept)
    assert torch.equal(masked_genes(hidden), masked)
    assert hidden[0, 1, D] == x[0, 1, D] and hidden[0, 3, D] == -1.0
    assert torch.equal(hidden[~masked], x[~masked])


def test_normalisation_before_each_block_normalises_the_last_state() -> None:
    model = GLM(CONFIG).eval()
    output = model(3 * torch.randn(1, 4, D + 1), torch.ones(1, 4, dtype=torch.bool), hidden_states=True)
    assert output.last_BTF is not None and output.hidden_states is not None
    torch.testing.assert_close(output.last_BTF.mean(-1), torch.zeros(1, 4), atol=1e-5, rtol=0)
    assert torch.equal(output.hidden_states[-1], output.last_BTF)


def test_norm_is_pre_or_post() -> None:
    with pytest.raises(ValueError, match="norm is 'post' or 'pre'"):
        GLMConfig(input_dim=7, dim=16, layers=1, heads=2, ffn=16, labels=7, norm="none")  # type: ignore[arg-type]
