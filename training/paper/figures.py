"""The suite's figures, each drawn from its tables alone."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import FancyArrow, Patch

from ..glm.losses import HIGH_CONFIDENCE
from .attention import BY_REGION, SHUFFLED
from .inputs import read

# Okabe and Ito's colours, which colour-blind readers can tell apart; grey for what is unknown.
BLUE, ORANGE, GREEN, RED, SKY, PINK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#56B4E9",
    "#CC79A7",
)
GREY, PALE = "#777777", "#D9D9D9"
EC_NAMES = {
    "1": ("oxidoreductases", BLUE),
    "2": ("transferases", ORANGE),
    "3": ("hydrolases", GREEN),
    "4": ("lyases", RED),
    "5": ("isomerases", SKY),
    "6": ("ligases", PINK),
    "7": ("translocases", "#000000"),
}
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "legend.fontsize": 8,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "glm-annot",  # equal figures are equal files
}
DPI = 150
FOOTER = 0.14  # inches that its first line needs
FOOTER_LETTERS = 22  # an inch of its size holds


@dataclass(frozen=True)
class Drawing:
    """One figure.

    Attributes:
        name: of its files.
        title: of its section on the page.
        number: of the paper's figure, '' without one.
        text: what is seen, for people.
        tables: where its numbers stand, relative to the suite's folder.
        draw: makes it of the suite's folder; None if a table it needs is not there.
        data: 'genome' or 'corpus': what its numbers come from.
    """

    name: str
    title: str
    number: str
    text: str
    tables: tuple[str, ...]
    draw: Callable[[Path], tuple[Figure, str] | None]
    data: str


def save(figure: Figure, footer: str, folder: Path, name: str) -> None:
    """Write a figure as PNG and SVG, with what it was made from below it."""
    width, height = figure.get_size_inches()
    lines = textwrap.fill(footer, int(FOOTER_LETTERS * width))
    figure.text(0.005, FOOTER / height, lines, fontsize=6, color=GREY, va="top")
    figure.savefig(folder / f"{name}.png", dpi=DPI, bbox_inches="tight")  # with the footer's second line
    figure.savefig(folder / f"{name}.svg", dpi=DPI, bbox_inches="tight", metadata={"Date": None})


def _figure(width: float, height: float) -> Figure:
    """An empty figure, inches; room for the footer stays free."""
    below = FOOTER / height
    return Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(rect=(0, below, 1, 1 - below)))


def _masked(folder: Path) -> tuple[Figure, str]:
    """Accuracy by window length, and reliability; the baseline beside it where there is one."""
    figure = _figure(9, 3.6)
    left, right = figure.subplots(1, 2)
    counts = []
    runs = [("gLM", folder / "masked", "-"), ("biLSTM", folder / "lstm", "--")]
    for name, tables, line in runs:
        if not (tables / "lengths.tsv").exists():
            continue
        lengths = read(tables / "lengths.tsv")
        for column, colour, word in (
            ("pseudo_accuracy", BLUE, "pseudo"),
            ("absolute_accuracy", ORANGE, "absolute"),
        ):
            left.plot(lengths["length"], lengths[column], line, color=colour, marker="o", ms=3)
            left.fill_between(
                lengths["length"],
                lengths[f"{column}_low"],
                lengths[f"{column}_high"],
                color=colour,
                alpha=0.15,
                lw=0,
            )
            left.plot([], [], line, color=colour, label=f"{name}, {word}")
        bins = read(tables / "reliability.tsv")
        low, high = bins["right"] - bins["right_low"], bins["right_high"] - bins["right"]
        colour = BLUE if name == "gLM" else GREY
        right.errorbar(
            bins["likelihood"],
            bins["right"],
            [low.clip(lower=0), high.clip(lower=0)],
            fmt=f"o{line}",
            ms=3,
            color=colour,
            lw=1,
            label=name,
        )
        if name == "gLM":
            left.plot(lengths["length"], lengths["chance"], ":", color=GREY, label="chance")
            share = bins["genes"] / bins["genes"].sum()
            right.bar(bins["low"], share, bins["high"] - bins["low"], align="edge", color=PALE, zorder=0)
            counts = lengths["masked_genes"].tolist()
    left.set(
        xlabel="genes per window", ylabel="accuracy", ylim=(0, None), title="Masked genes by window length"
    )
    left.legend()
    right.plot([0, 1], [0, 1], ":", color=GREY)
    right.axvline(HIGH_CONFIDENCE, color=GREY, lw=0.7)
    right.set(
        xlabel="likelihood of the favoured prediction",
        ylabel="share right (bars: share of genes)",
        xlim=(0, 1),
        ylim=(0, 1),
        title="Reliability",
    )
    right.legend(loc="upper left")
    return figure, f"{min(counts):,} to {max(counts):,} masked genes a point"


def _exclusion(folder: Path) -> tuple[Figure, str]:
    shares, total = read(folder / "exclusion/shares.tsv"), read(folder / "exclusion/total.tsv").iloc[0]
    figure = _figure(6, 3.2)
    axes = figure.subplots()
    colours = [RED if low >= 0.5 else BLUE for low in shares["low"]]
    widths = shares["high"] - shares["low"]
    axes.bar(shares["low"], shares["windows"], widths, align="edge", color=colours, edgecolor="white", lw=0.5)
    axes.set_yscale("symlog", linthresh=1)
    axes.axvline(0.5, color=GREY, ls=":")
    left_out = f"{total['left_out']:,.0f} of {total['windows']:,.0f} windows ({total['left_out_share']:.1%})"
    axes.set(
        xlabel="share of a window's proteins over 70 % identical to a held-out one",
        ylabel="windows",
        xlim=(0, 1),
        title=f"Exclusion protocol: {left_out} left out",
    )
    return figure, f"{total['windows']:,.0f} windows of {total['genomes']:,.0f} genomes"


def _layers(folder: Path) -> tuple[Figure, str]:
    table = read(folder / "probes/layers.tsv")
    counts = read(folder / "probes/counts.tsv").iloc[0]
    names = list(dict.fromkeys(table["features"].iloc[1:]))
    figure = _figure(max(6.0, 0.42 * len(names) + 2.5), 3.8)
    axes = figure.subplots()
    for masked, colour, label in (
        (False, BLUE, "protein seen"),
        (True, ORANGE, "protein masked: context alone"),
    ):
        rows = table.iloc[1:][table.iloc[1:]["masked"] == masked]
        at = [names.index(name) for name in rows["features"]]
        glm = [place > 0 for place in at]
        axes.errorbar(
            np.array(at)[glm],
            rows["accuracy"][glm],
            rows["sd"][glm],
            fmt="o-",
            ms=4,
            capsize=2,
            color=colour,
            label=label,
        )
        if not masked:
            alone = rows.iloc[0]
            axes.errorbar(
                [0],
                [alone["accuracy"]],
                [alone["sd"]],
                fmt="s",
                ms=5,
                capsize=2,
                color=GREEN,
                label="encoder alone",
            )
            axes.axhline(alone["accuracy"], color=GREEN, lw=0.7, ls=":")
    axes.axhline(table["accuracy"].iloc[0], color=GREY, lw=0.7, ls=":", label="most frequent class")
    axes.set_xticks(range(len(names)), [name.replace("gLM ", "").replace(" ", "\n") for name in names])
    axes.set(ylabel="accuracy, mean ± s.d. of 5 probes", ylim=(0, None), title="EC number by a linear probe")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return (
        figure,
        f"{counts['train']:,} training and {counts['test']:,} test proteins of {counts['classes']} classes",
    )


def _classes(folder: Path) -> tuple[Figure, str] | None:
    table = read(folder / "probes/classes.tsv", ec=str)
    if not len(table):
        return None
    after = str(read(folder / "probes/counts.tsv")["compared_with_encoder"].iloc[0])
    table = table.sort_values("after", ignore_index=True)
    table = table.assign(change=table["after"] - table["before"])
    figure = _figure(6.4, max(3.0, 0.17 * len(table) + 1.3))
    axes = figure.subplots()
    better, worse = "higher (adjusted p < 0.05)", "lower"
    for row in table.itertuples():
        colour = PALE if not row.differs else BLUE if row.change > 0 else RED
        axes.plot([row.before, row.after], [row.Index] * 2, color=colour, lw=2, zorder=1)
    axes.scatter(table["before"], table.index, s=18, facecolor="white", edgecolor=GREY, zorder=2)
    fills = [GREY if not row.differs else BLUE if row.change > 0 else RED for row in table.itertuples()]
    axes.scatter(table["after"], table.index, s=18, color=fills, zorder=3)
    axes.set_yticks(table.index, [f"{row.ec} ({row.test})" for row in table.itertuples()], fontsize=6.5)
    axes.set(xlim=(-0.02, 1.02), ylim=(-1, len(table)), xlabel="F1", title="F1 by EC number (test proteins)")
    up, down = (
        int((table["differs"] & (table["change"] > 0)).sum()),
        int((table["differs"] & (table["change"] < 0)).sum()),
    )
    handles = [
        axes.scatter([], [], s=18, facecolor="white", edgecolor=GREY, label="encoder"),
        axes.scatter([], [], s=18, color=BLUE, label=f"{after}, {better}: {up}"),
        axes.scatter([], [], s=18, color=RED, label=f"{after}, {worse}: {down}"),
        axes.scatter([], [], s=18, color=GREY, label=f"{after}, no difference: {len(table) - up - down}"),
    ]
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.9 / (0.17 * len(table) + 1.3)), ncols=2
    )
    return figure, f"{len(table)} classes with more than ten test proteins, 5 probes each"


def _probe_curves(folder: Path) -> tuple[Figure, str]:
    lines, averages = read(folder / "probes/curves.tsv"), read(folder / "probes/averages.tsv")
    figure = _figure(4.6, 3.8)
    axes = figure.subplots()
    colours = (GREEN, BLUE, ORANGE)
    for row, colour in zip(averages.itertuples(), colours, strict=True):
        curve = lines[(lines["features"] == row.features) & (lines["masked"] == row.masked)]
        name = f"{row.features}, masked" if row.masked else row.features
        axes.plot(
            curve["recall"],
            curve["precision"],
            color=colour,
            label=f"{name}: mAP {row.map:.3f} ± {row.map_sd:.3f}",
        )
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title="EC number, all answers")
    axes.legend(loc="upper right")
    counts = read(folder / "probes/counts.tsv").iloc[0]
    return figure, f"{counts['test']:,} test proteins of {counts['classes']} classes"


def _heads(folder: Path) -> tuple[Figure, str]:
    table = read(folder / "operons/heads.tsv")
    grid = table.pivot(index="layer", columns="head", values="rho")
    sure = table.pivot(index="layer", columns="head", values="significant")
    layers, heads = grid.shape
    figure = _figure(max(5.5, 1.6 + 0.62 * heads), 1.3 + 0.36 * layers)
    axes = figure.subplots()
    limit = max(0.05, float(np.nanmax(np.abs(grid.to_numpy()))))
    image = axes.imshow(grid, cmap="RdBu_r", norm=TwoSlopeNorm(0, -limit, limit), aspect="auto")
    for y in range(layers):
        for x in range(heads):
            value = grid.iloc[y, x]
            star = "*" if sure.iloc[y, x] else ""
            colour = "white" if abs(value) > 0.6 * limit else "black"
            axes.text(x, y, f"{value:.2f}{star}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_xticks(range(heads), grid.columns.tolist())
    axes.set_yticks(range(layers), grid.index.tolist())
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set(xlabel="head", ylabel="layer", title="Attention and operons")
    bar = figure.colorbar(image, ax=axes, label="Pearson correlation")
    bar.outline.set_visible(False)
    pairs = int(read(folder / "operons/methods.tsv")["pairs"].iloc[0])
    return figure, f"{pairs:,} adjacent pairs; *: p < 0.05 after Bonferroni over {len(table)} heads"


def _examples(folder: Path) -> tuple[Figure, str] | None:
    path = folder / "operons/examples.tsv"
    table = read(path, name=str, gene=str) if path.stat().st_size > 1 else pd.DataFrame()
    if not len(table):
        return None
    windows = [rows.reset_index(drop=True) for _, rows in table.groupby("window")]
    figure = _figure(9.5, 2.15 * len(windows) + 0.5)
    axes = np.atleast_1d(figure.subplots(len(windows), 1))
    for window, panel in zip(windows, axes, strict=True):
        _example(panel, window, table["attention"].min(), table["attention"].max())
    words = "Links between neighbours; darker: one operon, more attention, higher probability"
    figure.suptitle(words, x=0.005, ha="left", fontsize=9)
    genes = len(windows[0])
    return figure, f"{len(windows)} windows of {genes} genes, drawn from those with two long operons inside"


def _example(axes: Axes, window: pd.DataFrame, least: float, most: float) -> None:
    """Genes as arrows, named, and three rows of the links between neighbours."""
    for place, gene in window.iterrows():
        x, forward = float(place), gene["strand"] > 0
        start, length = (x - 0.4, 0.8) if forward else (x + 0.4, -0.8)
        axes.add_patch(
            FancyArrow(
                start,
                3.6,
                length,
                0,
                width=0.45,
                head_width=0.45,
                head_length=0.22,
                length_includes_head=True,
                color=PALE if forward else SKY,
                lw=0,
            )
        )
        axes.text(x, 4.05, gene["name"], ha="center", va="bottom", fontsize=7, style="italic")
    links = window.iloc[:-1]
    scaled = (links["attention"] - least) / max(most - least, 1e-9)
    for y, values, colour in (
        (2, links["label"], BLUE),
        (1, scaled, ORANGE),
        (0, links["probability"], GREEN),
    ):
        for place, value in enumerate(values):
            axes.barh(
                y + 0.5,
                0.92,
                left=place + 0.04,
                height=0.82,
                color=colour,
                alpha=0.08 + 0.92 * float(value),
                lw=0,
            )
    for place, row in enumerate(links.itertuples()):
        axes.text(place + 0.5, 1.5, f"{row.attention:.3f}".lstrip("0"), ha="center", va="center", fontsize=6)
        axes.text(
            place + 0.5, 0.5, f"{row.probability:.2f}".lstrip("0"), ha="center", va="center", fontsize=6
        )
    axes.set(xlim=(-0.6, len(window) - 0.4), ylim=(0, 4.6))
    axes.set_yticks([0.5, 1.5, 2.5], ["all heads, predicted", "best head, attention", "known operon"])
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    first, last = window.iloc[0], window.iloc[-1]
    axes.set_title(f"{first['contig']}: {first['start']:,} to {last['end']:,}", fontsize=8)


def _operon_curves(folder: Path) -> tuple[Figure, str]:
    curves, methods = read(folder / "operons/curves.tsv"), read(folder / "operons/methods.tsv")
    figure = _figure(9, 3.8)
    panels = figure.subplots(1, 2, sharey=True)
    colours = dict(zip(dict.fromkeys(methods["method"]), (BLUE, GREEN, RED, ORANGE), strict=False))
    for axes, folds in zip(panels, (SHUFFLED, BY_REGION), strict=True):
        for row in methods[methods["folds"] == folds].itertuples():
            curve = curves[(curves["folds"] == folds) & (curves["method"] == row.method)]
            label = f"{row.method}: AP {row.ap:.3f} ± {row.ap_sd:.3f}"
            line = "--" if row.method == "both" else "-"
            axes.plot(curve["recall"], curve["precision"], line, color=colours[row.method], label=label)
        axes.axhline(methods["chance"].iloc[0], color=GREY, ls=":", lw=0.7, label="chance")
        word = "shuffled folds, as in the paper" if folds == SHUFFLED else "folds by region of the genome"
        axes.set(xlabel="recall", xlim=(0, 1), ylim=(0, 1.02), title=f"Operons, {word}")
        axes.legend(loc="lower left")
    panels[0].set_ylabel("precision")
    return figure, f"{methods['pairs'].iloc[0]:,} adjacent pairs, five folds"


def _map(folder: Path) -> tuple[Figure, str]:
    table = read(folder / "maps/map.tsv", ec_class=str, name=str)
    names = list(dict.fromkeys(table["features"]))
    figure = _figure(3.2 * len(names) + 1.2, 6)
    axes = figure.subplots(2, len(names), squeeze=False)
    for column, name in enumerate(names):
        rows = table[table["features"] == name]
        enzymes = rows["ec_class"].isin(list(EC_NAMES))
        above, below = axes[0, column], axes[1, column]
        above.scatter(rows["x"][~enzymes], rows["y"][~enzymes], s=2, color=PALE, lw=0, rasterized=True)
        colours = [EC_NAMES[number][1] for number in rows["ec_class"][enzymes]]
        above.scatter(rows["x"][enzymes], rows["y"][enzymes], s=5, c=colours, lw=0, rasterized=True)
        mega = rows["position"] / 1e6
        points = below.scatter(rows["x"], rows["y"], s=3, c=mega, cmap="hsv", lw=0, rasterized=True)
        above.set_title(name)
        for panel in (above, below):
            panel.set(xticks=[], yticks=[], xlabel="PC 1")
    axes[0, 0].set_ylabel("PC 2, by EC class")
    axes[1, 0].set_ylabel("PC 2, by genome position")
    handles = [Patch(color=colour, label=f"{n} {word}") for n, (word, colour) in EC_NAMES.items()]
    handles.append(Patch(color=PALE, label="no EC number"))
    axes[0, -1].legend(handles=handles, loc="center left", bbox_to_anchor=(1.0, 0.5))
    inset = axes[1, -1].inset_axes((1.06, 0.1, 0.04, 0.8))
    figure.colorbar(points, cax=inset, label="position, Mb")
    return figure, f"{len(table) // max(len(names), 1):,} genes"


def _contexts(folder: Path) -> tuple[Figure, str] | None:
    if not (folder / "maps/contexts.tsv").exists():
        return None
    summary, family = read(folder / "maps/contexts.tsv"), read(folder / "maps/family.tsv", ec=str)
    names = list(dict.fromkeys(family["features"]))
    figure = _figure(3.4 + 2.9 * len(names), 3.5)
    panels = figure.subplots(1, 1 + len(names), width_ratios=[1.25, *[1] * len(names)])
    error = summary["rho_sd"] / np.sqrt(summary["families"])
    at = np.arange(len(summary))
    panels[0].errorbar(at, summary["rho"], error, fmt="o-", ms=4, capsize=2, color=BLUE)
    panels[0].axhline(summary["rho"].iloc[0], color=GREEN, lw=0.7, ls=":")
    panels[0].set_xticks(
        at,
        [name.replace("gLM ", "") for name in summary["features"]],
        rotation=40,
        ha="right",
    )
    panels[0].set(
        ylabel="Spearman correlation, mean ± s.e.", title="Distance within families follows context"
    )
    for axes, name in zip(panels[1:], names, strict=True):
        rows = family[family["features"] == name]
        points = axes.scatter(rows["x"], rows["y"], c=rows["surroundings"], cmap="viridis", s=22, lw=0)
        axes.set(xticks=[], yticks=[], xlabel="PC 1", ylabel="PC 2", title=name)
    figure.colorbar(points, ax=panels[-1], label="surroundings, PC 1")
    members = len(family) // len(names)
    families = int(summary["families"].max())
    return figure, f"{families} families; shown: EC {family['ec'].iloc[0]}, {members} members"


DRAWINGS: tuple[Drawing, ...] = (
    Drawing(
        "masked",
        "1. Masked genes of a held-out genome",
        "1",
        "Each gene is masked about once, 15 % of a window at a time. Pseudo-accuracy chooses among the four "
        "predictions knowing the truth, absolute accuracy takes the most likely one. Shades and bars: 95 % "
        "intervals (Wilson).",
        ("masked/lengths.tsv", "masked/reliability.tsv", "lstm/lengths.tsv", "lstm/reliability.tsv"),
        _masked,
        "genome",
    ),
    Drawing(
        "exclusion",
        "2. Exclusion protocol",
        "",
        "Windows in which more than half of the proteins are over 70 % identical to a protein of the "
        "held-out genome (red) do not train.",
        ("exclusion/total.tsv", "exclusion/genomes.tsv", "exclusion/shares.tsv"),
        _exclusion,
        "corpus",
    ),
    Drawing(
        "layers",
        "4. Linear probes: EC number, layer by layer",
        "2A",
        "One softmax layer on the embedding and on each gLM layer. 'Masked': the queried protein is "
        "hidden, so that only its neighbours speak. The standard deviation is over five starts of the probe "
        "on one split, as in the paper; it says nothing of another split.",
        ("probes/layers.tsv", "probes/repeats.tsv", "probes/counts.tsv"),
        _layers,
        "corpus",
    ),
    Drawing(
        "classes",
        "4. Linear probes: F1 by EC number",
        "2B",
        "Encoder against the gLM layer with the highest accuracy; Welch's t-test over the five probes, "
        "Benjamini-Hochberg at 0.05.",
        ("probes/classes.tsv",),
        _classes,
        "corpus",
    ),
    Drawing(
        "curves",
        "4. Linear probes: precision and recall",
        "2C",
        "Over all (protein, EC number) answers; mAP is the mean average precision over classes.",
        ("probes/curves.tsv", "probes/averages.tsv"),
        _probe_curves,
        "corpus",
    ),
    Drawing(
        "heads",
        "5. Attention and operons: every head",
        "3A",
        "Correlation of A + A transposed between neighbours with whether they share an operon.",
        ("operons/heads.tsv",),
        _heads,
        "genome",
    ),
    Drawing(
        "examples",
        "5. Attention and operons: three stretches of the genome",
        "3B",
        "What is known, the attention of the best head as it is, and the prediction from all heads by a "
        "regression that was fitted to other regions. Reverse genes are blue.",
        ("operons/examples.tsv",),
        _examples,
        "genome",
    ),
    Drawing(
        "operons",
        "5. Attention and operons: all heads together",
        "3C",
        "Logistic regression, five folds. Strand and distance between the genes alone are the bar that "
        "attention has to pass. AP: mean and standard deviation over the folds; curves: all folds at once.",
        ("operons/methods.tsv", "operons/curves.tsv"),
        _operon_curves,
        "genome",
    ),
    Drawing(
        "map",
        "6. Maps of embeddings",
        "",
        "The first two principal components of the encoder's embedding and of gLM layers. How much "
        "neighbours in the full space agree stands below.",
        ("maps/map.tsv", "maps/neighbours.tsv"),
        _map,
        "genome",
    ),
    Drawing(
        "contexts",
        "6. One gene family in different contexts",
        "",
        "Left: how far distances between the members of a family follow the distances between what surrounds "
        "them; the encoder, which does not see the surroundings, shows what relatedness alone gives. Right: "
        "the largest family.",
        ("maps/contexts.tsv", "maps/families.tsv", "maps/family.tsv"),
        _contexts,
        "corpus",
    ),
)


def draw_all(folder: Path, out: Path, footer: Callable[[Drawing, str], str]) -> Sequence[Drawing]:
    """Draw every figure whose tables are there.

    Args:
        folder: the suite's.
        out: where figures go; made if need be.
        footer: from a drawing and its n the line below it.

    Returns:
        what was drawn.
    """
    out.mkdir(parents=True, exist_ok=True)
    drawn = []
    with mpl.rc_context(STYLE):
        for drawing in DRAWINGS:
            made = drawing.draw(folder)
            if made is not None:
                save(made[0], footer(drawing, made[1]), out, drawing.name)
                drawn.append(drawing)
    return drawn
