"""The model card: what a model is, how good it is, what trained it and what was kept out, in plain words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..corpus.sample import RELATED, UNKNOWN_GENUS
from ..evaluate.tables import table, tables
from ..recipe import Recipe
from ..settings import Kept, Official, TrainedEncoder, TrainedFamilies, TrainedGLM
from .glossary import terms_of

if TYPE_CHECKING:
    from glm_annot.bundle import Model


NOT_MEASURED = "Nothing yet; `glm-train evaluate --model FOLDER --write` measures it and says so here."
GROUPS = {  # of metrics.json
    "neighbours": "neighbours",
    "rings": "hidden genes and context fit, by relatives in the memory",
    "names": "names from context",
    "hints": "names from context where the own family's name is hidden",
    "masked_genes": "masked genes",
    "ec": "EC numbers",
    "operons": "operons",
}
_NAMES = (
    "## Names of EC numbers\n\n"
    "`ec_names.tsv` gives the names of EC numbers and classes as ExPASy ENZYME, BRENDA and the Gene Ontology "
    "have them (all CC BY 4.0), read from ec/ec_names.tsv of the data, which names the source of each.\n"
)
_GENOMES = "## Genomes\n"  # the last section of a card; long
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
        f"## Measured\n\n{NOT_MEASURED}",
        _listed("Limits", recipe.limits),
        _training(recipe, corpus, command),
        _cost(seconds or {}, hardware or {}),
        _held_out(recipe, corpus),
        parts_table(model),
        _labelled(model),
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


def with_names(card: str) -> str:
    """A card that says where the names of EC numbers are from, before its list of genomes."""
    if _NAMES in card:
        return card
    before, genomes, after = card.partition(_GENOMES)
    return f"{before}{_NAMES}\n{genomes}{after}" if genomes else f"{card}\n{_NAMES}"


def _cost(seconds: Mapping[str, float], hardware: Mapping[str, Sequence[str]]) -> str:
    if not seconds:
        return ""
    parts = ", ".join(f"{step} {spent:,.0f} s" for step, spent in seconds.items())
    trained = "; ".join(f"{part} on {', then on '.join(noted)}" for part, noted in hardware.items() if noted)
    text = f"Wall-clock time: {parts}; {sum(seconds.values()) / 60:,.0f} minutes in all."
    return f"{text} Trained: {trained}." if trained else text


def _listed(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def parts_table(model: Model) -> str:
    """The section that says of which parts a model is, how large and how configured."""
    parts: dict[str, Any] = {
        "protein encoder (plm)": model.encoder,
        "genomic language model (glm)": model.glm,
        "families, memory of gene order, mixture (neighbours)": model.neighbours,
        "protein encoder of the families (family_encoder)": model.family_encoder,
        "operon head": model.operons,
        "EC head": model.ec,
    }
    rows = [
        # numbers that a part holds, fitted buffers included
        (name, f"{sum(t.numel() for t in part.state_dict().values()):,}", _brief(asdict(part.config)))
        for name, part in parts.items()
        if part is not None
    ]
    return "## Parts\n\n" + table(("part", "stored numbers", "settings"), rows)


def _labelled(model: Model) -> str:
    """Where the labelled proteins that a model holds come from; '' for a model that holds none."""
    if model.ec is None or not model.ec.config.collections:
        return ""
    rows = [(name, f"{number:,}") for name, number in model.ec.config.collections.items()]
    return (
        "## Labelled proteins\n\nThe model searches these proteins of known EC numbers, or known to be no "
        "enzymes, and names them as evidence. One that stands in several collections counts in the first.\n\n"
        + table(("collection, source and licence", "proteins"), rows)
    )


_MORE_GENOMES = "## Genomes added to the memory of gene order"
_MEMORY = "## Memory of gene order"


def with_memory(card: str, model: Model, recipe: Recipe, made_from: str) -> str:
    """The card of a model to which a memory of gene order was added.

    Args:
        card: of the model before.
        model: with the memory; its name and version head the card.
        recipe: that the model was made by; its limits are worded for the model with the memory.
        made_from: a paragraph that says what the memory was made from.
    """
    title, _, rest = card.partition("\n")
    assert title.startswith("# "), "a card begins with its title"
    for heading, section in (("Parts", parts_table(model)), ("Limits", _listed("Limits", recipe.limits))):
        found = re.compile(rf"^## {heading}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
        rest = found.sub(lambda _, text=section: f"{text}\n\n", rest, count=1)  # type: ignore[misc]
    rest = rest.partition(f"\n{_MEMORY}\n")[0]  # the section on an earlier memory ends the card
    return f"# {model.name} {model.version}\n{rest.rstrip()}\n\n{_MEMORY}\n\n{made_from}\n"


def with_more_genomes(card: str, model: Model, said: str) -> str:
    """The card of a model to whose memory genomes were added.

    Args:
        card: of the model before.
        model: with the genomes; its name and version head the card.
        said: which genomes were added, and how.
    """
    _, _, rest = card.partition("\n")
    parts = re.compile(r"^## Parts\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    rest = parts.sub(lambda _: f"{parts_table(model)}\n\n", rest, count=1).rstrip()
    if _MORE_GENOMES not in rest:
        rest += f"\n\n{_MORE_GENOMES}\n\nThe figures above were measured without these."
    return f"# {model.name} {model.version}\n{rest}\n\n{said}\n"


def _brief(config: Mapping[str, Any]) -> str:
    """A configuration in one cell; long lists and what has names of its own are counted."""
    shortened = {
        key: f"({len(value):,})"
        if isinstance(value, dict) or (isinstance(value, list | tuple) and len(value) > 8)
        else json.dumps(value)
        for key, value in config.items()
    }
    return ", ".join(f"{key} {value}" for key, value in shortened.items())


def _training(recipe: Recipe, corpus: Mapping[str, Any], command: str) -> str:
    counts = corpus["counts"]
    options = corpus["options"]
    if options["genomes"] is None and options["residues"] is None:
        extent = "All genomes of the source were used, but those that corpus.json lists as left out."
    else:
        extent = (
            "A fixed sample of the source was used, balanced over genera and listed below, not all of it."
        )
    text = (
        f"## Training\n\n{extent} {counts['genomes_train']} genomes train {_trained(recipe)}. "
        f"{_set_aside(corpus)}All together have {counts['genes']:,} genes on {counts['contigs']:,} contigs, "
        f"{counts['residues']:,} residues."
    )
    if isinstance(recipe.plm, TrainedEncoder):
        text += f" The encoder's corpus has {counts['encoder_proteins']:,} proteins."
    return f"{text}\n\nMade by `{command}` from `{corpus['origin']}`."


def _set_aside(corpus: Mapping[str, Any]) -> str:
    """What is known of how the genomes that do not train are related to those that do."""
    genera = {split: _genera(corpus, split) for split in ("train", "valid", "test")}
    text = ""
    for split, does in (("valid", "validate"), ("test", "test")):
        if genera[split]:
            number = len(genera[split])
            verb = does if number > 1 else f"{does}s"
            text += f"{number} more {verb}: {_compared(genera[split], genera['train'])}. "
    if not text:
        return ""
    if corpus["split_by"] == "genus":
        share = f"{RELATED:.0%} or more of its proteins, identical,"
        return f"{text}None of these shares {share} with one that trains. "
    return (
        f"{text}There were too few genera to set whole ones aside: relatives stand on both sides, so what "
        "was measured on the corpus's own genomes is rather too good. "
    )


def _genera(corpus: Mapping[str, Any], split: str) -> list[str]:
    """The genus of each genome of a split."""
    return [item["genus"] for item in corpus["genomes"] if item["split"] == split]


def _compared(genera: Sequence[str], trained: Sequence[str]) -> str:
    """Count genomes by what is known of their genera. An unknown one is neither the same nor another."""
    known = [genus for genus in genera if genus != UNKNOWN_GENUS]
    same = sum(genus in trained for genus in known)
    counts = {
        "of a genus that no training genome is known to be of": len(known) - same,
        "of a genus that also trains": same,
        "of unknown genus": len(genera) - len(known),
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def _trained(recipe: Recipe) -> str:
    """What the genomes of a corpus train, and whose the rest is."""
    if isinstance(recipe.glm, Kept):
        terms = "the licence and limits on its card hold here too"
        return f"the heads (encoder and gLM are those of model `{recipe.glm.keep}`; {terms})"
    if isinstance(recipe.plm, Official):
        return f"gLM and the heads (the encoder is the official `{recipe.plm.official}`)"
    if isinstance(recipe.plm, Kept):
        return f"gLM and the heads (the encoder is that of model `{recipe.plm.keep}`)"
    return "gLM and the heads"


def _held_out(recipe: Recipe, corpus: Mapping[str, Any]) -> str:
    """What was kept out of the parts that were trained here, and of which parts nobody here can say it."""
    names, counts = corpus["held_out"], corpus["counts"]
    encoder = isinstance(recipe.plm, TrainedEncoder | TrainedFamilies)
    glm = isinstance(recipe.glm, TrainedGLM)
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
        card = f" (the card of `{recipe.plm.keep}` may say it)" if isinstance(recipe.plm, Kept) else ""
        text += f" What trained {parts} is not known here{card}, and may hold the same proteins."
    return f"## Held out\n\n{text}"


def _metrics(metrics: Mapping[str, Any]) -> str:
    """How to read the figures, the tables, and what each group of figures was measured on."""
    terms = terms_of([*metrics])
    origins = "\n".join(
        f"- {GROUPS.get(group, group)}: {', '.join(_origin(of))}"
        for group, of in metrics.items()
        if isinstance(of, Mapping) and _origin(of)
    )
    blocks = [
        f"How to read the figures:\n\n{terms}" if terms else "",
        tables(metrics).rstrip(),
        f"### What was measured, and how\n\n{origins}" if origins else "",
        "All figures, also those that no table shows, are in `metrics.json` beside this card."
        if metrics
        else "",
    ]
    return "\n\n".join(block for block in blocks if block)


def _origin(of: Mapping[str, Any]) -> list[str]:
    """What a group of figures says of the data, and of the command that measured them."""
    return [*([of["of"]] if "of" in of else []), *([f"`{of['command']}`"] if "command" in of else [])]


def _genomes(corpus: Mapping[str, Any]) -> str:
    rows = [(item["organism"], item["split"], item["genes"], item["source"]) for item in corpus["genomes"]]
    return f"{_GENOMES}\n" + table(("organism", "split", "genes", "source"), rows)
