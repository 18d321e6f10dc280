"""What is odd in a file and was read all the same: one warning for each kind, with a count and the first."""

from __future__ import annotations

import logging
from collections import Counter

log = logging.getLogger(__name__)


class Oddities:
    """Those of one file, `path`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._count = Counter[str]()
        self._first: dict[str, str] = {}

    def see(self, what: str, where: str) -> None:
        """Count one more.

        Args:
            what: the kind, in the plural, and what was done.
            where: a name or a line that finds this one.
        """
        self._count[what] += 1
        self._first.setdefault(what, where)

    def tell(self) -> None:
        """Warn of each kind, in the order in which they were met."""
        for what, count in self._count.items():
            which = f"first: {self._first[what]}" if count > 1 else self._first[what]
            log.warning("%s: %s: %d (%s)", self._path, what, count, which)
