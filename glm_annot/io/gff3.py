"""GFF3: text -> Genome. The lines are read by `gff3_lines`, writing back is in `gff3_patch`."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from urllib.parse import unquote

from glm_annot.errors import InputError
from glm_annot.io import qualifiers as q
from glm_annot.io.gff3_lines import ANCESTORS, Document, Replicon, Row, scan
from glm_annot.io.gff3_patch import provenance, render, split_text, strip
from glm_annot.io.sequences import EDGE, Sequences, admit, genetic_code, read_fasta, splice, translate
from glm_annot.records import Contig, Gene, Genome, Skip, Source

__all__ = ["parse", "provenance", "render", "strip"]

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
    _, lines, fasta = split_text(text)
    document = scan(lines, source_path)
    _attach_sequences(document, sequences, _embedded(fasta, len(lines) + 1, source_path))
    features = _cds_features(document)
    if not features:
        raise InputError("no CDS in this file; call genes first (Bakta, Prokka, Prodigal, ...)", source_path)
    ancestors = {row.id: row for row in document.rows if row.kind in ANCESTORS and row.id}
    genes = [_gene(i, rows, document, ancestors, sequences) for i, rows in enumerate(features)]
    _check_sequences(genes, features, document, sequences)
    anchors = {i: tuple(sorted(row.line for row in rows)) for i, rows in enumerate(features)}
    return Genome(_contigs(genes, document), Source(source_path, "gff3", text, anchors))


def _contigs(genes: Sequence[Gene], document: Document) -> tuple[Contig, ...]:
    def position(gene: Gene) -> tuple[int, int]:
        return gene.start, gene.end

    by_contig: dict[str, list[Gene]] = {}
    for gene in genes:
        by_contig.setdefault(gene.contig, []).append(gene)
    return tuple(
        Contig(name, replicon.length, replicon.circular, tuple(sorted(by_contig[name], key=position)))
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


def _unwrapped(rows: list[Row], replicon: Replicon) -> list[Row]:
    """The lines of a CDS along the contig; those past the origin come last, with the contig's length added.

    A CDS over the origin may stand on two lines: up to the last base, and on from the first.
    """
    length = replicon.length
    if not replicon.circular or len(rows) < 2 or rows[0].start != 1 or rows[-1].end != length:
        return rows
    gaps = [after.start - before.end for before, after in itertools.pairwise(rows)]
    origin = gaps.index(max(gaps)) + 1
    past = [dataclasses.replace(r, start=r.start + length, end=r.end + length) for r in rows[:origin]]
    return rows[origin:] + past


def _gene(
    index: int,
    lines: list[Row],
    document: Document,
    ancestors: Mapping[str, Row],
    sequences: Sequences,
) -> Gene:
    replicon = document.replicons[lines[0].contig]
    _check_bounds(lines, replicon, document)
    rows = _unwrapped(lines, replicon)
    row = rows[0]
    lineage = list(_lineage(row, ancestors))
    locus_tag = _inherited(lineage, "locus_tag")
    pseudo = any(r.kind.startswith("pseudogen") or q.is_pseudo(r.attributes) for r in lineage)
    protein, skip = admit(_protein(rows, replicon, locus_tag, document, sequences), pseudo=pseudo)
    return Gene(
        index=index,
        id=row.id
        or locus_tag
        or f"{row.contig}_{row.start}_{rows[-1].end}_{'+' if row.strand == 1 else '-'}",
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


def _embedded(fasta: bytes, first_line: int, path: str) -> dict[str, str]:
    """The sequences after `##FASTA`; that line itself may be left out."""
    if fasta.startswith(b">"):
        return read_fasta(fasta, path, first_line)
    return read_fasta(fasta.partition(b"\n")[2], path, first_line + 1)


def _attach_sequences(document: Document, sequences: Sequences, embedded: Mapping[str, str]) -> None:
    """Give each contig its sequence, which also settles its length. Names may be percent-escaped in GFF3."""
    for name, replicon in document.replicons.items():
        plain = unquote(name)
        replicon.sequence = sequences.contigs.get(plain) or embedded.get(plain) or embedded.get(name)
        if replicon.sequence:
            replicon.length = len(replicon.sequence)


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


def _check_sequences(
    genes: Sequence[Gene], features: Sequence[Sequence[Row]], document: Document, sequences: Sequences
) -> None:
    """Raise InputError where no sequence was found at all, or where a FASTA given beside fits nothing."""
    pairs = zip(features, genes, strict=True)
    if sequences.proteins and not any(sequences.protein(_protein_names(f[0], g.locus_tag)) for f, g in pairs):
        raise InputError(
            f"no protein of the --faa file has the ID, locus_tag or protein_id of a CDS ({genes[0].id!r}); "
            "give the proteins of this very annotation",
            document.path,
        )
    if sequences.contigs and not {unquote(name) for name in document.replicons} & sequences.contigs.keys():
        raise InputError(
            f"no sequence of the --fasta file has the name of a contig ({genes[0].contig!r}); "
            "give the contigs of this very annotation",
            document.path,
        )
    if any(gene.skip is Skip.NO_SEQUENCE for gene in genes) and not any(gene.protein for gene in genes):
        raise InputError(
            "no sequences for the CDS of this file; give --fasta genome.fna or --faa proteins.faa beside it",
            document.path,
        )
