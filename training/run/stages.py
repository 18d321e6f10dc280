"""The steps of a recipe, from genomes to fitted heads; each continues where it was interrupted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from glm_annot.ec_numbers import is_complete
from glm_annot.errors import InputError
from glm_annot.model.sizes import MOST_FAMILIES

from ..corpus import family_proteins, genome_folder, heldout, rings, sets
from ..corpus import tables as corpus_module
from ..corpus.heldout import HeldOut
from ..corpus.shared_data import SharedData
from ..ec import labels
from ..operons import data as operon_data
from ..recipe import CorpusSection, Recipe
from ..settings import Kept, Official, TrainedEncoder, TrainedFamilies

if TYPE_CHECKING:
    from glm_annot.ec.head import ECHead
    from glm_annot.operons.head import OperonHead

    from ..bundle.assemble import PartFolders

Progress = Callable[[int, int], None]  # (units done, units in all)
_PARTS = {"plm": ("plm",), "glm": ("features", "glm")}  # of a model that a recipe keeps


def held_out(section: CorpusSection, data: Path) -> HeldOut:
    """Read what a recipe keeps out of training."""
    return heldout.read(
        [data / name for name in section.held_out], [data / name for name in section.benchmarks]
    )


def corpus_files(recipe: Recipe, data: Path) -> list[Path]:
    """The files that the corpus of a recipe is made from; other contents make another corpus.

    Raises:
        InputError: the folder of genomes or tables is not there, or holds none.
    """
    section = recipe.corpus
    folder = data / (section.tables or section.folder or "")
    if not folder.is_dir():
        raise InputError("no such folder; --data names the one that holds the genomes", folder)
    if section.tables is not None:
        read = _table_files(folder)
    else:
        read = [path for genome in genome_folder.genome_files(folder) for path in genome if path is not None]
        read += _if_there(folder / genome_folder.EC_TABLE)
    read += [data / name for name in (*section.held_out, *section.benchmarks)]
    named = (section.clusters, section.families, section.labelled)
    read += [data / name for name in named if name is not None]
    return [*read, sets_file(section, data)] if section.sets else read


def heads_files(recipe: Recipe, data: Path) -> list[Path]:
    """The files that the heads of a recipe are fitted on, besides its corpus."""
    read: list[Path] = []
    if recipe.heads.ec == "shared":
        shared = SharedData(data)
        read += [shared.labelled, shared.unnumbered, shared.ec_names, *_table_files(shared.corpus)]
    if recipe.heads.organisms is not None:
        read += _organism_files(data / recipe.heads.organisms)
    elif recipe.corpus.folder is not None:
        read += _if_there(data / recipe.corpus.folder / genome_folder.OPERON_TABLE)
    return read


def evaluation_files(recipe: Recipe, data: Path) -> list[Path]:
    """The files that a finished bundle is measured on, besides its corpus."""
    if recipe.suite != "benchmark":
        return []
    shared = SharedData(data)
    read = [*shared.held_out, *shared.ec_benchmarks, shared.labelled, shared.unnumbered]
    return [*read, *_organism_files(shared.operons)]


def _table_files(folder: Path) -> list[Path]:
    return [path for name in corpus_module.TABLES for path in corpus_module.table_files(folder, name)]


def _organism_files(folder: Path) -> list[Path]:
    """Files of the operon collection: those that train, and the pairs that are only for measuring."""
    names = ("*.gff.gz", "*.faa.gz", "operons.tsv", "pairs.tsv", "pairs_strong_confirmed.tsv")
    return sorted(path for name in names for path in folder.glob(f"*/{name}"))


def _if_there(path: Path) -> list[Path]:
    return [path] if path.exists() else []


def kept_parts(recipe: Recipe, part: str) -> dict[str, Any]:
    """What identifies a part ('plm' or 'glm') that is taken from elsewhere; {} for one that is trained.

    An official encoder is the same wherever it was downloaded; the user's own file may change.
    """
    from glm_annot.bundle import part_record
    from glm_annot.io.checksums import file_sha256

    section = recipe.plm if part == "plm" else recipe.glm
    if isinstance(section, Kept):
        return part_record(section.keep, *_PARTS[part])
    if isinstance(section, Official) and Path(section.official).is_file():
        return {"file": file_sha256(Path(section.official))}
    return {}


def make_corpus(
    recipe: Recipe, data: Path, folder: Path, *, budget: float, report: Callable[[str], None]
) -> dict[str, Any]:
    """Draw the sample of a recipe and write it as a corpus folder.

    Args:
        recipe: its `corpus` section says what from.
        data: the folder that its paths are relative to.
        folder: where to.
        budget: seconds of the whole run, which limit what can be embedded.
        report: called with a line that says how the genomes are split.

    Returns:
        what corpus.json holds.
    """
    section = recipe.corpus
    if section.tables is not None:
        source = corpus_module.read_tables(data / section.tables)
    else:
        genomes = data / (section.folder or ".")
        # Read now, so that errors in operons.tsv are reported before training.
        if recipe.heads.organisms is None:
            operons = operon_data.FolderOperons(genomes)
            source = genome_folder.read_tables(genomes, also=operons.add)
            operons.labelled()
        else:
            source = genome_folder.read_tables(genomes)
    excluded = {int(genome): reason for genome, reason in section.exclude.items()}
    recipe.refuse_unknown("corpus.exclude", excluded, source.genomes["genome"].to_pylist())
    listed = sets.read(sets_file(section, data)) if section.sets else sets.Sets(left_out=excluded)
    recipe.refuse_unknown("corpus.sets", listed.untrained, source.genomes["genome"].to_pylist())
    clusters = families = None
    if section.families is not None:
        families = rings.read_families(data / section.families, source.proteins.num_rows)
        clusters = families["cluster"].to_numpy()
    if section.clusters is not None:
        clusters = corpus_module.read_clusters(data / section.clusters, source.proteins.num_rows)
    options = corpus_module.CorpusOptions(
        genomes=section.genomes,
        residues=recipe.residues(budget),
        valid=section.valid,
        test=section.test,
        seed=section.seed,
        exclude={**listed.left_out, **excluded},
        splits=listed.splits,
    )
    leaks = held_out(section, data)
    trains_P = family_proteins.may_train(source, listed) if section.sets else None
    record = corpus_module.build(
        source,
        folder,
        options=options,
        origin=section.tables or "a folder of annotated genomes",
        held_out=leaks,
        clusters=clusters,
        families=None if families is None else families["family"].to_numpy(),
        trains_P=trains_P,
    )
    if families is not None:
        table = _family_proteins(section, data, source, families, listed, leaks)
        family_proteins.write(table, folder)
    report(corpus_module.split_line(record))
    return record


def sets_file(section: CorpusSection, data: Path) -> Path:
    """The file that `corpus.sets` names: one that ships, or one within the folder of data."""
    shipped = files("glm_annot.training").joinpath("recipes", "sets", f"{section.sets}.json")
    return Path(str(shipped)) if shipped.is_file() else data / str(section.sets)


def _family_proteins(
    section: CorpusSection,
    data: Path,
    source: corpus_module.Tables,
    families: pa.Table,
    listed: sets.Sets,
    leaks: HeldOut,
) -> pa.Table:
    """What the family encoder learns from: proteins of training genomes, and those with EC numbers."""
    sequences = source.proteins["sequence"]
    measured_P = family_proteins.proteins_of(source, {*listed.test, *listed.calibrate})
    barred = leaks.all | set(sequences.filter(pa.array(measured_P)).to_pylist())
    trains_P = family_proteins.may_train(source, listed)
    trains_P &= ~pc.is_in(sequences, pa.array(sorted(barred))).to_numpy()
    enzymes = []
    if section.labelled is not None:
        path = data / section.labelled
        updates = labels.read_updates(path.with_name("ec_names.tsv"))
        enzymes = labels.read_labelled(path, held_out=barred, updates=updates, max_trust=labels.SURE_TRUST)
    labelled = ((protein.sequence, filter(is_complete, protein.ec)) for protein in enzymes)
    return family_proteins.family_proteins(source, families, trains_P, labelled)


def train_encoder(recipe: Recipe, corpus: Path, folder: Path, *, budget: float) -> None:
    """Train the encoder of a recipe, or take the one that it names."""
    if isinstance(recipe.plm, TrainedFamilies):
        from ..encoder.contrastive import train_family_encoder

        proteins = corpus / family_proteins.FAMILY_PROTEINS
        train_family_encoder(proteins, folder, recipe.plm.families, recipe.engine("plm", budget))
        return
    if isinstance(recipe.plm, TrainedEncoder):
        from ..encoder.train import train_plm

        proteins = corpus / "encoder_proteins.parquet"
        train_plm(proteins, folder, recipe.plm.task, recipe.engine("plm", budget))
        return
    from glm_annot.bundle import load

    from ..encoder import official
    from ..encoder.exports import export_encoder

    if isinstance(recipe.plm, Kept):
        export_encoder(load(recipe.plm.keep).encoder, folder)
    else:
        export_encoder(official.load(recipe.plm.official), folder)


def embed_corpus(
    recipe: Recipe,
    corpus: Path,
    plm: Path,
    *,
    report: Callable[[str], None],
    progress: Progress | None = None,
) -> None:
    """Embed the proteins of a corpus with a trained encoder, on the GPU of this process if it has one."""
    from ..common import ranks
    from ..encoder import embed
    from ..encoder.exports import read_encoder

    encoder = read_encoder(plm).to(ranks.device())
    embed.embed_corpus(corpus, encoder, precision=recipe.embed.precision, progress=progress, report=report)


def train_glm(
    recipe: Recipe, corpus: Path, folder: Path, *, budget: float, start: Path | None = None
) -> None:
    """Train the gLM of a recipe on an embedded corpus, or keep that of a finished model.

    `start` is a finished run whose weights to begin with."""
    from ..glm import train as glm

    if isinstance(recipe.glm, Kept):
        from glm_annot.bundle import load

        from ..common import ranks

        glm.keep_glm(corpus, folder, load(recipe.glm.keep, ranks.device()))
        return
    glm.train_glm(corpus, folder, recipe.glm.network, recipe.engine("glm", budget), start=start)


def make_families(corpus: Path, *, most: int = MOST_FAMILIES, report: Callable[[str], None]) -> None:
    """Make the gene families of an embedded corpus, the largest ones, and report what they hold."""
    from ..glm import families
    from ..glm.train import read_embeddings
    from ..memory.threshold import choose_threshold

    embeddings_ND = read_embeddings(corpus)
    families.make_families(corpus, embeddings_ND, most=most)
    found = choose_threshold(corpus, families.read_families(corpus), embeddings_ND, report=report)
    figures = families.write_families(corpus, found)
    said = ", ".join(f"{name.replace('_', ' ')} {value:.6g}" for name, value in figures.items())
    report(f"families: {said}")


def fit_heads(
    recipe: Recipe, data: Path, folders: PartFolders, folder: Path, *, report: Callable[[str], None]
) -> None:
    """Fit the heads of a recipe, each where there is something to learn from, and export them.

    Encoder and gLM run on the GPU of this process if it has one.

    Args:
        recipe: its `heads` section says what from.
        data: the folder that its paths are relative to.
        folders: the corpus, the finished encoder and gLM.
        folder: where to.
        report: called with a line of text for the user.
    """
    from glm_annot.model.devices import or_on_cpu

    from ..bundle.assemble import read_model, save_head
    from ..common import ranks
    from . import heads

    if recipe.neighbours and folders.neighbours is None:
        report("no neighbours are given: the operon head reads gLM's attention, not the memory of gene order")
    model = read_model(replace(folders, heads=None), recipe)
    model.to(ranks.device())

    def fit() -> tuple[OperonHead | None, ECHead | None]:
        operons = heads.fit_operons(recipe, data, folders.corpus, model, report)
        return operons, heads.fit_ec(
            recipe, data, folders.corpus, model, held_out(recipe.corpus, data), report
        )

    for head in or_on_cpu(fit, model, "this model", report):
        if head is not None:
            save_head(folder, head)


def evaluate(
    recipe: Recipe,
    data: Path,
    corpus: Path,
    bundle: Path,
    folder: Path,
    *,
    lstm: Path | None,
    command: str,
) -> None:
    """Measure a finished bundle with the recipe's suite, and write the figures into it.

    The model runs on the GPU of this process if it has one.

    Args:
        recipe: says how.
        data: the folder that its paths are relative to.
        corpus: the corpus folder.
        bundle: the model.
        folder: where to write `audit.tsv`, a sample of calls for a person to judge.
        lstm: finished run of the baseline to compare with.
        command: the command line, recorded with each group of figures.
    """
    from glm_annot.bundle import load

    from ..bundle.assemble import add_metrics
    from ..common import ranks
    from ..evaluate import suites

    model = load(bundle, ranks.device())
    if recipe.suite == "benchmark":
        audit = folder / "audit.tsv"
        metrics = suites.benchmark(model, data, lstm=lstm, audit=audit, command=command)
    else:
        named = data / (recipe.corpus.folder or "") if recipe.names == "corpus" else None
        metrics = suites.of_corpus(model, corpus, named=named, lstm=lstm, command=command)
    add_metrics(bundle, metrics)
