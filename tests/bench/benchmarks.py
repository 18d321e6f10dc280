"""How fast, and in how much memory: `python -m tests.bench.benchmarks` prints a table in Markdown.

Every row stands beside a reference that is measured in the same run, a moment before or after or in turns
with it: ratios can be compared between machines, and on a busy one. Each row has a process of its own, so
that its peak of memory is its own, too. Weights are random where no model is named: they do not change the
time.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from glm_annot.errors import GlmAnnotError
from tests.support.paths import ROOT

EXAMPLE = ROOT / "examples" / "corynebacterium_80_genes.gff3"
MIB = 2**20
ENCODERS = {  # name -> layers, dim, heads; residues to read, seconds of work for the stock program
    "mini": ((4, 128, 2), 40_000),
    "8M": ((6, 320, 20), 16_000),
    "35M": ((12, 480, 20), 6_000),
    "650M": ((33, 1280, 20), 3_600),
}
GLMS = {  # name -> the arguments of GLMConfig; batches of 32 windows to read
    "mini": ((129, 256, 6, 4, 1024), 4),
    "published": ((1281, 1280, 19, 10, 3072, 512), 1),
}
WINDOWS, GENES = 32, 30  # of a batch
ROUNDS = 5  # of works that are timed in turns
PRODUCTS = 10  # matrix products of a round, so that it takes about as long as the others


@dataclass(frozen=True)
class Settings:
    """What the user chose.

    Attributes:
        device: what encoders, gLM and genomes run on.
        threads: CPU threads of each row.
        genome: of the rows `genome` and `contigs`.
        contigs, model: sizes and model of the row `contigs`.
        bf16: encoders in bfloat16, too, where the hardware is not built for it.
    """

    device: str
    threads: int
    genome: Path
    contigs: tuple[int, ...]
    model: str
    bf16: bool

    @property
    def work(self) -> int:
        """How many times as much as a CPU a device is given to do, so that it takes a measurable time."""
        return 1 if self.device == "cpu" else 30


@dataclass(frozen=True)
class Line:
    """One line of the table; `aim` is what the ratio should be."""

    name: str
    measured: str
    reference: str
    ratio: float
    aim: str = ""

    def __str__(self) -> str:
        return f"| {self.name} | {self.measured} | {self.reference} | {self.ratio:.2f} | {self.aim} |"


Row = Callable[[Settings], list[Line]]


# ---- measuring ----


def annotate(args: Sequence[object], settings: Settings) -> tuple[float, float]:
    """(seconds, peak of memory in MiB) of a run of `glm-annot`."""
    start = time.perf_counter()
    options = ["--device", settings.device, "--threads", str(settings.threads), "-q"]
    process = subprocess.Popen([sys.executable, "-m", "glm_annot", *map(str, args), *options], cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"glm-annot {' '.join(map(str, args))} failed")
    return time.perf_counter() - start, mebibytes(usage.ru_maxrss)


def in_turns(rounds: int, device: str, *works: Callable[[], object]) -> list[float]:
    """Median seconds of some works on a device, run in turns: what else runs there slows all alike."""
    from glm_annot.training.plan.speed import seconds

    if device != "cpu":
        for work in works:  # the first time kernels are loaded and memory is taken
            work()
    times = [[seconds(work, repeats=1, device=device) for work in works] for _ in range(rounds)]
    return list(map(statistics.median, zip(*times, strict=True)))


def repeated(work: Callable[[], object], times: int) -> Callable[[], None]:
    """The work done several times."""

    def run() -> None:
        for _ in range(times):
            work()

    return run


def mebibytes(maxrss: int) -> float:
    """What the system counts in kibibytes, macOS in bytes."""
    return maxrss / (MIB if sys.platform == "darwin" else 1024)


# ---- rows ----


def start_up(settings: Settings) -> list[Line]:
    """`glm-annot --help` beside an empty Python program; the aim is 0.3 s."""
    from glm_annot.training.plan.speed import seconds

    run = partial(subprocess.run, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    ours = seconds(lambda: run([sys.executable, "-m", "glm_annot", "--help"]), repeats=5)
    empty = seconds(lambda: run([sys.executable, "-c", "pass"]), repeats=5)
    return [Line("start-up", f"{ours:.2f} s", f"empty program {empty:.2f} s", ours / empty, "0.3 s")]


def encoder(name: str, settings: Settings) -> list[Line]:
    """The protein encoder beside stock fair-esm in float32, and beside the machine's matrix products."""
    import esm
    import torch

    from glm_annot.model.esm import ALPHABET, DTYPES, Encoder, embed, precision_on
    from glm_annot.model.sizes import PLMConfig
    from glm_annot.training.plan.flops import encoder_token
    from glm_annot.training.plan.speed import made_proteins, matrix_product

    (layers, dim, heads), residues = ENCODERS[name]
    proteins = sorted(made_proteins(residues * settings.work), key=len)
    tokens, shape = sum(len(protein) + 2 for protein in proteins), PLMConfig(layers, dim, heads)
    flops = encoder_token(shape) * tokens
    ours = Encoder(shape).eval().to(settings.device)
    stock = esm.ESM2(layers, dim, heads).eval().to(settings.device)
    converter = ALPHABET.get_batch_converter()

    def run_stock() -> None:
        with torch.no_grad():
            for batch in padded_batches(proteins):
                tokens_GT = converter([("", protein) for protein in batch])[2]
                stock(tokens_GT.to(settings.device), repr_layers=[layers])

    lines = []
    wanted = ("fp32", precision_on(torch.device(settings.device)), *(["bf16"] if settings.bf16 else []))
    for precision in dict.fromkeys(wanted):
        product, product_flops = matrix_product(DTYPES[precision], settings.device)
        taken, stock_taken, product_taken = in_turns(
            1 if name == "650M" else ROUNDS,
            settings.device,
            partial(embed, ours, proteins, precision=precision),
            run_stock,
            repeated(product, PRODUCTS),
        )
        residues_read = sum(map(len, proteins))
        title = f"encoder {name}, {precision}"
        measured, stock_rate = f"{residues_read / taken:,.0f} residues/s", residues_read / stock_taken
        aim = "4" if name == "8M" else ""
        lines.append(Line(title, measured, f"stock fair-esm {stock_rate:,.0f}", stock_taken / taken, aim))
        aim = "0.80" if (name, precision) == ("650M", "bf16") else ""
        speed, bound = flops / taken, PRODUCTS * product_flops / product_taken
        measured, reference = f"{speed / 1e9:,.0f} GFLOP/s", f"GEMM {bound / 1e9:,.0f}"
        lines.append(Line(title, measured, reference, speed / bound, aim))
    return lines


def padded_batches(proteins: Sequence[str], tokens: int = 4096) -> Iterator[list[str]]:
    """Proteins by length, in batches of so many tokens with padding: as fair-esm's own script makes them."""
    batch: list[str] = []
    for protein in proteins:
        if batch and (len(batch) + 1) * (len(protein) + 2) > tokens:
            yield batch
            batch = []
        batch.append(protein)
    yield batch


def glm(name: str, settings: Settings) -> list[Line]:
    """One pass of gLM over full windows, beside what the matrix products of its linear layers take."""
    import torch

    from glm_annot.model.glm import GLM
    from glm_annot.model.sizes import GLMConfig
    from glm_annot.training.plan.flops import glm_window
    from glm_annot.training.plan.speed import matrix_product

    sizes, batches = GLMS[name]
    config = GLMConfig(*sizes)
    batches *= settings.work
    network = GLM(config).eval().to(settings.device)
    x_BTE = torch.randn(WINDOWS, GENES, config.input_dim, device=settings.device)
    real_BT = torch.ones(WINDOWS, GENES, dtype=torch.bool, device=settings.device)

    product, product_flops = matrix_product(torch.float32, settings.device)

    @torch.inference_mode()
    def read() -> None:
        network(x_BTE, real_BT, hidden_states=True, attentions=True)

    works = repeated(read, batches), repeated(product, PRODUCTS)
    taken, product_taken = in_turns(ROUNDS, settings.device, *works)
    windows = batches * WINDOWS
    bound = windows * glm_window(config, GENES) / product_flops * product_taken / PRODUCTS
    if settings.device == "cpu":
        memory = mebibytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    else:
        memory = torch.cuda.max_memory_allocated(settings.device) / MIB
    measured = f"{windows / taken:,.1f} windows/s, {memory:,.0f} MiB"
    aim = "1.3 and 4 GB" if name == "published" else ""
    return [Line(f"gLM {name}, fp32", measured, f"GEMM bound {windows / bound:,.1f}", taken / bound, aim)]


def genome(settings: Settings) -> list[Line]:
    """A whole genome with mini, from start to results, beside the matrix products that it takes."""
    import glm_annot
    from glm_annot.model.glm import MASK_STRIDE
    from glm_annot.model.windows import windows
    from glm_annot.training.plan.flops import encoder_token, glm_window
    from glm_annot.training.plan.speed import gemm_peak

    with tempfile.TemporaryDirectory() as folder:
        taken, memory = annotate([settings.genome, "-o", f"{folder}/"], settings)
    import torch

    torch.set_num_threads(settings.threads)
    parsed, model = glm_annot.read(settings.genome), glm_annot.load_model("mini")
    proteins = {gene.protein for gene in parsed.genes if gene.protein}
    flops = encoder_token(model.encoder.config) * sum(map(len, proteins))
    flops += len(windows(parsed)) * glm_window(model.glm.config, GENES) * (1 + MASK_STRIDE)
    bound = flops / gemm_peak(torch.float32, settings.device)
    measured = f"{taken:,.1f} s, {memory:,.0f} MiB"
    aim = "K-12: 120 s (60 s), 1.5 GB"
    name = f"{settings.genome.name}, {sum(1 for _ in parsed.genes)} genes"
    return [Line(name, measured, f"GEMM bound {bound:,.1f} s", taken / bound, aim)]


def genomes(settings: Settings) -> list[Line]:
    """One, two, four and eight small genomes in one run: its peak of memory beside that of one."""
    from tests.support.tiny import made_gff3

    lines: list[Line] = []
    first = 0.0
    for count in (1, 2, 4, 8):
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{number}.gff3" for number in range(count)]
            for seed, path in enumerate(paths):
                path.write_text(made_gff3(100, seed), encoding="ascii")
            taken, memory = annotate([*paths, "-o", f"{folder}/out/"], settings)
        first = first or memory
        measured = f"{memory:,.0f} MiB, {taken:,.1f} s"
        lines.append(Line(f"{count} genomes", measured, f"1 genome {first:,.0f} MiB", memory / first, "1"))
    return lines


def contigs(settings: Settings) -> list[Line]:
    """Metagenomes of more and more contigs, cut out of a genome: memory and time of each beside the smallest.

    The contigs repeat the genome's proteins, and a cache embeds each of these once: the figures are those of
    all else.
    """
    from tests.bench.metagenome import write_metagenome

    lines: list[Line] = []
    smallest: tuple[float, float] | None = None
    with tempfile.TemporaryDirectory() as folder:
        model = _bundle(settings.model, Path(folder))
        for count in settings.contigs:
            path = Path(folder) / f"{count}.gff3"
            n_genes = write_metagenome(settings.genome, count, path)
            args = [path, "-o", f"{folder}/out/", "--model", model, "--cache", f"{folder}/cache"]
            taken, memory = annotate(args, settings)
            path.unlink()
            each = 1000 * taken / count
            first_memory, first_each = smallest = smallest or (memory, each)
            name, beside = f"{count:,} contigs, {n_genes:,} genes of few proteins", f"{settings.contigs[0]:,}"
            measured = f"{memory:,.0f} MiB"
            lines.append(Line(name, measured, f"{beside}: {first_memory:,.0f} MiB", memory / first_memory))
            measured = f"{taken:,.1f} s, {each:.1f} ms a contig"
            lines.append(Line(name, measured, f"{beside}: {first_each:.1f} ms", each / first_each, "1"))
    return lines


def _bundle(model: str, folder: Path) -> str:
    """What to call a model by: `tiny` is made in the folder."""
    if model != "tiny":
        return model
    from glm_annot.bundle import save
    from tests.support.tiny import tiny

    save(tiny(), folder / model, metrics={}, card="")
    return str(folder / model)


ROWS: dict[str, Row] = {
    "start-up": start_up,
    **{f"encoder-{name}": partial(encoder, name) for name in ENCODERS},
    **{f"glm-{name}": partial(glm, name) for name in GLMS},
    "genome": genome,
    "genomes": genomes,
    "contigs": contigs,
}
LONG = ("encoder-650M", "contigs")  # minutes each, also on an idle machine


def measure(name: str, settings: Settings) -> list[Line]:
    """One row; called in a process of its own."""
    if name.startswith(("encoder", "glm")):
        import torch

        torch.set_num_threads(settings.threads)
    return ROWS[name](settings)


def _described(name: str) -> str:
    row = ROWS[name]
    description = (row.func if isinstance(row, partial) else row).__doc__ or ""
    return f"  {name:<14}{description.splitlines()[0]}"


@click.command(
    epilog="\n".join(["\b", "Rows:", *map(_described, ROWS)]),
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.argument("rows", nargs=-1, type=click.Choice(list(ROWS)), metavar="[ROW]...")
@click.option("--long", is_flag=True, help=f"Also the rows that take minutes: {', '.join(LONG)}.")
@click.option("--device", default="cpu", help="Device of encoders, gLM and genomes: cpu, cuda, cuda:1.")
@click.option("--threads", type=click.IntRange(1), default=os.cpu_count(), help="CPU threads of each row.")
@click.option(
    "--genome",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=EXAMPLE,
    help="Annotation for the rows `genome` and `contigs`; for the latter a GFF3 with ##FASTA.",
)
@click.option(
    "--contigs",
    type=click.IntRange(1),
    multiple=True,
    default=(1000, 10_000),
    help="Sizes in the row `contigs`; give it once for each size.",
)
@click.option(
    "--model",
    default="mini",
    help="Model of the row `contigs`; `tiny` is a made-up one that computes next to nothing.",
)
@click.option(
    "--bf16", is_flag=True, help="Encoders in bfloat16, too, where the hardware is not built for it."
)
def main(rows: tuple[str, ...], long: bool, genome: Path, **options: Any) -> None:
    """Measures ROWs, by default all short ones, and prints them as a table."""
    chosen = rows or [name for name in ROWS if long or name not in LONG]
    settings = Settings(genome=genome.resolve(), **options)
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    click.echo(
        f"device {settings.device}; {settings.threads} of {os.cpu_count()} CPU threads; "
        f"load of the machine before the run: {load}\n"
    )
    click.echo("| row | measured | reference | ratio | aim |\n|---|---|---|---|---|")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        try:
            for lines in pool.imap(partial(measure, settings=settings), chosen):
                click.echo("\n".join(map(str, lines)))
        except GlmAnnotError as error:
            raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
