"""Which lines of a GFF3 file are one CDS: those of one ID, or of one Parent where they have no ID.

Many files break this rule: two genes share an ID, a line is repeated, a CDS over the origin has two lines.
Each decision against the rule is counted among the oddities.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from glm_annot.io import qualifiers as q
from glm_annot.io.gff3.lines import Document, Replicon, Row
from glm_annot.io.parts import whole_genes
from glm_annot.io.sequences import is_genetic_code, splice, translate
from glm_annot.records import Skip

log = logging.getLogger(__name__)

MOST_ALIKE = 1000  # genes of one ID that are compared with each further line of that ID
_IDENTITY = ("locus_tag", "protein_id", "gene", "Name", "product")  # equal on all lines of one CDS


@dataclass(frozen=True, slots=True)
class Feature:
    """One CDS.

    Attributes:
        rows: its parts along the contig; those past the origin come last, with the contig's length added.
        lines: 0-based numbers of all its lines, in the order of the file.
    """

    rows: tuple[Row, ...]
    lines: tuple[int, ...]

    @property
    def strand(self) -> int:
        """Of its first part along the contig; all have the same one but in a trans-spliced gene."""
        return self.rows[0].strand

    @property
    def in_order(self) -> list[Row]:
        """Its rows in order of transcription; where they lie on both strands, in order of the file."""
        return _in_order(self.rows)


def find_features(document: Document) -> list[Feature]:
    """All CDS of a section, in order of the file.

    Raises:
        InputError: a genetic code that does not exist.
    """
    named: dict[tuple[str, ...], list[Row]] = {}
    for row in document.rows:
        if row.kind == "CDS":
            named.setdefault(_name(row), []).append(_inside(row, document))
    features = [feature for rows in named.values() for feature in _of_one_name(rows, document)]
    return sorted(features, key=lambda feature: feature.lines[0])


def coding_strand(rows: Sequence[Row], replicon: Replicon) -> str:
    """The bases of some parts of a CDS, given in order of transcription; '' where they are not known."""
    if not replicon.sequence or any(row.strand == 0 for row in rows):
        return ""
    contig = replicon.sequence
    return "".join(splice(contig, [(row.start, row.end)], row.strand) for row in rows)


def code_of(row: Row, replicon: Replicon, chosen: int | None) -> int:
    """The genetic code that the user chose, else that which a CDS states, else that of its contig."""
    if chosen is not None:
        return chosen
    stated = q.text(row.attributes, "transl_table")
    return int(stated) if is_genetic_code(stated) else replicon.code


def _inside(row: Row, document: Document) -> Row:
    """The row, marked to be skipped if it reaches past an end of its contig."""
    replicon = document.replicons[row.contig]
    length = replicon.length
    if row.skip is None and row.start < 1:
        document.oddities.see(
            "CDS that begin before the first base of their contig, skipped",
            f"{row.id or row.contig}, {document.lines([row])}, {row.start}..{row.end}",
        )
        return replace(row, skip=Skip.OUTSIDE)
    if row.skip is not None or length is None or row.end <= length:
        return row
    if replicon.circular and row.start <= length and row.end - row.start < length:
        return row
    document.oddities.see(
        "CDS that reach past the end of their contig, skipped (mark a circular contig with Is_circular=true "
        "on its region line)",
        f"{row.id or row.contig}, {document.lines([row])}, {row.start}..{row.end} of {length}",
    )
    return replace(row, skip=Skip.OUTSIDE)


def _name(row: Row) -> tuple[str, ...]:
    """What the lines of one CDS share: a kind of name and the name; of lines without one, all they say."""
    if row.id:
        return "ID", row.id
    if parent := q.exact_text(row.attributes, "Parent"):
        return "Parent", parent
    said = (f"{key}={','.join(values)}" for key, values in row.attributes.items())
    place = f"{row.contig}:{row.start}..{row.end}"
    return "CDS", place, str(row.strand), str(row.phase), *said


def _called(row: Row) -> str:
    """That name for a message: 'ID a', 'Parent g', 'CDS c:1..39'."""
    return " ".join(_name(row)[:2])


def _of_one_name(rows: list[Row], document: Document) -> list[Feature]:
    features = [feature for alike in _alike(rows) for feature in _of_one_gene(alike, document)]
    kind, where = _name(rows[0])[0], f"{_called(rows[0])}, {document.lines(rows)}"
    if len(features) > 1 and kind == "ID":
        document.oddities.see("IDs shared by several genes, each read as a separate gene", where)
    if len(features) > 1 and kind == "Parent":
        document.oddities.see(
            "Parents shared by several CDS without an ID, which are read as several genes", where
        )
    if kind == "Parent" and any(len(feature.rows) > 1 for feature in features):
        document.oddities.see(
            "CDS of several lines without an ID but with one Parent, each read as one gene", where
        )
    return features


def _alike(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows apart by contig and by what names a gene; a name that one lacks does not part them.

    After `MOST_ALIKE` genes of one ID only rows that have all the same names are put together.
    """
    groups: list[list[Row]] = []
    names: list[_Names] = []  # of each group: what its rows have, one or the other
    group_of: dict[_Names, int] = {}  # of the last row with these names
    for row in rows:
        own: _Names = (row.contig, *(q.text(row.attributes, name) for name in _IDENTITY))
        found = None if row.skip else group_of.get(own)
        if found is None and not row.skip and len(groups) < MOST_ALIKE:
            found = next((i for i, group in enumerate(names) if _may_be_one(group, own)), None)
        if found is None:
            found = len(groups)
            groups.append([])
            names.append(() if row.skip else own)
        else:
            names[found] = tuple(x or y for x, y in zip(names[found], own, strict=True))
        groups[found].append(row)
        if not row.skip:
            group_of[own] = found
    return groups


_Names = tuple[str, ...]  # a contig and what names a gene on it; () of a row that stays alone


def _may_be_one(group: _Names, row: _Names) -> bool:
    return bool(group) and all(not x or not y or x == y for x, y in zip(group, row, strict=True))


def _of_one_gene(rows: list[Row], document: Document) -> Iterator[Feature]:
    """The genes that rows of one name and contig are."""
    if len(rows) == 1:
        yield Feature((rows[0],), (rows[0].line,))
        return
    for apart in _by_strand(rows):
        same_place: dict[tuple[int, int, int], list[Row]] = {}
        for row in apart:
            same_place.setdefault((row.start, row.end, row.strand), []).append(row)
        lines_of = {same[0].line: [row.line for row in same] for same in same_place.values()}
        for same in same_place.values():
            if len(same) > 1:
                where = f"{_called(same[0])}, {document.lines(same)}"
                document.oddities.see("CDS lines that stand twice, read as one gene", where)
        for parts in _genes([same[0] for same in same_place.values()], document):
            lines = itertools.chain.from_iterable(lines_of[part.line] for part in parts)
            yield Feature(tuple(parts), tuple(sorted(lines)))


def _by_strand(rows: list[Row]) -> list[list[Row]]:
    if any(q.is_trans_spliced(row.attributes) for row in rows):
        return [rows]
    strands = dict.fromkeys(row.strand for row in rows)
    return [[row for row in rows if row.strand == strand] for strand in strands]


def _genes(rows: list[Row], document: Document) -> list[list[Row]]:
    """The genes that different parts of one name, contig and strand are."""
    replicon = document.replicons[rows[0].contig]
    ordered = sorted(rows, key=lambda row: (row.start, row.end))
    if _are_one_as_stated(ordered):
        return [_unwrapped(ordered, replicon, document)]
    if any(after.end <= before.end for before, after in itertools.pairwise(ordered)):
        return [[row] for row in ordered]  # a part inside another is none of the same gene
    unwrapped = _unwrapped(ordered, replicon, document)
    if not coding_strand(unwrapped, replicon):
        if len(rows) > 1 and rows[0].id:
            document.oddities.see(
                "CDS of several lines with one ID, each read as one gene, for lack of bases to tell",
                f"{_called(rows[0])}, {document.lines(rows)}",
            )
        return [unwrapped]
    if any(q.is_pseudo(row.attributes) for row in rows):
        return [unwrapped]
    read = partial(_residues, replicon=replicon, document=document)
    place = {row.line: i for i, row in enumerate(unwrapped)}
    genes = [
        sorted(gene, key=lambda row: place[row.line]) for gene in whole_genes(_in_order(unwrapped), read)
    ]
    return [_in_first_lap(gene, replicon) for gene in genes]


def _in_first_lap(rows: list[Row], replicon: Replicon) -> list[Row]:
    """The parts of a gene, moved back by the contig's length if all lie past the origin."""
    length = replicon.length
    if length is None or rows[0].start <= length:
        return rows
    return [replace(row, start=row.start - length, end=row.end - length) for row in rows]


def _are_one_as_stated(rows: Iterable[Row]) -> bool:
    return any(q.is_slipped(row.attributes) or q.is_trans_spliced(row.attributes) for row in rows)


def _in_order(rows: Sequence[Row]) -> list[Row]:
    strands = {row.strand for row in rows}
    if len(strands) > 1:
        return sorted(rows, key=lambda row: row.line)
    return list(rows if strands == {1} else reversed(rows))


def _residues(rows: Sequence[Row], replicon: Replicon, document: Document) -> str:
    """The translation of rows in order of transcription, a last stop included."""
    first = rows[0]
    dna, phase = coding_strand(rows, replicon), first.phase % 3
    code = code_of(first, replicon, document.code)
    residues = translate(dna, table=code, phase=phase, recoded=q.recoded_stops(first.attributes))
    return residues + "*" * ((len(dna) - phase) // 3 - len(residues))


def _unwrapped(rows: list[Row], replicon: Replicon, document: Document) -> list[Row]:
    """The lines of a CDS along the contig; those past the origin come last, with the contig's length added.

    A CDS over the origin may have two lines: up to the last base, and from the first base on. If most of the
    contig lies between them, it is circular, whether it is marked so or not.
    """
    length = replicon.length
    if len(rows) < 2 or rows[0].start != 1 or rows[-1].end != length:
        return rows
    gaps = [after.start - before.end for before, after in itertools.pairwise(rows)]
    if not replicon.circular:
        if max(gaps) <= length / 2:
            return rows
        replicon.circular = True
        log.warning(
            "%s: %s is not marked circular, but read so: %s lies over its origin",
            document.path,
            rows[0].contig,
            rows[0].id or f"the CDS on line {document.first + rows[0].line + 1}",
        )
    origin = gaps.index(max(gaps)) + 1
    past = [replace(r, start=r.start + length, end=r.end + length) for r in rows[:origin]]
    return rows[origin:] + past
