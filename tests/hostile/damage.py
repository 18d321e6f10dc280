"""Damages a text or a file of bytes, always in the same way for the same random numbers."""

from __future__ import annotations

import codecs
import copy
import gzip
import json
import random
import re
from collections.abc import Sequence
from typing import Any

LARGE = 200_000  # bytes of a text with a part that is repeated
CHANGES = (1, 1, 1, 2, 3, 4)  # of an input

# What has a meaning somewhere in a format, or may have for a program that reads it.
WORDS: tuple[bytes, ...] = (
    *(b"\t", b"\n", b"\r", b"\r\n", b"\0", b'"', b"''", b";", b"=", b",", b"%", b"%0A", b"%09"),
    *(b" ", b"\v", b"\f"),
    *(b"\x1b[31m", b"\x1b]0;title\x07", b"\x85", b"\xa0", codecs.BOM_UTF8, b"\xff\xfe"),
    *(b"\xc3\x28", b"\xe2\x80\xa8"),
    *(b"0", b"-1", b"1e300", b"nan", b"9" * 30, b"1" * 5000, "²".encode(), "٣".encode(), b"<1"),
    *(b">9", b".", b"?", b"*"),
    *(b"CDS", b"gene", b"operon", b"region", b"##FASTA\n", b">", b"#", b"##", b"##gff-version 3\n"),
    *(b"//\n",),
    *(b"ID=", b"Parent=", b"ID=a;Parent=a", b"Is_circular=true", b"transl_table=", b"pseudo="),
    *(b"Dbxref=EC:1.1.1.1",),
    *(b"LOCUS       ", b"ID   X; SV 1; circular; DNA; ; PRO; 9 BP.\n"),
    *(b"FEATURES             Location/Qualifiers\n",),
    *(b"     CDS             1..9\n", b"FT   CDS             1..9\n"),
    *(b"                     /note=\"", b"FT" + b" " * 19),
    *(b"ORIGIN\n", b"SQ   Sequence 9 BP;\n", b"join(", b"complement(", b"order(", b")", b".."),
    *(b"1..", b"X:1..2", b"^"),
    *(b"/translation=", b"/pseudo", b"/codon_start=4", b"/transl_except=(pos:1..3,aa:Sec)"),
    *(b"COMMENT     ", b"CC   "),
    *(b"glm-annot", b"# glm-annot: program=", b"glm-annot: program=glm-annot 0.1.0; model=mini"),
    *(b"glm_promoted=Note:x",),
    *(b";glm_ec=1.1.1.1;glm_operon=none", b'/note="glm-annot: ec=1.1.1.1; operon=none"'),
    *(b'/operon="glm_operon_0001"',),
    *(b'"glm_annot": {', b'"features": [', b"[" * 3000, b"{", b"}", b"]", b"null", b"true"),
    *(b"\\ud800", b'"\\u0000"'),
)  # fmt: skip
JSON_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**63, 10**30, 1e300, -0.5, float("nan"), float("inf"), "", "x"),
    *("\ud800",),
    *("\x1b[31m", "../x", "/dev/zero", [], {}, [[]], [None], {"": {}}, ["x"] * 50, "9" * 5000),
)  # fmt: skip


def damaged(text: bytes, rng: random.Random, words: Sequence[bytes] = WORDS) -> bytes:
    """`text` with one to four changes: bytes, words, lines, line ends, an end too early, packed."""
    for _ in range(rng.choice(CHANGES)):
        text = rng.choices(_CHANGES, _WEIGHTS)[0](text, rng, words)
    return text


def damaged_json(content: Any, rng: random.Random) -> Any:
    """JSON content with one to four values replaced, removed, repeated or put elsewhere."""
    content = json.loads(json.dumps(content))
    for _ in range(rng.choice(CHANGES)):
        places = list(_places(content))
        if not places:
            return content
        holder, key = rng.choice(places)
        kind = rng.randrange(5)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            other, other_key = rng.choice(places)
            holder[key] = json.loads(json.dumps(other[other_key])) if _has(other, other_key) else None
        elif kind == 2 and isinstance(holder, list):
            holder.insert(key, holder[key])
        elif kind == 3 and isinstance(holder[key], int | float):
            holder[key] = rng.choice([holder[key] + 1, -holder[key], holder[key] * 10**6, holder[key] / 2])
        else:
            holder[key] = copy.deepcopy(rng.choice(JSON_VALUES))  # which later changes may change
    return content


def _has(holder: Any, key: Any) -> bool:
    return key in holder if isinstance(holder, dict) else key < len(holder)


def _places(content: Any) -> Any:
    """(holder, key) of every value within objects and arrays."""
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield content, key
            yield from _places(value)


def _span(text: bytes, rng: random.Random) -> tuple[int, int]:
    start = rng.randrange(len(text) + 1)
    return start, min(len(text), start + rng.choice([1, 2, 8, 80, 800]))


def _change_bytes(text: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    changed = bytearray(text)
    for _ in range(rng.randint(1, 8) if changed else 0):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _put_word(text: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    start, end = _span(text, rng)
    return text[:start] + rng.choice(words) + text[start if rng.random() < 0.5 else end :]


def _remove(text: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start, end = _span(text, rng)
    return text[:start] + text[end:]


def _cut(text: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    return text[: rng.randrange(len(text) + 1)]


def _repeat(text: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start, end = _span(text, rng)
    return text[:start] + text[start:end] * rng.randint(2, 20) + text[end:]


def _repeat_often(text: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    """A line, a part of one or a word so many times that work of more than linear time shows."""
    lines = text.splitlines(keepends=True) or [b""]
    number = rng.randrange(len(lines))
    part = rng.choice([lines[number], lines[number][: rng.randint(1, 40)], rng.choice(words)]) or b" "
    lines.insert(number, part * max(1, (LARGE - len(text)) // len(part)))
    return b"".join(lines)


def _lines(text: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    """Lines in another order, twice, or gone."""
    lines = text.splitlines(keepends=True)
    if not lines:
        return text
    number, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(3)
    if kind == 0:
        lines[number], lines[other] = lines[other], lines[number]
    elif kind == 1:
        lines.insert(other, lines[number])
    else:
        del lines[number]
    return b"".join(lines)


def _number(text: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    """Another number in the place of one."""
    found = [number.span() for number in re.finditer(rb"[0-9]+", text)]
    if not found:
        return text
    start, end = rng.choice(found)
    old = int(text[start:end][:18])
    new = rng.choice([0, old - 1, old + 1, old * 2, 10**9, rng.randrange(2 * old + 2)])
    return text[:start] + str(new).encode() + text[end:]


def _line_ends(text: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    end = rng.choice([b"\r\n", b"\r", b"\n\n", b" \n", b"\n\r"])
    if rng.random() < 0.5:
        return text.replace(b"\n", end)
    lines = text.split(b"\n")
    return b"".join(line + rng.choice([b"\n", b"\n", end]) for line in lines)


def _encode(text: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    if rng.random() < 0.5:
        return codecs.BOM_UTF8 + text
    return text.decode("utf-8", "replace").encode(
        rng.choice(["utf-16", "utf-16-le", "utf-32", "latin-1"]), "replace"
    )


def _join(text: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    return text + _cut(text, rng, ())


def _pack(text: bytes, rng: random.Random, words: Sequence[bytes]) -> bytes:
    packed = gzip.compress(text, mtime=0)
    return packed if rng.random() < 0.5 else rng.choice([_cut, _change_bytes])(packed, rng, words)


_CHANGES = (
    *(_put_word, _number, _change_bytes, _remove, _lines, _repeat, _cut, _line_ends),
    *(_join, _encode, _pack, _repeat_often),
)
_WEIGHTS = (40, 15, 10, 10, 10, 5, 3, 3, 1, 1, 1, 0.4)
