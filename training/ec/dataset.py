"""An enzyme dataset of a corpus, as MGYE-EC was made: labels by search, split at 30 % identity per class.

A dataset is a folder:

    genomes.tsv     genome, organism, genus, genes, proteins (with a label); the sample, in the order drawn
    proteins.tsv    protein (row in the corpus's proteins), genome, contig, index (in the corpus's genes),
                    ec, group, split (train, test), sequence; ordered by contig and index
    classes.tsv     ec, groups, train, test: proteins of each EC number
    dataset.json    how it was made and what was counted

Proteins of one EC number are in one group if a chain of pairs joins them, each over 30 % identical over at
least half of both proteins. Whole groups are for training or for testing.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from glm_annot.ec_numbers import is_complete
from glm_annot.errors import InputError

from ..corpus import diamond, tables
from ..corpus.sample import Chosen
from ..corpus.tables import MIN_GENES, Tables
from .labels import MIN_COVERAGE, MIN_IDENTITY, Labelled, transfer

SPLIT_IDENTITY, SPLIT_COVERAGE = 0.3, 0.5
MAX_TRUST = 2  # tier of labelled proteins to search; the last that names its accession
TEST_SHARE = 0.3  # of the proteins of a class, at most; one group at least where there are two
GENOMES, PROTEINS, CLASSES, RECORD = "genomes.tsv", "proteins.tsv", "classes.tsv", "dataset.json"


@dataclass(frozen=True)
class DatasetOptions:
    """How to make a dataset.

    Attributes:
        genomes: size of the sample, balanced over genera; None takes all.
        seed: of the sample and of the split.
        exclude: genome numbers to leave out, with the reason.
    """

    genomes: int | None = 24
    seed: int = 0
    exclude: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Enzyme:
    """A protein with one EC number, and where it was met first."""

    protein: int
    genome: int
    contig: int
    index: int
    ec: str
    sequence: str


def build(
    source: Tables, labelled: Sequence[Labelled], folder: Path, *, options: DatasetOptions, threads: int = 1
) -> dict[str, Any]:
    """Make a dataset and write it.

    Args:
        source: the corpus.
        labelled: proteins with EC numbers.
        folder: where to write; made if need be.
        options: what to draw.
        threads: processor cores for DIAMOND.

    Returns:
        what dataset.json holds.

    Raises:
        InputError: no EC number has proteins both to train on and to test with.
        GlmAnnotError: DIAMOND is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn = tables.CorpusOptions(genomes=options.genomes, valid=0, seed=options.seed)
    chosen, _ = tables.draw(source, drawn, options.exclude)
    enzymes = label(source, [item.candidate.genome for item in chosen], labelled, threads=threads)
    groups_N = identity_groups(enzymes, threads=threads)
    is_test_N = split([enzyme.ec for enzyme in enzymes], groups_N, seed=options.seed)
    if not is_test_N.any():
        raise InputError(
            f"none of {len(enzymes)} proteins with an EC number can test: no class has two groups under "
            "30 % identity; take more genomes"
        )
    classes = _classes(enzymes, groups_N, is_test_N)
    _write(folder / GENOMES, _genomes(source, chosen, enzymes))
    _write(folder / PROTEINS, _proteins(enzymes, groups_N, is_test_N))
    _write(folder / CLASSES, classes)
    record = {
        "options": asdict(options) | {"exclude": {str(k): v for k, v in options.exclude.items()}},
        "labels": f"DIAMOND, at least {MIN_IDENTITY:.0%} identity over {MIN_COVERAGE:.0%} of both proteins",
        "split": f"groups of at least {SPLIT_IDENTITY:.0%} identity over {SPLIT_COVERAGE:.0%} of both",
        "labelled_proteins_searched": len(labelled),
        "genomes": len(chosen),
        "proteins": len(enzymes),
        "classes": len(classes),
        "classes_with_test": sum(row["test"] > 0 for row in classes),
        "train": int((~is_test_N).sum()),
        "test": int(is_test_N.sum()),
    }
    (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return record


def label(
    source: Tables, genomes: Sequence[int], labelled: Sequence[Labelled], *, threads: int = 1
) -> list[Enzyme]:
    """Give the distinct proteins of some genomes the EC number of the most similar labelled protein.

    Only genes on contigs long enough for a window count, and only proteins with exactly one complete number.
    """
    long = source.contigs.filter(
        pc.and_(
            pc.is_in(source.contigs["genome"], pa.array(genomes, source.contigs["genome"].type)),
            pc.greater_equal(source.contigs["n_genes"], MIN_GENES),
        )
    )
    genome_of = dict(zip(long["contig"].to_pylist(), long["genome"].to_pylist(), strict=True))
    wanted = pa.array(list(genome_of), source.genes["contig"].type)
    genes = source.genes.filter(pc.is_in(source.genes["contig"], wanted))
    _, first = np.unique(genes["protein"].to_numpy(), return_index=True)
    met = genes.take(pa.array(np.sort(first))).select(["protein", "contig", "index"]).to_pylist()
    sequences = source.proteins["sequence"].take(pa.array([row["protein"] for row in met])).to_pylist()
    found = transfer(labelled, sequences, held_out=(), threads=threads)
    return [
        Enzyme(row["protein"], genome_of[row["contig"]], row["contig"], row["index"], ec[0], sequence)
        for place, (row, sequence) in enumerate(zip(met, sequences, strict=True))
        if place in found and len(ec := labelled[found[place]].ec) == 1 and is_complete(ec[0])
    ]


def identity_groups(enzymes: Sequence[Enzyme], *, threads: int = 1) -> npt.NDArray[np.int64]:
    """Number of each protein's group, (N,): chains of similar proteins of one EC number."""
    pairs = diamond.pairs_alike(
        (enzyme.sequence for enzyme in enzymes),
        min_identity=SPLIT_IDENTITY,
        min_coverage=SPLIT_COVERAGE,
        threads=threads,
    )
    edges = [(a, b) for a, b in pairs if enzymes[a].ec == enzymes[b].ec]
    ends = np.array(edges, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(edges)), (ends[0], ends[1])), shape=(len(enzymes), len(enzymes)))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def split(ec_N: Sequence[str], group_N: npt.NDArray[np.int64], *, seed: int) -> npt.NDArray[np.bool_]:
    """Choose whole groups of each EC number for testing, (N,) True where a protein tests.

    The largest group trains. The others are drawn in random order while at most 30 % of the class's
    proteins test; the smallest one tests where none fits. A class of one group trains only.
    """
    rng = np.random.default_rng(seed)
    is_test_N = np.zeros(len(ec_N), np.bool_)
    names = np.array(ec_N)
    for ec in sorted(set(ec_N)):
        inside = np.flatnonzero(names == ec)
        groups, sizes = np.unique(group_N[inside], return_counts=True)
        order = np.lexsort((groups, -sizes))
        others = rng.permutation(order[1:]).tolist()
        drawn, spent = [], 0
        for place in others:
            if spent + sizes[place] <= TEST_SHARE * len(inside):
                drawn.append(place)
                spent += sizes[place]
        if others and not drawn:
            drawn = [order[-1]]
        is_test_N[inside] = np.isin(group_N[inside], groups[drawn])
    return is_test_N


def _classes(
    enzymes: Sequence[Enzyme], group_N: npt.NDArray[np.int64], is_test_N: npt.NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Counts of each EC number, the largest class first."""
    groups = Counter(ec for ec, _ in {(e.ec, int(g)) for e, g in zip(enzymes, group_N, strict=True)})
    train = Counter(e.ec for e, test in zip(enzymes, is_test_N, strict=True) if not test)
    test = Counter(e.ec for e, test in zip(enzymes, is_test_N, strict=True) if test)
    order = sorted(groups, key=lambda ec: (-train[ec] - test[ec], ec))
    return [{"ec": ec, "groups": groups[ec], "train": train[ec], "test": test[ec]} for ec in order]


def _genomes(source: Tables, chosen: Sequence[Chosen], enzymes: Sequence[Enzyme]) -> list[dict[str, Any]]:
    ids, organisms = (source.genomes[name].to_pylist() for name in ("genome", "organism"))
    organism = dict(zip(ids, organisms, strict=True))
    counts = Counter(enzyme.genome for enzyme in enzymes)
    return [
        {
            "genome": item.candidate.genome,
            "organism": organism[item.candidate.genome],
            "genus": item.candidate.genus,
            "genes": item.candidate.genes,
            "proteins": counts[item.candidate.genome],
        }
        for item in chosen
    ]


def _proteins(
    enzymes: Sequence[Enzyme], group_N: npt.NDArray[np.int64], is_test_N: npt.NDArray[np.bool_]
) -> Iterable[dict[str, Any]]:
    for enzyme, group, test in zip(enzymes, group_N.tolist(), is_test_N.tolist(), strict=True):
        columns = {name: value for name, value in asdict(enzyme).items() if name != "sequence"}
        yield {**columns, "group": group, "split": "test" if test else "train", "sequence": enzyme.sequence}


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
