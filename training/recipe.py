"""A recipe: one JSON file that says all that decides a model, so that one command makes it again.

    {
      "name": "mini", "version": "1.0.0", "summary": "...",   of the model, for its card
      "limits": ["..."], "terms": ["..."],                    of the model and of its data, for the card
      "budget": "10h",                                        wall-clock time that a run gets by default
      "shares": {"plm": 0.5, "embed": 0.2, "glm": 0.2},       of the budget, for the steps that take any
      "corpus": {...},                                        CorpusSection
      "plm": {"task": {...}, "engine": {...}},                TrainPLMConfig, EngineConfig
      "embed": {...},                                         EmbedSection
      "glm": {"network": {...}, "engine": {...}},             TrainGLMConfig, EngineConfig
      "baseline": true,                                       train a biLSTM of gLM's size, too, as a bar
      "heads": {...},                                         HeadsSection
      "suite": "benchmark"                                    how the finished model is measured
    }

Paths are relative to the folder of data. An engine with `steps` takes those; one without takes its share of
the budget. The baseline has gLM's engine, and gLM's share of the budget unless `shares` says another for
`baseline`. Instead of training, `plm` and `glm` may name what there is:

    "plm": {"keep": "mini"}                    the encoder of a model: a name, or a bundle's folder
    "plm": {"official": "esm2_t6_8M_UR50D"}    an official ESM2: a name, or a file (see `esm2`)
    "glm": {"keep": "published"}               the gLM of the model that `plm` keeps: only the heads and the
                                               context fit are fitted
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from glm_annot.errors import InputError

if TYPE_CHECKING:
    from .engine import EngineConfig

_NO_BASELINE = "a kept gLM has no baseline: it would have to be trained on the data that trained gLM"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # seconds

Section = TypeVar("Section")


@dataclass(frozen=True)
class CorpusSection:
    """Where genomes come from and which of them count.

    Attributes:
        tables: folder of corpus tables (see `corpus`).
        folder: instead of it, one of GenBank and GFF3 files (see `genome_folder`).
        genomes: largest sample; None for all. The budget may make it smaller where `embed` states a speed.
        valid, test, seed, exclude: as in `corpus.Options`; JSON has the excluded genomes' numbers as text.
        held_out, benchmarks: files of proteins that must not leak (see `heldout`).
        clusters: a finished clustering of all proteins, instead of running MMseqs2.
    """

    tables: str | None = None
    folder: str | None = None
    genomes: int | None = None
    valid: int = 1
    test: int = 0
    seed: int = 0
    exclude: Mapping[str, str] = field(default_factory=dict)
    held_out: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    clusters: str | None = None

    def __post_init__(self) -> None:
        if (self.tables is None) == (self.folder is None):
            raise ValueError("give either 'tables' or 'folder'")


@dataclass(frozen=True)
class EmbedSection:
    """How the corpus is embedded.

    Attributes:
        precision: one of `glm_annot.plm.PRECISIONS`.
        residues_per_second: speed to expect; with the step's share of the budget it limits the sample.
    """

    precision: str = "auto"
    residues_per_second: int | None = None


@dataclass(frozen=True)
class HeadsSection:
    """What the heads learn from.

    Attributes:
        ec: where EC numbers come from: 'shared' (labelled proteins and annotated genomes of the shared data),
            'corpus' (the genes of the corpus: their annotation and ec.tsv) or 'none' for no EC head.
        ec_layers: gLM hidden layers that the EC head reads; 0 is the embedding's output.
        organisms: folder of the operon collection (see `operon_data`); without it the operon head learns from
            operons.tsv in the folder of genomes, if that is there.
        leave_out: organisms of the collection that train nothing.
        seed: of the fits.
    """

    ec: Literal["shared", "corpus", "none"] = "corpus"
    ec_layers: tuple[int, ...] = (1,)
    organisms: str | None = None
    leave_out: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.ec not in ("shared", "corpus", "none"):
            raise ValueError(f"ec is 'shared', 'corpus' or 'none', not {self.ec!r}")


@dataclass(frozen=True)
class Recipe:
    """A recipe as it was read; see the module's description."""

    name: str
    version: str
    summary: str
    budget: str
    corpus: CorpusSection
    plm: Mapping[str, Any]
    glm: Mapping[str, Any]
    baseline: bool = False
    heads: HeadsSection = field(default_factory=HeadsSection)
    embed: EmbedSection = field(default_factory=EmbedSection)
    shares: Mapping[str, float] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    suite: Literal["benchmark", "test"] = "test"

    def __post_init__(self) -> None:
        shares = self.shares
        if self.baseline and "glm" in shares:
            shares = {"baseline": shares["glm"], **shares}
        if sum(shares.values()) > 1:
            raise ValueError("the shares of the budget exceed 1")
        if self.suite not in ("benchmark", "test"):
            raise ValueError(f"suite is 'benchmark' or 'test', not {self.suite!r}")
        _check_ways("plm", self.plm, ({"task", "engine"}, {"keep"}, {"official"}))
        _check_ways("glm", self.glm, ({"network", "engine"}, {"keep"}))
        if "keep" in self.glm and self.plm.get("keep") != self.glm["keep"]:
            raise ValueError("a kept gLM reads its own encoder: let plm keep the same model")
        if self.baseline and "keep" in self.glm:
            raise ValueError(_NO_BASELINE)

    def as_baseline(self) -> Recipe:
        """The same with a biLSTM of equal size in the place of gLM, trained alike.

        Raises:
            InputError: its gLM is not trained but kept.
        """
        if "network" not in self.glm:
            raise InputError(_NO_BASELINE)
        shares = dict(self.shares)
        if "baseline" in shares:
            shares["glm"] = shares.pop("baseline")
        glm = {**self.glm, "network": {**self.glm["network"], "backbone": "lstm"}}
        return replace(self, glm=glm, shares=shares, baseline=False)

    def seconds(self, step: str, budget: float) -> float | None:
        """What a step may take of a budget; None when the recipe gives it no share."""
        return budget * self.shares[step] if step in self.shares else None

    def residues(self, budget: float) -> int | None:
        """How many residues can be embedded within a budget; None for no limit."""
        seconds = self.seconds("embed", budget)
        if seconds is None or self.embed.residues_per_second is None:
            return None
        return int(seconds * self.embed.residues_per_second)

    def engine(self, step: Literal["plm", "glm"], budget: float) -> EngineConfig:
        """The optimiser of a step: as many `steps` as stated, else for its share of the budget."""
        from .engine import EngineConfig

        settings = dict(getattr(self, step)["engine"])
        if "steps" not in settings:
            settings["seconds"] = self.seconds(step, budget)
        return make(EngineConfig, settings, f"{step}.engine")


def known() -> dict[str, Path]:
    """The recipes that ship with the program, by name."""
    folder = Path(str(files(__package__) / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.json"))}


def read(name_or_path: str | Path) -> Recipe:
    """Read a recipe from a file, or one of `known()` by name.

    Raises:
        InputError: no such recipe, no JSON, a setting that is missing, unknown or wrong.
    """
    path = known().get(str(name_or_path), Path(name_or_path))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = ", ".join(known())
        raise InputError(f"no such recipe; give a JSON file or one of: {names}", path) from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read as JSON ({error})", path) from error
    if not isinstance(content, dict):
        raise InputError("a recipe is a JSON object", path)
    try:
        sections = {
            "corpus": make(CorpusSection, content.get("corpus", {}), "corpus"),
            "embed": make(EmbedSection, content.get("embed", {}), "embed"),
            "heads": make(HeadsSection, content.get("heads", {}), "heads"),
        }
        return make(Recipe, {**content, **sections}, "recipe")
    except InputError as error:
        raise InputError(error.message, path) from None


def make(kind: type[Section], settings: Mapping[str, Any], where: str) -> Section:
    """Make a dataclass from JSON, naming the place at fault; lists become tuples.

    Raises:
        InputError: a setting that is missing, unknown or wrong.
    """
    tuples = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    try:
        return kind(**tuples)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {str(error).removeprefix(f'{kind.__name__}.__init__() ')}") from error


def _check_ways(part: str, section: Mapping[str, Any], ways: Sequence[Collection[str]]) -> None:
    """Make sure that a section says one way, and one only, to come by its part."""
    if not isinstance(section, Mapping) or set(section) not in ways:
        named = " or ".join(" and ".join(repr(key) for key in sorted(way, reverse=True)) for way in ways)
        raise ValueError(f"{part} takes {named}")


def parse_budget(text: str) -> float:
    """Seconds of a span such as '90m', '2h' or '1.5d'.

    Raises:
        ValueError: anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no span of time; write 90m, 2h or 1.5d")
    return float(found[1]) * _UNITS[found[2]]
