"""The engine: what it logs of a step of several micro-batches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from glm_annot.training.common import hardware
from glm_annot.training.common.engine import Engine, EngineConfig


class Weighted(nn.Module):
    """Its loss is the number that is its batch; so is its one figure."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return self.weight.sum() * 0 + batch, {"figure": 2 * batch}


def entries(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_logged_loss_is_the_mean_of_all_micro_batches(tmp_path: Path) -> None:
    config = EngineConfig(learning_rate=0.5, steps=22, micro_batch=1, batch=3)
    engine = Engine(Weighted(), config, tmp_path)
    engine.train(lambda step: torch.tensor(float(step)), lambda: {"loss": 0.0})
    first, last, _ = entries(tmp_path)
    assert (first["step"], last["step"]) == (20, 22)
    assert first["train/loss"] == pytest.approx(29.5)  # micro-batches 0 to 59
    assert last["train/loss"] == pytest.approx(62.5)  # 60 to 65
    assert first["train/figure"] == pytest.approx(59.0)
    assert first["train/learning_rate"] == pytest.approx(0.5)


def test_the_device_is_waited_for_once_a_log_entry(tmp_path: Path) -> None:
    waits: list[str] = []

    class Counted(Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            if func.__name__ in ("item", "tolist", "__float__", "cpu"):
                waits.append(func.__name__)
            return super().__torch_function__(func, types, args, kwargs)

    engine = Engine(Weighted(), EngineConfig(learning_rate=0.5, steps=20, micro_batch=1, batch=2), tmp_path)
    engine.train(lambda step: torch.tensor(float(step)).as_subclass(Counted))
    assert len(waits) == 1


def test_training_notes_its_hardware_and_a_finished_run_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EngineConfig(learning_rate=0.5, steps=1)
    for cores in (3, 5):  # the second call trains nothing
        monkeypatch.setattr("glm_annot.training.common.hardware.cores", lambda cores=cores: cores)
        Engine(Weighted(), config, tmp_path).train(lambda step: torch.tensor(float(step)))
    assert hardware.read(tmp_path) == ["3 CPU cores"]
