"""Writing predictions into the text of a GenBank or EMBL file. Other bytes stay. `ours` takes them out.

What is added:

    COMMENT     glm-annot: program=...; model=...   in each annotated record, before FEATURES
         operon          190..5020                  before the first gene of each operon, with our /inference
                         /standard_name="thrA-thrC"
    and at the end of a CDS
        /inference="ab initio prediction:glm-annot:0.1.0"
        /operon="glm_operon_0001"                   where the CDS has no /operon yet
        /EC_number="2.7.1.2"                        with `promote_ec`; our note names it, so that it strips
        /note="predicted EC 2.7.1.2 (glm-annot)"    in its stead, for products that must carry no /EC_number
        /note="glm-annot: ec=2.7.1.2; ec_confidence=0.981; ..."

In EMBL the comment stands on CC lines, with a line XX after them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from glm_annot.io import qualifiers as names
from glm_annot.io.genbank.ours import INFERENCE, NOTE, SEPARATOR, provenance, said, strip
from glm_annot.io.genbank.text import (
    Feature,
    Record,
    Style,
    qualifiers,
    records,
    wrap,
    wrapped_width,
)
from glm_annot.io.source import join_lines, line_end, split_lines
from glm_annot.records import Gene, Genome, OperonCall, Predictions

__all__ = ["provenance", "render", "said", "strip"]


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
    inference = f'/inference="{INFERENCE}{predictions.provenance.program.rpartition(" ")[2]}"'
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
    code = genome.source.genetic_code
    comment = names.provenance_comment(predictions.provenance, promote_ec, promote_to, code)
    for record in annotated.values():
        patch.add_comment(record, comment)
    return patch.text()


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
        before, after = self.before.get, self.after.get  # unlike [n] they make no list for each line
        rows = ((*before(n, ()), line, *after(n, ())) for n, line in enumerate(self.lines))
        return join_lines(row for group in rows for row in group)

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
        said, values = dict(tags), [inference]
        has_operon = any(q.name == names.OPERON_OF for q in qualifiers(self.lines, feature))
        if not has_operon and said.get(names.OPERON, names.NO_OPERON) != names.NO_OPERON:
            values.append(f'/{names.OPERON_OF}="{said[names.OPERON]}"')
        promoted = names.listed(said.get(names.PROMOTED, ""))
        values += [f'/note="{names.promoted_note(n)}"' if in_note else f'/EC_number="{n}"' for n in promoted]
        values.append(f'/note="{_note(tags)}"')
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
    tags = names.gene_tags(gene, prediction, operon, operons=predictions.operons is not None)
    promoted = names.promoted_ec(gene, prediction, promote_ec)
    return [*tags, (names.PROMOTED, ",".join(promoted))] if promoted else tags


def _note(tags: Sequence[tuple[str, str]]) -> str:
    """'glm-annot: ec=2.7.1.2, 2.7.1.-; ...'; blanks after the commas, so that long lists wrap."""
    entries = (f"{name.removeprefix(names.PREFIX)}={_spaced(name, value)}" for name, value in tags)
    return NOTE + SEPARATOR.join(entries)


def _spaced(name: str, value: str) -> str:
    return value.replace(",", ", ") if name in names.LISTS else value


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


def _extent(feature: Feature) -> list[str]:
    """Its first and its last number; empty where the location has none, which only a CDS must have."""
    numbers = re.findall(r"\d+", feature.location)
    return numbers[:1] + numbers[-1:]
