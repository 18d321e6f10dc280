"""Adds a memory of gene order to a finished model, whatever its encoder is, or more genomes to its memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from glm_annot import bundle
from glm_annot.cli.console import counted
from glm_annot.errors import InputError
from glm_annot.model.esm import fingerprint
from glm_annot.model.family_encoder import FamilyEncoder
from glm_annot.model.neighbours.judge import Neighbours

from ..common.console import Report
from ..common.inputs import read_record
from ..corpus import genome_folder
from ..encoder.embed import encoder_of
from ..encoder.exports import read_encoder
from ..memory import strains
from ..memory.build import Places
from ..memory.neighbours import read_neighbours
from ..recipe import Recipe
from .assemble import halved_already
from .card import with_memory, with_more_genomes


def add_memory(
    name: str, folder: Path, *, recipe: Recipe, corpus: Path, encoder: Path, neighbours: Path, command: str
) -> None:
    """Write a model with a memory of gene order; its other parts, and what was measured of it, stay.

    Args:
        name: of a model that ships, or a bundle's folder.
        folder: where to.
        recipe: that the model was made by; gives the version of the model with the memory, and its limits.
        corpus: that the memory was built from.
        encoder: finished run of the family encoder that embedded the corpus.
        neighbours: by `glm-train neighbours` on the corpus, without a gLM.
        command: what was typed.

    Raises:
        InputError: the encoder is not that of the corpus, or no family encoder; the neighbours need a gLM.
    """
    model, families, found = bundle.load(name), read_encoder(encoder), read_neighbours(neighbours)
    if not isinstance(families, FamilyEncoder) or fingerprint(families) != encoder_of(corpus):
        raise InputError("is not the family encoder that embedded the corpus", encoder)
    if found.head is not None:
        raise InputError("reads a gLM of its own; make neighbours without --glm", neighbours)
    families.eval().requires_grad_(False)
    model = replace(model, version=recipe.version, neighbours=found, family_encoder=families)
    metrics, card = bundle.read_texts(name)
    made_from = _made_from(read_record(corpus / "corpus.json"), command) + _named_by(found)
    card = with_memory(card, model, recipe, made_from)
    bundle.save(model, folder, metrics=metrics, card=card, bf16=halved_already(model))


def add_genomes(name: str, genomes: Path, folder: Path, *, command: str, report: Report) -> None:
    """Write a model whose memory of gene order holds more genomes; what was measured of it stays.

    A genome that the memory holds already, or nearly, is left out.

    Args:
        name: of a model that ships, or a bundle's folder.
        genomes: folder of annotated genomes, as `glm-train run own` reads them.
        folder: where to.
        command: what was typed.
        report: called with a line for each genome.

    Raises:
        InputError: the model has no memory; no genome is new; a file that cannot be read.
    """
    model = bundle.load(name)
    neighbours, encoder = model.neighbours, model.family_encoder or model.encoder
    if neighbours is None:
        raise InputError(f"model {model.name} has no memory of gene order")
    added: dict[str, Places] = {}
    for path, genome in genome_folder.read_genomes(genomes):
        places = strains.places_of(genome, encoder, neighbours.table)
        said = f"{path.name}: {len(places.family_N):,} genes"
        if strains.is_known(neighbours, places):
            report(f"{said}; the memory holds this genome already, or nearly the same one: left out")
            continue
        neighbours = strains.with_genomes(neighbours, [places])
        added[path.name] = places
        report(said)
    if not added:
        raise InputError("holds no genome that is new to the memory", genomes)
    metrics, card = bundle.read_texts(name)
    version, _, before = model.version.partition("+")
    model = replace(model, neighbours=neighbours, version=f"{version}+{int(before or 0) + len(added)}")
    genes = sum(len(places.family_N) for places in added.values())
    count = counted(len(added), "genome")
    said = f"{count} with {genes:,} genes, added by `{command}`: {', '.join(added)}."
    card = with_more_genomes(card, model, said)
    bundle.save(model, folder, metrics=metrics, card=card, bf16=halved_already(model))


def _named_by(neighbours: Neighbours) -> str:
    """What says the names of the families; '' where they have none."""
    if not neighbours.facts:
        return ""
    sources = ", ".join(sorted({fact.source for fact in neighbours.facts}))
    return f" {len(neighbours.names):,} of the families have names, by {sources}."


def _made_from(corpus: dict[str, object], command: str) -> str:
    counts = corpus["counts"]
    assert isinstance(counts, dict)
    genomes = sum(number for name, number in counts.items() if name.startswith("genomes_"))
    return (
        f"The memory holds the gene order of {genomes} genomes, {counts['genes']:,} genes, as numbers of "
        f"gene families. {counts['genomes_train']} of these genomes train the family encoder and give the "
        f"gene families. {counts['genomes_valid']} calibrate what the memory says. Added by `{command}`."
    )
