"""Reading known operons: the collection's folders, tables by locus tag, a user's own operons.tsv."""

from __future__ import annotations

import gzip
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from glm_annot.errors import InputError
from glm_annot.training.operons.data import (
    RNA_SEQ_REACH,
    UNKNOWN,
    read_all_adjacent,
    read_confirmed,
    read_folder,
    read_organism,
    read_organisms,
)
from tests.support.tiny import made_gff3

GENES = [(1, 60, "+"), (71, 160, "+"), (181, 300, "+"), (401, 490, "-")]


def write_table(path: Path, *rows: Sequence[object]) -> Path:
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")
    return path


def write_organism(folder: Path, pairs: Sequence[tuple[str, str, int]], *, curated: bool = False) -> Path:
    """An organism as the collection holds it: gene N of contig C is C_N in the tables, 1_N in the GFF3."""
    folder.mkdir()
    gff, faa = ["##gff-version 3"], []
    for number, (start, end, strand) in enumerate(GENES, 1):
        columns = (
            "ctg",
            "Prodigal_v2.6.3",
            "CDS",
            start,
            end,
            "9.9",
            strand,
            0,
            f"ID=1_{number};partial=00;",
        )
        gff.append("\t".join(map(str, columns)))
        sense = 1 if strand == "+" else -1
        protein = "M" + "L" * ((end - start + 1) // 3 - 2)
        faa += [f">ctg_{number} # {start} # {end} # {sense} # ID=1_{number};partial=00", protein + "*"]
    (folder / "made.gff.gz").write_bytes(gzip.compress("\n".join(gff).encode()))
    (folder / "made.faa.gz").write_bytes(gzip.compress("\n".join(faa).encode()))
    write_table(folder / "pairs.tsv", ("gene_a", "gene_b", "label"), *pairs)
    header = ("operon_id", "n_genes", "evidence") if curated else ("operon_id", "n_genes")
    write_table(folder / "operons.tsv", header)
    return folder


@pytest.fixture
def annotation(tmp_path: Path) -> Path:
    """MADE_0001 .. MADE_0007, in runs of three on a strand: +++---+."""
    path = tmp_path / "made.gff3"
    path.write_text(made_gff3(7), encoding="utf-8")
    return path


def test_organism(tmp_path: Path) -> None:
    genome = read_organism(write_organism(tmp_path / "made", [("ctg_1", "ctg_2", 1), ("ctg_2", "ctg_3", 0)]))
    assert genome.name == "made" and genome.left_out == 0
    assert [labels.tolist() for labels in genome.labels] == [[1, 0, UNKNOWN]]


def test_only_curated_operons_are_heard_at_every_distance(tmp_path: Path) -> None:
    write_organism(tmp_path / "a", [("ctg_1", "ctg_2", 1)], curated=True)
    write_organism(tmp_path / "b", [("ctg_1", "ctg_2", 1)])
    found = read_organisms(tmp_path)
    assert (found["a"].reach, found["b"].reach) == (math.inf, RNA_SEQ_REACH)


def test_labels_of_genes_that_are_no_neighbours(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pairs.tsv: 1 pairs are no neighbouring .* ctg_1 and ctg_3"):
        read_organism(write_organism(tmp_path / "made", [("ctg_1", "ctg_3", 1)]))


def test_organism_without_its_proteins(tmp_path: Path) -> None:
    folder = write_organism(tmp_path / "made", [])
    (folder / "made.faa.gz").unlink()
    with pytest.raises(InputError, match=r"0 files \*\.faa\.gz"):
        read_organism(folder)


def test_no_organisms(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no organisms"):
        read_organisms(tmp_path / "missing")


def test_all_adjacent_pairs(annotation: Path, tmp_path: Path) -> None:
    operons = write_table(
        tmp_path / "operons.tsv",
        ("operon_id", "locus_tags"),
        ("one", "MADE_0001,MADE_0002"),
        ("overlapping", "MADE_0002,MADE_0003"),
        ("lone", "MADE_0004"),
        ("no_gene", ""),
        ("pair", "MADE_0006"),
    )
    (labels,) = read_all_adjacent(annotation, operons).labels
    # 1+2+ share one, 2+3+ another; 3+4- strands; 4-5- and 5-6-: 5 is in no operon; 6-7+ strands
    assert labels.tolist() == [1, 1, 0, UNKNOWN, UNKNOWN, 0]


def test_lone_neighbours_on_one_strand_share_none(annotation: Path, tmp_path: Path) -> None:
    operons = write_table(tmp_path / "o.tsv", ("locus_tags",), ("MADE_0001",), ("MADE_0002",))
    assert read_all_adjacent(annotation, operons).labels[0][0] == 0


def test_pairs_by_locus_tag_in_either_order(annotation: Path, tmp_path: Path) -> None:
    header = ("locus_a", "locus_b", "intergenic", "label")
    pairs = write_table(
        tmp_path / "p.tsv", header, ("MADE_0001", "MADE_0002", 9, 1), ("MADE_0006", "MADE_0005", 9, 0)
    )
    assert read_confirmed(annotation, pairs).labels[0].tolist() == [1, *[UNKNOWN] * 3, 0, UNKNOWN]


def test_pair_of_a_pseudogene_is_counted(annotation: Path, tmp_path: Path) -> None:
    text = annotation.read_text(encoding="utf-8").replace("ID=MADE_0002;", "ID=MADE_0002;pseudo=True;")
    annotation.write_text(text, encoding="utf-8")
    pairs = write_table(tmp_path / "p.tsv", ("locus_a", "locus_b", "label"), ("MADE_0001", "MADE_0002", 1))
    genome = read_confirmed(annotation, pairs)
    assert genome.left_out == 1 and set(np.concatenate(genome.labels)) == {UNKNOWN}


def test_table_without_a_column(annotation: Path, tmp_path: Path) -> None:
    pairs = write_table(tmp_path / "p.tsv", ("locus_a", "label"))
    with pytest.raises(InputError, match=r"p.tsv, line 1: no column 'locus_b'"):
        read_confirmed(annotation, pairs)


def test_a_label_that_is_no_label(annotation: Path, tmp_path: Path) -> None:
    pairs = write_table(
        tmp_path / "p.tsv", ("locus_a", "locus_b", "label"), ("MADE_0001", "MADE_0002", "yes")
    )
    with pytest.raises(InputError, match=r"p\.tsv, line 2: label 'yes' is not valid; write 1 .* 0 for two"):
        read_confirmed(annotation, pairs)
    write_organism(tmp_path / "one", [("contig_1_1", "contig_1_2", "yes")])  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"pairs\.tsv, line 2: label 'yes' is not valid"):
        read_organism(tmp_path / "one")


def test_user_s_own_operons(tmp_path: Path) -> None:
    for name in ("one", "two"):
        text = made_gff3(4, seed=len(name), contig="contig_1").replace("MADE", name)
        (tmp_path / f"{name}.gff3").write_text(text, encoding="utf-8")
    assert read_folder(tmp_path) == []
    table, header = tmp_path / "operons.tsv", ("contig", "gene_a", "gene_b", "label")
    write_table(
        table, header, ("contig_1", "two_0001", "two_0002", 1), ("contig_1", "two_0002", "two_0003", 0)
    )
    (genome,) = read_folder(tmp_path)  # the contigs are called alike: the genes tell
    assert genome.name == "two.gff3" and genome.labels[0].tolist() == [1, 0, UNKNOWN]
    assert genome.reach == math.inf
    write_table(table, header, ("contig_9", "two_0001", "two_0002", 1))
    with pytest.raises(InputError, match="no genome has a contig 'contig_9'"):
        read_folder(tmp_path)


def test_a_pair_that_fits_two_genomes_is_no_guess(tmp_path: Path) -> None:
    """Prodigal names contigs after the assembly's, and genes 1_1, 1_2, ... in each of its files."""
    for name in ("one", "two"):
        text = made_gff3(4, seed=len(name), contig="contig_1").replace("MADE", "1")
        (tmp_path / f"{name}.gff3").write_text(text, encoding="utf-8")
    header = ("contig", "gene_a", "gene_b", "label")
    write_table(tmp_path / "operons.tsv", header, ("contig_1", "1_0001", "1_0002", 1))
    message = r"one.gff3 and two.gff3 both have a contig 'contig_1' with genes '1_0001' and '1_0002'; give"
    with pytest.raises(InputError, match=message):
        read_folder(tmp_path)


def test_genes_called_alike_are_told_apart_by_their_contigs(tmp_path: Path) -> None:
    first, second = (made_gff3(4, seed=n, contig=f"c{n}").replace("tag=MADE", "tag=1") for n in (1, 2))
    second = second.replace("ID=MADE", "ID=MORE")
    columns = [line for line in second.splitlines() if line.startswith("c2\t")]
    fasta = second[second.index(">") :]
    text = first.replace("##FASTA", "\n".join(columns) + "\n##FASTA") + fasta
    (tmp_path / "both.gff3").write_text(text, encoding="utf-8")
    header = ("contig", "gene_a", "gene_b", "label")
    write_table(
        tmp_path / "operons.tsv", header, ("c1", "1_0001", "1_0002", 0), ("c2", "1_0001", "1_0002", 1)
    )
    (genome,) = read_folder(tmp_path)
    assert [labels[0] for labels in genome.labels] == [0, 1]


@pytest.mark.parametrize("again", [("MADE_0001", "MADE_0002"), ("MADE_0002", "MADE_0001")])
def test_two_labels_of_one_pair_are_refused(annotation: Path, tmp_path: Path, again: tuple[str, str]) -> None:
    contig = next(line for line in annotation.read_text().splitlines() if "\t" in line).split("\t")[0]
    rows = [("contig", "gene_a", "gene_b", "label"), (contig, "MADE_0001", "MADE_0002", 1)]
    table = write_table(tmp_path / "operons.tsv", *rows, (contig, *again, 1))
    (genome,) = read_folder(tmp_path)
    assert genome.labels[0].tolist() == [1, *[UNKNOWN] * 5] and genome.left_out == 0
    write_table(table, *rows, (contig, *again, 0))
    with pytest.raises(InputError, match=r"operons.tsv, line 3: .* labelled 0 here and 1 above; keep one"):
        read_folder(tmp_path)


def test_k12(shared_data: Path) -> None:
    """All sure pairs are neighbours, but for one that names a pseudogene."""
    genbank = shared_data / "annotated/ncbi/ecoli_k12.gbff.gz"
    folder = shared_data / "operons/escherichia_coli_k12"
    sure = read_confirmed(genbank, folder / "pairs_strong_confirmed.tsv")
    (labels,) = sure.labels
    assert ((labels == 1).sum(), (labels == 0).sum(), sure.left_out) == (431, 198, 1)
    organism = read_organism(folder)
    assert organism.reach == math.inf
    assert [(labels == 1).sum() for labels in organism.labels] == [1757]
