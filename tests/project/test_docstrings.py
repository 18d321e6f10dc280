"""The examples in docstrings run, in a folder with the files they speak of and a tiny model for `mini`."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from tests.support.paths import ROOT

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "glm_annot").rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8")
]


def test_there_are_examples() -> None:
    assert {"glm_annot", "glm_annot.annotation", "glm_annot.bundle", "glm_annot.io"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.usefixtures("folder")
def test_examples_give_what_they_show(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pandas", reason="the extra 'table' is not installed")
    results = doctest.testmod(import_module(name))
    assert results.attempted and not results.failed, capsys.readouterr().out
