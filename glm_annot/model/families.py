"""Gene families: which one a protein belongs to, and which ones a gLM expects at a masked gene.

A family is a centroid among protein embeddings. A protein belongs to the family whose centroid is nearest, if
it is near enough; otherwise it has none, and 'none' counts as one more family wherever families compete.

Axes: F families; D dimensions of a protein's embedding; G genes in a list; N masked genes; H hidden features
of a gLM; B windows, T genes of a window; P predictions, L numbers of a label as in `glm_annot.model.glm`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from glm_annot.model.glm import MASK_VALUE, ORIENTATION, GeneFeatures, GLMOutput

ROWS = 512  # proteins compared with all centroids at a time


@dataclass(frozen=True)
class FamilyTableConfig:
    """Size of a `FamilyTable`: families, and dimensions of the encoder's embeddings."""

    families: int
    dim: int


class FamilyTable(nn.Module):
    """The families that an encoder tells apart.

    Args:
        config: its size.

    Buffers: mean_D and std_D bring each dimension to one scale; centroids_FD have length 1; `nearest` is the
    cosine to a centroid from which on a protein belongs to its family.
    """

    mean_D: Tensor
    std_D: Tensor
    centroids_FD: Tensor
    nearest: Tensor

    def __init__(self, config: FamilyTableConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean_D", torch.zeros(config.dim))
        self.register_buffer("std_D", torch.ones(config.dim))
        self.register_buffer("centroids_FD", torch.zeros(config.families, config.dim))
        self.register_buffer("nearest", torch.zeros(()))

    @property
    def none(self) -> int:
        """The number that stands for 'no family': one beyond the last family."""
        return self.config.families

    def directions(self, embeddings_GD: Tensor) -> Tensor:
        """Embeddings on one scale and of length 1, (G, D) in the table's type."""
        scaled_GD = (embeddings_GD.to(self.mean_D.dtype) - self.mean_D) / self.std_D
        return nn.functional.normalize(scaled_GD, dim=-1)

    def assign(self, embeddings_GD: Tensor) -> tuple[Tensor, Tensor]:
        """The family of each protein, `none` for those without one, and the cosine to the nearest centroid.

        Args:
            embeddings_GD: on any device; they are compared on the table's.

        Returns:
            int64 (G,) and float32 (G,), on the table's device.
        """
        family_G, cosine_G = self.compare(embeddings_GD)
        return family_G.masked_fill(cosine_G < self.nearest, self.none), cosine_G

    @torch.inference_mode()
    def compare(self, embeddings_GD: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest family of each protein, however far it is, and the cosine; as `assign` otherwise."""
        families, cosines = [], []
        for rows_GD in torch.split(embeddings_GD, ROWS):
            found = self.directions(rows_GD.to(self.mean_D.device)) @ self.centroids_FD.T
            cosine_G, family_G = found.max(dim=1)
            families.append(family_G)
            cosines.append(cosine_G.float())
        if not families:
            device = self.mean_D.device
            return torch.zeros(0, dtype=torch.long, device=device), torch.zeros(0, device=device)
        return torch.cat(families), torch.cat(cosines)


@dataclass(frozen=True)
class FamilyHeadConfig:
    """Size of a `FamilyHead`.

    Attributes:
        hidden: hidden features of the gLM.
        families: how many there are, the largest first.
        dim: dimensions of their centroids.
        own: so many of the largest families have weights of their own.
    """

    hidden: int
    families: int
    dim: int
    own: int = 0


class FamilyHead(nn.Module):
    """Which family a masked gene is of, and which strand it is on, from gLM's last hidden state.

    Whether the gene has a family at all is asked first. A family's logit is the product of its centroid with
    a vector among protein embeddings that the hidden state is turned into, so that families with few genes
    share what is learned of those that lie near them. Large families add a product with weights of their own:
    without these, gLM learns very slowly which family stands beside which.

    Args:
        config: its size.
    """

    def __init__(self, config: FamilyHeadConfig) -> None:
        super().__init__()
        self.config = config
        self.vector = nn.Linear(config.hidden, config.dim)
        self.bias_F = nn.Parameter(torch.zeros(config.families))
        self.own = nn.Linear(config.hidden, min(config.own, config.families), bias=False)
        self.none = nn.Linear(config.hidden, 1)
        self.strand = nn.Linear(config.hidden, 1)

    def forward(self, hidden_NH: Tensor, table: FamilyTable) -> Tensor:
        """Logarithms of the probabilities of the families and of none, which comes last: (N, F + 1)."""
        none_N1 = self.none_logits(hidden_NH)[:, None].float()
        log_p_NF = self.family_logits(hidden_NH, table).float().log_softmax(-1)
        return torch.cat([log_p_NF + logsigmoid(-none_N1), logsigmoid(none_N1)], dim=1)

    def family_logits(self, hidden_NH: Tensor, table: FamilyTable) -> Tensor:
        """Logits of the families, should the gene have one: (N, F)."""
        vector_ND = self.vector(hidden_NH)
        logits_NF = vector_ND @ table.centroids_FD.to(vector_ND.dtype).T + self.bias_F
        own = self.own(hidden_NH)
        return torch.cat([logits_NF[:, : own.shape[1]] + own, logits_NF[:, own.shape[1] :]], dim=1)

    def none_logits(self, hidden_NH: Tensor) -> Tensor:
        """Logit of having no family, (N,)."""
        logits_N: Tensor = self.none(hidden_NH)[:, 0]
        return logits_N

    def strand_logits(self, hidden_NH: Tensor) -> Tensor:
        """Logit of the forward strand, (N,)."""
        logits_N: Tensor = self.strand(hidden_NH)[:, 0]
        return logits_N


class FamilyGLM(nn.Module):
    """A gLM whose predictions of masked genes are families; it takes a `GLM`'s place where genes are masked.

    The likeliest families are the predictions, each as the label of its centroid, with their shares of the
    families' probability as likelihoods. The orientation of all of them is the expected one. So everything
    that reads the paper's predictions reads these, too.

    Args:
        network: a gLM, or another network with its interface, that gives its last hidden state.
        table, head, features: of the same model, on one device.
        predictions: how many families, 4 as in the paper.
    """

    def __init__(
        self,
        network: nn.Module,
        table: FamilyTable,
        head: FamilyHead,
        features: GeneFeatures,
        predictions: int = 4,
    ) -> None:
        super().__init__()
        self.network, self.table, self.head, self.features = network, table, head, features
        self.predictions = predictions

    def forward(
        self, x_BTE: Tensor, real_BT: Tensor, *, hidden_states: bool = False, attentions: bool = False
    ) -> GLMOutput:
        """As `GLM.forward`; predictions and likelihoods are 0 but for masked genes."""
        more = {"hidden_states": True} if hidden_states else {}
        more |= {"attentions": True} if attentions else {}
        output: GLMOutput = self.network(x_BTE, real_BT, **more)
        masked_BT = masked_genes(x_BTE) & real_BT
        logits_NF = self.log_probabilities(output, masked_BT)[:, : self.table.none]
        top = logits_NF.topk(min(self.predictions, self.table.none), dim=-1)
        forward_N = self.head.strand_logits(last_hidden(output)[masked_BT]).sigmoid()
        labels_NPL = self._labels(top.indices, forward_N.to(logits_NF.dtype))
        shape = (*masked_BT.shape, top.indices.shape[1])
        predictions_BTPL = logits_NF.new_zeros(*shape, labels_NPL.shape[-1])
        logits_BTP = logits_NF.new_zeros(shape)
        predictions_BTPL[masked_BT], logits_BTP[masked_BT] = labels_NPL.to(logits_NF.dtype), top.values
        return replace(output, predictions_BTPL=predictions_BTPL, likelihood_logits_BTP=logits_BTP)

    def log_probabilities(self, output: GLMOutput, masked_BT: Tensor) -> Tensor:
        """Logarithms of the probabilities of the families and of none for the masked genes: (N, F + 1)."""
        log_p_NF: Tensor = self.head(last_hidden(output)[masked_BT], self.table)
        return log_p_NF

    def _labels(self, family_NP: Tensor, forward_N: Tensor) -> Tensor:
        """Labels (N, P, L) of families' centroids, with the expected orientation."""
        table = self.table
        embeddings_NPD = table.centroids_FD[family_NP] * table.std_D + table.mean_D
        labels_NPL = self.features.labels(embeddings_NPD, torch.ones_like(family_NP))
        labels_NPL[..., -1] = (ORIENTATION * (2 * forward_N - 1))[:, None]
        return labels_NPL


def masked_genes(x_BTE: Tensor) -> Tensor:
    """Which genes of inputs are masked: those of whose embedding every number was replaced, (B, T)."""
    return (x_BTE[..., :-1] == MASK_VALUE).all(-1)


def last_hidden(output: GLMOutput) -> Tensor:
    """The last hidden state, (B, T, H).

    Raises:
        ValueError: the network gives none.
    """
    if output.last_BTF is None:
        raise ValueError("the network gives no last hidden state, from which families are predicted")
    return output.last_BTF
