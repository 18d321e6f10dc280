"""Tables, arrays and JSON files, read so that damage is one line of error that names the file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from glm_annot.errors import InputError

_DAMAGE = (  # of np.load; it reads a header as Python's tokens
    *(OSError, ValueError, EOFError, MemoryError, OverflowError, TypeError, SyntaxError),
    TokenError,
)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet table; all of its columns, or those named.

    Raises:
        InputError: it is missing or damaged, or lacks a column.
    """
    try:
        there = pq.read_schema(path).names
        for column in columns or ():
            if column not in there:
                raise InputError(f"no column {column!r}; needed: {', '.join(columns or ())}", path)
        return pq.read_table(path, columns=None if columns is None else list(columns))
    except (OSError, pa.ArrowException, MemoryError, UnicodeDecodeError) as error:
        raise damaged("Parquet table", path, error) from error


def read_array(path: Path, mmap_mode: Literal["r"] | None = None) -> npt.NDArray[Any]:
    """Read numpy's file of an array, memory-mapped with `mmap_mode`.

    Raises:
        InputError: it is missing, damaged, or cut short.
    """
    try:
        found: npt.NDArray[Any] = np.load(path, mmap_mode=mmap_mode, allow_pickle=False)
        if not isinstance(found, np.ndarray):
            raise ValueError("it holds several arrays")
        return found
    except _DAMAGE as error:
        raise damaged("numpy array", path, error) from error


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Read numpy's file of named arrays (.npz).

    Raises:
        InputError: it is missing, damaged, or cut short.
    """
    try:
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            raise ValueError("it holds one array without a name")
        with found:
            return {name: found[name] for name in found.files}
    except (*_DAMAGE, BadZipFile) as error:
        raise damaged("file of numpy arrays", path, error) from error


def read_text(path: Path) -> str:
    """Read a text file.

    Raises:
        InputError: it is missing, or no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError("is no UTF-8 text; save it as such", path) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", path) from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: it is missing, no UTF-8, no JSON, or nested too deep.
    """
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"is no JSON ({error.msg})", path, error.lineno) from error
    except RecursionError as error:
        raise InputError("is JSON nested too deep", path) from error
    except ValueError as error:  # Python reads no numbers of thousands of digits
        raise InputError("is JSON with a number of too many digits", path) from error


def read_record(path: Path) -> dict[str, Any]:
    """Read a JSON file that is one object. Raises as `read_json`, and for anything else in it."""
    found = read_json(path)
    if not isinstance(found, dict):
        raise InputError("is no JSON object", path)
    return found


def damaged(what: str, path: Path, error: BaseException) -> InputError:
    """What is said of a file that is not what it should be, and why."""
    if isinstance(error, FileNotFoundError):
        return InputError("no such file", path)
    why = " ".join(str(error).split())[:200] or type(error).__name__
    return InputError(f"is no {what}, or damaged ({why})", path)
