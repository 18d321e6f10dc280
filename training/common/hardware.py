"""What a run folder was trained on, noted by the processes that train, for the model card."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from glm_annot.processes import cores

from .inputs import read_json
from .json_files import write_json

RECORD = "hardware.json"


@dataclass(frozen=True)
class Hardware:
    """Of one process.

    Attributes:
        host: name of its machine.
        device: name of its GPU, '' where it computes on the processor.
        cores: CPU cores that it may use.
    """

    host: str
    device: str
    cores: int

    @classmethod
    def here(cls, device: torch.device) -> Hardware:
        """Of this process, which computes on a device."""
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
        return cls(socket.gethostname(), name, cores())


def described(processes: Sequence[Hardware]) -> str:
    """The hardware of all processes of a run, in words."""
    hosts = {process.host: process.cores for process in processes}
    devices = Counter(process.device or "CPU" for process in processes)
    names = [f"{count} x {device}" for device, count in devices.items() if device != "CPU"]
    if "CPU" in devices:
        names.append(f"{sum(hosts.values())} CPU cores")
    words = " and ".join(names)
    if len(processes) > 1:
        words += f" in {len(processes)} processes"
    return words if len(hosts) == 1 else f"{words} on {len(hosts)} hosts"


def note(folder: Path, words: str) -> None:
    """Add to a run folder what a part of the run is trained on, once for each kind."""
    noted = read(folder)
    if words not in noted:
        write_json(folder / RECORD, [*noted, words])


def read(folder: Path) -> list[str]:
    """What the parts of a run were trained on, in their order; [] where nothing was noted."""
    path = folder / RECORD
    found: list[str] = read_json(path) if path.exists() else []
    return found
