"""gLM against a plain float64 re-derivation of the paper's formulas, its features and its context fit."""

from __future__ import annotations

import json
import math
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.special import erf, logsumexp, softmax
from scipy.stats import norm
from torch import Tensor

from glm_annot.model.glm import (
    GLM,
    ContextFit,
    ContextFitConfig,
    GeneFeatures,
    GLMOutput,
    context_masks,
    mask_inputs,
)
from glm_annot.model.sizes import GLMConfig
from glm_annot.training.glm.losses import glm_loss

Array = npt.NDArray[np.float64]
CONFIG = GLMConfig(input_dim=13, dim=24, layers=3, heads=4, ffn=40, max_distance=9, predictions=3, labels=6)
PUBLISHED = GLMConfig(input_dim=1281, dim=1280, layers=19, heads=10, ffn=3072, max_distance=512)
BATCH, GENES = 3, 8


def randomised(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The module with weights that make no term vanish: large biases, norms unlike 1."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data = 0.4 * torch.randn(parameter.shape, generator=generator)
    return module.eval()


@pytest.fixture(scope="module")
def glm() -> GLM:
    model = randomised(GLM(CONFIG))
    assert isinstance(model, GLM)
    return model.double()


@pytest.fixture(scope="module")
def batch() -> tuple[Tensor, Tensor, Tensor]:
    """Inputs, real slots and masked slots of windows of 8, 5 and 1 genes."""
    generator = torch.Generator().manual_seed(1)
    real = torch.arange(GENES)[None, :] < torch.tensor([8, 5, 1])[:, None]
    x = torch.randn(BATCH, GENES, CONFIG.input_dim, generator=generator, dtype=torch.float64)
    masked = torch.zeros(BATCH, GENES, dtype=torch.bool)
    masked[0, [2, 6]] = masked[1, 4] = masked[2, 0] = True
    return x * real[..., None], real, masked


class Reference:
    """glm.md, one gene at a time, in numpy float64."""

    def __init__(self, model: GLM) -> None:
        self.w = {name: value.double().numpy() for name, value in model.state_dict().items()}
        self.config = model.config
        self.hidden: list[list[Array]] = []
        self.attention: list[list[Array]] = []

    def linear(self, name: str, h: Array) -> Array:
        return h @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def norm(self, name: str, h: Array) -> Array:
        centred = h - h.mean(-1, keepdims=True)
        variance = (centred**2).mean(-1, keepdims=True)
        return centred / np.sqrt(variance + 1e-12) * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def attend(self, layer: str, h: Array, n: int) -> tuple[Array, Array]:
        c = self.config
        width = c.dim // c.heads
        q, k, v = (self.linear(f"{layer}.attention.{name}", h) for name in ("query", "key", "value"))
        table = self.w[f"{layer}.attention.distance.weight"]
        maps = np.zeros((c.heads, len(h), len(h)))
        mixed = np.zeros_like(h)
        for head in range(c.heads):
            part = slice(head * width, (head + 1) * width)
            for left in range(len(h)):
                scores = np.full(len(h), -np.inf)
                for right in range(n):  # padding is no key
                    p = table[left - right + c.max_distance - 1]
                    ql, kr = q[left, part], k[right, part]
                    scores[right] = (ql @ kr + ql @ p + kr @ p) / math.sqrt(width)
                maps[head, left] = softmax(scores)
                mixed[left, part] = maps[head, left] @ v[:, part]
        return self.linear(f"{layer}.attention.output", mixed), maps

    def window(self, x: Array, n: int) -> tuple[list[Array], list[Array], Array, Array]:
        """Hidden states, attentions, predictions (T, P, L) and likelihood logits (T, P) of one window."""
        h = self.norm("embedding_norm", self.linear("embedding", x) + self.w["token_type"])
        hidden, attention = [h], []
        for number in range(self.config.layers):
            layer = f"layers.{number}"
            mixed, maps = self.attend(layer, h, n)
            h = self.norm(f"{layer}.attention_norm", h + mixed)
            inner = self.linear(f"{layer}.ffn.0", h)
            inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
            h = self.norm(f"{layer}.ffn_norm", h + self.linear(f"{layer}.ffn.2", inner))
            hidden.append(h)
            attention.append(maps)
        flat = self.linear("predict", h)
        L = self.config.labels
        predictions = np.stack([flat[:, i * L : (i + 1) * L] for i in range(self.config.predictions)], axis=1)
        return hidden, attention, predictions, self.linear("likelihood", h)


def test_forward_equals_the_formulas(glm: GLM, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    x, real, masked = batch
    inputs = mask_inputs(x, masked)
    with torch.no_grad():
        output = glm(inputs, real, hidden_states=True, attentions=True)
    assert output.hidden_states is not None and output.attentions is not None
    assert len(output.hidden_states) == CONFIG.layers + 1 and len(output.attentions) == CONFIG.layers
    for b in range(BATCH):
        n = int(real[b].sum())
        window = inputs[b].numpy().copy()
        window[masked[b].numpy()] = -1.0
        hidden, attention, predictions, logits = Reference(glm).window(window, n)
        for layer, expected in enumerate(hidden):
            np.testing.assert_allclose(output.hidden_states[layer][b], expected, atol=1e-10)
        for layer, expected in enumerate(attention):
            np.testing.assert_allclose(output.attentions[layer][b], expected, atol=1e-10)
        np.testing.assert_allclose(output.predictions_BTPL[b], predictions, atol=1e-10)
        np.testing.assert_allclose(output.likelihood_logits_BTP[b], logits, atol=1e-10)


def test_loss_equals_the_formulas(glm: GLM, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    x, real, masked = batch
    labels = torch.randn(BATCH, GENES, CONFIG.labels, generator=torch.Generator().manual_seed(2))
    inputs = mask_inputs(x, masked)
    regression = likelihood = 0.0
    for b, t in masked.nonzero().tolist():
        _, _, predictions, logits = Reference(glm).window(inputs[b].numpy(), int(real[b].sum()))
        squares = ((predictions[t] - labels[b, t].double().numpy()) ** 2).sum(-1)
        regression += squares.min()
        likelihood -= np.log(softmax(logits[t])[squares.argmin()])
    slots = BATCH * GENES
    loss = glm_loss(glm(inputs, real), labels, masked)
    assert loss.regression.item() == pytest.approx(regression / (slots * CONFIG.labels), rel=1e-5)
    assert loss.likelihood.item() == pytest.approx(likelihood / slots, rel=1e-5)
    assert loss.total.item() == pytest.approx(
        regression / (slots * CONFIG.labels) + 1e-4 * likelihood / slots, rel=1e-5
    )


def test_asking_for_more_changes_nothing_and_nothing_comes_unasked(
    glm: GLM, batch: tuple[Tensor, Tensor, Tensor]
) -> None:
    x, real, _ = batch
    with torch.no_grad():
        bare, full = glm(x, real), glm(x, real, hidden_states=True, attentions=True)
    assert bare.hidden_states is None and bare.attentions is None
    assert torch.equal(bare.predictions_BTPL, full.predictions_BTPL)


def test_padding_and_companions_change_nothing(glm: GLM, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    x, real, _ = batch
    with torch.no_grad():
        together = glm(x, real).predictions_BTPL[1, :5]
        alone = glm(x[1:2, :5], real[1:2, :5]).predictions_BTPL[0]
    torch.testing.assert_close(together, alone, atol=1e-12, rtol=0)


def test_a_row_of_padding_alone_gives_no_nan(glm: GLM) -> None:
    x = torch.zeros(1, 4, CONFIG.input_dim, dtype=torch.float64)
    with torch.no_grad():
        assert glm(x, torch.zeros(1, 4, dtype=torch.bool)).predictions_BTPL.isfinite().all()


def test_too_long_a_window_is_refused(glm: GLM) -> None:
    with pytest.raises(ValueError, match="10 genes in a window, 9 at most"):
        glm(torch.zeros(1, 10, CONFIG.input_dim), torch.ones(1, 10, dtype=torch.bool))


def test_the_published_model_has_the_published_size() -> None:
    with torch.device("meta"):
        model = GLM(PUBLISHED)
    assert sum(parameter.numel() for parameter in model.parameters()) == 278_867_988
    assert model.layers[18].attention.distance.weight.shape == (1023, 128)


def test_dropout_acts_in_training_only(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    x, real, _ = batch
    model = GLM(CONFIG)
    assert not torch.equal(model(x.float(), real).predictions_BTPL, model(x.float(), real).predictions_BTPL)
    model.eval()
    assert torch.equal(model(x.float(), real).predictions_BTPL, model(x.float(), real).predictions_BTPL)


def test_bfloat16_stays_close(batch: tuple[Tensor, Tensor, Tensor]) -> None:
    x, real, _ = batch
    model = GLM(CONFIG).eval()
    with torch.no_grad():
        exact = model(x.float(), real).predictions_BTPL[real]
        coarse = model.bfloat16()(x.bfloat16(), real).predictions_BTPL[real].float()
    assert (exact - coarse).norm() < 0.03 * exact.norm()


@pytest.mark.parametrize("wrong", [{"heads": 5}, {"labels": 14}, {"labels": 1}])
def test_impossible_sizes_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"multiple|labels"):
        GLMConfig(**{**asdict(CONFIG), **wrong})


def test_config_and_weights_survive_a_file(glm: GLM) -> None:
    again = GLM(GLMConfig(**json.loads(json.dumps(asdict(glm.config)))))
    again.load_state_dict(glm.state_dict())
    assert again.config == glm.config


def test_features_are_z_scores_components_and_orientation() -> None:
    features = GeneFeatures(GLMConfig(input_dim=4, dim=4, layers=1, heads=1, ffn=4, labels=3))
    features.load_state_dict(
        {
            "mean_D": torch.tensor([1.0, 2.0, 3.0]),
            "std_D": torch.tensor([1.0, 2.0, 0.5]),
            "pca_mean_D": torch.tensor([0.0, 1.0, 0.0]),
            "pca_components_LD": torch.tensor([[0.6, 0.8, 0.0], [0.0, 0.0, 1.0]]),
            "pca_scale_L": torch.tensor([2.0, 4.0]),
        }
    )
    embeddings = torch.tensor([[2.0, 6.0, 3.0], [1.0, 2.0, 4.0]])
    strands = torch.tensor([1, -1])
    # z-scores: (1, 2, 0) and (0, 0, 2)
    expected = torch.tensor([[1.0, 2.0, 0.0, 0.5], [0.0, 0.0, 2.0, -0.5]])
    torch.testing.assert_close(features.inputs(embeddings, strands), expected)
    # less the PCA's mean: (1, 1, 0) and (0, -1, 2)
    expected = torch.tensor([[1.4 / 2, 0.0, 0.5], [-0.8 / 2, 2.0 / 4, -0.5]])
    torch.testing.assert_close(features.labels(embeddings, strands), expected)
    torch.testing.assert_close(features.labels(embeddings[None], strands[None])[0], expected)


def test_masking_replaces_the_whole_gene() -> None:
    x = torch.arange(12.0).view(1, 3, 4)
    masked = mask_inputs(x, torch.tensor([[False, True, False]]))
    assert masked[0, 1].tolist() == [-1.0] * 4
    assert torch.equal(masked[0, [0, 2]], x[0, [0, 2]])


@pytest.mark.parametrize("n", [1, 2, 6, 7, 8, 15, 30])
def test_context_masks_hide_every_gene_once_and_about_a_seventh_at_a_time(n: int) -> None:
    masks = context_masks(n)
    assert masks.shape == (min(7, n), n)
    assert torch.equal(masks.sum(0), torch.ones(n, dtype=torch.long))
    assert masks.sum(1).max() == math.ceil(n / 7)


def fit_of(sigma: float, quantiles: Tensor) -> ContextFit:
    fit = ContextFit(ContextFitConfig(len(quantiles)))
    fit.load_state_dict({"sigma": torch.tensor(sigma), "quantiles_Q": quantiles})
    return fit


def test_log_likelihood_is_that_of_the_mixture() -> None:
    generator = torch.Generator().manual_seed(3)
    predictions, logits = (
        torch.randn(2, 5, 4, 6, generator=generator),
        torch.randn(2, 5, 4, generator=generator),
    )
    labels = torch.randn(2, 5, 6, generator=generator)
    found = fit_of(0.7, torch.arange(3.0)).log_likelihood(GLMOutput(predictions, logits), labels)
    density = norm.logpdf(labels[:, :, None].numpy(), predictions.numpy(), 0.7).sum(-1)
    expected = logsumexp(np.log(softmax(logits.numpy(), axis=-1)) + density, axis=-1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_percentiles_interpolate_and_end_at_0_and_100() -> None:
    fit = fit_of(1.0, torch.tensor([-40.0, -10.0, -10.0, 0.0, 20.0]))
    values = torch.tensor([[-50.0, -40.0, -25.0], [-10.0, 5.0, 30.0]])
    expected = torch.tensor([[0.0, 0.0, 12.5], [50.0, 81.25, 100.0]])
    torch.testing.assert_close(fit.percentile(values), expected)


def test_likelihoods_sum_to_one() -> None:
    output = GLMOutput(torch.zeros(1, 1, 2, 3), torch.tensor([[[0.0, math.log(3.0)]]]))
    torch.testing.assert_close(output.likelihoods_BTP, torch.tensor([[[0.25, 0.75]]]))
