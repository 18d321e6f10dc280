"""Files of other programs that could hold code: read without running any.

PyTorch's files go through its own weights-only reader. A plain pickle goes through `read_pickle`, which knows
numpy arrays and one scikit-learn class, and even those only by stand-ins of its own: nothing of numpy or
scikit-learn is called with what a stranger's file says.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from glm_annot.errors import InputError

MOST_BYTES = 100 * 2**20  # of a pickle; those expected here have a megabyte
MOST_VALUES = 1_000_000  # in a file; a large encoder has a thousand tensors
MOST_TIMES = 4  # that a file's size may be needed for its tensors, of which several may share one place

_KINDS = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


def read_torch(path: Path, *, known: Sequence[type] = ()) -> Any:
    """Read what `torch.save` wrote, tensors memory-mapped, on the CPU.

    Args:
        path: the file.
        known: classes of plain data that it may hold besides tensors.

    Raises:
        InputError: no such file, no file of torch, or one that holds more than tensors and plain data.
    """
    if not path.is_file():
        raise InputError("no such file", path)
    try:
        packed = zipfile.is_zipfile(path)
        if packed:
            _check_members(path)
        with torch.serialization.safe_globals(list(known)):
            found = torch.load(path, map_location="cpu", weights_only=True, mmap=packed)
        _check_tensors(found, path)
        return found
    except InputError:
        raise
    except Exception as error:  # a damaged file raises whatever its bytes happen to say
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named:
            raise InputError(f"refused, and nothing in it was run: it asks for {named[1]}", path) from error
        raise InputError("is no file of PyTorch, or damaged", path) from error


def _check_members(path: Path) -> None:
    """Raise InputError where the parts of torch's zip file are packed, or its list of weights is too long."""
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            if member.compress_type != zipfile.ZIP_STORED:
                raise InputError("refused: torch packs nothing, but this file is packed", path)
            if member.filename.endswith("data.pkl") and member.file_size > MOST_BYTES:
                raise InputError(f"refused: its list of weights has more than {MOST_BYTES >> 20} MiB", path)


def _check_tensors(found: object, path: Path) -> None:
    """Raise InputError for tensors that repeat what the file holds, and would be larger when written."""
    size, left, waiting = 0, MOST_VALUES, [found]
    while waiting:
        value = waiting.pop()
        left -= 1
        if isinstance(value, torch.Tensor):
            bytes_of = value.numel() * value.element_size()
            size += bytes_of
            if bytes_of > value.untyped_storage().nbytes():
                raise InputError("refused: a tensor in it is larger than what the file holds", path)
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
        if left < 0 or size > MOST_TIMES * path.stat().st_size:
            raise InputError("refused: its tensors are more than what the file holds", path)


def read_pickle(path: Path) -> Any:
    """Read a pickle of numbers, texts, lists, dicts, `Array`s and `PCAState`s.

    Raises:
        InputError: no such file, no pickle, or one that names anything else than numpy arrays and
            scikit-learn's PCA; none of it is run.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"has more than {MOST_BYTES >> 20} MiB: not the file that is meant", path)
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path) from error
    try:
        _check_places(content)
        return _Reader(io.BytesIO(content)).load()
    except _Refused as error:
        raise InputError(f"refused, and nothing in it was run: {error}", path) from error
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to say
        raise InputError("is no pickle of numpy arrays, or damaged", path) from error


def _check_places(content: bytes) -> None:
    """Raise _Refused where a pickle gives its values high numbers: room is made for all lower ones."""
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > MOST_VALUES:
            raise _Refused("it gives its values numbers that are too high")


class _Refused(pickle.UnpicklingError):
    """A pickle asks for something that is not expected."""


def _shown(word: object) -> str:
    """What a file says, in one short line."""
    return repr(word)[:200]


class _StandIn:
    """Stands in for a class of numpy or scikit-learn.

    The method below keeps a pickle from setting attributes, also those of the class itself.
    """

    def __setstate__(self, state: object) -> None:
        raise _Refused(f"it sets what a {type(self).__name__} cannot have")


class _Bytes(_StandIn):
    """`_codecs.encode`, as protocol 2 spells bytes."""

    def __new__(cls, text: str, encoding: str) -> bytes:  # type: ignore[misc]
        if encoding != "latin1":
            raise _Refused(f"it holds bytes encoded as {_shown(encoding)}")
        return text.encode("latin-1")


class _DType(_StandIn):
    """`numpy.dtype` of plain numbers: its code, such as 'f8', and then its byte order."""

    def __init__(self, code: str, *_: object) -> None:
        if code not in _KINDS:
            raise _Refused(f"it holds an array of {_shown(code)}")
        self.code = code

    def __setstate__(self, state: object) -> None:
        order = state[1] if isinstance(state, tuple) and len(state) > 1 else None
        if order not in ("<", ">", "|", "="):
            raise _Refused("it holds an array of unknown byte order")
        self.code = f"{order}{self.code.lstrip('<>|=')}"


class Array(_StandIn):
    """`numpy.ndarray`, made by `_reconstruct` and then filled.

    Attributes:
        value: the numbers.
    """

    value: npt.NDArray[Any]

    def __init__(self, *_: object) -> None:
        self.value = np.empty(0)

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise _Refused("it holds an array in an unknown form")
        _, shape, dtype, by_columns, content = state
        self.value = _array(content, dtype, shape, "F" if by_columns else "C")


class _FromBuffer(Array):
    """`numpy._frombuffer`, as protocol 5 spells arrays."""

    def __init__(self, content: object, dtype: object, shape: object, order: object) -> None:
        self.value = _array(content, dtype, shape, order)


class _Scalar(Array):
    """A numpy number."""

    def __init__(self, dtype: object, content: object) -> None:
        self.value = _array(content, dtype, (), "C")


class PCAState(_StandIn):
    """The attributes of a scikit-learn PCA.

    Attributes:
        found: attribute -> value.
    """

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, dict):
            raise _Refused("it holds a PCA in an unknown form")
        self.found = state


def _array(content: object, dtype: object, shape: object, order: object) -> npt.NDArray[Any]:
    """The array that bytes say; checked, for a wrong size would read foreign memory or none."""
    if not isinstance(content, bytes | bytearray) or not isinstance(dtype, _DType):
        raise _Refused("it holds an array of something else than numbers")
    if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise _Refused("it holds an array of impossible shape")
    kind = np.dtype(dtype.code)
    if order not in ("C", "F") or math.prod(shape) * kind.itemsize != len(content):
        raise _Refused("it holds an array of another size than it says")
    return np.frombuffer(content, kind).reshape(shape, order="F" if order == "F" else "C")


_ALLOWED: dict[tuple[str, str], type] = {
    ("_codecs", "encode"): _Bytes,
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): Array,
    ("sklearn.decomposition._pca", "PCA"): PCAState,
    ("sklearn.decomposition.pca", "PCA"): PCAState,  # before scikit-learn 0.22
    # numpy 2 renamed `core`
    **{(f"numpy.{core}.multiarray", "_reconstruct"): Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _FromBuffer for core in ("core", "_core")},
}


class _Reader(pickle.Unpickler):
    """Finds stand-ins and nothing else."""

    def find_class(self, module: str, name: str) -> type:
        """The stand-in of a name."""
        if (module, name) not in _ALLOWED:
            asked = _shown(f"{module}.{name}").strip("'")
            raise _Refused(f"it asks for {asked}; only numpy arrays and scikit-learn's PCA may be in it")
        return _ALLOWED[module, name]
