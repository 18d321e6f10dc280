"""The steps of a recipe that make the memory of gene order, and what names its families."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..corpus import genome_folder
from ..corpus.tables import read_table
from ..ec import labels
from ..ec.labels import Labelled
from ..recipe import Recipe
from .stages import held_out

if TYPE_CHECKING:
    from glm_annot.model.neighbours.names import Fact

    from ..bundle.assemble import PartFolders


def names_files(recipe: Recipe, data: Path) -> list[Path]:
    """The files that say what gene families are called, with those that hold their sequences."""
    if recipe.names == "corpus":
        genomes = genome_folder.genome_files(_folder(recipe, data))
        read = [path for genome in genomes for path in genome if path is not None]
    else:
        read = list(_named_by(recipe, data))
    return [*read, data / recipe.corpus.labelled] if read and recipe.corpus.labelled else read


def judging_genomes(recipe: Recipe, data: Path, corpus: Path) -> list[Path]:
    """The annotated genomes that tell how far names can be trusted.

    Args:
        recipe: whose `names_judged_by` says which.
        data: the folder that its paths are relative to.
        corpus: the corpus folder; says which genomes calibrate.
    """
    if recipe.names_judged_by == "corpus":
        return [_folder(recipe, data) / name for name in _calibrating(corpus)]
    return [data / name for name in recipe.names_judged_by]


def read_facts(recipe: Recipe, data: Path, corpus: Path, plm: Path) -> list[Fact]:
    """What a recipe's `names`, its labelled proteins and its tables of genomes call the families."""
    from ..encoder.exports import read_encoder
    from ..glm.families import read_families
    from ..memory import names

    section, labelled, updates = recipe.corpus, list[Labelled](), dict[str, str]()
    if section.labelled is not None:
        path = data / section.labelled
        updates = labels.read_updates(path.with_name("ec_names.tsv"))
        barred = held_out(section, data).all
        labelled = labels.read_labelled(path, held_out=barred, updates=updates, max_trust=labels.SURE_TRUST)
    families, known = read_families(corpus), dict[str, int]()
    if recipe.names == "corpus":
        proteins = read_table(corpus, "proteins", ["protein", "sequence"]).sort_by("protein")
        known = dict(zip(proteins["sequence"].to_pylist(), families.family_N.tolist(), strict=True))
    facts = names.read_facts(_named_by(recipe, data), labelled, read_encoder(plm), families.table, known)
    return facts + names.corpus_facts(corpus, families, updates) if section.tables is not None else facts


def fit_neighbours(
    recipe: Recipe, data: Path, folders: PartFolders, folder: Path, *, report: Callable[[str], None]
) -> None:
    """Build the memory of gene order of a corpus, and fit what it says with the gLM and of names.

    Nothing is written where nothing tells how far the memory can be trusted.

    Args:
        recipe: whether its gLM tells families, and what names these.
        data: the folder that its paths are relative to.
        folders: the corpus, the finished encoder and gLM.
        folder: where to.
        report: called with a line of text for the user.
    """
    from ..memory import neighbours

    run = folders.glm if recipe.learns_families else None
    facts = read_facts(recipe, data, folders.corpus, folders.plm) if recipe.names else []
    if recipe.names and not facts:
        report("names: the annotated genomes name no family, so the model will give no names")
    judges = _calibrating(folders.corpus) if recipe.names == "corpus" else ()
    found = neighbours.fit_neighbours(
        folders.corpus, glm=run, facts=facts, judges=judges, seed=recipe.heads.seed, report=report
    )
    if found is not None:
        neighbours.save_neighbours(found, folder)


def _named_by(recipe: Recipe, data: Path) -> Iterator[Path]:
    if recipe.names == "corpus":
        yield from genome_folder.annotation_files(_folder(recipe, data))
    else:
        yield from (data / name for name in recipe.names)


def _folder(recipe: Recipe, data: Path) -> Path:
    """The folder of genomes of a recipe that reads one."""
    return data / (recipe.corpus.folder or "")


def _calibrating(corpus: Path) -> list[str]:
    """The files of the genomes of a corpus that calibrate."""
    rows = read_table(corpus, "genomes", ["split", "source"]).to_pylist()
    return sorted(row["source"] for row in rows if row["split"] == "valid")
