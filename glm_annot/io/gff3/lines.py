"""The lines of a GFF3 file: what they say of CDS, their ancestors and the contigs.

`survey` passes over all of them once and finds sections that can be read by themselves; `read_section` reads
one. gffutils parses the features that matter here; what no CDS depends on is kept as it is, right or wrong.
Lines are kept by number, because write-back patches them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

import numpy as np
from gffutils.feature import feature_from_line
from numpy.typing import NDArray

from glm_annot.errors import InputError
from glm_annot.io import qualifiers as q
from glm_annot.io.gff3.text import COLUMNS, ECPlace, annotation_lines, is_feature, is_our_operon
from glm_annot.io.oddities import Oddities
from glm_annot.io.sequences import DEFAULT_CODE, UNKNOWN_CODE, is_genetic_code
from glm_annot.io.source import BOM, decode, newline_of
from glm_annot.records import Skip

SECTION_CDS = 8192  # in a section, unless one contig has more; as many as `model.windows` reads at once
# Fixed, so that gffutils does not guess it anew from each line.
_DIALECT = {
    "fmt": "gff3",
    "field separator": ";",
    "keyval separator": "=",
    "multival separator": ",",
    "leading semicolon": False,
    "trailing semicolon": True,
    "quoted GFF2 values": False,
    "semicolon in quotes": False,
    "repeated keys": False,
    "order": [],
}
_NOWHERE = ".\t" * (COLUMNS - 1)  # for gffutils, which stops at places that are no numbers
_STRANDS = {"+": 1, "-": -1, "1": 1, "+1": 1, "-1": -1}  # numbers: IMG and JGI; anything else is none
_PHASES = ("0", "1", "2", "3")  # 3: a converter's codon_start, which `proteins` finds out
_LINES_NAMED = 5  # in a message
ANCESTORS = {"gene", "pseudogene", "mRNA", "transcript", "pseudogenic_transcript"}
_REGIONS = {"region", "chromosome", "plasmid", "contig"}
_SEQUENCE_REGION = re.compile(r"##sequence-region\s+(?:(\S+)\s+)?1\s+(\d{1,18})\s*$")
_PRODIGAL_SEQUENCE = re.compile(r'# Sequence Data:.*\bseqlen=(\d{1,18});seqhdr="(\S+?)[" ]')
_REFERENCES = re.compile(rb"[\t;][^\S\t]*(?:ID|Parent)\s*=([^;\t\r\n]+)")
_BLANKS_FOR_TABS = re.compile(r"\S+ +\S+ +CDS +\d+ +\d+ ", re.IGNORECASE)
_HIDDEN_CDS = re.compile(rb"##(?:[^\t]*\t){2}CDS\t(?:[^\t]*\t){5}", re.IGNORECASE)
_NEW_FILE = re.compile(rb"##gff-version\b")
_GTF = re.compile(r'\s*[\w.-]+ +"[^"]*"\s*(?:;|$)')  # how its ninth column begins
_COMMENTED_CODE = re.compile(r"#.*\btransl_table=(\w+)")


@dataclass(frozen=True, slots=True)
class Row:
    """One parsed feature line.

    `line` is 0-based; `strand` is 0 where the file gives none; `phase` is as stated, 3 too. Positions are
    those of CDS and regions; of other features and of malformed CDS they are 0 where the file has no whole
    numbers. `skip`: why a CDS cannot be predicted.
    """

    line: int
    contig: str
    kind: str
    start: int
    end: int
    strand: int
    phase: int
    attributes: Mapping[str, Sequence[str]]
    skip: Skip | None = None

    @property
    def id(self) -> str:
        return q.exact_text(self.attributes, "ID")


@dataclass(slots=True)
class Replicon:
    """What the file and the FASTA say of one contig; `place` is its own among those that the file names."""

    place: int
    length: int | None = None
    circular: bool = False
    sequence: str | None = None
    code: int = DEFAULT_CODE


@dataclass(frozen=True, slots=True)
class Section:
    """A run of lines that can be read by itself: bytes from `start` to before `stop`; `line` is 0-based."""

    start: int
    stop: int
    line: int


@dataclass(slots=True)
class Layout:
    """What one pass over a file collects of the whole of it.

    Attributes:
        path: the file, for messages.
        replicons: by name, in order.
        sections: of whole contigs with at most `SECTION_CDS` CDS lines, unless one contig has more. All lines
            together are one section where features of several refer to each other, or where the contigs
            stand in another order than the file names them first.
        lines: how many there are before the sequences.
        stop: where these begin, in bytes.
        newline, ec_place: the habits of the file, as `Source` has them.
    """

    path: str
    replicons: dict[str, Replicon] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    lines: int = 0
    stop: int = 0
    newline: bytes = b"\n"
    ec_place: tuple[str, str] = q.INSDC_EC

    def replicon(self, name: str) -> Replicon:
        """That of this name, made where there is none yet."""
        if name not in self.replicons:
            self.replicons[name] = Replicon(len(self.replicons))
        return self.replicons[name]


@dataclass(slots=True)
class Document:
    """What the lines of a section say; `first` is the number of its first line in the file, 0-based.

    `code` is the genetic code of all CDS where the user chose one.
    """

    path: str
    oddities: Oddities
    first: int = 0
    rows: list[Row] = field(default_factory=list)
    replicons: dict[str, Replicon] = field(default_factory=dict)
    code: int | None = None

    def error(self, message: str, line: int) -> InputError:
        return InputError(message, self.path, self.first + line + 1)

    def lines(self, rows: Sequence[Row]) -> str:
        """'line 3', 'lines 3, 4': where some rows stand in the file; of many the first ones."""
        numbers = sorted(self.first + row.line + 1 for row in rows)
        more = ", ..." if len(numbers) > _LINES_NAMED else ""
        return f"line{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers[:_LINES_NAMED]))}{more}"


def survey(file: BinaryIO, path: str, code: int = DEFAULT_CODE) -> Layout:
    """Pass over all lines of a file before its sequences, from its beginning, and warn of odd ones.

    Args:
        file, path: the file, and what it is called in messages.
        code: the genetic code where the file states none.

    Raises:
        InputError: no CDS, several files joined, GTF, or an operon of ours, which `patch.strip` leaves only
            where it must not be taken for one.
    """
    oddities = Oddities(path)
    layout, document, cuts, ec_place = Layout(path), Document(path, oddities), _Cuts(), ECPlace()
    joined, kinds = _Joined(document), set[str]()
    nameless: list[int] = []  # CDS lines whose attributes are not name=value
    pending: int | None = (
        None  # length from a ##sequence-region that names no contig: it is the next feature's
    )
    for number, (start, raw) in enumerate(annotation_lines(file)):
        if number == 0:
            layout.newline = newline_of(raw)
        layout.lines, layout.stop = number + 1, start + len(raw)
        ec_place.see(raw)
        if raw.startswith(BOM):
            raise document.error(
                "a byte order mark in the middle: these are files joined into one; give them one by one",
                number,
            )
        if is_feature(raw):
            if is_our_operon(raw):
                raise document.error(q.not_ours("this operon has"), number)
            columns = _columns(raw)
            if not _is_usable(columns, document, number):
                continue
            nameless += [number] if _is_nameless(columns) else []
            kinds.add(columns[2])
            joined.see_feature(columns[0], raw, number)
            replicon = layout.replicon(columns[0])
            replicon.code = code
            if pending is not None:
                replicon.length, pending = replicon.length or pending, None
            if columns[2] in _REGIONS or b"Is_circular=" in raw:
                _take_region(_row(columns, document, number), replicon)
            cuts.see(Section(start, layout.stop, number), raw, replicon.place, is_cds=_is_cds(columns))
        elif raw.startswith(b"#"):
            joined.see_comment(raw, number)
            if _HIDDEN_CDS.match(raw):
                oddities.see(
                    "CDS that were not read, because their line begins with ##", f"line {number + 1}"
                )
            comment = decode(raw)
            pending = _read_comment(comment, layout) or pending
            if match := _COMMENTED_CODE.match(comment):
                if is_genetic_code(match[1]):
                    code = int(match[1])  # Prodigal: before the features of each sequence
                else:
                    oddities.see(UNKNOWN_CODE, f"transl_table={match[1]}, line {number + 1}")
    if not cuts.n_cds:
        what = "gene lines but no CDS" if "gene" in kinds else "no CDS"
        raise InputError(f"{what} in this file; call genes first (Bakta, Prokka, Prodigal, ...)", path)
    if 2 * len(nameless) > cuts.n_cds:
        raise document.error(
            "attributes that are not GFF3 (name=value;...); convert GTF or GFF2 first", nameless[0]
        )
    oddities.tell()
    layout.sections, layout.ec_place = cuts.sections(layout.stop), ec_place.place
    return layout


class _Joined:
    """Finds several files joined into one: their contigs have the same names."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._begins = 0  # line of the last ##gff-version
        self._file_of: dict[str, int] = {}

    def see_comment(self, line: bytes, number: int) -> None:
        """Called for each comment or directive."""
        if _NEW_FILE.match(line):
            self._begins = number

    def see_feature(self, contig: str, line: bytes, number: int) -> None:
        """Called for each feature line."""
        if _NEW_FILE.search(line):
            raise self._document.error(
                "a second GFF3 file begins within this line: these are several files joined; give them one "
                "by one",
                number,
            )
        if self._file_of.setdefault(contig, self._begins) != self._begins:
            raise self._document.error(
                f"a second GFF3 file begins here, and both have a contig called {contig}: these are several "
                "files joined; give them one by one",
                self._begins,
            )


class _Cuts:
    """Finds where a file can be cut: between contigs, if no feature refers across the cut."""

    def __init__(self) -> None:
        self.n_cds = 0
        self._starts: list[tuple[int, int]] = [(0, 0)]  # of sections: first byte, first line
        self._keys: list[NDArray[np.int64]] = []  # what each closed section's lines are called and refer to
        self._places: list[int] = []  # of contigs that have CDS, as they come
        self._contig: int | None = None
        self._contig_start = (0, 0)
        self._held, self._held_keys = 0, set[int]()  # of the section, but for its last contig
        self._cds, self._contig_keys = 0, set[int]()  # of that one

    def see(self, at: Section, line: bytes, contig: int, *, is_cds: bool) -> None:
        """Called for each feature line in turn; `contig` is the place of its contig."""
        if contig != self._contig:
            self._end_contig()
            self._contig, self._contig_start = contig, (at.start, at.line)
            self._contig_keys.add(contig)
        if is_cds:
            self.n_cds += 1
            self._cds += 1
            if not self._places or self._places[-1] != contig:
                self._places.append(contig)
        for names in _REFERENCES.findall(line):
            self._contig_keys.update(map(hash, unquote_to_bytes(names).replace(b'"', b"").split(b",")))

    def _end_contig(self) -> None:
        if self._held and self._held + self._cds > SECTION_CDS:
            self._end_section()
            self._starts.append(self._contig_start)
        self._held += self._cds
        self._held_keys |= self._contig_keys
        self._cds, self._contig_keys = 0, set()

    def _end_section(self) -> None:
        self._keys.append(np.fromiter(self._held_keys, np.int64, len(self._held_keys)))
        self._held, self._held_keys = 0, set()

    def sections(self, stop: int) -> list[Section]:
        """All sections of a file whose lines end at byte `stop`."""
        self._end_contig()
        self._end_section()
        apart = sum(map(len, self._keys)) == len(np.unique(np.concatenate(self._keys)))
        if not apart or self._places != sorted(self._places):
            return [Section(0, stop, 0)]
        stops = [start for start, _ in self._starts[1:]] + [stop]
        return [Section(start, end, line) for (start, line), end in zip(self._starts, stops, strict=True)]


def read_section(lines: Sequence[bytes], section: Section, layout: Layout, oddities: Oddities) -> Document:
    """The features of a section that matter here, and its contigs, in order of the file.

    Raises:
        InputError: a CDS whose place makes no sense, or with attributes that are called as ours are.
    """
    document = Document(layout.path, oddities, section.line)
    named: set[str] = set()
    for number, raw in enumerate(lines):
        if is_feature(raw):
            columns = _columns(raw)
            if len(columns) != COLUMNS and not _is_cds(columns):
                continue
            named.add(columns[0])
            if _is_cds(columns) or columns[2] in ANCESTORS:
                document.rows.append(_row(columns, document, number))
    contigs = sorted(named, key=lambda name: layout.replicons[name].place)
    document.replicons = {name: replace(layout.replicons[name]) for name in contigs}
    return document


def _columns(raw: bytes) -> list[str]:
    """The columns of a line; empty ones after the last are left out."""
    columns = decode(raw.rstrip(b"\r\n")).split("\t")
    while len(columns) > COLUMNS and not columns[-1].strip():
        columns.pop()
    return columns


def _is_cds(columns: Sequence[str]) -> bool:
    return len(columns) > 2 and columns[2].upper() == "CDS"


def _is_nameless(columns: Sequence[str]) -> bool:
    """Whether a line is a CDS with all columns, but without names and values in the last."""
    if not _is_cds(columns) or len(columns) != COLUMNS:
        return False
    last = columns[COLUMNS - 1]
    return last.strip(";. ") != "" and ("=" not in last or _GTF.match(last) is not None)


def _is_usable(columns: Sequence[str], document: Document, number: int) -> bool:
    """Whether a line is a feature; counts what is odd about it.

    Raises:
        InputError: it seems to be a CDS, but has blanks where tabs belong.
    """
    line = f"line {number + 1}"
    if _is_cds(columns):
        if columns[2] != "CDS":
            document.oddities.see(f"features called {columns[2]}, read as CDS", line)
        if len(columns) != COLUMNS:
            document.oddities.see(f"CDS lines without the {COLUMNS} columns of GFF3, which are skipped", line)
        if _is_nameless(columns):
            document.oddities.see("CDS whose attributes are not name=value, which are skipped", line)
        return True
    if len(columns) != COLUMNS:
        if _BLANKS_FOR_TABS.match(columns[0]):
            raise document.error(
                f"spaces where tabs belong between the {COLUMNS} columns of GFF3; replace them by tabs",
                number,
            )
        document.oddities.see(
            f"lines other than CDS that lack the {COLUMNS} columns of GFF3, kept as they are", line
        )
        return False
    if not all(map(_from_one, columns[3:5])):
        document.oddities.see(
            "features other than CDS whose start or end is not a whole number from 1 on, kept as they are",
            line,
        )
    return True


def _position(text: str) -> int | None:
    """A whole number of at most 18 digits, also behind the `<` or `>` of an open end (BCBio-gff), or None."""
    number = text.removeprefix("<").removeprefix(">")
    digits = number.removeprefix("-")
    return int(number) if digits.isdecimal() and len(digits) <= 18 else None


def _from_one(text: str) -> bool:
    return (_position(text) or 0) > 0


def _read_comment(comment: str, layout: Layout) -> int | None:
    """Take a contig's length from a directive; returned where the directive does not say whose it is."""
    if match := _SEQUENCE_REGION.match(comment):
        if match[1] is None:
            return int(match[2])
        layout.replicon(match[1]).length = int(match[2])
    elif match := _PRODIGAL_SEQUENCE.match(comment):
        layout.replicon(match[2]).length = int(match[1])
    return None


def _row(columns: Sequence[str], document: Document, number: int) -> Row:
    is_cds, nameless = _is_cds(columns), _is_nameless(columns)
    skip = Skip.MALFORMED if nameless or len(columns) != COLUMNS else None
    columns = [*columns, *["."] * (COLUMNS - len(columns))]
    start, end = _position(columns[3]) or 0, _position(columns[4]) or 0
    if is_cds and skip is None:
        _check_cds(columns, document, number)
    elif start > end:
        start = end = 0
    attributes = {} if nameless else _attributes(columns)
    if is_cds and q.NAMES & attributes.keys():
        raise document.error(q.not_ours("this CDS has"), number)
    if is_cds:
        code = q.text(attributes, "transl_table")
        if code and not is_genetic_code(code):
            document.oddities.see(UNKNOWN_CODE, f"transl_table={code}, line {document.first + number + 1}")
    return Row(
        line=number,
        contig=columns[0],
        kind="CDS" if is_cds else columns[2],
        start=start,
        end=end,
        strand=_STRANDS.get(columns[6], 0),
        phase=int(columns[7]) if columns[7] in _PHASES else 0,
        attributes=attributes,
        skip=skip,
    )


def _attributes(columns: Sequence[str]) -> dict[str, list[str]]:
    """Names and values of column 9; quotes around it, a value or an item are not part of them."""
    last = columns[COLUMNS - 1]
    if last.startswith('"') and last.endswith('"'):
        last = last[1:-1].replace('""', '"')
    feature = feature_from_line(_NOWHERE + last, dialect=_DIALECT)
    return {key.strip(): q.unquoted(values) for key, values in feature.attributes.items()}


def _check_cds(columns: Sequence[str], document: Document, number: int) -> None:
    start, end = map(_position, columns[3:5])
    if start is None or end is None:
        raise document.error(
            f"start {columns[3][:20]!r} and end {columns[4][:20]!r} must be whole numbers from 1 on", number
        )
    if start > end:
        raise document.error(
            f"CDS starts at {columns[3]}, after its end at {columns[4]}; give the smaller first "
            "(over the origin of a circular contig: end + contig length)",
            number,
        )
    if columns[7] not in (*_PHASES, "."):
        document.oddities.see(
            "CDS whose phase is not 0, 1 or 2, read as 0", f"line {document.first + number + 1}"
        )


def _take_region(row: Row, replicon: Replicon) -> None:
    if q.text(row.attributes, "Is_circular").lower() == "true":
        replicon.circular = True
    if row.kind in _REGIONS and row.start == 1 and row.id.startswith(row.contig):
        replicon.length = replicon.length or row.end
