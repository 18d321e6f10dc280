"""Sizes of the networks, apart from them so that settings can be read and checked without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PLMConfig:
    """Shape of an ESM2 encoder and how it reads long proteins.

    Attributes:
        layers, dim, heads: as in fair-esm; the feed-forward layer is 4 * dim wide.
        max_residues: proteins up to this length are read whole. Longer ones are read in pieces of this
            length that overlap by `overlap` residues, and their means are averaged, weighted by length.
    """

    layers: int
    dim: int
    heads: int
    max_residues: int = 4096
    overlap: int = 256

    def __post_init__(self) -> None:
        if min(self.layers, self.dim, self.heads) < 1:
            raise ValueError("layers, dim and heads must be above 0")
        if self.dim % self.heads or (self.dim // self.heads) % 2:
            raise ValueError(f"dim {self.dim} must be an even multiple of heads {self.heads}")
        if not 0 <= self.overlap < self.max_residues:
            raise ValueError("overlap must be smaller than max_residues")


@dataclass(frozen=True)
class GLMConfig:
    """Sizes of a gLM. The published model: GLMConfig(1281, 1280, 19, 10, 3072, max_distance=512).

    Attributes:
        input_dim: numbers per gene: the protein embedding's dimensions and the orientation.
        dim: hidden features, a multiple of `heads`.
        layers, heads: transformer layers, and attention heads of each.
        ffn: hidden features of the feed-forward block.
        max_distance: most genes in a window; the table of relative positions has 2 * max_distance - 1 rows.
        predictions: alternative predictions per gene, each with a likelihood.
        labels: numbers that a prediction consists of: principal components and the orientation.
        dropout: rate on hidden features and attention while training.
    """

    input_dim: int
    dim: int
    layers: int
    heads: int
    ffn: int
    max_distance: int = 32
    predictions: int = 4
    labels: int = 100
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is not a multiple of heads {self.heads}")
        if not 2 <= self.labels <= self.input_dim:
            raise ValueError(f"labels must be 2 to input_dim ({self.input_dim}), not {self.labels}")
