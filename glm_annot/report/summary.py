"""What a report says in words: counts, sentences, and lists of examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from glm_annot.io.table import Agreement
from glm_annot.report.genes import KNOWN_PLACE, LOW_FIT, Example, Genes


@dataclass(frozen=True, slots=True)
class Counts:
    """Genes by how their predicted EC numbers compare with those of the file."""

    new: int
    agrees: int
    differs: int
    missed: int


def counts(genes: Genes) -> Counts:
    """Those of all genes; a class (2.7.1.-) agrees with a number in it."""
    of = genes.agreement
    return Counts(
        of[Agreement.NEW.value],
        of[Agreement.SAME.value] + of[Agreement.PREFIX.value],
        of[Agreement.CONFLICT.value],
        of[Agreement.MISSED.value],
    )


def sentences(genes: Genes, *, ec: bool, min_confidence: float) -> Iterator[str]:
    """The summary. `ec`: whether EC numbers were predicted; `min_confidence`: the least of a called one."""
    if ec:
        found = counts(genes)
        called = found.new + found.agrees + found.differs
        yield " ".join(_of_calls(genes, called, min_confidence))
    if genes.hypothetical:
        yield " ".join(_of_hypothetical(genes, ec=ec))
    if genes.operons:
        yield (
            f"{_genes(genes.in_operons)} {_have(genes.in_operons)} a place in one of "
            f"{_count(genes.operons, 'operon')}, where each link between neighbours is more likely than not."
        )
    if genes.with_fit:
        yield _of_fit(genes)
    skipped = {reason: n for reason, n in genes.skips.most_common() if reason}
    if skipped:
        reasons = ", ".join(f"{reason.replace('_', ' ')} {n:,}" for reason, n in skipped.items())
        total = sum(skipped.values())
        yield f"{_genes(total)} {_have(total)} no prediction ({reasons})."


def _of_calls(genes: Genes, called: int, min_confidence: float) -> Iterator[str]:
    yield f"{_genes(called)} {_have(called)} an EC number with a confidence of at least {min_confidence:g}."
    if classes := genes.agreement[Agreement.PREFIX.value]:
        yield f"Of those that agree, {classes:,} {_have(classes)} just the class of the other (2.7.1.-)."


def _of_fit(genes: Genes) -> str:
    with_fit = f"of {_genes(genes.with_fit)} with a context fit"
    if not genes.low_fit:
        return f"None {with_fit} ranks below {LOW_FIT:g}."
    return (
        f"{genes.low_fit:,} {with_fit} {'ranks' if genes.low_fit == 1 else 'rank'} below {LOW_FIT:g}: "
        "acquired lately, miscalled, or simply in a rare neighbourhood."
    )


def _of_hypothetical(genes: Genes, *, ec: bool) -> Iterator[str]:
    total = genes.hypothetical
    said = f"{_genes(total)} {_have(total)} no known product"
    if ec:
        said += f"; {genes.hypothetical_ec:,} of these {_get(genes.hypothetical_ec)} an EC number"
    yield f"{said}."
    if genes.hypothetical_named:
        yield f"Sequence and neighbours together give a name to {genes.hypothetical_named:,} of them."
    if genes.hypothetical_known:
        yield (
            f"At the places of {genes.hypothetical_known:,} of them the neighbours make one family likelier "
            f"than all others together (confidence {KNOWN_PLACE:g} or more)."
        )


def lists(genes: Genes) -> list[tuple[str, list[Example], str]]:
    """(heading, examples, kind) of each list."""
    return [
        ("Surest new EC numbers", genes.new, "new"),
        ("Surest that differ from the file", genes.differing, "differs"),
        ("Hypothetical proteins named by sequence and neighbours together", genes.named, "named"),
    ]


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _genes(number: int) -> str:
    return _count(number, "gene")


def _have(number: int) -> str:
    return "has" if number == 1 else "have"


def _get(number: int) -> str:
    return "gets" if number == 1 else "get"
