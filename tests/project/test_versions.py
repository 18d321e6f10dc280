"""Versions: the lowest that setup.py states are those tested, and each Python finds one of every package."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.metadata import metadata, requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT

PYTHONS = ("3.10", "3.11", "3.12", "3.13")


def pins(name: str, python: str) -> dict[str, str]:
    """Package -> version in a file of constraints, for this Python on Linux."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    found: dict[str, str] = {}
    for line in filter(None, (line.split("#")[0].strip() for line in lines)):
        pin = Requirement(line)
        if pin.marker is None or pin.marker.evaluate(environment):
            package = canonicalize_name(pin.name)
            assert package not in found, f"{name} names {package} twice for Python {python}"
            (found[package],) = (clause.version for clause in pin.specifier)
    return found


def stated(python: str) -> list[Requirement]:
    """What the package needs on this Python, with all its extras."""
    extras = ["", *(metadata("glm-annot").get_all("Provides-Extra") or ())]
    found = map(Requirement, requires("glm-annot") or ())
    return [
        needed
        for needed in found
        if needed.marker is None
        or any(needed.marker.evaluate({"python_version": python, "extra": extra}) for extra in extras)
    ]


@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_name_one_version_of_all_that_is_needed(python: str) -> None:
    pinned = pins("constraints.txt", python)
    for requirement in stated(python):
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_lowest_versions_are_those_stated() -> None:
    pinned = pins("constraints-lowest.txt", "3.10")
    for requirement in stated("3.10"):
        (lowest,) = re.findall(r">=([0-9.]+)", str(requirement.specifier))
        parts, found = ([*map(int, text.split(".")), 0, 0][:3] for text in (lowest, pinned[requirement.name]))
        assert parts == found, requirement


@pytest.mark.versions
def test_every_module_is_imported() -> None:
    for folder in ("glm_annot", "training", "plugins"):
        package = "glm_annot" if folder == "glm_annot" else f"glm_annot.{folder}"
        paths = sorted(path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*.py"))
        assert paths
        for path in paths:
            if path.name != "__main__.py":
                parts = [part for part in path.with_suffix("").parts if part != "__init__"]
                assert import_module(".".join([package, *parts]))
