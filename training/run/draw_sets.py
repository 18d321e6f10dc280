"""The three sets of genomes of the shared data: see `corpus.sets`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from ..corpus import rings, sets
from ..corpus.heldout import read_sequences
from ..corpus.shared_data import SharedData
from ..corpus.tables import read_tables

_BESIDE = {"Escherichia coli K-12": "Escherichia"}  # name of the held-out genome, and its genus
_EXCLUDED = {452: "yeast, not a prokaryote"}
# Files of pyrodigal's package hold these, too: examples and tests made from them are no test of a model.
_ONLY_TRAIN = (100, 178, 229)


def draw_sets(data: Path, path: Path, *, seed: int) -> dict[str, int]:
    """Draw the sets from the shared data's corpus and K-12, and write them.

    Args:
        data: the data folder (docs/data.md); its corpus has a table of families.
        path: file to write.
        seed: of the drawing.

    Returns:
        how many genomes each list has.
    """
    source = read_tables(SharedData(data).corpus)
    table = rings.read_families(SharedData(data).corpus / "families.parquet", source.proteins.num_rows)
    family_P = table["family"].to_numpy().astype(np.int64)
    k12 = sorted(read_sequences(SharedData(data).k12))
    families = [
        *rings.families_of_genomes(source, family_P),
        rings.families_by_search(k12, source, family_P, threads=torch.get_num_threads()),
    ]
    lineage = sets.lineages()
    drawn = sets.choose(
        source,
        rings.shares(families),
        seed=seed,
        beside={name: lineage[genus] for name, genus in _BESIDE.items()},
        only_train=_ONLY_TRAIN,
        excluded=_EXCLUDED,
    )
    sets.write(drawn, path)
    lists = {
        "to test on": drawn.test,
        "to calibrate with": drawn.calibrate,
        "near relatives": drawn.relatives,
    }
    return {name: len(genomes) for name, genomes in lists.items()}
