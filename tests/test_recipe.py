"""Recipes: reading them, running their steps resumably, and one command from genomes to a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glm_annot.errors import InputError
from training import recipe as recipes
from training.steps import Step, run_steps

TINY: dict[str, Any] = {
    "name": "tiny",
    "version": "0.0.1",
    "summary": "A tiny model.",
    "budget": "1m",
    "corpus": {"folder": ".", "valid": 1, "test": 1, "clusters": "clusters.tsv"},
    "plm": {
        "task": {
            "encoder": {"layers": 1, "dim": 32, "heads": 2},
            **{"pairs": 8, "crop": 32, "memory": 64, "projection": 16},
        },
        "engine": {"learning_rate": 0.002, "steps": 40, "micro_batch": 8},
    },
    "glm": {
        "network": {"dim": 32, "layers": 2, "heads": 2, "ffn": 64},
        "engine": {"learning_rate": 0.002, "steps": 40, "micro_batch": 8},
    },
    "heads": {},
}


def write_recipe(path: Path, **changes: Any) -> Path:
    path.write_text(json.dumps({**TINY, **changes}), encoding="utf-8")
    return path


def steps(log: list[str], settings: dict[str, int], fail: str = "") -> list[Step]:
    def run(name: str, folder: Path) -> None:
        log.append(f"{name}{' again' if (folder / 'seen').exists() else ''}")
        (folder / "seen").touch()
        if name == fail:
            raise RuntimeError(name)

    return [
        Step(name, {"value": value}, lambda folder, name=name: run(name, folder))  # type: ignore[misc]
        for name, value in settings.items()
    ]


def test_complete_steps_are_left_out(tmp_path: Path) -> None:
    log: list[str] = []
    said: list[str] = []
    for _ in range(2):
        run_steps(steps(log, {"a": 1, "b": 1}), tmp_path, said.append)
    assert log == ["a", "b"]
    assert said[-1] == "[2/2] b: already done"


def test_a_changed_setting_runs_its_step_and_all_after_it_afresh(tmp_path: Path) -> None:
    log: list[str] = []
    run_steps(steps(log, {"a": 1, "b": 1, "c": 1}), tmp_path, lambda _: None)
    run_steps(steps(log, {"a": 1, "b": 2, "c": 1}), tmp_path, lambda _: None)
    assert log == ["a", "b", "c", "b", "c"]


def test_an_interrupted_step_finds_its_folder_as_it_left_it(tmp_path: Path) -> None:
    log: list[str] = []
    with pytest.raises(RuntimeError):
        run_steps(steps(log, {"a": 1, "b": 1}, fail="b"), tmp_path, lambda _: None)
    run_steps(steps(log, {"a": 1, "b": 1}), tmp_path, lambda _: None)
    assert log == ["a", "b", "b again"]


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("90m", 5400), ("1.5h", 5400), ("2d", 172800)])
def test_budget(text: str, seconds: float) -> None:
    assert recipes.parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2 hours", "-1h"])
def test_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="no span of time"):
        recipes.parse_budget(text)


@pytest.mark.parametrize("name", sorted(recipes.known()))
def test_shipped_recipes_are_sound(name: str) -> None:
    from training.glm import TrainGLMConfig
    from training.plm import TrainPLMConfig

    recipe = recipes.read(name)
    budget = recipes.parse_budget(recipe.budget)
    assert recipe.name
    if "keep" not in recipe.plm:
        recipes.make(TrainPLMConfig, recipe.plm["task"], "plm.task")
        assert recipe.engine("plm", budget).seconds or recipe.engine("plm", budget).steps
    recipes.make(TrainGLMConfig, recipe.glm["network"], "glm.network")
    assert recipe.engine("glm", budget).seconds or recipe.engine("glm", budget).steps


def test_a_share_of_the_budget_becomes_seconds_and_residues(tmp_path: Path) -> None:
    shares = {"plm": 0.5, "embed": 0.25}
    engine = {"learning_rate": 0.1}
    path = write_recipe(
        tmp_path / "r.json",
        shares=shares,
        plm={**TINY["plm"], "engine": engine},
        embed={"residues_per_second": 1000},
    )
    recipe = recipes.read(path)
    assert recipe.engine("plm", 3600).seconds == 1800
    assert recipe.engine("glm", 3600).steps == 40
    assert recipe.residues(3600) == 900_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "red"}, "recipe: got an unexpected keyword argument 'colour'"),
        ({"corpus": {"folder": ".", "size": 3}}, "corpus: got an unexpected keyword argument 'size'"),
        ({"corpus": {}}, "corpus: give either 'tables' or 'folder'"),
        ({"shares": {"plm": 0.9, "glm": 0.2}}, "recipe: the shares of the budget exceed 1"),
        ({"suite": "guess"}, "recipe: suite is 'benchmark' or 'test', not 'guess'"),
    ],
)
def test_a_wrong_recipe_says_where(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        recipes.read(write_recipe(tmp_path / "r.json", **changes))
    assert str(caught.value) == f"{tmp_path / 'r.json'}: {message}"


def test_no_recipe_names_those_that_ship(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such recipe; give a JSON file or one of: .*mini"):
        recipes.read(tmp_path / "none.json")
