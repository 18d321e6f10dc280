"""The line of numbers that ends a run, and its counterpart for a dry run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from glm_annot.cli.console import counted
from glm_annot.hypothetical import is_hypothetical
from glm_annot.io.table import Agreement, agreement
from glm_annot.overview import Overview
from glm_annot.records import Genome, Predictions, Skip

MANY = 10  # genera in which a gene beside named ones is a finding
_SKIPPED = {  # one, and several
    Skip.PSEUDOGENE: ("pseudogene", "pseudogenes"),
    Skip.NO_SEQUENCE: ("without a sequence", "without a sequence"),
    Skip.TOO_SHORT: ("too short", "too short"),
    Skip.NO_STRAND: ("without a strand", "without a strand"),
    Skip.DUPLICATE: ("duplicate", "duplicates"),
    Skip.OUTSIDE: ("beyond its contig", "beyond their contigs"),
    Skip.NAMED: ("with a known product", "with known products"),
    Skip.MALFORMED: ("malformed", "malformed"),
}


class Summary:
    """One line: genes, skipped ones by reason, genes with EC numbers against those of the file, operons."""

    def __init__(self, name: str, overview: Overview) -> None:
        self._name, self._overview = name, overview
        self._skips = overview.skips.copy()
        self._asked_for_ec = False
        self._ec = Counter[Agreement]()  # a called class (2.7.1.-) agrees with a number in it
        self._operons: int | None = None
        self._names: Counter[str] | None = None  # of hypothetical proteins

    def watched(
        self, predicted: Iterable[tuple[Genome, Predictions]]
    ) -> Iterator[tuple[Genome, Predictions]]:
        """Yields the same sections and predictions, and counts them meanwhile."""
        for section, predictions in predicted:
            self._add(section, predictions)
            yield section, predictions

    def _add(self, section: Genome, predictions: Predictions) -> None:
        self._asked_for_ec |= any(gene.enzyme is not None for gene in predictions.genes.values())
        calls = {index: [call.number for call in gene.ec] for index, gene in predictions.genes.items()}
        coding = sum(gene.skip is None for gene in section.genes)
        self._skips += Counter({Skip.NAMED: coding - len(predictions.genes)})
        predicted = (
            gene for gene in section.genes if gene.index in calls
        )  # skipped genes are in neither count, as in the table
        self._ec.update(agreement(gene.ec, calls[gene.index]) for gene in predicted)
        self._add_names(section, predictions)
        if predictions.operons is not None:
            self._operons = (self._operons or 0) + len(predictions.operons)

    def _add_names(self, section: Genome, predictions: Predictions) -> None:
        hypothetical = (gene.index for gene in section.genes if is_hypothetical(gene.product))
        predicted = (predictions.genes[index] for index in hypothetical if index in predictions.genes)
        said = [gene.context for gene in predicted if gene.context is not None]
        if said or self._names is not None:
            self._names = self._names or Counter()
            self._names["all"] += len(said)
            self._names["named"] += sum(bool(context.name) for context in said)
            self._names["beside"] += sum(
                not context.name and any(genera >= MANY for _, genera, _ in context.beside)
                for context in said
            )

    def counts(self) -> dict[str, int | dict[str, int] | None]:
        """The same numbers by name; None for operons that were not asked for.

        There is no 'ec' likewise, and no 'hypothetical' of a model whose families have no names.
        """
        ec = {kind.value: self._ec[kind] for kind in Agreement if kind.value} if self._asked_for_ec else {}
        return {
            "genes": self._overview.genes,
            "skipped": {reason.value: count for reason, count in self._skips.most_common()},
            **({"ec": ec} if ec else {}),
            **({} if self._names is None else {"hypothetical": dict(self._names)}),
            "operons": self._operons,
        }

    def __str__(self) -> str:
        parts = [_genes(self._overview.genes, self._skips)]
        if self._asked_for_ec:
            agreeing = self._ec[Agreement.SAME] + self._ec[Agreement.PREFIX]
            new, differing, missed = (
                self._ec[kind] for kind in (Agreement.NEW, Agreement.CONFLICT, Agreement.MISSED)
            )
            parts.append(
                f"new EC numbers for {counted(new, 'gene')}, {agreeing} {_verb(agreeing, 'agree')} with the "
                f"file, {differing} {_verb(differing, 'differ')}, {missed} in the file only"
            )
        if self._names is not None:
            named, beside = self._names["named"], self._names["beside"]
            of = counted(self._names["all"], "hypothetical protein")
            parts.append(
                f"of {of} with neighbours {named} {_verb(named, 'get')} a name from sequence and neighbours "
                f"together, {beside} {_verb(beside, 'stand')} beside named genes in {MANY} genera or more"
            )
        if self._operons is not None:
            parts.append(counted(self._operons, "operon"))
        return f"{self._name}: " + "; ".join(parts)


def foresee(name: str, overview: Overview, size: int) -> str:
    """The part of that line that is known before predicting: genes, and windows of up to `size` genes."""
    return f"{name}: {_genes(overview.genes, overview.skips)}; {counted(overview.windows(size), 'window')}"


def _verb(number: int, plural: str) -> str:
    return f"{plural}s" if number == 1 else plural


def _genes(genes: int, skips: Counter[Skip]) -> str:
    """'4315 genes (12 skipped: 10 pseudogenes, 2 too short)'."""
    total = counted(genes, "gene")
    if not skips:
        return total
    reasons = ", ".join(counted(count, *_SKIPPED[reason]) for reason, count in skips.most_common())
    return f"{total} ({skips.total()} skipped: {reasons})"
