"""Weights that an earlier step wrote, read so that damage is one line of error that names the file."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, load_model
from torch import nn

from .inputs import damaged


def fill(module: nn.Module, path: Path, *, shared: bool = False) -> None:
    """Give a module the weights of a file.

    Args:
        module: of the sizes that the file has.
        path: a safetensors file of its state.
        shared: whether the file has weights that two layers share only once (`save_model`).

    Raises:
        InputError: it is missing or damaged, or holds the weights of another module.
    """
    try:
        if shared:
            load_model(module, path)
        else:
            module.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise damaged("file of these weights", path, error) from error
