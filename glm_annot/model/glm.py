"""gLM: a transformer that reads the genes of a window as tokens (Hwang et al. 2023). Tensors in, tensors out.

Axes: B windows, T genes of a window, E numbers that describe a gene, F hidden features, H heads, K features
of a head, P predictions per gene, L label numbers per gene, G genes in a list, D dimensions of a protein's
embedding, Q quantiles. L and R index the querying and the attended gene where both are needed.

The attention is `relative_key_query` of Huang et al. 2020 (method 4), as in the published program.
`GeneFeatures` makes a gene's input and label; `ContextFit` judges how well a gene fits its context.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from glm_annot.model.sizes import GLMConfig

ORIENTATION = 0.5  # forward +0.5, reverse -0.5
MASK_VALUE = -1.0  # every number of a masked gene
MASK_STRIDE = 7  # every 7th gene masked, 14 %: nearest to the 15 % of training
NORM_EPS = 1e-12
INIT_GAIN = 0.7  # initial weights of n inputs deviate by 0.7 / sqrt(n): the published 0.02 at its 1280
DISTANCE_STD = 1.0  # of initial distances; with small ones all masked genes of a window stay similar for long


@dataclass(frozen=True)
class GLMOutput:
    """What gLM says of a batch of windows.

    Attributes:
        predictions_BTPL: P predictions of each gene's label.
        likelihood_logits_BTP: how likely each is, as logits.
        last_BTF: the last hidden state; None where what made the predictions keeps none.
        hidden_states: layers + 1 tensors (B, T, F), the embedding's output first; None unless asked for.
        attentions: one tensor (B, H, T, T) per layer, a row per querying gene; None unless asked for.
    """

    predictions_BTPL: Tensor
    likelihood_logits_BTP: Tensor
    last_BTF: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None

    @property
    def likelihoods_BTP(self) -> Tensor:
        """Likelihood of each prediction in float32; they sum to 1. The highest is the paper's confidence."""
        return self.likelihood_logits_BTP.float().softmax(-1)


class GLM(nn.Module):
    """The network.

    Args:
        config: its sizes.
    """

    def __init__(self, config: GLMConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Linear(config.input_dim, config.dim)
        self.token_type = nn.Parameter(torch.zeros(config.dim))
        self.embedding_norm = nn.LayerNorm(config.dim, eps=NORM_EPS)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        pre = config.norm == "pre"
        self.last_norm = nn.LayerNorm(config.dim, eps=NORM_EPS) if pre else nn.Identity()
        self.predict = nn.Linear(config.dim, config.predictions * config.labels)
        self.likelihood = nn.Linear(config.dim, config.predictions)
        self.apply(_initialise)
        nn.init.normal_(self.token_type, std=INIT_GAIN / config.dim**0.5)

    def forward(
        self, x_BTE: Tensor, real_BT: Tensor, *, hidden_states: bool = False, attentions: bool = False
    ) -> GLMOutput:
        """Run windows through the network.

        Args:
            x_BTE: inputs as `GeneFeatures.inputs` makes them, padding rows zero.
            real_BT: True where there is a gene, False where there is padding, which no gene attends to.
            hidden_states, attentions: return them too.

        Raises:
            ValueError: windows of more than `config.max_distance` genes.
        """
        if x_BTE.shape[1] > self.config.max_distance:
            raise ValueError(f"{x_BTE.shape[1]} genes in a window, {self.config.max_distance} at most")
        h_BTF = self.dropout(self.embedding_norm(self.embedding(x_BTE) + self.token_type))
        states, maps = [h_BTF], []
        for layer in self.layers:
            h_BTF, attention_BHTT = layer(h_BTF, real_BT)
            if hidden_states:
                states.append(h_BTF)
            if attentions:
                maps.append(attention_BHTT)
        h_BTF = self.last_norm(h_BTF)
        if hidden_states:
            states[-1] = h_BTF
        shape = (*x_BTE.shape[:2], self.config.predictions, self.config.labels)
        return GLMOutput(
            predictions_BTPL=self.predict(h_BTF).view(shape),
            likelihood_logits_BTP=self.likelihood(h_BTF),
            last_BTF=h_BTF,
            hidden_states=tuple(states) if hidden_states else None,
            attentions=tuple(maps) if attentions else None,
        )


class Layer(nn.Module):
    """One transformer layer, normalised as `GLMConfig.norm` says."""

    def __init__(self, config: GLMConfig) -> None:
        super().__init__()
        self.pre = config.norm == "pre"
        self.attention = Attention(config)
        self.attention_norm = nn.LayerNorm(config.dim, eps=NORM_EPS)
        self.ffn = nn.Sequential(
            nn.Linear(config.dim, config.ffn), nn.GELU(), nn.Linear(config.ffn, config.dim)
        )
        self.ffn_norm = nn.LayerNorm(config.dim, eps=NORM_EPS)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, h_BTF: Tensor, real_BT: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, F) -> (B, T, F) and the attention (B, H, T, T)."""
        if self.pre:
            mixed_BTF, attention_BHTT = self.attention(self.attention_norm(h_BTF), real_BT)
            h_BTF = h_BTF + self.dropout(mixed_BTF)
            return h_BTF + self.dropout(self.ffn(self.ffn_norm(h_BTF))), attention_BHTT
        mixed_BTF, attention_BHTT = self.attention(h_BTF, real_BT)
        h_BTF = self.attention_norm(h_BTF + self.dropout(mixed_BTF))
        return self.ffn_norm(h_BTF + self.dropout(self.ffn(h_BTF))), attention_BHTT


class Attention(nn.Module):
    """Self-attention with learned relative keys and queries.

    S[l, r] = (q_l . k_r + q_l . P[l, r] + k_r . P[l, r]) / sqrt(K), where P[l, r] is the row
    l - r + max_distance - 1 of a learned table that the heads of a layer share.
    """

    def __init__(self, config: GLMConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.max_distance = config.max_distance
        self.query = nn.Linear(config.dim, config.dim)
        self.key = nn.Linear(config.dim, config.dim)
        self.value = nn.Linear(config.dim, config.dim)
        self.distance = nn.Embedding(2 * config.max_distance - 1, config.dim // config.heads)
        self.output = nn.Linear(config.dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, h_BTF: Tensor, real_BT: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, F) -> (B, T, F) and the attention before dropout (B, H, T, T)."""
        q_BHTK, k_BHTK, v_BHTK = (
            self._split(project(h_BTF)) for project in (self.query, self.key, self.value)
        )
        scores_BHTT = self._scores(q_BHTK, k_BHTK)
        # The lowest finite number, not -inf: a row of padding alone must give no NaN.
        lowest = torch.finfo(scores_BHTT.dtype).min
        attention_BHTT = scores_BHTT.masked_fill(~real_BT[:, None, None, :], lowest).softmax(-1)
        mixed_BHTK = self.dropout(attention_BHTT).to(v_BHTK.dtype) @ v_BHTK
        return self.output(mixed_BHTK.transpose(1, 2).flatten(2)), attention_BHTT

    def _split(self, h_BTF: Tensor) -> Tensor:
        return h_BTF.view(*h_BTF.shape[:2], self.heads, -1).transpose(1, 2)

    def _scores(self, q_BHTK: Tensor, k_BHTK: Tensor) -> Tensor:
        """Attention scores (B, H, T, T) in float32 or better: bfloat16 would blur the softmax."""
        T, K = q_BHTK.shape[-2:]
        place = torch.arange(T, device=q_BHTK.device)
        p_LRK = self.distance(place[:, None] - place[None, :] + self.max_distance - 1)
        content_BHTT = q_BHTK @ k_BHTK.transpose(-1, -2)
        by_query_BHTT = torch.einsum("bhlk,lrk->bhlr", q_BHTK, p_LRK)
        by_key_BHTT = torch.einsum("bhrk,lrk->bhlr", k_BHTK, p_LRK)
        scores_BHTT = content_BHTT + by_query_BHTT + by_key_BHTT
        return scores_BHTT.to(torch.promote_types(scores_BHTT.dtype, torch.float32)) / math.sqrt(K)


class GeneFeatures(nn.Module):
    """A gene's input and label from its protein embedding and strand.

    Args:
        config: the gLM's; `input_dim` and `labels` say how many numbers there are.

    Buffers: mean_D and std_D of the training corpus; the PCA of its z-scored embeddings: pca_mean_D,
    pca_components_LD, pca_scale_L (standard deviation along each component), L = `config.labels` - 1.
    """

    mean_D: Tensor
    std_D: Tensor
    pca_mean_D: Tensor
    pca_components_LD: Tensor
    pca_scale_L: Tensor

    def __init__(self, config: GLMConfig) -> None:
        super().__init__()
        self.config = config
        D, L = config.input_dim - 1, config.labels - 1
        self.register_buffer("mean_D", torch.zeros(D))
        self.register_buffer("std_D", torch.ones(D))
        self.register_buffer("pca_mean_D", torch.zeros(D))
        self.register_buffer("pca_components_LD", torch.eye(L, D))
        self.register_buffer("pca_scale_L", torch.ones(L))

    def inputs(self, embeddings_GD: Tensor, strands_G: Tensor) -> Tensor:
        """z-scored embedding and orientation, (..., D + 1). Axes before D are free; strands are 1 and -1."""
        return torch.cat([self._z_scores(embeddings_GD), _orientation(strands_G)], dim=-1)

    def labels(self, embeddings_GD: Tensor, strands_G: Tensor) -> Tensor:
        """Whitened components of the z-scored embedding and orientation, (..., L + 1); not clipped."""
        centred_GD = self._z_scores(embeddings_GD) - self.pca_mean_D
        components_GL = centred_GD @ self.pca_components_LD.T / self.pca_scale_L
        return torch.cat([components_GL, _orientation(strands_G)], dim=-1)

    def _z_scores(self, embeddings_GD: Tensor) -> Tensor:
        return (embeddings_GD.to(self.mean_D.dtype) - self.mean_D) / self.std_D


@dataclass(frozen=True)
class ContextFitConfig:
    """Size of a `ContextFit`: how many quantiles (evenly spaced from 0 to 1, ends included) it holds."""

    quantiles: int = 101


class ContextFit(nn.Module):
    """How well a gene's true label fits what gLM predicts of it while it is masked.

    The likelihood by itself says mostly how unusual a protein is anywhere. What the context adds to it is the
    ratio to the likelihood under what gLM predicts of a gene without neighbours.

    Buffers: sigma, the standard deviation of the label about a prediction; quantiles_Q of the log-ratio of
    held-out genes, rising.
    """

    sigma: Tensor
    quantiles_Q: Tensor

    def __init__(self, config: ContextFitConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("sigma", torch.ones(()))
        self.register_buffer("quantiles_Q", torch.linspace(0.0, 1.0, config.quantiles))

    def log_likelihood(self, output: GLMOutput, label_BTL: Tensor) -> Tensor:
        """log sum_i p_i N(y; pred_i, sigma^2 I) in nats, (B, T), of label y under likelihoods p."""
        L = label_BTL.shape[-1]
        squares_BTP = (output.predictions_BTPL.float() - label_BTL[..., None, :]).square().sum(-1)
        log_p_BTP = output.likelihood_logits_BTP.float().log_softmax(-1)
        log_density_BTP = -0.5 * squares_BTP / self.sigma**2 - L * (
            self.sigma.log() + 0.5 * math.log(2 * math.pi)
        )
        return torch.logsumexp(log_p_BTP + log_density_BTP, dim=-1)

    def log_ratio(self, output: GLMOutput, lone: GLMOutput, label_BTL: Tensor) -> Tensor:
        """How much likelier labels are in their context than without one, in nats, (B, T).

        Args:
            output: for the masked genes.
            lone: as `lone_gene` gives it.
            label_BTL: the true labels.
        """
        return self.log_likelihood(output, label_BTL) - self.log_likelihood(lone, label_BTL)

    def percentile(self, log_ratio: Tensor) -> Tensor:
        """Percentage (0 to 100) of held-out genes whose log-ratio is lower, interpolated; any shape."""
        return percentile(self.quantiles_Q, log_ratio)


def percentile(quantiles_Q: Tensor, value: Tensor) -> Tensor:
    """Percentage (0 to 100) of a distribution, given by its quantiles, below a value; any shape."""
    last = quantiles_Q.numel() - 1
    above = torch.searchsorted(quantiles_Q, value.contiguous(), right=True).clamp(1, last)
    low, high = quantiles_Q[above - 1], quantiles_Q[above]
    part = (value - low) / (high - low).clamp_min(torch.finfo(low.dtype).tiny)
    return 100.0 / last * (above - 1 + part.clamp(0.0, 1.0))


def mask_inputs(x_BTE: Tensor, masked_BT: Tensor, keep_strand_BT: Tensor | None = None) -> Tensor:
    """The inputs with every number of the masked genes replaced by -1.

    Args:
        x_BTE: inputs.
        masked_BT: genes to mask.
        keep_strand_BT: masked genes whose orientation stays; None replaces it, too, as published.
    """
    x_BTE, unmasked_BTE = x_BTE.masked_fill(masked_BT[..., None], MASK_VALUE), x_BTE
    if keep_strand_BT is not None:
        x_BTE[..., -1] = torch.where(keep_strand_BT, unmasked_BTE[..., -1], x_BTE[..., -1])
    return x_BTE


@torch.inference_mode()
def lone_gene(network: Callable[[Tensor, Tensor], GLMOutput], reference: Tensor) -> GLMOutput:
    """What a gLM predicts of a masked gene that has no neighbours: the same for every gene, (1, 1, ...).

    Args:
        network: the gLM.
        reference: any of its inputs (..., E); says their size, type and device.
    """
    x_BTE = reference.new_full((1, 1, reference.shape[-1]), MASK_VALUE)
    return network(x_BTE, torch.ones(1, 1, dtype=torch.bool, device=x_BTE.device))


def context_masks(n_genes: int, device: torch.device | str = "cpu") -> Tensor:
    """Masks for inference, (passes, n_genes): every 7th gene at a time, each gene in exactly one pass."""
    gene = torch.arange(n_genes, device=device)
    passes = torch.arange(min(MASK_STRIDE, n_genes), device=device)
    return gene[None, :] % MASK_STRIDE == passes[:, None]


def _orientation(strands_G: Tensor) -> Tensor:
    return (ORIENTATION * strands_G.float())[..., None]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=DISTANCE_STD)
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=INIT_GAIN / module.in_features**0.5)
        nn.init.zeros_(module.bias)
