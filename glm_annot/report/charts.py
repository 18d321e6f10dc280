"""The small charts of the summary: where each bar and point of their pictures stands. Units are SVG's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from glm_annot.report.reliability import Band

LEFT, RIGHT, TOP, BASE = 40.0, 352.0, 14.0, 130.0  # of the area that is drawn in
_GAP = 1.5  # between bars


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a column: `count` things of one `kind` between the values `low` and `high`."""

    kind: str
    count: int
    low: float
    high: float
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bars, the count at the top of the picture, and (value, x) of the ticks."""

    bars: tuple[Bar, ...]
    most: int
    ticks: tuple[tuple[float, float], ...]


def histogram(counts: Mapping[str, Sequence[int]], first: int = 0, *, scale: float = 1.0) -> Histogram:
    """Columns of equal width over the values 0 to `scale`; the kinds of one column stand on each other.

    Args:
        counts: how many there are of each kind, in ranges of equal width.
        first: the number of the first range that is shown.
        scale: the value at the end of the last range; every fifth of it has a tick.
    """
    n = len(next(iter(counts.values())))
    most = max([1, *(sum(row[i] for row in counts.values()) for i in range(first, n))])
    width = (RIGHT - LEFT) / (n - first)
    bars = []
    for i in range(first, n):
        y = BASE
        for kind, row in counts.items():
            height = (BASE - TOP) * row[i] / most
            y -= height
            if row[i]:
                x = LEFT + (i - first) * width + _GAP / 2
                low, high = (scale * edge / n for edge in (i, i + 1))
                bars.append(Bar(kind, row[i], low, high, x, y, width - _GAP, height))
    start = scale * first / n
    values = [scale * i / 5 for i in range(6)]
    ticks = [(v, LEFT + (v - start) / (scale - start) * (RIGHT - LEFT)) for v in values if v >= start]
    return Histogram(tuple(bars), most, tuple(ticks))


@dataclass(frozen=True, slots=True)
class Point:
    """A range of predictions in the picture; `radius` grows with their number."""

    band: Band
    x: float
    y: float
    radius: float


def curve(bands: Sequence[Band]) -> tuple[Point, ...]:
    """The points of a calibration curve: predicted along x and observed along y, both from 0 to 1."""
    most = max((band.count for band in bands), default=1)
    return tuple(
        Point(
            band,
            LEFT + band.predicted * (RIGHT - LEFT),
            BASE - band.observed * (BASE - TOP),
            3 + 4 * (band.count / most) ** 0.5,
        )
        for band in bands
    )
