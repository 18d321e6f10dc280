"""The steps of a recipe, from genomes to a bundle; `glm-train` offers each alone and all of them in order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import corpus as corpus_module
from . import genome_folder, heldout
from .heldout import HeldOut
from .recipe import CorpusSection, Recipe, make
from .steps import Step, run_steps

Progress = Callable[[int, int], None]  # (units done, units in all)


def held_out(section: CorpusSection, data: Path) -> HeldOut:
    """Read what a recipe keeps out of training."""
    return heldout.read(
        [data / name for name in section.held_out], [data / name for name in section.benchmarks]
    )


def make_corpus(recipe: Recipe, data: Path, folder: Path, *, budget: float) -> dict[str, Any]:
    """Draw the sample of a recipe and write it as a corpus folder.

    Args:
        recipe: its `corpus` section says what from.
        data: the folder that its paths are relative to.
        folder: where to.
        budget: seconds of the whole run, which limit what can be embedded.

    Returns:
        what corpus.json holds.
    """
    section = recipe.corpus
    if section.tables is not None:
        source = corpus_module.read_tables(data / section.tables)
    else:
        source = genome_folder.read_tables(data / (section.folder or "."))
    clusters = None
    if section.clusters is not None:
        clusters = corpus_module.read_clusters(data / section.clusters, source.proteins.num_rows)
    options = corpus_module.Options(
        genomes=section.genomes,
        residues=recipe.residues(budget),
        valid=section.valid,
        test=section.test,
        seed=section.seed,
        exclude={int(genome): reason for genome, reason in section.exclude.items()},
    )
    return corpus_module.build(
        source,
        folder,
        options=options,
        origin=section.tables or "a folder of annotated genomes",
        held_out=held_out(section, data),
        clusters=clusters,
    )


def train_encoder(recipe: Recipe, corpus: Path, folder: Path, *, budget: float) -> None:
    """Train the encoder of a recipe, or keep that of a finished model where the recipe says so."""
    if "keep" in recipe.plm:
        from .bundle import keep_encoder

        keep_encoder(recipe.plm["keep"], folder)
        return
    from .plm import TrainPLMConfig, train_plm

    task = make(TrainPLMConfig, recipe.plm["task"], "plm.task")
    train_plm(corpus / "encoder_proteins.parquet", folder, task, recipe.engine("plm", budget))


def embed_corpus(recipe: Recipe, corpus: Path, plm: Path, *, progress: Progress | None = None) -> None:
    """Embed the proteins of a corpus with a trained encoder."""
    from . import embed
    from .bundle import read_encoder

    embed.embed_corpus(corpus, read_encoder(plm), precision=recipe.embed.precision, progress=progress)


def train_glm(recipe: Recipe, corpus: Path, folder: Path, *, budget: float) -> None:
    """Train the gLM of a recipe on an embedded corpus."""
    from . import glm

    network = make(glm.TrainGLMConfig, recipe.glm["network"], "glm.network")
    glm.train_glm(corpus, folder, network, recipe.engine("glm", budget))
