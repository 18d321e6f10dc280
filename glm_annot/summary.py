"""The few numbers that a run ends with, and those that a dry run can tell beforehand."""

from __future__ import annotations

from collections import Counter

from glm_annot.io.table import Agreement, agreement
from glm_annot.records import Genome, Predictions
from glm_annot.windows import windows


def summarise(genome: Genome, predictions: Predictions) -> str:
    """One line: genes, windows, EC numbers against those of the file, operons, skipped genes by reason."""
    parts = [_genes(genome), f"{predictions.n_windows} windows"]
    asked_for_ec = any(prediction.enzyme is not None for prediction in predictions.genes.values())
    if asked_for_ec:
        parts.append(_ec(genome, predictions))
    if predictions.operons is not None:
        parts.append(f"{len(predictions.operons)} operons")
    return f"{genome.name}: " + "; ".join(parts)


def foresee(genome: Genome) -> str:
    """The same line as far as it can be told without predicting."""
    return f"{genome.name}: {_genes(genome)}; {len(windows(genome))} windows"


def _genes(genome: Genome) -> str:
    """'4315 genes (12 skipped: 10 pseudogene, 2 too_short)'."""
    skips = Counter(gene.skip.value for gene in genome.genes if gene.skip is not None)
    total = f"{sum(1 for _ in genome.genes)} genes"
    if not skips:
        return total
    reasons = ", ".join(f"{count} {reason}" for reason, count in skips.most_common())
    return f"{total} ({skips.total()} skipped: {reasons})"


def _ec(genome: Genome, predictions: Predictions) -> str:
    """Genes with called EC numbers, by how these stand to the file's; a class of a number agrees with it."""
    calls = {index: [call.number for call in gene.ec] for index, gene in predictions.genes.items()}
    found = Counter(agreement(gene.ec, calls.get(gene.index, ())) for gene in genome.genes)
    agreeing = found[Agreement.SAME] + found[Agreement.PREFIX]
    return f"EC {found[Agreement.NEW]} new, {agreeing} agreeing, {found[Agreement.CONFLICT]} conflicting"
