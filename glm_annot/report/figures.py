"""A model's main figures as a table: what docs/accuracy.md shows, out of metrics.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Bar:
    """Another method on the same data, to compare a figure with.

    Attributes:
        name: shown to the user.
        path: keys down to its value in metrics.json; () for a published one.
        published: the value of one that was not measured here.
    """

    name: str
    path: tuple[str, ...] = ()
    published: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: a measured value and what it has to be compared with.

    Attributes:
        what: shown to the reader; '{of}' is replaced by the data that its suite names.
        path: keys down to the value in metrics.json.
        bars: what it is compared with.
    """

    what: str
    path: tuple[str, ...]
    bars: tuple[Bar, ...] = ()


EC_BENCHMARKS = ("New-392", "CARE-30", "CARE-30-50", "K-12 enzymes")
_ALONE_AND_NOT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("", ()),
    (", with `--reference`", ("with_reference",)),
)
# UniOP (Su, Zhang, Söding 2024) on the same pairs of E. coli, as that collection of operons states it.
_UNIOP = Bar("UniOP", published=0.951)


def _operons(pairs: str, *path: str, bars: tuple[tuple[str, str], ...], more: tuple[Bar, ...] = ()) -> Figure:
    beside = tuple(Bar(name, ("operons", *path, key, "ap")) for name, key in bars)
    what = f"operons of *E. coli* K-12, heads fitted anew, average precision on {pairs}"
    return Figure(what, ("operons", *path, "head", "ap"), (*beside, *more))


_DISTANCE, _BOOSTING = ("intergenic distance alone", "distance"), ("gradient boosting", "boosting")

FIGURES = (
    Figure(
        "genes of {of} told from shuffled ones by their context fit, AUROC",
        ("neighbours", "context_fit", "shuffled", "auroc"),
        (Bar("gLM", ("masked_genes", "place_auroc")),),
    ),
    *(
        Figure(
            f"genes of {{of}} told from {what} in their places, AUROC",
            ("neighbours", "context_fit", kind, "auroc"),
        )
        for kind, what in (
            ("related", "genes of related genomes"),
            ("unrelated", "genes of unrelated genomes"),
            ("phage", "phage genes of other genomes"),
        )
    ),
    Figure(
        "genes of {of} told from those of whole prophages put between them, AUROC",
        ("neighbours", "context_fit", "prophages", "auroc"),
    ),
    Figure(
        "masked genes of {of} found by their neighbours, first guess",
        ("neighbours", "mixture", "absolute"),
        (
            Bar("the memory's votes", ("neighbours", "memory", "absolute")),
            Bar("gLM alone", ("neighbours", "glm", "absolute")),
            Bar("gLM of the paper, other embeddings", published=0.592),
        ),
    ),
    Figure(
        "masked genes of {of} found by their neighbours, four guesses",
        ("neighbours", "mixture", "pseudo"),
        (
            Bar("the memory's votes", ("neighbours", "memory", "pseudo")),
            Bar("gLM alone", ("neighbours", "glm", "pseudo")),
            Bar("gLM of the paper, other embeddings", published=0.719),
        ),
    ),
    *(
        Figure(f"{what} from context for genes of {{of}}, {words}", ("names", key, figure))
        for key, what in (("names", "names"), ("ec", "EC numbers"))
        for figure, words in (("share", "share of genes that get one"), ("right", "share that is right"))
    ),
    Figure(
        "enzymes of {of} whose EC number the neighbours alone guess first, share",
        ("names", "neighbours_alone", "first"),
        (
            Bar("in three guesses", ("names", "neighbours_alone", "three")),
            Bar("with its own names", ("names", "neighbours_alone_all_names", "first")),
        ),
    ),
    Figure(
        "EC numbers that the neighbours alone give genes of {of} at 0.5 or more, share that is right",
        ("names", "neighbours_alone", "precision"),
        (Bar("with its own names", ("names", "neighbours_alone_all_names", "precision")),),
    ),
    *(
        Figure(f"{what} from context for genes of {{of}} whose family nobody named, {words}", path)
        for what, before in (("names", ""), ("EC numbers", "ec_"))
        for words, path in (
            ("share of genes that get one", ("hints", "hidden", "near", f"{before}coverage")),
            ("share that is right", ("hints", "hidden", "near", f"{before}precision")),
        )
    ),
    Figure(
        "masked genes of {of}, pseudo-accuracy of gLM",
        ("masked_genes", "pseudo_accuracy"),
        (
            Bar("chance", ("masked_genes", "chance_accuracy")),
            Bar("biLSTM", ("masked_genes", "lstm", "pseudo_accuracy")),
        ),
    ),
    Figure(
        "masked genes of {of}, absolute accuracy of gLM",
        ("masked_genes", "absolute_accuracy"),
        (Bar("biLSTM", ("masked_genes", "lstm", "absolute_accuracy")),),
    ),
    Figure(
        "genes of {of} told from shuffled ones by gLM, AUROC",
        ("masked_genes", "place_auroc"),
        (Bar("biLSTM", ("masked_genes", "lstm", "place_auroc")),),
    ),
    _operons(
        "its pairs on one strand",
        *("leave_one_out", "escherichia_coli_k12"),
        bars=(_DISTANCE, _BOOSTING),
        more=(_UNIOP,),
    ),
    _operons("the experimentally confirmed ones", "confirmed", bars=(_DISTANCE, _BOOSTING)),
    _operons("all adjacent pairs", "unseen", bars=(_DISTANCE, _BOOSTING)),
    _operons(
        "all adjacent pairs, fitted to its other regions too", "all_adjacent", bars=(_DISTANCE, _BOOSTING)
    ),
    *(
        Figure(
            f"EC numbers, {name}, {words}{how}",
            ("ec", name, *path, key),
            (Bar("DIAMOND best hit", ("ec", name, "diamond", key)),),
        )
        for name in EC_BENCHMARKS
        for key, words in (("hit_rate", "hit rate"), ("f1", "F1"))
        for how, path in _ALONE_AND_NOT
    ),
    *(
        Figure(
            f"EC numbers, all genes of K-12, {words}{how}",
            ("ec", "K-12 genome", *path, key),
            (
                Bar("DIAMOND best hit", ("ec", "K-12 genome", "diamond", key)),
                Bar("with an identity cut", ("ec", "K-12 genome", "diamond, identity cut", key)),
            ),
        )
        for key, words in (("precision", "precision"), ("recall", "recall"), ("f1", "F1"))
        for how, path in _ALONE_AND_NOT
    ),
    Figure(
        "EC numbers, all genes of K-12, precision with what curated entries of the same proteins confirm",
        ("ec", "K-12 audit", "corrected_precision"),
    ),
    Figure(
        "EC numbers, K-12, calibration error of the first guess",
        ("ec", "K-12 confidence", "number", "calibration_error"),
    ),
)


_ORGANISMS = {"ecoli_k12.gbff.gz": "E. coli K-12"}  # metrics of one genome name its file


def figures_table(metrics: Mapping[str, Any]) -> str:
    """Markdown, one row for each of `FIGURES` that was measured."""
    rows = ["| measured | glm-annot | beside |", "|---|---|---|"]
    for figure in FIGURES:
        value = _number(metrics, figure.path)
        if value is not None:
            of = metrics[figure.path[0]].get("of", "held-out genomes")
            what = figure.what.format(of=_ORGANISMS.get(of, of))
            compared = ", ".join(shown for bar in figure.bars if (shown := _shown(bar, metrics)))
            rows.append(f"| {what} | {value:.3f} | {compared} |")
    return "\n".join(rows) + "\n"


def lookup(metrics: Mapping[str, Any], path: Iterable[str]) -> Any:
    """What lies at a path of keys; None where there is nothing."""
    found: Any = metrics
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _shown(bar: Bar, metrics: Mapping[str, Any]) -> str:
    """Name and value; '' for one that was not measured."""
    if bar.published is not None:
        return f"{bar.name} {bar.published:.3f} (published)"
    value = _number(metrics, bar.path)
    return "" if value is None else f"{bar.name} {value:.3f}"


def _number(metrics: Mapping[str, Any], path: tuple[str, ...]) -> float | None:
    found = lookup(metrics, path)
    return float(found) if isinstance(found, int | float) else None
