"""GenBank records as Biopython reads them, together with their lines in the file.

Biopython is given a copy of the CDS in which what it refuses without need is repaired: Prokka and others
write LOCUS lines whose name runs into the length, and some tools leave out the ORIGIN or the last `//`. Other
features may be as they are: nothing depends on them, and tools write odd locations for them.
The original text stays as it is, and what Biopython reads is held against the scanned lines: a patch must
never go astray.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from Bio import BiopythonParserWarning, SeqIO
from Bio.GenBank.Scanner import GenBankScanner
from Bio.SeqFeature import SeqFeature
from Bio.SeqRecord import SeqRecord

from glm_annot.errors import InputError
from glm_annot.io.genbank.text import QUALIFIER_INDENT, Feature, Record, count_bases, records
from glm_annot.io.source import decode, split_lines

_LOCUS = re.compile(r"LOCUS\s+(?P<name>\S.*?)(?P<gap>\s*)(?P<length>\d+)\s+(?P<unit>bp|aa|rc)\b(?P<rest>.*)")
_NAME_ONLY = re.compile(r"LOCUS\s+(?P<name>\S+)")
_BACKWARDS = re.compile(r"<?(\d+)\.\.>?(\d+)")
_SOURCE_END = re.compile(r"1\.\.>?(\d+)")
_USED_HEADER = ("ACCESSION", "VERSION")
_BIOPYTHON_RAISES = (ValueError, AssertionError, LookupError, AttributeError, TypeError)
_FEATURES_LINE = "FEATURES             Location/Qualifiers"


@dataclass(frozen=True, slots=True)
class Locus:
    """What a LOCUS line says. `length` in base pairs, None where it does not say."""

    name: str
    length: int | None
    circular: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One record: where its lines are, its LOCUS line, and what Biopython made of it."""

    layout: Record
    locus: Locus
    content: SeqRecord

    @property
    def sequence(self) -> str:
        """Its own bases, upper case; '' where it carries none."""
        return str(self.content.seq) if self.content.seq.defined else ""

    @property
    def coding(self) -> Iterator[tuple[SeqFeature, Feature]]:
        """Each CDS as Biopython has it, with its lines."""
        return zip(self.content.features, cds_of(self.layout), strict=True)


def cds_of(record: Record) -> list[Feature]:
    """The CDS of a record, in order of the file."""
    return [feature for feature in record.features if feature.key == "CDS"]


def read_entries(text: bytes, path: str) -> list[Entry]:
    """All records of a GenBank text.

    Raises:
        InputError: no record, or a damaged one; it names the line at fault.
    """
    lines = split_lines(text)
    entries = [_read(lines, layout, path) for layout in records(lines)]
    if not entries:
        raise InputError("no LOCUS line, so this is no GenBank file", path)
    return entries


def _read(lines: Sequence[bytes], layout: Record, path: str) -> Entry:
    _check_layout(layout, path)
    locus = read_locus(lines, layout, path)
    entry = Entry(layout, locus, _biopython(lines, layout, locus, path))
    found = len(entry.content.seq)
    if locus.length is not None and found != locus.length:
        cut_short = layout.close is None
        raise InputError(
            f"LOCUS says {locus.length} bp but the sequence has {found}; fetch or copy the file again",
            path,
            layout.end if cut_short else layout.first + 1,
        )
    _check_features(entry, path)
    return entry


def _check_layout(layout: Record, path: str) -> None:
    if layout.stray:
        raise InputError(
            "this line is no feature, qualifier or sequence of a GenBank file; is the file damaged?",
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


def _check_features(entry: Entry, path: str) -> None:
    """Make sure that the lines found are those of Biopython's features, and that each CDS has a place."""
    for feature, lines in zip_longest(entry.content.features, cds_of(entry.layout)):
        if lines is None:
            line = entry.layout.first + 1
            raise InputError("the layout of this record's features is not understood", path, line)
        if feature is None or feature.type != lines.key or not _agree(feature, lines, len(entry.content.seq)):
            raise InputError(_bad_location(lines), path, lines.first + 1)


def _bad_location(cds: Feature) -> str:
    backwards = _BACKWARDS.fullmatch(cds.location)
    if backwards and int(backwards[1]) > int(backwards[2]):
        start, end = backwards.groups()
        return (
            f"the CDS {cds.location} starts after its end; write complement({end}..{start}) if that is "
            "meant, or join(...) for a gene over the origin"
        )
    return f"the feature {cds.key} {cds.location} cannot be read; check location and columns"


def _agree(feature: SeqFeature, lines: Feature, length: int) -> bool:
    """Whether each bound that Biopython read is in the text; it adds 1 and `length` when it splits 90..10."""
    if feature.location is None:
        return False
    bounds = [(part.start, part.end) for part in feature.location.parts]
    if not all(isinstance(bound, int) for pair in bounds for bound in pair):
        return False  # an unknown position, `?`
    stated = {int(number) for number in re.findall(r"\d+", lines.location)} | {1, length}
    return all(start + 1 in stated and end in stated for start, end in bounds)


def _biopython(lines: Sequence[bytes], layout: Record, locus: Locus, path: str) -> SeqRecord:
    with warnings.catch_warnings():
        # What they warn of is harmless (wrapping, LOCUS columns) or is checked in this module.
        warnings.simplefilter("ignore", BiopythonParserWarning)
        try:
            return SeqIO.read(io.StringIO(readable(lines, layout, locus)), "genbank")
        except _BIOPYTHON_RAISES as error:
            what = str(error).partition("\n")[0].rstrip(":") or "malformed"
            line = _unreadable(lines, layout) + 1
            raise InputError(f"Biopython cannot read this: {what}", path, line) from error


def _unreadable(lines: Sequence[bytes], layout: Record) -> int:
    """The line of the first CDS that Biopython cannot read by itself, else that of the record."""
    scanner = GenBankScanner()
    for feature in cds_of(layout):
        rows = [
            decode(line)[len(QUALIFIER_INDENT) :].strip() for line in lines[feature.first : feature.last + 1]
        ]
        try:
            scanner.parse_feature(feature.key, rows)
        except _BIOPYTHON_RAISES:
            return feature.first
    return layout.first


def read_locus(lines: Sequence[bytes], record: Record, path: str) -> Locus:
    """Read a LOCUS line in any layout, also where its fields run together.

    Raises:
        InputError: it has no name, describes a protein, or name and length cannot be told apart.
    """
    text = decode(lines[record.first]).removeprefix("\ufeff").rstrip()
    match = _LOCUS.fullmatch(text)
    if match is None:
        if name_only := _NAME_ONLY.fullmatch(text):
            return Locus(name_only["name"], None, circular=False)
        raise InputError("this LOCUS line has no name and length", path, record.first + 1)
    if match["unit"] == "aa":
        raise InputError("a protein record; give the GenBank file of the genome", path, record.first + 1)
    name, digits = match["name"], match["length"]
    if not match["gap"]:
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


def readable(lines: Sequence[bytes], record: Record, locus: Locus) -> str:
    """The record's CDS and bases for Biopython: canonical LOCUS and FEATURES lines, an ORIGIN and a `//`.

    Of the header only what names the record is kept: Biopython stops at oddities of the rest, unneeded here.
    """
    stop = record.end if record.close is None else record.close
    tables = [number for number in (record.table, record.section) if number is not None]
    start = min(tables, default=stop)
    header = [decode(line).rstrip() for line in lines[record.first + 1 : start]]
    named = [line for line in header if line.startswith(_USED_HEADER)]
    table = [] if record.table is None else [_FEATURES_LINE]
    for cds in cds_of(record):
        table += [decode(line).rstrip() for line in lines[cds.first : cds.last + 1]]
    section = range(stop if record.section is None else record.section, stop)
    sequence = [decode(lines[number]).rstrip() for number in section] or ["ORIGIN"]
    return "\n".join([_locus_line(locus), *named, *table, *sequence, "//", ""])


def _locus_line(locus: Locus) -> str:
    """Fixed columns where name and length fit into them; Biopython splits a longer line at its spaces."""
    if locus.length is None:
        return f"LOCUS       {locus.name}"
    room = 28 - len(locus.name)  # they share columns 13 to 40, GenBank release notes, 3.4.4
    size = f"{locus.length:>{room}}" if len(str(locus.length)) < room else f" {locus.length}"
    topology = "circular" if locus.circular else "linear"
    return f"LOCUS       {locus.name}{size} bp    DNA     {topology:<8} UNK 01-JAN-1980"
