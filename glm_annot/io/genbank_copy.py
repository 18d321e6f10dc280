"""The copy of a record that Biopython is given, with what it refuses repaired; the original stays as it is.

Prokka and others write LOCUS lines whose name runs into the length, and some tools leave out the ORIGIN or
the last `//`. Biopython stops at each of these although nothing is missing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from glm_annot.errors import InputError
from glm_annot.io.genbank_text import Record, count_bases
from glm_annot.io.source import decode

_LOCUS = re.compile(r"LOCUS\s+(?P<name>\S.*?)(?P<gap>\s*)(?P<length>\d+)\s+(?P<unit>bp|aa|rc)\b(?P<rest>.*)")
_NAME_ONLY = re.compile(r"LOCUS\s+(?P<name>\S+)\s*")
_SOURCE_END = re.compile(r"1\.\.>?(\d+)")
_FEATURES_LINE = "FEATURES             Location/Qualifiers"


@dataclass(frozen=True, slots=True)
class Locus:
    """What a LOCUS line says. `length` in base pairs, None where it does not say."""

    name: str
    length: int | None
    circular: bool


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


def readable(lines: Sequence[bytes], record: Record, locus: Locus) -> str:
    """The record's text for Biopython: canonical LOCUS and FEATURES lines, an ORIGIN and a `//`."""
    stop = record.end if record.close is None else record.close
    body = [decode(line).rstrip() for line in lines[record.first : stop]]
    body[0] = _locus_line(locus)
    if record.table is not None:
        body[record.table - record.first] = _FEATURES_LINE
    if record.section is None:
        body.append("ORIGIN")
    return "\n".join([*body, "//", ""])


def _locus_line(locus: Locus) -> str:
    """Fixed columns where name and length fit into them; Biopython splits a longer line at its spaces."""
    if locus.length is None:
        return f"LOCUS       {locus.name}"
    room = 28 - len(locus.name)  # name and length share columns 13 to 40, GenBank release notes, 3.4.4
    size = f"{locus.length:>{room}}" if len(str(locus.length)) < room else f" {locus.length}"
    topology = "circular" if locus.circular else "linear"
    return f"LOCUS       {locus.name}{size} bp    DNA     {topology:<8} UNK 01-JAN-1980"


def _separate_length(name: str, digits: str, lines: Sequence[bytes], record: Record, path: str) -> str:
    """Which of the digits at the end of 'name' + 'digits' are the length: the record itself tells."""
    ends = [_SOURCE_END.fullmatch(feature.location) for feature in record.features if feature.key == "source"]
    told = [str(count_bases(lines, record)), *(end[1] for end in ends if end)]
    for length in told:
        if digits.endswith(length) and length != "0" and name + digits != length:
            return length
    raise InputError(
        "name and length run together in this LOCUS line and nothing in the record tells them apart: "
        "put a space between them",
        path,
        record.first + 1,
    )
