"""All steps of a recipe in order, resumably: one command from genomes to a bundle."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, Literal

from glm_annot.bundle import CARD, CONFIG, EC_NAMES, FAMILY_NAMES, LABELS, METRICS, PROTEINS
from glm_annot.io.checksums import file_sha256

from ..bundle.assemble import PartFolders, add_names, assemble, rewrite_card
from ..bundle.trust import trust_names
from ..common.steps import Step, run_steps, seconds_spent
from ..corpus.shared_data import SharedData
from ..encoder.embed import EMBEDDINGS
from ..glm.families import COSINES, FAMILY_RECORD, FAMILY_TABLE, NEAREST
from ..memory.neighbours import has_neighbours
from ..recipe import Recipe
from ..settings import Trained
from . import neighbours, stages
from .launch import Launcher

BASELINE = "baseline"  # name of its step
_SECONDS = "seconds of the budget"  # as a step's setting


def _below(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


_TRAINING = (
    *("engine.json", "hardware.json", "log.jsonl", "recipe.json"),
    *("checkpoint/latest", "checkpoint/state.json", "checkpoint/step-*", "checkpoint/zero_to_*.py"),
    "tensorboard/events.out.tfevents.*",
)
_ENCODER = ("plm.json", "plm.safetensors", *_TRAINING)
_GLM = (
    *("begun.json", "best.json", "best.safetensors", "glm.json", "glm.safetensors"),
    *("features.safetensors", "fit.safetensors", "family_head.safetensors", *_TRAINING),
)
_FAMILIES = _below("corpus", FAMILY_TABLE, FAMILY_RECORD, COSINES, NEAREST)
_TABLES = ("genomes", "contigs", "genes", "proteins", "encoder_proteins", "family_proteins")
_TEXTS = (CONFIG, METRICS, CARD, LABELS, EC_NAMES, FAMILY_NAMES, PROTEINS)
# Files that each step may write, by which they are recognised when it was killed.
_NAMES = {
    "corpus": _below("corpus", *(f"{name}.parquet" for name in _TABLES), "corpus.json", "DONE"),
    "plm": _below("plm", *_ENCODER),
    "embed": (
        *_below("corpus", "embeddings.json", "embeddings.npy", "embeddings.*-*.npy"),
        "embed/recipe.json",
    ),
    "glm": _below("glm", *_GLM),
    "families": _FAMILIES,
    "neighbours": _below("neighbours", "neighbours.json", "neighbours.safetensors", FAMILY_NAMES),
    "heads": _below("heads", "ec.json", "ec.safetensors", PROTEINS, "operons.json", "operons.safetensors"),
    BASELINE: _below(BASELINE, *_GLM),
    "bundle": _below("bundle", *_TEXTS, "*-??.safetensors"),
    "evaluate": (*_below("bundle", *_TEXTS), "evaluate/audit.tsv"),
    "card": _below("bundle", *_TEXTS),
}


@dataclass(frozen=True)
class RecipeRun:
    """One recipe in one working folder.

    Attributes:
        recipe: what to make.
        data: the folder that its paths are relative to.
        work: folder of all steps; the bundle is made in `work/bundle`.
        budget: seconds of the whole run.
        command: the command line, for metrics.json and the model card.
        report: called with a line of text for the user.
        launcher: starts the processes that train and embed; None: this process does. Training continues in
            as many processes as it began in.
        restart: do steps again that are begun or complete but whose settings changed, instead of stopping.
    """

    recipe: Recipe
    data: Path
    work: Path
    budget: float
    command: str
    report: Callable[[str], None]
    launcher: Launcher | None = None
    restart: bool = False

    def __call__(self) -> Path:
        """Do every step that is not done yet; returns the bundle's folder."""
        run_steps(self.steps, self.work, self.report, restart=self.restart)
        return self.bundle

    @cached_property
    def steps(self) -> list[Step]:
        """The steps of the recipe, in order."""
        recipe, seconds = self.recipe, partial(self.recipe.seconds, budget=self.budget)
        corpus = {**asdict(recipe.corpus), "residues within the budget": recipe.residues(self.budget)}
        files = {
            "corpus": self._contents(stages.corpus_files(recipe, self.data)),
            "heads": self._contents(stages.heads_files(recipe, self.data)),
            "evaluate": self._contents(stages.evaluation_files(recipe, self.data)),
        }
        kept = {part: stages.kept_parts(recipe, part) for part in ("plm", "glm")}
        texts = {"summary": recipe.summary, "limits": recipe.limits, "terms": recipe.terms}
        steps = [
            Step("corpus", {**corpus, "files": files["corpus"]}, self._corpus),
            Step("plm", {_SECONDS: seconds("plm"), **asdict(recipe.plm), "kept": kept["plm"]}, self._plm),
            Step("embed", {"precision": recipe.embed.precision}, self._embed, (f"corpus/{EMBEDDINGS}",)),
            *self._family_steps(),
            Step("glm", {_SECONDS: seconds("glm"), **asdict(recipe.glm), "kept": kept["glm"]}, self._glm),
            *self._neighbour_steps(),
            Step("heads", {**asdict(recipe.heads), "files": files["heads"]}, self._heads),
            *self._baseline_steps(),  # late: no part of the model waits for it
            Step("bundle", self._bundle_settings(), self._bundle),
            Step("evaluate", {"suite": recipe.suite, "files": files["evaluate"]}, self._evaluate),
            # The card is last: its words may change without any new measurement.
            Step("card", texts, self._card),
        ]
        return [replace(step, names=_NAMES[step.name]) for step in steps]

    @property
    def bundle(self) -> Path:
        """The finished model."""
        return self.work / "bundle"

    @property
    def parts(self) -> PartFolders:
        """Where the steps leave the model's parts."""
        corpus, plm, glm, heads, memory = (
            self.work / name for name in ("corpus", "plm", "glm", "heads", "neighbours")
        )
        there = self.recipe.neighbours and has_neighbours(memory)  # not where nothing could calibrate it
        return PartFolders(corpus, plm, glm, heads, memory if there else None)

    def _contents(self, paths: Iterable[Path]) -> dict[str, str]:
        """sha256 of each file by its path, within the folder of data if it is there."""
        return {os.path.relpath(path, self.data): self._sha256(path) for path in paths}

    @cached_property
    def _sha256(self) -> Callable[[Path], str]:
        """sha256 of a file, computed once in a run: corpus and heads may read the same tables."""
        return cache(file_sha256)

    def _corpus(self, folder: Path) -> None:
        stages.make_corpus(self.recipe, self.data, folder, budget=self.budget, report=self.report)

    def _plm(self, folder: Path) -> None:
        self._train("plm", stages.train_encoder, folder)

    def _embed(self, folder: Path) -> None:
        if self.launcher is not None:
            self.launcher.embed(self.recipe, self.parts.corpus, self.parts.plm, folder)
        else:
            stages.embed_corpus(self.recipe, self.parts.corpus, self.parts.plm, report=self.report)

    def _family_steps(self) -> list[Step]:
        """Families are made where gLM learns them or the memory holds them; they stand in the corpus."""
        if not (self.recipe.neighbours or self.recipe.learns_families):
            return []
        return [Step("families", {}, self._families, _FAMILIES)]

    def _families(self, _: Path) -> None:
        stages.make_families(self.parts.corpus, report=self.report)

    def _neighbour_steps(self) -> list[Step]:
        if not self.recipe.neighbours:
            return []
        settings: dict[str, Any] = {"seed": self.recipe.heads.seed}
        if self.recipe.names:
            settings["files"] = self._contents(neighbours.names_files(self.recipe, self.data))
        return [Step("neighbours", settings, self._neighbours)]

    def _neighbours(self, folder: Path) -> None:
        neighbours.fit_neighbours(self.recipe, self.data, self.parts, folder, report=self.report)

    def _glm(self, folder: Path) -> None:
        self._train("glm", stages.train_glm, folder)

    def _baseline_steps(self) -> list[Step]:
        if not self.recipe.baseline:
            return []
        recipe = self.recipe.as_baseline()
        settings = {_SECONDS: recipe.seconds("glm", self.budget), **asdict(recipe.glm)}
        return [Step(BASELINE, settings, partial(self._train, "glm", stages.train_glm, recipe=recipe))]

    def _train(
        self,
        part: Literal["plm", "glm"],
        alone: Callable[..., None],
        folder: Path,
        recipe: Recipe | None = None,
    ) -> None:
        """Trains a part, with the launcher if there is one; a part that is not trained needs no launcher."""
        recipe, corpus, budget = recipe or self.recipe, self.parts.corpus, self.budget
        if self.launcher is not None and isinstance(recipe.plm if part == "plm" else recipe.glm, Trained):
            self.launcher.train(part, recipe, corpus, folder, budget=budget)
        else:
            alone(recipe, corpus, folder, budget=budget)

    def _heads(self, folder: Path) -> None:
        stages.fit_heads(self.recipe, self.data, self.parts, folder, report=self.report)

    def _bundle_settings(self) -> dict[str, Any]:
        judges = self.recipe.names_judged_by
        return {
            "name": self.recipe.name,
            "version": self.recipe.version,
            **({"names_judged_by": judges} if judges else {}),
        }

    def _bundle(self, folder: Path) -> None:
        assemble(self.parts, folder, self.recipe, command=self.command)
        if self.recipe.heads.ec == "shared":
            add_names(folder, SharedData(self.data).ec_names)
        if self.recipe.names:
            judges = neighbours.judging_genomes(self.recipe, self.data, self.parts.corpus)
            trust_names(folder, judges, self.recipe, report=self.report)

    def _evaluate(self, folder: Path) -> None:
        corpus, lstm = self.parts.corpus, self.work / BASELINE if self.recipe.baseline else None
        stages.evaluate(self.recipe, self.data, corpus, self.bundle, folder, lstm=lstm, command=self.command)

    def _card(self, _: Path) -> None:
        seconds = seconds_spent(self.steps, self.work)
        rewrite_card(self.parts, self.bundle, self.recipe, command=self.command, seconds=seconds)
