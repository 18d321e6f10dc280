"""The model card, for people: what a bundle is, what trained it, what was kept out, and how well it does."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..corpus.sample import UNKNOWN_GENUS
from ..evaluate.tables import shown, table, tables
from ..recipe import Recipe

if TYPE_CHECKING:
    from glm_annot.bundle import Model


NOT_MEASURED = "Nothing yet; `glm-train evaluate --model FOLDER --write` measures it and says so here."
_MEASURED = re.compile(r"^## Measured\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def model_card(
    recipe: Recipe,
    *,
    model: Model,
    corpus: Mapping[str, Any],
    command: str,
    seconds: Mapping[str, float] | None = None,
    hardware: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """Write the card of a model that was not measured yet, as Markdown (see `with_metrics`).

    Args:
        recipe: what the model was made by; names it.
        model: the finished parts.
        corpus: what corpus.json holds.
        command: what trained it.
        seconds: that each step took, where it is known.
        hardware: what each part was trained on, where it is known.
    """
    sections = [
        f"# {recipe.name} {recipe.version}",
        recipe.summary,
        parts_table(model),
        _training(recipe, corpus, command),
        _cost(seconds or {}, hardware or {}),
        _held_out(recipe, corpus),
        f"## Measured\n\n{NOT_MEASURED}",
        _listed("Limits", recipe.limits),
        _listed("Terms of the training data", recipe.terms),
        _genomes(corpus),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def with_metrics(card: str, metrics: Mapping[str, Any]) -> str:
    """A card whose section 'Measured' says what metrics.json holds; it comes last in a card without one."""
    section = f"## Measured\n\n{_metrics(metrics) or NOT_MEASURED}\n"
    if not _MEASURED.search(card):
        return f"{card}\n{section}"
    return _MEASURED.sub(lambda _: f"{section}\n", card, count=1).rstrip("\n") + "\n"


def _cost(seconds: Mapping[str, float], hardware: Mapping[str, Sequence[str]]) -> str:
    if not seconds:
        return ""
    parts = ", ".join(f"{step} {spent:,.0f} s" for step, spent in seconds.items())
    trained = "; ".join(f"{part} on {', then on '.join(noted)}" for part, noted in hardware.items() if noted)
    text = f"Wall-clock time: {parts}; {sum(seconds.values()) / 60:,.0f} minutes in all."
    return f"{text} Trained: {trained}." if trained else text


def _listed(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def flatten(metrics: Mapping[str, Any], prefix: str = "") -> dict[str, object]:
    """Nested metrics as dotted names, in order."""
    flat: dict[str, object] = {}
    for key, value in metrics.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def parts_table(model: Model) -> str:
    """The section that says of which parts a model is, how large and how configured."""
    parts: dict[str, Any] = {"plm": model.encoder, "glm": model.glm, "operons": model.operons, "ec": model.ec}
    rows = [
        # numbers that a part holds, fitted buffers included
        (name, f"{sum(t.numel() for t in part.state_dict().values()):,}", _brief(asdict(part.config)))
        for name, part in parts.items()
        if part is not None
    ]
    return "## Parts\n\n" + table(("part", "numbers", "configuration"), rows)


def _brief(config: Mapping[str, Any]) -> str:
    """A configuration in one cell; long lists are counted."""
    shortened = {
        key: f"{len(value)} entries" if isinstance(value, list | tuple) and len(value) > 8 else value
        for key, value in config.items()
    }
    return ", ".join(f"{key} {json.dumps(value)}" for key, value in shortened.items())


def _training(recipe: Recipe, corpus: Mapping[str, Any], command: str) -> str:
    counts = corpus["counts"]
    options = corpus["options"]
    if options["genomes"] is None and options["residues"] is None:
        extent = "All genomes of the source train it, but those listed as left out in corpus.json."
    else:
        extent = (
            "It was trained on a fixed sample of the source, balanced over genera and listed below, "
            "not on all of it."
        )
    apart = _genera_apart(corpus)
    whose = " of other genera" if apart else ""
    text = (
        "## Training\n\n"
        f"{extent} {counts['genomes_train']} genomes train {_trained(recipe)}, {counts['genomes_valid']}"
        f"{whose} validate: {counts['genes']:,} genes on {counts['contigs']:,} contigs, "
        f"{counts['residues']:,} residues."
    )
    if not apart:
        text += (
            " There were too few genera to set whole ones aside: the split is by genome, with relatives on "
            "both sides, so what was measured on the corpus's own genomes is rather too good."
        )
    if "task" in recipe.plm:
        text += f" The encoder's corpus has {counts['encoder_proteins']:,} proteins."
    return f"{text}\n\nMade by `{command}` from `{corpus['origin']}`."


def _genera_apart(corpus: Mapping[str, Any]) -> bool:
    """Whether no genome that was set aside is of a genus that trains."""
    if "split_by" in corpus:
        return bool(corpus["split_by"] == "genus")
    # Corpora of before do not say it, but name the genera.
    named = {(item["genus"], item["split"]) for item in corpus["genomes"] if item["genus"] != UNKNOWN_GENUS}
    return len(named) == len({genus for genus, _ in named})


def _trained(recipe: Recipe) -> str:
    """What the genomes of a corpus train, and whose the rest is."""
    if "keep" in recipe.glm:
        kept = recipe.glm["keep"]
        terms = "the licence and limits on its card hold here too"
        return f"the heads (encoder and gLM are those of model `{kept}`; {terms})"
    if "official" in recipe.plm:
        return f"gLM and the heads (the encoder is the official `{recipe.plm['official']}`)"
    if "keep" in recipe.plm:
        return f"gLM and the heads (the encoder is that of model `{recipe.plm['keep']}`)"
    return "gLM and the heads"


def _held_out(recipe: Recipe, corpus: Mapping[str, Any]) -> str:
    """What was kept out of the parts that were trained here, and of which parts nobody here can say it."""
    names, counts = corpus["held_out"], corpus["counts"]
    encoder, glm = "task" in recipe.plm, "network" in recipe.glm
    text = "Nothing was held out by sequence; judge it on genomes that did not train it."
    if names:
        trained = "trained the encoder or carried" if encoder else "carried"
        text = f"{', '.join(names)}: no protein identical to one of these {trained} an EC label."
        if glm:
            text += (
                f" {counts['windows_near_heldout']:,} of {counts['windows']:,} windows, in which over half "
                "of the proteins are over 70 % identical to a held-out genome's, were left out."
            )
    if not encoder:
        parts = "the encoder" if glm else "the encoder and gLM"
        card = f" (the card of `{recipe.plm['keep']}` may say it)" if "keep" in recipe.plm else ""
        text += f" What trained {parts} is not known here{card}, and may hold the same proteins."
    return f"## Held out\n\n{text}"


def _metrics(metrics: Mapping[str, Any]) -> str:
    summary = tables(metrics)
    blocks = [summary.rstrip()] if summary else []
    for suite, result in metrics.items():
        flat = flatten(result) if isinstance(result, Mapping) else {suite: result}
        command = flat.pop("command", None)
        rows = [(name, shown(value)) for name, value in flat.items()]
        measured = f"\n\nMeasured by `{command}`." if command else ""
        blocks.append(f"### {suite}\n\n{table(('metric', 'value'), rows)}{measured}")
    return "\n\n".join(blocks)


def _genomes(corpus: Mapping[str, Any]) -> str:
    rows = [(item["organism"], item["split"], item["genes"], item["source"]) for item in corpus["genomes"]]
    return "## Genomes\n\n" + table(("organism", "split", "genes", "source"), rows)
