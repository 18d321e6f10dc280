"""Three sets of genomes: those that train, those that calibrate, and those that are only measured on.

They are drawn once and listed in a file (`glm-train sets`), so that every part of a model keeps to the same
ones. What calibrates or tests trains nothing, and neither do its near relatives (the ring `genus`):

    {"seed": 0,
     "test": {"11": "Methanosarcina mazei WWM610 (Methanosarcinales, Methanobacteriota)", ...},
     "calibrate": {...},                          the same
     "relatives": {"15": "shares 0.91 with ..."}, of a test or calibrating genome, or of a held-out one
     "left_out": {"452": "yeast"}}                for other reasons
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glm_annot.errors import InputError

from ..common.inputs import read_json
from .rings import RINGS, left_out
from .tables import Tables, gene_columns

MOST_PER_ORDER = 2  # genomes of one order in a set
_MIN_GENES = 500  # on contigs long enough for a window
ARCHAEA = "Archaea"


@dataclass(frozen=True)
class Sets:
    """Genome numbers, each with a description or a reason. All other genomes train."""

    seed: int = 0
    test: Mapping[int, str] = field(default_factory=dict)
    calibrate: Mapping[int, str] = field(default_factory=dict)
    relatives: Mapping[int, str] = field(default_factory=dict)
    left_out: Mapping[int, str] = field(default_factory=dict)

    @property
    def splits(self) -> dict[int, str]:
        """The split of each listed genome in a corpus: what calibrates is its 'valid'."""
        lists = {"relative": self.relatives, "valid": self.calibrate, "test": self.test}
        return {genome: split for split, genomes in lists.items() for genome in genomes}

    @cached_property
    def untrained(self) -> dict[int, str]:
        """Every genome that trains nothing, and why."""
        test = dict.fromkeys(self.test, "one to test on")
        return {
            **{genome: f"relative of one to measure on: {why}" for genome, why in self.relatives.items()},
            **self.left_out,
            **dict.fromkeys(self.calibrate, "one to calibrate with"),
            **test,
        }


@dataclass(frozen=True)
class Lineage:
    """The lineage of a genus, with LPSN's names."""

    order: str
    phylum: str
    domain: str


@dataclass(frozen=True)
class Place:
    """One genome that may be drawn: its row among all genomes, and its lineage."""

    row: int
    lineage: Lineage


def read(path: Path) -> Sets:
    """Read a file of sets.

    Raises:
        InputError: it is not there or holds something else, or a genome is in two of them.
    """
    try:
        content = read_json(path)
        lists = {
            name: {int(genome): str(why) for genome, why in content[name].items()}
            for name in ("test", "calibrate", "relatives", "left_out")
        }
        found = Sets(int(content["seed"]), **lists)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError("is no file of sets; `glm-train sets` makes one", path) from error
    twice = [
        genome for genome, count in Counter(g for some in lists.values() for g in some).items() if count > 1
    ]
    if twice:
        raise InputError(f"names genome {twice[0]} twice", path)
    return found


def write(sets: Sets, path: Path) -> None:
    """Write a file of sets."""
    path.write_text(json.dumps(asdict(sets), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def lineages() -> dict[str, Lineage]:
    """The lineage of each genus that this project has met."""
    text = files(__package__).joinpath("lineages.tsv").read_text(encoding="utf-8")
    return {
        genus: Lineage(row["order"], row["phylum"], row["domain"])
        for row in csv.DictReader(text.splitlines(), delimiter="\t")
        for genus in row["genera"].split()
    }


def choose(
    source: Tables,
    shares_NN: npt.NDArray[np.float64],
    *,
    seed: int,
    test: int = 30,
    calibrate: int = 20,
    archaea: tuple[int, int] = (3, 2),
    beside: Mapping[str, Lineage] | None = None,
    only_train: Collection[int] = (),
    excluded: Mapping[int, str] | None = None,
) -> Sets:
    """Draw the sets: order by order, so that the many genomes of well-known orders do not fill them.

    Args:
        source: the genomes.
        shares_NN: of families, as `rings.shares` gives them: of the genomes in the order of `source`, then of
            those `beside`.
        seed: of the drawing.
        test, calibrate: how many genomes to draw for each.
        archaea: how many of these have to be archaea.
        beside: genomes outside of `source` that are tested on, too: their names and lineages.
        only_train: genomes that are not to be drawn.
        excluded: genomes that are neither drawn nor train, and why.

    Raises:
        InputError: there are too few genomes of known lineage.
    """
    excluded, beside = excluded or {}, beside or {}
    genomes: list[int] = source.genomes["genome"].to_pylist()
    outside = range(len(genomes), len(genomes) + len(beside))
    draw = _Draw(np.random.default_rng(seed), shares_NN)
    barred = {genomes.index(genome) for genome in {*only_train, *excluded}}
    places = [place for place in _places(source) if place.row not in barred]
    taken = Counter(lineage.order for lineage in beside.values())
    tested = draw.take(places, test, archaea[0], taken, away_from=outside)
    calibrating = draw.take(places, calibrate, archaea[1], Counter(), away_from=[*outside, *tested])
    organisms = source.genomes["organism"].to_pylist()
    names = {
        **{row: organisms[row] for row in range(len(genomes))},
        **dict(zip(outside, beside, strict=True)),
    }
    lineage = {place.row: place.lineage for place in places}

    def listed(rows: Iterable[int]) -> dict[int, str]:
        return {
            genomes[row]: f"{names[row]} ({lineage[row].order}, {lineage[row].phylum})"
            for row in sorted(rows)
        }

    relatives = _relatives(shares_NN, [*outside, *tested, *calibrating], len(genomes))
    return Sets(
        seed,
        listed(tested),
        listed(calibrating),
        {
            genomes[row]: f"shares {shares_NN[row, of]:.2f} with {names[of]}"
            for row, of in relatives.items()
            if genomes[row] not in excluded
        },
        excluded,
    )


@dataclass(frozen=True)
class _Draw:
    rng: np.random.Generator
    shares_NN: npt.NDArray[np.float64]

    def take(
        self,
        places: Sequence[Place],
        count: int,
        archaea: int,
        taken: Counter[str],
        away_from: Collection[int],
    ) -> list[int]:
        """Rows of `count` genomes, archaea first; none is a near relative of another or of `away_from`."""
        taken, rows = Counter(taken), list(away_from)
        for domain, until in ((ARCHAEA, archaea), (None, count)):
            while len(rows) - len(away_from) < until:
                free = [
                    place
                    for place in places
                    if domain in (None, place.lineage.domain)
                    and taken[place.lineage.order] < MOST_PER_ORDER
                    and not (self.shares_NN[place.row, rows] >= RINGS["genus"]).any()
                    and place.row not in rows
                ]
                if not free:
                    raise InputError(f"there are too few genomes of known lineage to draw {count}")
                orders = sorted({place.lineage.order for place in free})
                order = orders[self.rng.integers(len(orders))]
                of_order = [place for place in free if place.lineage.order == order]
                rows.append(of_order[self.rng.integers(len(of_order))].row)
                taken[order] += 1
        return rows[len(away_from) :]


def _places(source: Tables) -> list[Place]:
    """The genomes of known lineage that are whole enough to be measured on."""
    known, (row_G, long_G) = lineages(), gene_columns(source)
    genes = np.bincount(row_G, weights=long_G, minlength=source.genomes.num_rows)
    return [
        Place(row, known[genus])
        for row, genus in enumerate(source.genomes["genus"].to_pylist())
        if genus in known and genes[row] >= _MIN_GENES
    ]


def _relatives(shares_NN: npt.NDArray[np.float64], measured: Sequence[int], n: int) -> dict[int, int]:
    """Rows of genomes in the genus ring of those measured on, and of which one of these each is nearest."""
    near_N = np.any([left_out(shares_NN, row, "genus") for row in measured], axis=0)
    near_N[list(measured)] = False
    return {
        int(row): measured[int(shares_NN[row, list(measured)].argmax())] for row in np.flatnonzero(near_N[:n])
    }
