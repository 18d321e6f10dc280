"""Decides for all formats whether CDS parts are one gene or several.

A place is (start, end) in the coordinates of `records`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from glm_annot.errors import InputError
from glm_annot.io.oddities import Oddities
from glm_annot.io.sequences import Sequences
from glm_annot.records import Gene, Genome, Skip

MOST_COVERED = 10  # times that the CDS of a file may cover its contigs; those of a genome do so about once
LEAST_CODING = 10**7  # bases of CDS, below which it does not matter
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
    genes: list[list[_Part]] = []
    start = 0
    while start < len(parts):
        stop = _first_with_stop(parts, start, read)
        if "*" in read(parts[start:stop])[:-1]:  # no part from here on ends a gene
            stop = len(parts)
        genes.append(list(parts[start:stop]))
        start = stop
    return genes


def _first_with_stop(parts: Sequence[_Part], start: int, read: Callable[[Sequence[_Part]], str]) -> int:
    """One past the first part by which the joined reading from `start` on has a stop codon, else past all.

    Looks ahead by steps that double, so that the time grows as the parts do.
    """
    ahead = 1
    while start + ahead < len(parts) and "*" not in read(parts[start : start + ahead]):
        ahead *= 2
    ends = range(start + 1, min(start + ahead, len(parts)))
    return ends.start + bisect_left(ends, True, key=lambda end: "*" in read(parts[start:end]))


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


def check_overlap(places: Iterable[tuple[Place, int]], contigs: Iterable[int], path: str) -> None:
    """Raise InputError where CDS overlap so much that their proteins would take far more room than the file.

    Args:
        places: the place of each part of a CDS, and how long its contig is.
        contigs: the lengths of all contigs whose bases are known; others count as 0 in both.
        path: the file, for the message.
    """
    coding = sum(min(end - start + 1, length) for (start, end), length in places)
    bases = sum(contigs)
    if coding > max(LEAST_CODING, MOST_COVERED * bases):
        raise InputError(
            f"the CDS of this file have {coding:,} bases together, more than {MOST_COVERED} times those of "
            f"its contigs ({bases:,}); is this the annotation of one genome?",
            path,
        )


def all_malformed(path: str) -> InputError:
    """The error for a file of which no CDS can be read."""
    return InputError("no CDS of this file can be read; is it damaged, or cut off?", path)


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
    """Raise InputError for a whole file without any CDS that can be read, or without a sequence for any."""
    genes = list(genome.genes)
    if not genes:
        raise InputError("no CDS in this file; call genes first (Bakta, Prokka, PGAP, ...)", path)
    if all(gene.skip is Skip.MALFORMED for gene in genes):
        raise all_malformed(path)
    lacking = any(gene.skip is Skip.NO_SEQUENCE for gene in genes)
    if lacking and not sequences.proteins and not any(gene.protein for gene in genes):
        raise InputError(
            "no sequences in this file; give --fasta genome.fna (contigs of the same names) "
            "or --faa proteins.faa beside it",
            path,
        )
