"""GenBank and EMBL records as Biopython reads them, together with their lines in the file.

Biopython is given a copy of the CDS in which what it refuses without need is repaired: Prokka and others
write LOCUS lines whose name runs into the length, and some tools leave out the ORIGIN or the last `//`. A CDS
that it cannot read gets no location. Other features may be as they are: nothing depends on them, and tools
write odd locations for them. EMBL records are given to it as GenBank, as their feature tables are alike.
The original text stays as it is, and what Biopython reads is held against the scanned lines: a patch must
never go astray.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from types import MappingProxyType

from Bio import BiopythonParserWarning, SeqIO
from Bio.SeqFeature import SeqFeature
from Bio.SeqRecord import SeqRecord

from glm_annot.errors import InputError
from glm_annot.io.genbank.ours import unaccounted
from glm_annot.io.genbank.text import (
    EMBL,
    Feature,
    Record,
    count_bases,
    records,
    table_line,
)
from glm_annot.io.qualifiers import TOOL, not_ours
from glm_annot.io.source import decode, split_lines

_LOCUS = re.compile(r"LOCUS\s+(?P<said>\S.*)")
# Begins where digits begin, lest it take quadratic time; or after one that is all there is of the name.
_LENGTH = re.compile(r"(?:(?<!\d)|(?<=\A\d))(?P<length>\d{1,18})\s+(?P<unit>bp|aa|rc)\b(?P<rest>.*)")
_NAME_ONLY = re.compile(r"LOCUS\s+(?P<name>\S+)")
_BACKWARDS = re.compile(r"<?(\d{1,18})\.\.>?(\d{1,18})")
_SOURCE_END = re.compile(r"1\.\.>?(\d+)")
_USED_HEADER = ("ACCESSION", "VERSION")
_BIOPYTHON_RAISES = (ValueError, AssertionError, LookupError, AttributeError, TypeError)
_EMBL_FIELD = re.compile(r"\s*;\s*")
_EMBL_SIZE = re.compile(r"(?<!\d)(\d{1,18}) (BP|AA)\.?$", re.IGNORECASE)
_EMBL_NAME = re.compile(r"AC\s+\*\s*_?(\S+)|AC\s+(\S+?);")
_NO_ACCESSION = {"", "XXX", "UNKNOWN"}  # what stands in an ID line for one that does not exist yet
_FEATURES_LINE = "FEATURES             Location/Qualifiers"
_SOMEWHERE = "     CDS             1..1"  # in place of a location that Biopython cannot read
_SECOND_RECORD = re.compile(rb"//\s*(?:LOCUS|ID)\s")


@dataclass(frozen=True, slots=True)
class Locus:
    """What a LOCUS or ID line says. `length` in base pairs, None where it does not say.

    `version` is that of the accession in an ID line, '' where it has none.
    """

    name: str
    length: int | None
    circular: bool
    version: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record: where its lines are, its first line, and what Biopython made of it."""

    layout: Record
    locus: Locus
    content: SeqRecord

    @property
    def sequence(self) -> str:
        """Its own bases, upper case; '' where it carries none."""
        return str(self.content.seq) if self.content.seq.defined else ""

    @property
    def coding(self) -> Iterator[tuple[SeqFeature, Feature]]:
        """Each CDS as Biopython has it, with its lines; one that cannot be read has no location."""
        return zip(self.content.features, cds_of(self.layout), strict=True)


def cds_of(record: Record) -> list[Feature]:
    """The CDS of a record, in order of the file."""
    return [feature for feature in record.features if feature.key == "CDS"]


def read_entries(text: bytes, path: str) -> list[Entry]:
    """All records of a GenBank or EMBL text.

    Raises:
        InputError: no record, or a damaged one; it names the line at fault.
    """
    lines = split_lines(text)
    layouts = records(lines)
    if TOOL.encode() in text and (left := unaccounted(lines, layouts)):
        raise InputError(not_ours(f"this {left.key} has"), path, left.first + 1)
    entries = [_read(lines, layout, path) for layout in layouts]
    if not entries:
        raise InputError("this is not a GenBank or EMBL file: it has no LOCUS or ID line", path)
    return entries


def _read(lines: Sequence[bytes], layout: Record, path: str) -> Entry:
    _check_layout(lines, layout, path)
    locus = (read_id if layout.style is EMBL else read_locus)(lines, layout, path)
    content, unreadable = _biopython(lines, layout, locus, path)
    entry = Entry(layout, locus, content)
    found = len(entry.content.seq)
    if locus.length is not None and found != locus.length:
        cut_short = layout.close is None
        raise InputError(
            f"{layout.style.first_key} says {locus.length} bp but the sequence has {found}; "
            "fetch or copy the file again",
            path,
            layout.end if cut_short else layout.first + 1,
        )
    _place_features(entry, unreadable, path)
    return entry


def _check_layout(lines: Sequence[bytes], layout: Record, path: str) -> None:
    if layout.stray and _SECOND_RECORD.match(lines[layout.stray[0]]):
        raise InputError(
            "a second record begins on the line that ends the first: these are files joined without a line "
            "end between them; put one after the //",
            path,
            layout.stray[0] + 1,
        )
    if layout.stray:
        raise InputError(
            f"this line is not a feature, qualifier or sequence of {layout.style.name}; is the file damaged?",
            path,
            layout.stray[0] + 1,
        )
    if layout.section is None and (layout.table is None or layout.close is None):
        raise InputError(
            f"the record that begins on line {layout.first + 1} stops here, before its sequence; "
            "fetch or copy the file again",
            path,
            layout.end,
        )


def _place_features(entry: Entry, unreadable: Mapping[int, list[str]], path: str) -> None:
    """Make sure that the lines found are those of Biopython's CDS, and take wrong locations from these.

    Raises:
        InputError: they are not, or a CDS starts after its end.
    """
    for feature, lines in zip_longest(entry.content.features, cds_of(entry.layout)):
        if lines is None or feature is None:
            line = entry.layout.first + 1
            raise InputError("the layout of this record's features is not understood", path, line)
        if lines.first in unreadable or not _agree(feature, lines, len(entry.content.seq)):
            _check_direction(lines, path)
            feature.location = None


def _check_direction(cds: Feature, path: str) -> None:
    for found in _BACKWARDS.finditer(cds.location):
        start, end = found.groups()
        if int(start) > int(end):
            meant = f"complement({end}..{start})" if found[0] == cds.location else f"{end}..{start}"
            raise InputError(
                f"the CDS {cds.location} starts after its end; write {meant} if that is meant, or join(...) "
                "for a gene over the origin",
                path,
                cds.first + 1,
            )


def _agree(feature: SeqFeature, lines: Feature, length: int) -> bool:
    """Whether each bound that Biopython read is in the text; it adds 1 and `length` when it splits 90..10."""
    if feature.location is None or feature.type != lines.key:
        return False
    bounds = [(part.start, part.end) for part in feature.location.parts]
    if not all(isinstance(bound, int) for pair in bounds for bound in pair):
        return False  # an unknown position, `?`
    if any(start >= end for start, end in bounds):
        return False  # between two bases, `21^22`
    stated = {int(number) for number in re.findall(r"\d+", lines.location)} | {1, length}
    return all(start + 1 in stated and end in stated for start, end in bounds)


def _biopython(
    lines: Sequence[bytes], layout: Record, locus: Locus, path: str
) -> tuple[SeqRecord, Mapping[int, list[str]]]:
    """What Biopython makes of a record, and the CDS that it cannot read: key line -> what it got instead."""
    unreadable = {cds.first: _elsewhere(_rows(lines, cds)) for cds in cds_of(layout) if not cds.location}
    try:
        return _parsed(readable(lines, layout, locus, unreadable)), unreadable
    except _BIOPYTHON_RAISES:
        for cds in cds_of(layout):
            rows = _rows(lines, cds)
            if (instead := _for_biopython(rows, locus)) != rows:
                unreadable[cds.first] = instead
    try:
        return _parsed(readable(lines, layout, locus, unreadable)), unreadable
    except _BIOPYTHON_RAISES as error:
        what = str(error).partition("\n")[0].rstrip(":") or "malformed"
        raise InputError(f"Biopython cannot read this: {what}", path, layout.first + 1) from error


def _parsed(text: str) -> SeqRecord:
    with warnings.catch_warnings():
        # What they warn of is harmless (wrapping, LOCUS columns) or is checked in this module.
        warnings.simplefilter("ignore", BiopythonParserWarning)
        return SeqIO.read(io.StringIO(text), "genbank")


def _rows(lines: Sequence[bytes], cds: Feature) -> list[str]:
    """The lines of a CDS as GenBank has them; the location begins where it should."""
    first, *others = (decode(table_line(line)).rstrip() for line in lines[cds.first : cds.last + 1])
    key, _, location = first.strip().partition(" ")
    return [f"     {key:<16}{location.strip()}", *others]


def _elsewhere(rows: Sequence[str]) -> list[str]:
    """The lines of a CDS with a location that Biopython can read."""
    qualifiers = next((n for n, row in enumerate(rows) if row.lstrip().startswith("/")), len(rows))
    return [_SOMEWHERE, *rows[qualifiers:]]


def _for_biopython(rows: list[str], locus: Locus) -> list[str]:
    """The lines of a CDS: as they are, with another location, or only that; the first that can be read."""
    for some in (rows, _elsewhere(rows)):
        try:
            _parsed("\n".join([_locus_line(locus), _FEATURES_LINE, *some, "ORIGIN", "//", ""]))
        except _BIOPYTHON_RAISES:
            continue
        return some
    return [_SOMEWHERE]


def read_locus(lines: Sequence[bytes], record: Record, path: str) -> Locus:
    """Read a LOCUS line in any layout, also where its fields run together.

    Raises:
        InputError: it has no name, describes a protein, or name and length cannot be told apart.
    """
    text = decode(lines[record.first]).removeprefix("\ufeff").rstrip()
    locus = _LOCUS.fullmatch(text)
    match = _LENGTH.search(locus["said"], 1) if locus else None
    if locus is None or match is None:
        if name_only := _NAME_ONLY.fullmatch(text):
            return Locus(name_only["name"], None, circular=False)
        raise InputError("this LOCUS line has no name and length", path, record.first + 1)
    if match["unit"] == "aa":
        raise InputError("a protein record; give the GenBank file of the genome", path, record.first + 1)
    before, digits = locus["said"][: match.start()], match["length"]
    name = before.rstrip()
    if name == before:
        length = _separate_length(name, digits, lines, record, path)
        name, digits = (name + digits).removesuffix(length), length
    return Locus("_".join(name.split()), int(digits), "circular" in match["rest"].split())


def _separate_length(name: str, digits: str, lines: Sequence[bytes], record: Record, path: str) -> str:
    """Which of the digits at the end of 'name' + 'digits' are the length: the record itself tells."""
    ends = [_SOURCE_END.fullmatch(feature.location) for feature in record.features if feature.key == "source"]
    told = [str(count_bases(lines, record)), *(end[1] for end in ends if end)]
    for length in told:
        if digits.endswith(length) and length != "0":
            return length
    raise InputError(
        "name and length run together in this LOCUS line and nothing in the record tells them apart; "
        "put a space between them",
        path,
        record.first + 1,
    )


def read_id(lines: Sequence[bytes], record: Record, path: str) -> Locus:
    """Read the ID line of an EMBL record, of today or before 2006, and the name where it has none.

    Raises:
        InputError: it has no name, or describes a protein.
    """
    text = decode(lines[record.first]).removeprefix("\ufeff").rstrip()
    first, *fields = _EMBL_FIELD.split(text[len("ID") :].strip())
    name = next(iter(first.split()), "")
    size = next((match for field in fields if (match := _EMBL_SIZE.match(field))), None)
    if size and size[2].upper() == "AA":
        raise InputError("a protein record; give the EMBL file of the genome", path, record.first + 1)
    if name.upper() in _NO_ACCESSION:
        name = _named_below(lines, record) or name
    if not name:
        raise InputError("this ID line has no name; write one after ID", path, record.first + 1)
    version = next((field[2:].strip() for field in fields if re.fullmatch(r"SV\s+\w+", field)), "")
    circular = any("circular" in field.lower().split() for field in fields)
    return Locus(name, int(size[1]) if size else None, circular, version)


def _named_below(lines: Sequence[bytes], record: Record) -> str:
    """What the AC lines call a record: the submitter's `AC * _name`, else an accession; '' where nothing."""
    header = map(decode, lines[record.first : record.end if record.table is None else record.table])
    found = [match for line in header if (match := _EMBL_NAME.match(line))]
    names = [match[1] for match in found if match[1]] + [match[2] for match in found if match[2]]
    return next((name for name in names if name.upper() not in _NO_ACCESSION), "")


def readable(
    lines: Sequence[bytes],
    record: Record,
    locus: Locus,
    instead: Mapping[int, list[str]] = MappingProxyType({}),
) -> str:
    """The record's CDS and bases for Biopython: canonical LOCUS and FEATURES lines, an ORIGIN and a `//`.

    Of the header only what names the record is kept: Biopython stops at oddities of the rest, unneeded here.
    `instead` has other lines for some CDS, by their key lines.
    """
    table = [] if record.table is None else [_FEATURES_LINE]
    for cds in cds_of(record):
        table += instead.get(cds.first) or _rows(lines, cds)
    is_embl = record.style is EMBL
    named, bases = _embl_parts(lines, record, locus) if is_embl else _genbank_parts(lines, record)
    return "\n".join([_locus_line(locus), *named, *table, *bases, "//", ""])


def _genbank_parts(lines: Sequence[bytes], record: Record) -> tuple[list[str], list[str]]:
    """The lines that name a record, and those with its bases."""
    stop = record.end if record.close is None else record.close
    tables = [number for number in (record.table, record.section) if number is not None]
    start = min(tables, default=stop)
    header = [decode(line).rstrip() for line in lines[record.first + 1 : start]]
    named = [line for line in header if line.startswith(_USED_HEADER)]
    section = range(stop if record.section is None else record.section, stop)
    return named, [decode(lines[number]).rstrip() for number in section] or ["ORIGIN"]


def _embl_parts(lines: Sequence[bytes], record: Record, locus: Locus) -> tuple[list[str], list[str]]:
    """The same of an EMBL record, as GenBank has them: a count before the bases, not behind."""
    version = f"{locus.name}.{locus.version}" if locus.version else locus.name
    bases = [decode(lines[number]).strip("0123456789 \t\r\n") for number in record.sequence]
    named = [f"ACCESSION   {locus.name}", f"VERSION     {version}"]
    return named, ["ORIGIN", *(f"{1:>9} {row}" for row in bases if row)]


def _locus_line(locus: Locus) -> str:
    """Fixed columns where name and length fit into them; Biopython splits a longer line at its spaces."""
    if locus.length is None:
        return f"LOCUS       {locus.name}"
    room = 28 - len(locus.name)  # they share columns 13 to 40, GenBank release notes, 3.4.4
    size = f"{locus.length:>{room}}" if len(str(locus.length)) < room else f" {locus.length}"
    topology = "circular" if locus.circular else "linear"
    return f"LOCUS       {locus.name}{size} bp    DNA     {topology:<8} UNK 01-JAN-1980"
