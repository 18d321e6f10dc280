"""The published gLM checkpoint (Hwang et al. 2023) as a bundle: the weights that are used, and nothing else.

Its program nests the network three times; only one copy computes. Keys of that copy, as `_RENAMED` lists
them, are read; all others may be there or not. Sizes are read off the shapes.

Axes: D dimensions of a protein's embedding, L principal components in a label, F hidden features.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from glm_annot import bundle
from glm_annot.errors import InputError
from glm_annot.model.esm import Encoder
from glm_annot.model.glm import GLM, GeneFeatures
from glm_annot.model.sizes import GLMConfig

from ..common.untrusted import Array, PCAState, read_pickle, read_torch
from .card import parts_table

NAME, VERSION = "published", "1.0.0"
MOST_LAYERS = 200  # the published gLM has 19
LICENCE = (
    "The published gLM weights (copyright President and Fellows of Harvard College) are for academic, "
    "non-commercial research only. They may not be passed on, and neither may what is made of them: this "
    "model, and any with heads fitted to it. See https://github.com/y-hwang/gLM/blob/main/LICENSE"
)

_LAYER = "roberta.roberta.encoder.layer"
_ATTENTION = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "distance": "attention.self.distance_embedding",
    "output": "attention.output.dense",
}
_LAYER_PARTS = {
    **{f"attention.{ours}": theirs for ours, theirs in _ATTENTION.items()},
    "attention_norm": "attention.output.LayerNorm",
    "ffn.0": "intermediate.dense",
    "ffn.2": "output.dense",
    "ffn_norm": "output.LayerNorm",
}
_RENAMED = {
    "embedding": "dense",
    "token_type": "roberta.roberta.embeddings.token_type_embeddings.weight",
    "embedding_norm": "roberta.roberta.embeddings.LayerNorm",
    "predict": "roberta.lm_head.dense",
    "likelihood": "roberta.lm_head.dense_prob",
}
_WRAPPER = re.compile(r"^(module\.)+")  # of data-parallel training


def import_glm(
    checkpoint: Path, norm: Path, pca: Path, encoder: Encoder, folder: Path, *, command: str
) -> GLMConfig:
    """Write the bundle of a published checkpoint.

    The bundle has no heads and no context fit yet: both are fitted to genomes (see `"keep"` in `recipe`).

    Args:
        checkpoint: `glm.bin`, or a `.cp` file of training.
        norm, pca: the pickles beside it.
        encoder: the one whose embeddings it was trained on, ESM2 650M.
        folder: where to; an earlier model there is replaced.
        command: what was typed, for the card.

    Returns:
        the sizes of the gLM.

    Raises:
        InputError: a file that is not what it should be; the files or the encoder do not fit together.
    """
    glm = read_glm(checkpoint)
    features = read_features(norm, pca, glm.config)
    if encoder.config.dim != glm.config.input_dim - 1:
        raise InputError(
            f"reads embeddings of {glm.config.input_dim - 1} numbers, not of {encoder.config.dim}: "
            "give --plm the encoder that it was trained with",
            checkpoint,
        )
    model = bundle.Model(NAME, VERSION, "", encoder, features, glm, fit=None, operons=None, ec=None)
    bundle.save(model, folder, metrics={}, card=_card(model, command), bf16=())
    return glm.config


def read_glm(path: Path) -> GLM:
    """Read the live weights of a checkpoint, memory-mapped.

    Raises:
        InputError: a live key is missing or has a shape that does not fit the others.
    """
    state = _live(read_torch(path), path)
    config = _config(state, path)
    with torch.device("meta"):
        wanted = {name: tensor.shape for name, tensor in GLM(config).state_dict().items()}
    found = {}
    for name, shape in wanted.items():
        tensor = _tensor(state, _their_name(name), path).float()
        found[name] = tensor[0] if name == "token_type" and tensor.dim() == 2 else tensor
        if found[name].shape != shape:
            raise InputError(
                f"{_their_name(name)} has the shape {tuple(tensor.shape)}, which does not fit the others",
                path,
            )
    return bundle.filled(GLM, config, found).eval().requires_grad_(False)


def read_features(norm: Path, pca: Path, config: GLMConfig) -> GeneFeatures:
    """Read what makes inputs and labels: mean, deviation, and PCA of the training corpus's embeddings.

    Raises:
        InputError: a pickle that holds something else, or does not fit the checkpoint.
    """
    D, L = config.input_dim - 1, config.labels - 1
    factors, found = read_pickle(norm), read_pickle(pca)
    if not isinstance(factors, dict):
        raise InputError("holds no dict of 'mean' and 'std'", norm)
    if not isinstance(found, PCAState):
        raise InputError("holds no PCA of scikit-learn", pca)
    whiten = found.found.get("whiten")
    if not isinstance(whiten, bool):
        raise InputError("does not say whether it whitens", pca)
    variance_L = _numbers(found.found, "explained_variance_", (L,), pca)
    values = {
        "mean_D": _numbers(factors, "mean", (D,), norm),
        "std_D": _numbers(factors, "std", (D,), norm),
        "pca_mean_D": _numbers(found.found, "mean_", (D,), pca),
        "pca_components_LD": _numbers(found.found, "components_", (L, D), pca),
        "pca_scale_L": np.sqrt(variance_L) if whiten else np.ones(L),
    }
    for name, path in (("std_D", norm), ("pca_scale_L", pca)):
        if not (values[name] > 0).all():
            raise InputError("has a standard deviation that is not positive", path)
    tensors = {name: torch.from_numpy(value.astype(np.float32)) for name, value in values.items()}
    return bundle.filled(GeneFeatures, config, tensors).eval()


def _live(content: object, path: Path) -> dict[str, object]:
    """A checkpoint's tensors by name, without the wrappers of training."""
    if isinstance(content, dict) and isinstance(content.get("model_state_dict"), dict):
        content = content["model_state_dict"]
    if not isinstance(content, dict):
        raise InputError("holds no weights by name", path)
    return {_WRAPPER.sub("", str(name)): tensor for name, tensor in content.items()}


def _config(state: Mapping[str, object], path: Path) -> GLMConfig:
    """The network's sizes, read off the shapes."""

    def shape(name: str) -> tuple[int, int]:
        found = _tensor(state, name, path).shape
        if len(found) != 2 or not all(found):
            raise InputError(f"{name} has the shape {tuple(found)}, not two axes", path)
        return found[0], found[1]

    dim, input_dim = shape("dense.weight")
    positions, width = shape(f"{_LAYER}.0.attention.self.distance_embedding.weight")
    numbers, predictions = (
        shape("roberta.lm_head.dense.weight")[0],
        shape("roberta.lm_head.dense_prob.weight")[0],
    )
    layers = {int(m[1]) for m in (re.match(re.escape(_LAYER) + r"\.(\d+)\.", name) for name in state) if m}
    if len(layers) > MOST_LAYERS:
        raise InputError(f"names {len(layers)} layers; a gLM has at most {MOST_LAYERS}", path)
    if dim % width or positions % 2 == 0 or numbers % predictions:
        raise InputError("its shapes fit no gLM: heads, positions or predictions come out uneven", path)
    try:
        return GLMConfig(
            input_dim=input_dim,
            dim=dim,
            layers=len(layers),  # a gap among their numbers is a missing layer
            heads=dim // width,
            ffn=shape(f"{_LAYER}.0.intermediate.dense.weight")[0],
            max_distance=(positions + 1) // 2,
            predictions=predictions,
            labels=numbers // predictions,
        )
    except ValueError as error:
        raise InputError(f"its shapes fit no gLM: {error}", path) from error


def _their_name(name: str) -> str:
    """The checkpoint's name of a tensor of `GLM`."""
    if name in _RENAMED:
        return _RENAMED[name]
    part, kind = name.rsplit(".", 1)
    if part in _RENAMED:
        return f"{_RENAMED[part]}.{kind}"
    _, number, part = part.split(".", 2)
    return f"{_LAYER}.{number}.{_LAYER_PARTS[part]}.{kind}"


def _tensor(state: Mapping[str, object], name: str, path: Path) -> Tensor:
    tensor = state.get(name)
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        raise InputError(f"has no weights {name}: not a published gLM checkpoint", path)
    if not torch.isfinite(tensor.float()).all():
        raise InputError(f"the weights {name} have numbers that are not finite in float32", path)
    return tensor


def _numbers(
    found: Mapping[str, Any], name: str, shape: tuple[int, ...], path: Path
) -> npt.NDArray[np.float64]:
    """One array of a pickle, float64."""
    value = found.get(name)
    if not isinstance(value, Array):
        raise InputError(f"holds no array {name!r}", path)
    if value.value.shape != shape:
        raise InputError(f"{name!r} has the shape {value.value.shape}; the checkpoint needs {shape}", path)
    numbers = value.value.astype(np.float64)
    with np.errstate(over="ignore"):
        is_finite = np.isfinite(numbers.astype(np.float32)).all()
    if not is_finite:
        raise InputError(f"{name!r} has numbers that are not finite in float32", path)
    return numbers


def _card(model: bundle.Model, command: str) -> str:
    """The text of the model card."""
    sections = [
        f"# {model.name} {model.version}",
        "The gLM of Hwang et al. (2023) as its authors trained it, with the ESM2 encoder that it reads. It "
        "has neither heads nor a context fit, so it predicts nothing yet.",
        f"## Licence\n\n{LICENCE}. ESM2 is MIT-licensed.",
        parts_table(model),
        f"## Made\n\nBy `{command}`.",
    ]
    return "\n\n".join(sections) + "\n"
