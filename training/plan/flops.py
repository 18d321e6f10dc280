"""Floating-point operations of encoder and gLM, by formula: a multiplication and an addition are two.

A linear layer costs 2 operations a weight and token; training costs three times the forward pass, since the
backward pass makes two products for each: 2 N and 6 N operations a token for N weights (Kaplan et al. 2020,
arXiv:2001.08361, section 2.1). Attention comes on top. Norms, softmax and activations are left out. A family
encoder adds up rows of its table, one for each kind of k-mers and residue, before its linear layers.
"""

from __future__ import annotations

from glm_annot.model.encoder import ProteinEncoderConfig
from glm_annot.model.family_encoder import KINDS
from glm_annot.model.sizes import FamilyEncoderConfig, GLMConfig, PLMConfig

TRAINING = 3  # times the forward pass


def encoder_token(config: PLMConfig) -> int:
    """Of an ESM2 encoder's linear layers for a token: 4 D^2 weights of attention and 8 D^2 beside it."""
    return 2 * config.layers * 12 * config.dim**2


def encoder_attention(config: PLMConfig, tokens: int) -> int:
    """Of an encoder's attention over a protein of so many tokens T: 2 T^2 D for each of its two products."""
    return 4 * config.layers * tokens**2 * config.dim


def family_residue(config: FamilyEncoderConfig) -> int:
    """Of a family encoder's sums for a residue: an addition of K numbers for each kind of k-mers."""
    return len(KINDS) * config.kmer_dim


def family_protein(config: FamilyEncoderConfig) -> int:
    """Of a family encoder's three linear layers for a protein."""
    return 2 * config.hidden * (config.kmer_dim + 1 + config.hidden + config.dim)


def embedding(config: ProteinEncoderConfig, proteins: int, residues: int) -> int:
    """Of embedding proteins with this many residues in all, as if all had the mean length."""
    if isinstance(config, FamilyEncoderConfig):
        return family_residue(config) * residues + family_protein(config) * proteins
    ends = 2  # tokens of each protein: begin and end
    attention = encoder_attention(config, residues // max(1, proteins) + ends) * proteins
    return encoder_token(config) * (residues + ends * proteins) + attention


def glm_window(config: GLMConfig, genes: int) -> int:
    """Of gLM's linear layers for a window of so many genes."""
    layer = 4 * config.dim**2 + 2 * config.dim * config.ffn
    ends = config.dim * (config.input_dim + config.predictions * (config.labels + 1))
    return 2 * genes * (config.layers * layer + ends)


def glm_attention(config: GLMConfig, genes: int) -> int:
    """Of gLM's attention over a window of T genes: 2 T^2 F for each of four products.

    Queries with keys, attention with values, and queries and keys with the relative positions.
    """
    return 8 * config.layers * genes**2 * config.dim
