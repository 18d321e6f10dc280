"""The command line of training: parse, call, print. What is slow to import is imported in the commands."""

from __future__ import annotations

import json
import re
import shlex
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import click
from click.core import ParameterSource

from glm_annot import __version__
from glm_annot.errors import GlmAnnotError, InputError
from glm_annot.model.sizes import MOST_FAMILIES
from glm_annot.processes import end_on_signals, fill_closed_streams, signal_status

from .common.console import say

if TYPE_CHECKING:
    from .recipe import Recipe

EXAMPLES = """\
\b
Examples:
  glm-train run mini --data DATA --work work --budget 10h
                                    makes the shipped model, work/bundle; run again, it continues
  glm-train run own --data my_genomes --work work
                                    makes a model from your own GenBank or GFF3 files
  glm-annot genome.gbff --model work/bundle
                                    annotates with the new model
  glm-train evaluate --suite benchmark --model work/bundle --data DATA
                                    measures a model on E. coli K-12 and the EC benchmarks
  glm-train import-glm glm.bin --norm norm.pkl --pca pca.pkl -o published
  glm-train run published --data my_genomes --work work
                                    makes a model from the published gLM and your genomes
  glm-train evaluate --suite paper --model work/bundle --data DATA -o paper
                                    the experiments of the gLM paper: tables, figures, paper/index.html
  glm-train plan paper --devices 4
                                    the time and hardware that the paper's model takes

\b
The same in single steps:
  glm-train corpus mini --data DATA -o work/corpus
  glm-train plm mini --corpus work/corpus -o work/plm --budget 5h
  glm-train embed mini --corpus work/corpus --plm work/plm
  glm-train glm mini --corpus work/corpus -o work/glm --budget 2h
  glm-train heads mini --data DATA --corpus work/corpus --plm work/plm --glm work/glm -o work/heads
  glm-train bundle mini --corpus work/corpus --plm work/plm --glm work/glm --heads work/heads -o work/bundle
  glm-train ec-names work/bundle --names DATA/ec/ec_names.tsv
  glm-train evaluate --suite benchmark --model work/bundle --data DATA --write

\b
plm, embed and glm can run in several processes, one per GPU. `run --processes` starts them on this machine,
`run --launcher` on several hosts that share the folders; a launcher can also start a single step:
  glm-train run paper --data my_genomes --work work --launcher 'srun --nodes 2 --ntasks-per-node 1 torchrun
      --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d --rdzv-endpoint FIRST_HOST:29500'
  torchrun --nproc-per-node 2 -m glm_annot.training.cli plm mini --corpus work/corpus -o work/plm
"""

INTERRUPTED = 130  # exit status after Ctrl-C: 128 + SIGINT, as shells count
_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path)


def _read_recipe(_: click.Context, __: click.Parameter, name: str) -> Recipe:
    from .recipe import read

    return read(name)


def _read_budget(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    from .recipe import parse_budget

    try:
        return None if text is None else parse_budget(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


recipe_argument = click.argument("recipe", callback=_read_recipe)
data_option = click.option(
    "--data",
    type=_FOLDER,
    required=True,
    help="Data folder, where the paths in the recipe start; docs/data.md shows its layout.",
)
corpus_option = click.option(
    "--corpus", type=_FOLDER, required=True, help="Corpus folder, made by `glm-train corpus`."
)
plm_option = click.option("--plm", type=_FOLDER, required=True, help="Finished folder of `glm-train plm`.")
glm_option = click.option("--glm", type=_FOLDER, required=True, help="Finished folder of `glm-train glm`.")
out_option = click.option("-o", "--output", type=_FOLDER, required=True, help="Folder to write to.")
budget_option = click.option(
    "--budget",
    metavar="TIME",
    callback=_read_budget,
    help="Time for the whole recipe, such as 90m or 10h, divided by its shares; default: the recipe's own.",
)

restart_option = click.option(
    "--restart",
    is_flag=True,
    help="Do finished and interrupted steps again whose settings or data changed, and all steps after them; "
    "removes their results. Without it a change is an error.",
)


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="glm-train")
def cli() -> None:
    """Trains models for glm-annot, from annotated genomes to a folder that `glm-annot --model` takes.

    `run` does everything; the other commands are its single steps. RECIPE is a JSON file with all settings of
    a model, or the name of one that comes with the package: own, mini, families, paper or published.
    """


@cli.command(short_help="Draws a sample of genomes into a corpus folder.")
@recipe_argument
@data_option
@out_option
@budget_option
def corpus(recipe: Recipe, data: Path, output: Path, budget: float | None) -> None:
    """Draws a sample of genomes, balanced over genera, and writes it to a corpus folder."""
    from .run.stages import make_corpus

    record = make_corpus(recipe, data, output, budget=_budget(recipe, budget), report=say)
    say(", ".join(f"{value:,} {name}" for name, value in record["counts"].items()))


@cli.command(short_help="Trains the protein encoder.")
@recipe_argument
@corpus_option
@out_option
@budget_option
def plm(recipe: Recipe, corpus: Path, output: Path, budget: float | None) -> None:
    """Trains the protein encoder; continues after an interruption. It logs for TensorBoard."""
    from .run.stages import train_encoder

    train_encoder(recipe, corpus, output, budget=_budget(recipe, budget))


@cli.command(short_help="Embeds all proteins of a corpus.")
@recipe_argument
@corpus_option
@plm_option
def embed(recipe: Recipe, corpus: Path, plm: Path) -> None:
    """Embeds all proteins of a corpus, on a GPU if there is one; continues after an interruption."""
    from glm_annot.cli.console import Bars

    from .run.stages import embed_corpus

    with Bars(hidden=False) as bars:
        embed_corpus(recipe, corpus, plm, progress=partial(bars, "proteins"), report=say)


@cli.command(short_help="Makes the gene families of a corpus.")
@corpus_option
@click.option(
    "--most", type=click.IntRange(1), default=MOST_FAMILIES, show_default=True, help="Families at most."
)
def families(corpus: Path, most: int) -> None:
    """Makes the gene families of an embedded corpus, which gLM and the memory of gene order read."""
    from .run import stages

    stages.make_families(corpus, most=most, report=say)


_family_run = click.option(
    "--glm", "run", type=_FOLDER, help="A finished gLM run on the corpus, trained on families."
)


@cli.command(short_help="Reads what gene families are called.")
@recipe_argument
@data_option
@corpus_option
@click.option("--plm", type=_FOLDER, required=True, help="The encoder that embedded the corpus.")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Table to write.")
def names(recipe: Recipe, data: Path, corpus: Path, plm: Path, output: Path) -> None:
    """Reads what annotated genomes (`names` of the recipe) and labelled proteins call the gene families.

    The table has a row for each family, source and name, and goes into `glm-train neighbours --names`.
    """
    from glm_annot.model.neighbours.names import names_of, to_text

    from .run.neighbours import read_facts

    facts = read_facts(recipe, data, corpus, plm)
    output.write_text(to_text(facts), encoding="utf-8")
    say(f"names: {len(names_of(facts)):,} families have one")


@cli.command(short_help="Fits how far the names of genes can be trusted.")
@recipe_argument
@data_option
@click.option("--corpus", type=_FOLDER, help="The corpus folder, where the recipe has its genomes judge.")
@click.option("--model", type=_FOLDER, required=True, help="The bundle; it is written anew.")
def trust(recipe: Recipe, data: Path, corpus: Path | None, model: Path) -> None:
    """Fits how far the names that a model gives can be trusted, to genomes that have names of their own.

    Each annotated genome of the recipe's names_judged_by is read as if it had named nothing.
    """
    from .bundle.trust import trust_names
    from .run.neighbours import judging_genomes

    if corpus is None and recipe.names_judged_by == "corpus":
        raise click.UsageError("names are judged by genomes of the corpus; give --corpus")
    trust_names(model, judging_genomes(recipe, data, corpus or data), recipe, report=say)


@cli.command(short_help="Measures the names that genes get from their context.")
@click.argument("genomes", type=_FILE, nargs=-1, required=True)
@click.option("--model", required=True, help="A model whose families have names.")
@click.option(
    "--data", type=_FOLDER, help="Measure genes far from all labelled and named proteins in it, too."
)
@click.option(
    "--audit", type=_FILE, help="Write 100 names, drawn at random, to this file for a person to judge."
)
@click.option("--seed", default=0, show_default=True, help="Seed of that draw.")
@click.option("--write", is_flag=True, help="Write the figures into the model, a folder.")
def evaluate_names(
    genomes: tuple[Path, ...], model: str, data: Path | None, audit: Path | None, seed: int, write: bool
) -> None:
    """Measures the names and EC numbers that neighbours and proteins give to the genes of GENOMES.

    Each genome is read as if neither it nor one that is nearly the same had named anything; its own names
    tell what is right. The figures of the first one stand for the model.
    """
    from glm_annot.bundle import load

    from .bundle.assemble import add_metrics
    from .evaluate.neighbours import names as measured
    from .memory.trust import as_stranger

    loaded, strangers, found = load(model), [], {}
    for genome in genomes:
        strangers.append(as_stranger(loaded, genome))
        found[genome.name] = measured.evaluate_names(loaded, strangers[-1], data)
        click.echo("\n".join([f"{genome.name}:", *measured.lines(found[genome.name])]))
    if audit is not None:
        rows = measured.sample(loaded, strangers, most=100, seed=seed)
        text = "".join("\t".join(row) + "\n" for row in [measured.SAMPLE, *rows])
        audit.write_text(text, encoding="utf-8")
    if write:
        add_metrics(Path(model), {"names": {**measured.of_genomes(found), "command": _typed()}})


@cli.command(short_help="Measures names from context for genes whose family nobody has named.")
@corpus_option
@click.option("--model", required=True, help="A model whose memory was built from the corpus.")
@click.option("--split", default="test", show_default=True, help="Which genomes of the corpus to measure on.")
@click.option("--seed", default=0, show_default=True, help="Seed of the random choice of genes.")
@click.option("--write", is_flag=True, help="Write the figures into the model, a folder.")
def evaluate_hints(corpus: Path, model: str, split: str, seed: int, write: bool) -> None:
    """Measures names and EC numbers from context on genomes of a corpus, by how near relatives are.

    For genes whose own family has a name, it is hidden; clusters of similar proteins tell what is right.
    """
    from glm_annot.bundle import load

    from .bundle.assemble import add_metrics
    from .evaluate.neighbours import hints as measured

    found = measured.evaluate_hints(corpus, load(model), split=split, seed=seed, report=say)
    click.echo("\n".join(measured.lines(found)))
    if write:
        of = f"the corpus's {split} genomes"
        add_metrics(Path(model), {"hints": {"of": of, **found, "command": _typed()}})


@cli.command(short_help="Builds the memory of gene order.")
@corpus_option
@out_option
@_family_run
@click.option("--names", "table", type=_FILE, help="By `glm-train names`; without it genes get no names.")
@click.option("--seed", default=0, show_default=True, help="Seed of the random choice of genes.")
def neighbours(corpus: Path, output: Path, run: Path | None, table: Path | None, seed: int) -> None:
    """Builds the memory of gene order and fits how much memory and gLM count, and what genes may be called.

    They are fitted on the genomes that the corpus sets aside to calibrate.
    """
    from glm_annot.model.neighbours.names import from_text

    from .common.inputs import read_text
    from .memory.neighbours import fit_neighbours, save_neighbours

    facts = () if table is None else from_text(read_text(table), table)
    found = fit_neighbours(corpus, glm=run, facts=facts, seed=seed, report=say)
    if found is None:
        raise InputError("has no gene in its calibrating genomes by which a memory could be fitted", corpus)
    save_neighbours(found, output)


@cli.command(short_help="Measures how well neighbours predict a masked gene.")
@corpus_option
@_family_run
@click.option(
    "--neighbours", "fitted", type=_FOLDER, help="By `glm-train neighbours` on the corpus, with the same gLM."
)
@click.option("--split", default="test", show_default=True, help="Which genomes of the corpus to measure on.")
@click.option("--seed", default=0, show_default=True, help="Seed of the random masks.")
@click.option(
    "--model", help="A model whose memory was built from the corpus, instead of --glm and --neighbours."
)
@click.option("--genome", type=_FILE, help="Measure on this genome by the paper's measure; needs --model.")
@click.option(
    "--phages",
    type=_FILE,
    multiple=True,
    help="With --genome: annotated genomes whose phage genes are put into it.",
)
@click.option("--write", is_flag=True, help="With --model: write the figures into the model, a folder.")
def context(
    corpus: Path,
    run: Path | None,
    fitted: Path | None,
    split: str,
    seed: int,
    model: str | None,
    genome: Path | None,
    phages: tuple[Path, ...],
    write: bool,
) -> None:
    """Measures how often the families of masked genes are predicted from their neighbours alone.

    The memory of gene order is asked three times: without the genome itself, without its genus, and without
    all that share half of its families. With --genome it is one genome that the corpus was kept away from.
    With --model also how well the context fit tells genes in their places from misplaced ones.
    """
    from glm_annot import io
    from glm_annot.bundle import load

    from .bundle.assemble import add_metrics
    from .evaluate import context as measured
    from .evaluate.neighbours import fit, masked_families

    if model is None:
        if genome is not None or phages or write:
            raise click.UsageError("--genome, --phages and --write need --model")
        found = measured.evaluate_context(
            corpus, glm=run, neighbours=fitted, split=split, seed=seed, report=say
        )
        click.echo("\n".join(measured.table_lines(found)))
        return
    if run is not None or fitted is not None or (phages and genome is None):
        raise click.UsageError("--model takes the place of --glm and --neighbours; --phages needs --genome")
    loaded = load(model)
    if genome is None:
        found = measured.evaluate_context(corpus, finished=loaded, split=split, seed=seed, report=say)
        fits = fit.of_corpus(corpus, loaded, split=split, report=say)
        lines, of = measured.table_lines(found), f"the corpus's {split} genomes"
        figures = {"rings": {"of": of, **found, "context_fit": fits}}
    else:
        read = io.read(genome)
        one = masked_families.evaluate_masked_families(loaded, read, corpus)
        fits = fit.of_genome(loaded, read, corpus, [io.read(path) for path in phages])
        lines = measured.lines_of_one(one)
        figures = {"neighbours": {"of": genome.name, **one, "context_fit": fits}}
    click.echo("\n".join([*lines, *fit.lines(fits)]))
    if write:
        add_metrics(Path(model), {group: {**of, "command": _typed()} for group, of in figures.items()})


@cli.command(short_help="Trains the gLM.")
@recipe_argument
@corpus_option
@out_option
@budget_option
@click.option(
    "--backbone",
    type=click.Choice(["glm", "lstm"]),
    help="Train this network instead of the recipe's; lstm is a baseline of equal size.",
)
@click.option(
    "--from",
    "start",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Begin with the weights of this finished run. Another `seed` in `engine` gives other windows.",
)
def glm(
    recipe: Recipe,
    corpus: Path,
    output: Path,
    budget: float | None,
    backbone: Literal["glm", "lstm"] | None,
    start: Path | None,
) -> None:
    """Trains the genomic language model (gLM) on an embedded corpus; continues after an interruption."""
    from .run.stages import train_glm

    if backbone == "lstm":
        recipe = recipe.as_baseline()
    elif backbone is not None:
        recipe = recipe.with_backbone(backbone)
    train_glm(recipe, corpus, output, budget=_budget(recipe, budget), start=start)


@cli.command(short_help="Fits the heads for EC numbers and operons.")
@recipe_argument
@data_option
@corpus_option
@plm_option
@glm_option
@click.option(
    "--neighbours",
    type=_FOLDER,
    help="Folder of `glm-train neighbours`; with it operons are told by the memory of gene order, too.",
)
@out_option
def heads(
    recipe: Recipe, data: Path, corpus: Path, plm: Path, glm: Path, neighbours: Path | None, output: Path
) -> None:
    """Fits the classifiers (heads) for EC numbers and operons on top of encoder, gLM and memory."""
    from .bundle.assemble import PartFolders
    from .run.stages import fit_heads

    folders = PartFolders(corpus, plm, glm, neighbours=neighbours)
    fit_heads(recipe, data, folders, output, report=say)


genomes_option = click.option(
    "--genomes",
    type=click.IntRange(min=0),
    default=24,
    show_default=True,
    help="Number of genomes to take enzymes from, balanced over genera; 0 for all.",
)
seed_option = click.option("--seed", default=0, show_default=True, help="Seed of all random choices.")
exclude_option = click.option(
    "--exclude",
    type=int,
    multiple=True,
    metavar="GENOME",
    help="Number of a genome to take no enzymes from; repeatable.",
)


@cli.command("ec-dataset", short_help="Makes a dataset of enzymes from a corpus.")
@corpus_option
@click.option("--labelled", type=_FILE, required=True, help="Proteins with EC numbers: ec/labelled.parquet.")
@click.option("--ec-names", type=_FILE, help="Which EC numbers were transferred: ec/ec_names.tsv.")
@out_option
@genomes_option
@seed_option
@exclude_option
def ec_dataset(
    corpus: Path,
    labelled: Path,
    ec_names: Path | None,
    output: Path,
    genomes: int,
    seed: int,
    exclude: tuple[int, ...],
) -> None:
    """Makes a dataset of enzymes from a corpus: labels by search, split at 30 % identity in each class."""
    import torch

    from .corpus.tables import read_tables
    from .ec import dataset
    from .ec.labels import read_labelled, read_updates

    updates = read_updates(ec_names) if ec_names else {}
    known = read_labelled(labelled, held_out=(), updates=updates, max_trust=dataset.MAX_TRUST)
    options = dataset.DatasetOptions(genomes or None, seed, dict.fromkeys(exclude, "as asked"))
    threads = torch.get_num_threads()
    record = dataset.build(read_tables(corpus), known, output, options=options, threads=threads)
    counts = ("genomes", "proteins", "train", "test", "classes", "classes_with_test")
    say(", ".join(f"{record[name]:,} {name.replace('_', ' ')}" for name in counts))


@cli.command(short_help="Measures a model.")
@click.option("--model", required=True, metavar="NAME|FOLDER", help="A finished model.")
@click.option(
    "--suite", type=click.Choice(["benchmark", "test", "paper"]), required=True, help="What to measure."
)
@click.option(
    "--data",
    type=_FOLDER,
    help="Data folder, for the suites 'benchmark' and 'paper'; docs/data.md shows its layout.",
)
@click.option(
    "--corpus",
    type=_FOLDER,
    help="Corpus folder, with embeddings, for the suite 'test'; for 'paper' where enzymes and windows come "
    "from, instead of the data folder.",
)
@click.option(
    "-o", "--output", type=_FILE, help="Where to write all figures: a JSON file; for 'paper' a folder."
)
@click.option("--lstm", type=_FOLDER, help="Finished run of the biLSTM baseline, to compare with.")
@click.option(
    "--audit",
    type=click.Path(path_type=Path, dir_okay=False),
    help="For 'benchmark': write a sample of EC numbers, called for genes of K-12 without one, to this TSV "
    "file, for a person to judge.",
)
@click.option(
    "--write",
    is_flag=True,
    help="Also write the figures of 'benchmark' or 'test' into the model: metrics.json and the model card.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
@click.option("--fill", type=_FILE, help="For 'paper': also put its table into this Markdown page.")
@restart_option
@genomes_option
@seed_option
@exclude_option
@click.pass_context
def evaluate(
    context: click.Context,
    /,
    model: str,
    suite: str,
    data: Path | None,
    corpus: Path | None,
    output: Path | None,
    lstm: Path | None,
    audit: Path | None,
    write: bool,
    device: str,
    **of_paper: Any,
) -> None:
    """Measures a model on data that it was not trained on, and prints tables; -o writes all figures.

    There are three suites. 'benchmark' measures EC numbers on E. coli K-12 and the EC benchmarks, and operons
    with heads fitted anew, each without what it is tested on. 'test' measures masked genes of the genomes
    that a corpus set aside for testing. 'paper' repeats the experiments of the gLM paper, as tables, figures
    and a page; it needs the extra 'paper'.
    """
    from glm_annot.bundle import known, load

    if write and (suite == "paper" or model in known()):
        raise click.UsageError("--write is for the suites 'benchmark' and 'test' and a model of your own")
    if audit is not None and suite != "benchmark":
        raise click.UsageError("--audit is for the suite 'benchmark'")
    given = [name for name in of_paper if context.get_parameter_source(name) is not ParameterSource.DEFAULT]
    if given and suite != "paper":
        raise click.UsageError(f"--{given[0]} is for the suite 'paper'")
    if suite != "paper" and output is not None and output.is_dir():
        raise click.UsageError(f"{output} is a folder; the suite {suite!r} writes a file")
    folder = corpus if suite == "test" else data
    if folder is None:
        raise click.UsageError(f"the suite {suite!r} needs --{'corpus' if suite == 'test' else 'data'}")
    if suite == "paper":
        if output is None:
            raise click.UsageError("the suite 'paper' needs -o, a folder to work in")
        _paper(model, device, folder, corpus, output, lstm=lstm, **of_paper)
        return
    from .bundle.assemble import add_metrics
    from .evaluate import suites
    from .evaluate.tables import aligned, tables

    loaded = load(model, device)
    if audit is not None and loaded.ec is None:
        raise click.UsageError("--audit needs a model that predicts EC numbers")
    for path in filter(None, (output, audit)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if suite == "benchmark":
        metrics = suites.benchmark(loaded, folder, lstm=lstm, audit=audit, command=_typed())
    else:
        metrics = suites.of_corpus(loaded, folder, lstm=lstm, command=_typed())
    if output:
        output.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    if write:
        add_metrics(Path(model), metrics)
    click.echo(aligned(tables(metrics)))


def _paper(
    model: str,
    device: str,
    data: Path,
    corpus: Path | None,
    output: Path,
    *,
    lstm: Path | None,
    fill: Path | None,
    restart: bool,
    genomes: int,
    seed: int,
    exclude: tuple[int, ...],
) -> None:
    """The suite 'paper'."""
    from glm_annot.bundle import load

    from . import recipe
    from .evaluate import tables

    try:
        from .paper import page as paper_page
        from .paper import suite as paper
        from .paper.inputs import Files
    except ModuleNotFoundError as error:
        raise GlmAnnotError(
            f"the suite 'paper' needs {error.name}; install it with: pip install 'glm-annot[train,paper]'"
        ) from error
    if fill is not None:
        tables.around(fill, paper_page.MARKERS)  # says at once what would end the run after half an hour
    left_out: dict[int, str] = dict.fromkeys(exclude, "as asked")
    if corpus is None:  # what the recipe of the shipped model knows of the shared data's genomes
        shipped = recipe.read("mini").corpus.exclude
        left_out |= {int(genome): reason for genome, reason in shipped.items()}
    options = paper.PaperOptions(seed, genomes or None, left_out, lstm)
    suite = paper.Suite(load(model, device), Files.of(data, corpus), output, options, _typed(), say, restart)
    page = suite()
    table = (output / "page" / paper_page.TABLE).read_text(encoding="utf-8")
    if fill is not None:
        tables.fill(fill, paper_page.MARKERS, f"\n{table}")
    click.echo(table, nl=False)
    say(f"the page is {page}")


@cli.command(short_help="Makes a model from the finished steps.")
@recipe_argument
@corpus_option
@plm_option
@glm_option
@click.option(
    "--heads",
    type=_FOLDER,
    help="Folder of `glm-train heads`; without it the model predicts no EC numbers and no operons.",
)
@click.option(
    "--neighbours", type=_FOLDER, help="Folder of `glm-train neighbours`; without it there is no memory."
)
@out_option
def bundle(
    recipe: Recipe,
    corpus: Path,
    plm: Path,
    glm: Path,
    heads: Path | None,
    neighbours: Path | None,
    output: Path,
) -> None:
    """Makes a model from the finished steps: a folder that `glm-annot --model` takes.

    `glm-train evaluate --model FOLDER --write` measures it and adds the figures.
    """
    from .bundle.assemble import PartFolders, assemble

    assemble(PartFolders(corpus, plm, glm, heads, neighbours), output, recipe, command=_typed())


@cli.command("ec-names", short_help="Writes the names of EC numbers into a model.")
@click.argument("model", type=_FOLDER)
@click.option("--names", type=_FILE, required=True, help="Names of EC numbers: ec/ec_names.tsv.")
def ec_names(model: Path, names: Path) -> None:
    """Writes the names of EC numbers and of their classes into MODEL, for the tables that it makes.

    `glm-train run` does so for a recipe whose EC numbers come from the shared data.
    """
    from .bundle.assemble import add_names

    add_names(model, names)


@cli.command("add-memory", short_help="Adds a memory of gene order to a model.")
@recipe_argument
@click.option("--model", required=True, help="The model, made by the recipe: a name or a folder.")
@corpus_option
@plm_option
@click.option("--neighbours", type=_FOLDER, required=True, help="Folder of `glm-train neighbours`.")
@out_option
def add_memory(recipe: Recipe, model: str, corpus: Path, plm: Path, neighbours: Path, output: Path) -> None:
    """Adds a memory of gene order to a model; its other parts stay as they are.

    The memory is read by a family encoder of its own, the one that embedded the corpus. The recipe gives the
    version of the new model and what its card says of its limits.
    """
    from .bundle import memory

    memory.add_memory(
        model,
        output,
        recipe=recipe,
        corpus=corpus,
        encoder=plm,
        neighbours=neighbours,
        command=_typed(),
    )


@cli.command("memory", short_help="Adds your own genomes to a model's memory of gene order.")
@click.argument("genomes", type=_FOLDER)
@click.option("--model", default="mini", show_default=True, help="The model: a name or a folder.")
@out_option
def more_genomes(genomes: Path, model: str, output: Path) -> None:
    """Adds the annotated genomes of a folder to a model's memory of gene order, and writes the new model.

    GENOMES is a folder as `glm-train run own` takes it. Nothing is trained, so each genome takes seconds. The
    memory then knows what stands beside what in your strains, and tells it of genomes like them.
    """
    from .bundle import memory

    memory.add_genomes(model, genomes, output, command=_typed(), report=say)


@cli.command(short_help="Draws genomes to calibrate with and to test on.")
@click.option("--data", type=_FOLDER, required=True, help="Data folder; docs/data.md shows its layout.")
@click.option("-o", "--output", type=_FILE, required=True, help="File to write (JSON).")
@click.option("--seed", default=0, show_default=True, help="Seed of the random drawing.")
def sets(data: Path, output: Path, seed: int) -> None:
    """Draws the genomes that a model is calibrated with and tested on, and lists their near relatives.

    A recipe names the file as corpus.sets. Genomes that it lists train nothing.
    """
    from .run.draw_sets import draw_sets

    counts = draw_sets(data, output, seed=seed)
    say(", ".join(f"{count} {name}" for name, count in counts.items()))


@cli.command("import-glm", short_help="Makes a model from the published gLM.")
@click.argument("checkpoint", type=_FILE)
@click.option("--norm", type=_FILE, required=True, help="norm.pkl, which comes with the checkpoint.")
@click.option("--pca", type=_FILE, required=True, help="pca.pkl, which comes with the checkpoint.")
@click.option(
    "--plm",
    default="esm2_t33_650M_UR50D",
    show_default=True,
    metavar="NAME|FILE",
    help="Official ESM2 that belongs to it: a name, looked for among torch.hub's downloads, or a .pt file.",
)
@out_option
def import_glm(checkpoint: Path, norm: Path, pca: Path, plm: str, output: Path) -> None:
    """Makes a model from the published gLM CHECKPOINT (glm.bin), without running code from its pickle files.

    The model includes the encoder, but predicts nothing yet. Fit its heads with the recipe `published`:
    glm-train run published --data my_genomes --work work
    """
    from .bundle import published
    from .encoder import official

    say(published.LICENCE)
    config = published.import_glm(checkpoint, norm, pca, official.load(plm), output, command=_typed())
    say(f"{output}: a gLM of {config.layers} layers, {config.dim} wide, with its encoder")
    say(f'it predicts nothing without heads; fit them with a recipe that says {{"keep": "{output}"}}')


@cli.command(short_help="Estimates the time and memory of a recipe.")
@recipe_argument
@click.option(
    "--windows",
    type=click.IntRange(1),
    help="Windows of 30 genes to train on; default: the paper's seven million.",
)
@click.option("--corpus", type=_FOLDER, help="Count the windows of this corpus instead.")
@click.option(
    "--device-tflops",
    type=click.FloatRange(0, min_open=True),
    help="Published peak of your own GPU, in TFLOP/s.",
)
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="Number of GPUs.")
@click.option(
    "--utilisation",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.4,
    show_default=True,
    help="Share of the published peak that is assumed to be reached.",
)
@click.option(
    "--measure/--no-measure", default=True, help="Measure this machine, which takes a minute or two."
)
def plan(
    recipe: Recipe,
    windows: int | None,
    corpus: Path | None,
    device_tflops: float | None,
    devices: int,
    utilisation: float,
    measure: bool,
) -> None:
    """Estimates the time and memory of a recipe: embedding, and training its gLM.

    Operations come from formulas, times on this machine from a short measurement, times on other hardware
    from published peaks and an assumed utilisation. Each figure says which.
    """
    from glm_annot.model.devices import best_device

    from .plan import plan as plans

    if corpus is not None and windows is not None:
        raise click.UsageError("give --windows or --corpus, not both")
    counted = plans.Corpus.counted(corpus) if corpus else plans.Corpus.assumed(windows or plans.PAPER_WINDOWS)
    planned = plans.Plan.of(recipe, counted)
    peaks = {"device of yours": device_tflops * 1e12} if device_tflops else plans.PUBLISHED
    hardware = [plans.Hardware(name, peak, devices, utilisation) for name, peak in peaks.items()]
    measured = plans.measure(planned, best_device()) if measure else None
    for line in plans.report(planned, hardware, measured):
        click.echo(line)


@cli.command(short_help="Does all steps of a recipe.")
@recipe_argument
@data_option
@click.option("--work", type=_FOLDER, required=True, help="Folder for all steps; the model is WORK/bundle.")
@budget_option
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Train and embed in N processes: one per GPU, or one per core of a small machine.",
)
@click.option(
    "--launcher",
    metavar="COMMAND",
    help="Train and embed with this command instead, on several hosts: torchrun or deepspeed with its "
    "options. All hosts must see the same folders.",
)
@restart_option
def run(
    recipe: Recipe,
    data: Path,
    work: Path,
    budget: float | None,
    processes: int,
    launcher: str | None,
    restart: bool,
) -> None:
    """Does all steps of a recipe, from genomes to a finished model.

    Called again, it leaves out finished steps and continues an interrupted one. It removes no file that it
    did not make, and does no step again unless --restart is given.
    """
    from .common.ranks import rank_and_count
    from .run.launch import Launcher
    from .run.preflight import check_data
    from .run.recipe_run import RecipeRun

    if rank_and_count()[1] > 1:
        raise click.UsageError("run starts processes itself; give the launcher to it as --launcher")
    if launcher and processes > 1:
        raise click.UsageError("give --processes or --launcher, not both")
    check_data(recipe, data)
    start = Launcher.of(launcher) if launcher else Launcher.local(processes) if processes > 1 else None
    seconds = _budget(recipe, budget)
    folder = RecipeRun(recipe, data, work, seconds, _typed(), say, start, restart=restart)()
    say(f"the model is {folder}; try: glm-annot GENOME --model {folder}")


def main() -> None:
    """Run the command line; every failure that is no bug is one line and an exit status."""
    fill_closed_streams()
    end_on_signals()
    try:
        cli.main(prog_name="glm-train", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        say("interrupted; the same command continues from the last checkpoint")
        sys.exit(INTERRUPTED)
    except Exception as error:
        if (status := signal_status()) is not None:
            sys.exit(status)
        _fail(error)


def _fail(error: Exception) -> NoReturn:
    """End with one line and an exit status; raises what is a bug."""
    if isinstance(error, GlmAnnotError):
        say(f"error: {error}")
        sys.exit(error.exit_status)
    if isinstance(error, MemoryError):
        say("error: there is not enough memory; lower micro_batch, or use a machine with more")
        sys.exit(GlmAnnotError.exit_status)
    if isinstance(error, OSError):  # a full disk, a folder that may not be written to
        say(f"error: {error.filename or 'while writing'}: {error.strerror or error}")
        sys.exit(GlmAnnotError.exit_status)
    raise error


def _typed() -> str:
    """The command as it was typed, for the record; the folder of data is DATA, as in the documentation."""
    words = ["glm-train"]
    for word in sys.argv[1:]:
        words.append("DATA" if words[-1] == "--data" else re.sub("^--data=.*", "--data=DATA", word))
    return shlex.join(words)


def _budget(recipe: Recipe, budget: float | None) -> float:
    from .recipe import parse_budget

    return parse_budget(recipe.budget) if budget is None else budget


if __name__ == "__main__":
    main()
