"""What became of an input. Only the first two kinds are as they should be."""

from __future__ import annotations

from enum import Enum


class Kind(str, Enum):
    """The kinds of outcomes; the value is what reports print."""

    RIGHT = "right result"
    ERROR = "clear error"
    TRACEBACK = "traceback"
    HANG = "hang"
    MEMORY = "memory"
    LOST = "lost bytes"
    DEATH = "process died"


PASSING = (Kind.RIGHT, Kind.ERROR)


class LostError(Exception):
    """Something came to an end, but with a wrong result."""


def require(holds: bool, what: str) -> None:
    """Raise LostError, which says what, unless something holds."""
    if not holds:
        raise LostError(what)
