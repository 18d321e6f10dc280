"""The text of a JSON file: where the members of its objects and the items of its arrays stand.

`json` says what they mean; this module says where, which is what patching the text and naming the line of an
error need. Positions are of characters, 0-based, ends exclusive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from json import JSONDecodeError, JSONDecoder
from typing import Any

OURS = "glm_annot"  # the member that holds all that we add
_SPACE = re.compile(r"[ \t\r\n]*")


class _TwiceError(Exception):
    """A name that stands twice in one object; readers differ in which of the two they believe."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _TwiceError
    return found


_DECODER = JSONDecoder(object_pairs_hook=_once)


@dataclass(frozen=True, slots=True)
class Item:
    """A value in an array or an object.

    Attributes:
        key: its name in an object, '' in an array.
        start: where it begins: a member with its key.
        value, end: where its value begins and ends.
        content: what the value means.
    """

    key: str
    start: int
    value: int
    end: int
    content: Any


def decoded(text: bytes) -> str:
    """The characters of a JSON file, which is always UTF-8.

    Raises:
        JSONDecodeError: it is not.
    """
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JSONDecodeError(
            "not in UTF-8", text[: error.start].decode("utf-8") + "?", error.start
        ) from error


def members(text: str, start: int) -> list[Item]:
    """The members of the object at `start`.

    Raises:
        JSONDecodeError: there is none, or it is damaged.
    """
    return list(_inside(text, start, "{", "}"))


def items(text: str, start: int) -> list[Item]:
    """The items of the array at `start`. Raises as `members`."""
    return list(_inside(text, start, "[", "]"))


def document_start(text: str) -> int:
    """Where the object that is the whole file begins."""
    return _skip(text, 1 if text.startswith("\ufeff") else 0)


def without(text: str, cuts: Iterable[tuple[int, int]]) -> str:
    """`text` without some pieces (start, end) that do not overlap."""
    kept, place = [], 0
    for start, end in sorted(cuts):
        kept.append(text[place:start])
        place = end
    return "".join([*kept, text[place:]])


def with_inserted(text: str, additions: Iterable[tuple[int, str]]) -> str:
    """`text` with pieces put in before some of its characters."""
    kept, place = [], 0
    for start, piece in sorted(additions, key=lambda addition: addition[0]):
        kept += [text[place:start], piece]
        place = start
    return "".join([*kept, text[place:]])


def cut(listed: list[Item], removed: set[int]) -> Iterator[tuple[int, int]]:
    """The pieces of text to take out, with their commas, so that some of the items of a list are gone."""
    kept = [i for i in range(len(listed)) if i not in removed]
    if not kept:
        yield listed[0].start, listed[-1].end
        return
    if kept[0] > 0:
        yield listed[0].start, listed[kept[0]].start
    yield from ((listed[i - 1].end, listed[i].end) for i in sorted(removed) if i > kept[0])


def _inside(text: str, start: int, opening: str, closing: str) -> Iterator[Item]:
    place = _skip(text, _expect(text, start, opening))
    if text.startswith(closing, place):
        return
    while True:
        begin, key = place, ""
        if opening == "{":
            key, place = _value(text, place)
            if not isinstance(key, str):
                raise JSONDecodeError("a name in quotes expected", text, begin)
            place = _skip(text, _expect(text, _skip(text, place), ":"))
        content, end = _value(text, place)
        yield Item(key, begin, place, end, content)
        place = _skip(text, end)
        if text.startswith(closing, place):
            return
        place = _skip(text, _expect(text, place, ","))


def _value(text: str, place: int) -> tuple[Any, int]:
    """The value at a place, and its end."""
    try:
        return _DECODER.raw_decode(text, place)
    except _TwiceError:
        raise JSONDecodeError("a name stands twice in one object", text, place) from None
    except RecursionError as error:
        raise JSONDecodeError("values nested too deep", text, place) from error
    except JSONDecodeError:
        raise
    except ValueError as error:  # Python reads no numbers of thousands of digits
        raise JSONDecodeError("a number of too many digits", text, place) from error


def _expect(text: str, place: int, sign: str) -> int:
    if not text.startswith(sign, place):
        raise JSONDecodeError(f"'{sign}' expected", text, place)
    return place + 1


def _skip(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    assert found is not None, "blanks may be none at all"
    return found.end()
