"""The text of a GFF3 file, line by line: where its features end, and how it writes EC numbers.

Reading and writing back both build on this; neither needs the other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from glm_annot.io import qualifiers as q
from glm_annot.io.source import BOM, split_lines

COLUMNS = 9  # of a GFF3 feature line
MOST_ANCESTORS = 10  # that are followed from a CDS upwards; a gene and a transcript are two
# At the beginning of a line, whatever ends the line before: what we insert there may end otherwise.
_FASTA = re.compile(rb"(?:^|(?<=\r))(?:##FASTA|>)", re.MULTILINE | re.IGNORECASE)
# Some tools put a blank after each `;`.
PARENT = re.compile(rb"[\t;] *Parent=([^;,\t\r\n]+)")
_OPERON = re.compile(
    rb"[^#\t][^\t]*\t"
    + q.TOOL.encode()
    + rb"\toperon\t(?:[^\t]*\t){5}ID="
    + q.OPERON_ID.encode()
    + rb"(?:;|\s*$)"
)
_BAKTA = re.compile(rb"\bbakta\b", re.IGNORECASE)
_EC_PLACES = (
    (re.compile(rb"[\t;] *Dbxref=(?:[^;\t\r\n]*,)?\"?EC:"), q.BAKTA_EC),
    *((re.compile(rb"[\t;] *" + place[0].encode() + rb"="), place) for place in q.EC_ATTRIBUTES),
)


def split_text(text: bytes) -> tuple[bytes, list[bytes], bytes]:
    """(byte order mark or nothing, lines up to the sequences, the FASTA part); joined they are `text`."""
    mark = BOM if text.startswith(BOM) else b""
    body = text[len(mark) :]
    fasta = _FASTA.search(body)
    stop = fasta.start() if fasta else len(body)
    return mark, split_lines(body[:stop]), body[stop:]


def annotation_lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """(place in bytes, line) of each line of a file up to the sequences; a byte order mark is passed over."""
    place = len(BOM) if file.read(len(BOM)) == BOM else 0
    file.seek(place)
    for upto_line_feed in file:
        for line in split_lines(upto_line_feed):
            if _FASTA.match(line):
                return
            yield place, line
            place += len(line)


def is_feature(line: bytes) -> bool:
    """Whether a line before the sequences holds a feature: neither blank nor a comment or directive."""
    stripped = line.strip()
    return bool(stripped) and not stripped.startswith(b"#")


def is_our_operon(line: bytes) -> bool:
    """Whether a line is that of an operon of ours."""
    return _OPERON.match(line) is not None


class ECPlace:
    """Finds (attribute, prefix) in which a file keeps EC numbers, or would by the habit of its tool."""

    def __init__(self) -> None:
        self._seen = Counter[tuple[str, str]]()
        self._bakta = self._compliant = self._prokka = False

    def see(self, line: bytes) -> None:
        """Called for each line of the file."""
        if not is_feature(line):
            self._bakta |= _BAKTA.search(line) is not None
            return
        self._seen.update(place for pattern, place in _EC_PLACES if pattern.search(line))
        self._bakta |= b"\tBakta\t" in line
        self._compliant |= b"\tCDS\t" in line and PARENT.search(line) is not None
        self._prokka |= b"\tProdigal:" in line or b"\tprokka\t" in line

    @property
    def place(self) -> tuple[str, str]:
        """What all the lines speak for."""
        if self._seen:
            return self._seen.most_common(1)[0][0]
        if self._bakta:
            return q.INSDC_EC if self._compliant else q.BAKTA_EC
        return q.PROKKA_EC if self._prokka else q.INSDC_EC
