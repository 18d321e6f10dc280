"""Options that several commands share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

MOST_GB = 1e6  # that a size may be given as


class NumberRange(click.FloatRange):
    """A range of finite numbers. click's own lets NaN pass, because no comparison with NaN is true."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if not math.isfinite(click.FLOAT.convert(value, param, ctx)):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return float(super().convert(value, param, ctx))


FILE: dict[str, Any] = {"type": click.Path(path_type=Path), "metavar": "FILE"}

fasta = click.option(
    "--fasta", **FILE, help="FASTA file of the contigs, for an annotation without sequences."
)
faa = click.option(
    "--faa", **FILE, help="FASTA file of the proteins, named as the CDS; used instead of translating them."
)
model = click.option(
    "--model",
    default="mini",
    show_default=True,
    metavar="NAME|FOLDER",
    help="A model of `glm-annot models`, or a folder.",
)
device = click.option(
    "--device", default="auto", show_default=True, metavar="DEVICE", help="auto, cpu, cuda, cuda:1, ..."
)
batch_size = click.option(
    "--batch-size",
    type=click.IntRange(1),
    metavar="N",
    default=32,
    show_default=True,
    help="Windows of genes per batch; lower it if memory runs out.",
)
precision = click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
    default="auto",
    show_default=True,
    help="Number format of the protein encoder; auto is bf16 (fp16 on older GPUs) where the hardware is "
    "built for it, else fp32.",
)
force = click.option("--force", is_flag=True, help="Overwrite existing results.")
max_unpacked = click.option(
    "--max-unpacked",
    type=NumberRange(0.0, MOST_GB, min_open=True),
    default=1.0,
    show_default=True,
    metavar="GB",
    help="Largest size to unpack a gzip file to, if that is over 100 times its own.",
)
