"""Writing predictions into the text of a GenBank or EMBL file, and taking them out; no other byte is touched.

What is added, each piece recognisable by itself, so that it can be taken out even after other tools moved it:

    COMMENT     glm-annot: program=...; model=...   in each annotated record, before FEATURES
         operon          190..5020                  before the first gene of each operon, with our /inference
                         /standard_name="thrA-thrC"
    and at the end of a CDS
        /operon="glm_operon_0001"                   where the CDS has no /operon yet
        /EC_number="2.7.1.2"                        with `promote_ec`; our note names it, so that it strips
        /note="predicted EC 2.7.1.2 (glm-annot)"    in its stead, for products that must carry no /EC_number
        /inference="ab initio prediction:glm-annot:0.1.0"
        /note="glm-annot: ec=2.7.1.2; ec_confidence=0.981; ..."

In EMBL the comment stands on CC lines, with a line XX after them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from glm_annot.io import qualifiers as names
from glm_annot.io.genbank.text import (
    Feature,
    Qualifier,
    Record,
    Style,
    qualifiers,
    records,
    wrap,
    wrapped_width,
)
from glm_annot.io.source import decode, line_end, split_lines
from glm_annot.records import Gene, Genome, OperonCall, Predictions

_INFERENCE = f"ab initio prediction:{names.TOOL}:"  # INSDC /inference: category:program:version
_NOTE = f"{names.TOOL}: "
_OPERON_ID = re.compile(r"glm_operon_\d{4,}")
_SEPARATOR = "; "  # between the entries of our note


def render(
    genome: Genome, predictions: Predictions, promote_ec: float | None = None, promote_to: str = names.TO_NOTE
) -> bytes:
    """The text that `genome` was read from, with the predictions added.

    Args:
        genome: as parsed from a GenBank file.
        predictions: what to add.
        promote_ec: probability from which a predicted EC number is also written as /EC_number, where the
            file has none for the gene; None: never.
        promote_to: 'field', or 'note' for products that must carry no /EC_number.
    """
    if genome.source is None:
        raise ValueError("a genome that was not read from a file cannot be written back")
    patch = _Patch(split_lines(genome.source.text))
    places = {index: patch.places[lines[0]] for index, lines in genome.source.anchors.items()}
    lengths = {contig.name: contig.length for contig in genome.contigs}
    inference = f'/inference="{_INFERENCE}{predictions.provenance.program.rpartition(" ")[2]}"'
    genes = {gene.index: gene for gene in genome.genes}
    for operon in predictions.operons or ():
        record, position = places[operon.genes[0]]
        head, name = _head(record, position), names.operon_name(operon, genes)
        patch.add_operon(head, record.style, operon, name, lengths[operon.contig], inference)
    membership = names.memberships(predictions)
    annotated: dict[int, Record] = {}
    for gene in genome.genes:
        operon_of_gene, _ = membership.get(gene.index, (None, 0))
        if tags := _tags(gene, operon_of_gene, predictions, promote_ec):
            record, position = places[gene.index]
            feature, in_note = record.features[position], names.ec_belongs_in_note(gene.product, promote_to)
            patch.add_tags(feature, record.style, tags, inference, in_note=in_note)
            annotated[record.first] = record
    for record in annotated.values():
        patch.add_comment(record, names.provenance_comment(predictions.provenance, promote_ec, promote_to))
    return patch.text()


def strip(text: bytes) -> bytes:
    """`text` without anything that `render` added; the same bytes where it added nothing."""
    if names.TOOL.encode() not in text and names.PREFIX.encode() not in text:
        return text
    lines = split_lines(text)
    ours: set[int] = set()
    for record in records(lines):
        ours.update(_our_comment(lines, record))
        for feature in record.features:
            ours.update(_our_lines(lines, feature))
    return b"".join(line for number, line in enumerate(lines) if number not in ours)


def provenance(text: bytes) -> str | None:
    """Our comment in `text` that says what made the additions; None without one."""
    lines = split_lines(text)
    for record in records(lines):
        ours = [decode(lines[number]).rstrip() for number in _our_comment(lines, record)]
        if rows := [row[len(record.style.comment) :].strip() for row in ours]:
            return "\n".join(filter(None, rows)).replace("=\n", "=").replace("\n", " ")
    return None


class _Patch:
    """The lines of a file and what is to stand before and after some of them."""

    def __init__(self, lines: list[bytes]) -> None:
        layout = records(lines)
        self.lines = lines
        self.width = wrapped_width(lines, layout)
        self.places = {f.first: (record, i) for record in layout for i, f in enumerate(record.features)}
        self.before: defaultdict[int, list[bytes]] = defaultdict(list)
        self.after: defaultdict[int, list[bytes]] = defaultdict(list)

    def text(self) -> bytes:
        """The whole file with all additions."""
        rows = ((*self.before[n], line, *self.after[n]) for n, line in enumerate(self.lines))
        return b"".join(row for group in rows for row in group)

    def add_operon(
        self,
        head: Feature,
        style: Style,
        operon: OperonCall,
        name: str,
        length: int | None,
        inference: str,
    ) -> None:
        """An operon feature before `head`. INSDC wants /operon on it, but no gene, locus_tag or EC_number."""
        tags = [(names.OPERON_CONFIDENCE, names.confidence(operon.confidence)), *names.operon_tags(operon)]
        key = style.key_indent + f"{'operon':<16}{_location(operon, length)}".encode() + self._end(head.first)
        title = name.replace('"', "'")
        values = [
            f'/{names.OPERON_OF}="{operon.id}"',
            f'/{names.STANDARD_NAME}="{title}"',
            inference,
            f'/note="{_note(tags)}"',
        ]
        self.before[head.first] += [key, *self._qualifiers(values, style, head.first)]

    def add_tags(
        self,
        feature: Feature,
        style: Style,
        tags: Sequence[tuple[str, str]],
        inference: str,
        *,
        in_note: bool,
    ) -> None:
        """Our qualifiers at the end of a CDS."""
        said, values = dict(tags), list[str]()
        has_operon = any(q.name == names.OPERON_OF for q in qualifiers(self.lines, feature))
        if not has_operon and said.get(names.OPERON, names.NO_OPERON) != names.NO_OPERON:
            values.append(f'/{names.OPERON_OF}="{said[names.OPERON]}"')
        for number in _split(said.get(names.PROMOTED, "")):
            values.append(f'/note="{names.promoted_note(number)}"' if in_note else f'/EC_number="{number}"')
        values += [inference, f'/note="{_note(tags)}"']
        self.after[feature.last] += self._qualifiers(values, style, feature.last)

    def add_comment(self, record: Record, comment: str) -> None:
        """What made the predictions, as a comment before the feature table."""
        assert record.table is not None, "a record with genes has a feature table"
        words = comment.split(" ")
        style, end = record.style, self._end(record.table)
        room = self.width - len(style.comment_indent)
        # With its name a hash is longer than a line: a line ends between them.
        breakable = " ".join(word if len(word) <= room else word.replace("=", "= ", 1) for word in words)
        first, *rest = wrap(breakable, style.comment_indent, self.width, end)
        rows = [style.comment + first.removeprefix(style.comment_indent), *rest]
        self.before[record.table] = [*rows, style.comment_end + end] if style.comment_end else rows

    def _qualifiers(self, values: Sequence[str], style: Style, near: int) -> list[bytes]:
        indent, end = style.qualifier_indent, self._end(near)
        return [row for value in values for row in wrap(value, indent, self.width, end)]

    def _end(self, number: int) -> bytes:
        return line_end(self.lines[number]) or b"\n"


def _tags(
    gene: Gene, operon: OperonCall | None, predictions: Predictions, promote_ec: float | None
) -> list[tuple[str, str]]:
    """What our note says of a gene; empty where nothing was predicted of it."""
    prediction = predictions.genes.get(gene.index)
    if prediction is None:
        return []
    tags = names.gene_tags(prediction, operon, operons=predictions.operons is not None)
    promoted = names.promoted_ec(gene, prediction, promote_ec)
    return [*tags, (names.PROMOTED, ",".join(promoted))] if promoted else tags


def _note(tags: Sequence[tuple[str, str]]) -> str:
    """'glm-annot: ec=2.7.1.2, 2.7.1.-; ...'; blanks after the commas, so that long lists wrap."""
    entries = (f"{name.removeprefix(names.PREFIX)}={value.replace(',', ', ')}" for name, value in tags)
    return _NOTE + _SEPARATOR.join(entries)


def _split(values: str) -> list[str]:
    return [value.strip() for value in values.split(",") if value.strip()]


def _location(operon: OperonCall, length: int | None) -> str:
    """The operon's extent in INSDC's terms: joined where it goes over the origin."""
    location = f"{operon.start}..{operon.end}"
    if length is not None and operon.end > length:
        around = operon.end - operon.start >= length - 1
        location = f"1..{length}" if around else f"join({operon.start}..{length},1..{operon.end - length})"
    return f"complement({location})" if operon.strand == -1 else location


def _head(record: Record, position: int) -> Feature:
    """The feature that an operon goes before: the CDS, or the `gene` of the same extent right above it."""
    coding = record.features[position]
    above = record.features[position - 1]
    is_its_gene = position > 0 and above.key == "gene" and _extent(above) == _extent(coding)
    return above if is_its_gene else coding


def _extent(feature: Feature) -> tuple[str, str]:
    numbers = re.findall(r"\d+", feature.location)
    return numbers[0], numbers[-1]


def _our_comment(lines: Sequence[bytes], record: Record) -> Iterator[int]:
    style = record.style
    opening, inside = style.comment + _NOTE.encode(), False
    for number in range(record.first, record.first if record.table is None else record.table):
        line = lines[number]
        ends = inside and style.comment_end != b"" and line.rstrip() == style.comment_end
        inside = line.startswith(opening) or (inside and line.startswith(style.comment_indent))
        if inside or ends:
            yield number


def _our_lines(lines: Sequence[bytes], feature: Feature) -> Iterator[int]:
    """Our lines of a feature: a whole operon with our /inference, single qualifiers of a CDS."""
    if feature.key not in ("operon", "CDS"):
        return
    found = list(qualifiers(lines, feature))
    if feature.key == "operon":
        if any(_is_inference(qualifier) for qualifier in found):
            yield from range(feature.first, feature.last + 1)
        return
    promoted = {number for qualifier in found for number in _promoted(qualifier)}
    for qualifier in found:
        if _is_ours(qualifier, promoted):
            yield from range(qualifier.first, qualifier.last + 1)


def _is_ours(qualifier: Qualifier, promoted: set[str]) -> bool:
    if qualifier.name == names.OPERON_OF:
        return _OPERON_ID.fullmatch(qualifier.value) is not None
    if qualifier.name == "EC_number":
        return qualifier.value in promoted
    if qualifier.name == "note":
        return qualifier.value.startswith(_NOTE) or qualifier.value in map(names.promoted_note, promoted)
    return _is_inference(qualifier)


def _is_inference(qualifier: Qualifier) -> bool:
    return qualifier.name == "inference" and qualifier.value.startswith(_INFERENCE)


def _promoted(qualifier: Qualifier) -> list[str]:
    """The EC numbers that were promoted, according to our note."""
    if qualifier.name != "note" or not qualifier.value.startswith(_NOTE):
        return []
    entries = dict(
        entry.partition("=")[::2] for entry in qualifier.value.removeprefix(_NOTE).split(_SEPARATOR)
    )
    return _split(entries.get(names.PROMOTED.removeprefix(names.PREFIX), ""))
