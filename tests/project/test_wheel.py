"""What wheel and sdist hold: the modules and files of the tree, and none that an old build left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FOLDERS = {"glm_annot": "glm_annot", "training": "glm_annot/training", "plugins": "glm_annot/plugins"}
LARGEST = 95 * 10**6  # bytes; PyPI takes 100 MB of a file
WEIGHTS = ROOT / "training" / "weights"
CACHE = "__pycache__"  # of byte code and machine code
LEFT_OUT = shutil.ignore_patterns(CACHE)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of this tree in which an older version was built and left its files."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tree / folder, ignore=LEFT_OUT)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for old in ("glm_annot/old.py", "glm_annot/training/old.py", "glm_annot/models/old/config.json"):
        path = tree / "build" / "lib" / old
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n", encoding="ascii")
    code = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tree / "dist")], cwd=tree, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return tree / "dist" / done.stdout.splitlines()[-1]


def _packages(tree: Path, dist: str) -> dict[str, bytes]:
    """The sdist and the wheel of a tree, by name, at a fixed time."""
    both = "to = sys.argv[1]; b.build_sdist(to); b.build_wheel(to)"  # which rewrite sys.argv
    code = f"import sys; from setuptools import build_meta as b; {both}"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    command = [sys.executable, "-c", code, str(tree / dist)]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_bytes() for path in sorted((tree / dist).iterdir())}


def test_packages_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for folder in ("glm_annot", "training", "plugins", "tests"):
        kept = shutil.ignore_patterns(CACHE, "*.safetensors", "weights")
        shutil.copytree(ROOT / folder, tmp_path / "a" / folder, ignore=kept)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copyfile)  # other times
    first, second = (_packages(tmp_path / tree, "dist") for tree in "ab")
    assert len(first) == 2 and first == second
    (sdist,) = (tmp_path / "a" / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert {"tests/conftest.py", "tests/project/test_wheel.py", "glm_annot/__init__.py"} <= packed
    assert not [name for name in packed if CACHE in name]


def installed_as(path: Path) -> str:
    """The name in a wheel of a file of the tree."""
    folder, *rest = path.relative_to(ROOT).parts
    return "/".join([FOLDERS[folder], *rest])


def names(wheel: Path) -> set[str]:
    """All files of a wheel but those that describe it."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_the_wheel_holds_the_modules_and_files_of_the_tree_and_no_others(wheel: Path) -> None:
    modules = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    inside = [path for folder in ("glm_annot", "training") for path in (ROOT / folder).rglob("*.*")]
    data = [path for path in inside if path.is_file() and path.suffix != ".py" and path.parent.name != CACHE]
    data = [path for path in data if WEIGHTS not in path.parents]  # only a clone trains with them
    kinds = {".json", ".safetensors", ".html", ".typed"}  # models and recipes, templates, the mark of types
    assert len(modules) > 50 and kinds <= {path.suffix for path in data}
    assert names(wheel) == {installed_as(path) for path in modules + data}


def test_wheel_and_sdist_are_small_enough_to_publish(wheel: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for folder in (*FOLDERS, "tests", "docs", "examples", ".ci"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=LEFT_OUT)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, tree)
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (sdist,) = tmp_path.glob("*.tar.gz")
    for package in (wheel, sdist):
        assert package.stat().st_size < LARGEST, f"{package.name}: {package.stat().st_size / 1e6:.0f} MB"
    with tarfile.open(sdist) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    assert any(name.startswith("glm_annot/models/mini/") for name in packed)
    assert not [name for name in packed if name.startswith("training/weights")]


def test_the_wheel_starts_both_command_lines_and_all_plugins(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith("/entry_points.txt"))
        entries = set(archive.read(path).decode().split("\n"))
    assert entries >= {
        "glm-annot = glm_annot.cli.app:main",
        "glm-train = glm_annot.training.cli:main",
        "bakta = glm_annot.plugins.bakta:plugin",
        "baktfold = glm_annot.plugins.bakta:baktfold",
        "prokka = glm_annot.plugins.prokka:plugin",
        "ncbi_datasets = glm_annot.plugins.fixed_names:ncbi_datasets",
        "pgap = glm_annot.plugins.pgap:plugin",
        "dfast = glm_annot.plugins.fixed_names:dfast",
    }
