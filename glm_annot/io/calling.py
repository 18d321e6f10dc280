"""Calling genes: from bare contigs to the GFF3 that is then annotated. By pyrodigal, which is an extra."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

from glm_annot.errors import GlmAnnotError, InputError
from glm_annot.io.sequences import Fasta, as_dna, is_nucleotide, read_fasta

if TYPE_CHECKING:
    from pyrodigal import GeneFinder

LONG = 20_000  # bases from which a contig says enough of its genome to train on; as in Prodigal
# What stands as it is in the first column of GFF3; its specification, "Column 1: seqid".
_SAFE = ".:^*$@!+_?-|"
HOW_TO_GET_GENES = (
    "--call-genes needs pyrodigal (`pip install 'glm-annot[genes]'`); or annotate the contigs with Bakta or "
    "Prokka first"
)


def called_genes(fasta: bytes, path: str) -> bytes:
    """GFF3 with the genes of contigs, which follow in it after `##FASTA`, byte for byte as they were.

    The contigs of `LONG` bases or more are taken for one genome: pyrodigal learns from all of them. Shorter
    ones are read in its metagenome mode. A comment says so.

    Args:
        fasta: nucleotides.
        path: where they came from, for messages.

    Raises:
        InputError: faulty FASTA, proteins, or no genes in it.
        GlmAnnotError: pyrodigal is not installed.
    """
    contigs = read_fasta(fasta, path)
    if not is_nucleotide(contigs):
        raise InputError("these are proteins: give --faa with the GFF3 that says where their genes are", path)
    if importlib.util.find_spec("pyrodigal") is None:
        raise GlmAnnotError(HOW_TO_GET_GENES)
    lines = list(_lines(contigs))
    if not any("\tCDS\t" in text for text in lines):
        raise InputError("pyrodigal finds no genes in these contigs; are they of bacteria or archaea?", path)
    end = b"" if fasta.endswith(b"\n") else b"\n"
    return "".join([_heading(), *lines, "##FASTA\n"]).encode() + fasta.lstrip(b"\xef\xbb\xbf") + end


def _heading() -> str:
    from pyrodigal import __version__

    return (
        "##gff-version 3\n"
        f"# genes: pyrodigal {__version__}, called by glm-annot --call-genes; trained on the contigs of "
        f"{LONG} bp or more, metagenome mode for shorter ones\n"
    )


def _lines(contigs: Fasta) -> Iterator[str]:
    """The lines of GFF3 of each contig."""
    finders = _Finders(contigs)
    for name, sequence in contigs.items():
        text = io.StringIO()
        genes = finders.of(sequence).find_genes(as_dna(sequence).encode("ascii", "replace"))
        genes.write_gff(
            text, quote(name, safe=_SAFE), header=False, include_translation_table=True, full_id=True
        )
        yield text.getvalue()


class _Finders:
    """The gene finders for long and for short contigs; each is made when first asked for."""

    def __init__(self, contigs: Fasta) -> None:
        self._contigs = contigs
        self._single: GeneFinder | None = None
        self._meta: GeneFinder | None = None

    def of(self, sequence: str) -> GeneFinder:
        """That for a contig."""
        from pyrodigal import GeneFinder

        if len(sequence) < LONG:
            self._meta = self._meta or GeneFinder(meta=True)
            return self._meta
        if self._single is None:
            self._single = GeneFinder()
            long = (as_dna(contig) for contig in self._contigs.values() if len(contig) >= LONG)
            self._single.train(*(contig.encode("ascii", "replace") for contig in long))
        return self._single
