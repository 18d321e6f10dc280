"""Sizes of the networks, apart from them so that settings can be read and checked without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MOST_FAMILIES = 20_000  # in a table: more find no more genes of genomes that nobody trained on


@dataclass(frozen=True, slots=True)
class PLMConfig:
    """Shape of an ESM2 encoder and how it reads long proteins.

    Attributes:
        layers, dim, heads: as in fair-esm (attention heads); the feed-forward layer is 4 * dim wide.
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


@dataclass(frozen=True, slots=True)
class FamilyEncoderConfig:
    """Shape of a family encoder.

    Attributes:
        dim: numbers of an embedding, which has length 1.
        kmer_dim: numbers of a k-mer's row in the table; even, since two are stored in a byte.
        hidden: width of the network.
        hash_bits: a kind of more than 2^hash_bits k-mers is hashed to that many rows.
    """

    dim: int = 160
    kmer_dim: int = 72
    hidden: int = 512
    hash_bits: int = 17

    def __post_init__(self) -> None:
        if min(self.dim, self.kmer_dim, self.hidden) < 1:
            raise ValueError("dim, kmer_dim and hidden must be above 0")
        if self.kmer_dim % 2:
            raise ValueError(f"kmer_dim must be even, not {self.kmer_dim}")
        if not 1 <= self.hash_bits <= 30:
            raise ValueError(f"hash_bits must be 1 to 30, not {self.hash_bits}")


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
        norm: 'post', as published: each residual sum is normalised; or 'pre': what each block reads is, and
            the last hidden state (Xiong et al. 2020). Small gLMs learn context with 'pre' only.
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
    norm: Literal["post", "pre"] = "post"

    def __post_init__(self) -> None:
        if self.norm not in ("post", "pre"):
            raise ValueError(f"norm is 'post' or 'pre', not {self.norm!r}")
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is not a multiple of heads {self.heads}")
        if not 2 <= self.labels <= self.input_dim:
            raise ValueError(f"labels must be 2 to input_dim ({self.input_dim}), not {self.labels}")
