"""Adding predictions to the text of a GFF3 file and taking them out again, without touching anything else.

What is added, and what `strip` therefore removes:

- one comment line of provenance, before the first feature; a file without one holds no additions;
- one `operon` line per operon, source `glm-annot`, before the first line of its first gene;
- `glm_...` attributes at the end of every line of a predicted CDS, before a `;` that ends the line: an
  unbroken run, as no other attribute of a CDS has one of these names (`lines` sees to it);
- with `promote_ec`, EC numbers in the annotation tool's own attribute; `glm_promoted` names each of them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import BinaryIO
from urllib.parse import unquote

from glm_annot.io import qualifiers as q
from glm_annot.io.gff3.text import (
    COLUMNS,
    MOST_ANCESTORS,
    PARENT,
    annotation_lines,
    is_feature,
    is_our_operon,
    split_text,
)
from glm_annot.io.source import BOM, blocks_from, decode, join_lines, line_end, spooled
from glm_annot.records import Gene, Genome, OperonCall, Predictions

_KIND, _ATTRIBUTES = 2, COLUMNS - 1  # columns
_COMMENT = f"# {q.TOOL}: {q.PROVENANCE_START}".encode()
_OURS = q.PREFIX.encode()
_NAMES = frozenset(name.encode() for name in q.NAMES)
_RESERVED = re.compile(r"[=;&%#\x00-\x1f\x7f]")  # the comma stays: it separates our values
_ID = re.compile(rb"[\t;] *ID=([^;\t\r\n]+)")


# ---- taking out ----


def strip(text: bytes) -> bytes:
    """`text` without our additions; exactly `text` where no comment of ours says that it holds any."""
    with strip_file(BytesIO(text)) as stripped:
        return stripped.read()


def strip_file(file: BinaryIO) -> BinaryIO:
    """`file`, from its beginning, or another one without our additions where it holds any."""
    has_ours = any(line.startswith(_COMMENT) for _, line in annotation_lines(file))
    file.seek(0)
    return spooled(_stripped(file)) if has_ours else file


def _stripped(file: BinaryIO) -> Iterator[bytes]:
    end = 0
    for place, line in annotation_lines(file):
        if end == 0 and place:
            yield BOM
        yield _strip_line(line)
        end = place + len(line)
    yield from blocks_from(file, end)


def provenance(text: bytes) -> str | None:
    """Our comment in `text` that says what made the additions, without the comment sign; None without one."""
    _, lines, _ = split_text(text)
    comment = next((line for line in lines if line.startswith(_COMMENT)), None)
    return None if comment is None else decode(comment).removeprefix("#").strip()


def said(text: bytes) -> dict[int, dict[str, str]]:
    """What our attributes in `text` say of a CDS, by the number of its line in the text without ours."""
    _, lines, _ = split_text(text)
    kept = [line for line in lines if _strip_line(line)]
    ours = {number: _ours(line) for number, line in enumerate(kept) if _OURS in line and is_feature(line)}
    return {number: tags for number, tags in ours.items() if tags}


def _ours(line: bytes) -> dict[str, str]:
    columns = line.rstrip(b"\r\n").split(b"\t")
    if len(columns) < COLUMNS or columns[_KIND].upper() != b"CDS":
        return {}
    _, ours, _ = _parted(columns[_ATTRIBUTES])
    return {decode(name): unquote(decode(value)) for name, value in ours.items()}


def _strip_line(line: bytes) -> bytes:
    if line.startswith(_COMMENT) or is_our_operon(line):
        return b""
    if _OURS not in line or not is_feature(line):
        return line
    columns = line.rstrip(b"\r\n").split(b"\t")
    if len(columns) < COLUMNS or columns[_KIND].upper() != b"CDS":
        return line
    columns[_ATTRIBUTES] = _without_ours(columns[_ATTRIBUTES])
    return b"\t".join(columns) + line_end(line)


def _without_ours(attributes: bytes) -> bytes:
    """Attributes without the run of ours that ends them, and without what these say was promoted."""
    kept, ours, end = _parted(attributes)
    if not ours:
        return attributes
    if promoted := ours.get(q.PROMOTED.encode()):
        kept = _without_promoted(kept, promoted)
    return b";".join(kept + end) if kept or end else b"."


def _parted(attributes: bytes) -> tuple[list[bytes], dict[bytes, bytes], list[bytes]]:
    """The attributes of others, the run of ours that ends them, and what follows the last `;`."""
    kept = attributes.split(b";")
    end = [kept.pop()] if len(kept) > 1 and not kept[-1].strip() else []
    ours: dict[bytes, bytes] = {}
    while kept and (name := kept[-1].partition(b"=")[0].strip()) in _NAMES - ours.keys():
        ours[name] = kept.pop().partition(b"=")[2]
    return kept, ours, end


def _without_promoted(items: list[bytes], promoted: bytes) -> list[bytes]:
    """The attributes without the last values that `promoted` (key:value,...) names; empty ones go, too."""
    wanted = Counter(record.partition(b":")[::2] for record in promoted.split(b","))
    kept: list[bytes] = []
    for item in reversed(items):
        name, _, listed = item.partition(b"=")
        key, values = name.lstrip(), listed.split(b",")
        left = [value for value in reversed(values) if not _taken(wanted, (key, value))]
        if len(left) == len(values):
            kept.append(item)
        elif left:
            kept.append(name + b"=" + b",".join(reversed(left)))
    return kept[::-1]


def _taken(wanted: Counter[tuple[bytes, bytes]], record: tuple[bytes, bytes]) -> bool:
    """Whether a value is one of those to be taken out, of which there is then one fewer."""
    if not wanted[record]:
        return False
    wanted[record] -= 1
    return True


# ---- adding ----


def render(
    genome: Genome, predictions: Predictions, promote_ec: float | None = None, promote_to: str = q.TO_NOTE
) -> bytes:
    """The text of the genome's file, or of the section of it that it is, with the predictions added."""
    assert genome.source is not None
    mark, lines, rest = split_text(genome.source.text)
    code = genome.source.genetic_code
    comment = q.provenance_comment(predictions.provenance, promote_ec, promote_to, code)
    inserted = _inserted_lines(lines, genome, predictions, comment)
    additions = _Additions(genome.source.ec_place, predictions, promote_ec, promote_to)
    genes = {
        number: gene
        for gene in genome.genes
        if gene.index in predictions.genes
        for number in genome.source.anchors[gene.index]
    }

    def out() -> Iterator[bytes]:
        yield mark
        for number, line in enumerate(lines):
            yield from inserted.get(number, ())
            yield _with_attributes(line, *additions.of(genes[number])) if number in genes else line
        yield rest

    return join_lines(out())


_Pairs = list[tuple[str, str]]


class _Additions:
    """What is added to the lines of a gene; made line by line, as all at once it is larger than the file."""

    def __init__(
        self, place: tuple[str, str], predictions: Predictions, promote_ec: float | None, promote_to: str
    ) -> None:
        self._predictions, self._promote_ec, self._promote_to = predictions, promote_ec, promote_to
        self._members = q.memberships(predictions)
        self._place = place

    def of(self, gene: Gene) -> tuple[_Pairs, _Pairs]:
        """(what is promoted to the tool's attributes, our tags), equal on all lines of a CDS."""
        prediction = self._predictions.genes[gene.index]
        operon = self._members[gene.index][0] if gene.index in self._members else None
        tags = q.gene_tags(gene, prediction, operon, operons=self._predictions.operons is not None)
        numbers = q.promoted_ec(gene, prediction, self._promote_ec)
        if q.ec_belongs_in_note(gene.product, self._promote_to):
            return [(q.NOTE, q.promoted_note(number)) for number in numbers], tags
        return [(self._place[0], self._place[1] + number) for number in numbers], tags


def _with_attributes(line: bytes, promoted: _Pairs, tags: _Pairs) -> bytes:
    """`line` with attributes added last, but before a `;` that ends it."""
    if promoted:
        tags = [*tags, (q.PROMOTED, ",".join(f"{key}:{value}" for key, value in promoted))]
    if not tags:
        return line
    columns = line.rstrip(b"\r\n").split(b"\t")  # empty ones may follow the ninth
    attributes = columns[_ATTRIBUTES]
    items = attributes.split(b";") if attributes != b"." else []
    end = [items.pop()] if len(items) > 1 and not items[-1].strip() else []
    for key, value in promoted:
        _promote(items, key.encode(), _escape(value))
    items += [key.encode() + b"=" + _escaped(key, value) for key, value in tags]
    columns[_ATTRIBUTES] = b";".join(items + end)
    return b"\t".join(columns) + line_end(line)


def _promote(items: list[bytes], key: bytes, value: bytes) -> None:
    """Add `value` to the last attribute `key` that has one, else as a new attribute at the end."""
    for i in reversed(range(len(items))):
        if items[i].lstrip().startswith(key + b"=") and len(items[i].lstrip()) > len(key) + 1:
            items[i] += b"," + value
            return
    items.append(key + b"=" + value)


def _escaped(name: str, value: str) -> bytes:
    """The value of an attribute of ours; the commas of one that is no list are a part of it."""
    escaped = _escape(value)
    return escaped if name in q.LISTS else escaped.replace(b",", b"%2C")


def _escape(value: str) -> bytes:
    return _RESERVED.sub(lambda match: f"%{ord(match[0]):02X}", value).encode()


# ---- lines of our own ----


def _inserted_lines(
    lines: list[bytes], genome: Genome, predictions: Predictions, comment: str
) -> Mapping[int, list[bytes]]:
    """Line number -> our lines to insert before it."""
    source = genome.source
    assert source is not None
    newline = source.newline
    inserted: dict[int, list[bytes]] = defaultdict(list)
    if source.opens_file:
        first_feature = next(number for number, line in enumerate(lines) if is_feature(line))
        inserted[first_feature].append(f"# {comment}".encode() + newline)
    ids = _lines_by_id(lines) if predictions.operons else {}
    genes = {gene.index: gene for gene in genome.genes} if predictions.operons else {}
    for operon in predictions.operons or ():
        line = _line_at(lines, source.anchors[operon.genes[0]], operon.start)
        text = _operon_line(operon, q.operon_name(operon, genes), lines[line])
        inserted[_top_line(lines, line, ids)].append(text + newline)
    return inserted


def _line_at(lines: Sequence[bytes], numbers: Sequence[int], start: int) -> int:
    """The line of a CDS that begins at `start`, else its first."""
    return next((n for n in numbers if lines[n].split(b"\t")[3] == str(start).encode()), numbers[0])


def _lines_by_id(lines: Sequence[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for number, line in enumerate(lines):
        if match := _ID.search(line):
            found.setdefault(match[1], number)
    return found


def _top_line(lines: Sequence[bytes], number: int, ids: Mapping[bytes, int]) -> int:
    """The line of the topmost feature that this one is a part of, as long as it comes earlier in the file."""
    for _ in range(MOST_ANCESTORS):
        parent = PARENT.search(lines[number])
        above = ids.get(parent[1], number) if parent else number
        if above >= number:
            break
        number = above
    return number


def _operon_line(operon: OperonCall, name: str, gene_line: bytes) -> bytes:
    """The operon is a feature without children: CDS with one Parent would be read as one joined CDS.

    `operon` repeats the ID for converters to INSDC's formats, which drop operons without it.
    """
    tags = [(q.OPERON_OF, operon.id), (q.ONTOLOGY, q.OPERON_EVIDENCE_CODE), *q.operon_tags(operon)]
    columns = [
        q.TOOL,
        "operon",
        str(operon.start),
        str(operon.end),
        q.confidence(operon.confidence),
        q.SIGNS[operon.strand],
        ".",
    ]
    items = [b"ID=" + _escape(operon.id), q.NAME.encode() + b"=" + _escape(name).replace(b",", b"%2C")]
    items += [key.encode() + b"=" + _escaped(key, value) for key, value in tags]
    attributes = b";".join(items)
    return b"\t".join([gene_line.split(b"\t", 1)[0], *(column.encode() for column in columns), attributes])
