"""Writing the results of one input: the annotated file, the table and the report, or standard output."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from glm_annot.errors import GlmAnnotError
from glm_annot.results.files import FilesInUse, whole_files
from glm_annot.results.output import GZIP, Target, stem

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from glm_annot.io import Sections
    from glm_annot.records import Genome, Predictions

Promotion = tuple[float | None, str]  # --promote-ec and --promote-to
_GZIP_FORMAT = 16 + zlib.MAX_WBITS  # zlib's manual, deflateInit2: a gzip header, here without time or name


def write_results(
    sections: Sections,
    predicted: Iterable[tuple[Genome, Predictions]],
    target: Target,
    promotion: Promotion,
    *,
    model: str | None = None,
    manifest: Callable[[], bytes] = bytes,
    force: bool,
    in_use: FilesInUse,
) -> None:
    """Writes each section as soon as it is predicted; to standard output only when all are.

    `model`: name or folder of the model, where a report finds its figures. `manifest` is called when all are
    predicted, where the target has a place for what it says.
    """
    from glm_annot.io.source import blocks_from, spooled

    report = Report(target.source, promotion, model) if target.report else None
    written = _rendered(sections, report.watched(predicted) if report else predicted, promotion)
    annotation, table = target.annotation(sections.format), target.table
    if annotation is None or table is None:
        with spooled(text for text, _ in written) as whole:
            to_stdout(blocks_from(whole, 0))
        return
    # In this order: --resume takes an annotated file that is there for the sign that its run came to the end.
    others = [path for path in (target.report, target.manifest) if path is not None]
    with whole_files(table, *others, annotation, force=force, in_use=in_use) as (tabled, *beside, annotated):
        packed = zlib.compressobj(wbits=_GZIP_FORMAT) if annotation.suffix.lower() == GZIP else None
        for text, rows in written:
            annotated.write(packed.compress(text) if packed else text)
            tabled.write(rows)
        if packed:
            annotated.write(packed.flush())
        pages = [report.page(annotation.name, table.name)] if report else []
        told = [manifest()] if target.manifest else []
        for file, content in zip(beside, [*pages, *told], strict=True):
            file.write(content)


class Report:
    """The report of one input, whose genes are taken from the sections that pass by."""

    def __init__(self, source: str, promotion: Promotion, model: str | None) -> None:
        from glm_annot.report.genes import Genes

        self._title, self._promotion, self._model = stem(source), promotion, model
        self._genes, self._comment = Genes(), ""

    def watched(
        self, predicted: Iterable[tuple[Genome, Predictions]]
    ) -> Iterator[tuple[Genome, Predictions]]:
        """Yields the same sections and predictions, and keeps their genes."""
        from glm_annot.io.qualifiers import provenance_comment
        from glm_annot.io.table import table_rows

        for section, predictions in predicted:
            self._genes.add(section.contigs, table_rows(section, predictions))
            self._comment = provenance_comment(predictions.provenance, *self._promotion)
            yield section, predictions

    def page(self, annotation: str, table: str) -> bytes:
        """The page, when all sections have passed."""
        from glm_annot.report.page import render

        return render(
            self._title, self._genes, self._comment, self._model, annotation=annotation, table=table
        )


def write_picture(figure: Figure, path: Path, *, force: bool, in_use: FilesInUse) -> None:
    """Writes a picture in the format that its name asks for.

    Raises:
        UsageError: it asks for none that there is; the file exists and `force` is not given, or is in use.
        GlmAnnotError: the disk does not take it.
    """
    from glm_annot.report.drawing import picture_format, saved

    content = saved(figure, picture_format(path))
    with whole_files(path, force=force, in_use=in_use) as (written,):
        written.write(content)


def _rendered(
    sections: Sections, predicted: Iterable[tuple[Genome, Predictions]], promotion: Promotion
) -> Iterator[tuple[bytes, bytes]]:
    """The annotated file and the table, piece by piece."""
    from io import StringIO

    from glm_annot.io import render
    from glm_annot.io.table import write_header, write_rows

    promote_ec, promote_to = promotion
    rows = StringIO(newline="")
    write_header(rows)
    for section, predictions in predicted:
        write_rows(section, predictions, rows)
        text = render(section, predictions, promote_ec=promote_ec, promote_to=promote_to)
        yield text, rows.getvalue().encode()
        rows = StringIO(newline="")
    yield from ((block, b"") for block in sections.rest())


def to_stdout(content: Iterable[bytes]) -> None:
    """Writes bytes to standard output, piece by piece.

    Raises:
        GlmAnnotError: nobody reads them any more, the disk that they go to is full, or it is closed.
    """
    if sys.stdout is None:  # closed by whoever started the program
        if any(content):
            raise GlmAnnotError("cannot write to standard output: it was closed")
        return
    try:
        for piece in content:
            rest = memoryview(piece)
            while rest:  # unbuffered (PYTHONUNBUFFERED) it takes less than all where the disk runs full
                rest = rest[sys.stdout.buffer.write(rest) :]
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:
        discard_unwritten()
        raise GlmAnnotError("standard output was closed before everything was written") from error
    except OSError as error:
        discard_unwritten()
        raise GlmAnnotError(f"cannot write to standard output: {error.strerror}") from error


def discard_unwritten() -> None:
    """Sends what is still unwritten to nowhere; else Python complains about it once more when it ends."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
