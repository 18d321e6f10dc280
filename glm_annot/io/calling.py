"""Calling genes: from bare contigs to the GFF3 that is then annotated. By pyrodigal, which is an extra."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

from glm_annot.errors import GlmAnnotError, InputError
from glm_annot.io.sequences import DEFAULT_CODE, Fasta, as_dna, is_nucleotide, read_fasta

if TYPE_CHECKING:
    from pyrodigal import GeneFinder, MetagenomicBin

LONG = 20_000  # bases from which a contig says enough of its genome to train on; as in Prodigal
# What stands as it is in the first column of GFF3; its specification, "Column 1: seqid".
_SAFE = ".:^*$@!+_?-|"
HOW_TO_GET_GENES = (
    "--call-genes needs pyrodigal (`pip install 'glm-annot[genes]'`); or annotate the contigs with Bakta or "
    "Prokka first"
)


def called_genes(fasta: bytes, path: str, code: int | None = None) -> bytes:
    """GFF3 with the genes of contigs, which follow in it after `##FASTA`, byte for byte as they were.

    The contigs of `LONG` bases or more are taken for one genome: pyrodigal learns from all of them. Shorter
    ones are read in its metagenome mode, or like the long ones in a genetic code that this mode lacks. A
    comment says so.

    Args:
        fasta: nucleotides.
        path: where they came from, for messages.
        code: NCBI's number of their genetic code; None for 11, and for short contigs that of the metagenome
            mode's best model.

    Raises:
        InputError: faulty FASTA, proteins, no genes in it, or a code that pyrodigal cannot use here.
        GlmAnnotError: pyrodigal is not installed.
    """
    contigs = read_fasta(fasta, path)
    if not is_nucleotide(contigs):
        raise InputError("these are proteins: give --faa with the GFF3 that says where their genes are", path)
    if importlib.util.find_spec("pyrodigal") is None:
        raise GlmAnnotError(HOW_TO_GET_GENES)
    finders = _Finders(contigs, path, code)
    lines = list(_lines(contigs, finders))
    if not any("\tCDS\t" in text for text in lines):
        raise InputError("pyrodigal finds no genes in these contigs; are they of bacteria or archaea?", path)
    end = b"" if fasta.endswith(b"\n") else b"\n"
    return "".join([finders.heading(), *lines, "##FASTA\n"]).encode() + fasta.lstrip(b"\xef\xbb\xbf") + end


def _lines(contigs: Fasta, finders: _Finders) -> Iterator[str]:
    """The lines of GFF3 of each contig."""
    for name, sequence in contigs.items():
        text = io.StringIO()
        genes = finders.of(sequence).find_genes(as_dna(sequence).encode("ascii", "replace"))
        genes.write_gff(
            text, quote(name, safe=_SAFE), header=False, include_translation_table=True, full_id=True
        )
        yield text.getvalue()


class _Finders:
    """The gene finders for long and for short contigs; each is made when first asked for."""

    def __init__(self, contigs: Fasta, path: str, code: int | None) -> None:
        self._contigs, self._path, self._code = contigs, path, code
        self._single: GeneFinder | None = None
        self._meta: GeneFinder | None = None

    def of(self, sequence: str) -> GeneFinder:
        """That for a contig."""
        if len(sequence) >= LONG or not self._models:
            self._single = self._single or self._trained()
            return self._single
        self._meta = self._meta or self._metagenomic()
        return self._meta

    def heading(self) -> str:
        """The first lines of the GFF3, which say how genes were called."""
        from pyrodigal import __version__

        short = "metagenome mode for shorter ones" if self._models else "used for shorter ones, too"
        in_code = "" if self._code is None else f", in genetic code {self._code}"
        return (
            "##gff-version 3\n"
            f"# genes: pyrodigal {__version__}, called by glm-annot --call-genes{in_code}; trained on the "
            f"contigs of {LONG} bp or more, {short}\n"
        )

    @cached_property
    def _models(self) -> list[MetagenomicBin]:
        """Those of the metagenome mode that have the genetic code."""
        from pyrodigal import METAGENOMIC_BINS

        codes = (model.training_info.translation_table for model in METAGENOMIC_BINS)
        return [m for m, code in zip(METAGENOMIC_BINS, codes, strict=True) if self._code in (None, code)]

    def _metagenomic(self) -> GeneFinder:
        from pyrodigal import GeneFinder, MetagenomicBins

        return GeneFinder(meta=True, metagenomic_bins=MetagenomicBins(self._models))

    def _trained(self) -> GeneFinder:
        from pyrodigal import TRANSLATION_TABLES, GeneFinder

        code = DEFAULT_CODE if self._code is None else self._code
        if code not in TRANSLATION_TABLES:
            raise InputError(f"pyrodigal cannot call genes in genetic code {code}", self._path)
        long = [as_dna(contig) for contig in self._contigs.values() if len(contig) >= LONG]
        if not long:
            raise InputError(
                f"pyrodigal calls genes in genetic code {code} only where a contig has {LONG} bp or "
                "more; all are shorter",
                self._path,
            )
        finder = GeneFinder()
        finder.train(*(contig.encode("ascii", "replace") for contig in long), translation_table=code)
        return finder
