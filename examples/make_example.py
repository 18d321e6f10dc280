"""Makes `corynebacterium_80_genes.gff3`: 80 neighbouring genes of a real genome, as Bakta would write them.

The genome (Corynebacterium diphtheriae NCTC 11397, NZ_LN831026.1) comes with the package pyrodigal, which
also finds the genes. They hold parts of glycolysis and of the pentose phosphate pathway, riboflavin,
pyrimidine and chorismate synthesis: many enzymes, some operons.

    pip install pyrodigal && python examples/make_example.py
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pyrodigal

GENOME = "tests/data/GCF_001457455.1_NCTC11397_genomic.fna.gz"
FIRST_GENE, N_GENES = 1264, 80  # by number in the order of the genome
CONTIG = "contig_1"
FLANK = 100  # bases kept on either side
OUTPUT = Path(__file__).with_name("corynebacterium_80_genes.gff3")


def main() -> None:
    """Finds the genes and writes the file."""
    name, chromosome = read_fasta(gzip.decompress((files("pyrodigal") / GENOME).read_bytes()).decode())
    finder = pyrodigal.GeneFinder()
    finder.train(chromosome)
    genes = list(finder.find_genes(chromosome))[FIRST_GENE : FIRST_GENE + N_GENES]
    start, end = genes[0].begin - FLANK, genes[-1].end + FLANK
    origin = f"Corynebacterium diphtheriae NCTC 11397, {name}:{start}-{end}"
    lines = [
        *header(origin, end - start + 1),
        *features(genes, start),
        *fasta(chromosome[start - 1 : end]),
    ]
    OUTPUT.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_fasta(text: str) -> tuple[str, str]:
    """Name and sequence of the only record."""
    title, *lines = text.splitlines()
    return title[1:].split()[0], "".join(lines)


def header(origin: str, length: int) -> Iterator[str]:
    """What stands before the features."""
    yield "##gff-version 3"
    yield f"# Genes: Pyrodigal {pyrodigal.__version__}; sequence: {origin}"
    yield f"##sequence-region {CONTIG} 1 {length}"
    yield f"{CONTIG}\tPyrodigal\tregion\t1\t{length}\t.\t+\t.\tID={CONTIG};Name={CONTIG}"


def features(genes: list[pyrodigal.Gene], start: int) -> Iterator[str]:
    """One CDS line for each gene, coordinates counted from `start`."""
    for number, gene in enumerate(genes, start=1):
        tag = f"EXAMPLE_{5 * number:05d}"
        attributes = f"ID={tag};Name=hypothetical protein;locus_tag={tag};product=hypothetical protein"
        strand = "+" if gene.strand == 1 else "-"
        extent = f"{gene.begin - start + 1}\t{gene.end - start + 1}"
        yield f"{CONTIG}\tPyrodigal\tCDS\t{extent}\t.\t{strand}\t0\t{attributes}"


def fasta(sequence: str, width: int = 60) -> Iterator[str]:
    """The sequence at the end of the file."""
    yield "##FASTA"
    yield f">{CONTIG}"
    yield from (sequence[i : i + width] for i in range(0, len(sequence), width))


if __name__ == "__main__":
    main()
