"""The files of a model from anybody, read with limits: sizes, kinds and types are checked first."""

from __future__ import annotations

import json
import math
import re
import stat
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from glm_annot.errors import ModelError

_Config = TypeVar("_Config")

MOST_TEXT = 16 * 2**20  # bytes of a file of text; that of mini's labels has 30 kB
_SHA256 = re.compile(r"[0-9a-f]{64}")
_WORDS = re.compile(
    r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,200}"
)  # a line without control characters
_SPARE = 100_000  # numbers that a part may make beyond those that its files hold
_MAKERS = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn}
_MAKERS_OF_RANGES = {torch.arange, torch.linspace}


def read_file(path: Path, most: int = MOST_TEXT) -> bytes:
    """The content of a small file.

    Raises:
        ModelError: it is not there, no regular file (a pipe never ends), or larger than `most` bytes.
    """
    check_regular(path)
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise ModelError(f"cannot read {path} ({error.strerror}): get the model again") from error
    if len(content) > most:
        raise ModelError(f"{path} has more than {most >> 20} MiB, which no model needs: get the model again")
    return content


def check_regular(path: Path) -> None:
    """Raise ModelError for anything but a regular file, such as a pipe or a device, and for none at all."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is missing: get the model again") from error
    if not stat.S_ISREG(mode):
        raise ModelError(f"{path} is no regular file: get the model again")


def parse_json(content: bytes, path: Path) -> Any:
    """What a JSON file says.

    Raises:
        ModelError: it is damaged, nested too deep, or names one thing twice.
    """
    try:
        return json.loads(content, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is damaged: {one_line(error)}") from error


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((name, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{name!r} is named twice")
    return found


def text_of(content: bytes, path: Path) -> str:
    """The content of a text file; ModelError where it is not in UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is damaged: it is no UTF-8 text") from error


def check_words(config: Mapping[str, Any], path: Path) -> None:
    """Raise ModelError unless name and version are a line of text each: they go into annotated files."""
    for key in ("name", "version"):
        words = config.get(key)
        if not isinstance(words, str) or not _WORDS.fullmatch(words):
            raise ModelError(f"{path} is damaged: its {key} is no line of text")


def check_sums(files: Mapping[str, Any], path: Path) -> None:
    """Raise ModelError unless every file has a checksum."""
    for name, sha256 in files.items():
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise ModelError(f"{path} is damaged: {name!r} has no checksum")


def made(kind: type[_Config], settings: Mapping[str, Any]) -> _Config:
    """A dataclass of settings, each of the type that the class says.

    Raises:
        TypeError: one of another type, missing, or unknown.
        ValueError: what the class refuses.
    """
    hints = get_type_hints(kind)
    if unknown := settings.keys() - {field.name for field in fields(kind)}:  # type: ignore[arg-type]
        raise TypeError(f"unknown setting {min(unknown)!r}")
    for name, value in settings.items():
        if not _is_of(value, hints[name]):
            raise TypeError(f"{name} cannot be {str(value)[:40]!r}")
    return kind(**settings)


def _is_of(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_is_of(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if origin is tuple:
        return isinstance(value, list | tuple) and all(_is_of(each, arguments[0]) for each in value)
    if origin is Mapping:
        return isinstance(value, dict) and all(
            _is_of(each, of) for item in value.items() for each, of in zip(item, arguments, strict=True)
        )
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62
    return isinstance(value, hint)


class Undrawn(TorchFunctionMode):
    """Leaves a network's initial values out: memory that nothing is written to is none that the process has.

    The device 'meta' would do, too, but has torch load its compiler, which takes longer than a small model.

    Args:
        most: numbers that may be made, None for any; `ValueError` for more. A stranger's settings could ask
            for any size.
    """

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        self._left = None if most is None else most + _SPARE

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__module__", "") == nn.init.__name__ or func in (Tensor.uniform_, Tensor.normal_):
            return None  # stands for the tensor, which no network looks at
        if self._left is not None:
            self._left -= 1 + _numbers(func, args)
            if self._left < 0:
                raise ValueError("its settings ask for more numbers than its files hold")
        return func(*args, **(kwargs or {}))


def _numbers(func: Callable[..., Any], args: Sequence[Any]) -> int:
    """How many numbers a function of torch makes, for those that a network's making calls."""
    sizes = args[0] if len(args) == 1 and isinstance(args[0], tuple | list | torch.Size) else args
    if func in _MAKERS:
        return math.prod(size for size in sizes if isinstance(size, int))
    if func is torch.full:
        return math.prod(args[0])
    if func is torch.eye:
        return math.prod([args[0], args[1] if len(args) > 1 else args[0]])
    if func in _MAKERS_OF_RANGES:
        return int(max((abs(size) for size in args if isinstance(size, int | float)), default=0))
    return 0


def one_line(error: BaseException) -> str:
    """What an error says, in one short line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
