"""Known operons as labels of neighbouring genes.

Three sources, one form (`LabelledGenome`):

- an organism's folder of the operon collection: Prodigal's `*.gff.gz` and `*.faa.gz`, `operons.tsv`, and
  `pairs.tsv` with a label for adjacent pairs on one strand (`read_organism`);
- E. coli K-12's GenBank file with RegulonDB's operons, all adjacent pairs (`read_all_adjacent`) or the
  experimentally sure ones (`read_confirmed`);
- a user's own folder of annotated genomes with its `operons.tsv` (`read_folder`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glm_annot import io
from glm_annot.errors import InputError
from glm_annot.records import Contig, Gene, Genome

from ..common.tsv import columns_of, read_tsv
from ..corpus.genome_folder import OPERON_TABLE, OperonPair, gene_name, read_genomes, read_label, read_operons

Labels = NDArray[np.int8]
UNKNOWN = -1

# Bases between two genes. In the six organisms whose operons were called from RNA-seq, the share of operons
# among labelled pairs drops from .98 to .1 from one base to the next here; in RegulonDB it falls from .94
# (20-39 bases) to .68 (40-59) and .54 (80-99). The caller cuts here, so its 'no' beyond says nothing.
RNA_SEQ_REACH = 40.0


@dataclass(frozen=True)
class LabelledGenome:
    """A genome and what is known of its neighbouring coding genes.

    Attributes:
        name: of the organism.
        genome: as read.
        labels: for each contig (P,) in order of its `pairs`: 1 one operon, 0 not, `UNKNOWN`.
        reach: gap in bases from which on a label 0 says nothing; infinite for curated operons.
        left_out: labelled pairs of the source whose genes carry no prediction (pseudogenes).
    """

    name: str
    genome: Genome
    labels: tuple[Labels, ...]
    reach: float = math.inf
    left_out: int = 0


def read_organism(folder: Path) -> LabelledGenome:
    """Read one organism of the operon collection; its name is the folder's.

    Operons with a column `evidence` are curated; others were called from RNA-seq and reach `RNA_SEQ_REACH`.

    Raises:
        InputError: a file is missing or malformed, or a pair of the table is no pair of neighbours.
    """
    genome = io.read(_only(folder, "*.gff.gz"), faa=_only(folder, "*.faa.gz"))
    path = folder / "pairs.tsv"
    known = _read_pairs(path, "gene_a", "gene_b")
    names = {
        gene.index: f"{contig.name}_{number}"
        for contig in genome.contigs
        for number, gene in enumerate(contig.genes, 1)
    }
    labels, left_out = _label(genome, known, lambda gene: names[gene.index], path)
    curated = "evidence" in columns_of(folder / OPERON_TABLE)
    return LabelledGenome(folder.name, genome, labels, math.inf if curated else RNA_SEQ_REACH, left_out)


def organism_folders(folder: Path) -> list[Path]:
    """The organisms of the collection: its folders, whose names are theirs.

    Raises:
        InputError: there is none.
    """
    folders = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not folders:
        raise InputError("holds no organisms; give the folder of the operon collection", folder)
    return folders


def read_organisms(folder: Path) -> dict[str, LabelledGenome]:
    """Read every organism below a folder, by name. Raises as `organism_folders` and `read_organism`."""
    return {path.name: read_organism(path) for path in organism_folders(folder)}


def read_all_adjacent(annotation: Path, operons: Path) -> LabelledGenome:
    """Label all adjacent pairs of coding genes from a table of operons, as the gLM paper's task does.

    A pair is 1 if some operon holds both genes; 0 if they lie on different strands, or in operons that do not
    hold the other (single genes count as operons); `UNKNOWN` on one strand if the table lacks a gene.

    Args:
        annotation: GenBank or GFF3 file with locus tags.
        operons: table with a column `locus_tags`, comma-separated.
    """
    genome = io.read(annotation)
    operons_of: dict[str, set[int]] = {}
    for number, row in read_tsv(operons, "locus_tags"):
        for locus_tag in filter(None, row["locus_tags"].split(",")):
            operons_of.setdefault(locus_tag, set()).add(number)

    def label(left: Gene, right: Gene) -> int:
        if left.strand != right.strand:
            return 0
        of_left, of_right = operons_of.get(left.locus_tag), operons_of.get(right.locus_tag)
        return UNKNOWN if of_left is None or of_right is None else int(bool(of_left & of_right))

    labels = tuple(_label_contig(contig, label) for contig in genome.contigs)
    return LabelledGenome(annotation.name, genome, labels)


def read_confirmed(annotation: Path, pairs: Path) -> LabelledGenome:
    """Label the pairs of a table (locus_a, locus_b, label) by locus tag.

    Raises:
        InputError: a pair of the table is no pair of neighbours.
    """
    genome = io.read(annotation)
    known = _read_pairs(pairs, "locus_a", "locus_b")
    labels, left_out = _label(genome, known, lambda gene: gene.locus_tag, pairs)
    return LabelledGenome(annotation.name, genome, labels, left_out=left_out)


def read_folder(folder: Path) -> list[LabelledGenome]:
    """Read a user's annotated genomes of which `operons.tsv` names a contig; empty without that table.

    Raises:
        InputError: as `FolderOperons`.
    """
    operons = FolderOperons(folder)
    for path, genome in read_genomes(folder) if operons.pairs else ():
        operons.add(path, genome)
    return operons.labelled()


class FolderOperons:
    """Finds the genes that the `operons.tsv` of a folder names, genome by genome as they are read.

    Args:
        folder: of annotated genomes; it need not have such a table.

    Raises:
        InputError: the table is malformed.
    """

    def __init__(self, folder: Path) -> None:
        self.pairs = read_operons(folder / OPERON_TABLE)
        self._table = folder / OPERON_TABLE
        self._found_in: dict[OperonPair, str] = {}
        self._labelled: list[LabelledGenome] = []

    def add(self, path: Path, genome: Genome) -> None:
        """Look at one genome.

        Raises:
            InputError: another one has a contig with the same genes, or the genes are no neighbours.
        """
        genes = {(gene.contig, gene_name(gene)) for gene in genome.genes} if self.pairs else set()
        here = [
            pair for pair in self.pairs if {(pair.contig, pair.gene_a), (pair.contig, pair.gene_b)} <= genes
        ]
        for pair in here:
            if self._found_in.setdefault(pair, path.name) != path.name:
                raise InputError(
                    f"{self._found_in[pair]} and {path.name} both have a contig {pair.contig!r} with genes "
                    f"{pair.gene_a!r} and {pair.gene_b!r}; give the contigs different names",
                    self._table,
                )
        if here:
            known = {(f"{p.contig}: {p.gene_a}", f"{p.contig}: {p.gene_b}"): p.label for p in here}
            labels, left_out = _label(
                genome, known, lambda gene: f"{gene.contig}: {gene_name(gene)}", self._table
            )
            self._labelled.append(LabelledGenome(path.name, genome, labels, left_out=left_out))

    def labelled(self) -> list[LabelledGenome]:
        """The genomes with known operons, of all that were added.

        Raises:
            InputError: a contig with the genes of a pair is in none of them.
        """
        for pair in self.pairs:
            if pair not in self._found_in:
                raise InputError(
                    f"no genome has a contig {pair.contig!r} with genes {pair.gene_a!r} and {pair.gene_b!r}",
                    self._table,
                )
        return self._labelled


def _read_pairs(path: Path, first: str, second: str) -> dict[tuple[str, str], int]:
    """Labels by the names in two columns.

    Raises:
        InputError: a missing column, or a label that is neither 0 nor 1.
    """
    return {
        (row[first], row[second]): read_label(row["label"], path, line)
        for line, row in read_tsv(path, first, second, "label")
    }


def _label(
    genome: Genome, known: Mapping[tuple[str, str], int], name: Callable[[Gene], str], table: Path
) -> tuple[tuple[Labels, ...], int]:
    """Labels by the names of both genes, in either order, and how many pairs name a gene that is not read."""
    left_over = dict(known)

    def label(left: Gene, right: Gene) -> int:
        both = name(left), name(right)
        return left_over.pop(both, left_over.pop(both[::-1], UNKNOWN))

    labels = tuple(_label_contig(contig, label) for contig in genome.contigs)
    unread = {name(gene) for gene in genome.genes if gene.skip}
    missing = [pair for pair in left_over if unread.isdisjoint(pair)]
    if missing:
        raise InputError(
            f"{len(missing)} pairs are no neighbouring coding genes, the first of them "
            f"{' and '.join(missing[0])}",
            table,
        )
    return labels, len(left_over)


def _label_contig(contig: Contig, label: Callable[[Gene, Gene], int]) -> Labels:
    genes = contig.coding
    return np.array([label(genes[left], genes[right]) for left, right in contig.pairs], dtype=np.int8)


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise InputError(f"holds {len(found)} files {pattern}; one is needed", folder)
    return found[0]
