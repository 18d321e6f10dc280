"""Optimisation through DeepSpeed: the same loop on one CPU core, several processes or GPUs.

This is the only file that imports deepspeed. A model to be trained is an `Objective`: a module whose
forward pass takes a batch and returns the loss with the figures worth logging, all as tensors. All
randomness of a step is a function of (seed, step, rank), so a resumed run continues as if it had never
stopped.

DeepSpeed's checkpoints are pickles: resume only from run folders that you made.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from glm_annot.errors import GlmAnnotError

from ..settings import EngineConfig
from . import hardware
from .inputs import read_record
from .json_files import write_json

# Only torch's optimisers and collectives: DeepSpeed's own CPU kernels need a compiler and minutes to build.
os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")

import deepspeed
from deepspeed.ops import __compatible_ops__ as _deepspeed_ops

_deepspeed_ops["deepspeed_shm_comm"] = False

Objective: TypeAlias = nn.Module  # forward(batch) -> (loss, {name: figure}), detached scalars
MakeBatch: TypeAlias = Callable[[int], Any]  # step -> batch on the engine's device
Validate: TypeAlias = Callable[[], Mapping[str, float]]

_LOG_EVERY = 20  # steps
_SEED_STRIDE = 1_000_003  # a prime, so that (seed, rank) pairs do not meet on neighbouring steps


def _join_process_group() -> None:
    """Reads the launcher's environment, or stands for a single process when there is no launcher."""
    if "RANK" not in os.environ:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        alone = {"RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        os.environ.update({name: str(value) for name, value in alone.items()})
    if not torch.distributed.is_initialized():
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        deepspeed.init_distributed(dist_backend=backend, verbose=False)


def _by_rate(objective: Objective, rates: Mapping[str, float]) -> dict[float, list[nn.Parameter]]:
    """What is trained, by the multiple of the learning rate that it has; most has the rate itself."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in objective.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(rates.get(name, 1.0), []).append(parameter)
    return groups


class Engine:
    """Trains an objective in a run folder: checkpoints, exact resume, a log and TensorBoard events.

    The folder holds `log.jsonl` (one line an entry), `tensorboard/`, `checkpoint/` and `hardware.json`.

    Args:
        objective: the module to train.
        config: see EngineConfig.
        folder: the run folder; a checkpoint in it is resumed.
        rates: parameters with learning rates of their own: name -> multiple of the configured rate.

    Raises:
        GlmAnnotError: the checkpoint comes from another number of processes.
    """

    def __init__(
        self,
        objective: Objective,
        config: EngineConfig,
        folder: Path,
        *,
        rates: Mapping[str, float] | None = None,
    ) -> None:
        _join_process_group()
        self.config = config
        self.folder = folder
        self.rank, self.world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
        self.step = 0
        self._spent = 0.0  # seconds of training before this start
        self._sums: dict[str, Tensor] = {}  # of what is logged, over the micro-batches since the last entry
        self._summed = 0  # micro-batches
        self._rates: list[float] = []  # learning rate of each step since the last entry
        folder.mkdir(parents=True, exist_ok=True)
        groups = _by_rate(objective, rates or {})
        self._group_rates = list(groups)  # learning rates of the groups, as multiples
        optimizer = torch.optim.AdamW(
            [{"params": parameters} for parameters in groups.values()],
            config.learning_rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
            fused=True,  # one pass over the weights: a large table takes a fifth of the time
        )
        self._deepspeed, *_ = deepspeed.initialize(
            model=objective, optimizer=optimizer, config=config.deepspeed(self.world_size)
        )
        self.device = torch.device(self._deepspeed.device)
        self._resume()
        self._events = self._open_events()

    @property
    def objective(self) -> Objective:
        """The module under training."""
        return cast(nn.Module, self._deepspeed.module)

    def train(self, make_batch: MakeBatch, validate: Validate | None = None) -> None:
        """Trains until the budget is spent; the checkpoint at the end makes another call return at once.

        Args:
            make_batch: gives the batch of a micro-step. Call `generator(step)` for its randomness.
            validate: gives figures of held-out data; they are logged under 'valid/'.
        """
        if self._progress() < 1:
            self._note_hardware()
        try:
            self._train(make_batch, validate)
        finally:
            if self._events is not None:
                self._events.flush()  # later the file would change after the run has ended

    def _train(self, make_batch: MakeBatch, validate: Validate | None) -> None:
        started = saved = time.monotonic()
        spent_before = self._spent
        while (progress := self._progress()) < 1:
            self._train_step(make_batch, progress)
            now = time.monotonic()
            self._spent = spent_before + now - started
            every = self.config.validate_every
            if validate and every and self.step % every == 0:
                self._validate(validate)
            if self._agree(now - saved > self.config.save_every):
                self.save()
                saved = time.monotonic()
        if not self._is_finished():
            if validate:
                self._validate(validate)
            self.save(finished=True)

    def generator(self, step: int) -> torch.Generator:
        """Randomness for the batch of a micro-step, different on every rank."""
        return torch.Generator().manual_seed(self._seed(step))

    def save(self, *, finished: bool = False) -> None:
        """Writes the checkpoint beside the old one, then drops the old one."""
        tag = f"step-{self.step}"
        state = {
            "step": self.step,
            "seconds": self._spent,
            "world_size": self.world_size,
            "finished": finished,
        }
        self._deepspeed.save_checkpoint(str(self._checkpoints), tag=tag, client_state=state)
        if self.rank == 0:
            write_json(self._checkpoints / "state.json", {"tag": tag, **state})
            for old in self._checkpoints.glob("step-*"):
                if old.name != tag:
                    shutil.rmtree(old)
        torch.distributed.barrier()

    def log(self, figures: Mapping[str, float]) -> None:
        """Appends one entry to `log.jsonl` and the TensorBoard events (rank 0)."""
        if self.rank:
            return
        entry = {"step": self.step, "seconds": round(self._spent, 1), **figures}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
        for name, value in figures.items():
            self._events.add_scalar(name, value, self.step)

    def _note_hardware(self) -> None:
        mine = hardware.Hardware.here(self.device)
        processes = [mine] * self.world_size
        if self.world_size > 1:
            torch.distributed.all_gather_object(processes, mine)
        if self.rank == 0:
            hardware.note(self.folder, hardware.described(processes))

    def _train_step(self, make_batch: MakeBatch, progress: float) -> None:
        learning_rate = self._learning_rate(progress)
        for group, rate in zip(self._deepspeed.optimizer.param_groups, self._group_rates, strict=True):
            group["lr"] = learning_rate * rate
        self._deepspeed.train()
        accumulation = self.config.accumulation(self.world_size)
        for micro in range(accumulation):
            micro_step = self.step * accumulation + micro
            torch.manual_seed(self._seed(micro_step))
            batch = make_batch(micro_step)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16"):
                loss, figures = self._deepspeed(batch)
            self._deepspeed.backward(loss)
            self._deepspeed.step()
            self._add({"loss": loss.detach(), **figures})
        self.step += 1
        self._rates.append(learning_rate)
        if len(self._rates) == _LOG_EVERY:
            self._flush()

    def _add(self, figures: Mapping[str, Tensor]) -> None:
        """Adds a micro-batch to what is logged next; it stays on the device, for reading it would wait."""
        for name, value in figures.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._summed += 1

    def _flush(self) -> None:
        """Logs the means over all micro-batches of all processes since the last entry."""
        if self._rates:
            sums_F = torch.stack(list(self._sums.values())).double()
            if self.world_size > 1:
                torch.distributed.all_reduce(sums_F)
            means = (sums_F / (self._summed * self.world_size)).tolist()
            figures = {f"train/{name}": mean for name, mean in zip(self._sums, means, strict=True)}
            self.log({**figures, "train/learning_rate": sum(self._rates) / len(self._rates)})
        self._sums, self._summed, self._rates = {}, 0, []

    def _validate(self, validate: Validate) -> None:
        self._flush()
        self._deepspeed.eval()
        with torch.inference_mode():
            self.log({f"valid/{name}": value for name, value in validate().items()})

    def _progress(self) -> float:
        """Share of the budget that is spent, the same on every rank."""
        if self.config.steps is not None:
            return 1.0 if self.step >= self.config.steps else self.step / self.config.steps
        assert self.config.seconds is not None
        return self._from_first_rank(self._spent) / self.config.seconds

    def _agree(self, decision: bool) -> bool:
        """Rank 0's decision, on every rank."""
        return bool(self._from_first_rank(float(decision)))

    def _from_first_rank(self, value: float) -> float:
        if self.world_size == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(shared, src=0)
        return shared.item()

    def _learning_rate(self, progress: float) -> float:
        warm = min(1.0, (self.step + 1) / max(1, self.config.warmup_steps))
        if self.config.schedule == "constant":
            return self.config.learning_rate * warm
        if self.config.schedule == "linear":
            return self.config.learning_rate * warm * max(0.02, 1 - progress)
        cosine = 0.5 * (1 + torch.cos(torch.tensor(progress * torch.pi)).item())
        return self.config.learning_rate * warm * (0.1 + 0.9 * cosine)

    def _seed(self, step: int) -> int:
        return ((self.config.seed * _SEED_STRIDE + step) * 4096 + self.rank) % 2**63

    @property
    def _checkpoints(self) -> Path:
        return self.folder / "checkpoint"

    def _state(self) -> dict[str, Any]:
        path = self._checkpoints / "state.json"
        return read_record(path) if path.exists() else {}

    def _is_finished(self) -> bool:
        return bool(self._state().get("finished")) and self._state().get("step") == self.step

    def _resume(self) -> None:
        state = self._state()
        if not state:
            return
        if state["world_size"] != self.world_size:
            raise GlmAnnotError(
                f"{self.folder}: the checkpoint was written by {state['world_size']} processes and cannot be "
                f"resumed by {self.world_size}; start as many, or another run folder"
            )
        self._deepspeed.load_checkpoint(str(self._checkpoints), tag=state["tag"])
        self.step, self._spent = state["step"], state["seconds"]

    def _open_events(self) -> Any:
        if self.rank:
            return None
        from torch.utils.tensorboard import SummaryWriter

        if not self._state():
            write_json(self.folder / "engine.json", asdict(self.config))
        return SummaryWriter(str(self.folder / "tensorboard"), purge_step=self.step)
