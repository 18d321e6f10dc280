"""What models need: `python -m tests.bench.model_table` prints the table of docs/models.md.

`--fill docs/models.md` puts it there.

Speed and memory are measured on this machine, each row in a process of its own, with random weights of each
model's shape; a genome's time is computed from the speed, and times on a GPU from an assumed utilisation.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from glm_annot.errors import InputError
from glm_annot.model.encoder import ProteinEncoderConfig
from glm_annot.model.sizes import FamilyEncoderConfig, PLMConfig
from glm_annot.training.evaluate.tables import around, fill
from tests.bench.benchmarks import mebibytes

MARKERS = "models"  # of the table's place in the page
GENES, RESIDUES = 4300, 320  # of E. coli K-12, and of its mean protein
STRIDE, PASSES = 15, 8  # windows of a genome overlap by half; each is read once whole and seven times masked
GPU = "A100"
ENCODERS: dict[str, tuple[ProteinEncoderConfig, int]] = {  # residues to read: seconds of work on two cores
    "encoder of mini": (FamilyEncoderConfig(dim=160, kmer_dim=72, hidden=512, hash_bits=17), 2_000_000),
    "ESM2 8M": (PLMConfig(6, 320, 20), 8_000),
    "ESM2 35M": (PLMConfig(12, 480, 20), 8_000),
    "ESM2 150M": (PLMConfig(30, 640, 20), 4_000),
    "ESM2 650M": (PLMConfig(33, 1280, 20), 1_500),
}
GLMS = {  # name -> the arguments of GLMConfig; windows to read
    "gLM of mini": ((161, 256, 3, 4, 768), 128),
    "gLM as published": ((1281, 1280, 19, 10, 3072, 512), 16),
}
HEADER = f"""\
| model | parameters | on disk | memory | speed | a genome here | a genome on one {GPU} |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Row:
    """A model: its size, what was measured here and what a genome takes.

    Attributes:
        parameters: numbers.
        memory: peak of the process that measured, in MiB, the program itself included.
        speed: units per second, measured.
        unit: of the speed.
        units: in a genome.
        operations: of a genome.
    """

    name: str
    parameters: int
    memory: float
    speed: float
    unit: str
    units: float
    operations: float

    def __str__(self) -> str:
        from glm_annot.training.plan.plan import PUBLISHED, UTILISATION, span

        there = self.operations / (PUBLISHED[GPU] * UTILISATION)
        cells = [
            self.name,
            f"{self.parameters / 1e6:,.1f} M",
            f"{4 * self.parameters / 1e6:,.0f} MB",
            f"{self.memory:,.0f} MiB",
            f"{self.speed:,.0f} {self.unit}/s" if self.speed >= 10 else f"{self.speed:.2f} {self.unit}/s",
            span(self.units / self.speed),
            span(there) if there >= 1 else "under 1 s",
        ]
        return f"| {' | '.join(cells)} |"


def encoder(name: str) -> Row:
    """An encoder in the precision that the program chooses here."""
    from glm_annot.model.esm import Encoder
    from glm_annot.model.family_encoder import FamilyEncoder
    from glm_annot.training.plan import flops, speed

    config, residues = ENCODERS[name]
    rate = speed.embedding_rate(config, residues, repeats=1)
    parameters = speed.parameter_count(
        lambda: FamilyEncoder(config) if isinstance(config, FamilyEncoderConfig) else Encoder(config)
    )
    operations = flops.embedding(config, GENES, GENES * RESIDUES)
    return Row(name, parameters, _peak(), rate, "residues", GENES * RESIDUES, operations)


def glm(name: str) -> Row:
    """A gLM in float32."""
    import torch

    from glm_annot.model.glm import GLM
    from glm_annot.model.sizes import GLMConfig
    from glm_annot.model.windows import MAX_GENES
    from glm_annot.training.plan import flops, speed

    sizes, windows = GLMS[name]
    config = GLMConfig(*sizes)
    network = speed.random_weights(lambda: GLM(config)).eval()
    x_BTE = torch.randn(windows, MAX_GENES, config.input_dim)
    real_BT = torch.ones(windows, MAX_GENES, dtype=torch.bool)
    with torch.inference_mode():  # hidden states and attentions, as annotation reads them
        taken = speed.seconds(lambda: network(x_BTE, real_BT, hidden_states=True, attentions=True), repeats=1)
    rate = windows / taken
    parameters = speed.parameter_count(lambda: GLM(config))
    reads = GENES / STRIDE * PASSES
    operations = reads * (flops.glm_window(config, MAX_GENES) + flops.glm_attention(config, MAX_GENES))
    return Row(name, parameters, _peak(), rate, "windows", reads, operations)


def _peak() -> float:
    return mebibytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


ROWS: dict[str, Callable[[], Row]] = {
    **{name: partial(encoder, name) for name in ENCODERS},
    **{name: partial(glm, name) for name in GLMS},
}


def measure(name: str, threads: int) -> Row:
    """One row; called in a process of its own."""
    import torch

    torch.set_num_threads(threads)
    return ROWS[name]()


def lines(threads: int) -> Iterator[str]:
    """The table, and before it what it was measured on."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    yield f"Measured on {threads} of {os.cpu_count()} CPU threads; load of the machine before: {load}.\n"
    yield HEADER
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        yield from map(str, pool.imap(partial(measure, threads=threads), ROWS))


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--threads", type=click.IntRange(1), default=os.cpu_count(), help="CPU threads of each row.")
@click.option(
    "--fill",
    "page",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Markdown page to put the table into.",
)
def main(threads: int, page: Path | None) -> None:
    """Measures what each model needs, and prints it as a table."""
    if page is not None:
        try:
            around(page, MARKERS)  # says at once what would end the run after minutes
        except InputError as error:
            raise click.ClickException(str(error)) from None
    table = []
    for line in lines(threads):
        click.echo(line)
        table.append(line)
    if page is not None:
        fill(page, MARKERS, "\n".join(table))


if __name__ == "__main__":
    main()
