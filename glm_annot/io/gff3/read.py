"""GFF3: text -> Genome. `lines` reads the lines, `patch` writes predictions back."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import BinaryIO
from urllib.parse import unquote

from glm_annot.errors import InputError
from glm_annot.io import qualifiers as q
from glm_annot.io.gff3.lines import ANCESTORS, Document, Layout, Replicon, Row, Section, read_section, survey
from glm_annot.io.gff3.text import split_text
from glm_annot.io.sequences import EDGE, Fasta, Sequences, StopCount, admit, genetic_code, splice, translate
from glm_annot.io.source import blocks_from
from glm_annot.records import Contig, Gene, Genome, Skip, Source

log = logging.getLogger(__name__)

_IDENTITY = ("locus_tag", "protein_id", "gene", "Name", "product", "Parent")  # alike on all lines of one CDS
_PRODIGAL_ID = re.compile(r"\d+_(\d+)")


def parse(source_path: str, text: bytes, sequences: Sequences) -> Genome:
    """Read a GFF3 text.

    Contigs without any CDS are left out. Coordinates are checked against the contig's length: that of its
    sequence, else of `##sequence-region` (or Prodigal's header), else of its region line.

    Args:
        source_path: where it came from, for messages; `-` for standard input.
        text: the decompressed file, without additions of ours.
        sequences: contigs and proteins given beside it; they go before `##FASTA`.

    Raises:
        InputError: naming the file and, where there is one, the line.
    """
    return Sections(source_path, BytesIO(text), sequences).whole(text)


class Sections:
    """A GFF3 file whose genome comes in sections of whole contigs, so that it is never in memory as a whole.

    Iterating gives each section as a genome of its own, whose source is its lines; these and then `rest` are
    the file. It may be done more than once; a genome of one section is kept.

    Args and errors as for `parse`; `file` stays open, and may be read by nobody else.
    """

    format = "gff3"

    def __init__(self, path: str, file: BinaryIO, sequences: Sequences) -> None:
        self._path, self._file, self._sequences = path, file, sequences
        self._layout = survey(file, path)
        self._embedded = _embedded(file, self._layout)
        self._only: Genome | None = None
        self._checked = False

    def __iter__(self) -> Iterator[Genome]:
        if self._only is not None:
            yield self._only
            return
        check = self._check()
        for section in self._layout.sections:
            genome = self._read(section, self._text(section), check)
            if len(self._layout.sections) == 1:
                self._only = genome
            yield genome
        if not self._checked:
            check.finish()
        self._checked = True

    def whole(self, text: bytes) -> Genome:
        """The genome in one piece; `text` is the whole file."""
        check = self._check()
        genome = self._read(Section(0, self._layout.stop, 0), text, check)
        check.finish()
        return genome

    def rest(self) -> Iterator[bytes]:
        """What follows the last section: the sequences."""
        return blocks_from(self._file, self._layout.stop)

    def close(self) -> None:
        """The file is no longer needed."""
        self._file.close()

    def _check(self) -> _SequenceCheck:
        return _SequenceCheck(self._sequences, self._layout, next(iter(self._embedded), None))

    def _text(self, section: Section) -> bytes:
        self._file.seek(section.start)
        return self._file.read(section.stop - section.start)

    def _read(self, section: Section, text: bytes, check: _SequenceCheck) -> Genome:
        layout = self._layout
        document = read_section(split_text(text)[1], section, layout)
        _attach_sequences(document, self._sequences, self._embedded)
        features = _cds_features(document)
        ancestors = {row.id: row for row in document.rows if row.kind in ANCESTORS and row.id}
        genes = [
            _gene(i, rows, document, ancestors, self._sequences, check.stops)
            for i, rows in enumerate(features)
        ]
        check.see(genes, features)
        anchors = {i: tuple(sorted(row.line for row in rows)) for i, rows in enumerate(features)}
        source = Source(
            self._path,
            self.format,
            text,
            anchors,
            newline=layout.newline,
            ec_place=layout.ec_place,
            opens_file=section.start == 0,
        )
        return Genome(_contigs(genes, document), source)


def _contigs(genes: Sequence[Gene], document: Document) -> tuple[Contig, ...]:
    def position(gene: Gene) -> tuple[int, int]:
        return gene.start, gene.end

    by_contig: dict[str, list[Gene]] = {}
    for gene in genes:
        by_contig.setdefault(gene.contig, []).append(gene)
    return tuple(
        Contig(
            name,
            replicon.length,
            replicon.circular,
            tuple(sorted(by_contig[name], key=position)),
            replicon.sequence or "",
        )
        for name, replicon in document.replicons.items()
        if name in by_contig
    )


# ---- features ----


def _cds_features(document: Document) -> list[list[Row]]:
    """The lines of each CDS, in order of the file; those of one ID are one CDS."""
    first: dict[str, Row] = {}
    features: dict[str, list[Row]] = {}
    for row in document.rows:
        known = first.setdefault(row.id, row) if row.id else row
        if not _same_feature(known, row):
            raise document.error(
                f"ID {row.id!r} is already that of another feature (line {known.line + 1}); "
                "give each feature an ID of its own",
                row.line,
            )
        if row.kind == "CDS":
            features.setdefault(row.id or f"\t{row.line}", []).append(row)  # no ID holds a tab
    return [_in_order(rows, document) for rows in features.values()]


def _same_feature(a: Row, b: Row) -> bool:
    if a is b:
        return True
    alike = all(q.text(a.attributes, name) == q.text(b.attributes, name) for name in _IDENTITY)
    return alike and (a.kind, a.contig, a.strand) == (b.kind, b.contig, b.strand)


def _in_order(rows: list[Row], document: Document) -> list[Row]:
    """The lines of one CDS by start. A line inside another one is a second feature, no part of the first."""
    ordered = sorted(rows, key=lambda row: (row.start, row.end))
    for before, row in itertools.pairwise(ordered):
        if row.end <= before.end:
            raise document.error(
                f"ID {row.id!r} stands on two CDS that lie over each other (line {before.line + 1} too); "
                "give each feature an ID of its own",
                row.line,
            )
    return ordered


def _unwrapped(rows: list[Row], replicon: Replicon, document: Document) -> list[Row]:
    """The lines of a CDS along the contig; those past the origin come last, with the contig's length added.

    A CDS over the origin may stand on two lines: up to the last base, and on from the first. If most of the
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
    past = [dataclasses.replace(r, start=r.start + length, end=r.end + length) for r in rows[:origin]]
    return rows[origin:] + past


def _gene(
    index: int,
    lines: list[Row],
    document: Document,
    ancestors: Mapping[str, Row],
    sequences: Sequences,
    stops: StopCount,
) -> Gene:
    replicon = document.replicons[lines[0].contig]
    _check_bounds(lines, replicon, document)
    rows = _unwrapped(lines, replicon, document)
    row = rows[0]
    lineage = list(_lineage(row, ancestors))
    locus_tag = _inherited(lineage, "locus_tag")
    pseudo = any(r.kind.startswith("pseudogen") or q.is_pseudo(r.attributes) for r in lineage)
    found = _protein(rows, replicon, locus_tag, document, sequences)
    protein, skip = admit(found, pseudo=pseudo, stranded=row.strand != 0)
    if skip not in (Skip.PSEUDOGENE, Skip.NO_STRAND):
        stops.add(found)
    return Gene(
        index=index,
        id=row.id or locus_tag or f"{row.contig}_{row.start}_{rows[-1].end}_{q.SIGNS[row.strand]}",
        contig=row.contig,
        start=row.start,
        end=rows[-1].end,
        strand=row.strand,
        locus_tag=locus_tag,
        name=_inherited(lineage, "gene"),
        product=q.product(row.attributes),
        ec=q.existing_ec(row.attributes),
        protein=protein,
        skip=skip,
    )


def _check_bounds(rows: Iterable[Row], replicon: Replicon, document: Document) -> None:
    length = replicon.length
    for row in rows:
        if length is None or row.end <= length:
            continue
        if not replicon.circular or row.start > length or row.end - row.start >= length:
            raise document.error(
                f"CDS {row.start}..{row.end} reaches past the end of contig {row.contig} ({length} bases); "
                "correct it, or mark a circular contig with Is_circular=true on its region line",
                row.line,
            )


def _lineage(row: Row, ancestors: Mapping[str, Row]) -> Iterator[Row]:
    """The CDS and then its parents upwards, each once."""
    seen: set[str] = set()
    current: Row | None = row
    while current is not None:
        yield current
        names = [n for n in current.attributes.get("Parent", ()) if n in ancestors and n not in seen]
        seen.update(names)
        current = ancestors[names[0]] if names else None


def _inherited(lineage: Iterable[Row], name: str) -> str:
    return next((value for row in lineage if (value := q.text(row.attributes, name))), "")


# ---- sequences ----


def _embedded(file: BinaryIO, layout: Layout) -> Fasta:
    """The sequences after `##FASTA`; that line itself may be left out."""
    file.seek(layout.stop)
    line = file.readline()
    if line.startswith(b">"):
        file.seek(layout.stop)
        return Fasta(file, layout.path, layout.lines + 1)
    return Fasta(file, layout.path, layout.lines + 2)


def _attach_sequences(document: Document, sequences: Sequences, embedded: Mapping[str, str]) -> None:
    """Give each contig its sequence, which also settles its length. Names may be percent-escaped in GFF3."""
    for name, replicon in document.replicons.items():
        plain = unquote(name)
        given = sequences.contigs.get(plain)
        found = given or embedded.get(plain) or embedded.get(name)
        if found and replicon.length not in (None, len(found)):
            where = "the FASTA file has" if given else "its sequence after ##FASTA has"
            advice = "give the contigs of this very annotation" if given else "is the file cut off?"
            raise InputError(
                f"the annotation says {replicon.length} bp but {where} {len(found)} for {name}; {advice}",
                document.path,
            )
        replicon.sequence = found
        if found:
            replicon.length = len(found)


def _protein(
    rows: Sequence[Row], replicon: Replicon, locus_tag: str, document: Document, sequences: Sequences
) -> str | None:
    row = rows[0]
    given = sequences.protein(_protein_names(row, locus_tag)) or q.text(row.attributes, "translation")
    if given or not replicon.sequence:
        return given or None
    first = rows[0] if row.strand == 1 else rows[-1]
    stated = q.text(row.attributes, "transl_table")
    return translate(
        splice(replicon.sequence, [(r.start, r.end) for r in rows], row.strand),
        table=genetic_code(stated, document.path, row.line + 1) if stated else replicon.code,
        phase=first.phase,
        complete_start=_has_own_start(first, replicon),
        recoded=q.recoded_stops(row.attributes),
    )


def _protein_names(row: Row, locus_tag: str) -> list[str]:
    """The names that a protein FASTA may know the CDS by, the surest first.

    Prodigal calls the CDS `<number of the contig>_<n>` in GFF but `<name of the contig>_<n>` in FASTA.
    """
    prodigal = _PRODIGAL_ID.fullmatch(row.id)
    names = [row.id, locus_tag, q.text(row.attributes, "protein_id")]
    return [f"{row.contig}_{prodigal[1]}", *names] if prodigal else names


def _has_own_start(first: Row, replicon: Replicon) -> bool:
    """Whether the CDS begins with its start codon: not if it says otherwise, nor at a linear contig's end."""
    is_open = q.open_start(first.attributes, first.strand)
    if is_open is not None:
        return not is_open
    if first.phase != 0:
        return False
    before = first.start - 1 if first.strand == 1 else (replicon.length or first.end) - first.end
    return replicon.circular or before > EDGE


class _SequenceCheck:
    """Finds over all sections whether no sequence was found at all, or a FASTA given beside fits nothing.

    `embedded` is the name of the first sequence in the file itself.
    """

    def __init__(self, sequences: Sequences, layout: Layout, embedded: str | None) -> None:
        self._sequences, self._layout, self._embedded = sequences, layout, embedded
        self.stops = StopCount()
        self._first: Gene | None = None
        self._fits = self._lacks = self._has = False

    def see(self, genes: Sequence[Gene], features: Sequence[Sequence[Row]]) -> None:
        """Called for each section with its CDS."""
        self._first = self._first or genes[0]
        self._lacks |= any(gene.skip is Skip.NO_SEQUENCE for gene in genes)
        self._has |= any(gene.protein for gene in genes)
        pairs = zip(features, genes, strict=True)
        self._fits = self._fits or any(
            self._sequences.protein(_protein_names(rows[0], gene.locus_tag)) for rows, gene in pairs
        )

    def finish(self) -> None:
        """Raise InputError for what holds for the whole file, or warn of it."""
        path, sequences, first = self._layout.path, self._sequences, self._first
        assert first is not None, "a file with sections has CDS"
        if sequences.proteins and not self._fits:
            raise InputError(
                f"no protein of the --faa file has the ID, locus_tag or protein_id of a CDS ({first.id!r}); "
                "give the proteins of this very annotation",
                path,
            )
        names = {unquote(name) for name in self._layout.replicons}
        if sequences.contigs and not names & sequences.contigs.keys():
            raise sequences.no_contig_fits(first.contig, path)
        if self._lacks and not self._has:
            if self._embedded and self._embedded not in names:
                raise InputError(
                    f"no sequence after ##FASTA ({self._embedded!r}, ...) has the name of a contig "
                    f"({first.contig!r}); make the names alike, or give --fasta genome.fna",
                    path,
                )
            raise InputError(
                "no sequences for the CDS of this file; "
                "give --fasta genome.fna or --faa proteins.faa beside it",
                path,
            )
        self.stops.warn(path)
