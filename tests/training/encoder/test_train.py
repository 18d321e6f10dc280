"""Encoder pretraining: pairs, corruption, the losses on known cases, and exact resume through the engine."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from glm_annot.errors import GlmAnnotError, InputError
from glm_annot.model.esm import MASK, STANDARD_RESIDUES
from glm_annot.model.sizes import PLMConfig
from glm_annot.training.common.engine import Engine
from glm_annot.training.encoder.train import (
    EncoderBatch,
    EncoderObjective,
    ProteinPairs,
    make_batch,
    train_plm,
)
from glm_annot.training.settings import EngineConfig, TrainPLMConfig

CONFIG = TrainPLMConfig(
    PLMConfig(layers=1, dim=16, heads=2), pairs=4, crop=48, projection=8, memory=12, held_out_clusters=2
)
ENGINE = EngineConfig(learning_rate=1e-2, steps=6, validate_every=4)


def families(n: int = 12, members: int = 3) -> pa.Table:
    rng = np.random.default_rng(0)
    sequences = []
    for _ in range(n):
        ancestor = rng.choice(list(STANDARD_RESIDUES), 60)
        for _ in range(members):
            child = np.where(rng.random(60) < 0.1, rng.choice(list(STANDARD_RESIDUES), 60), ancestor)
            sequences.append("".join(child))
    return pa.table({"sequence": sequences, "cluster": np.repeat(np.arange(n, dtype=np.int32), members)})


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_pairs_are_of_one_cluster_and_never_held_out() -> None:
    table = families()
    pairs = ProteinPairs(table, CONFIG)
    cluster_of = dict(zip(table["sequence"].to_pylist(), table["cluster"].to_pylist(), strict=True))
    held_proteins, held_clusters = pairs.held_out()
    assert len(held_proteins) == 4
    for seed in range(20):
        proteins, clusters = pairs.draw(generator(seed))
        assert [cluster_of[p] for p in proteins] == clusters.tolist()
        assert (clusters[0::2] == clusters[1::2]).all()
        assert all(a != b for a, b in zip(proteins[0::2], proteins[1::2], strict=True))
        assert not set(clusters) & set(held_clusters)


def test_too_few_families_are_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        ProteinPairs(families(n=5, members=1), CONFIG)


def test_a_batch_tells_the_truth_about_what_it_hides() -> None:
    config = replace(CONFIG, mask_rate=0.5, crop=1000)
    protein = STANDARD_RESIDUES * 8
    batch = make_batch([protein, protein], np.array([7, 7]), config, generator(), "cpu")
    whole = replace(config, mask_rate=1e-12)  # as good as none
    intact = make_batch([protein, protein], np.array([7, 7]), whole, generator(), "cpu")
    restored = batch.pack.tokens_N.index_copy(0, batch.places_M, batch.residues_M)
    assert torch.equal(restored, intact.pack.tokens_N)
    share_masked = (batch.pack.tokens_N[batch.places_M] == MASK).float().mean()
    assert 0.65 < share_masked < 0.95
    assert len(intact.places_M) == 0
    assert all((length - 2) % 16 == 0 for _, length in batch.pack.groups)


def known_pair_loss(z_SP: torch.Tensor, clusters: list[int]) -> float:
    objective = EncoderObjective(CONFIG)
    return objective._pair_loss(z_SP, torch.tensor(clusters)).item()


def test_pair_loss_by_hand() -> None:
    east, north = torch.tensor([1.0, *[0.0] * 7]), torch.tensor([0.0, 1.0, *[0.0] * 6])
    t = CONFIG.temperature
    # Each member sees its partner at similarity 1 and two of the other cluster at 0.
    apart = np.log(1 + 2 * np.exp(-1 / t))
    assert known_pair_loss(torch.stack([east, east, north, north]), [0, 0, 1, 1]) == pytest.approx(
        apart, abs=1e-6
    )
    # Partners swapped: the partner at 0, one stranger at 1 and one at 0.
    mixed = np.log(1 + np.exp(1 / t) + 1)
    assert known_pair_loss(torch.stack([east, north, east, north]), [0, 0, 1, 1]) == pytest.approx(mixed)


def test_memory_holds_the_last_batches_and_repels_only_strangers() -> None:
    objective = EncoderObjective(CONFIG)
    for start in (0, 8):
        objective._remember(torch.full((8, 8), float(start)), torch.arange(start, start + 8))
    assert objective.bank_clusters_Q.tolist() == [12, 13, 14, 15, 4, 5, 6, 7, 8, 9, 10, 11]
    objective.bank_QP.zero_()
    east = torch.tensor([[1.0, *[0.0] * 7]] * 2)
    one_stranger_less = objective._pair_loss(east, torch.tensor([4, 4])).item()
    t = CONFIG.temperature
    assert one_stranger_less == pytest.approx(np.log(1 + 11 * np.exp(-1 / t)), abs=1e-5)


def train(folder: Path, table: Path, engine: EngineConfig) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    train_plm(table, folder, CONFIG, engine)
    return load_file(folder / "plm.safetensors")


def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    table = tmp_path / "proteins.parquet"
    pq.write_table(families(), table)
    unbroken = train(tmp_path / "a", table, ENGINE)
    train(tmp_path / "b", table, replace(ENGINE, steps=3))
    resumed = train(tmp_path / "b", table, ENGINE)
    assert all(torch.equal(unbroken[name], resumed[name]) for name in unbroken)
    entries = [json.loads(line) for line in (tmp_path / "b" / "log.jsonl").read_text().splitlines()]
    assert entries[-1]["step"] == 6 and "valid/retrieval" in entries[-1]


def test_training_lowers_the_loss(tmp_path: Path) -> None:
    table = families()
    pairs = ProteinPairs(table, CONFIG)
    torch.manual_seed(0)
    objective = EncoderObjective(CONFIG)
    engine = Engine(objective, replace(ENGINE, steps=60), tmp_path)

    def batch(step: int) -> EncoderBatch:
        return make_batch(*pairs.draw(engine.generator(step)), CONFIG, engine.generator(step), engine.device)

    def loss() -> float:
        objective.bank_clusters_Q.fill_(-1)
        with torch.no_grad():
            return float(np.mean([objective.eval()(batch(10_000 + k))[0].item() for k in range(5)]))

    before = loss()
    engine.train(batch)
    assert loss() < before - 0.1


def test_another_number_of_processes_is_refused(tmp_path: Path) -> None:
    model = torch.nn.Linear(1, 1)
    Engine(model, ENGINE, tmp_path).save()
    state = tmp_path / "checkpoint" / "state.json"
    state.write_text(state.read_text().replace('"world_size": 1', '"world_size": 2'))
    with pytest.raises(GlmAnnotError, match="2 processes"):
        Engine(model, ENGINE, tmp_path)


def test_a_run_that_is_killed_while_it_notes_a_checkpoint_goes_on_from_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, write = torch.nn.Linear(1, 1), Path.write_text
    engine = Engine(model, ENGINE, tmp_path)
    engine.save()
    engine.step = 4

    def half(path: Path, text: str, **options: str) -> None:
        write(path, text[: len(text) // 2], **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "write_text", half)
        engine.save()
    assert Engine(model, ENGINE, tmp_path).step == 0


def test_a_run_needs_one_budget() -> None:
    with pytest.raises(ValueError, match="either"):
        EngineConfig(learning_rate=1.0)
    with pytest.raises(ValueError, match="either"):
        EngineConfig(learning_rate=1.0, steps=1, seconds=1.0)


def test_a_batch_is_shared_by_all_processes() -> None:
    config = EngineConfig(learning_rate=1.0, steps=1, micro_batch=250, batch=1000, zero_stage=1)
    assert [config.accumulation(count) for count in (1, 2, 4)] == [4, 2, 1]
    assert config.deepspeed(2)["train_batch_size"] == 1000
    assert config.deepspeed(2)["zero_optimization"] == {"stage": 1}
    with pytest.raises(GlmAnnotError, match="1000 is no multiple of what 3 processes see at once, 750"):
        config.accumulation(3)
    assert EngineConfig(learning_rate=1.0, steps=1, micro_batch=5).deepspeed(3)["train_batch_size"] == 15
    with pytest.raises(ValueError, match="zero_stage"):
        EngineConfig(learning_rate=1.0, steps=1, zero_stage=3)
