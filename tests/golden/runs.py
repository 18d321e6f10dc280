"""The runs of the shipped model whose results are kept: what is annotated, and where its results stand."""

from __future__ import annotations

from pathlib import Path

from glm_annot.cli.app import cli
from tests.support.paths import EXAMPLE, EXAMPLES
from tests.support.real_genomes import CONTIG, call_genes

GOLDEN = Path(__file__).parent
EXAMPLE_GFF3 = EXAMPLES / "corynebacterium_80_genes.glm.gff3"
EXAMPLE_TABLE = EXAMPLES / "corynebacterium_80_genes.glm.tsv"
CONTIG_TABLE = GOLDEN / f"{CONTIG}.glm.tsv"


def annotate_example(folder: Path) -> tuple[Path, Path]:
    """Annotates the 80 genes of `examples/`; the annotated file and the table."""
    _annotate(EXAMPLE, "-o", f"{folder}/")
    return folder / EXAMPLE_GFF3.name, folder / EXAMPLE_TABLE.name


def annotate_contig(folder: Path) -> Path:
    """Annotates a whole contig of 404 genes; the table."""
    genome = call_genes(CONTIG, folder)
    _annotate(genome.gff, "--fasta", genome.fasta)
    return folder / CONTIG_TABLE.name


def _annotate(*arguments: object) -> None:
    """`glm-annot` as a user runs it, in the one precision that all machines have, on the CPU."""
    options = ["--precision", "fp32", "--device", "cpu", "--quiet"]
    cli.main([*map(str, arguments), *options], standalone_mode=False)
