"""EC numbers as a hierarchy: 2.7.1.2 lies under 2.7.1.-, 2.7.-.- and 2.-.-.-.

A node is any class prefix or complete number; the root, an empty prefix, stands for 'some enzyme'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LEVELS = 4
_NUMBER = re.compile(r"[1-7](\.[1-9][0-9]*){0,2}(\.-){1,3}|[1-7](\.[1-9][0-9]*){2}\.n?[1-9][0-9]*")

Node = tuple[str, ...]
ROOT: Node = ()


def is_number(text: str) -> bool:
    """Whether a text is an EC number of four fields, complete or with trailing dashes."""
    return _NUMBER.fullmatch(text) is not None and text.count(".") == LEVELS - 1


def node(number: str) -> Node:
    """The node of an EC number: ('2', '7', '1') for '2.7.1.-'."""
    return tuple(field for field in number.split(".") if field != "-")


def number(node: Node) -> str:
    """The EC number of a node: '2.7.1.-' for ('2', '7', '1')."""
    return ".".join([*node, *["-"] * (LEVELS - len(node))])


def is_complete(text: str) -> bool:
    """Whether an EC number has all four fields."""
    return "-" not in text


def lineage(number: str) -> list[Node]:
    """The nodes of an EC number from the root to itself."""
    fields = node(number)
    return [fields[:depth] for depth in range(len(fields) + 1)]


def ancestry(numbers: Iterable[str]) -> frozenset[Node]:
    """All nodes of several EC numbers; empty for none."""
    return frozenset(step for text in numbers for step in lineage(text))


def sort_key(number: str) -> tuple[tuple[int, str], ...]:
    """Orders EC numbers field by field, so that the numbers under one node stand together."""
    return tuple((len(field), field) for field in node(number))
