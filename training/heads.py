"""Heads of a finished encoder and gLM, fitted on exactly the features that inference computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from glm_annot.bundle import Model
from glm_annot.context import contextualise
from glm_annot.ec import ECHead
from glm_annot.operons import OperonHead
from glm_annot.pipeline import embed_distinct

from . import ec_head, ec_sources, operon_data, operon_head
from .corpus import read_tables
from .ec_sources import Sources
from .heldout import HeldOut
from .operon_data import LabelledGenome
from .recipe import Recipe

Report = Callable[[str], None]  # called with a line for people


def fit_operons(recipe: Recipe, data: Path, model: Model, report: Report) -> OperonHead | None:
    """Fit the operon head of a recipe; None when there are no known operons.

    Args:
        recipe: its `heads` section says what from.
        data: the folder that its paths are relative to.
        model: its encoder and gLM.
        report: called with a line for people.
    """
    section, genomes = recipe.heads, list[LabelledGenome]()
    if section.organisms is not None:
        organisms = operon_data.read_organisms(data / section.organisms)
        genomes = [genome for name, genome in organisms.items() if name not in section.leave_out]
    elif recipe.corpus.folder is not None:
        genomes = operon_data.read_folder(data / recipe.corpus.folder)
    if not genomes:
        report("operons: none are known, so the model will predict none")
        return None
    report(f"operons: {len(genomes)} genomes with known ones")
    examples = [operon_example(genome, model) for genome in genomes]
    return operon_head.fit(examples, seed=section.seed, report=report)


def operon_example(labelled: LabelledGenome, model: Model) -> operon_head.Example:
    """A genome with its known operons and what gLM attends to in it."""
    genome = labelled.genome
    proteins = [gene.protein or "" for contig in genome.contigs for gene in contig.coding]
    embeddings_GD = embed_distinct(model.encoder, proteins)
    states = contextualise(genome, embeddings_GD, model.glm, model.features, attention=True)
    return operon_head.Example(labelled, states.attention_NA)


def fit_ec(
    recipe: Recipe, data: Path, corpus: Path, model: Model, held_out: HeldOut, report: Report
) -> ECHead | None:
    """Fit the EC head of a recipe; None when there are no EC numbers to learn.

    Args:
        recipe, data, model, report: as for `fit_operons`.
        corpus: the corpus folder.
        held_out: proteins whose labels have no part in it.
    """
    sources = ec_labels(recipe, data, corpus, held_out)
    if sources is None or not sources.labelled:
        report("EC: no numbers to learn from, so the model will predict none")
        return None
    reader = ec_head.Reader(model, recipe.heads.ec_layers)
    threads = torch.get_num_threads()
    return ec_head.fit(sources, reader=reader, seed=recipe.heads.seed, threads=threads, report=report)


def ec_labels(recipe: Recipe, data: Path, corpus: Path, held_out: HeldOut) -> Sources | None:
    """What the EC head of a recipe is fitted on; None when it has none."""
    if recipe.heads.ec == "none":
        return None
    if recipe.heads.ec == "shared":
        return ec_sources.from_shared(data, held_out)
    return ec_sources.from_corpus(read_tables(corpus), held_out)
