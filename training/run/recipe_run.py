"""All steps of a recipe in order, resumably: one command from genomes to a bundle."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Literal

from glm_annot.io.checksums import file_sha256

from ..bundle.assemble import Runs, add_names, assemble, rewrite_card
from ..common.steps import Step, run_steps, seconds_spent
from ..corpus.shared_data import SharedData
from ..encoder.embed import EMBEDDINGS
from ..recipe import Recipe
from ..settings import Trained
from . import stages
from .launch import Launcher

BASELINE = "baseline"  # name of its step
_SECONDS = "seconds of the budget"  # as a step's setting


@dataclass(frozen=True)
class Run:
    """One recipe in one working folder.

    Attributes:
        recipe: what to make.
        data: the folder that its paths are relative to.
        work: folder of all steps; the bundle is made in `work/bundle`.
        budget: seconds of the whole run.
        command: what was typed, for metrics.json and the model card.
        report: called with a line for people.
        launcher: starts the processes that train and embed; None for this one alone. Training goes on in as
            many as it began.
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
        """What the recipe takes, in order."""
        recipe, seconds = self.recipe, partial(self.recipe.seconds, budget=self.budget)
        corpus = {**asdict(recipe.corpus), "residues within the budget": recipe.residues(self.budget)}
        files = {
            "corpus": self._contents(stages.corpus_files(recipe, self.data)),
            "heads": self._contents(stages.heads_files(recipe, self.data)),
            "evaluate": self._contents(stages.evaluation_files(recipe, self.data)),
        }
        kept = {part: stages.kept_parts(recipe, part) for part in ("plm", "glm")}
        texts = {"summary": recipe.summary, "limits": recipe.limits, "terms": recipe.terms}
        return [
            Step("corpus", {**corpus, "files": files["corpus"]}, self._corpus),
            Step("plm", {_SECONDS: seconds("plm"), **asdict(recipe.plm), "kept": kept["plm"]}, self._plm),
            Step("embed", {"precision": recipe.embed.precision}, self._embed, (f"corpus/{EMBEDDINGS}",)),
            Step("glm", {_SECONDS: seconds("glm"), **asdict(recipe.glm), "kept": kept["glm"]}, self._glm),
            Step("heads", {**asdict(recipe.heads), "files": files["heads"]}, self._heads),
            *self._baseline_steps(),  # late: no part of the model waits for it
            Step("bundle", {"name": recipe.name, "version": recipe.version}, self._bundle),
            Step("evaluate", {"suite": recipe.suite, "files": files["evaluate"]}, self._evaluate),
            Step("card", texts, self._card),  # words change without anything to be measured anew
        ]

    @property
    def bundle(self) -> Path:
        """The finished model."""
        return self.work / "bundle"

    @property
    def runs(self) -> Runs:
        """Where the steps leave the model's parts."""
        return Runs(*(self.work / name for name in ("corpus", "plm", "glm", "heads")))

    def _contents(self, paths: Iterable[Path]) -> dict[str, str]:
        """sha256 of each file by its path, within the folder of data if it is there."""
        return {os.path.relpath(path, self.data): self._sha256(path) for path in paths}

    @cached_property
    def _sha256(self) -> Callable[[Path], str]:
        """Of a file, computed once a run: corpus and heads may read the same tables."""
        return cache(file_sha256)

    def _corpus(self, folder: Path) -> None:
        stages.make_corpus(self.recipe, self.data, folder, budget=self.budget, report=self.report)

    def _plm(self, folder: Path) -> None:
        self._train("plm", stages.train_encoder, folder)

    def _embed(self, folder: Path) -> None:
        if self.launcher is not None:
            self.launcher.embed(self.recipe, self.runs.corpus, self.runs.plm, folder)
        else:
            stages.embed_corpus(self.recipe, self.runs.corpus, self.runs.plm, report=self.report)

    def _glm(self, folder: Path) -> None:
        self._train("glm", stages.train_glm, folder)

    def _baseline_steps(self) -> list[Step]:
        if not self.recipe.baseline:
            return []
        recipe = self.recipe.as_baseline()
        settings = {_SECONDS: recipe.seconds("glm", self.budget), **asdict(recipe.glm)}
        return [Step(BASELINE, settings, lambda folder: self._train("glm", stages.train_glm, folder, recipe))]

    def _train(
        self,
        part: Literal["plm", "glm"],
        alone: Callable[..., None],
        folder: Path,
        recipe: Recipe | None = None,
    ) -> None:
        """Trains a part, in several processes if so wanted; what is taken ready made needs but this one."""
        recipe, corpus, budget = recipe or self.recipe, self.runs.corpus, self.budget
        if self.launcher is not None and isinstance(recipe.plm if part == "plm" else recipe.glm, Trained):
            self.launcher.train(part, recipe, corpus, folder, budget=budget)
        else:
            alone(recipe, corpus, folder, budget=budget)

    def _heads(self, folder: Path) -> None:
        stages.fit_heads(self.recipe, self.data, self.runs, folder, report=self.report)

    def _bundle(self, folder: Path) -> None:
        assemble(self.runs, folder, self.recipe, command=self.command)
        if self.recipe.heads.ec == "shared":
            add_names(folder, SharedData(self.data).ec_names)

    def _evaluate(self, folder: Path) -> None:
        corpus, lstm = self.runs.corpus, self.work / BASELINE if self.recipe.baseline else None
        stages.evaluate(self.recipe, self.data, corpus, self.bundle, folder, lstm=lstm, command=self.command)

    def _card(self, _: Path) -> None:
        seconds = seconds_spent(self.steps, self.work)
        rewrite_card(self.runs, self.bundle, self.recipe, command=self.command, seconds=seconds)
