"""The suite's HTML page, and the table that compares a model with the paper."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment

from ..ec import dataset as ec_dataset
from . import figures as paper_figures
from .attention import BY_REGION, SHUFFLED
from .inputs import read
from .inputs import write as write_table
from .probes import best as best_layer

VERSION = 3  # raised when figures or page change, so that they are made anew
PAGE, FIGURES, COMPARISON, TABLE = "index.html", "figures", "comparison.tsv", "table.md"
MARKERS = "paper"  # of the place for the table in the documentation


@dataclass(frozen=True)
class Stamp:
    """What all figures were made from: model, held-out genome, corpus, seed, and the command."""

    model: str
    genome: str
    corpus: str
    seed: int
    command: str

    def footer(self, drawing: paper_figures.Drawing, n: str) -> str:
        """The line below a figure."""
        data = self.genome if drawing.data == "genome" else self.corpus
        return f"model {self.model} · data {data} · n: {n} · seed {self.seed}"


@dataclass(frozen=True)
class Published:
    """A number of the paper and where ours stands.

    Attributes:
        what: for people.
        paper: as published, '' where the paper does not say.
        ours: from the suite's folder; None if it is not there.
        table: where ours stands.
    """

    what: str
    paper: str
    ours: Callable[[Path], str | None]
    table: str


def write(folder: Path, out: Path, stamp: Stamp) -> None:
    """Draw the figures, and write the comparison and the page of a suite's folder.

    Args:
        folder: the suite's; its steps are done.
        out: where figures and comparison go.
        stamp: what all was made from.
    """
    paper_figures.draw_all(folder, out / FIGURES, stamp.footer)
    comparison = compare(folder)
    write_table(comparison, out / COMPARISON)
    (out / TABLE).write_text(markdown(comparison, stamp), encoding="utf-8")
    page = render(folder, out, stamp, comparison)
    (folder / PAGE).write_text(page, encoding="utf-8")


def render(folder: Path, out: Path, stamp: Stamp, comparison: pd.DataFrame) -> str:
    """The page as HTML; pictures are part of it, tables are linked."""
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["cell"] = _cell
    text = (files(__package__) / "templates" / "paper.html").read_text(encoding="utf-8")
    template = environment.from_string(text)
    return template.render(stamp=stamp, comparison=comparison, sections=_sections(folder, out)).lstrip()


def _sections(folder: Path, out: Path) -> list[dict[str, Any]]:
    sections = []
    for drawing in paper_figures.DRAWINGS:
        picture = out / FIGURES / f"{drawing.name}.png"
        sections.append(
            {
                "name": drawing.name,
                "title": drawing.title,
                "number": drawing.number,
                "text": drawing.text,
                "tables": [table for table in drawing.tables if (folder / table).exists()],
                "image": base64.b64encode(picture.read_bytes()).decode() if picture.exists() else "",
                "rows": _rows(folder, drawing.name),
            }
        )
        if drawing.name == "exclusion":
            sections.append(_dataset_section(folder))
    return sections


def _dataset_section(folder: Path) -> dict[str, Any]:
    classes = read(folder / "enzymes" / ec_dataset.CLASSES, ec=str)
    proteins, tested = int(classes["train"].sum() + classes["test"].sum()), int((classes["test"] > 0).sum())
    text = (
        f"{proteins:,} proteins with {len(classes):,} EC numbers, labelled by sequence search; {tested:,} "
        "numbers have proteins to test with that no chain of 30 % identity joins to a training protein of "
        "the same number. The largest:"
    )
    names = (ec_dataset.CLASSES, ec_dataset.PROTEINS, ec_dataset.GENOMES, ec_dataset.RECORD)
    links = ", ".join(f"enzymes/{name}" for name in names)
    return {
        "name": "enzymes",
        "title": "3. Enzymes of the corpus",
        "number": "",
        "text": f"{text} (see {links})",
        "tables": [],
        "image": "",
        "rows": classes.head(8),
    }


def _rows(folder: Path, name: str) -> pd.DataFrame | None:
    """The small table below a figure, where there is one."""
    shown = {
        "masked": ("masked/lengths.tsv", ["length", "windows", "masked_genes", "loss", "pseudo_accuracy"]),
        "layers": ("probes/layers.tsv", None),
        "curves": ("probes/averages.tsv", None),
        "operons": ("operons/methods.tsv", ["folds", "method", "pairs", "ap", "ap_sd", "ap_pooled", "auroc"]),
        "map": ("maps/neighbours.tsv", None),
        "contexts": ("maps/contexts.tsv", None),
    }
    if name not in shown or not (folder / shown[name][0]).exists():
        return None
    path, columns = shown[name]
    table = read(folder / path)
    if name == "masked":
        columns = [*(columns or ()), "absolute_accuracy", "chance", "confident_share", "confident_accuracy"]
        lstm = folder / "lstm" / "lengths.tsv"
        runs = {"gLM": table} | ({"biLSTM": read(lstm)} if lstm.exists() else {})
        table = pd.concat([rows.assign(network=network) for network, rows in runs.items()])
        columns = ["network", *(column for column in columns if column in table)]
    return table if columns is None else table[columns]


def _cell(value: object) -> str:
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        return f"{value:.3g}" if 0 < abs(value) < 0.01 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def compare(folder: Path) -> pd.DataFrame:
    """Columns measured, paper, here, table: one row for each of `PUBLISHED` that was measured."""
    rows = []
    for item in PUBLISHED:
        here = item.ours(folder)
        if here is not None:
            rows.append({"measured": item.what, "paper": item.paper, "here": here, "table": item.table})
    return pd.DataFrame(rows, columns=["measured", "paper", "here", "table"])


def markdown(comparison: pd.DataFrame, stamp: Stamp) -> str:
    """The comparison as a Markdown table, with what it was made from."""
    lines = [f"| measured | paper | {stamp.model} |", "|---|---|---|"]
    rows = comparison[["measured", "paper", "here"]].itertuples(index=False)
    lines += [f"| {row.measured} | {row.paper} | {row.here} |" for row in rows]
    lines += ["", f"Held-out genome {stamp.genome}, corpus {stamp.corpus}, seed {stamp.seed}."]
    return "\n".join([*lines, "", f"Made by `{stamp.command}`.", ""])


def _longest(step: str, column: str) -> Callable[[Path], str | None]:
    """A share in the longest windows, with its 95 % interval."""

    def find(folder: Path) -> str | None:
        path = folder / step / "lengths.tsv"
        if not path.exists():
            return None
        table = read(path)
        row = table.loc[table["length"].idxmax()]
        if column not in row or math.isnan(row[column]):
            return "none there"
        return f"{row[column]:.1%} ({row[column + '_low']:.1%} to {row[column + '_high']:.1%})"

    return find


def _exclusion(folder: Path) -> str:
    row = read(folder / "exclusion" / "total.tsv").iloc[0]
    return f"{row['left_out_share']:.1%} of {row['windows']:,.0f}"


def _probe(masked: bool, which: str) -> Callable[[Path], str | None]:
    """Accuracy of one kind of features: of a name, or of the gLM layer that validates best ('best')."""

    def find(folder: Path) -> str | None:
        table = read(folder / "probes" / "layers.tsv")
        rows = table[table["masked"] == masked]
        name = best_layer(table, masked=masked) if which == "best" else which
        row = rows[rows["features"] == name].iloc[0]
        shown = f"{row['accuracy']:.1%} ± {row['sd']:.1%}"
        return f"{shown} ({name})" if which == "best" else shown

    return find


def _gain(folder: Path) -> str:
    table = read(folder / "probes" / "layers.tsv")
    seen = table[~table["masked"].astype(bool)].set_index("features")["accuracy"]
    points = 100 * (seen[seen.index.str.startswith("gLM layer")] - seen["encoder"])
    best = best_layer(table, masked=False)
    return f"{points['gLM layer 1']:+.1f} points (best, {best}: {points[best]:+.1f})"


def _class_counts(folder: Path) -> str:
    table = read(folder / "probes" / "classes.tsv", ec=str)
    differ = table[table["differs"].astype(bool)]
    return f"{len(table)}: {len(differ)} differ, {int((differ['after'] > differ['before']).sum())} improve"


def _mean_precision(folder: Path) -> str:
    table = read(folder / "probes" / "averages.tsv")
    return ", ".join(
        f"{row.features}{' masked' if row.masked else ''} {row.map:.3f}" for row in table.itertuples()
    )


def _best_head(folder: Path) -> str:
    table = read(folder / "operons" / "heads.tsv")
    row = table.loc[table["rho"].abs().idxmax()]
    return f"{row['rho']:.2f} (layer {row['layer']:.0f} head {row['head']:.0f}, p {row['p_adjusted']:.1g})"


def _operons(folds: str, method: str) -> Callable[[Path], str | None]:
    def find(folder: Path) -> str | None:
        table = read(folder / "operons" / "methods.tsv")
        row = table[(table["folds"] == folds) & (table["method"] == method)].iloc[0]
        return f"{row['ap']:.3f} ± {row['ap_sd']:.3f}"

    return find


def _chance(folder: Path) -> str:
    row = read(folder / "operons" / "methods.tsv").iloc[0]
    return f"{row['chance']:.2f} of {row['pairs']:,} pairs"


LENGTHS_TSV, LAYERS_TSV, METHODS_TSV = "masked/lengths.tsv", "probes/layers.tsv", "operons/methods.tsv"
PUBLISHED: tuple[Published, ...] = (
    Published("masked genes, pseudo-accuracy", "71.9 %", _longest("masked", "pseudo_accuracy"), LENGTHS_TSV),
    Published(
        "masked genes, absolute accuracy", "59.2 %", _longest("masked", "absolute_accuracy"), LENGTHS_TSV
    ),
    Published("likelihoods above 0.75, share", "53.0 %", _longest("masked", "confident_share"), LENGTHS_TSV),
    Published("of those right", "75.8 %", _longest("masked", "confident_accuracy"), LENGTHS_TSV),
    Published("biLSTM, pseudo-accuracy", "28 %", _longest("lstm", "pseudo_accuracy"), "lstm/lengths.tsv"),
    Published("biLSTM, absolute accuracy", "15 %", _longest("lstm", "absolute_accuracy"), "lstm/lengths.tsv"),
    Published("windows left out of training", "5.1 %", _exclusion, "exclusion/total.tsv"),
    Published("EC number, encoder, accuracy", "47.0 % (51.6 - 4.6)", _probe(False, "encoder"), LAYERS_TSV),
    Published("EC number, first gLM layer", "51.6 ± 0.5 %", _probe(False, "gLM layer 1"), LAYERS_TSV),
    Published("first gLM layer over the encoder", "+4.6 ± 0.5 points", _gain, LAYERS_TSV),
    Published("EC number from context alone", "24.4 ± 0.8 %", _probe(True, "best"), LAYERS_TSV),
    Published("EC classes compared by F1", "73: 36 differ, 27 improve", _class_counts, "probes/classes.tsv"),
    Published("EC number, mean average precision", "", _mean_precision, "probes/averages.tsv"),
    Published(
        "operons, best head's correlation", "0.44 (layer 2 head 7, p < 1e-5)", _best_head, "operons/heads.tsv"
    ),
    Published("operons, pairs that share one", "0.40 of 4,171 pairs", _chance, METHODS_TSV),
    Published(
        "operons, all heads, shuffled folds, AP",
        "0.77",
        _operons(SHUFFLED, "attention of all heads"),
        METHODS_TSV,
    ),
    Published(
        "operons, all heads, folds by region", "", _operons(BY_REGION, "attention of all heads"), METHODS_TSV
    ),
    Published(
        "operons, strand + distance, by region", "", _operons(BY_REGION, "strand + distance"), METHODS_TSV
    ),
    Published("operons, both together, by region", "", _operons(BY_REGION, "both"), METHODS_TSV),
)
