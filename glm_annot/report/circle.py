"""A whole contig as a circle, drawn by pyCirclize: genes on both strands, EC numbers, context fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from glm_annot.report.drawing import KINDS, colours, library, saved
from glm_annot.report.genes import LOW_FIT
from glm_annot.report.regions import Drawn, Region

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE = 7.0  # inches
_FEW = 400  # genes, up to which each has its own arrow; of more only the share of bases is seen
_PARTS = 360  # of the circle, in which genes and context fit are averaged
_GAP = 8  # degrees between the ends of a linear contig
# From the outside: where each ring begins and ends, of a radius of 100.
_RINGS = {"+": (81, 92), "-": (68, 79), "ec": (55, 66), "fit": (35, 53)}
_STEPS = (1, 2, 5)  # of a ruler, times a power of ten
_TICKS = 12  # on a ruler at most
_DROPPED = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>", re.DOTALL)

Floats = npt.NDArray[np.float64]


def circle(region: Region) -> Figure:
    """A whole contig; one that is not circular has a gap between its ends.

    Raises:
        GlmAnnotError: the libraries are not installed.
    """
    figure: Figure = library("matplotlib.figure").Figure(figsize=(_SIZE, _SIZE + 0.4))
    library("matplotlib.backends.backend_agg").FigureCanvasAgg(figure)
    whole = _SIZE / (_SIZE + 0.4)
    axes = figure.add_axes((0.04, 1 - 0.97 * whole, 0.92, 0.94 * whole), polar=True)
    gap = 0 if region.is_whole_circle else _GAP
    circos = library("pycirclize").Circos(
        {region.contig.name: (region.start - 1, region.end)}, start=gap / 2, end=360 - gap / 2
    )
    (sector,) = circos.sectors
    _draw_genes(sector, region)
    _draw_numbers(sector, region)
    _draw_fit(sector, region)
    circos.text(_title(region), size=11, color=colours()["ink"])
    circos.plotfig(ax=axes)
    _legend(figure, region)
    return figure


def inline(region: Region) -> str:
    """The circle as an SVG element whose colours are those of the page, light or dark."""
    text = saved(circle(region), "svg").decode()
    text = _DROPPED.sub("", text[text.index("<svg ") :])
    for name, colour in colours().items():
        text = text.replace(colour, f"var(--{name})")
    return text


def _title(region: Region) -> str:
    name = region.contig.name if len(region.contig.name) <= 24 else f"{region.contig.name[:21]}..."
    return f"{name}\n{region.length:,} bp\n{len(region.genes):,} genes"


def _draw_genes(sector: Any, region: Region) -> None:
    """Each gene in its colour, or for many genes the share of bases that code on each strand."""
    paint = colours()
    for sign, strands in (("+", (1, 0)), ("-", (-1,))):
        track = sector.add_track(_RINGS[sign])
        track.axis(fc=paint["sunk"], ec="none")
        if sign == "+":
            _draw_ruler(track, region)
        genes = [gene for gene in region.genes if gene.strand in strands]
        if len(region.genes) > _FEW:
            middles, shares = _shares(region, genes)
            inner, outer = (0 * shares, shares) if sign == "+" else (1 - shares, 1 + 0 * shares)
            track.fill_between(middles, outer, inner, vmax=1, color=paint["operon"], lw=0)
            continue
        for gene in genes:
            extent = (max(gene.start, region.start) - 1, min(gene.end, region.end))
            start, end = extent if sign == "+" else extent[::-1]
            look = {"fc": paint[gene.kind], "ec": paint["outline"], "lw": 0.5}
            track.arrow(start, end, head_length=1.5, shaft_ratio=1, **look)


def _draw_ruler(track: Any, region: Region) -> None:
    paint, step = colours(), _step(region.length)
    unit, name = (10**6, "Mb") if step >= 10**5 else (10**3, "kb")
    places = [base for base in range(0, region.length, step) if base >= region.start - 1]
    track.xticks(
        places,
        [f"{base / unit:g} {name}" for base in places],
        label_size=9,
        line_kws={"ec": paint["dim"]},
        text_kws={"color": paint["dim"]},
    )


def _draw_numbers(sector: Any, region: Region) -> None:
    """A stroke for each EC number that the file does not have, and below for each that differs."""
    paint, track = colours(), sector.add_track(_RINGS["ec"])
    track.axis(fc=paint["sunk"], ec="none")
    for kind, bottom in (("new", 0.5), ("differs", 0.0)):
        middles = [_middle(region, gene) for gene in region.genes if gene.kind == kind]
        if middles:
            track.bar(
                middles, [0.5] * len(middles), _stroke(region), [bottom] * len(middles), vmax=1,
                color=paint[kind], lw=0,
            )  # fmt: skip


def _draw_fit(sector: Any, region: Region) -> None:
    """The mean context fit along the contig, and a stroke for each gene below the limit."""
    paint, track = colours(), sector.add_track(_RINGS["fit"])
    track.axis(fc=paint["sunk"], ec="none")
    places, fits = _mean_fits(region)
    if not len(places):
        return
    track.fill_between(places, fits, vmax=100, color=paint["plain"], alpha=0.35, lw=0)
    track.line(places, fits, vmax=100, color=paint["plain"], lw=0.8)
    low = [_middle(region, gene) for gene in region.genes if gene.fit is not None and gene.fit < LOW_FIT]
    if low:
        track.bar(low, [25.0] * len(low), _stroke(region), vmax=100, color=paint["low"], lw=0)


def _middle(region: Region, gene: Drawn) -> float:
    return min(max((gene.start + gene.end) / 2, region.start), region.end - 1)


def _stroke(region: Region) -> float:
    """The width of a mark, in bases."""
    return region.length / 700


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
    """The middle of each part of the circle with genes that have a context fit, and their mean."""
    edges = _edges(region)
    known = [(_middle(region, gene), gene.fit) for gene in region.genes if gene.fit is not None]
    places, fits = np.array([place for place, _ in known]), np.array([fit for _, fit in known])
    numbers, _ = np.histogram(places, edges)
    sums, _ = np.histogram(places, edges, weights=fits)
    there = numbers > 0
    return ((edges[:-1] + edges[1:]) / 2)[there], sums[there] / numbers[there]


def _step(length: int) -> int:
    """The distance of the ticks of a ruler, in bases."""
    power = 10 ** int(np.log10(max(length / _TICKS, 1)))
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
        handles=handles, loc="lower center", ncols=5 if few else len(looks), frameon=False, fontsize=8.5,
        handlelength=1.1, columnspacing=1.2, labelcolor=paint["ink"],
    )  # fmt: skip
