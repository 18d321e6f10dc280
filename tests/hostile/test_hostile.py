"""A short slice of the campaign: the same inputs each time. `python -m tests.hostile` does more of it."""

from __future__ import annotations

import json
import random
import signal
from pathlib import Path

import pytest

from tests.hostile import campaign
from tests.hostile.campaign import Progress
from tests.hostile.damage import JSON_VALUES, damaged, damaged_json
from tests.hostile.outcomes import Kind, require
from tests.hostile.targets import FILES, NAMES, Target

INPUTS = 900  # of each kind of annotation; 5,100 in all, in less than two minutes of one core
FEWER_INPUTS = 100  # of each other target: these take longer


@pytest.mark.parametrize("name", FILES)
def test_damaged_annotations_are_read_and_written_whole_or_refused_in_one_line(
    name: str, tmp_path: Path
) -> None:
    said: list[str] = []
    found = campaign.run(tmp_path, [name], seed=21, seconds=600, most=INPUTS, say=said.append)[name]
    assert said == [] and found.next == INPUTS
    assert found.counts[Kind.RIGHT.value] > 0 and found.counts[Kind.ERROR.value] > 0


@pytest.mark.parametrize("name", [name for name in NAMES if name not in FILES])
def test_damaged_models_and_training_inputs_are_used_or_refused_in_one_line(
    name: str, tmp_path: Path
) -> None:
    said: list[str] = []
    found = campaign.run(tmp_path, [name], seed=21, seconds=600, most=FEWER_INPUTS, say=said.append)[name]
    assert said == [] and found.next == FEWER_INPUTS


def test_damage_is_the_same_for_the_same_seed() -> None:
    first, again = (damaged(b"a line\nanother 12\n", random.Random(7)) for _ in range(2))
    assert first == again != b"a line\nanother 12\n"


def test_damage_of_json_changes_no_value_that_later_inputs_take() -> None:
    values = json.dumps(JSON_VALUES)
    for number in range(300):
        damaged_json({"a": [1, {"b": 2}], "c": 3}, random.Random(number))
    assert json.dumps(JSON_VALUES) == values


def _attempt(path: Path, _: random.Random) -> None:
    content = path.read_bytes()
    if content == b"1":
        raise KeyError("no such thing")
    require(content != b"2", "something is lost")
    if content == b"3":
        bytearray(10 * campaign.MEMORY)
    while content == b"4":
        pass
    if content == b"5":
        signal.raise_signal(signal.SIGKILL)


def test_every_kind_of_failure_is_seen_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(100))
    by_seed: dict[float, bytes] = {}

    def make(rng: random.Random, _: object) -> bytes:
        seed = rng.random()
        if seed not in by_seed:
            by_seed[seed] = str(next(numbers)).encode()
        return by_seed[seed]

    for number in range(7):  # before processes are made, which share nothing later
        make(campaign._random("made", 1, number), ())
    monkeypatch.setitem(FILES, "made", Target(".txt", make, _attempt))
    monkeypatch.setattr(campaign, "HANG_SECONDS", 1.0)
    said: list[str] = []
    found = campaign.run(tmp_path, ["made"], seed=1, seconds=600, most=6, say=said.append)["made"]
    failures = [Kind.TRACEBACK, Kind.LOST, Kind.MEMORY, Kind.HANG, Kind.DEATH]
    assert [line.split(": ")[1] for line in said] == [kind.value for kind in failures]
    assert found.counts == {Kind.RIGHT.value: 1, **{kind.value: 1 for kind in failures}}
    kept = sorted(path.read_bytes() for path in (tmp_path / campaign.FAILURES).glob("*.txt"))
    assert kept == [b"1", b"2", b"3", b"4", b"5"]
    again = campaign.run(tmp_path, ["made"], seed=1, seconds=600, most=7, say=said.append)["made"]
    assert again.next == 7 and again.counts[Kind.RIGHT.value] == 2


def test_the_table_of_outcomes() -> None:
    found = campaign.table({"gff3": Progress(3, 1.5, campaign.Counter({"right result": 2, "hang": 1}))})
    assert "| gff3 | 3 | 2 | 2 | 0 | 0 | 1 | 0 | 0 | 0 |" in found
