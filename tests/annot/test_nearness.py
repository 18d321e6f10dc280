"""The line that says how near the nearest genome of the memory is."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from glm_annot import pipeline
from glm_annot.bundle import Nearness, load, save
from glm_annot.model.neighbours.memory import Memory, MemoryConfig
from glm_annot.pipeline import ContextFits
from tests.support.tiny import tiny

NOTHING = np.zeros(0, np.float32)
STEPS = (Nearness(0.5, 0.25), Nearness(0.8, 0.375))


def told(caplog: pytest.LogCaptureFixture, parts: list[tuple[set[int], list[bool]]]) -> list[str]:
    """What is said of a genome in parts; the memory's genomes have families 0 to 9, and 5 to 14."""
    memory = Memory(MemoryConfig(20, 2, 2, 30))
    memory.family_N.copy_(torch.tensor([*range(10), *range(5, 15)]))
    memory.first_C.copy_(torch.tensor([0, 10, 20]))
    memory.genome_C.copy_(torch.arange(2))
    nearness = pipeline._Nearness(
        SimpleNamespace(neighbours=SimpleNamespace(memory=memory), by_nearness=STEPS)
    )
    with caplog.at_level(logging.INFO, "glm_annot"):
        for families, same in parts:
            nearness.add(ContextFits(NOTHING, NOTHING, (), frozenset(families), torch.tensor(same)))
        nearness.tell()
    return caplog.messages


@pytest.mark.parametrize("genomes", [[False, False], [True, False]])
def test_a_run_says_how_near_the_nearest_voting_genome_is(
    genomes: list[bool], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "LEAST_FAMILIES", 10)
    parts = [({0, 1, 2, 3, 20}, [False, False]), ({5, 6, 21, 22, 23}, genomes)]
    near = (
        "the nearest genome in the model's memory shares {} of this one's gene families; at such a distance "
        "the neighbours' first guess was right for {} of hidden genes"
    )
    if genomes[0]:
        assert told(caplog, parts) == [pipeline.IN_MEMORY, near.format("20%", "25%")]
    else:
        assert told(caplog, parts) == [near.format("60%", "38%")]


def test_a_fragment_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, [({0, 1, 2}, [False, False])]) == []


def test_a_model_knows_what_was_measured_of_it(tmp_path: Path) -> None:
    measured = {"0.5-0.6": {"high": 0.6, "first": 0.3}, "0.2-0.3": {"high": 0.3, "first": 0.1}}
    save(tiny(), tmp_path / "a", metrics={"rings": {"of": "x", "nearness": measured}}, card="# a\n")
    assert load(tmp_path / "a").by_nearness == (Nearness(0.3, 0.1), Nearness(0.6, 0.3))
    save(tiny(), tmp_path / "b", metrics={}, card="# b\n")
    assert load(tmp_path / "b").by_nearness == ()
