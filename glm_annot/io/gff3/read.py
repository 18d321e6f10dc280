"""GFF3: text -> Genome. `lines` reads, `features` puts CDS together, `patch` writes predictions back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import BinaryIO
from urllib.parse import unquote

from glm_annot.errors import InputError
from glm_annot.io import qualifiers as q
from glm_annot.io.gff3.features import Feature, code_of, coding_strand, find_features
from glm_annot.io.gff3.lines import ANCESTORS, Document, Layout, Replicon, Row, Section, read_section, survey
from glm_annot.io.gff3.text import MOST_ANCESTORS, split_text
from glm_annot.io.oddities import Oddities
from glm_annot.io.parts import all_malformed, check_overlap, several, without_repeats, without_sequence
from glm_annot.io.proteins import Admitted, Coding, Proteins, Reading
from glm_annot.io.sequences import EDGE, Fasta, Sequences, as_dna
from glm_annot.io.source import blocks_from
from glm_annot.records import Contig, Gene, Genome, Skip, Source

_PRODIGAL_ID = re.compile(r"\d+_(\d+)")
_Ancestors = Mapping[str, Sequence[Row]]  # genes and transcripts by ID, in order of the file


def parse(source_path: str, text: bytes, sequences: Sequences) -> Genome:
    """Read a GFF3 text.

    Contigs without any CDS are left out. Coordinates are checked against the contig's length: that of its
    sequence, else of `##sequence-region` (or Prodigal's header), else of its region line.

    Args:
        source_path: where it came from, for messages; `-` for standard input.
        text: the decompressed file, without our additions.
        sequences: contigs and proteins given beside it; they go before `##FASTA`.

    Raises:
        InputError: naming the file and, where there is one, the line.
    """
    return Sections(source_path, BytesIO(text), sequences).whole(text)


def outline(file: BinaryIO, path: str) -> list[Contig]:
    """The contigs of a file without their genes and sequences, which need not be there; errors as `parse`."""
    layout = survey(file, path)
    embedded = _embedded(file, layout)
    return [
        Contig(name, replicon.length or len(embedded.get(name, "")) or None, replicon.circular, ())
        for name, replicon in layout.replicons.items()
    ]


class Sections:
    """A GFF3 file whose genome comes in sections of whole contigs, so that it is never in memory as a whole.

    Iterating gives each section as a separate genome, whose source is its lines; these and then `rest` are
    the file. It may be done more than once; a genome of one section is kept.

    Args and errors as for `parse`; `file` stays open, and may be read by nobody else.
    """

    format = "gff3"

    def __init__(self, path: str, file: BinaryIO, sequences: Sequences) -> None:
        self._path, self._file, self._sequences = path, file, sequences
        self._layout = survey(file, path, sequences.code)
        self._embedded = _embedded(file, self._layout)
        self._only: Genome | None = None
        self._reading: Reading | None = None
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
        first = next(iter(self._embedded), None)
        return _SequenceCheck(self._sequences, self._layout, first, self._reading)

    def _text(self, section: Section) -> bytes:
        self._file.seek(section.start)
        return self._file.read(section.stop - section.start)

    def _read(self, section: Section, text: bytes, check: _SequenceCheck) -> Genome:
        layout = self._layout
        document = read_section(split_text(text)[1], section, layout, check.oddities)
        _attach_sequences(document, self._sequences, self._embedded)
        document.code = self._sequences.chosen_code
        _see_outside(document)
        _check_overlap(document)
        features = find_features(document)
        ancestors = _ancestors(document)
        codings = [_coding(feature, ancestors, document, self._sequences) for feature in features]
        admitted = check.proteins.of(codings)
        self._reading = check.proteins.reading
        members = enumerate(zip(features, admitted, codings, strict=True))
        genes = without_repeats(
            [_gene(i, *member, ancestors, self._sequences) for i, member in members], check.oddities
        )
        without_sequence(genes, {n for n, r in document.replicons.items() if r.sequence}, check.oddities)
        check.see(genes, any(coding.given for coding in codings))
        anchors = {i: feature.lines for i, feature in enumerate(features)}
        source = Source(
            self._path,
            self.format,
            text,
            anchors,
            newline=layout.newline,
            ec_place=layout.ec_place,
            opens_file=section.start == 0,
            genetic_code=self._sequences.chosen_code,
        )
        return Genome(_contigs(genes, document), source)


def _check_overlap(document: Document) -> None:
    bases = {name: len(replicon.sequence or "") for name, replicon in document.replicons.items()}
    coding = (row for row in document.rows if row.kind == "CDS")
    check_overlap(
        (((row.start, row.end), bases[row.contig]) for row in coding), bases.values(), document.path
    )


def _see_outside(document: Document) -> None:
    """Count gene lines and the like that reach past the end of a linear contig; no CDS depends on it."""
    for row in document.rows:
        replicon = document.replicons[row.contig]
        if row.kind != "CDS" and not replicon.circular and row.end > (replicon.length or row.end):
            document.oddities.see(
                "features other than CDS that reach past the end of their contig, kept as they are",
                f"{row.id or row.kind}, {document.lines([row])}, {row.start}..{row.end} of {replicon.length}",
            )


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


# ---- genes ----


def _gene(
    index: int,
    feature: Feature,
    admitted: Admitted,
    coding: Coding,
    ancestors: _Ancestors,
    sequences: Sequences,
) -> Gene:
    row = feature.rows[0]
    lineage = list(_lineage(row, ancestors))
    protein, skip = admitted
    locus_tag = _locus_tag(lineage)
    return Gene(
        index=index,
        id=coding.name,
        contig=row.contig,
        start=row.start,
        end=max(r.end for r in feature.rows),
        strand=feature.strand,
        locus_tag=locus_tag,
        name=_inherited(lineage, "gene") or _first(q.gene_symbol(r.attributes) for r in lineage[1:]),
        product=q.product(row.attributes) or _first(q.described(r.attributes) for r in lineage[1:]),
        ec=sequences.all_ec((locus_tag, row.id), q.existing_ec(row.attributes)),
        protein=protein,
        skip=skip,
        parts=several((r.start, r.end) for r in feature.rows),
    )


def _coding(feature: Feature, ancestors: _Ancestors, document: Document, sequences: Sequences) -> Coding:
    """What decides the protein of a CDS."""
    row, rows = feature.rows[0], feature.in_order
    said, replicon = row.attributes, document.replicons[row.contig]
    lineage = list(_lineage(row, ancestors))
    locus_tag = _locus_tag(lineage)
    skip = row.skip or (Skip.PSEUDOGENE if _is_pseudo(lineage) else None)
    if skip is None and row.strand == 0:
        skip = Skip.NO_STRAND
    given = sequences.protein(_protein_names(row, locus_tag))
    own_start, own_end = _has_own_start(rows[0], replicon), _has_own_end(rows[-1], replicon)
    codon_start = q.text(said, "codon_start")
    recoded = q.recoded_stops(said)
    return Coding(
        name=row.id
        or locus_tag
        or f"{row.contig}_{row.start}_{feature.rows[-1].end}_{q.SIGNS[feature.strand]}",
        dna="" if skip else coding_strand(rows, replicon),
        phase=rows[0].phase,
        codon_start=int(codon_start) - 1 if codon_start in ("1", "2", "3") else None,
        code=code_of(row, replicon, document.code),
        own_start=own_start,
        recoded=recoded,
        stated=given or q.text(said, "translation"),
        given=given is not None,
        wins=given is not None and sequences.chosen,
        any_length=not (own_start and own_end) or bool(recoded) or q.is_slipped(said),
        skip=skip,
    )


def _is_pseudo(lineage: Iterable[Row]) -> bool:
    return any(row.kind.startswith("pseudogen") or q.is_pseudo(row.attributes) for row in lineage)


def _ancestors(document: Document) -> _Ancestors:
    """The genes and transcripts of a section by their ID; counts IDs that are given to several genes."""
    found: dict[str, list[Row]] = {}
    for row in document.rows:
        if row.kind in ANCESTORS and row.id:
            found.setdefault(row.id, []).append(row)
    for name, rows in found.items():
        tags = {tag for row in rows if (tag := q.text(row.attributes, "locus_tag"))}
        if len(tags) > 1:
            document.oddities.see(
                "IDs shared by several gene lines; a CDS has the names of that which it lies in",
                f"{name}, {document.lines(rows)}",
            )
    return found


def _lineage(row: Row, ancestors: _Ancestors) -> Iterator[Row]:
    """The CDS and then its parents upwards, each once, at most `MOST_ANCESTORS`.

    Of several lines with the ID of a parent it is the first in which the CDS lies, else the first.
    """
    seen: set[str] = set()
    current: Row | None = row
    for _ in range(1 + MOST_ANCESTORS):
        if current is None:
            return
        yield current
        names = [n for n in current.attributes.get("Parent", ()) if n in ancestors and n not in seen]
        seen.update(names)
        rows = ancestors[names[0]] if names else [None]
        current = next((r for r in rows if r and _holds(r, row)), rows[0])


def _holds(whole: Row, part: Row) -> bool:
    return whole.contig == part.contig and whole.start <= part.start and part.end <= whole.end


def _locus_tag(lineage: Sequence[Row]) -> str:
    """The locus tag of a CDS or of its gene; Ensembl calls it gene_id."""
    return _inherited(lineage, "locus_tag") or _inherited(lineage, "gene_id")


def _inherited(lineage: Iterable[Row], name: str) -> str:
    return _first(q.text(row.attributes, name) for row in lineage)


def _first(values: Iterable[str]) -> str:
    """The first value that is not empty; '' without one."""
    return next(filter(None, values), "")


# ---- sequences ----


def _embedded(file: BinaryIO, layout: Layout) -> Fasta:
    """The sequences after `##FASTA`; that line itself may be left out."""
    file.seek(layout.stop)
    line = file.readline()
    if line.startswith(b">"):
        file.seek(layout.stop)
        return Fasta(file, layout.path, layout.lines + 1)
    return Fasta(file, layout.path, layout.lines + 2)


def _attach_sequences(document: Document, sequences: Sequences, embedded: Fasta) -> None:
    """Give each contig its sequence, which also settles its length. Names may be percent-escaped in GFF3."""
    for name, replicon in document.replicons.items():
        plain = unquote(name)
        given = sequences.contigs.get(plain)
        found = given or embedded.get(plain) or embedded.get(name)
        if found and replicon.length not in (None, len(found)):
            where = "the FASTA file has" if given else "its sequence after ##FASTA has"
            is_last = not given and embedded.last in (plain, name)
            cut_off = is_last and len(found) < (replicon.length or 0)
            advice = "is the file cut off?" if cut_off else "give the contigs of this annotation"
            raise InputError(
                f"the annotation says {replicon.length} bp but {where} {len(found)} for {name}; {advice}",
                document.path,
            )
        if found:
            replicon.sequence, replicon.length = as_dna(found), len(found)


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
    return not is_open if is_open is not None else not _at_edge(first, replicon, -first.strand)


def _has_own_end(last: Row, replicon: Replicon) -> bool:
    """The same of its end."""
    is_open = q.open_start(last.attributes, -last.strand)
    return not is_open if is_open is not None else not _at_edge(last, replicon, last.strand)


def _at_edge(row: Row, replicon: Replicon, side: int) -> bool:
    """Whether a row reaches to the end of a linear contig on one side: -1 for the left, 1 for the right."""
    beyond = row.start - 1 if side == -1 else (replicon.length or row.end) - row.end
    return not replicon.circular and beyond <= EDGE


class _SequenceCheck:
    """Finds over all sections whether no sequence was found at all, or a FASTA given beside fits nothing.

    `embedded` is the name of the first sequence in the file itself.
    """

    def __init__(
        self, sequences: Sequences, layout: Layout, embedded: str | None, reading: Reading | None
    ) -> None:
        self._sequences, self._layout, self._embedded = sequences, layout, embedded
        self.oddities = Oddities(layout.path)
        self.proteins = Proteins(layout.path, self.oddities, reading, sequences.chosen_code)
        self._first: Gene | None = None
        self._fits = self._lacks = self._has = self._outside = self._readable = False

    def see(self, genes: Sequence[Gene], fits: bool) -> None:
        """Called for each section with its CDS; `fits`: whether one has a protein in the FASTA beside."""
        self._first = self._first or genes[0]
        self._lacks |= any(gene.skip is Skip.NO_SEQUENCE for gene in genes)
        self._outside |= any(gene.skip is Skip.OUTSIDE for gene in genes)
        self._has |= any(gene.protein for gene in genes)
        self._readable |= any(gene.skip is not Skip.MALFORMED for gene in genes)
        self._fits |= fits

    def finish(self) -> None:
        """Raise InputError for what holds for the whole file, or warn of it."""
        path, sequences, first = self._layout.path, self._sequences, self._first
        assert first is not None, "a file with sections has CDS"
        if not self._readable:
            raise all_malformed(path)
        if sequences.proteins and not self._fits:
            raise InputError(
                f"no protein of the --faa file has the ID, locus_tag or protein_id of a CDS ({first.id!r}); "
                "give the proteins of this annotation",
                path,
            )
        names = {unquote(name) for name in self._layout.replicons}
        if sequences.contigs and not names & sequences.contigs.keys():
            raise sequences.no_contig_fits(first.contig, path)
        if self._lacks and not self._has:
            if self._embedded and self._embedded not in names:
                raise InputError(
                    f"no sequence after ##FASTA ({self._embedded!r}, ...) has the name of a contig "
                    f"({first.contig!r}); make the names equal, or give --fasta genome.fna",
                    path,
                )
            raise InputError(
                "no sequences for the CDS of this file; "
                "give --fasta genome.fna or --faa proteins.faa beside it",
                path,
            )
        if self._outside and not self._has:
            raise InputError(
                "every CDS reaches past the end of its contig; give the contigs of this annotation, or "
                "mark a circular contig with Is_circular=true on its region line",
                path,
            )
        self.oddities.tell()
        self.proteins.finish()
