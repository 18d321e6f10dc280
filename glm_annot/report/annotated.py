"""From an annotated file on disk, and the table beside it, to the genes of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path

from glm_annot.errors import InputError
from glm_annot.io import outline
from glm_annot.io.source import decode, read_bytes
from glm_annot.io.table import read_rows
from glm_annot.records import Contig
from glm_annot.report.genes import MOST_GENES, Genes, Row


def read(annotation: str | Path, table: str | Path, most: int = MOST_GENES) -> tuple[Genes, str]:
    """The genes, `most` of which are kept, and the provenance comment of the annotated file.

    Raises:
        InputError: one of the files is not there or cannot be read, or they do not belong together.
    """
    comment, contigs = outline(annotation)
    if not Path(table).exists():
        raise InputError(f"its table of scores is not there ({table}); name it with --table", annotation)
    rows = list(read_rows(StringIO(decode(read_bytes(table)), newline=""), table))
    genes = Genes(most)
    genes.add(_with_genes(contigs, rows, annotation, table), rows)
    return genes, comment


def _with_genes(
    contigs: Sequence[Contig], rows: Iterable[Row], annotation: str | Path, table: str | Path
) -> list[Contig]:
    """The contigs that have genes, in order of the table.

    Raises:
        InputError: the table names a contig that the annotated file does not have.
    """
    known = {contig.name: contig for contig in contigs}
    names = list(dict.fromkeys(row["contig"] for row in rows))
    foreign = next((name for name in names if name not in known), None)
    if foreign is not None:
        raise InputError(f"this table is of another file: {annotation} has no contig {foreign!r}", table)
    return [known[name] for name in names]
