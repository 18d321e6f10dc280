"""GenBank: text -> Genome. `entries` reads the records, `patch` writes predictions back."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from Bio.SeqFeature import CompoundLocation, ExactPosition, SeqFeature, SimpleLocation

from glm_annot.errors import InputError
from glm_annot.io import qualifiers as q
from glm_annot.io.genbank.entries import Entry, read_entries
from glm_annot.io.genbank.text import Feature
from glm_annot.io.sequences import DEFAULT_CODE, Sequences, StopCount, admit, genetic_code, translate
from glm_annot.records import Contig, Gene, Genome, Skip, Source

log = logging.getLogger(__name__)

_NO_NAME = {"", ".", "unknown", "<unknown id>"}  # what stands for an accession that a tool does not have
_SEED_ID = re.compile(r"(?:.*:)?(fig\|.+)")  # RAST names its features so, in /db_xref


def parse(source_path: str, text: bytes, sequences: Sequences) -> Genome:
    """Read a GenBank text of one or more records. Records without any CDS are left out.

    Args:
        source_path: where it came from, for messages; `-` for standard input.
        text: the decompressed file, without additions of ours.
        sequences: contigs (by VERSION, ACCESSION or LOCUS name) and proteins given beside it; they win over
            what the file holds.

    Raises:
        InputError: naming the file and, where there is one, the line.
    """
    entries = read_entries(text, source_path)
    reader = _Reader(source_path, sequences)
    names = _contig_names(entries, source_path)
    contigs = [reader.contig(name, entry) for name, entry in zip(names, entries, strict=True)]
    genome = Genome(
        tuple(contig for contig in contigs if contig.genes),
        Source(source_path, "genbank", text, reader.anchors),
    )
    if sequences.contigs and not reader.n_fitting:
        raise sequences.no_contig_fits(names[0], source_path)
    _check_usable(genome, sequences, source_path)
    if sequences.proteins and not reader.n_given:
        raise InputError(
            "no protein of the --faa file goes by the locus_tag or protein_id of a CDS; "
            "give the proteins of this very annotation",
            source_path,
        )
    reader.stops.warn(source_path)
    return genome


class Whole:
    """A GenBank file as sections of which there is one: its genome."""

    format = "genbank"

    def __init__(self, genome: Genome) -> None:
        self._genome = genome

    def __iter__(self) -> Iterator[Genome]:
        return iter((self._genome,))

    def rest(self) -> Iterator[bytes]:
        """Nothing follows."""
        return iter(())

    def close(self) -> None:
        """No file is open."""


def _contig_names(entries: Sequence[Entry], path: str) -> list[str]:
    """VERSION (else ACCESSION) of each record where all have their own, else the LOCUS names."""
    identifiers = [entry.content.id for entry in entries]
    if len(set(identifiers)) == len(entries) and not any(name.lower() in _NO_NAME for name in identifiers):
        return identifiers
    seen: set[str] = set()
    for entry in entries:
        name = entry.locus.name
        if name in seen:
            line = entry.layout.first + 1
            raise InputError(f"a second record called {name}; give each a name of its own", path, line)
        seen.add(name)
    return [entry.locus.name for entry in entries]


def _check_usable(genome: Genome, sequences: Sequences, path: str) -> None:
    genes = list(genome.genes)
    if not genes:
        raise InputError("no CDS in this file; call genes first (Bakta, Prokka, PGAP, ...)", path)
    lacking = any(gene.skip is Skip.NO_SEQUENCE for gene in genes)
    if lacking and not sequences.proteins and not any(gene.protein for gene in genes):
        raise InputError(
            "no sequences in this file; give --fasta genome.fna (contigs of the same names) "
            "or --faa proteins.faa beside it",
            path,
        )


@dataclass(slots=True)
class _Reader:
    """Turns records into contigs and numbers their CDS along the file.

    Attributes:
        path, sequences: as in `parse`.
        anchors: for each CDS so far its key line and its last line.
        n_given: how many CDS so far got their protein from `--faa`.
        n_fitting: how many records so far got their sequence from `--fasta`.
        stops: how many proteins so far have a stop inside.
    """

    path: str
    sequences: Sequences
    anchors: dict[int, tuple[int, ...]] = field(default_factory=dict)
    n_given: int = 0
    n_fitting: int = 0
    stops: StopCount = field(default_factory=StopCount)

    def contig(self, name: str, entry: Entry) -> Contig:
        """One record with its CDS in order along the contig."""
        dna = self._dna(name, entry)
        length = entry.locus.length or len(dna) or None
        genes = []
        for feature, lines in entry.coding:
            index = len(self.anchors)
            self.anchors[index] = (lines.first, lines.last)
            extent = self._extent(feature, lines, length)
            genes.append(self._gene(index, name, extent, feature, lines, dna))
        genes.sort(key=lambda gene: (gene.start, gene.end))
        over = next((gene for gene in genes if length and gene.end > length), None)
        if over and not entry.locus.circular:
            log.warning(
                "%s: %s is not marked circular, but read so: %s lies over its origin",
                self.path,
                name,
                over.id,
            )
        return Contig(name, length, entry.locus.circular or over is not None, tuple(genes), dna)

    def _dna(self, name: str, entry: Entry) -> str:
        """The sequence that `--fasta` gives, else the record's own; '' without either."""
        stem = entry.content.id.partition(".")[0]
        given = [self.sequences.contigs.get(n) for n in (name, entry.content.id, stem, entry.locus.name)]
        dna = next((sequence for sequence in given if sequence), "")
        self.n_fitting += bool(dna)
        if dna and entry.locus.length and len(dna) != entry.locus.length:
            raise InputError(
                f"LOCUS says {entry.locus.length} bp but the FASTA file has {len(dna)} for {name}; "
                "give the contigs of this very annotation",
                self.path,
                entry.layout.first + 1,
            )
        return dna or entry.sequence

    def _extent(self, feature: SeqFeature, lines: Feature, length: int | None) -> tuple[int, int, int]:
        """Start, end (past `length` where it goes over the origin) and strand of a CDS."""
        parts = [part for part in feature.location.parts if part.ref is None]
        if not parts:
            raise InputError(f"CDS {lines.location} lies in another record", self.path, lines.first + 1)
        if length is not None and max(part.end for part in parts) > length:
            raise InputError(
                f"CDS {lines.location} reaches past the end of its record ({length} bases); correct it",
                self.path,
                lines.first + 1,
            )
        strand = -1 if parts[0].strand == -1 else 1
        start, end = _span(parts[::strand], length)
        return start, end, strand

    def _gene(
        self,
        index: int,
        contig: str,
        extent: tuple[int, int, int],
        feature: SeqFeature,
        lines: Feature,
        dna: str,
    ) -> Gene:
        start, end, strand = extent
        said = feature.qualifiers
        locus_tag = q.text(said, "locus_tag")
        gene_id = locus_tag or _seed_id(said) or f"{contig}_{start}_{end}_{q.SIGNS[strand]}"
        found = self._protein(gene_id, feature, lines, dna)
        protein, skip = admit(found, pseudo=q.is_pseudo(said))
        if skip is not Skip.PSEUDOGENE:
            self.stops.add(found)
        return Gene(
            index=index,
            id=gene_id,
            contig=contig,
            start=start,
            end=end,
            strand=strand,
            locus_tag=locus_tag,
            name=q.text(said, "gene"),
            product=q.product(said),
            ec=q.existing_ec(said),
            protein=protein,
            skip=skip,
        )

    def _protein(self, gene_id: str, feature: SeqFeature, lines: Feature, dna: str) -> str | None:
        """From `--faa`, else /translation, else our own translation; None without any of them."""
        said = feature.qualifiers
        protein_id = q.text(said, "protein_id")
        given = self.sequences.protein((gene_id, protein_id, protein_id.rpartition("|")[2]))  # gnl|CENTRE|TAG
        if given:
            self.n_given += 1
            return given
        stated = q.text(said, "translation")
        if stated or q.is_pseudo(said):
            return stated
        return self._translated(feature, lines, dna) if dna else None

    def _translated(self, feature: SeqFeature, lines: Feature, dna: str) -> str | None:
        said, location = feature.qualifiers, feature.location
        if any(part.ref is not None for part in location.parts):
            return None  # a part of it lies in another record, whose sequence is not known
        codon_start = q.text(said, "codon_start") or "1"
        if codon_start not in ("1", "2", "3"):
            raise InputError(f"codon_start={codon_start} is not 1, 2 or 3", self.path, lines.first + 1)
        return translate(
            str(location.extract(dna)),
            table=genetic_code(q.text(said, "transl_table") or str(DEFAULT_CODE), self.path, lines.first + 1),
            phase=int(codon_start) - 1,
            complete_start=codon_start == "1" and _has_own_start(location),
            recoded=q.recoded_stops(said),
        )


def _span(parts: Sequence[SimpleLocation], length: int | None) -> tuple[int, int]:
    """Extent of parts in order along a contig of some length: over the origin where they meet there."""
    if length is not None and any(a.end == length and b.start == 0 for a, b in pairwise(parts)):
        return int(parts[0].start) + 1, int(parts[-1].end) + length
    return int(min(part.start for part in parts)) + 1, int(max(part.end for part in parts))


def _has_own_start(location: SimpleLocation | CompoundLocation) -> bool:
    """Whether its first base is exact; `<` (on the minus strand `>`) says that the start codon is missing."""
    first = location.parts[0]
    return isinstance(first.end if first.strand == -1 else first.start, ExactPosition)


def _seed_id(said: q.Attributes) -> str:
    matches = (_SEED_ID.fullmatch(value) for value in q.values(said, "db_xref"))
    return next((match[1] for match in matches if match), "")
