"""A small folder laid out as the shared data: a corpus, labelled enzymes, a held-out genome with operons."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from glm_annot.training.corpus import genome_folder
from glm_annot.training.corpus.tables import TABLES
from tests.support.made_genomes import OPERON, ancestors, genbank, make_genome, write_folder

FAMILIES = 30
ORGANISMS = [f"{letter}{letter.lower()}us one" for letter in "ABCDEFGHIJKL"]


def number_of(family: int) -> str:
    """The EC number of a family: two unrelated families have the same one."""
    return f"{1 + family // 2 % 6}.1.1.{1 + family // 2}"


def write_data(folder: Path, families: int = FAMILIES) -> Path:
    """Write the folder `data`; two thirds of the families are enzymes. The held-out genome has all twice."""
    data = folder / "data"
    write_folder(folder / "genomes", ORGANISMS, families)
    tables = genome_folder.read_tables(folder / "genomes")
    (data / "corpus").mkdir(parents=True)
    for name in TABLES:
        pq.write_table(getattr(tables, name), data / "corpus" / f"{name}.parquet")
    _write_enzymes(data / "ec", ancestors(families)[: 2 * families // 3])
    _write_held_out(data, ancestors(families) * 2)
    return data


def _write_enzymes(folder: Path, proteins: list[str]) -> None:
    folder.mkdir()
    ec = [number_of(family) for family in range(len(proteins))]
    names, sources = [f"P{n}" for n in range(len(ec))], ["CLEAN/split10"] * len(ec)
    columns = {"id": names, "sequence": proteins, "ec": ec, "trust": [1] * len(ec), "sources": sources}
    table = pa.table(columns)
    pq.write_table(table, folder / "labelled.parquet")
    (folder / "ec_names.tsv").write_text("ec\tname\tstatus\tsource\n", encoding="ascii")


def _write_held_out(data: Path, proteins: list[str]) -> None:
    genome = make_genome("Held out", proteins, 999)
    text = re.sub(
        r'( +)/locus_tag="(\w+)"',
        lambda found: f'{found[1]}/gene="g{found[2][-3:]}"\n{found[0]}',
        genbank(genome),
    )
    text = re.sub(
        r'( +/locus_tag="S999_(\d+)")',
        lambda found: f'{found[1]}\n                     /EC_number="{number_of(int(found[2]) % FAMILIES)}"',
        text,
    )
    path = data / "annotated" / "ncbi" / "ecoli_k12.gbff.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(text.encode()))
    operons: dict[int, list[str]] = {}
    for gene in genome.genes:
        operons.setdefault(gene.family // OPERON, []).append(gene.tag)
    rows = ["operon_id\tlocus_tags", *(f"{n}\t{','.join(tags)}" for n, tags in operons.items())]
    table = data / "operons" / "escherichia_coli_k12" / "operons.tsv"
    table.parent.mkdir(parents=True)
    table.write_text("\n".join(rows) + "\n", encoding="ascii")
