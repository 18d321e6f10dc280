"""What neighbours say of genes, in words: records of names out of tensors."""

from __future__ import annotations

from collections.abc import Mapping

from glm_annot.model.neighbours.beside import Beside
from glm_annot.model.neighbours.judge import ContextOfGenes, Neighbours
from glm_annot.model.neighbours.names import FamilyName
from glm_annot.records import ContextNames

LEAST_EXPECTED = 0.1  # probability below which it is not said what the neighbours expect
_NOBODY = FamilyName()
_PLAIN = str.maketrans({";": ",", '"': "'"})  # the others have a meaning in annotation files


def context_names(
    context: ContextOfGenes, neighbours: Neighbours, ec_names: Mapping[str, str]
) -> list[ContextNames]:
    """What each gene may be called.

    Args:
        context: what `Neighbours.judge` says; it has hints.
        neighbours: the same that said it.
        ec_names: names of EC numbers, for families that have nothing else.
    """
    hint, hints, names = context.hint, neighbours.hints, neighbours.names
    if hint is None or hints is None:
        return []
    least, least_ec = hints.least_K.tolist()
    columns = (
        *(context.family_G, context.expected_G, context.confidence_G, context.unexpected_G),
        *(
            hint.family_Q,
            hint.probability_Q,
            hint.ec_family_Q,
            hint.ec_probability_Q,
            hint.genera_Q,
            hint.of_Q,
        ),
    )
    found = []
    for gene, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        own, expected, sure, unexpected, family, probability, ec_family, ec_probability, genera, of = row
        expected = expected if sure >= LEAST_EXPECTED else -1
        expects = names.get(expected, _NOBODY)
        called = names.get(family, _NOBODY) if probability >= least else _NOBODY
        ec = names.get(ec_family, _NOBODY).ec if ec_probability >= least_ec else ""
        name = in_words(called, ec_names)
        found.append(
            ContextNames(
                family=own if own < neighbours.table.none else None,
                expected_family=expected if expected >= 0 else None,
                expected=in_words(expects, ec_names),
                expected_ec=expects.ec,
                name=name,
                confidence=probability if name else None,
                ec=ec,
                ec_confidence=ec_probability if ec else None,
                genera=int(genera),
                of=int(of),
                beside=_beside(context.beside.get(gene, ()), names),
                unexpected=unexpected,
            )
        )
    return found


def in_words(name: FamilyName, ec_names: Mapping[str, str]) -> str:
    """A family's name as people read it: 'riboflavin synthase (ribE)'; '' for none."""
    product = (name.product or ec_names.get(name.ec, "")).translate(_PLAIN)
    if not product:
        return name.symbol
    return f"{product} ({name.symbol})" if name.symbol else product


def _beside(found: tuple[Beside, ...], names: Mapping[int, FamilyName]) -> tuple[tuple[str, int, int], ...]:
    """The neighbours by their symbols, else by their numbers or products; families of one name are one."""
    told: dict[str, tuple[str, int, int]] = {}
    for family, groups, of in found:
        name = names[family]
        text = name.symbol or (
            f"EC {name.ec}" if name.ec else " ".join(name.product.replace(",", " ").split())
        )
        told.setdefault(text, (text, groups, of))
    return tuple(told.values())
