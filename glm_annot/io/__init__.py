"""Annotation files: reads them into a Genome and writes predictions back into the same text.

The format, GFF3 or GenBank, is always recognised from the content. `strip(render(genome, predictions))` is
`genome.source.text`, byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from glm_annot.errors import GlmAnnotError
from glm_annot.io import sequences, source
from glm_annot.io.genbank import ours as genbank_ours
from glm_annot.io.genbank import patch as genbank_patch
from glm_annot.io.genbank import read as genbank
from glm_annot.io.gff3 import patch as gff3_patch
from glm_annot.io.gff3 import read as gff3
from glm_annot.io.table import write_table
from glm_annot.records import Genome, Predictions

__all__ = ["read", "render", "strip", "write_table"]

_PARSE = {"gff3": gff3.parse, "genbank": genbank.parse, "embl": genbank.parse}
_RENDER = {"gff3": gff3_patch.render, "genbank": genbank_patch.render, "embl": genbank_patch.render}
_STRIP = {"gff3": gff3_patch.strip, "genbank": genbank_ours.strip, "embl": genbank_ours.strip}
_PROVENANCE = {
    "gff3": gff3_patch.provenance,
    "genbank": genbank_ours.provenance,
    "embl": genbank_ours.provenance,
}


def read(path: str | Path, *, fasta: Path | None = None, faa: Path | None = None) -> Genome:
    """Read an annotated genome. Additions of an earlier run of glm-annot are removed first.

    Args:
        path: GFF3 or GenBank, plain or gzipped; `-` for standard input.
        fasta: nucleotide FASTA of its contigs, for a file that does not carry them.
        faa: protein FASTA whose names match the CDS; it wins over every translation, with a warning where
            they differ.

    Raises:
        InputError: anything that keeps the files from being used; it names file, line and remedy.
    """
    text = source.read_bytes(path)
    found = source.sniff(text, path)
    return _PARSE[found](str(path), _STRIP[found](text), sequences.load(fasta, faa))


class Sections(Protocol):
    """A file whose genome comes in sections, over which one may iterate more than once.

    The rendered sections, one after another, and then `rest` are the rendered file. `close` when done.
    """

    format: str

    def __iter__(self) -> Iterator[Genome]: ...
    def rest(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


def open_sections(
    path: str | Path, *, fasta: Path | None = None, faa: Path | None = None, faa_wins: bool = True
) -> Sections:
    """As `read`, but the genome need not fit into memory: a GFF3 of many contigs comes in sections.

    A GenBank file is one section. Some faults of the input are raised only by the end of the first iteration.
    `faa_wins`: whether the proteins are the user's choice; those that a tool left beside its annotation are
    believed like those that the annotation states.
    """
    file = source.spool(path)
    found = source.sniff_file(file, path)
    beside = sequences.load(fasta, faa, chosen=faa_wins)
    if found == "gff3":
        return gff3.Sections(str(path), gff3_patch.strip_file(file), beside)
    with file:
        text = genbank_ours.strip(file.read())
    return genbank.Whole(genbank.parse(str(path), text, beside))


def render(genome: Genome, predictions: Predictions, *, promote_ec: float | None = None) -> bytes:
    """The genome's file with the predictions added to it, in the same format; nothing else is changed.

    Args:
        genome: as `read` gave it.
        predictions: of this genome.
        promote_ec: from which confidence on an EC number is also written where the annotation tool itself
            writes them, for a CDS that has none; None for nowhere.
    """
    if genome.source is None:
        raise GlmAnnotError("this genome was not read from a file, so there is no text to write back into")
    return _RENDER[genome.source.format](genome, predictions, promote_ec)


def strip(text: bytes) -> bytes:
    """`text` without our additions: the input of the run that made them. Any other text stays as it is."""
    found = source.recognise(text)
    return text if found is None else _STRIP[found](text)


def is_rendered(text: bytes, original: bytes, comment: str) -> bool:
    """Whether `text` looks like what `render` makes of `original`; nothing is predicted for this.

    Without our additions both must be the same, and the additions must be those of a run that states
    `comment` (`qualifiers.provenance_comment`). A text without any additions also counts:
    there was nothing to predict in it, or it can be overwritten without loss.
    """
    found = source.recognise(text)
    if found is None or _PROVENANCE[found](text) not in (None, comment):
        return False
    return _STRIP[found](text) == strip(original)
