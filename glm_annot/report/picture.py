"""A picture of a region for papers: genes as arrows, operons and their links, context fit.

dna_features_viewer draws the genes and places their names. Sizes are in inches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from glm_annot.report.circle import circle
from glm_annot.report.drawing import KINDS, colours, library
from glm_annot.report.genes import LOW_FIT
from glm_annot.report.regions import Drawn, Region

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE = 15_000  # bases on one line
MOST_LINES = 10
_WIDTH, _LEFT, _RIGHT = 11.0, 0.95, 0.75  # names of the last genes stand out to the right
_LEVEL = 0.3  # height of a line of names or of genes
_TRACKS = {"operons": 0.34, "fit": 0.62}
_BETWEEN, _RULER, _TOP, _LEGEND = 0.14, 0.3, 0.45, 0.5


def draw(region: Region) -> Figure:
    """A region on lines of 15 kb; one that needs more than ten of these is a whole contig as a circle.

    Raises:
        GlmAnnotError: the libraries are not installed.
    """
    if region.length > LINE * MOST_LINES:
        return circle(region)
    matplotlib = library("matplotlib.figure")
    lines = [_Line.of(part) for part in _parts(region)]
    height = _TOP + sum(line.height for line in lines) + _LEGEND
    figure: Figure = matplotlib.Figure(figsize=(_WIDTH, height))
    library("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    title = f"{region.contig.name}: {region.start:,} to {region.end:,}"
    figure.text(_LEFT / _WIDTH, 1 - 0.22 / height, title, fontsize=12, fontweight="bold", va="center")
    top = height - _TOP
    for line in lines:
        line.draw(figure, top)
        top -= line.height
    _legend(figure, region)
    return figure


def _parts(region: Region) -> list[Region]:
    """The region cut into lines of the same length."""
    number = -(-region.length // LINE)
    size = -(-region.length // number)
    starts = range(region.start, region.end + 1, size)
    return [_part(region, start, min(start + size - 1, region.end)) for start in starts]


def _part(region: Region, start: int, end: int) -> Region:
    """A line; a gene that is cut has its name where the larger part is."""
    inside = [gene for gene in region.genes if gene.start <= end and gene.end >= start]
    named = [
        gene
        if 2 * _overlap(gene, start, end) >= _overlap(gene, region.start, region.end)
        else replace(gene, label="", number="")
        for gene in inside
    ]
    return Region(region.contig, start, end, tuple(named))


def _overlap(gene: Drawn, start: int, end: int) -> int:
    return min(gene.end, end) - max(gene.start, start) + 1


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the picture: a part of the region, and the height of its genes with their names."""

    part: Region
    genes: float

    @classmethod
    def of(cls, part: Region) -> _Line:
        """Finds the height by drawing the genes once, for names are put over each other where they touch."""
        figure = library("matplotlib.figure").Figure(figsize=(_WIDTH, 3))
        library("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
        axes = figure.add_axes(_box(figure, 3.0, _LEVEL))
        _draw_genes(axes, part)
        low, high = axes.get_ylim()
        return cls(part, _LEVEL * (high - low))

    @property
    def height(self) -> float:
        return self.genes + sum(_TRACKS.values()) + 2 * _BETWEEN + _RULER

    def draw(self, figure: Figure, top: float) -> None:
        """Draws it; `top` is counted from below."""
        genes = figure.add_axes(_box(figure, top, self.genes))
        _draw_genes(genes, self.part)
        top -= self.genes + _BETWEEN / 2
        operons = _track(figure, top, "operons", genes)
        _draw_operons(operons, self.part)
        top -= _TRACKS["operons"] + _BETWEEN
        fit = _track(figure, top, "fit", genes)
        _draw_fit(fit, self.part)


def _box(figure: Figure, top: float, height: float) -> tuple[float, float, float, float]:
    width, whole = figure.get_size_inches()
    return _LEFT / width, (top - height) / whole, 1 - (_LEFT + _RIGHT) / width, height / whole


def _track(figure: Figure, top: float, name: str, genes: Axes) -> Axes:
    axes = figure.add_axes(_box(figure, top, _TRACKS[name]))
    axes.set_xlim(*genes.get_xlim())
    axes.set_frame_on(False)
    axes.set_yticks([])
    axes.set_xticks([])
    return axes


def _named(axes: Axes, y: float, text: str) -> None:
    """The name of a track, left of it; `y` in its own units."""
    axes.annotate(text, (0, y), (-10, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                  ha="right", va="center", fontsize=9, color=colours()["dim"])  # fmt: skip


def _draw_genes(axes: Axes, part: Region) -> None:
    viewer, paint = library("dna_features_viewer"), colours()
    features = [_feature(viewer, gene, part, paint) for gene in part.genes]
    record = viewer.GraphicRecord(first_index=part.start, sequence_length=part.length, features=features)
    record.plot(ax=axes, with_ruler=False, elevate_outline_annotations=True)
    _named(axes, 0, "genes")


def _feature(viewer: Any, gene: Drawn, part: Region, paint: dict[str, str]) -> Any:
    feature = viewer.GraphicFeature(
        start=gene.start,
        end=gene.end + 1,
        strand=gene.strand,
        label=" ".join(filter(None, (gene.label, gene.number))) or None,
        color=paint[gene.kind],
        linecolor=paint["outline"],
        linewidth=0.8,
        thickness=16,
        fontdict={"fontsize": 8},
        box_linewidth=0,
        box_color="#ffffff",
        label_link_color=paint["outline"],
        fixed_level=0,  # neighbours that share a few bases stay on one line
    )
    return feature.crop((part.start, part.end + 1))


def _draw_operons(axes: Axes, part: Region) -> None:
    """Bars, and under the borders between their genes the probabilities of the links."""
    paint = colours()
    axes.set_ylim(0, 1)
    _named(axes, 0.85, "operons")
    for left, right in zip(part.genes, [*part.genes[1:], None], strict=True):
        if not left.operon:
            continue
        together = right is not None and right.operon == left.operon
        end = right.start if together and right is not None else left.end + 1
        axes.fill_between(
            [max(left.start, part.start), min(end, part.end + 1)], 0.72, 0.98, color=paint["operon"], lw=0
        )
        if together and left.link is not None and part.start < end < part.end:
            axes.plot([end, end], [0.72, 0.98], color="white", lw=1.5, solid_capstyle="butt")
            axes.text(
                end, 0.3, f"{left.link:.2f}", fontsize=7.5, ha="center", va="center", color=paint["ink"]
            )


def _draw_fit(axes: Axes, part: Region) -> None:
    """Context fit as columns from 0 to 100; a triangle stands on those below the limit."""
    paint = colours()
    axes.set_ylim(0, 100)
    _named(axes, 50, "context\nfit")
    for level in (0, 50, 100):
        axes.axhline(level, color=paint["line"], lw=0.6, zorder=0)
    for gene in part.genes:
        if gene.fit is None:
            continue
        extent = (max(gene.start, part.start), min(gene.end + 1, part.end + 1))
        axes.fill_between(extent, 0, gene.fit, color=paint["plain"], alpha=0.35, lw=0)
        axes.plot(extent, [gene.fit, gene.fit], color=paint["plain"], lw=1.5, solid_capstyle="butt")
        if gene.fit < LOW_FIT:
            axes.plot(sum(extent) / 2, 28, "v", color=paint["low"], markersize=6)
    axes.xaxis.set_major_locator(library("matplotlib.ticker").MaxNLocator(8, integer=True))
    axes.xaxis.set_major_formatter(lambda base, _: f"{base:,.0f}")
    axes.tick_params(axis="x", labelsize=8, colors=paint["dim"], length=3)


def _legend(figure: Figure, region: Region) -> None:
    patches, lines = library("matplotlib.patches"), library("matplotlib.lines")
    paint, there = colours(), {gene.kind for gene in region.genes}
    handles: list[Any] = [
        patches.Patch(facecolor=paint[kind], edgecolor=paint["outline"], lw=0.8, label=text)
        for kind, text in KINDS.items()
        if kind in there
    ]
    if any(gene.fit is not None and gene.fit < LOW_FIT for gene in region.genes):
        mark = f"context fit below {LOW_FIT:g}"
        handles.append(lines.Line2D([], [], marker="v", lw=0, color=paint["low"], label=mark))
    figure.legend(handles=handles, loc="lower center", ncols=7, frameon=False, fontsize=9, handlelength=1.2)
