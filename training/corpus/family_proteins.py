"""The proteins that may train the family encoder: `family_proteins.parquet` of a corpus folder.

    sequence, family, cluster, labelled (its family is an EC number)

Each is a protein of a genome that trains, or one with EC numbers, once for each of these. None is identical
to a held-out protein or to one of a genome that is calibrated with or tested on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from .sets import Sets
from .tables import Tables, gene_columns

FAMILY_PROTEINS = "family_proteins.parquet"


def proteins_of(source: Tables, genomes: Collection[int]) -> npt.NDArray[np.bool_]:
    """Which proteins occur in some genomes, shape (P,)."""
    rows, _ = gene_columns(source)
    wanted_N = pc.is_in(source.genomes["genome"], pa.array(sorted(genomes), pa.int64())).to_numpy()
    found = np.zeros(source.proteins.num_rows, np.bool_)
    found[source.genes["protein"].to_numpy()[wanted_N[rows]]] = True
    return found


def may_train(source: Tables, sets: Sets) -> npt.NDArray[np.bool_]:
    """Which proteins occur in a genome that trains and in none that calibrates or tests, (P,)."""
    training = set(source.genomes["genome"].to_pylist()) - set(sets.untrained)
    measured = {*sets.test, *sets.calibrate}
    return proteins_of(source, training) & ~proteins_of(source, measured)


def family_proteins(
    source: Tables,
    families: pa.Table,
    trains_P: npt.NDArray[np.bool_],
    labelled: Iterable[tuple[str, Iterable[str]]],
) -> pa.Table:
    """The table of proteins to train on.

    Args:
        source: the genomes.
        families: as `rings.read_families` gives them.
        trains_P: which of the proteins of `source` to take.
        labelled: other proteins and the EC numbers of each, none of them held out.
    """
    chosen = families.filter(pa.array(trains_P))
    first_free = {name: pc.max(families[name]).as_py() + 1 for name in ("family", "cluster")}
    rows = [(n, sequence, ec) for n, (sequence, numbers) in enumerate(labelled) for ec in numbers]
    number_of = {ec: n for n, ec in enumerate(sorted({ec for _, _, ec in rows}))}
    of_genomes = {
        "sequence": source.proteins["sequence"].filter(pa.array(trains_P)).combine_chunks(),
        "family": chosen["family"].cast(pa.int64()).combine_chunks(),
        "cluster": chosen["cluster"].cast(pa.int64()).combine_chunks(),
        "labelled": pa.array(np.zeros(chosen.num_rows, np.bool_)),
    }
    enzymes = {
        "sequence": pa.array([sequence for _, sequence, _ in rows], source.proteins["sequence"].type),
        "family": pa.array([first_free["family"] + number_of[ec] for _, _, ec in rows], pa.int64()),
        "cluster": pa.array([first_free["cluster"] + n for n, _, _ in rows], pa.int64()),
        "labelled": pa.array(np.ones(len(rows), np.bool_)),
    }
    return pa.concat_tables([pa.table(of_genomes), pa.table(enzymes)])


def write(table: pa.Table, folder: Path) -> None:
    """Write the table into a corpus folder."""
    pq.write_table(table, folder / FAMILY_PROTEINS, compression="zstd")
