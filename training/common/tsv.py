"""Tables as text, with tabs between the columns and their names in the first line, plain or gzipped."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from glm_annot.errors import InputError
from glm_annot.io.source import read_bytes


def read_tsv(path: Path, *columns: str, quotes: bool = True) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield (line number, row) of a table.

    Args:
        path: the table.
        columns: that it must have; others are read, too.
        quotes: whether a field may stand in quotation marks, as spreadsheets write them.

    Raises:
        InputError: the file cannot be read, lacks a column, or has a field of more than 128 kB.
    """
    reader = _reader(path, quotes=quotes)
    with _fault_named(reader, path):
        for column in columns:
            if column not in (reader.fieldnames or ()):
                raise InputError(
                    f"no column {column!r}; needed: {', '.join(columns)}, with tabs between", path, 1
                )
        for row in reader:
            yield reader.line_num, row


def columns_of(path: Path) -> list[str]:
    """The names of a table's columns."""
    reader = _reader(path)
    with _fault_named(reader, path):
        return list(reader.fieldnames or ())


@contextmanager
def _fault_named(reader: csv.DictReader[str], path: Path) -> Iterator[None]:
    """Turns what csv says of a damaged table into an error that names file and line."""
    try:
        yield
    except csv.Error as error:
        raise InputError(f"cannot be read as a table ({error})", path, reader.line_num + 1) from error


def _reader(path: Path, *, quotes: bool = True) -> csv.DictReader[str]:
    try:
        text = read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("is no UTF-8 text; save it as such", path) from error
    lines = io.StringIO(text.removeprefix("\ufeff"), newline="")
    if quotes:
        return csv.DictReader(lines, delimiter="\t")
    return csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
