"""The training corpus: its format on disk, and how one is made from a larger set of annotated genomes.

A corpus is a folder of Parquet tables that join by number:

    genomes.parquet    genome, organism, genus ('?' unknown), split (train, valid, test; relative: near one
                       of these two, which trains nothing), n_genes, n_ec, source
    contigs.parquet    contig, genome, name, length (bp or null), n_genes; at least `MIN_GENES` genes each
    genes.parquet      contig, index (order on the contig), start, end (1-based, inclusive), strand
                       (1, -1), protein, ec (';'-separated or null); ordered by contig, then index
    proteins.parquet   protein (0, 1, 2, ... in order: the row's position), sequence (distinct), cluster
                       (equal numbers: alike proteins), near_heldout (resembles a protein of a held-out
                       genome), is_heldout_identical (is a protein of a held-out genome or a benchmark);
                       family (wider than a cluster) where the recipe has families
    encoder_proteins.parquet
                       sequence, cluster: all proteins that may train the encoder, also those of genomes
                       that the sample leaves out; none that is identical to a held-out protein, or
                       occurs in genomes of the split 'test' alone
    family_proteins.parquet
                       where the recipe has families: see `family_proteins`
    corpus.json        where it came from, options, each chosen genome and its split, whether that is by
                       genus or by genome, each genome left out and why, and what was counted
    DONE               written last: the folder is complete

`embeddings.npy` (glm-train embed) joins the folder: float16 (proteins, D), row = `protein`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from glm_annot.errors import InputError

from ..common.inputs import damaged, read_parquet
from . import similarity
from .heldout import HeldOut
from .sample import RELATED, Candidate, Chosen, choose, most_valid, related_groups, split_by

MIN_GENES = 15  # shortest window that trains or is evaluated, Hwang et al. 2023
WINDOW = 30  # genes per window, the same
TABLES = ("genomes", "contigs", "genes", "proteins")


@dataclass(frozen=True)
class Tables:
    """The four tables of a set of genomes; `proteins` is ordered so that `protein` is the row's position."""

    genomes: pa.Table
    contigs: pa.Table
    genes: pa.Table
    proteins: pa.Table


@dataclass(frozen=True)
class CorpusOptions:
    """How to make a corpus.

    Attributes:
        genomes, residues: size of the sample; both None takes every genome.
        valid, test: genomes to set aside from training, whole genera where there are enough of them (see
            `sample.choose`); corpus.json has 'split_by': 'genus' or 'genome'.
        seed: of the order in which genera are drawn.
        exclude: genome numbers to leave out, with the reason.
        splits: genomes whose split is fixed; then no other one is set aside, and the sample is of the others.
    """

    genomes: int | None = None
    residues: int | None = None
    valid: int = 1
    test: int = 0
    seed: int = 0
    exclude: Mapping[int, str] = field(default_factory=dict)
    splits: Mapping[int, str] = field(default_factory=dict)


def read_tables(folder: Path) -> Tables:
    """Read genomes, contigs, genes and proteins (one file, or shards `proteins-*.parquet`) from a folder.

    Raises:
        InputError: a table is missing, or protein numbers are not 0, 1, 2, ...
    """
    tables = {name: read_table(folder, name) for name in TABLES}
    proteins = tables["proteins"].sort_by("protein")
    if not np.array_equal(proteins["protein"].to_numpy(), np.arange(proteins.num_rows)):
        raise InputError("proteins must be numbered 0, 1, 2, ... without gaps", folder)
    genes = tables["genes"].sort_by([("contig", "ascending"), ("index", "ascending")])
    return Tables(tables["genomes"], tables["contigs"], genes, proteins)


def read_table(folder: Path, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one of `TABLES` from a folder; all of its columns, or those named.

    Raises:
        InputError: it is missing.
    """
    return pa.concat_tables([read_parquet(file, columns) for file in table_files(folder, name)])


def table_files(folder: Path, name: str) -> list[Path]:
    """The files of one of `TABLES` in a folder; raises as `read_table`."""
    files = sorted(folder.glob(f"{name}.parquet")) or sorted(folder.glob(f"{name}-*.parquet"))
    if not files:
        raise InputError(f"holds no {name}.parquet; a corpus folder needs {', '.join(TABLES)}", folder)
    return files


def read_clusters(path: Path, n: int) -> npt.NDArray[np.int64]:
    """Read a finished clustering: representative, tab, member; a letter before protein numbers is ignored.

    Returns:
        for each of the n proteins its representative's number, shape (n,).

    Raises:
        InputError: it is missing or damaged, or of other proteins.
    """
    from pyarrow import csv

    names = csv.ReadOptions(column_names=["representative", "member"])
    kinds = {"representative": pa.string(), "member": pa.string()}
    try:
        table = csv.read_csv(
            path,
            read_options=names,
            parse_options=csv.ParseOptions(delimiter="\t"),
            convert_options=csv.ConvertOptions(column_types=kinds),
        )
        number = {
            name: pc.cast(pc.replace_substring_regex(table[name], r"^\D+", ""), pa.int64()).to_numpy()
            for name in names.column_names
        }
    except (OSError, pa.ArrowException) as error:
        raise damaged("clustering", path, error) from error
    if not np.array_equal(np.sort(number["member"]), np.arange(n)):
        raise InputError(f"does not name each of the {n} proteins exactly once", path)
    clusters = np.empty(n, dtype=np.int64)
    clusters[number["member"]] = number["representative"]
    return clusters


def build(
    source: Tables,
    folder: Path,
    *,
    options: CorpusOptions,
    origin: str,
    held_out: HeldOut,
    clusters: npt.NDArray[np.int64] | None = None,
    families: npt.NDArray[np.int64] | None = None,
    trains_P: npt.NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Draw a sample of `source` and write it as a corpus folder.

    Args:
        source: the whole set of genomes.
        folder: where to write; made if need be.
        options: what to draw.
        origin: where `source` was read from, for the record.
        held_out: sequences to mark, and to keep out of the encoder's proteins.
        clusters: a cluster number for each protein of `source`; computed with MMseqs2 when None.
        families: a family number for each of them, wider than clusters; None for none.
        trains_P: which of these may be among the encoder's proteins; None for all that are not held out.

    Returns:
        what corpus.json holds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "DONE").unlink(missing_ok=True)
    if clusters is None:
        clusters = similarity.cluster(source.proteins["sequence"].to_pylist())
    identical = _is_in(source.proteins["sequence"], held_out.all)
    proteins = source.proteins.append_column("cluster", pa.array(clusters, pa.int32()))
    proteins = proteins.append_column("is_heldout_identical", pa.array(identical))
    if families is not None:
        proteins = proteins.append_column("family", pa.array(families, pa.int32()))

    close = {}
    if not options.splits:
        close = relatives(source, _is_in(source.proteins["sequence"], held_out.genomes))
    chosen, left_out = draw(source, options, {**close, **options.exclude})
    kept = ~identical & ~_of_tests_alone(source, chosen)
    if trains_P is not None:
        kept &= trains_P
    encoder = proteins.filter(pa.array(kept)).select(["sequence", "cluster"])
    sample = _restrict(source, proteins, chosen)
    near = _near(sample.proteins["sequence"], held_out.genomes)
    sample = Tables(
        sample.genomes,
        sample.contigs,
        sample.genes,
        sample.proteins.append_column("near_heldout", pa.array(near)),
    )
    for name in TABLES:
        pq.write_table(getattr(sample, name), folder / f"{name}.parquet", compression="zstd")
    pq.write_table(encoder, folder / "encoder_proteins.parquet", compression="zstd")
    record = {
        "format": 1,
        "origin": origin,
        "held_out": list(held_out.names),
        "options": asdict(options)
        | {name: {str(k): v for k, v in getattr(options, name).items()} for name in ("exclude", "splits")},
        "split_by": split_by(chosen),
        "genomes": _listing(sample, chosen),
        "left_out": {str(genome): reason for genome, reason in left_out.items()},
        "counts": _counts(sample, encoder),
    }
    (folder / "corpus.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (folder / "DONE").write_text("complete\n", encoding="ascii")
    return record


def split_line(record: Mapping[str, Any]) -> str:
    """A line of text: how the genomes of a corpus are split, and where that differs from what was wanted.

    Args:
        record: what corpus.json holds.
    """
    counts = {split: record["counts"][f"genomes_{split}"] for split in ("train", "valid", "test")}
    line = "split: " + ", ".join(f"{number:,} {split}" for split, number in counts.items())
    if record["options"]["splits"]:
        return (
            f"{line}; as the recipe's sets say, with {record['counts']['genomes_relative']:,} near relatives"
        )
    wanted = {split: record["options"][split] for split in ("valid", "test")}
    wanted["valid"] = most_valid(wanted["valid"], sum(counts.values()))
    if wanted["test"] and not counts["test"]:
        line = f"{line}; none tests, because there are only two genomes"
        wanted["test"] = 0
    if record["split_by"] == "genome":
        return f"{line}; by genome, because there are too few genera: relatives of what trains are set aside"
    if any(counts[split] != number for split, number in wanted.items()):
        asked = ", ".join(f"{number:,} {split}" for split, number in wanted.items())
        return f"{line}; {asked} were wanted, but genera are set aside whole"
    return line


def _is_in(sequences: pa.ChunkedArray, wanted: frozenset[str]) -> npt.NDArray[np.bool_]:
    found = pc.is_in(sequences, value_set=pa.array(sorted(wanted), sequences.type))
    return np.asarray(found.to_numpy(), dtype=np.bool_)


def _of_tests_alone(source: Tables, chosen: Sequence[Chosen]) -> npt.NDArray[np.bool_]:
    """Mark the proteins of genomes that are set aside for testing but for those that others have, too."""
    tested = [item.candidate.genome for item in chosen if item.split == "test"]
    wanted = pc.is_in(source.contigs["genome"], pa.array(tested, source.contigs["genome"].type))
    contigs = source.contigs["contig"].filter(wanted).combine_chunks()
    tested_G = pc.is_in(source.genes["contig"], contigs).to_numpy()
    protein_G, found = source.genes["protein"].to_numpy(), np.zeros(source.proteins.num_rows, np.bool_)
    found[protein_G[tested_G]] = True
    found[protein_G[~tested_G]] = False
    return found


def _near(sequences: pa.ChunkedArray, held_out: frozenset[str]) -> npt.NDArray[np.bool_]:
    """Mark what is more than 70 % identical to a held-out genome's protein (Hwang et al. 2023)."""
    if not held_out:
        return np.zeros(len(sequences), dtype=np.bool_)
    return similarity.resembles(sequences.to_pylist(), sorted(held_out), min_identity=0.7, coverage=0.8)


def gene_columns(source: Tables) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Give each gene's row in `genomes`, and whether its contig is long enough for a window."""
    genome_row = {genome: row for row, genome in enumerate(source.genomes["genome"].to_pylist())}
    contigs = source.contigs["contig"].to_numpy()
    rows = np.zeros(int(contigs.max()) + 1, dtype=np.int64)
    rows[contigs] = [genome_row[genome] for genome in source.contigs["genome"].to_pylist()]
    genes = np.zeros(len(rows), dtype=np.int64)
    genes[contigs] = source.contigs["n_genes"].to_numpy()
    contig_of_gene = source.genes["contig"].to_numpy()
    return rows[contig_of_gene], genes[contig_of_gene] >= MIN_GENES


def relatives(source: Tables, identical: npt.NDArray[np.bool_]) -> dict[int, str]:
    """Name the genomes so near a held-out one that nearly all of their windows would be left out."""
    rows, _ = gene_columns(source)
    n = source.genomes.num_rows
    genes = np.bincount(rows, minlength=n)
    same = np.bincount(rows, weights=identical[source.genes["protein"].to_numpy()], minlength=n)
    share = same / np.maximum(genes, 1)
    return {
        genome: f"relative of a held-out genome: {share[row]:.0%} of its proteins are identical"
        for row, genome in enumerate(source.genomes["genome"].to_pylist())
        if share[row] >= RELATED
    }


def draw(
    source: Tables, options: CorpusOptions, exclude: Mapping[int, str]
) -> tuple[list[Chosen], dict[int, str]]:
    """Draw a sample of genomes, balanced over genera.

    Args:
        source: the whole set of genomes.
        options: what to draw.
        exclude: genomes to leave out and why; all there are, `options.exclude` is not looked at.

    Returns:
        the sample in the order drawn, and every genome that could not be drawn with the reason.
    """
    candidates, left_out = _candidates(source, exclude)
    return _choose(source, candidates, options), left_out


def _candidates(source: Tables, exclude: Mapping[int, str]) -> tuple[list[Candidate], dict[int, str]]:
    """Describe every genome that may be drawn; say why the others may not."""
    rows, long = gene_columns(source)
    n = source.genomes.num_rows
    proteins = source.genes["protein"].to_numpy()
    length = pc.utf8_length(source.proteins["sequence"]).to_numpy()[proteins]
    genes = np.bincount(rows, minlength=n)
    long_genes = np.bincount(rows, weights=long, minlength=n).astype(int)
    residues = np.bincount(rows, weights=long * length, minlength=n).astype(int)
    labelled = np.bincount(rows, weights=long & source.genes["ec"].is_valid().to_numpy(), minlength=n)
    left_out: dict[int, str] = {}
    candidates = []
    for row, (genome, genus) in enumerate(
        zip(source.genomes["genome"].to_pylist(), source.genomes["genus"].to_pylist(), strict=True)
    ):
        share = long_genes[row] / max(genes[row], 1)
        if genome in exclude:
            left_out[genome] = exclude[genome]
        elif long_genes[row] == 0:
            left_out[genome] = f"no contig of {MIN_GENES} genes or more"
        else:
            numbers = (int(long_genes[row]), int(residues[row]), float(share), int(labelled[row]))
            candidates.append(Candidate(genome, genus, *numbers))
    return candidates, left_out


def _choose(source: Tables, candidates: list[Candidate], options: CorpusOptions) -> list[Chosen]:
    rows, _ = gene_columns(source)
    groups = related_groups(
        source.genomes["genus"].to_pylist(), rows, source.genes["protein"].to_numpy().astype(np.int64)
    )
    row_of = {genome: row for row, genome in enumerate(source.genomes["genome"].to_pylist())}
    fixed = [
        Chosen(candidate, int(groups[row_of[candidate.genome]]), options.splits[candidate.genome])
        for candidate in candidates
        if candidate.genome in options.splits
    ]
    free = [candidate for candidate in candidates if candidate.genome not in options.splits]
    drawn = choose(
        free,
        groups[[row_of[candidate.genome] for candidate in free]],
        genomes=options.genomes,
        residues=options.residues,
        valid=0 if fixed else options.valid,
        test=0 if fixed else options.test,
        seed=options.seed,
    )
    return [*drawn, *fixed]


def _restrict(source: Tables, proteins: pa.Table, chosen: list[Chosen]) -> Tables:
    """Keep the chosen genomes and their long contigs; number their proteins anew, in the old order."""
    split = {item.candidate.genome: item.split for item in chosen}
    genomes = source.genomes.filter(pc.is_in(source.genomes["genome"], pa.array(sorted(split))))
    genomes = genomes.append_column("split", pa.array([split[g] for g in genomes["genome"].to_pylist()]))
    long = pc.greater_equal(source.contigs["n_genes"], MIN_GENES)
    of_chosen = pc.is_in(source.contigs["genome"], pa.array(sorted(split)))
    contigs = source.contigs.filter(pc.and_(long, of_chosen))
    wanted = pa.array(contigs["contig"].to_pylist(), source.genes["contig"].type)
    genes = source.genes.filter(pc.is_in(source.genes["contig"], wanted))
    kept, renumbered = np.unique(genes["protein"].to_numpy(), return_inverse=True)
    column = genes.column_names.index("protein")
    genes = genes.set_column(column, "protein", pa.array(renumbered, pa.int32()))
    sampled = proteins.take(pa.array(kept))
    sampled = sampled.set_column(0, "protein", pa.array(np.arange(len(kept)), pa.int32()))
    return Tables(genomes, contigs, genes, sampled)


def _listing(sample: Tables, chosen: list[Chosen]) -> list[dict[str, Any]]:
    """List the chosen genomes in the order in which they were drawn."""
    rows = {row["genome"]: row for row in sample.genomes.to_pylist()}
    return [
        {
            "genome": item.candidate.genome,
            "organism": rows[item.candidate.genome]["organism"],
            "genus": item.candidate.genus,
            "group": item.group,
            "split": item.split,
            "genes": item.candidate.genes,
            "residues": item.candidate.residues,
            "source": rows[item.candidate.genome].get("source"),
        }
        for item in chosen
    ]


def _counts(sample: Tables, encoder: pa.Table) -> dict[str, int]:
    """Count genes, proteins, residues, and what stands near the held-out genomes."""
    near_windows, windows = count_near_windows(sample)
    length = pc.sum(pc.utf8_length(sample.proteins["sequence"])).as_py()
    by_split = Counter(sample.genomes["split"].to_pylist())
    return {
        **{f"genomes_{name}": by_split[name] for name in ("train", "valid", "test", "relative")},
        "contigs": sample.contigs.num_rows,
        "genes": sample.genes.num_rows,
        "proteins": sample.proteins.num_rows,
        "residues": int(length or 0),
        "proteins_near_heldout": int(pc.sum(sample.proteins["near_heldout"]).as_py() or 0),
        "proteins_heldout_identical": int(pc.sum(sample.proteins["is_heldout_identical"]).as_py() or 0),
        "windows": windows,
        "windows_near_heldout": near_windows,
        "encoder_proteins": encoder.num_rows,
    }


def count_near_windows(sample: Tables) -> tuple[int, int]:
    """Count consecutive windows of up to 30 genes, and those that the held-out genomes forbid.

    A window is forbidden when more than half of its proteins are near the held-out set (Hwang et al. 2023).

    Returns:
        (forbidden windows, all windows).
    """
    near = sample.proteins["near_heldout"].to_numpy()[sample.genes["protein"].to_numpy()]
    _, window = np.unique(
        np.stack([sample.genes["contig"].to_numpy(), sample.genes["index"].to_numpy() // WINDOW]),
        axis=1,
        return_inverse=True,
    )
    size = np.bincount(window.ravel())
    return int((np.bincount(window.ravel(), weights=near) > size / 2).sum()), len(size)
