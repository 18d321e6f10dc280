"""Contrastive training of the family encoder: what is drawn, and that it learns and resumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from glm_annot.errors import InputError
from glm_annot.model.family_encoder import FamilyEncoder, embed
from glm_annot.model.sizes import FamilyEncoderConfig
from glm_annot.training.encoder.contrastive import FamilyPairs, train_family_encoder
from glm_annot.training.encoder.exports import read_encoder
from glm_annot.training.settings import EngineConfig, TrainFamilyConfig
from tests.support.paths import ROOT

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
CONFIG = TrainFamilyConfig(FamilyEncoderConfig(dim=16, kmer_dim=8, hidden=16, hash_bits=10), pairs=12)


def relatives(count: int, members: int, seed: int = 0) -> pa.Table:
    """Families of proteins of which each has a tenth of its residues replaced; two clusters a family."""
    rng = np.random.default_rng(seed)
    rows = []
    for family in range(count):
        ancestor = rng.integers(20, size=80)
        for member in range(members):
            changed = np.where(rng.random(80) < 0.1, rng.integers(20, size=80), ancestor)
            sequence = "".join(RESIDUES[residue] for residue in changed)
            rows.append({"sequence": sequence, "family": family, "cluster": 2 * family + member % 2})
    return pa.Table.from_pylist([{**row, "labelled": row["family"] % 2 == 0} for row in rows])


def optimiser(steps: int) -> EngineConfig:
    return EngineConfig(learning_rate=0.003, steps=steps, save_every=0.0)


def test_pairs_are_of_one_family_and_mostly_of_two_clusters() -> None:
    table = relatives(30, 6)
    pairs = FamilyPairs(table, CONFIG)
    rows = np.concatenate([pairs.draw_rows(np.random.default_rng(seed)) for seed in range(200)])
    family, cluster = (table[name].to_numpy()[rows] for name in ("family", "cluster"))
    assert (family[:, 0] == family[:, 1]).all() and (rows[:, 0] != rows[:, 1]).all()
    assert 0.75 < (cluster[:, 0] != cluster[:, 1]).mean() < 0.85
    labelled = table["labelled"].to_numpy(zero_copy_only=False)[rows[:, 0]].mean()
    assert 0.6 < labelled < 0.72  # twice as likely, but drawn at most once a batch


def test_small_families_are_never_drawn_and_too_few_are_refused() -> None:
    small = relatives(2, 2, seed=1).set_column(1, "family", pa.array([100, 100, 101, 101]))
    table = pa.concat_tables([relatives(5, 4), small])
    rows = FamilyPairs(table, CONFIG).draw_rows(np.random.default_rng(0))
    assert table["family"].to_numpy()[rows].max() < 100
    with pytest.raises(InputError, match="too few to learn from"):
        FamilyPairs(relatives(1, 9), CONFIG)


def test_it_learns_families_and_resumes_exactly(tmp_path: Path) -> None:
    path = tmp_path / "family_proteins.parquet"
    pq.write_table(relatives(20, 6), path)
    train_family_encoder(path, tmp_path / "whole", CONFIG, optimiser(40))
    for steps in (15, 40):
        train_family_encoder(path, tmp_path / "parts", CONFIG, optimiser(steps))
    whole, parts = read_encoder(tmp_path / "whole"), read_encoder(tmp_path / "parts")
    assert isinstance(whole, FamilyEncoder)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, parts.state_dict()[name]), name
    unseen = relatives(20, 6)["sequence"].to_pylist()
    embeddings = embed(whole.eval(), unseen)
    cosine = embeddings @ embeddings.T - 2 * np.eye(len(unseen))
    assert (cosine.argmax(1) // 6 == np.arange(len(unseen)) // 6).mean() > 0.9


def test_the_weights_in_the_repository_tell_families() -> None:
    encoder = read_encoder(ROOT / "training" / "weights" / "family_encoder").eval()
    assert isinstance(encoder, FamilyEncoder)
    proteins = relatives(20, 6)["sequence"].to_pylist()
    embeddings = embed(encoder, proteins)
    cosine = embeddings @ embeddings.T - 2 * np.eye(len(proteins))
    assert (cosine.argmax(1) // 6 == np.arange(len(proteins)) // 6).mean() > 0.9
