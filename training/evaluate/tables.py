"""What was measured as a few tables for people, out of metrics.json: figures, ablations, where it is weak.

What metrics.json lacks, because it is older or its model has no such head, is left out. Tables come into
the pages of the documentation between two marker lines, `<!-- NAME: start -->` and `<!-- NAME: end -->`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from glm_annot.errors import InputError
from glm_annot.figures import figures_table, lookup

Metrics = Mapping[str, Any]
Column = tuple[str, tuple[str, ...]]  # its head, and the keys down to its values from those of a row

HEADER = 2  # lines of a table before its rows
_HIT: tuple[Column, ...] = (("hit rate", ("hit_rate",)), ("first guess", ("hit_rate_first_guess",)))
IDENTITY: tuple[Column, ...] = (
    ("enzymes", ("proteins",)),
    *_HIT,
    *((f"{name}, with reference", ("with_reference", *path)) for name, path in _HIT),
    ("DIAMOND best hit", ("diamond", "hit_rate")),
)
EC_ABLATIONS: tuple[Column, ...] = (*_HIT, ("F1, all genes", ("genome_f1",)))
EC_SOURCES = {
    "all": "all evidence",
    "no context": "no context",
    "no neighbours": "no enzymes beside",
    "encoder alone": "encoder alone",
    "kmer alone": "k-mer families alone",
}
OPERON_PAIRS = {
    "leave_one_out.escherichia_coli_k12": "pairs on one strand",
    "confirmed": "confirmed ones",
    "all_adjacent": "all adjacent pairs",
}
OPERON_ABLATIONS: tuple[Column, ...] = (
    ("everything", ("head", "ap")),
    ("no promoters", ("no_promoters", "ap")),
    ("no attention either", ("layout", "ap")),
    ("gradient boosting on the layout", ("boosting", "ap")),
)
OPERON_BANDS: tuple[Column, ...] = tuple(
    (f"{what}{of}", (key, name))
    for key, of in (("all tandem", ""), ("confirmed", ", confirmed"))
    for what, name in (("pairs", "pairs"), ("mean", "mean_probability"), ("share an operon", "share"))
)
LEVELS: tuple[Column, ...] = (
    ("calibration error", ("calibration_error",)),
    ("precision at 0.9", ("at_0.9", "precision")),
    ("coverage at 0.9", ("at_0.9", "coverage")),
    ("precision at 0.5", ("at_0.5", "precision")),
    ("coverage at 0.5", ("at_0.5", "coverage")),
)


def tables(metrics: Metrics) -> str:
    """Markdown: a headed table for each group of figures that was measured; '' when none was."""
    figures = figures_table(metrics)
    ec = _within(metrics, "ec")
    operons = _within(metrics, "operons")
    pairs = {name: _within(operons, *path.split(".")) for path, name in OPERON_PAIRS.items()}
    said = {name: _within(operons, "calibration", name, "bands") for name in ("all tandem", "confirmed")}
    bands = {band: {name: of.get(band, {}) for name, of in said.items()} for band in said["all tandem"]}
    sources = {name: _within(ec, "K-12 ablations", key) for key, name in EC_SOURCES.items()}
    levels = {f"level {n}": of for n, of in _within(ec, "K-12 confidence", "levels").items()}
    parts = (
        ("Figures", figures if figures.count("\n") > HEADER else ""),
        ("Ablations: EC numbers of *E. coli* K-12", _table("heard", sources, EC_ABLATIONS)),
        (
            "Ablations: operons of *E. coli* K-12, average precision of heads fitted anew",
            _table("measured on", pairs, OPERON_ABLATIONS),
        ),
        (
            "Operon probabilities, by a head fitted anew, of *E. coli* K-12's neighbours on one strand, all "
            "and confirmed ones",
            _table("probability", bands, OPERON_BANDS),
        ),
        (
            "EC numbers of *E. coli* K-12 by identity to the nearest labelled protein",
            _table("identity", _within(ec, "K-12 enzymes by identity"), IDENTITY),
        ),
        ("Calibration of EC numbers of *E. coli* K-12", _table("likeliest class", levels, LEVELS)),
        ("Calls on genes of *E. coli* K-12 without an EC number", _audit(_within(ec, "K-12 audit"))),
    )
    return "\n".join(f"### {title}\n\n{text}" for title, text in parts if text)


def aligned(text: str) -> str:
    """Markdown whose tables have columns of equal width, for the screen."""
    found: list[str] = []
    for is_table, lines in groupby(text.splitlines(), lambda line: line.startswith("|")):
        if not is_table:
            found += lines
            continue
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            pad = "-" if set("".join(row)) == {"-"} else " "
            cells = (cell.ljust(width, pad) for cell, width in zip(row, widths, strict=True))
            found.append(f"| {' | '.join(cells)} |")
    return "\n".join(found)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def shown(value: object) -> str:
    """A metric's value as it is printed: three decimals."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def fill(page: Path, name: str, text: str) -> None:
    """Put a text between two marker lines of a Markdown page, in the place of what stands there.

    Raises:
        InputError: the page has no such lines.
    """
    before, after = around(page, name)
    page.write_text(f"{before}\n{text}\n{after}", encoding="utf-8")


def around(page: Path, name: str) -> tuple[str, str]:
    """A page up to its first marker line and from its second one on, both included; raises as `fill`."""
    start, end = (f"<!-- {name}: {side} -->" for side in ("start", "end"))
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise InputError(f"needs the lines {start} and {end}, once each, for the table", page)
    return text.split(start)[0] + start, end + text.split(end)[1]


def _table(first: str, rows: Mapping[str, Metrics], columns: Sequence[Column]) -> str:
    """One line for each row of which anything was measured; '' without any."""
    found = [(name, [_at(of, path) for _, path in columns]) for name, of in rows.items()]
    measured = [(name, *cells) for name, cells in found if any(cells)]
    return table((first, *(head for head, _ in columns)), measured) + "\n" if measured else ""


def _at(metrics: Metrics, path: tuple[str, ...]) -> str:
    """The value at a path of keys as it is printed; '' where there is none."""
    value = lookup(metrics, path)
    return "" if value is None else shown(value)


def _audit(of: Metrics) -> str:
    if not of:
        return ""
    return (
        f"{of['calls']} calls at or above the threshold; entries of identical proteins in curated sources "
        f"confirm {of['confirmed']} and contradict {of['contradicted']}, and {of['unknown']} have none.\n"
    )


def _within(metrics: Metrics, *path: str) -> Metrics:
    """What lies at a path of keys; {} where there is nothing."""
    found = lookup(metrics, path)
    return found if isinstance(found, Mapping) else {}
