"""A recipe: one JSON file that says all that decides a model, so that one command makes it again.

    {
      "name": "mini", "version": "1.0.0", "summary": "...",   of the model, for its card
      "limits": ["..."], "terms": ["..."],                    of the model and of its data, for the card
      "budget": "10h",                                        time that the shares divide
      "shares": {"plm": 0.5, "embed": 0.2, "glm": 0.2},       of the budget, for the steps that take any
      "corpus": {...},                                        CorpusSection
      "plm": {"task": {...}, "engine": {...}},                TrainPLMConfig, EngineConfig; a family encoder
                                                              instead has "families": TrainFamilyConfig
      "embed": {...},                                         EmbedSection
      "glm": {"network": {...}, "engine": {...}},             TrainGLMConfig, EngineConfig
      "baseline": true,                                       train a biLSTM of gLM's size, too, as a bar
      "heads": {...},                                         HeadsSection
      "suite": "benchmark"                                    how the finished model is measured
    }

Paths of `corpus` and `heads` are relative to the folder of data. An engine with `steps` takes those; one
without takes its share of the budget. The baseline has gLM's engine, and gLM's share of the budget unless
`shares` says another for `baseline`. Instead of training, `plm` and `glm` may name what there is, in the
folder that the program is called in:

    "plm": {"keep": "mini"}                    the encoder of a model: a name, or a bundle's folder
    "plm": {"official": "esm2_t6_8M_UR50D"}    an official ESM2: a name, or a file (see `esm2`)
    "glm": {"keep": "published"}               the gLM of the model that `plm` keeps: only the heads and the
                                               context fit are fitted

All of it is checked when it is read, so that nothing that a recipe says wrong ends a run after hours;
`checks` has what reaches into the parts, and what only data and kept models can tell.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.resources import files
from pathlib import Path
from reprlib import repr as short
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from glm_annot.errors import InputError

if TYPE_CHECKING:
    from .common.engine import EngineConfig

_NO_BASELINE = "a kept gLM has no baseline: it would have to be trained on the data that trained gLM"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}  # seconds
_SHARES = ("plm", "embed", "glm", "baseline")  # steps that can take a share of the budget
_MOST_LISTED = 30  # names in a message; of more it shows the first and the last ones
_PATH = "path"  # of `Recipe`: what the program knows of a recipe, and no key of it

# Numbers of a recipe that must be above 0, in whatever section; of the others none is below it.
_ABOVE_ZERO = (
    {"genomes", "valid", "residues_per_second"}
    | {"learning_rate", "micro_batch", "batch"}
    | {"layers", "dim", "heads", "max_residues", "components", "ffn", "predictions"}
    | {"pairs", "crop", "mask_rate", "temperature", "projection", "memory"}
    | {"most_per_cluster", "start_proteins"}
    | {"kmer_dim", "hidden", "hash_bits", "most_of_family", "labelled_weight", "kmer_rate"}
)

Section = TypeVar("Section")
Name = TypeVar("Name", str, int)


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
        families: a table of the proteins' families (see `rings.read_families`), which has clusters, too; the
            family encoder learns from it.
        sets: genomes to calibrate with and to test on (see `corpus.sets`): a file, or the name of one that
            ships. They and their near relatives train nothing.
        labelled: proteins with EC numbers, as ec/labelled.parquet; the family encoder learns them, too.
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


@dataclass(frozen=True)
class EmbedSection:
    """How the corpus is embedded.

    Attributes:
        precision: as `glm_annot.model.esm.PRECISIONS`.
        residues_per_second: speed to expect; with the step's share of the budget it limits the sample.
    """

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
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
        if self.leave_out and self.organisms is None:
            raise ValueError("leave_out names organisms of the collection; give 'organisms', its folder, too")


_SECTIONS = {"corpus": CorpusSection, "embed": EmbedSection, "heads": HeadsSection}


@dataclass(frozen=True)
class Recipe:
    """A recipe as it was read; see the module's description. `path` is where, for messages."""

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
    path: Path | None = None

    def __post_init__(self) -> None:
        try:
            parse_budget(self.budget)
        except ValueError as error:
            raise ValueError(f"budget: {error}") from error
        self._check_shares()
        _check_ways("plm", self.plm, ({"task", "engine"}, {"families", "engine"}, {"keep"}, {"official"}))
        _check_ways("glm", self.glm, ({"network", "engine"}, {"keep"}))
        if "keep" in self.glm and self.plm.get("keep") != self.glm["keep"]:
            raise ValueError("glm: a kept gLM reads its own encoder; let plm keep the same model")
        if self.baseline and "keep" in self.glm:
            raise ValueError(f"baseline: {_NO_BASELINE}")

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
                raise InputError(f"{key}: there is no {name!r}; there are {_listed(known)}", self.path)

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

    def with_backbone(self, backbone: str) -> Recipe:
        """The same with another network in the place of gLM.

        Raises:
            InputError: its gLM is not trained but kept.
        """
        if "network" not in self.glm:
            raise InputError("glm: this recipe trains no network, it keeps that of a model", self.path)
        return replace(self, glm={**self.glm, "network": {**self.glm["network"], "backbone": backbone}})

    def as_baseline(self) -> Recipe:
        """The same with a biLSTM of equal size in the place of gLM, trained alike.

        Raises:
            InputError: its gLM is not trained but kept.
        """
        if "network" not in self.glm:
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
        """The optimiser of a step: as many `steps` as stated, else for its share of the budget.

        Raises:
            InputError: a setting that is missing, unknown or wrong.
        """
        from .common.engine import EngineConfig

        settings, where = getattr(self, step)["engine"], f"{step}.engine"
        if isinstance(settings, Mapping):
            if "seconds" in settings:
                raise InputError(f"{where}.seconds: state it as shares.{step}, a share of the budget")
            if settings.get("steps") is None:
                if step not in self.shares:
                    raise InputError(f"{where}.steps: give it, or shares.{step}, a share of the budget")
                settings = {**settings, "steps": None, "seconds": self.seconds(step, budget)}
        return make(EngineConfig, settings, where)


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
    from .run.preflight import check_parts

    try:
        for section, kind in _SECTIONS.items():
            make(kind, content.get(section, {}), section)
        recipe = replace(make(Recipe, content, ""), path=path)
        check_parts(recipe)
    except InputError as error:
        raise InputError(error.message, path) from None
    return recipe


def make(kind: type[Section], settings: Any, where: str) -> Section:
    """Make a dataclass from JSON, naming the place at fault; lists become tuples.

    Args:
        kind: the dataclass.
        settings: a JSON object.
        where: its place in the recipe, such as 'glm.network'; '' for the recipe itself.

    Raises:
        InputError: no object, or a setting that is missing, unknown or wrong.
    """
    if not isinstance(settings, Mapping):
        raise InputError(f'{where}: should be an object, such as {{"key": 1}}, not {short(settings)}')
    keys = [item.name for item in fields(kind) if item.name != _PATH]  # type: ignore[arg-type]
    for key in settings:
        if key not in keys:
            raise InputError(f"{_at(where, key)}: unknown; there are {_listed(keys)}")
    for key, number in _numbers(settings):
        positive = key in _ABOVE_ZERO
        if not 0 <= number < math.inf or (positive and number == 0):
            lowest = "above 0" if positive else "0 or above"
            raise InputError(f"{_at(where, key)}: should be {lowest}, not {number}")
    try:
        return TypeAdapter(kind).validate_json(json.dumps(settings), strict=True)
    except ValidationError as error:
        raise InputError(_first_fault(error, where)) from error


def _first_fault(error: ValidationError, where: str) -> str:
    """What is wrong first, in one line: the place, and what would be right."""
    fault = error.errors(include_url=False)[0]
    place = _at(where, *map(str, fault["loc"]))
    if fault["type"] == "value_error":
        said = str(fault["ctx"]["error"])
    elif fault["type"] == "missing":
        said = "missing; give it"
    else:
        said = fault["msg"]
        if said.startswith("Input "):
            said = f"{said.removeprefix('Input ')}, not {short(fault['input'])}"
    return f"{place}: {said}" if place else said


def _at(*keys: str) -> str:
    return ".".join(filter(None, keys))


def _listed(names: Collection[object]) -> str:
    """Names for people: all of them, or the first and the last ones of many."""
    words = [str(name) for name in names]
    return ", ".join(words if len(words) <= _MOST_LISTED else [*words[:3], "...", *words[-3:]])


def _numbers(settings: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """(key, number) of all numbers, also of those in lists."""
    for key, value in settings.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, int | float):
                yield key, item


def _check_ways(part: str, section: Mapping[str, Any], ways: Sequence[Collection[str]]) -> None:
    """Make sure that a section says one way, and one only, to come by its part."""
    if set(section) not in ways:
        named = " or ".join(" and ".join(repr(key) for key in sorted(way, reverse=True)) for way in ways)
        raise ValueError(f"{part}: takes {named}, not {short(list(section))}")
    for key in {"keep", "official"} & set(section):
        if not isinstance(section[key], str):
            raise ValueError(
                f"{part}.{key}: should be the name or path of a model, not {short(section[key])}"
            )


def parse_budget(text: str) -> float:
    """Seconds of a span such as '90m', '2h' or '1.5d'.

    Raises:
        ValueError: anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if found is None or not float(found[1]):
        raise ValueError(f"{text!r} is no span of time; write 90m, 2h or 1.5d")
    return float(found[1]) * _UNITS[found[2]]
