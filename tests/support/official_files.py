"""Files as others publish them, with random weights: gLM checkpoints, their pickles, and ESM2 encoders."""

from __future__ import annotations

import pickle
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import esm
import numpy as np
import torch
from sklearn.decomposition import PCA
from torch import Tensor


@dataclass(frozen=True)
class Sizes:
    """Of a checkpoint; `distance` is the longest window, `labels` the numbers of a prediction."""

    embedding: int
    dim: int
    heads: int
    ffn: int
    layers: int
    distance: int = 512
    predictions: int = 4
    labels: int = 100


PUBLISHED = Sizes(embedding=1280, dim=1280, heads=10, ffn=3072, layers=19)


def live_weights(sizes: Sizes, seed: int = 0) -> dict[str, Tensor]:
    """The 332 tensors (of 19 layers) that compute, as glm.md names them; none makes a term vanish."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}

    def add(name: str, *shape: int, scale: float, about: float = 0.0) -> None:
        state[name] = about + scale * torch.randn(shape, generator=generator)

    def linear(name: str, outputs: int, inputs: int) -> None:
        add(f"{name}.weight", outputs, inputs, scale=inputs**-0.5)
        add(f"{name}.bias", outputs, scale=0.1)

    def norm(name: str) -> None:
        add(f"{name}.weight", sizes.dim, scale=0.2, about=1.0)
        add(f"{name}.bias", sizes.dim, scale=0.2)

    linear("dense", sizes.dim, sizes.embedding + 1)
    add("roberta.roberta.embeddings.token_type_embeddings.weight", 1, sizes.dim, scale=0.5)
    norm("roberta.roberta.embeddings.LayerNorm")
    for number in range(sizes.layers):
        layer = f"roberta.roberta.encoder.layer.{number}"
        for name in ("query", "key", "value"):
            linear(f"{layer}.attention.self.{name}", sizes.dim, sizes.dim)
        table = f"{layer}.attention.self.distance_embedding.weight"
        add(table, 2 * sizes.distance - 1, sizes.dim // sizes.heads, scale=0.5)
        linear(f"{layer}.attention.output.dense", sizes.dim, sizes.dim)
        norm(f"{layer}.attention.output.LayerNorm")
        linear(f"{layer}.intermediate.dense", sizes.ffn, sizes.dim)
        linear(f"{layer}.output.dense", sizes.dim, sizes.ffn)
        norm(f"{layer}.output.LayerNorm")
    linear("roberta.lm_head.dense", sizes.predictions * sizes.labels, sizes.dim)
    linear("roberta.lm_head.dense_prob", sizes.predictions, sizes.dim)
    return state


def with_copies(live: dict[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint as it is published: the unused copies of the network and a contact head beside it."""
    state = dict(live)
    for name, tensor in live.items():
        if name.startswith("roberta.roberta."):
            inner = name.removeprefix("roberta.roberta.")
            state[f"roberta.{inner}"] = torch.randn(tensor.shape)
            state[f"roberta.roberta.roberta.{inner}"] = torch.randn(tensor.shape)
    state["roberta.contact_head.regression.weight"] = torch.randn(1, 190)
    return state


def write_pickles(folder: Path, sizes: Sizes, *, protocol: int = 4) -> tuple[dict[str, Any], PCA]:
    """Write norm.pkl and pca.pkl of made embeddings; returns what they hold."""
    rng = np.random.default_rng(5)
    mixed = rng.normal(size=(2 * sizes.embedding, sizes.embedding)) * rng.uniform(0.3, 2, sizes.embedding)
    embeddings = mixed + rng.normal(size=sizes.embedding)
    norm = {"mean": embeddings.mean(0), "std": embeddings.std(0)}
    pca = PCA(sizes.labels - 1, whiten=True, random_state=0).fit(
        (embeddings - norm["mean"]) / norm["std"] + 0.1
    )
    (folder / "norm.pkl").write_bytes(pickle.dumps(norm, protocol=protocol))
    (folder / "pca.pkl").write_bytes(pickle.dumps(pca, protocol=protocol))
    return norm, pca


def write_esm2(path: Path, layers: int, dim: int, heads: int, dtype: torch.dtype = torch.float32) -> esm.ESM2:
    """Write an encoder as fair-esm publishes it, without the contact head; returns the model."""
    torch.manual_seed(3)
    model = esm.ESM2(num_layers=layers, embed_dim=dim, attention_heads=heads).eval()
    for parameter in model.parameters():
        if parameter.dim() == 1:  # norms and biases unlike what they start as
            parameter.data += 0.1 * torch.randn(parameter.shape)
    settings = Namespace(
        encoder_layers=layers, encoder_embed_dim=dim, encoder_attention_heads=heads, token_dropout=True
    )
    state = {
        f"encoder.{'' if name.startswith('lm_head') else 'sentence_encoder.'}{name}": value.to(dtype)
        for name, value in model.state_dict().items()
        if not name.startswith("contact_head")
    }
    torch.save({"cfg": {"model": settings}, "model": state}, path)
    return model
