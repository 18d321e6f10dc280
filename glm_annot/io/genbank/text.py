"""The text of a GenBank or EMBL file, line by line: where its records, features and qualifiers stand.

Both have the same feature table; in EMBL the first two blanks of its lines are `FT`. What else differs is in
`GENBANK` and `EMBL`. Biopython says what a file means; this module says on which lines it says so, which is
what patching the text and naming the line of an error need. Nothing here raises: lines that fit nowhere are
listed in `Record.stray`. All line numbers are 0-based.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from glm_annot.io.source import decode

QUALIFIER_COLUMN = 21  # where a location and every qualifier begin, INSDC feature table definition, 4.1
DEFAULT_WIDTH = 80  # columns of a line, GenBank release notes, 3.4.1, and EMBL user manual, 3.1
PLAUSIBLE_WIDTHS = range(70, 133)  # outside of it a "longest line" says nothing of how the file wraps

_CODE = b"FT"  # before each line of EMBL's feature table
_KEY = re.compile(rb" {5}\S+\s+\S.*| {5}[A-Za-z]\S*\s*$")  # a location may be missing
_NOT_A_BASE = b"0123456789 \t\r\n"


@dataclass(frozen=True, slots=True)
class Style:
    """How a format writes what GenBank and EMBL have in common.

    Attributes:
        format: 'genbank' or 'embl'.
        name: the same, for messages.
        first_key: what the first line of a record begins with.
        first, table, section: begin a record, its feature table, and what follows that.
        spacer: lines within the table that say nothing.
        origin: the line before the bases.
        sequence: a line of bases.
        key_indent, qualifier_indent: before a feature's key; before a location and every qualifier.
        comment, comment_indent: before the first line of a comment of ours, and before the other ones.
        comment_end: the line that ends it, '' for none.
    """

    format: str
    name: str
    first_key: str
    first: re.Pattern[bytes]
    table: re.Pattern[bytes]
    section: re.Pattern[bytes]
    spacer: re.Pattern[bytes]
    origin: bytes
    sequence: re.Pattern[bytes]
    key_indent: bytes
    qualifier_indent: bytes
    comment: bytes
    comment_indent: bytes
    comment_end: bytes


GENBANK = Style(
    format="genbank",
    name="a GenBank file",
    first_key="LOCUS",
    first=re.compile(rb"(?:\xef\xbb\xbf)?LOCUS\s"),  # a byte order mark may open the file
    table=re.compile(rb"FEATURES\b"),
    section=re.compile(rb"CONTIG\b|ORIGIN\b|BASE COUNT\b|WGS|TSA\b|TLS\b|//"),
    spacer=re.compile(rb"\s*$"),
    origin=b"ORIGIN",
    sequence=re.compile(rb"\s*\d+[\sA-Za-z*.-]*|[\sA-Za-z*.-]*"),
    key_indent=b" " * 5,
    qualifier_indent=b" " * QUALIFIER_COLUMN,
    comment=b"COMMENT     ",
    comment_indent=b" " * 12,  # GenBank release notes, 3.4.2
    comment_end=b"",
)
EMBL = Style(
    format="embl",
    name="an EMBL file",
    first_key="ID",
    first=re.compile(rb"(?:\xef\xbb\xbf)?ID\s"),
    table=re.compile(rb"F[HT]\b"),
    section=re.compile(rb"(?:SQ|CO|AH|AS)\b|//"),
    spacer=re.compile(rb"\s*$|XX\s*$|FH\b|FT\s*$"),
    origin=b"SQ",
    sequence=re.compile(rb"[\sA-Za-z*.-]*(?:\d+\s*)?"),
    key_indent=_CODE + b" " * 3,
    qualifier_indent=_CODE.ljust(QUALIFIER_COLUMN),
    comment=b"CC   ",
    comment_indent=b"CC       ",  # further in than others indent theirs, so that it is known for ours
    comment_end=b"XX",
)
_STYLES = (GENBANK, EMBL)


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
    """One record, LOCUS or ID to `//`.

    Attributes:
        style: of its format.
        first, end: its LOCUS or ID line; one past its last line (the next such line or the end of the file).
        table: the first line of its feature table (FEATURES; FH or FT), None without one.
        features: in order of the file.
        section: the first line after the feature table that begins CONTIG, ORIGIN, SQ or the like.
        sequence: the lines between ORIGIN (SQ) and the end.
        close: the `//` line, None where the file stops without it.
        stray: lines that are no header, feature, qualifier or sequence.
    """

    style: Style
    first: int
    end: int
    table: int | None
    features: tuple[Feature, ...]
    section: int | None
    sequence: range
    close: int | None
    stray: tuple[int, ...]


def records(lines: Sequence[bytes]) -> list[Record]:
    """All records of a file; what stands before the first of them is a preamble and belongs to none."""
    style = next((style for line in lines for style in _STYLES if style.first.match(line)), GENBANK)
    starts = [number for number, line in enumerate(lines) if style.first.match(line)]
    return [_record(lines, style, *bounds) for bounds in pairwise([*starts, len(lines)])]


def table_line(line: bytes) -> bytes:
    """A line of a feature table as GenBank has it: without EMBL's line code."""
    return b"  " + line[len(_CODE) :] if line.startswith(_CODE) else line


def qualifiers(lines: Sequence[bytes], feature: Feature) -> Iterator[Qualifier]:
    """The qualifiers of one feature. As in Biopython a quoted value ends where a line ends in a quote."""
    first, parts, is_open = 0, list[str](), False
    for number in range(feature.first + 1, feature.last + 1):
        text = decode(table_line(lines[number])).strip()
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
        if not table_line(lines[number + 1]).lstrip().startswith(b"/")
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
    """How many bases the record holds."""
    return sum(len(lines[number].translate(None, _NOT_A_BASE)) for number in record.sequence)


def _record(lines: Sequence[bytes], style: Style, first: int, end: int) -> Record:
    close = next((n for n in range(first, end) if lines[n].rstrip() == b"//"), None)
    stop = end if close is None else close
    table = next((n for n in range(first, stop) if style.table.match(lines[n])), None)
    section = next((n for n in range(first + 1, stop) if style.section.match(lines[n])), None)
    origin = next((n for n in range(section or stop, stop) if lines[n].startswith(style.origin)), stop)
    sequence = range(min(origin + 1, stop), stop)
    begin = stop if table is None else table if lines[table].startswith(_CODE) else table + 1
    features, stray = _features(lines, style, range(begin, section or stop))
    stray += [number for number in sequence if not style.sequence.fullmatch(lines[number])]
    stray += [number for number in range(stop + 1, end) if lines[number].strip()]
    return Record(style, first, end, table, tuple(features), section, sequence, close, tuple(stray))


def _features(lines: Sequence[bytes], style: Style, span: range) -> tuple[list[Feature], list[int]]:
    found: list[tuple[int, int]] = []  # key line, last line
    stray: list[int] = []
    for number in span:
        line = lines[number]
        if style.spacer.match(line):
            continue
        if line.startswith(style.qualifier_indent) and found:
            found[-1] = (found[-1][0], number)
        elif line.startswith(style.key_indent) and _KEY.match(table_line(line)):
            found.append((number, number))
        else:
            stray.append(number)
    return [_feature(lines, first, last) for first, last in found], stray


def _feature(lines: Sequence[bytes], first: int, last: int) -> Feature:
    key, _, location = decode(table_line(lines[first])).strip().partition(" ")
    for number in range(first + 1, last + 1):
        text = decode(table_line(lines[number])).strip()
        if text.startswith("/"):
            break
        location += text
    return Feature(key, "".join(location.split()), first, last)


def _qualifier(parts: Sequence[str], first: int, last: int) -> Qualifier:
    name, _, value = " ".join(parts)[1:].partition("=")
    return Qualifier(name, value.strip('"'), first, last)
