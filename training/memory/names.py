"""Reads what annotated genomes, labelled proteins and the corpus itself call the families."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow.compute as pc
import torch

from glm_annot.ec_numbers import is_complete
from glm_annot.model.encoder import ProteinEncoder
from glm_annot.model.families import FamilyTable
from glm_annot.model.neighbours.names import Fact, usable
from glm_annot.pipeline import embed_distinct

from ..corpus.genome_folder import read_genome
from ..corpus.tables import read_table
from ..ec.labels import Labelled, numbers
from ..glm.families import Families

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
    stated = [("", "", protein.ec) for protein in labelled]
    families = _families([protein.sequence for protein in labelled], encoder, table, family_of)
    return facts + _facts(LABELLED, families, stated, table.none)


def corpus_facts(corpus: Path, families: Families, updates: Mapping[str, str]) -> list[Fact]:
    """The EC numbers that the genomes of a corpus state for their genes.

    The name of a genome's file is the source of what it says.

    Args:
        corpus: the corpus folder.
        families: of its proteins.
        updates: of EC numbers, as `labels.read_updates` gives them.
    """
    genomes = read_table(corpus, "genomes", ["genome", "source"]).to_pydict()
    contigs = read_table(corpus, "contigs", ["contig", "genome"]).to_pydict()
    file_of = {
        genome: re.split("[/:]", source or f"genome {genome}")[-1]
        for genome, source in zip(*genomes.values(), strict=True)
    }
    source_of = {contig: file_of[genome] for contig, genome in zip(*contigs.values(), strict=True)}
    genes = read_table(corpus, "genes", ["contig", "protein", "ec"])
    stated = genes.filter(pc.is_valid(genes["ec"])).to_pydict()
    counts = Counter(
        (family, source_of[contig], number)
        for contig, protein, ec in zip(*stated.values(), strict=True)
        if (family := int(families.family_N[protein])) != families.table.none
        for number in numbers(ec, updates)
        if is_complete(number)
    )
    return [Fact(family, of, "", "", number, n) for (family, of, number), n in sorted(counts.items())]


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
