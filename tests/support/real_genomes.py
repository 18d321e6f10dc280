"""Real genomes that an installed package carries, with the genes that Pyrodigal finds in them."""

from __future__ import annotations

import gzip
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import pyrodigal

CORYNEBACTERIUM = (
    "GCF_001457455.1_NCTC11397_genomic"  # C. diphtheriae, a whole chromosome: 2.5 Mb, 2300 genes
)
CONTIG = "MIIJ01000039"  # one contig: 870 kb with long runs of N, 404 genes


class CalledGenome(NamedTuple):
    """Prodigal's GFF3 of a genome's genes, the genome's FASTA, the number of genes."""

    gff: Path
    fasta: Path
    n_genes: int


def call_genes(name: str, folder: Path) -> CalledGenome:
    """Finds the genes of one of pyrodigal's test genomes, of one sequence; the files go into `folder`."""
    text = gzip.decompress((files("pyrodigal") / f"tests/data/{name}.fna.gz").read_bytes()).decode()
    title, *lines = text.splitlines()
    sequence = "".join(lines)
    finder = pyrodigal.GeneFinder()
    finder.train(sequence)
    genes = finder.find_genes(sequence)
    gff, fasta = folder / f"{name}.gff", folder / f"{name}.fna"
    with gff.open("w") as stream:
        genes.write_gff(stream, title[1:].split()[0])
    fasta.write_text(text)
    return CalledGenome(gff, fasta, len(genes))
