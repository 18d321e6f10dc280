"""From run folders to a bundle: the trained parts, what was measured, and a generated model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_model, save_model
from torch import nn

from glm_annot import bundle
from glm_annot.errors import InputError
from glm_annot.glm import GLM
from glm_annot.heads import ECHead, ECHeadConfig
from glm_annot.operons import OperonHead, OperonHeadConfig
from glm_annot.plm import Encoder, PLMConfig

from .card import model_card
from .glm import load_run

_HEADS: dict[str, tuple[type[nn.Module], type[Any]]] = {
    "operons": (OperonHead, OperonHeadConfig),
    "ec": (ECHead, ECHeadConfig),
}


@dataclass(frozen=True)
class Runs:
    """Where the parts of a model are.

    Attributes:
        corpus: the corpus folder, for its record.
        plm, glm: finished run folders.
        heads: folder that `save_head` wrote to; None for a model without heads.
    """

    corpus: Path
    plm: Path
    glm: Path
    heads: Path | None = None


def read_encoder(run: Path) -> Encoder:
    """Read the encoder that a finished run exported.

    Raises:
        InputError: the folder holds no finished run.
    """
    config, weights = run / "plm.json", run / "plm.safetensors"
    if not (config.exists() and weights.exists()):
        raise InputError("holds no finished encoder training", run)
    encoder = Encoder(PLMConfig(**json.loads(config.read_text(encoding="utf-8"))))
    load_model(encoder, str(weights))
    return encoder.eval()


def keep_encoder(model: str | Path, run: Path) -> None:
    """Take the encoder of a finished model as if a run had trained it."""
    encoder = bundle.load(model).encoder
    run.mkdir(parents=True, exist_ok=True)
    save_model(encoder, str(run / "plm.safetensors"))
    (run / "plm.json").write_text(json.dumps(asdict(encoder.config), indent=1), encoding="utf-8")


def save_head(folder: Path, name: str, head: nn.Module) -> None:
    """Export a fitted head, 'operons' or 'ec'."""
    folder.mkdir(parents=True, exist_ok=True)
    save_model(head, str(folder / f"{name}.safetensors"))
    (folder / f"{name}.json").write_text(json.dumps(asdict(head.config), indent=1), encoding="utf-8")


def read_head(folder: Path, name: str) -> nn.Module | None:
    """Read a head that `save_head` exported; None when there is none."""
    config = folder / f"{name}.json"
    if not config.exists():
        return None
    kind, config_kind = _HEADS[name]
    head = kind(config_kind(**json.loads(config.read_text(encoding="utf-8"))))
    load_model(head, str(folder / f"{name}.safetensors"))
    return head.eval()


def read_model(runs: Runs, name: str, version: str) -> bundle.Model:
    """Put the parts of a model together.

    Raises:
        InputError: a run is not finished, or the gLM is the baseline, which no bundle holds.
    """
    run = load_run(runs.glm)
    if not isinstance(run.network, GLM):
        raise InputError("holds the baseline, not a gLM; only a gLM makes a model", runs.glm)
    heads = {part: read_head(runs.heads, part) if runs.heads else None for part in _HEADS}
    return bundle.Model(
        name=name,
        version=version,
        sha256="",
        encoder=read_encoder(runs.plm),
        features=run.features,
        glm=run.network,
        fit=run.fit,
        metrics={},
        card="",
        **heads,
    )


def assemble(
    runs: Runs,
    folder: Path,
    *,
    name: str,
    version: str,
    summary: str,
    metrics: Mapping[str, Any],
    terms: tuple[str, ...] = (),
    command: str,
) -> None:
    """Write the bundle of a set of runs, with what was measured and a card that says what it is.

    Args:
        runs: its parts.
        folder: where to; replaced.
        name, version, summary: of the model.
        metrics: what metrics.json holds: for each suite its figures, and the `command` that measured them.
        terms: terms of the training data.
        command: what trained it.
    """
    model = read_model(runs, name, version)
    corpus = json.loads((runs.corpus / "corpus.json").read_text(encoding="utf-8"))
    configured = {part: module for part, module in model.parts.items() if hasattr(module, "config")}
    card = model_card(
        name=name,
        version=version,
        summary=summary,
        parts={part: asdict(module.config) for part, module in configured.items()},
        parameters={part: _size(module) for part, module in configured.items()},
        corpus=corpus,
        metrics=metrics,
        terms=terms,
        command=command,
    )
    bundle.save(model, folder, metrics=metrics, card=card)


def _size(module: nn.Module) -> int:
    """Numbers that a part holds, fitted buffers included."""
    return sum(tensor.numel() for tensor in module.state_dict().values())
