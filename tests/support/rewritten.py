"""Genomes in other formats, as other programs write them."""

from __future__ import annotations

import io
from collections.abc import Iterable

from Bio import SeqIO
from Bio.Seq import Seq
from Bio.SeqFeature import SeqFeature, SimpleLocation
from Bio.SeqRecord import SeqRecord

from glm_annot.records import Contig


def as_embl(records: Iterable[SeqRecord]) -> bytes:
    """Records as Biopython writes them in EMBL."""
    return _written(records, "embl")


def as_genbank(records: Iterable[SeqRecord]) -> bytes:
    """Records as Biopython writes them in GenBank."""
    return _written(records, "genbank")


def _written(records: Iterable[SeqRecord], format: str) -> bytes:
    stream = io.StringIO()
    SeqIO.write(records, stream, format)
    return stream.getvalue().encode()


def with_genes(contig: Contig) -> SeqRecord:
    """A contig as a record of Biopython's, with its genes as CDS with locus tags."""
    record = SeqRecord(Seq(contig.sequence), contig.name, contig.name, "made from called genes")
    record.annotations = {
        "molecule_type": "DNA",
        "topology": "circular" if contig.circular else "linear",
        "data_file_division": "BCT",
    }
    for number, gene in enumerate(contig.genes, start=1):
        location = SimpleLocation(gene.start - 1, gene.end, gene.strand)
        qualifiers = {"locus_tag": [f"GENE_{number:05}"], "transl_table": ["11"]}
        record.features.append(SeqFeature(location, type="CDS", qualifiers=qualifiers))
    return record
