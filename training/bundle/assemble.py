"""From run folders to a bundle: the trained parts, a generated model card, and what was measured of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_model
from torch import nn

from glm_annot import bundle
from glm_annot.ec.head import ECHead, ECHeadConfig
from glm_annot.ec.reference import from_bytes, to_bytes
from glm_annot.ec_numbers import ROOT, ancestry, number, sort_key
from glm_annot.errors import InputError
from glm_annot.model.esm import fingerprint
from glm_annot.model.glm import GLM
from glm_annot.operons.head import OperonHead, OperonHeadConfig

from ..common import hardware
from ..common.inputs import read_record
from ..common.json_files import write_json
from ..common.weights import fill
from ..ec.labels import read_names
from ..encoder.exports import read_encoder
from ..glm.train import load_run
from ..memory.neighbours import read_neighbours
from ..recipe import Recipe
from ..settings import EncoderPart, GLMPart, Trained
from .card import model_card, with_metrics, with_names

OPERONS, EC = "operons", "ec"  # names of a head's files


@dataclass(frozen=True)
class PartFolders:
    """Where the parts of a model are.

    Attributes:
        corpus: the corpus folder, for its record.
        plm, glm: finished run folders.
        heads: folder that `save_head` wrote to; None for a model without heads.
        neighbours: folder that `save_neighbours` wrote to; None for a model without a memory.
    """

    corpus: Path
    plm: Path
    glm: Path
    heads: Path | None = None
    neighbours: Path | None = None


def save_head(folder: Path, head: OperonHead | ECHead) -> None:
    """Export a fitted head."""
    folder.mkdir(parents=True, exist_ok=True)
    name = OPERONS if isinstance(head, OperonHead) else EC
    save_model(head, str(folder / f"{name}.safetensors"))
    write_json(folder / f"{name}.json", asdict(head.config))
    if isinstance(head, ECHead):
        (folder / bundle.PROTEINS).write_bytes(to_bytes(head.base))


def read_heads(folder: Path | None) -> tuple[OperonHead | None, ECHead | None]:
    """Read the heads that `save_head` exported, None for one that is not there."""
    if folder is None:
        return None, None
    operons = ec = None
    if (folder / f"{OPERONS}.json").exists():
        operons = OperonHead(OperonHeadConfig(**_config(folder, OPERONS)))
        fill(operons, folder / f"{OPERONS}.safetensors", shared=True)
    if (folder / f"{EC}.json").exists():
        ec = ECHead(ECHeadConfig(**_config(folder, EC)))
        fill(ec, folder / f"{EC}.safetensors", shared=True)
        ec.base = from_bytes((folder / bundle.PROTEINS).read_bytes(), folder / bundle.PROTEINS)
    return operons, ec


def read_model(folders: PartFolders, recipe: Recipe) -> bundle.Model:
    """Put the parts of a model together, ready for inference.

    Raises:
        InputError: a run is not finished, the gLM is the baseline, which no bundle holds, or it was trained
            on embeddings by another encoder.
    """
    run = load_run(folders.glm)
    if not isinstance(run.network, GLM):
        raise InputError("holds the baseline, not a gLM; only a gLM makes a model", folders.glm)
    encoder = read_encoder(folders.plm)
    if run.encoder not in ("", fingerprint(encoder)):
        raise InputError(
            f"was trained on embeddings by another encoder than that of {folders.plm}; embed the corpus and "
            "train the gLM anew",
            folders.glm,
        )
    operons, ec = read_heads(folders.heads)
    model = bundle.Model(
        name=recipe.name,
        version=recipe.version,
        sha256="",
        encoder=encoder,
        features=run.features,
        glm=run.network,
        fit=run.context_fit,
        operons=operons,
        ec=ec,
        neighbours=None if folders.neighbours is None else read_neighbours(folders.neighbours),
    )
    for part in model.parts.values():
        part.eval().requires_grad_(False)
    return model


def assemble(folders: PartFolders, folder: Path, recipe: Recipe, *, command: str) -> None:
    """Write the bundle of finished parts, with a card that says what it is; nothing of it is measured yet.

    Args:
        folders: its parts.
        folder: where to; replaced.
        recipe: what they were made by; names the model.
        command: what trained it.
    """
    model = read_model(folders, recipe)
    card = model_card(recipe, model=model, corpus=_record(folders), command=command)
    bundle.save(model, folder, metrics={}, card=card, bf16=halved(model, recipe))


def add_names(folder: Path, path: Path) -> None:
    """Write names into a bundle, of the EC numbers that it knows and of their classes.

    Its card says where they are from; its sha256 changes, its weights do not.

    Args:
        folder: the bundle.
        path: names of EC numbers: ec_names.tsv.

    Raises:
        InputError: the model predicts no EC numbers, or the table is faulty.
    """
    ec = bundle.load(folder).ec
    if ec is None:
        raise InputError("predicts no EC numbers, so there is nothing to name", folder)
    known = sorted(map(number, ancestry(ec.config.labels) - {ROOT}), key=sort_key)
    names = read_names(path)
    chosen = {text: names[text] for text in known if text in names}
    metrics, card = bundle.read_texts(folder)
    bundle.rewrite_texts(folder, metrics=metrics, card=with_names(card), ec_names=chosen)


def add_metrics(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Write what was measured of a bundle into it and its card, beside what was measured of it before.

    Args:
        folder: the bundle.
        metrics: for each suite its figures, and the `command` that measured them.
    """
    before, card = bundle.read_texts(folder)
    both = {**before, **metrics}
    bundle.rewrite_texts(folder, metrics=both, card=with_metrics(card, both))


def rewrite_card(
    folders: PartFolders, folder: Path, recipe: Recipe, *, command: str, seconds: Mapping[str, float]
) -> None:
    """Write a measured bundle's card anew, as the recipe now words it; arguments as for `model_card`."""
    metrics, _ = bundle.read_texts(folder)
    model, corpus = bundle.load(folder), _record(folders)
    trained_on = {part: hardware.read(run) for part, run in (("plm", folders.plm), ("glm", folders.glm))}
    card = model_card(
        recipe, model=model, corpus=corpus, command=command, seconds=seconds, hardware=trained_on
    )
    card = with_metrics(card, metrics)
    bundle.rewrite_texts(folder, metrics=metrics, card=with_names(card) if model.ec_names else card)


def _record(folders: PartFolders) -> dict[str, Any]:
    found: dict[str, Any] = read_record(folders.corpus / "corpus.json")
    return found


def halved(model: bundle.Model, recipe: Recipe) -> list[str]:
    """What to store as bfloat16: what was trained here, and other parts that lose nothing by it."""
    parts: tuple[tuple[str, EncoderPart | GLMPart, nn.Module], ...] = (
        ("plm", recipe.plm, model.encoder),
        ("glm", recipe.glm, model.glm),
    )
    found = [name for name, section, part in parts if isinstance(section, Trained) or _loses_nothing(part)]
    return [*found, "neighbours.head"]


def halved_already(model: bundle.Model) -> list[str]:
    """What of a finished model loses nothing by being stored as bfloat16, as it was before."""
    head = None if model.neighbours is None else model.neighbours.head
    parts = {"plm": model.encoder, "glm": model.glm, "neighbours.head": head}
    return [name for name, part in parts.items() if part is not None and _loses_nothing(part)]


def _loses_nothing(part: nn.Module) -> bool:
    """Whether all weights of a part are numbers that bfloat16 has."""
    return all(torch.equal(weight, weight.bfloat16().float()) for weight in part.parameters())


def _config(folder: Path, name: str) -> dict[str, Any]:
    config: dict[str, Any] = read_record(folder / f"{name}.json")
    return config
