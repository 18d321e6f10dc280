"""The processes that a launcher such as torchrun starts together: which one this is, and waiting for all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch

from glm_annot.model.devices import best_device

_PATIENCE = timedelta(days=30)  # a launcher ends the others where one fails, so that nobody waits in vain


def rank_and_count() -> tuple[int, int]:
    """This process's number and how many there are; (0, 1) without a launcher."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def device() -> str:
    """Where this process computes: on the GPU that is its own on its host, else on the processor."""
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if best_device() == "cuda" else "cpu"


@contextmanager
def meeting() -> Iterator[Callable[[], None]]:
    """Gives a function that returns once all processes have called it."""
    if rank_and_count()[1] == 1:
        yield lambda: None
        return
    torch.distributed.init_process_group("gloo", timeout=_PATIENCE)
    try:
        yield torch.distributed.barrier
    finally:
        torch.distributed.destroy_process_group()
