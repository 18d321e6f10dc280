"""GenBank and EMBL: text -> Genome. `entries` reads the records, `patch` writes predictions back."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO

from Bio.SeqFeature import CompoundLocation, ExactPosition, SeqFeature, SimpleLocation

from glm_annot.errors import InputError
from glm_annot.io import qualifiers as q
from glm_annot.io.genbank.entries import Entry, read_entries
from glm_annot.io.genbank.text import Feature
from glm_annot.io.oddities import Oddities
from glm_annot.io.parts import check_overlap, check_usable, several, without_repeats, without_sequence
from glm_annot.io.proteins import Admitted, Coding, Proteins
from glm_annot.io.sequences import UNKNOWN_CODE, Sequences, as_dna, is_genetic_code
from glm_annot.records import Contig, Gene, Genome, Skip, Source

log = logging.getLogger(__name__)

_NO_NAME = {"", ".", "unknown", "<unknown id>"}  # what stands for an accession that a tool does not have
_SEED_ID = re.compile(r"(?:.*:)?(fig\|.+)")  # RAST names its features so, in /db_xref


def parse(source_path: str, text: bytes, sequences: Sequences) -> Genome:
    """Read a GenBank or EMBL text of one or more records. Records without any CDS are left out.

    Args:
        source_path: where it came from, for messages; `-` for standard input.
        text: the decompressed file, without our additions.
        sequences: contigs (by VERSION, ACCESSION, LOCUS or ID name) and proteins given beside it; they win
            over what the file holds.

    Raises:
        InputError: naming the file and, where there is one, the line.
    """
    entries = read_entries(text, source_path)
    reader = _Reader(source_path, sequences)
    names = _contig_names(entries, source_path)
    contigs = reader.contigs(list(zip(names, entries, strict=True)))
    genome = Genome(
        tuple(contig for contig in contigs if contig.genes),
        Source(
            source_path,
            entries[0].layout.style.format,
            text,
            reader.anchors,
            genetic_code=sequences.chosen_code,
        ),
    )
    if sequences.contigs and not reader.n_fitting:
        raise sequences.no_contig_fits(names[0], source_path)
    check_usable(genome, sequences, source_path)
    if sequences.proteins and not reader.n_given:
        raise InputError(
            "no protein of the --faa file is named like the locus_tag or protein_id of a CDS; "
            "give the proteins of this annotation",
            source_path,
        )
    reader.oddities.tell()
    reader.proteins.finish()
    return genome


def outline(file: BinaryIO, path: str) -> list[Contig]:
    """The contigs of a file without their genes and sequences; errors as `parse`."""
    entries = read_entries(file.read(), path)
    return [
        Contig(name, entry.locus.length or len(entry.sequence) or None, entry.locus.circular, ())
        for name, entry in zip(_contig_names(entries, path), entries, strict=True)
    ]


def _contig_names(entries: Sequence[Entry], path: str) -> list[str]:
    """VERSION (else ACCESSION) of each record where all have their own, else the LOCUS or ID names."""
    identifiers = [entry.content.id for entry in entries]
    if len(set(identifiers)) == len(entries) and not any(name.lower() in _NO_NAME for name in identifiers):
        return identifiers
    seen: set[str] = set()
    for entry in entries:
        name = entry.locus.name
        if name in seen:
            raise InputError(
                f"a second record called {name}; if they are regions of one contig, give the regions one by "
                "one, else give each record a different name",
                path,
                entry.layout.first + 1,
            )
        seen.add(name)
    return [entry.locus.name for entry in entries]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a CDS lies: parts along the contig, those past the origin with its length added; and a strand."""

    parts: tuple[tuple[int, int], ...]
    strand: int

    @property
    def start(self) -> int:
        return min(start for start, _ in self.parts)

    @property
    def end(self) -> int:
        return max(end for _, end in self.parts)


_NOWHERE = _Place(((0, 0),), 0)  # of a CDS whose location cannot be read


class _Reader:
    """Turns records into contigs and numbers their CDS along the file.

    Attributes:
        anchors: for each CDS so far its key line and its last line.
        n_given: how many CDS so far got their protein from `--faa`.
        n_fitting: how many records so far got their sequence from `--fasta`.
        oddities, proteins: of the file.
    """

    def __init__(self, path: str, sequences: Sequences) -> None:
        self._path, self._sequences = path, sequences
        self.anchors: dict[int, tuple[int, ...]] = {}
        self.n_given = self.n_fitting = 0
        self.oddities = Oddities(path)
        self.proteins = Proteins(path, self.oddities, code=sequences.chosen_code)

    def contigs(self, entries: Sequence[tuple[str, Entry]]) -> list[Contig]:
        """Records by name, with their CDS in order along the contig."""
        dna = [self._dna(name, entry) for name, entry in entries]
        found = [
            (number, feature, lines, self._place(feature, entry, dna[number]))
            for number, (_, entry) in enumerate(entries)
            for feature, lines in entry.coding
        ]
        sizes = list(map(len, dna))
        parts = ((part, sizes[number]) for number, _, _, place in found for part in place.parts)
        check_overlap(parts, sizes, self._path)
        codings = [
            self._coding(*entries[number], dna[number], feature, lines, place)
            for number, feature, lines, place in found
        ]
        self.anchors = {i: (lines.first, lines.last) for i, (_, _, lines, _) in enumerate(found)}
        genes: list[list[Gene]] = [[] for _ in entries]
        members = enumerate(zip(found, codings, self.proteins.of(codings), strict=True))
        for index, ((number, feature, _, place), coding, admitted) in members:
            contig = entries[number][0]
            genes[number].append(_gene(index, contig, feature, place, coding, admitted, self._sequences))
        bases = {name for (name, _), bases in zip(entries, dna, strict=True) if bases}
        without_sequence([gene for record in genes for gene in record], bases, self.oddities)
        return [
            self._contig(name, entry, dna[number], without_repeats(genes[number], self.oddities))
            for number, (name, entry) in enumerate(entries)
        ]

    def _contig(self, name: str, entry: Entry, dna: str, genes: list[Gene]) -> Contig:
        length = entry.locus.length or len(dna) or None
        inside = [gene for gene in genes if gene.skip is not Skip.OUTSIDE]
        over = next((gene for gene in inside if length and gene.end > length), None)
        if over and not entry.locus.circular:
            log.warning(
                "%s: %s is not marked circular, but read so: %s lies over its origin",
                self._path,
                name,
                over.id,
            )
        genes = sorted(genes, key=lambda gene: (gene.start, gene.end))
        return Contig(name, length, entry.locus.circular or over is not None, tuple(genes), dna)

    def _dna(self, name: str, entry: Entry) -> str:
        """The sequence that `--fasta` gives, else the record's own; '' without either."""
        stem = entry.content.id.partition(".")[0]
        given = [self._sequences.contigs.get(n) for n in (name, entry.content.id, stem, entry.locus.name)]
        dna = next((sequence for sequence in given if sequence), "")
        self.n_fitting += bool(dna)
        if dna and entry.locus.length and len(dna) != entry.locus.length:
            raise InputError(
                f"{entry.layout.style.first_key} says {entry.locus.length} bp but the FASTA file has "
                f"{len(dna)} for {name}; give the contigs of this annotation",
                self._path,
                entry.layout.first + 1,
            )
        return as_dna(dna or entry.sequence)

    def _place(self, feature: SeqFeature, entry: Entry, dna: str) -> _Place:
        if feature.location is None:
            return _NOWHERE
        parts = [part for part in feature.location.parts if part.ref is None] or feature.location.parts
        strands = {-1 if part.strand == -1 else 1 for part in parts}
        if len(strands) > 1:
            ordered = sorted(parts, key=lambda part: (part.start, part.end))
            return _Place(_places(ordered, None), -1 if ordered[0].strand == -1 else 1)
        strand = strands.pop()
        return _Place(_places(parts[::strand], entry.locus.length or len(dna) or None), strand)

    def _coding(
        self,
        contig: str,
        entry: Entry,
        dna: str,
        feature: SeqFeature,
        lines: Feature,
        place: _Place,
    ) -> Coding:
        """What decides the protein of a CDS; one of `--faa` goes before its /translation."""
        said, location = feature.qualifiers, feature.location
        locus_tag, protein_id = q.text(said, "locus_tag"), q.text(said, "protein_id")
        name = locus_tag or _seed_id(said) or f"{contig}_{place.start}_{place.end}_{q.SIGNS[place.strand]}"
        given = self._sequences.protein((name, protein_id, protein_id.rpartition("|")[2]))  # gnl|CENTRE|TAG
        self.n_given += given is not None
        if location is None:
            where = f"{name}, line {lines.first + 1}, {lines.location}"
            self.oddities.see("CDS that cannot be read, skipped", where)
            return Coding(name=name, given=given is not None, skip=Skip.MALFORMED)
        length = entry.locus.length or len(dna) or None
        skip = Skip.PSEUDOGENE if q.is_pseudo(said) else self._outside(name, location, lines, length)
        split = any(part.ref is not None for part in location.parts)  # a part lies in another record
        phase = self._codon_start(said, lines) - 1
        own_start, recoded = _has_own_start(location), q.recoded_stops(said)
        return Coding(
            name=name,
            dna="" if split or skip else "".join(str(part.extract(dna)) for part in location.parts),
            phase=phase,
            codon_start=phase,
            code=self._code(said, lines),
            own_start=own_start,
            recoded=recoded,
            stated=given or q.text(said, "translation"),
            given=given is not None,
            wins=given is not None and self._sequences.chosen,
            any_length=not (own_start and _has_own_end(location)) or bool(recoded) or q.is_slipped(said),
            skip=skip,
        )

    def _outside(
        self, name: str, location: SimpleLocation, lines: Feature, length: int | None
    ) -> Skip | None:
        inside = [part for part in location.parts if part.ref is None]
        if not inside:
            where = f"{name}, line {lines.first + 1}, {lines.location}"
            self.oddities.see("CDS that lie in another record, skipped", where)
            return Skip.OUTSIDE
        if length is None or max(part.end for part in inside) <= length:
            return None
        self.oddities.see(
            "CDS that reach past the end of their record, skipped",
            f"{name}, line {lines.first + 1}, {lines.location} of {length}",
        )
        return Skip.OUTSIDE

    def _code(self, said: q.Attributes, lines: Feature) -> int:
        """The genetic code that a CDS states, else that of the file."""
        stated = q.text(said, "transl_table")
        if is_genetic_code(stated):
            return int(stated)
        if stated:
            self.oddities.see(UNKNOWN_CODE, f"transl_table={stated}, line {lines.first + 1}")
        return self._sequences.code

    def _codon_start(self, said: q.Attributes, lines: Feature) -> int:
        stated = q.text(said, "codon_start") or "1"
        if stated in ("1", "2", "3"):
            return int(stated)
        self.oddities.see("CDS whose codon_start is not 1, 2 or 3, read as 1", f"line {lines.first + 1}")
        return 1


def _gene(
    index: int,
    contig: str,
    feature: SeqFeature,
    place: _Place,
    coding: Coding,
    admitted: Admitted,
    sequences: Sequences,
) -> Gene:
    said = feature.qualifiers
    protein, skip = admitted
    return Gene(
        index=index,
        id=coding.name,
        contig=contig,
        start=place.start,
        end=place.end,
        strand=place.strand,
        locus_tag=q.text(said, "locus_tag"),
        name=q.text(said, "gene"),
        product=q.product(said),
        ec=sequences.all_ec((coding.name,), q.existing_ec(said)),
        protein=protein,
        skip=skip,
        parts=several(place.parts),
    )


def _places(parts: Sequence[SimpleLocation], length: int | None) -> tuple[tuple[int, int], ...]:
    """Parts in order along a contig of some length: over the origin where two meet there."""
    origin = next(
        (i for i, (a, b) in enumerate(pairwise(parts), 1) if a.end == length and b.start == 0), len(parts)
    )
    return tuple(
        (int(part.start) + 1 + lap, int(part.end) + lap)
        for i, part in enumerate(parts)
        for lap in ((length or 0) if i >= origin else 0,)
    )


def _has_own_start(location: SimpleLocation | CompoundLocation) -> bool:
    """Whether its first base is exact; `<` (on the minus strand `>`) says that the start codon is missing."""
    first = location.parts[0]
    return isinstance(first.end if first.strand == -1 else first.start, ExactPosition)


def _has_own_end(location: SimpleLocation | CompoundLocation) -> bool:
    """The same of its last base."""
    last = location.parts[-1]
    return isinstance(last.start if last.strand == -1 else last.end, ExactPosition)


def _seed_id(said: q.Attributes) -> str:
    matches = (_SEED_ID.fullmatch(value) for value in q.values(said, "db_xref"))
    return next((match[1] for match in matches if match), "")
