"""Damaged inputs of glm-train: checkpoints and pickles of others, recipes, tables."""

from __future__ import annotations

import io
import json
import pickle
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from glm_annot.training import recipe
from glm_annot.training.bundle.published import read_glm
from glm_annot.training.common.inputs import read_array, read_json, read_parquet
from glm_annot.training.common.tsv import read_tsv
from glm_annot.training.common.untrusted import read_pickle
from tests.hostile.damage import damaged, damaged_json
from tests.support.official_files import Sizes, live_weights

_COLUMNS = ["protein", "sequence"]


@cache
def _checkpoint() -> bytes:
    stream = io.BytesIO()
    torch.save(live_weights(Sizes(dim=8, layers=1, heads=2, ffn=8, embedding=8, labels=4)), stream)
    return stream.getvalue()


def damaged_checkpoint(rng: random.Random, _: Sequence[bytes]) -> bytes:
    """A checkpoint of gLM with some bytes changed."""
    return damaged(_checkpoint(), rng)


def read_checkpoint(path: Path, _: random.Random) -> None:
    """As import-glm reads it."""
    read_glm(path)


def damaged_pickle(rng: random.Random, _: Sequence[bytes]) -> bytes:
    """A pickle of numpy arrays, by one of the protocols, with some bytes changed."""
    values = {"mean": np.arange(6.0), "std": np.ones((2, 3), np.float32), "n": 3}
    return damaged(pickle.dumps(values, protocol=rng.randint(2, 5)), rng)


def read_weights(path: Path, _: random.Random) -> None:
    """As import-glm reads it."""
    read_pickle(path)


def damaged_recipe(rng: random.Random, _: Sequence[bytes]) -> bytes:
    """A recipe of the program with other values, or as damaged text."""
    content = json.loads(rng.choice(list(recipe.known().values())).read_text(encoding="utf-8"))
    text = json.dumps(damaged_json(content, rng), indent=1).encode()
    return text if rng.random() < 0.7 else damaged(text, rng)


def read_recipe(path: Path, _: random.Random) -> None:
    """As every step reads it."""
    recipe.read(path)


@cache
def _tables() -> list[bytes]:
    parquet, array = io.BytesIO(), io.BytesIO()
    pq.write_table(pa.table({"protein": list(range(50)), "sequence": ["MKV"] * 50}), parquet)
    np.save(array, np.arange(60.0).reshape(6, 10))
    tsv = b"protein\tsequence\n" + b'a\t"b"\n' * 20
    return [parquet.getvalue(), array.getvalue(), tsv, json.dumps({"a": [1, {"b": 2}]}).encode()]


def damaged_table(rng: random.Random, _: Sequence[bytes]) -> bytes:
    """A Parquet table, an array, a table as text or JSON, with some bytes changed; its kind comes first."""
    kind = rng.randrange(len(_tables()))
    return bytes([kind]) + damaged(_tables()[kind], rng)


def read_table(path: Path, _: random.Random) -> None:
    """As training reads a file of that kind."""
    content = path.read_bytes()
    path.write_bytes(content[1:])
    if content[0] == 0:
        read_parquet(path, _COLUMNS)
    elif content[0] == 1:
        read_array(path).sum()
    elif content[0] == 2:
        list(read_tsv(path, *_COLUMNS))
    else:
        read_json(path)
