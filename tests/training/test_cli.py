"""The command line of training: what it notes of itself."""

from __future__ import annotations

import sys

import pytest

from glm_annot.training import cli


@pytest.mark.parametrize("given", [["--data", "../my data"], ["--data=/home/me/data"]])
def test_the_record_of_a_command_names_no_folder_of_data(
    given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/glm-train", "run", "own", *given, "--work", "my work"])
    data = "--data=DATA" if len(given) == 1 else "--data DATA"
    assert cli._typed() == f"glm-train run own {data} --work 'my work'"
