"""One pass over the lines of a GFF3 file: what they say of CDS, their ancestors and the contigs.

gffutils parses the features that matter here; of the others only the number of columns is checked. Lines are
kept by number, because write-back patches them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gffutils.feature import feature_from_line

from glm_annot.errors import InputError
from glm_annot.io import qualifiers as q
from glm_annot.io.gff3_patch import COLUMNS, is_feature
from glm_annot.io.sequences import DEFAULT_CODE, genetic_code
from glm_annot.io.source import decode

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
ANCESTORS = {"gene", "pseudogene", "mRNA", "transcript", "pseudogenic_transcript"}
_REGIONS = {"region", "chromosome", "plasmid", "contig"}
_SEQUENCE_REGION = re.compile(r"##sequence-region\s+(?:(\S+)\s+)?1\s+(\d+)\s*$")
_PRODIGAL_SEQUENCE = re.compile(r'# Sequence Data:.*\bseqlen=(\d+);seqhdr="(\S+?)[" ]')
_COMMENTED_CODE = re.compile(r"#.*\btransl_table=(\w+)")


@dataclass(frozen=True, slots=True)
class Row:
    """One parsed feature line. `line` is 0-based; `strand` is 0 where the file gives none."""

    line: int
    contig: str
    kind: str
    start: int
    end: int
    strand: int
    phase: int
    attributes: Mapping[str, Sequence[str]]

    @property
    def id(self) -> str:
        return q.text(self.attributes, "ID")


@dataclass(slots=True)
class Replicon:
    """What the file and the FASTA say of one contig."""

    length: int | None = None
    circular: bool = False
    sequence: str | None = None
    code: int = DEFAULT_CODE


@dataclass(slots=True)
class Document:
    """What one pass over the lines collects."""

    path: str
    rows: list[Row] = field(default_factory=list)
    replicons: dict[str, Replicon] = field(default_factory=lambda: defaultdict(Replicon))

    def error(self, message: str, line: int) -> InputError:
        return InputError(message, self.path, line + 1)


def scan(lines: Sequence[bytes], path: str) -> Document:
    """Read all lines before the sequences.

    Raises:
        InputError: a line without nine columns, or a CDS whose coordinates, strand or phase make no sense.
    """
    document = Document(path)
    pending: int | None = (
        None  # length from a ##sequence-region that names no contig: it is the next feature's
    )
    code = DEFAULT_CODE  # Prodigal states one before the features of each sequence
    for number, raw in enumerate(lines):
        if is_feature(raw):
            columns = _columns(raw, document, number)
            replicon = document.replicons[columns[0]]
            replicon.code = code
            if pending is not None:
                replicon.length, pending = replicon.length or pending, None
            if columns[2] == "CDS" or columns[2] in ANCESTORS | _REGIONS or b"Is_circular=" in raw:
                _add_row(document, _row(columns, document, number))
        elif raw.startswith(b"#"):
            comment = decode(raw)
            pending = _read_comment(comment, document) or pending
            if match := _COMMENTED_CODE.match(comment):
                code = genetic_code(match[1], path, number + 1)
    return document


def _columns(raw: bytes, document: Document, number: int) -> list[str]:
    columns = decode(raw.rstrip(b"\r\n")).split("\t")
    if len(columns) != COLUMNS:
        raise document.error(
            f"{len(columns)} columns where GFF3 has {COLUMNS}, separated by tabs; mend or remove this line",
            number,
        )
    return columns


def _read_comment(comment: str, document: Document) -> int | None:
    """Take a contig's length from a directive; returned where the directive does not say whose it is."""
    if match := _SEQUENCE_REGION.match(comment):
        if match[1] is None:
            return int(match[2])
        document.replicons[match[1]].length = int(match[2])
    elif match := _PRODIGAL_SEQUENCE.match(comment):
        document.replicons[match[2]].length = int(match[1])
    return None


def _row(columns: Sequence[str], document: Document, number: int) -> Row:
    if not (columns[3].isdecimal() and columns[4].isdecimal()) or columns[3] == "0":
        raise document.error(
            f"start {columns[3]!r} and end {columns[4]!r} must be whole numbers from 1 on", number
        )
    if columns[2] == "CDS":
        _check_cds(columns, document, number)
    feature = feature_from_line("\t".join(columns), dialect=_DIALECT)
    return Row(
        line=number,
        contig=columns[0],
        kind=columns[2],
        start=int(columns[3]),
        end=int(columns[4]),
        strand={"+": 1, "-": -1}.get(columns[6], 0),
        phase=int(columns[7]) if columns[7] in ("0", "1", "2") else 0,
        attributes={key.strip(): values for key, values in feature.attributes.items()},
    )


def _check_cds(columns: Sequence[str], document: Document, number: int) -> None:
    if int(columns[3]) > int(columns[4]):
        raise document.error(
            f"CDS starts at {columns[3]}, after its end at {columns[4]}; give the smaller first "
            "(over the origin of a circular contig: end + contig length)",
            number,
        )
    if columns[6] not in ("+", "-"):
        raise document.error(f"CDS on strand {columns[6]!r}; a CDS needs + or -", number)
    if columns[7] not in ("0", "1", "2", "."):
        raise document.error(f"CDS with phase {columns[7]!r}; it must be 0, 1 or 2", number)
    if columns[8].strip(";. ") and "=" not in columns[8]:
        raise document.error(
            "attributes that are not GFF3 (name=value;...); convert GTF or GFF2 first", number
        )


def _add_row(document: Document, row: Row) -> None:
    replicon = document.replicons[row.contig]
    if q.text(row.attributes, "Is_circular").lower() == "true":
        replicon.circular = True
    if row.kind in _REGIONS and row.start == 1 and row.id.startswith(row.contig):
        replicon.length = replicon.length or row.end
    if row.kind == "CDS" or row.kind in ANCESTORS:
        document.rows.append(row)
