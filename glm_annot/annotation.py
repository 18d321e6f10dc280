"""From Python in three lines: annotate a genome, look at the results, write them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glm_annot.bundle import Model, load
from glm_annot.ec.reference import Reference
from glm_annot.errors import GlmAnnotError, UsageError
from glm_annot.io import Whole, read
from glm_annot.io.qualifiers import TO_NOTE
from glm_annot.io.table import COLUMNS, DECIMALS, WHOLE_NUMBERS, table_rows
from glm_annot.model.context import BATCH_WINDOWS
from glm_annot.model.devices import best_device
from glm_annot.model.embedding_cache import EmbeddingCache
from glm_annot.overview import Overview
from glm_annot.pipeline import Progress, Settings, annotate_sections
from glm_annot.records import Genome, OperonCall, Predictions, Shown, Source
from glm_annot.results.files import FilesInUse, whole_files
from glm_annot.results.output import plan
from glm_annot.results.write import Report, write_picture, write_results

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

_OPERON_COLUMNS = (
    "operon",
    "contig",
    "start",
    "end",
    "strand",
    "n_genes",
    "genes",
    "confidence",
    "start_confidence",
    "end_confidence",
    "evidence",
)


@dataclass(frozen=True, slots=True, repr=False)
class Annotation(Shown):
    """A genome and what was predicted of it.

    Attributes:
        genome: as it was read; it is never changed.
        predictions: keyed by `Gene.index`.
    """

    genome: Genome
    predictions: Predictions

    def facts(self) -> dict[str, str]:
        """The facts of both."""
        return self.genome.facts() | self.predictions.facts()

    def to_dataframe(self) -> DataFrame:
        """The table of results as a pandas DataFrame, one row per CDS; docs/results.md explains its columns.

        Lists are text with commas, as in the file. Text is '' and a number NaN where there is nothing to say.

        Raises:
            GlmAnnotError: pandas is not installed.
        """
        frame = _pandas().DataFrame(list(table_rows(self.genome, self.predictions)), columns=list(COLUMNS))
        for name in (*WHOLE_NUMBERS, *DECIMALS):
            number = _pandas().to_numeric(frame[name], errors="coerce")
            frame[name] = number.astype("Int64" if name in WHOLE_NUMBERS else "float64")
        return frame

    def operons_dataframe(self) -> DataFrame:
        """One row per operon, its genes as their IDs in order along the contig, separated by commas.

        Raises:
            GlmAnnotError: pandas is not installed.
        """
        return _pandas().DataFrame(self._operon_rows(), columns=list(_OPERON_COLUMNS))

    def to_dict(self) -> dict[str, Any]:
        """All of it in plain lists and texts, which `json.dumps` takes.

        `provenance` says what made it; `genes` has the rows of the table and `operons` those of
        `operons_dataframe`, each by the names of its columns.
        """
        return {
            "provenance": asdict(self.predictions.provenance),
            "genes": list(table_rows(self.genome, self.predictions)),
            "operons": [dict(zip(_OPERON_COLUMNS, row, strict=True)) for row in self._operon_rows()],
        }

    def _operon_rows(self) -> Iterator[tuple[Any, ...]]:
        ids = {gene.index: gene.id for gene in self.genome.genes}
        for operon in self.predictions.operons or ():
            yield _operon_row(operon, [ids[index] for index in operon.genes])

    def write(
        self,
        output: str | Path | None = None,
        *,
        promote_ec: float | None = None,
        promote_to: str = TO_NOTE,
        force: bool = False,
    ) -> tuple[Path, Path]:
        """Writes the annotated file and the table, with the names and bytes that the command line gives.

        Args:
            output: the name of the annotated file, or a folder; None is the folder of the input.
            promote_ec: as for `render`.
            promote_to: likewise.
            force: overwrite files that exist.

        Returns:
            the annotated file and the table.

        Raises:
            UsageError: a file exists and `force` is not given, or it would take the place of the input.
            GlmAnnotError: the genome was not read from a file, or the disk does not take the results.
        """
        source = self._source()
        (target,) = plan([source.path], None if output is None else str(output))
        annotation, table = target.annotation(source.format), target.table
        if annotation is None or table is None:
            raise UsageError("write() needs the name of a file or folder; render() gives the text itself")
        in_use = FilesInUse.of([("the input", source.path)])
        target.check_format(source.format)
        target.check_source(in_use)
        predicted = [(self.genome, self.predictions)]
        promotion = (promote_ec, promote_to)
        write_results(Whole(self.genome), predicted, target, promotion, force=force, in_use=in_use)
        return annotation, table

    def report(
        self,
        output: str | Path | None = None,
        *,
        model: str | Path | None = None,
        force: bool = False,
    ) -> Path:
        """Writes the report to look at, one HTML file for any browser, as `glm-annot --report` does.

        Args:
            output: its name, which ends in .html, or a folder; None is the folder of the input.
            model: the folder of the model, where its figures are looked for besides those of the models that
                go by a name.
            force: overwrite a file that exists.

        Returns:
            the report.

        Raises:
            UsageError: the file exists and `force` is not given, or it would take the place of the input.
            GlmAnnotError: the genome was not read from a file, or the disk does not take the report.
        """
        source = self._source()
        named = None if output is None or Path(output).suffix.lower() != ".html" else Path(output)
        (target,) = plan([source.path], None if output is None or named else str(output), report=True)
        path, annotation = named or target.report, target.annotation(source.format)
        if path is None or annotation is None or target.table is None:
            raise UsageError("report() needs the name of a file that ends in .html, or a folder")
        page = Report(source.path, (None, TO_NOTE), None if model is None else str(model))
        for _ in page.watched([(self.genome, self.predictions)]):
            pass
        in_use = FilesInUse.of([("the input", source.path)])
        with whole_files(path, force=force, in_use=in_use) as (written,):
            written.write(page.page(annotation.name, target.table.name))
        return path

    def plot(
        self, output: str | Path | None = None, *, region: str | None = None, force: bool = False
    ) -> Figure:
        """Draws genes, operons and context fit of a region, as `glm-annot plot` does.

        Args:
            output: a file to write, which ends in .svg, .png or .pdf; None writes nothing.
            region: 'contig:from-to', 1-based and inclusive, or the name of a contig; None is the first one.
                A contig of more than 150,000 bases is drawn as a circle.
            force: overwrite a file that exists.

        Returns:
            matplotlib's Figure, which a notebook shows.

        Raises:
            UsageError: there is no such region, or no gene in it; the file exists and `force` is not given,
                or its name ends otherwise.
            GlmAnnotError: the libraries of the extra `plot` are not installed, or the disk does not take the
                picture.
        """
        from glm_annot.report.genes import Genes
        from glm_annot.report.picture import draw
        from glm_annot.report.regions import region as find

        genes = Genes(most=sys.maxsize)
        genes.add(self.genome.contigs, table_rows(self.genome, self.predictions))
        figure = draw(find(genes, region))
        if output is not None:
            source = self.genome.source
            in_use = FilesInUse.of([("the input", source.path)] if source else [])
            write_picture(figure, Path(output), force=force, in_use=in_use)
        return figure

    def _source(self) -> Source:
        """The file it was read from.

        Raises:
            GlmAnnotError: there is none.
        """
        if self.genome.source is None:
            raise GlmAnnotError(
                "this genome was not read from a file, so there is no text to write back into"
            )
        return self.genome.source


def _operon_row(operon: OperonCall, genes: list[str]) -> tuple[Any, ...]:
    """Its cells, in the order of `_OPERON_COLUMNS`."""
    return (
        operon.id,
        operon.contig,
        operon.start,
        operon.end,
        "+" if operon.strand == 1 else "-",
        len(genes),
        ",".join(genes),
        operon.confidence,
        operon.start_confidence,
        operon.end_confidence,
        ",".join(operon.evidence),
    )


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise GlmAnnotError(
            "data frames need pandas; install it with: pip install 'glm-annot[table]'"
        ) from None
    return pandas


def annotate(
    genome: str | Path | Genome,
    model: str | Path | Model = "mini",
    *,
    min_confidence: float | None = None,
    ec: bool = True,
    operons: bool = True,
    only_hypothetical: bool = False,
    reference: Reference | None = None,
    precision: str = "auto",
    batch_size: int = BATCH_WINDOWS,
    cache: EmbeddingCache | None = None,
    progress: Progress | None = None,
) -> Annotation:
    """Predicts enzyme function, operons and context fit for every coding gene of a genome.

    Args:
        genome: a file or a tool's output folder, as `read` takes them, or what `read` gave.
        model: a name of `list_models` or a folder, loaded onto the best device here; or what `load_model`
            gave, used where it is. Load it once for many genomes.
        min_confidence: least confidence of an EC number; None is the model's own.
        ec: whether to predict EC numbers.
        operons: whether to predict operons.
        only_hypothetical: call EC numbers of hypothetical proteins alone.
        reference: labelled proteins, whose homology counts as evidence for EC numbers, too.
        precision: of the protein encoder: auto, fp32, bf16 or fp16.
        batch_size: windows that gLM reads at once.
        cache: of embeddings; None keeps none.
        progress: called with (stage, units done, units in all).

    Raises:
        InputError: the file cannot be used.
        ModelError: the model cannot be loaded, or has nothing to predict with.

    Examples:
        >>> import glm_annot
        >>> annotation = glm_annot.annotate("bakta_output.gff3")
        >>> len(annotation.predictions.genes)
        34
        >>> annotation.to_dataframe()["locus_tag"].iloc[0]
        'MADE_0001'
        >>> annotated_file, table = annotation.write("results/")
        >>> annotated_file.name
        'bakta_output.glm.gff3'
    """
    settings = Settings(
        min_confidence, ec, operons, reference, precision, batch_size, cache, only_hypothetical
    )
    read_genome = genome if isinstance(genome, Genome) else read(genome)
    loaded = model if isinstance(model, Model) else load(model, best_device())
    overview = Overview.of([read_genome])
    ((_, predictions),) = annotate_sections([read_genome], overview, loaded, settings, progress)
    return Annotation(read_genome, predictions)
