"""The genes of a report: rows of the table as columns that a page can hold, and the counts over all rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from glm_annot.hypothetical import is_hypothetical
from glm_annot.io import qualifiers as q
from glm_annot.io.table import DECIMALS, WHOLE_NUMBERS, Agreement
from glm_annot.records import Contig

MOST_GENES = 100_000  # on one page, about 25 MB; a browser still opens that in seconds
LOW_FIT = 5.0  # percentile of context fit below which a gene is shown as unexpected
KNOWN_PLACE = 0.5  # context confidence from which the neighbours are said to know what stands here
BINS = 20  # of the histograms
SHOWN = 5  # genes in each list of examples

Row = Mapping[str, str]
Value = str | int | float | None
Kind = Literal["new", "agrees", "differs", "missed", "hypothetical", "named"]
# What each value of `ec_agreement` is called on the page.
_KINDS: Mapping[str, Kind] = {
    Agreement.SAME.value: "agrees",
    Agreement.PREFIX.value: "agrees",
    Agreement.NEW.value: "new",
    Agreement.CONFLICT.value: "differs",
    Agreement.MISSED.value: "missed",
}


@dataclass(frozen=True, slots=True)
class Example:
    """One gene that the summary names.

    Attributes:
        place: its number among the genes of the page; None where the page leaves it out.
        label: what people call it.
        product: as annotated.
        number, name: what is predicted: an EC number and its name.
        confidence: of that.
        existing: EC numbers of the file.
    """

    place: int | None
    label: str
    product: str
    number: str
    name: str
    confidence: float
    existing: tuple[str, ...] = ()


@dataclass
class Genes:
    """All genes of a file, filled by `add`.

    Attributes:
        most: how many genes are kept, for the page or for pictures.
        contigs: in order of the file, without their genes and sequences.
        columns: of the table, those that hold anything; each has one value for each gene on the page.
        total: how many genes there are, also those that the page leaves out.
        agreement, skips: how many rows have each value of `ec_agreement` and of `skip`.
        hypothetical: how many genes have no known product.
        hypothetical_ec: how many of these have a predicted EC number.
        hypothetical_known: how many of these stand where the neighbours know what to expect.
        hypothetical_named: how many of these the context gives a name to.
        low_fit, with_fit: how many genes have a context fit below `LOW_FIT`, and any.
        in_operons: how many genes are in operons; `operons`: how many operons there are.
        called: counts of the first calls by confidence, one row of `BINS` for agreeing, new and differing.
        fits: counts of context fit in `BINS`.
        numbers: EC numbers and the names that the table has of them.
        new, differing, named: the surest of those with a new EC number, with another than the file, and of
            the hypothetical proteins that the context names; the surest first.
    """

    most: int = MOST_GENES
    contigs: list[Contig] = field(default_factory=list)
    columns: dict[str, list[Value]] = field(default_factory=dict)
    total: int = 0
    agreement: Counter[str] = field(default_factory=Counter)
    skips: Counter[str] = field(default_factory=Counter)
    hypothetical: int = 0
    hypothetical_ec: int = 0
    hypothetical_known: int = 0
    hypothetical_named: int = 0
    low_fit: int = 0
    with_fit: int = 0
    in_operons: int = 0
    called: dict[str, list[int]] = field(
        default_factory=lambda: {kind: [0] * BINS for kind in ("agrees", "new", "differs")}
    )
    fits: list[int] = field(default_factory=lambda: [0] * BINS)
    numbers: dict[str, str] = field(default_factory=dict)
    new: list[Example] = field(default_factory=list)
    differing: list[Example] = field(default_factory=list)
    named: list[Example] = field(default_factory=list)
    _operons: set[str] = field(default_factory=set)
    _places: dict[str, int] = field(default_factory=dict)

    @property
    def on_page(self) -> int:
        """How many genes the page holds."""
        return len(self.columns.get("start", ()))

    @property
    def operons(self) -> int:
        """How many operons there are."""
        return len(self._operons)

    def value(self, column: str, i: int) -> Value:
        """What a column says of gene `i` of those that are kept; None where there is nothing."""
        values = self.columns.get(column)
        return None if values is None or values[i] == "" else values[i]

    def label(self, i: int) -> str:
        """What people call gene `i`."""
        return label({name: str(self.value(name, i) or "") for name in ("gene", "locus_tag", "id")})

    def kind(self, i: int) -> Kind:
        """How the EC number of gene `i` compares with the file; without any, whether it has a name."""
        without: Kind = "hypothetical" if self.value("hypothetical", i) else "named"
        return _KINDS.get(str(self.value("ec_agreement", i) or ""), without)

    def on_contig(self, place: int) -> list[int]:
        """The kept genes of the contig with this number."""
        return [i for i, contig in enumerate(self.columns.get("contig", ())) if contig == place]

    def add(self, contigs: Iterable[Contig], rows: Iterable[Row]) -> None:
        """Adds contigs and their rows of the table, in order of the file."""
        for contig in contigs:
            self._places[contig.name] = len(self.contigs)
            self.contigs.append(Contig(contig.name, contig.length, contig.circular, ()))
        for row in rows:
            hypothetical = is_hypothetical(row.get("product", ""))
            place = self.on_page if self.total < self.most else None
            if place is not None:
                self._keep(row, hypothetical)
            self._count(row, place, hypothetical)
            self.total += 1

    def _keep(self, row: Row, hypothetical: bool) -> None:
        values: dict[str, Value] = {name: _value(name, text) for name, text in row.items()}
        values["contig"] = self._places[row["contig"]]
        values["hypothetical"] = int(hypothetical)
        before = self.on_page
        for name, value in values.items():
            self.columns.setdefault(name, [None] * before).append(value)

    def _count(self, row: Row, place: int | None, hypothetical: bool) -> None:
        self.agreement[row.get("ec_agreement", "")] += 1
        self.skips[row.get("skip", "")] += 1
        self.hypothetical += hypothetical
        fit, known = _number(row.get("context_fit")), _number(row.get("context_confidence"))
        if fit is not None:
            self.with_fit += 1
            self.low_fit += fit < LOW_FIT
            self.fits[_bin(fit / 100)] += 1
        if (operon := row.get("operon", "")) not in ("", q.NO_OPERON):
            self._operons.add(operon)
            self.in_operons += 1
        self._count_calls(row, place)
        if hypothetical:
            self.hypothetical_ec += bool(row.get("ec_passed"))
            self.hypothetical_known += known is not None and known >= KNOWN_PLACE
            self._count_name(row, place)

    def _count_calls(self, row: Row, place: int | None) -> None:
        passed = q.listed(row.get("ec_passed", ""))
        if not passed:
            return
        self.numbers.update(_named(passed, row.get("ec_name", "")))
        confidence = float(row["ec_passed_confidence"].split(",")[0])
        said = _KINDS.get(row.get("ec_agreement", ""), "new")
        kind = said if said in self.called else "new"
        self.called[kind][_bin(confidence)] += 1
        if kind != "agrees":
            example = Example(
                place,
                label(row),
                row.get("product", ""),
                passed[0],
                self.numbers.get(passed[0], ""),
                confidence,
                tuple(q.listed(row.get("ec_existing", ""))),
            )
            _keep_best(self.new if kind == "new" else self.differing, example)

    def _count_name(self, row: Row, place: int | None) -> None:
        """Counts what the context calls a hypothetical protein, where the table says so."""
        name = row.get("context_name", "")
        if not name:
            return
        self.hypothetical_named += 1
        confidence = _number(row.get("context_name_confidence")) or 0.0
        known = Example(
            place, label(row), row.get("product", ""), row.get("context_ec", ""), name, confidence
        )
        _keep_best(self.named, known)


def label(row: Row) -> str:
    """What people call a gene: its symbol, else its locus tag, else its ID."""
    return row.get("gene") or row.get("locus_tag") or row.get("id", "")


def _keep_best(examples: list[Example], example: Example) -> None:
    """Adds an example to those with the highest confidence; equal ones stay in order of the file."""
    examples.append(example)
    examples.sort(key=lambda each: -each.confidence)
    del examples[SHOWN:]


def _named(numbers: Sequence[str], names: str) -> Iterator[tuple[str, str]]:
    """(number, name) of those that have one. A few names hold '; ': then only one number can have it."""
    parts = [names] if len(numbers) == 1 else names.split("; ")
    if len(parts) == len(numbers):
        yield from ((number, name) for number, name in zip(numbers, parts, strict=True) if name)


def _value(name: str, text: str) -> Value:
    if name in WHOLE_NUMBERS:
        return int(text) if text else None
    return _number(text) if name in DECIMALS else text


def _number(text: str | None) -> float | None:
    return float(text) if text else None


def _bin(share: float) -> int:
    return min(int(share * BINS), BINS - 1)
