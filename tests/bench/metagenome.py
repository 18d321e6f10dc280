"""A metagenome assembly of any size, as Prokka would write it: contigs are cut out of a real genome."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from glm_annot.io import sequences
from glm_annot.io.gff3 import read as gff3
from glm_annot.io.gff3.text import split_text
from glm_annot.io.source import read_bytes
from glm_annot.records import Gene

MOST_GENES = 20  # of a contig; a contig of n genes is drawn with weight 1 / n, which makes 5.6 on average
MARGIN = 50  # bases kept before the first and after the last gene of a contig
SAFE = " /()[]'+:"  # in a product; the rest is escaped
WIDTH = 60  # bases on a line of FASTA


@dataclass(frozen=True)
class _Piece:
    """Neighbouring genes of the genome and the stretch of DNA, 0-based, that holds them."""

    genes: tuple[Gene, ...]
    dna: str
    begin: int
    end: int


def write_metagenome(genome: Path, n_contigs: int, path: Path, seed: int = 0) -> int:
    """Write a GFF3 with `##FASTA`, of the same bytes for the same arguments; needs little memory at any size.

    Args:
        genome: a GFF3 with `##FASTA`, whose genes are used again and again.
        n_contigs: how many contigs to cut out of it.
        path: the file to write.
        seed: of what is drawn.

    Returns:
        how many CDS were written.
    """
    draw = _drawer(genome, seed)
    places = [draw() for _ in range(n_contigs)]
    n_genes = 0
    with path.open("wb") as file:
        file.write(b"##gff-version 3\n")
        for number, piece in enumerate(places, 1):
            file.write(f"##sequence-region contig_{number} 1 {piece.end - piece.begin}\n".encode())
        for number, piece in enumerate(places, 1):
            for gene in piece.genes:
                n_genes += 1
                file.write(_cds(gene, f"contig_{number}", gene.start - piece.begin, n_genes))
        file.write(b"##FASTA\n")
        for number, piece in enumerate(places, 1):
            _write_fasta(file, f"contig_{number}", piece.dna[piece.begin : piece.end])
    return n_genes


def _drawer(genome: Path, seed: int) -> Callable[[], _Piece]:
    text = read_bytes(genome)
    dna = sequences.read_fasta(split_text(text)[2].partition(b"\n")[2], genome)
    contigs = gff3.parse(str(genome), text, sequences.Sequences()).contigs
    weights = [len(contig.genes) for contig in contigs]
    rng = random.Random(seed)

    def draw() -> _Piece:
        (contig,) = rng.choices(contigs, weights)
        (wanted,) = rng.choices(range(1, MOST_GENES + 1), [1 / n for n in range(1, MOST_GENES + 1)])
        first = rng.randrange(max(len(contig.genes) - wanted, 0) + 1)
        genes = contig.genes[first : first + wanted]
        begin, end = genes[0].start - 1 - MARGIN, max(gene.end for gene in genes) + MARGIN
        sequence = dna[contig.name]
        return _Piece(genes, sequence, max(begin, 0), min(end, len(sequence)))

    return draw


def _cds(gene: Gene, contig: str, start: int, number: int) -> bytes:
    tag = f"MAGENOME_{number:07d}"
    named = f"Name={gene.name};gene={gene.name};" if gene.name else ""
    numbered = f"eC_number={gene.ec[0]};" if gene.ec else ""
    attributes = (
        f"ID={tag};{numbered}{named}inference=ab initio prediction:Prodigal:002006;"
        f"locus_tag={tag};product={quote(gene.product, safe=SAFE)}"
    )
    strand = "+" if gene.strand == 1 else "-"
    columns = (
        contig,
        "Prodigal:002006",
        "CDS",
        start,
        start + gene.end - gene.start,
        ".",
        strand,
        0,
        attributes,
    )
    return "\t".join(map(str, columns)).encode() + b"\n"


def _write_fasta(file: BinaryIO, name: str, dna: str) -> None:
    file.write(f">{name}\n".encode())
    for start in range(0, len(dna), WIDTH):
        file.write(dna[start : start + WIDTH].encode() + b"\n")
