"""A recipe: one JSON file that says all that decides a model, so that one command makes it again.

    {
      "name": "mini", "version": "1.0.0", "summary": "...",   of the model, for its card
      "limits": ["..."], "terms": ["..."],                    of the model and of its data, for the card
      "budget": "10h",                                        time that the shares divide
      "shares": {"plm": 0.5, "embed": 0.2, "glm": 0.2},       of the budget, for the steps that take any
      "corpus": {...},                                        CorpusSection
      "plm": {"task": {...}, "engine": {...}},                TrainPLMConfig, Optimiser; a family encoder
                                                              instead has "families": TrainFamilyConfig
      "embed": {...},                                         EmbedSection
      "glm": {"network": {...}, "engine": {...}},             TrainGLMConfig, Optimiser
      "neighbours": true,                                     build a memory of gene order
      "names": ["..."],                                       annotated genomes that name its families;
                                                              "corpus": those of `corpus.folder`
      "names_judged_by": ["..."],                             those of them that tell how far to trust names;
                                                              "corpus": those that calibrate
      "baseline": true,                                       train a biLSTM of gLM's size, too, as a bar
      "heads": {...},                                         HeadsSection: the classifiers. Within `plm`
                                                              and `glm`, `heads` counts attention heads
      "suite": "benchmark"                                    how the finished model is measured
    }

Paths of `corpus`, `names` and `heads` are relative to the folder of data. An engine with `steps` takes those;
one without takes its share of the budget. The baseline has gLM's engine, and gLM's share of the budget unless
`shares` says another for `baseline`. Instead of training, `plm` and `glm` may name what there is, in the
folder that the program is called in:

    "plm": {"keep": "mini"}                    the encoder of a model: a name, or a bundle's folder
    "plm": {"official": "esm2_t6_8M_UR50D"}    an official ESM2: a name, or a file (see `esm2`)
    "glm": {"keep": "published"}               the gLM of the model that `plm` keeps: only the heads and the
                                               context fit are fitted

All of it is checked when it is read, so that nothing that a recipe says wrong ends a run after hours; what
only data and kept models can tell, `run.preflight` checks.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, field, fields, is_dataclass, replace
from importlib.resources import files
from pathlib import Path
from reprlib import repr as short
from typing import Any, Literal, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from glm_annot.errors import InputError

from .settings import (
    CHECKED,
    AboveZero,
    EncoderPart,
    EngineConfig,
    GLMPart,
    Kept,
    NamedBy,
    NotNegative,
    Trained,
    TrainedFamilies,
    TrainedGLM,
    kind_by_keys,
    part_kinds,
)

_NO_BASELINE = "a kept gLM has no baseline: it would have to be trained on the data that trained gLM"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # seconds
_SHARES = ("plm", "embed", "glm", "baseline")  # steps that can take a share of the budget
_MOST_LISTED = 30  # names in a message; of more it shows the first and the last ones
_PATH = "path"  # of `Recipe`: what the program knows of a recipe, and no key of it
_ELSEWHERE = {  # keys that one may look for in a section, and where they stand instead
    "plm.engine.seconds": "state it as shares.plm, a share of the budget",
    "glm.engine.seconds": "state it as shares.glm, a share of the budget",
}

Section = TypeVar("Section")
Name = TypeVar("Name", str, int)


@dataclass(frozen=True, config=CHECKED)
class CorpusSection:
    """Where genomes come from and which of them count.

    Attributes:
        tables: folder of corpus tables (see `corpus`).
        folder: instead of it, one of GenBank and GFF3 files (see `genome_folder`).
        genomes: largest sample; None for all. The budget may make it smaller where `embed` states a speed.
        valid, test, seed, exclude: as in `CorpusOptions`; JSON has the excluded genomes' numbers as text.
        held_out, benchmarks: files of proteins that must not leak (see `heldout`).
        clusters: a finished clustering of all proteins, instead of running MMseqs2.
        families: a table of the proteins' families (see `rings.read_families`), which has clusters, too; the
            family encoder learns from it.
        sets: genomes to calibrate with and to test on (see `corpus.sets`): a file, or the name of one that
            ships. They and their near relatives train nothing.
        labelled: proteins with EC numbers, as ec/labelled.parquet; the family encoder learns them, too.
    """

    tables: str | None = None
    folder: str | None = None
    genomes: AboveZero | None = None
    valid: AboveZero = 1
    test: NotNegative = 0
    seed: NotNegative = 0
    exclude: Mapping[str, str] = field(default_factory=dict)
    held_out: tuple[str, ...] = ()
    benchmarks: tuple[str, ...] = ()
    clusters: str | None = None
    families: str | None = None
    sets: str | None = None
    labelled: str | None = None

    def __post_init__(self) -> None:
        if self.families is not None and (self.tables is None or self.clusters is not None):
            raise ValueError("families belong to 'tables', and have the clusters: leave 'clusters' out")
        if (self.tables is None) == (self.folder is None):
            raise ValueError("give either 'tables' or 'folder'")
        for genome in self.exclude:
            if not genome.isdecimal():
                raise ValueError(f"exclude has genome numbers as its keys, such as '452', not {genome!r}")


@dataclass(frozen=True, config=CHECKED)
class EmbedSection:
    """How the corpus is embedded.

    Attributes:
        precision: as `glm_annot.model.esm.PRECISIONS`.
        residues_per_second: speed to expect; with the step's share of the budget it limits the sample.
    """

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    residues_per_second: AboveZero | None = None


@dataclass(frozen=True, config=CHECKED)
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
    ec_layers: tuple[NotNegative, ...] = (1,)
    organisms: str | None = None
    leave_out: tuple[str, ...] = ()
    seed: NotNegative = 0

    def __post_init__(self) -> None:
        if self.leave_out and self.organisms is None:
            raise ValueError("leave_out names organisms of the collection; give 'organisms', its folder, too")


@dataclass(frozen=True, config=CHECKED)
class Recipe:
    """A recipe as it was read; see the module's description. `path` is where, for messages."""

    name: str
    version: str
    summary: str
    budget: str
    corpus: CorpusSection
    plm: EncoderPart
    glm: GLMPart
    baseline: bool = False
    neighbours: bool = False
    names: NamedBy = ()
    names_judged_by: NamedBy = ()
    heads: HeadsSection = field(default_factory=HeadsSection)
    embed: EmbedSection = field(default_factory=EmbedSection)
    shares: Mapping[str, float] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    suite: Literal["benchmark", "test"] = "test"
    path: Path | None = None

    def __post_init__(self) -> None:
        try:
            parse_budget(self.budget)
        except ValueError as error:
            raise ValueError(f"budget: {error}") from error
        self._check_shares()
        if isinstance(self.glm, Kept) and self.plm != self.glm:
            raise ValueError("glm: a kept gLM reads its own encoder; let plm keep the same model")
        if isinstance(self.plm, TrainedFamilies) and self.corpus.families is None:
            raise ValueError("plm.families: they are learnt from corpus.families; give that, too")
        if self.baseline and isinstance(self.glm, Kept):
            raise ValueError(f"baseline: {_NO_BASELINE}")
        if self.names and not self.neighbours:
            raise ValueError("names: they name the families of the memory; give neighbours, too")
        if bool(self.names) != bool(self.names_judged_by):
            raise ValueError("names and names_judged_by: give both or none")
        if "corpus" in (self.names, self.names_judged_by) and self.corpus.folder is None:
            raise ValueError("names: those of the corpus are read from corpus.folder; give that, or a list")
        self._check_lengths()
        if isinstance(self.glm, TrainedGLM):
            self.check_ec_layers(self.glm.network.layers)

    def _check_lengths(self) -> None:
        """Each training needs an end: steps or a share of the time."""
        for step, part in (("plm", self.plm), ("glm", self.glm)):
            if isinstance(part, Trained) and part.engine.steps is None and step not in self.shares:
                raise ValueError(f"{step}.engine.steps: give it, or shares.{step}, a share of the budget")

    def _check_shares(self) -> None:
        for step, share in self.shares.items():
            if step not in _SHARES:
                raise ValueError(
                    f"shares: no step {step!r} takes a share; those that do: {', '.join(_SHARES)}"
                )
            if not 0 < share <= 1:
                raise ValueError(f"shares.{step}: should be above 0 and at most 1, not {share}")
        shares = dict(self.shares)
        if self.baseline and "glm" in shares:
            shares.setdefault("baseline", shares["glm"])
        if (total := math.fsum(shares.values())) > 1:
            each = " + ".join(f"{step} {share}" for step, share in shares.items())
            raise ValueError(f"shares: should add up to 1 at most, not {total:g} ({each})")

    @property
    def learns_families(self) -> bool:
        """Whether gLM is trained to tell gene families."""
        return isinstance(self.glm, TrainedGLM) and self.glm.network.family_weight > 0

    def content(self) -> dict[str, Any]:
        """What the file of such a recipe holds."""
        return {key: value for key, value in asdict(self).items() if key != _PATH}

    def refuse_unknown(self, key: str, names: Collection[Name], known: Collection[Name]) -> None:
        """Make sure that what a setting names is there.

        Raises:
            InputError: a name that is not among the known.
        """
        for name in names:
            if name not in known:
                raise InputError(f"{key}: {name!r} is unknown; valid names are {_listed(known)}", self.path)

    def check_ec_layers(self, layers: int) -> None:
        """Make sure that gLM has the hidden layers that the EC head reads.

        Args:
            layers: of gLM; layer 0 is its embedding's output.

        Raises:
            InputError: one that it does not have.
        """
        for layer in self.heads.ec_layers:
            if layer > layers:
                raise InputError(
                    f"heads.ec_layers: gLM has {layers} layers, so that they are 0 to {layers}, not {layer}",
                    self.path,
                )

    def with_backbone(self, backbone: Literal["glm", "lstm"]) -> Recipe:
        """The same with another network in the place of gLM.

        Raises:
            InputError: its gLM is not trained but kept.
        """
        if not isinstance(self.glm, TrainedGLM):
            raise InputError("glm: this recipe trains no network, it keeps that of a model", self.path)
        network = replace(self.glm.network, backbone=backbone)
        return replace(self, glm=replace(self.glm, network=network))

    def as_baseline(self) -> Recipe:
        """The same with a biLSTM of equal size in the place of gLM, trained alike.

        Raises:
            InputError: its gLM is not trained but kept.
        """
        if not isinstance(self.glm, TrainedGLM):
            raise InputError(f"glm: {_NO_BASELINE}", self.path)
        shares = dict(self.shares)
        if "baseline" in shares:
            shares["glm"] = shares.pop("baseline")
        return replace(self.with_backbone("lstm"), shares=shares, baseline=False)

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
        """The optimiser of a step that trains: as many `steps` as stated, else for its share of the budget.

        Raises:
            InputError: the step trains nothing.
        """
        part = self.plm if step == "plm" else self.glm
        if not isinstance(part, Trained):
            raise InputError(f"{step}: this recipe trains none, so that it has no optimiser", self.path)
        return part.engine.within(self.seconds(step, budget))


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
    except (OSError, ValueError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else error
        raise InputError(f"cannot be read as JSON ({why})", path) from error
    if not isinstance(content, dict):
        raise InputError("a recipe is a JSON object", path)
    try:
        return replace(make(Recipe, content, ""), path=path)
    except InputError as error:
        raise InputError(error.message, path) from None


def make(kind: type[Section], settings: Any, where: str) -> Section:
    """Make settings from JSON, naming the place at fault; lists become tuples.

    Args:
        kind: the type of the settings.
        settings: a JSON object.
        where: its place in the recipe, such as 'glm.network'; '' for the recipe itself.

    Raises:
        InputError: no object, or a setting that is missing, unknown or wrong.
    """
    _refuse_unknown_keys(kind, settings, where)
    try:
        return TypeAdapter(kind).validate_json(json.dumps(settings), strict=True)
    except ValidationError as error:
        raise InputError(_first_fault(error, where)) from error


def _refuse_unknown_keys(kind: type[Any], settings: Any, where: str) -> None:
    """Look for unknown keys first: a misspelt key would otherwise be reported as missing."""
    if not isinstance(settings, Mapping):
        raise InputError(f'{where}: should be an object, such as {{"key": 1}}, not {short(settings)}')
    keys = [item.name for item in fields(kind) if item.name != _PATH]
    types = get_type_hints(kind)
    for key, value in settings.items():
        place = _at(where, key)
        if key not in keys:
            said = _ELSEWHERE.get(place, f"unknown key; valid keys are {_listed(keys)}")
            raise InputError(f"{place}: {said}")
        if is_dataclass(types[key]):
            _refuse_unknown_keys(types[key], value, place)
        elif (part := kind_by_keys(part_kinds(types[key]), value)) is not None:
            _refuse_unknown_keys(part, value, place)


def _first_fault(error: ValidationError, where: str) -> str:
    """What is wrong first, in one line: the place, and what would be right."""
    fault = error.errors(include_url=False)[0]
    kinds = {kind.__name__ for part in (EncoderPart, GLMPart) for kind in part_kinds(part)}
    place = _at(where, *(str(key) for key in fault["loc"] if key not in kinds))
    said = _what_would_be_right(fault["type"], fault.get("ctx", {}), fault["msg"], fault["input"])
    return f"{place}: {said}" if place else said


def _what_would_be_right(fault: str, limits: Mapping[str, Any], message: str, given: Any) -> str:
    if fault == "value_error":
        return str(limits["error"])
    if fault == "missing":
        return "missing; give it"
    if fault == "way":
        return f"{message}, not {short(list(given) if isinstance(given, Mapping) else given)}"
    right = {
        "greater_than": "should be above {gt:g}",
        "greater_than_equal": "should be {ge:g} or above",
        "less_than": "should be below {lt:g}",
        "less_than_equal": "should be {le:g} at most",
    }.get(fault, message.replace("Input ", "", 1))
    return f"{right.format(**limits)}, not {short(given)}"


def _at(*keys: str) -> str:
    return ".".join(filter(None, keys))


def _listed(names: Collection[object]) -> str:
    """Names for a message: all of them, or the first and last of many."""
    words = [str(name) for name in names]
    return ", ".join(words if len(words) <= _MOST_LISTED else [*words[:3], "...", *words[-3:]])


def parse_budget(text: str) -> float:
    """Seconds of a span such as '90m', '2h' or '1.5d'.

    Raises:
        ValueError: anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if found is None or not float(found[1]):
        raise ValueError(f"{text!r} is no span of time; write 90m, 2h or 1.5d")
    return float(found[1]) * _UNITS[found[2]]
