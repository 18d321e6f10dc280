"""A user's own genomes as corpus tables: a folder of annotated genomes with known EC numbers and operons.

    my_genomes/
      anything.gbff.gz, anything.gff3, ...   GenBank or GFF3 of any annotation tool, one genome a file
      NAME.fna, NAME.faa                     contigs or proteins for a NAME.gff3
      ec.tsv                                 optional: protein, ec
      operons.tsv                            optional: contig, gene_a, gene_b, label

`ec.tsv` and `operons.tsv` have a header line and tabs between columns. `protein`, `gene_a` and `gene_b`
are locus tags or, for genes without one, the file's own IDs; several EC numbers are separated by ';'.
EC numbers that the annotation itself carries count too, unless ec.tsv names the protein. `label` is 1
for two neighbouring genes of one operon and 0 for neighbours that share none. A name that fits no gene
is an error, and so is one in ec.tsv that fits several proteins, or a pair in operons.tsv that fits several
genomes, because these are usually mistakes. Prodigal gives genes of different files the same names (1_1, 1_2,
...), so only the names of contigs distinguish them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from glm_annot import io
from glm_annot.ec_numbers import is_number
from glm_annot.errors import InputError
from glm_annot.io import source
from glm_annot.io.tool_folders import beside
from glm_annot.records import Contig, Gene, Genome
from glm_annot.results.output import is_result

from ..common.tsv import read_tsv
from .sample import UNKNOWN_GENUS
from .tables import Tables

EC_TABLE = "ec.tsv"
OPERON_TABLE = "operons.tsv"

_ORGANISM = re.compile(rb"^(?:  ORGANISM  |# ?organism:? )(.+?)\r?$", re.MULTILINE | re.IGNORECASE)
_CONTIGS = (".fna", ".fa", ".fasta")
# First words of an organism's name that are no genus; 'Genus species' is Prokka's default.
_NO_GENUS = {
    *("uncultured", "unclassified", "unidentified", "unspecified", "unknown", "none", "genus"),
    *("organism", "bacterium", "archaeon", "bacteria", "archaea", "synthetic", "metagenome"),
}
_HIGHER_RANK = ("aceae", "ales", "bacteria", "ota")  # families, orders, classes, phyla


@dataclass(frozen=True)
class OperonPair:
    """Two neighbouring genes of one contig, and whether they share an operon."""

    contig: str
    gene_a: str
    gene_b: str
    label: int


def annotation_files(folder: Path) -> dict[Path, str]:
    """The annotated genomes of a folder, in order of their names, and the format of each by its content.

    Several files of one stem are one genome, as tools write them: the GenBank file is read, for it says
    more than GFF3.

    Raises:
        InputError: no such folder, or nothing in it is GenBank or GFF3.
    """
    if not folder.is_dir():
        raise InputError("no such folder; give one with GenBank or GFF3 files", folder)
    chosen: dict[str, tuple[Path, str]] = {}
    for path in sorted(folder.iterdir()):
        if path.is_dir() or path.suffix == ".tsv" or is_result(path):  # results lie beside their inputs
            continue
        format = source.recognise_file(path)
        stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
        if format == "genbank" or (format and stem not in chosen):
            chosen[stem] = path, format
    if not chosen:
        raise InputError(
            "holds no GenBank or GFF3 file (results of glm-annot, *.glm.*, do not count)", folder
        )
    return dict(chosen.values())


def genome_files(folder: Path) -> Iterator[tuple[Path, Path | None, Path | None]]:
    """Each annotated genome of a folder, with the contigs and proteins of a GFF3: NAME.fna and NAME.faa."""
    for path, format in annotation_files(folder).items():
        yield path, *_sequences_of(path, format)


def read_genomes(folder: Path) -> Iterator[tuple[Path, Genome]]:
    """Read each annotated genome of a folder."""
    for path, fasta, faa in genome_files(folder):
        yield path, io.read(path, fasta=fasta, faa=faa)


def read_genome(path: Path) -> Genome:
    """Read one annotated genome as `read_genomes` reads those of a folder.

    Raises:
        InputError: it cannot be read.
    """
    fasta, faa = _sequences_of(path, source.recognise_file(path))
    return io.read(path, fasta=fasta, faa=faa)


def _sequences_of(path: Path, format: str | None) -> tuple[Path | None, Path | None]:
    """Contigs and proteins beside an annotation; a GenBank file has its own."""
    return (None, None) if format == "genbank" else (beside(path, _CONTIGS), beside(path, (".faa",)))


def read_tables(folder: Path, also: Callable[[Path, Genome], None] | None = None) -> Tables:
    """Read a folder of annotated genomes into corpus tables, labels of ec.tsv included.

    Each genome is read once. `also` is called with it, so that a caller can collect more from it.
    Genes without a usable protein are left out; `genes.gene` keeps the names that tables refer to.

    Raises:
        InputError: a file that cannot be used, a malformed table, or a name in ec.tsv that fits no gene or
            several proteins.
    """
    labels = read_ec(folder / EC_TABLE)
    collector = _Collector(labels)
    for path, genome in read_genomes(folder):
        collector.add(path, genome)
        if also is not None:
            also(path, genome)
    for name in labels:
        proteins = collector.named.get(name, set())
        if len(proteins) != 1:
            found = f"{len(proteins)} different proteins go by" if proteins else "no gene is called"
            remedy = "give the genes different locus tags" if proteins else "write its locus tag or ID"
            raise InputError(f"{found} {name!r}; {remedy}", folder / EC_TABLE)
    return collector.tables()


def read_ec(path: Path) -> dict[str, str]:
    """Read ec.tsv: gene name -> EC numbers, sorted and ';'-separated; empty when there is no such file.

    Raises:
        InputError: a missing column, or something that is no EC number.
    """
    labels: dict[str, set[str]] = {}
    for line, row in _rows(path, ("protein", "ec")):
        numbers = {number.strip() for number in row["ec"].split(";") if number.strip()}
        for number in numbers:
            if not is_number(number):
                raise InputError(f"{number!r} is no EC number; write 2.7.1.2 or 2.7.1.-", path, line)
        labels.setdefault(row["protein"], set()).update(numbers)
    return {protein: ";".join(sorted(numbers)) for protein, numbers in labels.items()}


def read_operons(path: Path) -> list[OperonPair]:
    """Read operons.tsv, each pair once, whichever of its genes comes first; empty when there is no such file.

    Raises:
        InputError: a missing column, a label that is neither 0 nor 1, or two labels of one pair.
    """
    pairs: dict[tuple[str, frozenset[str]], OperonPair] = {}
    for line, row in _rows(path, ("contig", "gene_a", "gene_b", "label")):
        label = read_label(row["label"], path, line)
        pair = OperonPair(row["contig"], row["gene_a"], row["gene_b"], label)
        said = pairs.setdefault((pair.contig, frozenset((pair.gene_a, pair.gene_b))), pair)
        if said.label != pair.label:
            raise InputError(
                f"{pair.gene_a} and {pair.gene_b} of {pair.contig} are labelled {pair.label} here and "
                f"{said.label} above; keep one of the two",
                path,
                line,
            )
    return list(pairs.values())


def read_label(text: str, path: Path, line: int) -> int:
    """The label of a pair of genes: 1 for one operon, 0 for none in common.

    Raises:
        InputError: anything else.
    """
    if text not in ("0", "1"):
        raise InputError(
            f"label {text!r} is not valid; write 1 for two genes of one operon, 0 for two that share none",
            path,
            line,
        )
    return int(text)


def gene_name(gene: Gene) -> str:
    """The name that ec.tsv and operons.tsv know a gene by."""
    return gene.locus_tag or gene.id


def genus_of(organism: str) -> str:
    """The genus of an organism's name, `UNKNOWN_GENUS` when the name has none.

    Placeholders ('Genus species', 'uncultured bacterium') and names of higher ranks ('Gammaproteobacteria
    sp.') are no genus.
    """
    words = organism.replace("Candidatus ", "").strip("[] ").split()
    genus = words[0].strip("[]'") if words else ""
    named = genus.isalpha() and genus[0].isupper() and genus.lower() not in _NO_GENUS
    return genus if named and not genus.endswith(_HIGHER_RANK) else UNKNOWN_GENUS


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield (line number, row) of a table with a header; nothing when there is no such file."""
    if not path.exists():
        return
    for line, row in read_tsv(path, *columns):
        if any(not row[column] for column in columns):
            raise InputError(f"an empty field; needed: {', '.join(columns)}", path, line)
        yield line, row


class _Collector:
    """Numbers genomes, contigs and distinct proteins as they come."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels
        self.named: dict[str, set[str | None]] = {}  # proteins of each name; None for one without a sequence
        self.proteins: dict[str, int] = {}
        self.genomes: list[dict[str, object]] = []
        self.contigs: list[dict[str, object]] = []
        self.genes: list[dict[str, object]] = []

    def add(self, path: Path, genome: Genome) -> None:
        """Take in one genome."""
        number, first = len(self.genomes), len(self.genes)
        for contig in genome.contigs:
            self._add_contig(number, contig)
        match = _ORGANISM.search(genome.source.text) if genome.source else None
        organism = match.group(1).decode("utf-8", "replace").strip() if match else "unknown"
        new = self.genes[first:]
        self.genomes.append(
            {
                "genome": number,
                "organism": organism,
                "genus": genus_of(organism),
                "n_contigs": len(genome.contigs),
                "n_genes": len(new),
                "n_ec": sum(gene["ec"] is not None for gene in new),
                "n_skipped": sum(1 for _ in genome.genes) - len(new),
                "source": path.name,
            }
        )

    def _add_contig(self, genome: int, contig: Contig) -> None:
        number = len(self.contigs)
        for gene in contig.genes:
            self.named.setdefault(gene_name(gene), set()).add(gene.protein)
        self.genes += [self._gene(number, index, gene) for index, gene in enumerate(contig.coding)]
        self.contigs.append(
            {
                "contig": number,
                "genome": genome,
                "name": contig.name,
                "length": contig.length,
                "n_genes": len(contig.coding),
            }
        )

    def _gene(self, contig: int, index: int, gene: Gene) -> dict[str, object]:
        name = gene_name(gene)
        return {
            "contig": contig,
            "index": index,
            "start": gene.start,
            "end": gene.end,
            "strand": gene.strand,
            "protein": self.proteins.setdefault(gene.protein or "", len(self.proteins)),
            "ec": self.labels.get(name) or ";".join(gene.ec) or None,
            "gene": name,
        }

    def tables(self) -> Tables:
        """All that was taken in."""
        proteins = {
            "protein": pa.array(self.proteins.values(), pa.int32()),
            "sequence": pa.array(self.proteins),
        }
        genes = pa.Table.from_pylist(self.genes)
        ec = genes.column_names.index("ec")
        genes = genes.set_column(ec, "ec", genes["ec"].cast(pa.string()))
        return Tables(
            pa.Table.from_pylist(self.genomes), pa.Table.from_pylist(self.contigs), genes, pa.table(proteins)
        )
