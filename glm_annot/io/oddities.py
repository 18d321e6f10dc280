"""Oddities of a file that was read nevertheless: one warning for each kind, with its count and first case."""

from __future__ import annotations

import logging
from collections import Counter

log = logging.getLogger(__name__)


class Oddities:
    """The oddities of one file, `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._count = Counter[str]()
        self._first: dict[str, str] = {}

    def see(self, what: str, where: str) -> None:
        """Count one more.

        Args:
            what: the kind, in the plural, and what was done.
            where: a name or a line by which the user can find it.
        """
        self._count[what] += 1
        self._first.setdefault(what, where)

    def tell(self) -> None:
        """Log one warning for each kind, in the order in which the kinds were first seen."""
        for what, count in self._count.items():
            which = f"first: {self._first[what]}" if count > 1 else self._first[what]
            log.warning("%s: %s: %d (%s)", self._path, what, count, which)
