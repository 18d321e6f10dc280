"""The baseline without attention: a bidirectional LSTM with gLM's inputs, heads, losses and size."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from glm_annot.model.glm import GLM, GLMOutput
from glm_annot.model.sizes import GLMConfig

DEPTH = 3  # layers; deeper stacks of LSTMs train badly without further measures
WIDEST = 20_000  # hidden features; a bound of the search for equal size, 14 billion parameters


@dataclass(frozen=True)
class LSTMConfig:
    """Sizes of the baseline.

    Attributes:
        input_dim, predictions, labels, dropout: as in `GLMConfig`.
        width: hidden features of each direction.
        layers: stacked bidirectional layers.
    """

    input_dim: int
    width: int
    layers: int = DEPTH
    predictions: int = 4
    labels: int = 100
    dropout: float = 0.1


class BiLSTM(nn.Module):
    """Takes the place of `GLM` in training and evaluation; has no attentions and keeps no hidden states."""

    def __init__(self, config: LSTMConfig) -> None:
        super().__init__()
        self.config = config
        between = config.dropout if config.layers > 1 else 0.0
        self.lstm = nn.LSTM(
            config.input_dim,
            config.width,
            config.layers,
            batch_first=True,
            dropout=between,
            bidirectional=True,
        )
        self.predict = nn.Linear(2 * config.width, config.predictions * config.labels)
        self.likelihood = nn.Linear(2 * config.width, config.predictions)

    def forward(self, x_BTE: Tensor, real_BT: Tensor) -> GLMOutput:
        """As `GLM.forward`; genes come first in each window, padding after them."""
        lengths_B = real_BT.sum(1).cpu()
        packed = pack_padded_sequence(x_BTE, lengths_B, batch_first=True, enforce_sorted=False)
        h_BTF, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x_BTE.shape[1])
        shape = (*x_BTE.shape[:2], self.config.predictions, self.config.labels)
        return GLMOutput(self.predict(h_BTF).view(shape), self.likelihood(h_BTF), h_BTF)


def of_equal_size(glm: GLMConfig, layers: int = DEPTH) -> LSTMConfig:
    """The baseline whose number of parameters is nearest to that of a gLM."""

    def config(width: int) -> LSTMConfig:
        return LSTMConfig(glm.input_dim, width, layers, glm.predictions, glm.labels, glm.dropout)

    def size(width: int) -> int:
        return _parameters(BiLSTM, config(width))

    wanted = _parameters(GLM, glm)
    widths = range(1, WIDEST)
    above = bisect.bisect_left(widths, wanted, key=size)
    return config(min(widths[max(above - 1, 0) : above + 1], key=lambda width: abs(size(width) - wanted)))


def _parameters(network: Callable[[Any], nn.Module], config: Any) -> int:
    """Number of parameters, found without allocating them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in network(config).parameters())
