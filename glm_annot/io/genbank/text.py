"""The text of a GenBank file, line by line: where its records, features and qualifiers stand.

Biopython says what a file means; this module says on which lines it says so, which is what patching the text
and naming the line of an error need. Nothing here raises: lines that fit nowhere are listed in
`Record.stray`. All line numbers are 0-based.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from glm_annot.io.source import decode

KEY_INDENT = b" " * 5  # before a feature's key, INSDC feature table definition, 4.1
QUALIFIER_INDENT = b" " * 21  # before a location and every qualifier, ibid.
HEADER_INDENT = b" " * 12  # before the continuation of a header field, GenBank release notes, 3.4.2
DEFAULT_WIDTH = 80  # columns of a GenBank line, GenBank release notes, 3.4.1
PLAUSIBLE_WIDTHS = range(70, 133)  # outside of it a "longest line" says nothing of how the file wraps

_LOCUS = re.compile(rb"(?:\xef\xbb\xbf)?LOCUS\s")  # a byte order mark may open the file
_FEATURES = re.compile(rb"FEATURES\b")
_SECTION = re.compile(rb"CONTIG\b|ORIGIN\b|BASE COUNT\b|WGS|TSA\b|TLS\b|//")
_KEY = re.compile(rb" {5}\S+\s+\S.*| {5}(?!CDS\b)[A-Za-z]\S*\s*$")  # only a CDS needs a location
_SEQUENCE = re.compile(rb"\s*\d*[\sA-Za-z*.-]*")
_NOT_A_BASE = b"0123456789 \t\r\n"


@dataclass(frozen=True, slots=True)
class Qualifier:
    """One qualifier: name, and value without quotes, wraps turned into spaces ('' for a bare name)."""

    name: str
    value: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature: key, location without spaces, its key line and its last line that is not blank."""

    key: str
    location: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record, LOCUS to `//`.

    Attributes:
        first, end: its LOCUS line; one past its last line (the next LOCUS line or the end of the file).
        table: the FEATURES line, None without one.
        features: in order of the file.
        section: the first line after the feature table that begins CONTIG, BASE COUNT, ORIGIN or the like.
        sequence: the lines between ORIGIN and the end.
        close: the `//` line, None where the file stops without it.
        stray: lines that are no header, feature, qualifier or sequence.
    """

    first: int
    end: int
    table: int | None
    features: tuple[Feature, ...]
    section: int | None
    sequence: range
    close: int | None
    stray: tuple[int, ...]


def records(lines: Sequence[bytes]) -> list[Record]:
    """All records of a file; what stands before the first LOCUS line is a preamble and belongs to none."""
    starts = [number for number, line in enumerate(lines) if _LOCUS.match(line)]
    return [_record(lines, *bounds) for bounds in pairwise([*starts, len(lines)])]


def qualifiers(lines: Sequence[bytes], feature: Feature) -> Iterator[Qualifier]:
    """The qualifiers of one feature. As in Biopython a quoted value ends where a line ends in a quote."""
    first, parts, is_open = 0, list[str](), False
    for number in range(feature.first + 1, feature.last + 1):
        text = decode(lines[number]).strip()
        if text.startswith("/") and not is_open:
            if parts:
                yield _qualifier(parts, first, number - 1)
            first, parts = number, [text]
            value = text.partition("=")[2]
            is_open = value.startswith('"') and (value == '"' or not value.endswith('"'))
        elif parts and text:
            parts.append(text)
            is_open = is_open and not text.endswith('"')
    if parts:
        yield _qualifier(parts, first, feature.last)


def wrapped_width(lines: Sequence[bytes], layout: Sequence[Record]) -> int:
    """The column at which this file wraps its qualifiers: its longest line that is continued on the next."""
    lengths = Counter(
        len(lines[number].rstrip())
        for record in layout
        for feature in record.features
        for number in range(feature.first + 1, feature.last)
        if not lines[number + 1].lstrip().startswith(b"/")
    )
    longest = max(lengths, default=DEFAULT_WIDTH)
    return longest if longest in PLAUSIBLE_WIDTHS else DEFAULT_WIDTH


def wrap(text: str, indent: bytes, width: int, ending: bytes) -> list[bytes]:
    """`text` broken at spaces into lines of at most `width` columns, where its words allow it."""
    room = width - len(indent)
    rows: list[str] = []
    for word in text.split(" "):
        if rows and len(rows[-1]) + 1 + len(word) <= room:
            rows[-1] += " " + word
        else:
            rows.append(word)
    return [indent + row.encode() + ending for row in rows]


def count_bases(lines: Sequence[bytes], record: Record) -> int:
    """How many bases the record's ORIGIN holds."""
    return sum(len(lines[number].translate(None, _NOT_A_BASE)) for number in record.sequence)


def _record(lines: Sequence[bytes], first: int, end: int) -> Record:
    close = next((n for n in range(first, end) if lines[n].rstrip() == b"//"), None)
    stop = end if close is None else close
    table = next((n for n in range(first, stop) if _FEATURES.match(lines[n])), None)
    section = next((n for n in range(first + 1, stop) if _SECTION.match(lines[n])), None)
    origin = next((n for n in range(section or stop, stop) if lines[n].startswith(b"ORIGIN")), stop)
    sequence = range(min(origin + 1, stop), stop)
    features, stray = _features(lines, range(stop if table is None else table + 1, section or stop))
    stray += [number for number in sequence if not _SEQUENCE.fullmatch(lines[number])]
    stray += [number for number in range(stop + 1, end) if lines[number].strip()]
    return Record(first, end, table, tuple(features), section, sequence, close, tuple(stray))


def _features(lines: Sequence[bytes], span: range) -> tuple[list[Feature], list[int]]:
    found: list[tuple[int, int]] = []  # key line, last line
    stray: list[int] = []
    for number in span:
        line = lines[number]
        if not line.strip():
            continue
        if line.startswith(QUALIFIER_INDENT) and found:
            found[-1] = (found[-1][0], number)
        elif _KEY.match(line):
            found.append((number, number))
        else:
            stray.append(number)
    return [_feature(lines, first, last) for first, last in found], stray


def _feature(lines: Sequence[bytes], first: int, last: int) -> Feature:
    key, _, location = decode(lines[first]).strip().partition(" ")
    for number in range(first + 1, last + 1):
        text = decode(lines[number]).strip()
        if text.startswith("/"):
            break
        location += text
    return Feature(key, "".join(location.split()), first, last)


def _qualifier(parts: Sequence[str], first: int, last: int) -> Qualifier:
    name, _, value = " ".join(parts)[1:].partition("=")
    return Qualifier(name, value.strip('"'), first, last)
