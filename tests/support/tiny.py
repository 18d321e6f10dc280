"""A tiny model with random weights and a made-up genome, so that whole runs take a second."""

from __future__ import annotations

import math
import random

import torch

from glm_annot.bundle import Model
from glm_annot.ec.head import ECHead, ECHeadConfig
from glm_annot.model.esm import Encoder
from glm_annot.model.glm import GLM, ContextFit, ContextFitConfig, GeneFeatures
from glm_annot.model.neighbours.judge import Neighbours, NeighboursConfig
from glm_annot.model.sizes import GLMConfig, PLMConfig
from glm_annot.operons.head import OperonHead, OperonHeadConfig

PLM = PLMConfig(layers=2, dim=16, heads=2)
GLM_SIZES = GLMConfig(input_dim=17, dim=16, layers=2, heads=2, ffn=32, labels=9)
STOPS = {"TAA", "TAG", "TGA"}
COMPLEMENT = str.maketrans("ACGT", "TGCA")
LABELS = ("1.1.1.1", "2.7.1.2", "2.7.1.11", "6.3.5.7")


def tiny(*, operons: bool = True, ec: bool = True, neighbours: bool = False) -> Model:
    """The model; equal weights each time, with or without its heads and a memory of gene order."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fit = ContextFit(ContextFitConfig(quantiles=11))
        fit.quantiles_Q.copy_(torch.linspace(-40.0, -5.0, 11))
        return Model(
            name="tiny",
            version="1.0.0",
            sha256="",
            encoder=Encoder(PLM).eval(),
            features=GeneFeatures(GLM_SIZES),
            glm=GLM(GLM_SIZES).eval(),
            fit=fit,
            operons=OperonHead(OperonHeadConfig(attention=4, trees=2, nodes=3)) if operons else None,
            ec=_ec_head() if ec else None,
            neighbours=_neighbours() if neighbours else None,
        )


def _neighbours() -> Neighbours:
    """A memory of two genomes of twenty genes each, of families that lie anywhere; every gene has one."""
    sizes = {"families": 12, "places": 40, "contigs": 2, "genomes": 2, "own": 4}
    config = NeighboursConfig(**sizes, dim=16, mixture=8, glm=16, gaps=True)
    made = Neighbours(config).eval()
    made.table.centroids_FD.copy_(torch.nn.functional.normalize(torch.randn(12, 16), dim=1))
    made.table.nearest.fill_(-1.0)
    made.memory.family_N.copy_(torch.randint(12, (40,)))
    made.memory.first_C.copy_(torch.tensor([0, 20, 40]))
    made.memory.genome_C.copy_(torch.tensor([0, 1]))
    made.memory.group_M.copy_(torch.tensor([0, 1]))
    made.mixture.log_prior_F.fill_(-math.log(12))
    made.quantiles_Q.copy_(torch.linspace(-4.0, 4.0, 101))
    return made


def _ec_head() -> ECHead:
    """Reads embedding and context; sure of whatever they name first."""
    head = ECHead(ECHeadConfig(LABELS, layers=(0, 1), hidden_dim=16, embedding_dim=16))
    for part in (head.encoder, head.context):
        assert part is not None
        part.weight_CD.normal_()
    torch.nn.init.constant_(head.enzyme.direct.bias, 4.0)
    torch.nn.init.constant_(head.ranking.weight_SF, 1.0)
    return head


def open_reading_frame(rng: random.Random, codons: int) -> str:
    """ATG, random codons without stops, TAA."""
    middle: list[str] = []
    while len(middle) < codons:
        codon = "".join(rng.choices("ACGT", k=3))
        if codon not in STOPS:
            middle.append(codon)
    return "ATG" + "".join(middle) + "TAA"


def made_gff3(n_genes: int, seed: int = 0, contig: str = "contig_1") -> str:
    """A made-up contig in the form of Bakta: random genes of 40 to 80 codons in runs of three on a strand."""
    rng = random.Random(seed)
    sequence, lines = "", []
    for number in range(n_genes):
        sequence += "".join(rng.choices("ACGT", k=rng.randint(5, 60)))
        gene = open_reading_frame(rng, rng.randint(40, 80))
        strand = "+-"[number // 3 % 2]
        tag = f"MADE_{number + 1:04d}"
        attributes = f"ID={tag};Name=protein {number};locus_tag={tag};product=protein {number}"
        extent = f"{len(sequence) + 1}\t{len(sequence) + len(gene)}"
        lines.append(f"{contig}\tmade\tCDS\t{extent}\t.\t{strand}\t0\t{attributes}")
        sequence += gene if strand == "+" else gene.translate(COMPLEMENT)[::-1]
    head = ["##gff-version 3", f"##sequence-region {contig} 1 {len(sequence)}"]
    return "\n".join([*head, *lines, "##FASTA", f">{contig}", sequence]) + "\n"


def made_metagenome(n_contigs: int) -> str:
    """Made-up contigs of two or three genes each, in one GFF3 text."""
    parts = [
        made_gff3(2 + n % 2, seed=n, contig=f"contig_{n}").replace("MADE_", f"C{n}_")
        for n in range(n_contigs)
    ]
    bodies, sequences = zip(*(part.split("##FASTA\n") for part in parts), strict=True)
    lines = [body.removeprefix("##gff-version 3\n") for body in bodies]
    return "".join(["##gff-version 3\n", *lines, "##FASTA\n", *sequences])
