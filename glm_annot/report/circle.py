"""A whole contig as a circle, drawn by pyCirclize: genes on both strands, EC numbers, context fit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from glm_annot.report.drawing import KINDS, colours, library, saved
from glm_annot.report.genes import LOW_FIT, Genes
from glm_annot.report.regions import Drawn, Region
from glm_annot.report.regions import region as find

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LEAST, _MOST = 20, 6  # genes of a replicon that has a circle on the page; replicons there
_SIZE = 6.0  # inches
_LEGEND = 0.5
_WHOLE = 0.97  # of the width that the circle takes, without the names of its ruler
_FEW = 400  # genes, up to which each has its own arrow; of more only the share of bases is seen
_PARTS = 360  # of the circle, in which genes and context fit are averaged
_GAP = 8  # degrees between the ends of a linear contig
# From the outside: where each ring begins and ends, of a radius of 100.
_RINGS = {"+": (83, 94), "-": (70, 81), "ec": (57, 68), "fit": (37, 55)}
_STRANDS = {"+": (1, 0), "-": (-1,)}  # those without a strand stand with the forward ones
_STEPS = (1, 2, 5)  # of a ruler, times a power of ten
_TICKS = 12  # on a ruler at most
_DROPPED = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)
_SHAPE = re.compile(r'd="[^"]*"')
_FRACTION = re.compile(r"(\.\d)\d+")  # of the coordinates in a shape; a tenth of a point is enough

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Circle:
    """A complete replicon on the page: the number and the name of its contig, and an SVG element."""

    place: int
    name: str
    svg: str


def circles(genes: Genes) -> list[Circle]:
    """The largest complete replicons, those of fewer than 20 genes apart, in order of the file.

    Raises:
        GlmAnnotError: there are such, and the libraries are not installed.
    """
    last = genes.value("contig", genes.on_page - 1) if 0 < genes.on_page < genes.total else None  # cut short
    sizes = Counter(genes.columns.get("contig", ()))
    complete = [
        place
        for place, contig in enumerate(genes.contigs)
        if contig.circular and contig.length and sizes[place] >= _LEAST and place != last
    ]
    largest = sorted(complete, key=lambda place: -sizes[place])[:_MOST]
    names = {place: genes.contigs[place].name for place in sorted(largest)}
    return [Circle(place, name, inline(find(genes, name))) for place, name in names.items()]


def circle(region: Region, *, legend: bool = True) -> Figure:
    """A whole contig; one that is not circular has a gap between its ends.

    Args:
        region: the contig.
        legend: whether the colours are told below it.

    Raises:
        GlmAnnotError: the libraries are not installed.
    """
    height = _SIZE + (_LEGEND if legend else 0)
    figure: Figure = library("matplotlib.figure").Figure(figsize=(_SIZE, height))
    library("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    whole = _SIZE / height
    axes = figure.add_axes(
        ((1 - _WHOLE) / 2, 1 - (1 + _WHOLE) / 2 * whole, _WHOLE, _WHOLE * whole), polar=True
    )
    gap = 0 if region.is_whole_circle else _GAP
    circos = library("pycirclize").Circos(
        {region.contig.name: (region.start - 1, region.end)}, start=gap / 2, end=360 - gap / 2
    )
    (sector,) = circos.sectors
    _draw_genes(sector, region)
    for ring in ("ec", "fit"):
        sector.add_track(_RINGS[ring]).axis(fc=colours()["sunk"], ec="none")
    circos.text(_title(region), size=12, color=colours()["ink"])
    circos.plotfig(ax=axes)
    _draw_means(axes, sector, region)
    _draw_strokes(axes, sector, region)
    if legend:
        _legend(figure, region)
    return figure


def inline(region: Region) -> str:
    """The circle as an SVG element whose colours are those of the page, which says what they mean."""
    text = saved(circle(region, legend=False), "svg").decode()
    text = _DROPPED.sub("", text[text.index("<svg ") :])
    text = _SHAPE.sub(lambda shape: _FRACTION.sub(r"\1", shape[0]), text)
    for name, colour in colours().items():
        text = text.replace(colour, f"var(--{name})")
    return text


def _title(region: Region) -> str:
    name = region.contig.name if len(region.contig.name) <= 24 else f"{region.contig.name[:21]}..."
    return f"{name}\n{region.length:,} bp\n{len(region.genes):,} genes"


def _draw_genes(sector: Any, region: Region) -> None:
    """Each gene in its colour, where there is room."""
    paint = colours()
    for sign, strands in _STRANDS.items():
        track = sector.add_track(_RINGS[sign])
        track.axis(fc=paint["sunk"], ec="none")
        if sign == "+":
            _draw_ruler(track, region)
        if len(region.genes) > _FEW:
            continue
        for gene in (gene for gene in region.genes if gene.strand in strands):
            extent = (max(gene.start, region.start) - 1, min(gene.end, region.end))
            start, end = extent if sign == "+" else extent[::-1]
            look = {"fc": paint[gene.kind], "ec": paint["outline"], "lw": 0.5}
            track.arrow(start, end, head_length=1.5, shaft_ratio=1, **look)


def _draw_ruler(track: Any, region: Region) -> None:
    paint, step = colours(), _step(region.length)
    unit, name = (10**6, "Mb") if step >= 10**5 else (10**3, "kb")
    places = list(range(0, region.length - step // 2, step))  # the last one does not touch the first
    track.xticks(
        places,
        [f"{base / unit:g} {name}" for base in places],
        label_size=10,
        line_kws={"ec": paint["dim"]},
        text_kws={"color": paint["dim"]},
    )


def _draw_strokes(axes: Axes, sector: Any, region: Region) -> None:
    """A stroke for each EC number that the file does not have, one that differs, and each low context fit.

    All of one kind are one broken line: as shapes of their own they would make a file of megabytes.
    """
    (inner, outer), (bottom, top) = _RINGS["ec"], _RINGS["fit"]
    middle, low = (inner + outer) / 2, bottom + (top - bottom) / 3
    strokes = {
        "new": (middle, outer, [gene for gene in region.genes if gene.kind == "new"]),
        "differs": (inner, middle, [gene for gene in region.genes if gene.kind == "differs"]),
        "low": (bottom, low, [g for g in region.genes if g.fit is not None and g.fit < LOW_FIT]),
    }
    for colour, (start, end, genes) in strokes.items():
        angles = [sector.x_to_rad(_middle(region, gene)) for gene in genes]
        points = [point for angle in angles for point in ((angle, start), (angle, end), (angle, np.nan))]
        axes.plot(*zip(*points, strict=True) if points else ([], []), color=colours()[colour], lw=0.9,
                  solid_capstyle="butt")  # fmt: skip


def _draw_means(axes: Axes, sector: Any, region: Region) -> None:
    """The mean context fit along the contig; for many genes the share of bases that code on each strand."""
    paint = colours()
    places, fits = _mean_fits(region)
    _fill(axes, sector, "fit", places, fits / 100, color=paint["plain"], alpha=0.4)
    if len(region.genes) > _FEW:
        for ring, strands in _STRANDS.items():
            genes = [gene for gene in region.genes if gene.strand in strands]
            _fill(axes, sector, ring, *_shares(region, genes), color=paint["operon"], lw=0)


def _fill(axes: Axes, sector: Any, ring: str, places: Floats, shares: Floats, **look: Any) -> None:
    """Fills a share of a ring, from the inside; that of the reverse strand from the outside.

    matplotlib's fill_between would round each border by a hundred points, which makes a file of megabytes.
    """
    (inner, outer), angles = _RINGS[ring], np.array([sector.x_to_rad(place) for place in places])
    base, sign = (outer, -1) if ring == "-" else (inner, 1)
    heights = base + sign * shares * (outer - inner)
    axes.fill(np.r_[angles, angles[::-1]], np.r_[heights, np.full(len(angles), base)], **look)


def _middle(region: Region, gene: Drawn) -> float:
    return min(max((gene.start + gene.end) / 2, region.start), region.end - 1)


def _edges(region: Region) -> Floats:
    """The borders of the parts of the circle, in bases."""
    return np.linspace(region.start - 1, region.end, min(_PARTS, region.length) + 1)


def _shares(region: Region, genes: Sequence[Drawn]) -> tuple[Floats, Floats]:
    """The middle of each part of the circle, and which share of its bases these genes have."""
    edges = _edges(region)
    covered = np.zeros(region.length + 1)
    for gene in genes:
        covered[max(gene.start, region.start) - region.start] += 1
        covered[min(gene.end, region.end) - region.start + 1] -= 1
    so_far = np.concatenate([[0], np.cumsum(np.cumsum(covered)[:-1] > 0)])
    places = np.round(edges - edges[0]).astype(int)
    return (edges[:-1] + edges[1:]) / 2, np.diff(so_far[places]) / np.diff(places)


def _mean_fits(region: Region) -> tuple[Floats, Floats]:
    """Both borders of each part of the circle, and the mean context fit of genes there; 0 without any."""
    edges = _edges(region)
    sums, numbers = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for gene in region.genes:
        if gene.fit is not None:
            first = np.searchsorted(edges, max(gene.start, region.start) - 1, side="right") - 1
            last = np.searchsorted(edges, min(gene.end, region.end), side="left")
            sums[first:last] += gene.fit
            numbers[first:last] += 1
    return np.repeat(edges, 2)[1:-1], np.repeat(sums / np.maximum(numbers, 1), 2)


def _step(length: int) -> int:
    """The distance of the ticks of a ruler, in bases."""
    power: int = 10 ** int(np.log10(max(length / _TICKS, 1)))
    return next((step * power for step in _STEPS if step * power * _TICKS >= length), 10 * power)


def _legend(figure: Figure, region: Region) -> None:
    patches, paint = library("matplotlib.patches"), colours()
    few = len(region.genes) <= _FEW
    shown = KINDS if few else {kind: KINDS[kind] for kind in ("new", "differs")}
    looks = [(paint[kind], text) for kind, text in shown.items()]
    looks += [] if few else [(paint["operon"], "coding: outer +, inner \u2212")]
    looks += [(paint["plain"], "context fit"), (paint["low"], f"below {LOW_FIT:g}")]
    handles = [patches.Patch(facecolor=colour, edgecolor=paint["outline"], lw=0.5, label=text)
               for colour, text in looks]  # fmt: skip
    figure.legend(
        handles=handles, loc="lower center", ncols=4 if few else 3, frameon=False, fontsize=9,
        handlelength=1.1, columnspacing=1.2, labelcolor=paint["ink"],
    )  # fmt: skip
