"""Optimisation through DeepSpeed: the same loop on one CPU core, several processes or GPUs.

This is the only file that imports deepspeed. A model to be trained is an `Objective`: a module whose
forward pass takes a batch and returns the loss with the figures worth logging. All randomness of a step is
a function of (seed, step, rank), so a resumed run continues as if it had never stopped.

DeepSpeed's checkpoints are pickles: resume only from run folders that you made.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import torch
from torch import nn

from glm_annot.errors import GlmAnnotError, InputError

from .json_files import write_json

# Only torch's optimisers and collectives: DeepSpeed's own CPU kernels need a compiler and minutes to build.
os.environ.setdefault("DS_ACCELERATOR", "cuda" if torch.cuda.is_available() else "cpu")

import deepspeed
from deepspeed.ops import __compatible_ops__ as _deepspeed_ops

_deepspeed_ops["deepspeed_shm_comm"] = False

Objective: TypeAlias = nn.Module  # forward(batch) -> (loss, {name: figure})
MakeBatch: TypeAlias = Callable[[int], Any]  # step -> batch on the engine's device
Validate: TypeAlias = Callable[[], Mapping[str, float]]

_LOG_EVERY = 20  # steps
_SEED_STRIDE = 1_000_003  # a prime, so that (seed, rank) pairs do not meet on neighbouring steps


@dataclass(frozen=True)
class EngineConfig:
    """How a model is optimised; DeepSpeed's own configuration is derived from it.

    Attributes:
        learning_rate: the highest one, after warm-up.
        warmup_steps: steps of linear warm-up.
        steps: optimiser steps in all; None when `seconds` ends the run.
        seconds: wall-clock budget over all resumed parts; None when `steps` ends the run.
        schedule: 'constant' (the paper's), 'cosine' to a tenth over the steps or seconds, or 'linear' to a
            fiftieth.
        weight_decay, betas: of AdamW.
        max_grad_norm: gradients are clipped to this norm before the step.
        precision: 'bf16' runs matrix products in bfloat16 by autocast; weights and optimiser state stay
        float32.
        micro_batch: examples a process sees at once. gLM's batches have this size; the encoder's hold
            `TrainPLMConfig.pairs` pairs whatever this says, which there only divides a `batch`.
        batch: examples a step over all processes, in as many micro-batches as it takes; None for one
            micro-batch of each process.
        zero_stage: DeepSpeed ZeRO stage, 0 to 2.
        validate_every: steps between validations; 0 for the end only.
        save_every: seconds between checkpoints.
        seed: of everything random.
    """

    learning_rate: float
    warmup_steps: int = 0
    steps: int | None = None
    seconds: float | None = None
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    weight_decay: float = 0.0
    betas: tuple[float, float] = (0.9, 0.999)
    max_grad_norm: float = 1.0
    precision: Literal["fp32", "bf16"] = "fp32"
    micro_batch: int = 1
    batch: int | None = None
    zero_stage: int = 0
    validate_every: int = 0
    save_every: float = 180.0
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.seconds is None):
            raise ValueError("give either steps or seconds as the budget of a run")
        if self.zero_stage not in (0, 1, 2):
            raise ValueError("zero_stage is 0, 1 or 2")
        object.__setattr__(self, "betas", tuple(self.betas))

    def accumulation(self, world_size: int) -> int:
        """Micro-batches that each process sees in a step.

        Raises:
            InputError: so many processes cannot share the batch evenly.
        """
        at_once = self.micro_batch * world_size
        batch = self.batch or at_once
        if batch % at_once:
            raise InputError(
                f"a batch of {batch} is no multiple of what {world_size} processes see at once, {at_once}; "
                "set another micro_batch, or start another number of processes"
            )
        return batch // at_once

    def deepspeed(self, world_size: int) -> dict[str, Any]:
        """DeepSpeed's configuration."""
        return {
            "train_micro_batch_size_per_gpu": self.micro_batch,
            "gradient_accumulation_steps": self.accumulation(world_size),
            "train_batch_size": self.batch or self.micro_batch * world_size,
            "gradient_clipping": self.max_grad_norm,
            "zero_optimization": {"stage": self.zero_stage},
            "zero_allow_untested_optimizer": True,
            "steps_per_print": 2**31 - 1,
        }


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

    The folder holds `log.jsonl` (one line an entry), `tensorboard/` and `checkpoint/`.

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
        self._figures: list[Mapping[str, float]] = []
        folder.mkdir(parents=True, exist_ok=True)
        groups = _by_rate(objective, rates or {})
        self._rates = list(groups)
        optimizer = torch.optim.AdamW(
            [{"params": parameters} for parameters in groups.values()],
            config.learning_rate,
            betas=config.betas,
            weight_decay=config.weight_decay,
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

    def fit(self, make_batch: MakeBatch, validate: Validate | None = None) -> None:
        """Trains until the budget is spent; the checkpoint at the end makes another call return at once.

        Args:
            make_batch: gives the batch of a micro-step. Call `generator(step)` for its randomness.
            validate: gives figures of held-out data; they are logged under 'valid/'.
        """
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

    def _train_step(self, make_batch: MakeBatch, progress: float) -> None:
        learning_rate = self._learning_rate(progress)
        for group, rate in zip(self._deepspeed.optimizer.param_groups, self._rates, strict=True):
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
        self.step += 1
        self._figures.append({"loss": loss.item(), **figures, "learning_rate": learning_rate})
        if len(self._figures) == _LOG_EVERY:
            self._flush()

    def _flush(self) -> None:
        """Logs the means since the last entry."""
        if self._figures:
            names = self._figures[0]
            self.log({f"train/{n}": sum(f[n] for f in self._figures) / len(self._figures) for n in names})
        self._figures = []

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
        return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}

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
