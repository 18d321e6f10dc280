"""EC numbers that proteins have together.

A softmax takes the numbers of a protein for rivals: where it has two of them, each gets half. What labelled
proteins have together gives that back. With p(a) of each candidate a from the softmax, and P(c | a) the share
of the labelled proteins with number a that have number c, or one of class c, too:

    P(c) = p(c) + sum over the numbers a outside c of p(a) P(c | a)

A class never becomes less likely than a number in it. The numbers keep their order: P(c) of one is at most
that of the next likelier one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from glm_annot.ec_numbers import LEVELS, Node, ancestry, is_complete, node

ALONE = 1.0  # proteins that have a number and no other, added to those seen: rare numbers tell little

Together = Mapping[Node, Mapping[Node, float]]  # number -> other number or class -> P(other | number)


def together(ec: Iterable[Sequence[str]]) -> Together:
    """Which other numbers and classes the proteins of each number have, and how many of them.

    Args:
        ec: the numbers of each labelled protein.

    Returns:
        P(other | number) of the numbers that some protein has beside others.
    """
    proteins, both = Counter[Node](), dict[Node, Counter[Node]]()
    for own in ec:
        numbers = {node(number) for number in own if is_complete(number)}
        proteins.update(numbers)
        if len(numbers) > 1:
            steps = ancestry(own)
            for number in numbers:
                others = (step for step in steps if number[: len(step)] != step)
                both.setdefault(number, Counter()).update(others)
    return {
        number: {other: count / (proteins[number] + ALONE) for other, count in counts.items()}
        for number, counts in both.items()
    }


def with_others(confidences: Mapping[Node, float], known: Together) -> dict[Node, float]:
    """Probabilities that let one protein have several numbers.

    Args:
        confidences: of candidates, as if only one number were right; classes with all that is under them.
        known: as `together` gives it.
    """
    found = dict(confidences)
    numbers = sorted((step for step in confidences if len(step) == LEVELS), key=lambda n: -confidences[n])
    for number in numbers:
        for other, share in known.get(number, {}).items():
            if other in found:
                found[other] += confidences[number] * share
    for likelier, number in pairwise(numbers):
        found[number] = min(found[number], found[likelier])
    return found
