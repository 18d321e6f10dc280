"""Reads what annotated genomes and labelled proteins call the families of a corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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
    genomes: Iterable[Path],
    labelled: Sequence[Labelled],
    encoder: ProteinEncoder,
    table: FamilyTable,
    known: Mapping[str, int] | None = None,
) -> list[Fact]:
    """What is said of the families that an encoder puts proteins into.

    Args:
        genomes: annotated genomes; the name of the file is the source of what it says.
        labelled: proteins with EC numbers.
        encoder, table: that tell which family a protein is of.
        known: families of proteins that need not be embedded again.

    Raises:
        InputError: a genome that cannot be read.
    """
    facts, family_of = [], {} if known is None else dict(known)
    for path in genomes:
        coding = list(read_genome(path).coding)
        said = [(*usable(gene.name, gene.product), gene.ec) for gene in coding]
        proteins = [gene.protein or "" for gene in coding]
        facts += _facts(path.name, _families(proteins, encoder, table, family_of), said, table.none)
    numbers = [("", "", protein.ec) for protein in labelled]
    families = _families([protein.sequence for protein in labelled], encoder, table, family_of)
    return facts + _facts(LABELLED, families, numbers, table.none)


def _families(
    proteins: Sequence[str], encoder: ProteinEncoder, table: FamilyTable, family_of: dict[str, int]
) -> list[int]:
    """The family of each protein; those that were not known yet are added to the known ones."""
    new = list({protein: None for protein in proteins if protein not in family_of})
    if new:
        found, _ = table.assign(torch.from_numpy(embed_distinct(encoder, new)))
        family_of.update(zip(new, found.tolist(), strict=True))
    return [family_of[protein] for protein in proteins]


def _facts(
    source: str, families: Sequence[int], said: Iterable[tuple[str, str, Sequence[str]]], none: int
) -> list[Fact]:
    """The facts of one source; what several members of a family say alike is one of them."""
    counts = Counter[tuple[int, str, str, str]]()
    for family, (symbol, product, ec) in zip(families, said, strict=True):
        first, *others = [number for number in ec if is_complete(number)] or [""]
        if family == none or not (symbol or product or first):
            continue
        counts[family, symbol, product, first] += 1
        counts.update((family, "", "", number) for number in others)
    return [
        Fact(family, source, symbol, product, ec, members)
        for (family, symbol, product, ec), members in sorted(counts.items())
    ]
