"""From an annotated file on disk, and the table beside it, to the genes of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path

from glm_annot.errors import InputError
from glm_annot.io import outline, told
from glm_annot.io.source import decode, read_bytes
from glm_annot.io.table import read_rows
from glm_annot.records import Contig
from glm_annot.report.genes import MOST_GENES, Genes, Row


def read(annotation: str | Path, table: str | Path | None, most: int = MOST_GENES) -> tuple[Genes, str]:
    """The genes, `most` of which are kept, and the provenance comment of the annotated file.

    Args:
        annotation: a file that glm-annot has annotated.
        table: of all scores; None for what the annotated file alone says.
        most: how many genes are kept.

    Raises:
        InputError: one of the files is not there or cannot be read, or they do not belong together.
    """
    genes = Genes(most)
    if table is None:
        comment, contigs, rows = _alone(annotation)
    else:
        comment, outlined = outline(annotation)
        rows = list(read_rows(StringIO(decode(read_bytes(table)), newline=""), table))
        contigs = _with_genes(outlined, rows, annotation, table)
    genes.add(contigs, rows)
    return genes, comment


def _alone(annotation: str | Path) -> tuple[str, list[Contig], list[dict[str, str]]]:
    """What the annotated file says without a table.

    Raises:
        InputError: its genes cannot be read, as of a file whose sequences lie beside it.
    """
    outline(annotation)  # its own faults are told as they are
    try:
        return told(annotation)
    except InputError as error:
        raise InputError(
            f"its genes cannot be read without its table; name that with --table ({error.message})",
            annotation,
        ) from error


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
