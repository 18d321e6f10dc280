"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

FILE: dict[str, Any] = {"type": click.Path(path_type=Path), "metavar": "FILE"}

fasta = click.option("--fasta", **FILE, help="Contig sequences, for a file that has none.")
faa = click.option("--faa", **FILE, help="Protein sequences by CDS ID, used instead of translating.")
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
