"""A small corpus with families and gene order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

FAMILIES, D, GENES = 20, 12, 40


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Six genomes of one contig: the same 20 families twice in one order, two genomes in another."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(FAMILIES + 4, D))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    orders = [np.tile(rng.permutation(FAMILIES), 2) for _ in range(2)]
    splits = ["train", "train", "train", "train", "valid", "test"]
    family = np.concatenate([orders[genome % 3 == 2].copy() for genome in range(6)])
    family[GENES * 4 : GENES * 4 + 4] = np.arange(FAMILIES, FAMILIES + 4)  # seen in no training genome
    embeddings = centres[family] + 0.05 * rng.normal(size=(len(family), D))
    n = len(family)
    numbers = [10 * (genome + 1) for genome in range(6)]
    tables = {
        "genomes": pa.table({"genome": numbers, "split": splits}),
        "contigs": pa.table({"contig": range(6), "genome": numbers}),
        "genes": pa.table(
            {
                "contig": np.repeat(np.arange(6), GENES),
                "protein": np.arange(n, dtype=np.int32),
                "strand": np.ones(n, np.int8),
                "start": 1 + 1000 * np.arange(n, dtype=np.int32),
                "end": 1000 * np.arange(n, dtype=np.int32) + np.where(np.arange(n) % 2, 993, 1004),
            }
        ),
        "proteins": pa.table(
            {
                "protein": np.arange(n, dtype=np.int32),
                "cluster": np.arange(n, dtype=np.int32),
                "family": (family * 7).astype(np.int32),
                "near_heldout": np.zeros(n, bool),
            }
        ),
    }
    for name, table in tables.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    np.save(tmp_path / "embeddings.npy", embeddings.astype(np.float16))
    return tmp_path
