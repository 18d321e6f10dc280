"""Decides for all formats whether CDS parts are one gene or several.

A place is (start, end) in the coordinates of `records`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from glm_annot.errors import InputError
from glm_annot.io.oddities import Oddities
from glm_annot.io.sequences import Sequences
from glm_annot.records import Gene, Genome, Skip

Place = tuple[int, int]
_Part = TypeVar("_Part")


def whole_genes(parts: Sequence[_Part], read: Callable[[Sequence[_Part]], str]) -> list[list[_Part]]:
    """Group parts that have the same name into genes.

    They are one gene if their joined reading has no stop codon before its end. Otherwise each part that ends
    with a stop codon ends a gene.

    Args:
        parts: in order of transcription.
        read: the residues of some of them, joined, '*' for each stop, the last one too.
    """
    if "*" not in read(parts)[:-1]:
        return [list(parts)]
    genes: list[list[_Part]] = [[]]
    for part in parts:
        genes[-1].append(part)
        residues = read(genes[-1])
        if residues.endswith("*") and "*" not in residues[:-1]:
            genes.append([])
    return [gene for gene in genes if gene]


def several(places: Iterable[Place]) -> tuple[Place, ...]:
    """The places of a gene's parts along the contig, as in `Gene.parts`.

    Parts that touch or overlap (origin, slippage) are joined; () if only one is left.
    """
    merged: list[Place] = []
    for start, end in sorted(places):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return tuple(merged) if len(merged) > 1 else ()


def without_repeats(genes: Sequence[Gene], oddities: Oddities) -> list[Gene]:
    """The genes, in order. Of several at the same place only the first keeps its protein."""
    seen: dict[tuple[object, ...], Gene] = {}
    found = []
    for gene in genes:
        place = (gene.contig, gene.start, gene.end, gene.strand, gene.parts)
        if gene.skip is None and seen.setdefault(place, gene) is not gene:
            oddities.see(
                "CDS at the same place as another, skipped", f"{gene.id}, at that of {seen[place].id}"
            )
            gene = replace(gene, protein=None, skip=Skip.DUPLICATE)
        found.append(gene)
    return found


def without_sequence(genes: Iterable[Gene], with_bases: Container[str], oddities: Oddities) -> None:
    """Count the contigs that are not among those with bases and so leave a CDS without a protein."""
    lacking = (gene.contig for gene in genes if gene.skip is Skip.NO_SEQUENCE)
    for contig in dict.fromkeys(name for name in lacking if name not in with_bases):
        oddities.see("contigs without a sequence, whose CDS get no prediction", contig)


def check_usable(genome: Genome, sequences: Sequences, path: str) -> None:
    """Raise InputError for a whole file without any CDS, or without a sequence for any."""
    genes = list(genome.genes)
    if not genes:
        raise InputError("no CDS in this file; call genes first (Bakta, Prokka, PGAP, ...)", path)
    lacking = any(gene.skip is Skip.NO_SEQUENCE for gene in genes)
    if lacking and not sequences.proteins and not any(gene.protein for gene in genes):
        raise InputError(
            "no sequences in this file; give --fasta genome.fna (contigs of the same names) "
            "or --faa proteins.faa beside it",
            path,
        )
