"""GenBank flat files: text -> Genome, and back by patching (`render`, `strip`, from genbank_patch).

Biopython reads the meaning of each record from a copy; the line numbers come from a scan of the original
text, and the two are held against each other feature by feature.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from Bio import BiopythonParserWarning, SeqIO
from Bio.SeqFeature import ExactPosition, SeqFeature
from Bio.SeqRecord import SeqRecord

from glm_annot.errors import InputError
from glm_annot.io import qualifiers
from glm_annot.io.genbank_copy import Locus, read_locus, readable
from glm_annot.io.genbank_patch import render, strip
from glm_annot.io.genbank_text import Feature, Record, records
from glm_annot.io.sequences import DEFAULT_CODE, Sequences, admit, genetic_code, translate
from glm_annot.io.source import split_lines
from glm_annot.records import Contig, Gene, Genome, Skip, Source

__all__ = ["parse", "render", "strip"]

_NO_NAME = {"", ".", "unknown", "<unknown id>"}  # what tools write for an accession that they do not have
_SEED_ID = re.compile(r"(?:.*:)?(fig\|.+)")  # RAST names its features so, in /db_xref


def parse(source_path: str, text: bytes, sequences: Sequences) -> Genome:
    """Read a GenBank file of one or more records.

    Args:
        source_path: the file, for messages and `Source.path`.
        text: its decompressed content, without additions of ours.
        sequences: what `--fasta` and `--faa` gave; contigs go by VERSION, ACCESSION or LOCUS name.

    Raises:
        InputError: no record, no CDS, no sequence for any CDS, or a damaged file; it names the line.
    """
    lines = split_lines(text)
    entries = [_entry(lines, layout, source_path) for layout in records(lines)]
    reader = _Reader(source_path, sequences)
    contigs = []
    for name, entry in zip(_contig_names(entries, source_path), entries, strict=True):
        contigs.append(reader.contig(name, entry))
    genome = Genome(tuple(contigs), Source(source_path, "genbank", text, reader.anchors))
    _check_usable(genome, source_path)
    return genome


@dataclass(frozen=True, slots=True)
class _Entry:
    """One record: where its lines are, its LOCUS line, and what Biopython made of it."""

    layout: Record
    locus: Locus
    content: SeqRecord

    @property
    def length(self) -> int | None:
        """Base pairs, by the LOCUS line, else by the sequence."""
        return self.locus.length or len(self.content.seq) or None

    @property
    def coding(self) -> Iterator[tuple[SeqFeature, Feature]]:
        """Each CDS as Biopython has it, with its lines."""
        features = (feature for feature in self.content.features if feature.type == "CDS")
        spans = (feature for feature in self.layout.features if feature.key == "CDS")
        return zip(features, spans, strict=True)


def _entry(lines: Sequence[bytes], layout: Record, path: str) -> _Entry:
    """Read one record, or raise InputError at the line that is at fault."""
    if layout.stray:
        raise InputError(
            "this line is no feature, qualifier or sequence of a GenBank file; is the file damaged?",
            path,
            layout.stray[0] + 1,
        )
    if layout.section is None and (layout.table is None or layout.close is None):
        raise InputError(
            "the record that begins on line "
            f"{layout.first + 1} stops before its sequence; fetch or copy the file again",
            path,
            layout.end,
        )
    locus = read_locus(lines, layout, path)
    entry = _Entry(layout, locus, _biopython(readable(lines, layout, locus), layout, path))
    found = len(entry.content.seq)
    if locus.length and found != locus.length:
        raise InputError(
            f"LOCUS says {locus.length} bp but the sequence has {found}; fetch or copy the file again",
            path,
            layout.first + 1 if layout.close is not None else layout.end,
        )
    _check_lines(entry, path)
    return entry


def _biopython(text: str, layout: Record, path: str) -> SeqRecord:
    with warnings.catch_warnings():
        # What these warnings tell of is either harmless (wrapping, LOCUS columns) or checked in this module.
        warnings.simplefilter("ignore", BiopythonParserWarning)
        try:
            return SeqIO.read(io.StringIO(text), "genbank")
        except (ValueError, AssertionError, LookupError, AttributeError, TypeError) as error:
            said = str(error).splitlines() or [type(error).__name__]
            line = next(
                (f.first for f in layout.features if len(said) > 1 and f.location == said[1].strip()),
                layout.first,
            )
            raise InputError(
                f"Biopython cannot read this record ({said[0].rstrip(':')})", path, line + 1
            ) from error


def _check_lines(entry: _Entry, path: str) -> None:
    """Make sure that the lines found are those of Biopython's features: a patch must never go astray."""
    keys = [feature.type for feature in entry.content.features]
    if keys != [feature.key for feature in entry.layout.features]:
        raise InputError(
            "this feature table is laid out in a way that is not understood", path, entry.layout.first + 1
        )
    for feature, lines in entry.coding:
        if feature.location is None:
            raise InputError(f"the location {lines.location} cannot be read", path, lines.first + 1)
        stated = {int(number) for number in re.findall(r"\d+", lines.location)}
        bounds = {int(part.start) + 1 for part in feature.location.parts}
        bounds |= {int(part.end) for part in feature.location.parts}
        if (
            bounds - stated - {1, entry.length}
        ):  # 1 and the length appear where Biopython splits 90..10 at the origin
            raise InputError(f"the location {lines.location} is not understood", path, lines.first + 1)


def _contig_names(entries: Sequence[_Entry], path: str) -> list[str]:
    """VERSION (else ACCESSION) of each record where these are given and differ, else the LOCUS names."""
    if not entries:
        raise InputError("no LOCUS line, so this is no GenBank file", path)
    identifiers = [entry.content.id for entry in entries]
    if len(set(identifiers)) == len(entries) and not any(name.lower() in _NO_NAME for name in identifiers):
        return identifiers
    seen: set[str] = set()
    for entry in entries:
        if entry.locus.name in seen:
            raise InputError(
                f"a second record called {entry.locus.name}; give each its own name",
                path,
                entry.layout.first + 1,
            )
        seen.add(entry.locus.name)
    return [entry.locus.name for entry in entries]


@dataclass(slots=True)
class _Reader:
    """Turns records into contigs and numbers their CDS along the file."""

    path: str
    sequences: Sequences
    anchors: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def contig(self, name: str, entry: _Entry) -> Contig:
        """One record with its CDS in order along the contig."""
        dna = self._dna(name, entry)
        genes = []
        for feature, lines in entry.coding:
            genes.append(self._gene(len(self.anchors), name, entry, feature, lines, dna))
            self.anchors[len(self.anchors)] = (lines.first, lines.last)
        genes.sort(key=lambda gene: (gene.start, gene.end))
        return Contig(name, entry.length or len(dna) or None, entry.locus.circular, tuple(genes))

    def _dna(self, name: str, entry: _Entry) -> str:
        """The record's own sequence, else the one that `--fasta` gives, '' without either."""
        if entry.content.seq.defined and len(entry.content.seq):
            return str(entry.content.seq)
        names = (name, entry.content.id, entry.content.id.partition(".")[0], entry.locus.name)
        dna = next((self.sequences.contigs[n] for n in names if n in self.sequences.contigs), "")
        if dna and entry.length and len(dna) != entry.length:
            raise InputError(
                f"LOCUS says {entry.length} bp but the FASTA file has {len(dna)} for {name}; give its own",
                self.path,
                entry.layout.first + 1,
            )
        return dna

    def _gene(
        self, index: int, contig: str, entry: _Entry, feature: SeqFeature, lines: Feature, dna: str
    ) -> Gene:
        said = feature.qualifiers
        start, end, strand = self._extent(feature, lines, entry.length or len(dna), entry.locus.circular)
        locus_tag = qualifiers.text(said, "locus_tag")
        gene_id = locus_tag or _seed_id(said) or f"{contig}_{start}_{end}_{'+' if strand == 1 else '-'}"
        protein, skip = admit(self._protein(gene_id, feature, lines, dna), pseudo=qualifiers.is_pseudo(said))
        return Gene(
            index=index,
            id=gene_id,
            contig=contig,
            start=start,
            end=end,
            strand=strand,
            locus_tag=locus_tag,
            name=qualifiers.text(said, "gene"),
            product=qualifiers.product(said),
            ec=qualifiers.existing_ec(said),
            protein=protein,
            skip=skip,
        )

    def _extent(
        self, feature: SeqFeature, lines: Feature, length: int, circular: bool
    ) -> tuple[int, int, int]:
        """Start, end (past `length` where it goes over the origin) and strand of a CDS."""
        parts = [part for part in feature.location.parts if part.ref is None]
        if not parts:
            raise InputError(f"the CDS {lines.location} lies in another record", self.path, lines.first + 1)
        if length and max(part.end for part in parts) > length:
            raise InputError(
                f"the CDS {lines.location} ends past its record of {length} bp", self.path, lines.first + 1
            )
        strand = -1 if parts[0].strand == -1 else 1
        along = parts[::strand]
        over_origin = circular and any(a.end == length and b.start == 0 for a, b in pairwise(along))
        if over_origin:
            return int(along[0].start) + 1, int(along[-1].end) + length, strand
        return int(min(part.start for part in parts)) + 1, int(max(part.end for part in parts)), strand

    def _protein(self, gene_id: str, feature: SeqFeature, lines: Feature, dna: str) -> str | None:
        """From `--faa`, else /translation, else our own translation; None without any of them."""
        said = feature.qualifiers
        protein_id = qualifiers.text(said, "protein_id")
        names = (gene_id, protein_id, protein_id.rpartition("|")[2])  # Bakta and Prokka: gnl|CENTRE|TAG
        given = self.sequences.protein(names) or qualifiers.text(said, "translation")
        if given or qualifiers.is_pseudo(said) or not dna:
            return given or None
        return self._translated(feature, lines, dna)

    def _translated(self, feature: SeqFeature, lines: Feature, dna: str) -> str | None:
        said, location = feature.qualifiers, feature.location
        if any(part.ref is not None for part in location.parts):
            return None  # a part of it lies in another record, so its sequence is not known
        codon_start = qualifiers.text(said, "codon_start") or "1"
        if codon_start not in ("1", "2", "3"):
            raise InputError(f"codon_start={codon_start} is not 1, 2 or 3", self.path, lines.first + 1)
        table = qualifiers.text(said, "transl_table") or str(DEFAULT_CODE)
        first = location.parts[0]
        own_start = isinstance(first.end if first.strand == -1 else first.start, ExactPosition)
        return translate(
            str(location.extract(dna)),
            table=genetic_code(table, self.path, lines.first + 1),
            phase=int(codon_start) - 1,
            complete_start=own_start and codon_start == "1",
            recoded=qualifiers.recoded_stops(said),
        )


def _seed_id(said: qualifiers.Attributes) -> str:
    matches = (_SEED_ID.fullmatch(value) for value in qualifiers.values(said, "db_xref"))
    return next((match[1] for match in matches if match), "")


def _check_usable(genome: Genome, path: str) -> None:
    genes = list(genome.genes)
    if not genes:
        raise InputError(
            "no CDS feature in this file; annotate the genome first, for instance with Bakta", path
        )
    skips = {gene.skip for gene in genes}
    if Skip.NO_SEQUENCE in skips and None not in skips:
        raise InputError(
            "no CDS has a /translation and the records hold no sequence; give it with --fasta or --faa", path
        )
