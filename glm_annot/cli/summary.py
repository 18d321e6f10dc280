"""The line of numbers that ends a run, and its counterpart for a dry run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from glm_annot.io.table import Agreement, agreement
from glm_annot.overview import Overview
from glm_annot.records import Genome, Predictions


class Summary:
    """One line: genes, windows, EC numbers against those of the file, operons, skipped genes by reason."""

    def __init__(self, name: str, overview: Overview) -> None:
        self._name, self._overview = name, overview
        self._windows = 0
        self._asked_for_ec = False
        self._ec = Counter[Agreement]()  # a called class (2.7.1.-) agrees with a number in it
        self._operons: int | None = None

    def watched(
        self, predicted: Iterable[tuple[Genome, Predictions]]
    ) -> Iterator[tuple[Genome, Predictions]]:
        """Yields the same sections and predictions, and counts them meanwhile."""
        for section, predictions in predicted:
            self._add(section, predictions)
            yield section, predictions

    def _add(self, section: Genome, predictions: Predictions) -> None:
        self._windows += predictions.n_windows
        self._asked_for_ec |= any(gene.enzyme is not None for gene in predictions.genes.values())
        calls = {index: [call.number for call in gene.ec] for index, gene in predictions.genes.items()}
        self._ec.update(agreement(gene.ec, calls.get(gene.index, ())) for gene in section.genes)
        if predictions.operons is not None:
            self._operons = (self._operons or 0) + len(predictions.operons)

    def __str__(self) -> str:
        parts = [_genes(self._overview), _windows(self._windows)]
        if self._asked_for_ec:
            agreeing = self._ec[Agreement.SAME] + self._ec[Agreement.PREFIX]
            parts.append(
                f"EC {self._ec[Agreement.NEW]} new, {agreeing} agreeing, "
                f"{self._ec[Agreement.CONFLICT]} conflicting, {self._ec[Agreement.MISSED]} missed"
            )
        if self._operons is not None:
            parts.append(f"{self._operons} operons")
        return f"{self._name}: " + "; ".join(parts)


def foresee(name: str, overview: Overview, size: int) -> str:
    """The part of that line that is known before predicting: genes, and windows of up to `size` genes."""
    return f"{name}: {_genes(overview)}; {_windows(overview.windows(size))}"


def _windows(count: int) -> str:
    return f"{count} window" if count == 1 else f"{count} windows"


def _genes(overview: Overview) -> str:
    """'4315 genes (12 skipped: 10 pseudogene, 2 too_short)'."""
    total = f"{overview.genes} genes"
    if not overview.skips:
        return total
    reasons = ", ".join(f"{count} {reason.value}" for reason, count in overview.skips.most_common())
    return f"{total} ({overview.skips.total()} skipped: {reasons})"
