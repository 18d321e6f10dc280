"""Heads of a finished encoder and gLM, fitted on exactly the features that inference computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glm_annot.bundle import Model
from glm_annot.context import contextualise
from glm_annot.operons import OperonHead
from glm_annot.pipeline import embed_distinct

from . import operon_head
from .operon_data import LabelledGenome

Report = Callable[[str], None]  # called with a line for people


def fit_operons(
    genomes: Sequence[LabelledGenome], model: Model, *, seed: int = 0, report: Report
) -> OperonHead:
    """Fit the operon head to genomes with known operons.

    Args:
        genomes: what is known.
        model: its encoder and gLM.
        seed: of the fit.
        report: told of each genome.
    """
    examples = []
    for genome in genomes:
        report(f"reading {genome.name} in context")
        examples.append(operon_example(genome, model))
    return operon_head.fit(examples, seed=seed)


def operon_example(labelled: LabelledGenome, model: Model) -> operon_head.Example:
    """A genome with its known operons and what gLM attends to in it."""
    genome = labelled.genome
    proteins = [gene.protein or "" for contig in genome.contigs for gene in contig.coding]
    embeddings_GD = embed_distinct(model.encoder, proteins)
    states = contextualise(genome, embeddings_GD, model.glm, model.features, attention=True)
    return operon_head.Example(labelled, states.attention_NA)
