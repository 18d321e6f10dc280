"""Annotation files: reads them into a Genome and writes predictions back into the same text.

The format, GFF3, GenBank, EMBL or Bakta's JSON, is recognised by the content of a file, not by its name.
`strip(render(genome, predictions))` is `genome.source.text`, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Protocol

from glm_annot.errors import GlmAnnotError, InputError
from glm_annot.io import sequences, source
from glm_annot.io.bakta_json import patch as bakta_patch
from glm_annot.io.bakta_json import read as bakta
from glm_annot.io.calling import called_genes
from glm_annot.io.genbank import patch as genbank_patch
from glm_annot.io.genbank import read as genbank
from glm_annot.io.gff3 import patch as gff3_patch
from glm_annot.io.gff3 import read as gff3
from glm_annot.io.qualifiers import TO_NOTE
from glm_annot.io.table import told_rows, write_table
from glm_annot.io.tool_folders import find_output
from glm_annot.records import Contig, Genome, Predictions

__all__ = ["read", "render", "strip", "write_table"]


class _Patch(Protocol):
    """How a format takes our additions in and gives them out."""

    def render(
        self,
        genome: Genome,
        predictions: Predictions,
        promote_ec: float | None = None,
        promote_to: str = TO_NOTE,
    ) -> bytes: ...
    def strip(self, text: bytes) -> bytes: ...
    def provenance(self, text: bytes) -> str | None: ...
    def said(self, text: bytes) -> dict[int, dict[str, str]]: ...


_PARSE = {"gff3": gff3.parse, "genbank": genbank.parse, "embl": genbank.parse, "bakta": bakta.parse}
_OUTLINE = {
    "gff3": gff3.outline,
    "genbank": genbank.outline,
    "embl": genbank.outline,
    "bakta": bakta.outline,
}
_PATCH: dict[str, _Patch] = {
    "gff3": gff3_patch,
    "genbank": genbank_patch,
    "embl": genbank_patch,
    "bakta": bakta_patch,
}


def read(
    path: str | Path,
    *,
    fasta: Path | None = None,
    faa: Path | None = None,
    genetic_code: int | None = None,
) -> Genome:
    """Read an annotated genome. Additions of an earlier run of glm-annot are removed first.

    Args:
        path: GFF3, GenBank, EMBL or Bakta's JSON, plain or gzipped; the output folder of an annotation tool,
            whose sequences are read, too; `-` for standard input.
        fasta: nucleotide FASTA of its contigs, for a file that does not carry them.
        faa: protein FASTA whose names match the CDS; it wins over every translation, with a warning where
            they differ.
        genetic_code: NCBI's number of the code of all CDS; None for what each CDS states, else 11.

    Raises:
        InputError: anything that keeps the files from being used; it names file, line and remedy.

    Examples:
        >>> import glm_annot
        >>> genome = glm_annot.read("bakta_output.gff3")
        >>> [contig.name for contig in genome.contigs]
        ['contig_1']
        >>> next(genome.genes).locus_tag
        'MADE_0001'
    """
    details, faa_wins = None, True
    if path != "-" and Path(path).is_dir():
        output = find_output(Path(path))
        path, details, faa_wins = output.annotation, output.details, faa is not None
        fasta, faa = fasta or output.fasta, faa or output.faa
    text = source.read_bytes(path)
    found = source.sniff(text, path)
    beside = _beside(fasta, faa, details, faa_wins=faa_wins, genetic_code=genetic_code)
    return _PARSE[found](str(path), _PATCH[found].strip(text), beside)


def _beside(
    fasta: Path | None, faa: Path | None, details: Path | None, *, faa_wins: bool, genetic_code: int | None
) -> sequences.Sequences:
    """What is known beside the annotation; the arguments are those of `open_sections`."""
    beside = sequences.load(fasta, faa, chosen=faa_wins, code=genetic_code)
    return beside if details is None else replace(beside, **bakta.details(details))


def outline(path: str | Path) -> tuple[str, list[Contig]]:
    """What an annotated file says of itself: our comment of provenance, and its contigs without their genes.

    Raises:
        InputError: unreadable, or without additions of ours.
    """
    text, found, comment = _annotated(path)
    return comment, _OUTLINE[found](BytesIO(_PATCH[found].strip(text)), str(path))


def told(path: str | Path) -> tuple[str, list[Contig], list[dict[str, str]]]:
    """What an annotated file says: our comment of provenance, its contigs, and the rows of a table.

    The rows have what stands in the file; what only the table has is ''.

    Raises:
        InputError: unreadable, or without additions of ours.
    """
    text, found, comment = _annotated(path)
    genome = _PARSE[found](str(path), _PATCH[found].strip(text), sequences.load(None, None))
    assert genome.source is not None, "it was read from a file"
    said, anchors = _PATCH[found].said(text), genome.source.anchors
    tags = {gene.index: said.get(anchors[gene.index][0], {}) for gene in genome.genes}
    return comment, list(genome.contigs), list(told_rows(genome, tags))


def _annotated(path: str | Path) -> tuple[bytes, str, str]:
    """The bytes of a file with additions of ours, its format, and our comment of provenance.

    Raises:
        InputError: unreadable, or without additions of ours.
    """
    text = source.read_bytes(path)
    found = source.sniff(text, path)
    comment = _PATCH[found].provenance(text)
    if comment is None:
        raise InputError("nothing in this file is from glm-annot; annotate it first", path)
    return text, found, comment


class Sections(Protocol):
    """A file whose genome comes in sections, over which one may iterate more than once.

    The rendered sections, one after another, and then `rest` are the rendered file. `close` when done.
    """

    format: str

    def __iter__(self) -> Iterator[Genome]: ...
    def rest(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class Whole:
    """A file as sections of which there is one: its genome."""

    def __init__(self, genome: Genome) -> None:
        assert genome.source is not None, "it was read from a file"
        self.format = genome.source.format
        self._genome = genome

    def __iter__(self) -> Iterator[Genome]:
        return iter((self._genome,))

    def rest(self) -> Iterator[bytes]:
        """Nothing follows."""
        return iter(())

    def close(self) -> None:
        """No file is open."""


def open_sections(
    path: str | Path,
    *,
    fasta: Path | None = None,
    faa: Path | None = None,
    faa_wins: bool = True,
    genetic_code: int | None = None,
    details: Path | None = None,
    call_genes: bool = False,
) -> Sections:
    """As `read`, but the genome need not fit into memory: a GFF3 of many contigs comes in sections.

    A file of another format is one section. Some faults of the input are raised only by the end of the first
    iteration.
    `faa_wins`: whether the proteins are the user's choice; those that a tool left beside its annotation are
    believed like those that the annotation states. `details`: the JSON of the Bakta run that wrote the
    annotation; EC numbers and genetic code are taken from it, too. `call_genes`: whether `path` may be a
    FASTA of contigs, whose genes are then called.
    """
    file = _spool(path, genetic_code, call_genes=call_genes)
    found = source.sniff_file(file, path)
    beside = _beside(fasta, faa, details, faa_wins=faa_wins, genetic_code=genetic_code)
    if found == "gff3":
        return gff3.Sections(str(path), gff3_patch.strip_file(file), beside)
    with file:
        text = _PATCH[found].strip(file.read())
    return Whole(_PARSE[found](str(path), text, beside))


def annotation_text(path: str | Path, *, genetic_code: int | None = None, call_genes: bool = False) -> bytes:
    """The text that an annotation is added to: the file's own, or the GFF3 of the genes called in it.

    Raises:
        InputError: unreadable; what `called_genes` refuses.
        GlmAnnotError: pyrodigal is not installed.
    """
    text = source.read_bytes(path)
    return called_genes(text, str(path), genetic_code) if call_genes and source.is_fasta(text) else text


def _spool(path: str | Path, genetic_code: int | None, *, call_genes: bool) -> BinaryIO:
    """The same as a file to seek in; only a FASTA file is read as a whole."""
    file = source.spool(path)
    if not (call_genes and source.is_fasta(file.read(source.HEAD))):
        file.seek(0)
        return file
    with file:
        file.seek(0)
        return source.spooled([called_genes(file.read(), str(path), genetic_code)])


def render(
    genome: Genome, predictions: Predictions, *, promote_ec: float | None = None, promote_to: str = TO_NOTE
) -> bytes:
    """The genome's file with the predictions added to it, in the same format; nothing else is changed.

    Args:
        genome: as `read` gave it.
        predictions: of this genome.
        promote_ec: from which confidence on an EC number is also written where the annotation tool itself
            writes them, for a CDS that has none; None for nowhere.
        promote_to: 'note' puts those of hypothetical proteins into a note instead; 'field' does not.
    """
    if genome.source is None:
        raise GlmAnnotError("this genome was not read from a file, so there is no text to write back into")
    return _PATCH[genome.source.format].render(genome, predictions, promote_ec, promote_to)


def strip(text: bytes) -> bytes:
    """`text` without our additions: the input of the run that made them. Any other text stays as it is."""
    found = source.recognise(text)
    return text if found is None else _PATCH[found].strip(text)


def is_rendered(text: bytes, original: bytes, comment: str) -> bool:
    """Whether `text` looks like what `render` makes of `original`; nothing is predicted for this.

    Without our additions both must be the same, and the additions must be those of a run that states
    `comment` (`qualifiers.provenance_comment`). A text without any additions also counts:
    there was nothing to predict in it, or it can be overwritten without loss.
    """
    found = source.recognise(text)
    if found is None or _PATCH[found].provenance(text) not in (None, comment):
        return False
    return _PATCH[found].strip(text) == strip(original)
