"""The figures of metrics.json as a few readable tables.

What metrics.json lacks, because it is older or its model has no such head, is left out. Tables come into
the pages of the documentation between two marker lines, `<!-- NAME: start -->` and `<!-- NAME: end -->`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from glm_annot.errors import InputError
from glm_annot.report.figures import figures_table, lookup

Metrics = Mapping[str, Any]
Column = tuple[str, tuple[str, ...]]  # its head, and the keys down to its values from those of a row

HEADER = 2  # lines of a table before its rows
_HIT: tuple[Column, ...] = (
    ("hit rate", ("hit_rate",)),
    ("hit rate of the first guess", ("hit_rate_first_guess",)),
)
IDENTITY: tuple[Column, ...] = (
    ("enzymes", ("proteins",)),
    *_HIT,
    *((f"{name}, with `--reference`", ("with_reference", *path)) for name, path in _HIT),
    ("DIAMOND best hit", ("diamond", "hit_rate")),
)
EC_ABLATIONS: tuple[Column, ...] = (*_HIT, ("F1, all genes", ("genome_f1",)))
EC_SOURCES = {
    "all": "all evidence",
    "no context": "without the context: neither gLM nor the enzymes beside the gene",
    "no neighbours": "without the enzymes beside the gene",
    "encoder alone": "the protein encoder alone",
    "kmer alone": "k-mer families of known enzymes alone",
    "homology alone": "homologues among labelled proteins alone",
    "no homology": "without homologues",
}
OPERON_PAIRS = {
    "leave_one_out.escherichia_coli_k12": "neighbours on one strand",
    "confirmed": "those of confirmed operons",
    "unseen": "all neighbours",
    "all_adjacent": "all neighbours, fitted to its other regions too",
}
OPERON_ABLATIONS: tuple[Column, ...] = (
    ("whole head", ("head", "ap")),
    ("without promoters", ("no_promoters", "ap")),
    ("layout of the genes alone", ("layout", "ap")),
    ("gradient boosting on strands and distances", ("boosting", "ap")),
)
OPERON_ORGANISMS: tuple[Column, ...] = (
    ("head", ("head", "ap")),
    ("intergenic distance alone", ("distance", "ap")),
    ("gradient boosting", ("boosting", "ap")),
)
OPERON_BANDS: tuple[Column, ...] = tuple(
    (f"{what}{of}", (key, name))
    for key, of in (("all tandem", ""), ("confirmed", ", confirmed operons"))
    for what, name in (
        ("pairs", "pairs"),
        ("mean prediction", "mean_probability"),
        ("in one operon", "share"),
    )
)
EC_BANDS: tuple[Column, ...] = (
    ("genes", ("proteins",)),
    ("mean confidence", ("mean_confidence",)),
    ("right", ("share",)),
)
NEARNESS: tuple[Column, ...] = (
    ("first guess right", ("first",)),
    ("from", ("first_low",)),
    ("to", ("first_high",)),
    ("one of four right", ("four",)),
    ("genomes and rings", ("genomes",)),
    ("hidden genes", ("genes",)),
)
MISPLACED = {
    "shuffled": "genes of the genome, shuffled",
    "related": "genes of related genomes in their places",
    "unrelated": "genes of unrelated genomes in their places",
    "phage": "phage genes of other genomes in their places",
    "prophages": "genes of whole prophages put between",
}
NAMED: tuple[Column, ...] = (
    ("genes", ("names", "genes")),
    ("names", ("names", "shown")),
    ("right", ("names", "right")),
    ("mean probability", ("names", "probability")),
    ("EC numbers", ("ec", "shown")),
    ("right", ("ec", "right")),
    ("hypothetical proteins", ("hypothetical", "genes")),
    ("of these named", ("hypothetical", "shown")),
)
HINTED = {
    "hidden": "the name of the own family hidden",
    "stranger": "of no family",
    "without a name": "both together",
    "unnamed": "of a family without a name",
    "known": "of a family with a name",
    "all genes": "all genes, names known",
}
HINTS: tuple[Column, ...] = (
    ("genes", ("genes",)),
    ("get a name", ("coverage",)),
    ("right", ("precision",)),
    ("calibration error", ("calibration_error",)),
    ("get an EC number", ("ec_coverage",)),
    ("right", ("ec_precision",)),
)
LEVELS: tuple[Column, ...] = (
    ("calibration error", ("calibration_error",)),
    ("genes at 0.9 or more", ("at_0.9", "coverage")),
    ("right among these", ("at_0.9", "precision")),
    ("genes at 0.5 or more", ("at_0.5", "coverage")),
    ("right among these", ("at_0.5", "precision")),
)
LEVEL_NAMES = {"1": "class", "2": "subclass", "3": "sub-subclass", "4": "whole number"}
_FITS = {"K-12": "neighbours", "test genomes": "rings"}
_HINTED_BY = {
    "near": "relatives in the memory",
    "genus": "none that share 80 % of the families",
    "far": "none that share half of them",
}


def tables(metrics: Metrics) -> str:
    """Markdown: a headed table for each group of figures that was measured; '' when none was."""
    figures = figures_table(metrics)
    ec = _within(metrics, "ec")
    operons = _within(metrics, "operons")
    pairs = {name: _within(operons, *path.split(".")) for path, name in OPERON_PAIRS.items()}
    said = {name: _within(operons, "calibration", name, "bands") for name in ("all tandem", "confirmed")}
    bands = {band: {name: of.get(band, {}) for name, of in said.items()} for band in said["all tandem"]}
    sources = {name: _within(ec, "K-12 ablations", key) for key, name in EC_SOURCES.items()}
    levels = {f"{n} ({of})": _within(ec, "K-12 confidence", "levels", n) for n, of in LEVEL_NAMES.items()}
    fits = {
        name: {of: _within(metrics, group, "context_fit", kind) for of, group in _FITS.items()}
        for kind, name in MISPLACED.items()
    }
    hints = {
        f"{name}, {_HINTED_BY.get(by, by)}": of
        for kind, name in HINTED.items()
        for by, of in _within(metrics, "hints", kind).items()
    }
    organisms, observed = (
        {_organism(name): of for name, of in _within(operons, key).items()}
        for key in ("leave_one_out", "observed")
    )
    parts = (
        ("Figures", figures if figures.count("\n") > HEADER else ""),
        (
            "Families of hidden genes named by their neighbours, by the nearest genome in the memory (its "
            "share of families)",
            _table("nearest genome", _within(metrics, "rings", "nearness"), NEARNESS),
        ),
        (
            "Context fit: genes in their places told from misplaced ones (AUROC)",
            _table("misplaced", fits, tuple((of, (of, "auroc")) for of in _FITS)),
        ),
        (
            "Names from context, each genome's own names and those of its like left out",
            _table("genome", _within(metrics, "names", "genomes"), NAMED),
        ),
        (
            "Names from context on test genomes, by what is known of the gene",
            _table("genes", hints, HINTS),
        ),
        (
            "EC numbers of *E. coli* K-12: what each kind of evidence adds",
            _table("evidence", sources, EC_ABLATIONS),
        ),
        (
            "EC numbers of *E. coli* K-12, by identity to the most similar protein with a known number",
            _table("identity", _within(ec, "K-12 enzymes by identity"), IDENTITY),
        ),
        (
            "Confidences of EC numbers against the truth: the likeliest class of each gene of *E. coli* K-12",
            _table("level", levels, LEVELS),
        ),
        (
            "Confidences of EC numbers in detail: the first guess for each gene of *E. coli* K-12",
            _table("confidence", _within(ec, "K-12 confidence", "number", "bands"), EC_BANDS),
        ),
        ("EC numbers called for genes of *E. coli* K-12 that carry none", _audit(_within(ec, "K-12 audit"))),
        (
            "Operons of *E. coli* K-12: what each part adds (average precision, heads fitted anew)",
            _table("measured on", pairs, OPERON_ABLATIONS),
        ),
        (
            "Operons of each organism, by a head fitted to the others (average precision)",
            _table("organism", organisms, OPERON_ORGANISMS),
        ),
        (
            "The same without the labels 'no' that only say that the genes are 40 bases apart or more",
            _table("organism", observed, OPERON_ORGANISMS),
        ),
        (
            "Operon probabilities against the truth: neighbours on one strand of *E. coli* K-12",
            _table("probability", bands, OPERON_BANDS),
        ),
    )
    return "\n".join(f"### {title}\n\n{text}" for title, text in parts if text)


def _organism(folder: str) -> str:
    """An organism's name from that of its folder: 'escherichia_coli_k12' is Escherichia coli K12."""
    words = folder.replace("_", " ").split()
    strain = [word.upper() if any(map(str.isdigit, word)) else word for word in words]
    return " ".join([words[0].capitalize(), *strain[1:]])


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
    """Replace the text between two marker lines of a Markdown page.

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
        f"{of['calls']} numbers were called. Curated entries of the identical protein confirm "
        f"{of['confirmed']} and contradict {of['contradicted']}; {of['unknown']} have no such entry.\n"
    )


def _within(metrics: Metrics, *path: str) -> Metrics:
    """What lies at a path of keys; {} where there is nothing."""
    found = lookup(metrics, path)
    return found if isinstance(found, Mapping) else {}
