"""A model on disk: a folder of JSON, safetensors, labels, metrics and a card. Nothing in it is executable.

    config.json          {format, name, version, plm, glm, fit, operons, ec, neighbours,
                          family_encoder, files: {name: sha256}}
    <part>-NN.safetensors   tensors of one part, in shards of at most 15 MiB or a sixteenth of the part; a
                         larger tensor is cut by rows into pieces named tensor[0], tensor[1], ...
    ec_labels.tsv        the EC numbers that the EC head scores, in its order
    ec_proteins.faa.gz   labelled proteins that it searches, if any: >NAME EC=1.2.3.4;5.6.7.8
    ec_names.tsv         names of these numbers and of their classes, for people; may be absent
    family_names.tsv     what gene families are called, by source; may be absent
    metrics.json         what was measured on held-out data, and the command that measured it
    MODEL_CARD.md        what the model is, as text

The sha256 of config.json, which lists those of all other files, is that of the model. Tensors stored in
float32 are memory-mapped: a large model takes no more memory than is read of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch
from platformdirs import user_data_path
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as serialise
from torch import Tensor, nn

from glm_annot import bundle_files
from glm_annot.bundle_files import Undrawn, check_regular, made, one_line, parse_json, read_file, text_of
from glm_annot.ec.head import ECHead, ECHeadConfig
from glm_annot.ec.reference import from_bytes, to_bytes
from glm_annot.ec_numbers import is_number
from glm_annot.errors import GlmAnnotError, InputError, ModelError, UsageError
from glm_annot.io.checksums import file_sha256
from glm_annot.model import encoder as encoders
from glm_annot.model.encoder import ProteinEncoder
from glm_annot.model.families import FamilyGLM
from glm_annot.model.family_encoder import FamilyEncoder
from glm_annot.model.glm import GLM, ContextFit, ContextFitConfig, GeneFeatures
from glm_annot.model.neighbours.judge import Neighbours, NeighboursConfig
from glm_annot.model.neighbours.names import from_text, to_text
from glm_annot.model.sizes import FamilyEncoderConfig, GLMConfig
from glm_annot.operons.head import OperonHead, OperonHeadConfig
from glm_annot.records import Shown

_Part = TypeVar("_Part", bound=nn.Module)
_Config = TypeVar("_Config")

FORMAT = 9  # raised when an older program could not read a newer bundle
OLDEST = 7  # format that is still read: EC numbers were told in another way before
PACKED = 2  # numbers in one of a file, where it holds 4 bits of each
SHARD_BYTES = 15 * 2**20 - 2**16  # of tensors: with the header a file has at most 15 MiB
MOST_SHARDS = 16  # of a part: a large one is cut into larger shards

CONFIG, LABELS, METRICS, CARD = "config.json", "ec_labels.tsv", "metrics.json", "MODEL_CARD.md"
PROTEINS = "ec_proteins.faa.gz"
EC_NAMES, FAMILY_NAMES = "ec_names.tsv", "family_names.tsv"
MOST_PROTEINS = 2**30  # bytes of a file of labelled proteins
# Buffers that numbers are divided by.
_DEVIATION = re.compile(r"sigma$|std_|scale_|pca_scale_")
_NAME = re.compile(r"\w[\w.-]*")
# What a part's making and filling raise where its settings or tensors are wrong.
_WRONG: tuple[type[Exception], ...] = (
    ArithmeticError,
    AttributeError,
    InputError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    SafetensorError,
)
_LABELS_HEADER = "ec"
_NAMES_HEADER = "ec\tname"


class Nearness(NamedTuple):
    """Share of hidden genes of test genomes whose family the neighbours named first.

    It holds where the nearest genome in the memory shares less than `high` of the families, and no less than
    the step before says.
    """

    high: float
    right: float


@dataclass(frozen=True, slots=True, repr=False)
class Model(Shown):
    """All parts of a model, on one device, ready for inference.

    Attributes:
        name, version: its own, apart from the program's.
        sha256: identifies it; '' for one that was never on disk.
        encoder, features, glm: protein encoder, gLM's inputs and labels, gLM.
        fit: context fit; None in a model that was never fitted to held-out genes.
        operons, ec: heads; None in a model without them.
        ec_names: names of EC numbers and classes; {} in a model without any.
        neighbours: tells what stands beside what; None in a model without a memory of gene order.
        family_encoder: reads the proteins for `neighbours`, where that is not the model's own encoder.
        by_nearness: how right neighbours are by how near the nearest genome in the memory is, rising; empty
            where that was not measured.
    """

    name: str
    version: str
    sha256: str
    encoder: ProteinEncoder
    features: GeneFeatures
    glm: GLM
    fit: ContextFit | None
    operons: OperonHead | None
    ec: ECHead | None
    neighbours: Neighbours | None = None
    family_encoder: FamilyEncoder | None = None
    ec_names: Mapping[str, str] = field(default_factory=dict)
    by_nearness: tuple[Nearness, ...] = ()

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The modules that hold weights, by the name of their files."""
        named: dict[str, nn.Module | None] = {
            "plm": self.encoder,
            "features": self.features,
            "glm": self.glm,
            "fit": self.fit,
            "operons": self.operons,
            "ec": self.ec,
            "neighbours": self.neighbours,
            "family_encoder": self.family_encoder,
        }
        return {name: part for name, part in named.items() if part is not None}

    @property
    def predictor(self) -> GLM | FamilyGLM:
        """What predicts masked genes: gLM, by way of families where it was trained on these."""
        if self.neighbours is None or self.neighbours.head is None:
            return self.glm
        return FamilyGLM(self.glm, self.neighbours.table, self.neighbours.head, self.features)

    def facts(self) -> dict[str, str]:
        """Which model it is, where it computes, and what it predicts."""
        predicted = {
            "EC numbers": self.ec is not None,
            "operons": self.operons is not None,
            "context fit": self.fit is not None or self.neighbours is not None,
        }
        return {
            "name": self.name,
            "version": self.version,
            "sha256": self.sha256[:12] or "none, it was never on disk",
            "device": str(next(self.glm.parameters()).device),
            "predicts": ", ".join(what for what, there in predicted.items() if there) or "nothing",
        }

    def to(self, device: str | torch.device) -> None:
        """Moves all parts.

        Raises:
            UsageError: no such device here.
        """
        try:
            if torch.device(device).type == "meta":
                raise RuntimeError("it holds no numbers; use auto, cpu, cuda or cuda:1")
            for part in self.parts.values():
                part.to(device)
        except (RuntimeError, AssertionError) as error:
            name, why = str(device), one_line(error)
            if "device type at start of device string" in why:  # torch lists twenty names that nobody has
                why = "unknown device; use auto, cpu, cuda or cuda:1"
            raise UsageError(f"device {name!r} cannot be used here: {why}") from error


def known() -> dict[str, Path]:
    """The folders of the models that ship with the program, by name."""
    root = Path(str(files("glm_annot") / "models"))
    return {path.parent.name: path.parent for path in sorted(root.glob(f"*/{CONFIG}"))}


def user_folder() -> Path:
    """Where `install` puts models: in the folder that the system keeps for a user's data of programs."""
    return user_data_path("glm-annot", appauthor=False) / "models"


def list_models() -> dict[str, Path]:
    """The folders of all models that go by a name: those that ship, and those in the user's folder."""
    installed = {path.parent.name: path.parent for path in sorted(user_folder().glob(f"*/{CONFIG}"))}
    shipped = known()
    return shipped | {name: folder for name, folder in installed.items() if name not in shipped}


def load(name_or_folder: str | Path = "mini", device: str | torch.device = "cpu") -> Model:
    """Reads a model and verifies every file of it.

    Args:
        name_or_folder: a name of `list_models`, or a folder.
        device: where to put it.

    Raises:
        ModelError: unknown name, missing or damaged file, newer format.
        UsageError: no such device here.

    Examples:
        >>> import glm_annot
        >>> model = glm_annot.load_model()
        >>> model.facts()["predicts"]
        'EC numbers, operons, context fit'
    """
    folder = _find(name_or_folder)
    config, sha256 = _read_config(folder)
    _verify_all(folder, config["files"])
    try:
        model = _build(folder, config, sha256)
    except _WRONG as error:
        raise ModelError(
            f"{folder}: the parts of this model do not fit together: {one_line(error)}"
        ) from error
    for part in model.parts.values():
        part.eval().requires_grad_(False)
    model.to(device)
    return model


@dataclass(frozen=True, slots=True)
class Verified:
    """A model whose files are all as config.json states them: its folder, name, version, sha256, how many."""

    folder: Path
    name: str
    version: str
    sha256: str
    files: int


def verify(name_or_folder: str | Path) -> Verified:
    """Compares each file of a model with the sha256 that config.json states, without building the model.

    Raises:
        ModelError: as `load`.
    """
    folder = _find(name_or_folder)
    config, sha256 = _read_config(folder)
    _verify_all(folder, config["files"])
    return Verified(folder, str(config.get("name")), str(config.get("version")), sha256, len(config["files"]))


def install(folder: Path, *, force: bool = False) -> Path:
    """Copies a model into `user_folder`, where it is found by its name from then on; returns its new folder.

    Args:
        folder: of the model.
        force: replace an installed model of this name.

    Raises:
        ModelError: as `load`.
        UsageError: its name is that of another model, or no name for a folder.
        GlmAnnotError: it cannot be written there.
    """
    model = verify(folder)
    place = user_folder() / model.name
    if model.name in known():
        raise UsageError(f"{model.name} is the name of a model that ships; give this one another in {CONFIG}")
    if not _NAME.fullmatch(model.name):
        raise UsageError(f"{model.name!r} is no name for a folder; use letters, digits, '.', '-' and '_'")
    if place.exists() and not force:
        raise UsageError(f"{place} exists; --force replaces it")
    names = [CONFIG, *_read_config(model.folder)[0]["files"]]
    try:
        with _replacing(place) as draft:
            for name in names:
                shutil.copy2(model.folder / name, draft / name)
    except OSError as error:
        raise GlmAnnotError(f"cannot write {place}: {error.strerror}") from error
    return place


def part_record(name_or_folder: str | Path, *parts: str) -> dict[str, Any]:
    """What decides some parts (names of `Model.parts`) of a model: configurations, and sha256 of their files.

    It is what config.json says; other parts, figures or words leave it the same. Raises as `load`.
    """
    config, _ = _read_config(_find(name_or_folder))
    files = {name: sha256 for name, sha256 in config["files"].items() if name.partition("-")[0] in parts}
    return {"files": files, **{part: config[part] for part in parts if part in config}}


def read_texts(name_or_folder: str | Path) -> tuple[dict[str, Any], str]:
    """What metrics.json and the model card of a model say, without building it.

    Raises:
        ModelError: as `load`.
    """
    folder = _find(name_or_folder)
    config, _ = _read_config(folder)
    _verify(folder, {name: config["files"].get(name, "") for name in (METRICS, CARD)})
    if (folder / CARD).is_symlink():
        raise ModelError(
            f"{folder / CARD} is a link, and what it leads to may be no card: get the model again"
        )
    return _read_metrics(folder), text_of(read_file(folder / CARD), folder / CARD)


def _read_metrics(folder: Path) -> dict[str, Any]:
    metrics = parse_json(read_file(folder / METRICS), folder / METRICS)
    if not isinstance(metrics, dict):
        raise ModelError(f"{folder / METRICS} is damaged: it holds no figures by name")
    return metrics


def read_ec_names(folder: Path) -> dict[str, str]:
    """Names of EC numbers and classes of the model in a folder; {} in a model without any.

    Raises:
        ModelError: as `load`.
    """
    config, _ = _read_config(folder)
    if EC_NAMES not in config["files"]:
        return {}
    _verify(folder, {EC_NAMES: config["files"][EC_NAMES]})
    return _read_names(folder)


def save(
    model: Model,
    folder: Path,
    *,
    metrics: Mapping[str, Any],
    card: str,
    bf16: Collection[str] = ("plm", "glm"),
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Writes a model; one that is in the folder already is replaced.

    Args:
        model: its parts, name and version.
        folder: where to.
        metrics, card: what metrics.json and MODEL_CARD.md hold.
        bf16: parts (names of `Model.parts`), or modules of a part, whose parameters are stored as bfloat16;
            buffers never are.
        shard_bytes: most bytes of tensors in a file, of parts of at most `MOST_SHARDS` such.

    Raises:
        UsageError: the folder holds something else than a model.
    """
    _refuse_others(folder)
    with _replacing(folder) as draft:
        for name, part in model.parts.items():
            size = sum(tensor.nbytes for tensor in part.state_dict().values())
            limit = max(shard_bytes, size // MOST_SHARDS)
            pieces = _pieces(_tensors(part, name, bf16), limit)
            for number, shard in enumerate(_shards(pieces, limit)):
                # safetensors' own save_file lets nobody else read the file, whatever the umask.
                (draft / f"{name}-{number:02d}.safetensors").write_bytes(serialise(shard))
        (draft / METRICS).write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
        (draft / CARD).write_text(card, encoding="utf-8")
        if model.ec is not None:
            lines = [_LABELS_HEADER, *model.ec.config.labels]
            (draft / LABELS).write_text("\n".join(lines) + "\n", encoding="utf-8")
            if model.ec.base.proteins:
                (draft / PROTEINS).write_bytes(to_bytes(model.ec.base))
        if model.ec_names:
            (draft / EC_NAMES).write_text(_names_text(model.ec_names), encoding="utf-8")
        if model.neighbours is not None and model.neighbours.facts:
            (draft / FAMILY_NAMES).write_text(to_text(model.neighbours.facts), encoding="utf-8")
        config = {
            "format": FORMAT,
            "name": model.name,
            "version": model.version,
            **_part_configs(model),
            "files": {path.name: file_sha256(path) for path in sorted(draft.iterdir())},
        }
        (draft / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def rewrite_texts(
    folder: Path, *, metrics: Mapping[str, Any], card: str, ec_names: Mapping[str, str] | None = None
) -> None:
    """Replaces metrics.json and the card of a model, whose sha256 changes by that; the weights stay.

    So do the names of its EC numbers, but where `ec_names` takes their place.

    Raises:
        ModelError: the folder holds no model that this program reads.
    """
    config, _ = _read_config(folder)
    texts = {METRICS: json.dumps(metrics, indent=1) + "\n", CARD: card}
    if ec_names is not None:
        texts[EC_NAMES] = _names_text(ec_names)
    config["files"] |= {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    texts[CONFIG] = json.dumps(config, indent=1) + "\n"
    with _replacing(folder) as draft:
        left_out = shutil.ignore_patterns(*texts)
        shutil.copytree(folder, draft, ignore=left_out, copy_function=_link, dirs_exist_ok=True)
        for name, text in texts.items():
            (draft / name).write_text(text, encoding="utf-8")


def filled(kind: Callable[[_Config], _Part], config: _Config, state: Mapping[str, Tensor]) -> _Part:
    """A part that has these tensors for its own. Nothing is drawn or copied, so memory-mapped ones stay so.

    Raises:
        RuntimeError: a tensor is missing, misshaped, of another type or one too many.
        ValueError: the configuration asks for more numbers than there are.
    """
    held = sum(tensor.numel() for tensor in state.values())
    with Undrawn(PACKED * held):
        part = kind(config)
    for name, tensor in part.state_dict().items():
        if name in state and state[name].dtype != tensor.dtype:
            raise RuntimeError(f"{name} is {state[name].dtype} instead of {tensor.dtype}")
    part.load_state_dict(state, assign=True)
    return part


def _refuse_others(folder: Path) -> None:
    """Raises UsageError when a folder holds anything but a model, for it is about to be replaced."""
    if not folder.exists():
        return
    config = _read_config(folder)[0] if (folder / CONFIG).is_file() else {"files": {}}
    if {path.name for path in folder.iterdir()} - {CONFIG, *config["files"]}:
        raise UsageError(
            f"{folder} is not empty; give a new folder for the model, or one of an earlier model"
        )


@contextmanager
def _replacing(folder: Path) -> Iterator[Path]:
    """A new folder beside a model's, which takes its place once all is written.

    Whatever interrupts it, and whoever reads meanwhile, finds the old model whole or the new one; only
    between two renames, where there was an old one, there is none.
    """
    folder = folder.resolve()  # a symbolic link is kept and points to the new model
    draft, old = (folder.with_name(f".{folder.name}.{word}") for word in ("part", "old"))
    shutil.rmtree(draft, ignore_errors=True)  # of one who was interrupted
    draft.mkdir(parents=True)
    try:
        yield draft
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.replace(old)
        draft.replace(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _link(source: str, target: str) -> None:
    """Gives a file a second name, or copies it where the file system knows no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _find(name_or_folder: str | Path) -> Path:
    """A folder as it is; a name among the known models, listing them when it is none of them."""
    models = list_models()
    if str(name_or_folder) in models:
        return models[str(name_or_folder)]
    folder = Path(name_or_folder)
    if folder.is_dir():
        return folder
    names = ", ".join(models) or "none in this installation"
    raise ModelError(f"no model {str(name_or_folder)!r}: neither a folder nor the name of a model ({names})")


def _read_config(folder: Path) -> tuple[dict[str, Any], str]:
    """config.json and its sha256, checked for what must be understood before anything else is read."""
    path = folder / CONFIG
    if not path.exists():
        raise ModelError(f"{folder} is no model: cannot read {CONFIG} (no such file)")
    text = read_file(path)
    config = parse_json(text, path)
    if not isinstance(config, dict) or type(config.get("format")) is not int:
        raise ModelError(f"{path} states no format version: not a model of this program")
    if config["format"] > FORMAT:
        raise ModelError(
            f"{folder} has format {config['format']}, newer than this program's {FORMAT}: update glm-annot"
        )
    if config["format"] < OLDEST:
        raise ModelError(
            f"{folder} has format {config['format']}, which this version does not read; fit its heads and "
            "make the bundle again"
        )
    if not isinstance(config.get("files"), dict):
        raise ModelError(f"{path} is damaged: it lists no files")
    bundle_files.check_words(config, path)
    bundle_files.check_sums(config["files"], path)
    return config, hashlib.sha256(text).hexdigest()


def _verify_all(folder: Path, expected: Mapping[str, str]) -> None:
    """As `_verify`, of all files of a model, which has no other weights and a card that is text."""
    _verify(folder, expected)
    if unlisted := {path.name for path in folder.glob("*.safetensors")} - expected.keys():
        raise ModelError(f"{folder / min(unlisted)} is not in the list of {CONFIG}: get the model again")
    if CARD in expected:
        text_of(read_file(folder / CARD), folder / CARD)


def _verify(folder: Path, expected: Mapping[str, str]) -> None:
    """Raises ModelError unless every file is there with the sha256 that config.json states."""
    for name, sha256 in expected.items():
        path = folder / name
        if Path(name).name != name:
            raise ModelError(f"{folder}: {name!r} is the name of no file in it: get the model again")
        check_regular(path)
        if file_sha256(path) != sha256:
            raise ModelError(f"{path} is damaged or was changed (its sha256 differs): get the model again")


def _build(folder: Path, config: Mapping[str, Any], sha256: str) -> Model:
    def part(name: str, kind: Callable[[_Config], _Part], settings: _Config) -> _Part:
        state = _read_tensors(folder, name, config["files"])
        _check_numbers(name, state)
        filled_part = filled(kind, settings, state)
        if isinstance(filled_part, Neighbours | OperonHead | ECHead):
            filled_part.check()
        return filled_part

    glm_config = made(GLMConfig, config["glm"])
    encoder, encoder_config = encoders.kind_and_config(config["plm"])
    made(type(encoder_config), asdict(encoder_config))
    fit, operons, ec = config["fit"], config["operons"], config["ec"]
    # Models made before there was a memory do not say.
    neighbours, families = config.get("neighbours"), config.get("family_encoder")
    labels = () if ec is None else _read_labels(folder)
    ec_head = None if ec is None else part("ec", ECHead, made(ECHeadConfig, {**ec, "labels": labels}))
    if ec_head is not None and PROTEINS in config["files"]:
        path = folder / PROTEINS
        ec_head.base = from_bytes(read_file(path, MOST_PROTEINS), path)
    judge = None
    if neighbours is not None:
        judge = part("neighbours", Neighbours, made(NeighboursConfig, neighbours))
        if judge.config.named:
            path = folder / FAMILY_NAMES
            judge.call(from_text(text_of(read_file(path), path), path))
    model = Model(
        name=config["name"],
        version=config["version"],
        sha256=sha256,
        encoder=part("plm", encoder, encoder_config),
        features=part("features", GeneFeatures, glm_config),
        glm=part("glm", GLM, glm_config),
        fit=None if fit is None else part("fit", ContextFit, made(ContextFitConfig, fit)),
        operons=None if operons is None else part("operons", OperonHead, made(OperonHeadConfig, operons)),
        ec=ec_head,
        ec_names=_read_names(folder) if EC_NAMES in config["files"] else {},
        neighbours=judge,
        by_nearness=_by_nearness(_read_metrics(folder)),
        family_encoder=None
        if families is None
        else part("family_encoder", FamilyEncoder, made(FamilyEncoderConfig, families)),
    )
    _check_sizes(model)
    return model


def _by_nearness(metrics: Mapping[str, Any]) -> tuple[Nearness, ...]:
    """What `glm-train context` measured by the nearest genome in the memory, where it did."""
    measured = metrics.get("rings", {}).get("nearness", {})
    return tuple(sorted(Nearness(float(of["high"]), float(of["first"])) for of in measured.values()))


def _check_sizes(model: Model) -> None:
    """Raises ValueError where one part does not read what another gives."""
    glm, width = model.glm.config, model.encoder.config.dim
    agree = {"the gLM's genes": (glm.input_dim, width + 1)}
    has_gaps = model.neighbours is not None and model.neighbours.config.gaps
    if model.operons is not None and model.operons.config.conserved and not has_gaps:
        raise ValueError("the operon head reads a memory of gene order with gaps, but there is none")
    if model.operons is not None and model.operons.config.attention:
        agree["the operon head's attention"] = (model.operons.config.attention, glm.layers * glm.heads)
    if model.ec is not None:
        own = model.ec.config
        if own.embedding_dim:
            agree["the EC head's embeddings"] = (own.embedding_dim, width)
        if own.hidden_dim:
            agree["the EC head's context"] = (own.hidden_dim, glm.dim)
        if not all(0 <= layer <= glm.layers for layer in own.layers):
            raise ValueError(f"the EC head reads layers {own.layers} of a gLM that has {glm.layers}")
    if model.neighbours is not None:
        reader = model.encoder if model.family_encoder is None else model.family_encoder
        agree["the memory's embeddings"] = (model.neighbours.config.dim, reader.config.dim)
        if model.neighbours.config.glm:
            agree["the memory's context"] = (model.neighbours.config.glm, glm.dim)
    for what, (read, given) in agree.items():
        if read != given:
            raise ValueError(f"{what} have {read} numbers, but {given} are given")


def _read_labels(folder: Path) -> tuple[str, ...]:
    labels = tuple(text_of(read_file(folder / LABELS), folder / LABELS).splitlines()[1:])
    if wrong := next((label for label in labels if not is_number(label)), None):
        raise ValueError(f"{LABELS} has {wrong[:40]!r}, which is no EC number")
    return labels


def _names_text(names: Mapping[str, str]) -> str:
    rows = (f"{number}\t{name}" for number, name in names.items())
    return "\n".join([_NAMES_HEADER, *rows]) + "\n"


def _read_names(folder: Path) -> dict[str, str]:
    rows = text_of(read_file(folder / EC_NAMES), folder / EC_NAMES).split("\n")[1:-1]
    return dict(row.split("\t") for row in rows)


def _part_configs(model: Model) -> dict[str, Any]:
    """Each part's configuration as JSON; the EC labels have a file of their own."""
    ec = None if model.ec is None else asdict(model.ec.config)
    if ec is not None:
        del ec["labels"]
    return {
        "plm": encoders.config_json(model.encoder),
        "glm": asdict(model.glm.config),
        "fit": None if model.fit is None else asdict(model.fit.config),
        "operons": None if model.operons is None else asdict(model.operons.config),
        "ec": ec,
        "neighbours": None if model.neighbours is None else asdict(model.neighbours.config),
        "family_encoder": None if model.family_encoder is None else asdict(model.family_encoder.config),
    }


def _tensors(part: nn.Module, part_name: str, bf16: Collection[str]) -> Iterator[tuple[str, Tensor]]:
    """A part's state, one by one, contiguous and unshared; parameters as bfloat16 where `save` is told so."""
    parameters = {
        name
        for name, _ in part.named_parameters(remove_duplicate=False)
        if any(f"{part_name}.{name}".startswith(f"{half}.") for half in bf16)
    }
    state = encoders.stored_state(part) if isinstance(part, ProteinEncoder) else part.state_dict()
    for name, tensor in state.items():
        dtype = torch.bfloat16 if name in parameters else tensor.dtype
        yield name, tensor.detach().cpu().to(dtype).clone(memory_format=torch.contiguous_format)


def _pieces(tensors: Iterable[tuple[str, Tensor]], limit: int) -> Iterator[tuple[str, Tensor]]:
    """The tensors; larger ones than `limit` bytes in runs of rows, as many as fit, at least one row each."""
    for name, tensor in tensors:
        if tensor.nbytes <= limit or not tensor.dim():
            yield name, tensor
            continue
        rows = max(limit * len(tensor) // tensor.nbytes, 1)
        yield from ((f"{name}[{n}]", piece.clone()) for n, piece in enumerate(torch.split(tensor, rows)))


def _shards(tensors: Iterable[tuple[str, Tensor]], limit: int) -> Iterator[dict[str, Tensor]]:
    """Runs of tensors that together hold at most `limit` bytes, at least one tensor each."""
    shard: dict[str, Tensor] = {}
    held = 0
    for name, tensor in tensors:
        if shard and held + tensor.nbytes > limit:
            yield shard
            shard, held = {}, 0
        shard[name] = tensor
        held += tensor.nbytes
    yield shard


def _read_tensors(folder: Path, part: str, names: Collection[str]) -> dict[str, Tensor]:
    """A part's state from all its shards, cut tensors joined; bfloat16 becomes float32."""
    state: dict[str, Tensor] = {}
    cut: dict[str, dict[int, Tensor]] = {}
    for name in sorted(names):
        if not name.startswith(f"{part}-"):
            continue
        for key, tensor in load_file(folder / name).items():
            whole, _, number = key.removesuffix("]").partition("[")
            if number:
                cut.setdefault(whole, {})[int(number)] = tensor
            else:
                state[key] = tensor
    state |= {key: torch.cat([pieces[n] for n in sorted(pieces)]) for key, pieces in cut.items()}
    return {key: value.float() if value.dtype == torch.bfloat16 else value for key, value in state.items()}


def _check_numbers(part: str, state: Mapping[str, Tensor]) -> None:
    """Raises ValueError, naming the tensor, for numbers that no fitted part has."""
    for name, tensor in state.items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        low, high = (float(bound) for bound in tensor.aminmax())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError(f"{part}: {name} has numbers that are not finite")
        if _DEVIATION.match(name.rpartition(".")[2]) and low <= 0:
            raise ValueError(f"{part}: {name} is a standard deviation and must be above 0, but has {low:g}")
