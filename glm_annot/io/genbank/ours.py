"""What of a GenBank or EMBL text is an addition of ours; `patch` makes them.

A text holds additions only where a comment of ours says what made them. In a CDS they are one block of
lines: our /inference, then the qualifiers that go with it, and last our structured note. Where another tool
has moved these apart, as Biopython does, the note tells which of them were there.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from glm_annot.io import qualifiers as names
from glm_annot.io.genbank.text import Feature, Qualifier, Record, qualifiers, records, table_line
from glm_annot.io.source import decode, join_lines, split_lines

INFERENCE = f"ab initio prediction:{names.TOOL}:"  # INSDC /inference: category:program:version
NOTE = f"{names.TOOL}: "
SEPARATOR = "; "  # between the entries of our note

_COMMENT = (NOTE + names.PROVENANCE_START).encode()
_NOTE_LINE = f'/note="{NOTE}'
_ENTRIES = frozenset(name.removeprefix(names.PREFIX) for name in names.NAMES)


def strip(text: bytes) -> bytes:
    """`text` without our additions; the same bytes where no comment of ours says that it holds any."""
    if _COMMENT not in text:
        return text
    lines = split_lines(text)
    ours = _lines_of_ours(lines, records(lines))
    return join_lines(line for number, line in enumerate(lines) if number not in ours) if ours else text


def said(text: bytes) -> dict[int, dict[str, str]]:
    """What our notes in `text` say of a CDS, by the number of its first line in the text without ours."""
    lines = split_lines(text)
    layout = records(lines)
    ours = sorted(_lines_of_ours(lines, layout))
    features = (feature for record in layout for feature in record.features if feature.key == "CDS")
    tags = {feature.first - bisect_left(ours, feature.first): _tags(lines, feature) for feature in features}
    return {number: found for number, found in tags.items() if found}


def _tags(lines: Sequence[bytes], feature: Feature) -> dict[str, str]:
    """What our note of a CDS says, by the names of our attributes."""
    notes = (_entries(q.value) for q in qualifiers(lines, feature) if q.name == "note")
    entries = next(filter(None, notes), {})
    named = {names.PREFIX + name: value for name, value in entries.items()}
    return {name: ",".join(names.listed(value)) if name in names.LISTS else value
            for name, value in named.items()}  # fmt: skip


def _lines_of_ours(lines: Sequence[bytes], layout: Sequence[Record]) -> set[int]:
    """The numbers of our lines; none where no comment of ours says that there are any."""
    ours = {number for record in layout for number in _comment(lines, record)}
    if ours:
        ours.update(n for record in layout for feature in record.features for n in _additions(lines, feature))
    return ours


def provenance(text: bytes) -> str | None:
    """The comment of ours that says what made the additions in `text`; None where there is none."""
    if _COMMENT not in text:
        return None
    lines = split_lines(text)
    for record in records(lines):
        ours = [decode(lines[number]).rstrip() for number in _comment(lines, record)]
        if rows := [row[len(record.style.comment) :].strip() for row in ours]:
            return "\n".join(filter(None, rows)).replace("=\n", "=").replace("\n", " ")
    return None


def unaccounted(lines: Sequence[bytes], layout: Sequence[Record]) -> Feature | None:
    """A feature with what looks like an addition of ours, in a text from which ours have been taken out."""
    features = (feature for record in layout for feature in record.features)
    return next((feature for feature in features if any(True for _ in _additions(lines, feature))), None)


def _comment(lines: Sequence[bytes], record: Record) -> Iterator[int]:
    """The lines of our comment in a record. Biopython joins it to that of others, where it comes last."""
    style = record.style
    opening, inside = (style.comment + _COMMENT, style.comment_indent + _COMMENT), False
    for number in range(record.first, record.first if record.table is None else record.table):
        line = lines[number]
        ends = inside and style.comment_end != b"" and line.rstrip() == style.comment_end
        inside = line.startswith(opening) or (inside and line.startswith(style.comment_indent))
        if inside or ends:
            yield number


def _additions(lines: Sequence[bytes], feature: Feature) -> Iterator[int]:
    """Our lines of a feature: a whole operon with our /inference, or our qualifiers of a CDS."""
    if feature.key == "operon":
        found = list(qualifiers(lines, feature))
        if any(map(_is_inference, found)) and any(map(_is_operon, found)):
            yield from range(feature.first, feature.last + 1)
    elif feature.key == "CDS":
        yield from _block(lines, feature) or _moved(lines, feature)


def _block(lines: Sequence[bytes], feature: Feature) -> range:
    """Our qualifiers of a CDS where they stand as they were written; empty where they do not.

    Lines are compared, whatever stands before them: a quote that is never closed would swallow them.
    """
    rows = [decode(table_line(line)).strip() for line in lines[feature.first : feature.last + 1]]
    note = max((number for number, row in enumerate(rows) if row.startswith(_NOTE_LINE)), default=0)
    stop = next((number + 1 for number in range(note, len(rows)) if rows[number].endswith('"')), 0)
    if not note or stop <= note:
        return range(0)
    entries = _entries(" ".join(rows[note:stop]).removeprefix('/note="').removesuffix('"'))
    start = note
    while entries and start > 1:
        start -= 1
        if not rows[start].startswith("/"):
            continue  # a wrapped qualifier goes on here
        said = next(qualifiers(lines, Feature("", "", feature.first + start - 1, feature.first + note - 1)))
        if _is_inference(said):
            return range(feature.first + start, feature.first + stop)
        if not _goes_with(said, entries):
            break
    return range(0)


def _moved(lines: Sequence[bytes], feature: Feature) -> Iterator[int]:
    """Our qualifiers of a CDS that another tool has moved: the note, and the last of what goes with it."""
    found = list(qualifiers(lines, feature))
    note = next((q for q in reversed(found) if q.name == "note" and _entries(q.value)), None)
    if note is None:
        return
    entries = _entries(note.value)
    last = {(q.name, q.value): q for q in found if _goes_with(q, entries) or _is_inference(q)}
    for qualifier in (note, *last.values()):
        yield from range(qualifier.first, qualifier.last + 1)


def _entries(note: str) -> dict[str, str]:
    """What our note says, by name; empty for any other note."""
    if not note.startswith(NOTE):
        return {}
    entries = dict(entry.partition("=")[::2] for entry in note.removeprefix(NOTE).split(SEPARATOR))
    return entries if entries.keys() <= _ENTRIES else {}


def _goes_with(qualifier: Qualifier, entries: dict[str, str]) -> bool:
    """Whether a qualifier may be one that was written with a note that has these entries."""
    promoted = names.listed(entries.get(names.PROMOTED.removeprefix(names.PREFIX), ""))
    if qualifier.name == names.OPERON_OF:
        said = entries.get(names.OPERON.removeprefix(names.PREFIX))
        return qualifier.value == said and _is_operon(qualifier)
    if qualifier.name == "EC_number":
        return qualifier.value in promoted
    return qualifier.name == "note" and qualifier.value in map(names.promoted_note, promoted)


def _is_operon(qualifier: Qualifier) -> bool:
    return qualifier.name == names.OPERON_OF and re.fullmatch(names.OPERON_ID, qualifier.value) is not None


def _is_inference(qualifier: Qualifier) -> bool:
    return qualifier.name == "inference" and qualifier.value.startswith(INFERENCE)
