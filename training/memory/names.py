"""Reads what annotated genomes and labelled proteins call the families of a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from glm_annot.ec_numbers import is_complete
from glm_annot.model.encoder import ProteinEncoder
from glm_annot.model.families import FamilyTable
from glm_annot.model.neighbours.names import Fact, usable
from glm_annot.pipeline import embed_distinct

from ..corpus.genome_folder import read_genome
from ..ec.labels import Labelled

LABELLED = "labelled proteins"  # the source of EC numbers that no genome's annotation states


def read_facts(
    genomes: Iterable[Path], labelled: Sequence[Labelled], encoder: ProteinEncoder, table: FamilyTable
) -> list[Fact]:
    """What is said of the families that an encoder puts proteins into.

    Args:
        genomes: annotated genomes; the name of the file is the source of what it says.
        labelled: proteins with EC numbers.
        encoder, table: that tell which family a protein is of.

    Raises:
        InputError: a genome that cannot be read.
    """
    facts = []
    for path in genomes:
        coding = list(read_genome(path).coding)
        said = [(*usable(gene.name, gene.product), gene.ec) for gene in coding]
        facts += _facts(path.name, [gene.protein or "" for gene in coding], said, encoder, table)
    numbers = [("", "", protein.ec) for protein in labelled]
    return facts + _facts(LABELLED, [protein.sequence for protein in labelled], numbers, encoder, table)


def _facts(
    source: str,
    proteins: Sequence[str],
    said: Iterable[tuple[str, str, Sequence[str]]],
    encoder: ProteinEncoder,
    table: FamilyTable,
) -> list[Fact]:
    """The facts of one source; what several members say alike is one of them."""
    family_G, _ = table.assign(torch.from_numpy(embed_distinct(encoder, proteins)))
    counts = Counter[tuple[int, str, str, str]]()
    for family, (symbol, product, ec) in zip(family_G.tolist(), said, strict=True):
        first, *others = [number for number in ec if is_complete(number)] or [""]
        if family == table.none or not (symbol or product or first):
            continue
        counts[family, symbol, product, first] += 1
        counts.update((family, "", "", number) for number in others)
    return [
        Fact(family, source, symbol, product, ec, members)
        for (family, symbol, product, ec), members in sorted(counts.items())
    ]
