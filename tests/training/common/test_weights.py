"""Weights of an earlier step: those of another module, and damaged ones, are one line of error."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file, save_model
from torch import nn

from glm_annot.errors import InputError
from glm_annot.training.common.weights import fill


def test_weights_fill_a_module(tmp_path: Path) -> None:
    made, tied = nn.Linear(3, 2), nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    tied[1].weight = tied[0].weight
    save_file(made.state_dict(), tmp_path / "a")
    save_model(tied, str(tmp_path / "b"))
    again, tied_again = nn.Linear(3, 2), nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    tied_again[1].weight = tied_again[0].weight
    fill(again, tmp_path / "a")
    fill(tied_again, tmp_path / "b", shared=True)
    assert torch.equal(again.weight, made.weight) and torch.equal(tied_again[1].weight, tied[1].weight)


@pytest.mark.parametrize("shared", [False, True])
def test_weights_that_are_none_are_said(shared: bool, tmp_path: Path) -> None:
    path = tmp_path / "x"
    save_file(nn.Linear(3, 2).state_dict(), path)
    whole = path.read_bytes()
    for content in (b"", b"\0" * 100, whole[:-4], whole[:20]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"x: is no file of these weights, or damaged \("):
            fill(nn.Linear(3, 2), path, shared=shared)
    path.write_bytes(whole)
    with pytest.raises(InputError, match="size mismatch"):
        fill(nn.Linear(4, 2), path, shared=shared)
    with pytest.raises(InputError, match="no such file"):
        fill(nn.Linear(3, 2), tmp_path / "none", shared=shared)
