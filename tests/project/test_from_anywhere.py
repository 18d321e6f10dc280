"""The command lines run in any folder, a clone among them: there Python takes the clone's package first."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.made_genomes import write_clusters, write_folder
from tests.support.paths import EXAMPLE, ROOT
from tests.support.tiny_recipe import TINY, write_recipe

PYTHON = [sys.executable, "-m"]
TORCHRUN = [*PYTHON, "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
PLACES = ("clone", "elsewhere")


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder to start a command in: the clone, or one that holds no package."""
    return {"clone": ROOT, "elsewhere": tmp_path}[request.param]


def script(name: str) -> str:
    """The command of this name that was installed beside the Python that runs this test."""
    return str(Path(sys.executable).with_name(name))


def run(command: Sequence[str | Path], place: Path) -> str:
    """Run a command in a folder, without PYTHONPATH; returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(word) for word in command],
        **{"cwd": place, "env": {**environment, "OMP_NUM_THREADS": "1"}},
        **{"capture_output": True, "text": True, "check": False},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("command", "printed"),
    [
        ([script("glm-annot"), "--help"], "Usage: glm-annot"),
        ([*PYTHON, "glm_annot", "--help"], "Usage: glm-annot"),
        ([script("glm-annot"), "models"], "mini"),
        ([script("glm-train"), "--help"], "Usage: glm-train"),
        ([script("glm-train"), "plan", "mini", "--no-measure"], "windows"),
        ([*TORCHRUN, "glm_annot.training.cli", "--help"], "Usage: glm-train"),
    ],
    ids=["glm-annot", "module", "models", "glm-train", "plan", "torchrun"],
)
def test_commands_start(command: list[str], printed: str, place: Path) -> None:
    assert printed in run(command, place)


def test_benchmarks_start_in_a_clone() -> None:
    assert "--device" in run([*PYTHON, "tests.bench.benchmarks", "--help"], ROOT)


def test_a_file_and_a_folder_of_a_tool_are_annotated_and_stripped(
    tiny_bundle: Path, tmp_path: Path, place: Path
) -> None:
    """The folder needs the plugins, which are looked up among what is installed."""
    folder, out, model = tmp_path / "prokka", tmp_path / "out", ("--model", tiny_bundle)
    folder.mkdir()
    out.mkdir()
    shutil.copy(EXAMPLE, folder / "s.gff")
    for name in ("s.tbl", "s.ffn"):
        (folder / name).touch()
    run([*PYTHON, "glm_annot", folder, *model, "-o", out], place)
    run([script("glm-annot"), EXAMPLE, *model, "-o", out], place)
    annotated = out / f"{EXAMPLE.stem}.glm.gff3"
    assert "glm_" in annotated.read_text()
    (of_folder,) = out.glob("s.glm.gff*")
    assert of_folder.read_text().count("glm_") == annotated.read_text().count("glm_")
    stripped = tmp_path / "stripped.gff3"
    run([script("glm-annot"), "strip", annotated, "-o", stripped], place)
    assert stripped.read_bytes() == EXAMPLE.read_bytes()


@pytest.fixture
def genomes(tmp_path: Path) -> Path:
    """A folder of made genomes."""
    folder = tmp_path / "genomes"
    made = write_folder(folder, ["Aaa one", "Bbb one", "Ccc one", "Ddd one"])
    write_clusters(folder / "clusters.tsv", made)
    return folder


def test_a_recipe_runs_in_two_processes(
    genomes: Path, tiny_bundle: Path, tmp_path: Path, place: Path
) -> None:
    """Two steps in the clone, whose package the processes import; elsewhere one, which saves time."""
    kept = {"keep": str(tiny_bundle)}
    few = {**TINY["glm"], "engine": {**TINY["glm"]["engine"], "steps": 4}}
    sections = {"plm": kept, "glm": few if place == ROOT else kept, "heads": {"ec": "none"}}
    recipe, work = write_recipe(tmp_path / "recipe.json", **sections), tmp_path / "work"
    options = ("--data", genomes, "--work", work, "--processes", "2")
    assert "the model is" in run([script("glm-train"), "run", recipe, *options], place)
    assert (work / "bundle" / "config.json").is_file()
