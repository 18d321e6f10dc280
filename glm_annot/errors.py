"""The kinds of errors, and the exit status of the program for each.

GlmAnnotError            1   something failed at run time
|-- UsageError           2   options that contradict each other
|-- InputError           3   an input file that cannot be used; names the file and, where known, the line
`-- ModelError           4   a model bundle that is missing, damaged or of another format version
"""

from __future__ import annotations

from pathlib import Path


class GlmAnnotError(Exception):
    """Base of every error that glm-annot raises on purpose; its message is one line fit for a user."""

    exit_status = 1


class UsageError(GlmAnnotError):
    """Options or arguments that cannot be combined."""

    exit_status = 2


class InputError(GlmAnnotError):
    """An input that cannot be used.

    Args:
        message: what is wrong and what to do about it.
        path: the file (`-` for standard input).
        line: the 1-based line at fault, where there is one.
    """

    exit_status = 3

    def __init__(self, message: str, path: str | Path | None = None, line: int | None = None) -> None:
        self.message = message
        self.path = path
        self.line = line
        name = "standard input" if str(path) == "-" else path
        where = "" if path is None else f"{name}: " if line is None else f"{name}, line {line}: "
        super().__init__(where + message)


class ModelError(GlmAnnotError):
    """A model that is missing, damaged or not understood."""

    exit_status = 4
