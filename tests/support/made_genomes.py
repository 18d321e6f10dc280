"""Small annotated genomes made from a seed: related species with families of proteins in conserved order."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
CODONS = {  # one codon for each residue
    **{"A": "GCT", "C": "TGT", "D": "GAT", "E": "GAA", "F": "TTT", "G": "GGT", "H": "CAT", "I": "ATT"},
    **{"K": "AAA", "L": "CTG", "M": "ATG", "N": "AAC", "P": "CCG", "Q": "CAG", "R": "CGT", "S": "TCT"},
    **{"T": "ACC", "V": "GTT", "W": "TGG", "Y": "TAT"},
}
COMPLEMENT = str.maketrans("ACGT", "TGCA")
SPACER = "A" * 12  # bases between the genes of one operon; ten times as many between operons
OPERON = 3  # genes of each operon


@dataclass(frozen=True)
class MadeGene:
    """A gene, coordinates 1-based; `family` says which ancestor it descends from."""

    tag: str
    family: int
    start: int
    end: int
    strand: int
    protein: str


@dataclass(frozen=True)
class MadeGenome:
    """One contig of genes, `OPERON` to an operon; every fourth and fifth operon lie on the reverse strand."""

    organism: str
    contig: str
    dna: str
    genes: tuple[MadeGene, ...]


def ancestors(families: int, seed: int = 0, length: int = 60) -> list[str]:
    """Random ancestral proteins."""
    rng = random.Random(seed)
    return ["M" + "".join(rng.choices(RESIDUES, k=length - 1)) for _ in range(families)]


def make_genome(organism: str, proteins: list[str], seed: int, mutated: float = 0.1) -> MadeGenome:
    """Descend a genome from ancestral proteins, in order, each residue mutated with this probability."""
    rng = random.Random(seed)
    contig, dna, genes = f"contig_{seed}", "", []
    for family, ancestor in enumerate(proteins):
        dna += SPACER * (10 if family % OPERON == 0 else 1)
        protein = "M" + "".join(rng.choice(RESIDUES) if rng.random() < mutated else aa for aa in ancestor[1:])
        coding = "".join(CODONS[aa] for aa in protein) + "TAA"
        strand = -1 if family // OPERON % 5 >= 3 else 1
        place = (len(dna) + 1, len(dna) + len(coding), strand)
        genes.append(MadeGene(f"S{seed}_{family:03d}", family, *place, protein))
        dna += coding if strand == 1 else coding.translate(COMPLEMENT)[::-1]
    return MadeGenome(organism, contig, dna + SPACER, tuple(genes))


def gff3(genome: MadeGenome) -> str:
    """As Bakta writes it, the contig included."""
    lines = ["##gff-version 3", f"# organism {genome.organism}"]
    lines.append(f"##sequence-region {genome.contig} 1 {len(genome.dna)}")
    for gene in genome.genes:
        columns = (genome.contig, "made", "CDS", gene.start, gene.end, ".", "-+"[gene.strand > 0], 0)
        lines.append("\t".join(map(str, columns)) + f"\tID={gene.tag};locus_tag={gene.tag}")
    return "\n".join([*lines, "##FASTA", f">{genome.contig}", genome.dna]) + "\n"


def genbank(genome: MadeGenome) -> str:
    """As NCBI writes it, proteins as translations."""
    name, size = genome.contig, len(genome.dna)
    lines = [
        f"LOCUS       {name:<16} {size:>11} bp    DNA     linear   BCT 01-JAN-2024",
        f"DEFINITION  {genome.organism}.",
        f"ACCESSION   {name}",
        f"VERSION     {name}.1",
        f"SOURCE      {genome.organism}",
        f"  ORGANISM  {genome.organism}",
        "            Bacteria.",
        "FEATURES             Location/Qualifiers",
        f"     source          1..{size}",
    ]
    for gene in genome.genes:
        extent = f"{gene.start}..{gene.end}"
        lines.append(f"     CDS             {extent if gene.strand > 0 else f'complement({extent})'}")
        lines.append(f'                     /locus_tag="{gene.tag}"')
        lines.append(f'                     /translation="{gene.protein}"')
    lines.append("ORIGIN")
    for start in range(0, size, 60):
        row = genome.dna[start : start + 60].lower()
        blocks = " ".join(row[i : i + 10] for i in range(0, len(row), 10))
        lines.append(f"{start + 1:>9} {blocks}")
    return "\n".join([*lines, "//"]) + "\n"


def bakta_document(genome: MadeGenome) -> dict[str, Any]:
    """A genome as Bakta 1.12 writes it, with some of its members only."""
    features: list[dict[str, Any]] = [
        {"type": "oriC", "sequence": genome.contig, "start": 1, "stop": 9, "strand": "?", "id": "o"}
    ]
    for number, gene in enumerate(genome.genes):
        features.append(
            {
                "type": "cds",
                "sequence": genome.contig,
                "start": gene.start,
                "stop": gene.end,
                "strand": "+" if gene.strand == 1 else "-",
                "frame": 1,
                "gene": "abcA" if number == 0 else None,
                "product": "kinase" if number else "hypothetical protein",
                "db_xrefs": ["SO:0001217", "EC:2.7.1.2", "EC:2.7.1.1"] if number == 1 else [],
                "aa": gene.protein,
                "id": f"ID_{number}",
                "locus": gene.tag,
            }
        )
    sequence = {"id": genome.contig, "length": len(genome.dna), "topology": "circular", "nt": genome.dna}
    return {
        "genome": {"genus": "Made", "translation_table": 11},
        "stats": {"size": len(genome.dna)},
        "features": features,
        "sequences": [sequence],
        "run": {"start": "2025-09-30 15:24:11", "end": "2025-09-30 15:31:40"},
        "version": {"bakta": "1.12.2", "db": {"version": "6.0", "type": "full"}},
    }


def bakta_json(genome: MadeGenome) -> bytes:
    """The same as text."""
    return json.dumps(bakta_document(genome), indent=4).encode()


def write_folder(
    folder: Path, organisms: list[str], families: int = 30, enzymes: int = 12, seed: int = 0
) -> list[MadeGenome]:
    """Write a training folder: genomes alternately GenBank and GFF3, ec.tsv and operons.tsv."""
    folder.mkdir(parents=True, exist_ok=True)
    proteins = ancestors(families, seed)
    genomes = [make_genome(organism, proteins, 100 + n) for n, organism in enumerate(organisms)]
    ec, operons = ["protein\tec"], ["contig\tgene_a\tgene_b\tlabel"]
    for number, genome in enumerate(genomes):
        if number % 2:
            (folder / f"g{number}.gff3").write_text(gff3(genome), encoding="ascii")
        else:
            (folder / f"g{number}.gbk").write_text(genbank(genome), encoding="ascii")
        contig = genome.contig if number % 2 else f"{genome.contig}.1"
        ec += [f"{gene.tag}\t{number_of(gene.family)}" for gene in genome.genes if gene.family < enzymes]
        for a, b in zip(genome.genes, genome.genes[1:], strict=False):
            together = int(a.family // OPERON == b.family // OPERON)
            operons.append(f"{contig}\t{a.tag}\t{b.tag}\t{together}")
    (folder / "ec.tsv").write_text("\n".join(ec) + "\n", encoding="ascii")
    (folder / "operons.tsv").write_text("\n".join(operons) + "\n", encoding="ascii")
    return genomes


def write_clusters(path: Path, genomes: list[MadeGenome]) -> None:
    """Write the families as a clustering of all proteins, numbered as they are read."""
    first: dict[int, int] = {}
    genes = [gene for genome in genomes for gene in genome.genes]
    lines = [f"{first.setdefault(gene.family, number)}\t{number}" for number, gene in enumerate(genes)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def number_of(family: int) -> str:
    """The EC number of an enzyme family: a few classes with several numbers each."""
    return f"{1 + family % 3}.{1 + family % 2}.1.{1 + family}"
