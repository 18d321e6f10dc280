"""Places of genes whose parts are far apart, because of a mobile element or trans-splicing.

Such a gene counts as a neighbour at its first part along the contig. Its other parts lie between other genes:
no operon continues across them, and gaps end at them.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass

from glm_annot.records import Contig, Gene

Place = tuple[int, int]  # start, end, coordinates as in `Gene`


@dataclass(frozen=True, slots=True)
class Places:
    """The coding genes of a contig.

    Attributes:
        home: for each gene the place of its first part, joined with the parts that no other coding gene
            separates from it.
        away: (position of the gene in `Contig.coding`, place) of all other parts.
    """

    home: tuple[Place, ...]
    away: tuple[tuple[int, Place], ...]

    @classmethod
    def of(cls, contig: Contig) -> Places:
        """Read the parts of the coding genes."""
        genes = contig.coding
        if not any(gene.parts for gene in genes):
            return cls(tuple((gene.start, gene.end) for gene in genes), ())
        middles = sorted(
            ((start + end) / 2, i) for i, gene in enumerate(genes) for start, end in _parts(gene)
        )
        stretches = [list(_stretches(i, gene, middles)) for i, gene in enumerate(genes)]
        away = ((i, place) for i, (_, *others) in enumerate(stretches) for place in others)
        return cls(tuple(places[0] for places in stretches), tuple(away))


def _parts(gene: Gene) -> tuple[Place, ...]:
    return gene.parts or ((gene.start, gene.end),)


def _stretches(number: int, gene: Gene, middles: list[tuple[float, int]]) -> Iterator[Place]:
    """The parts of a gene along the contig; two are joined if no other gene's part has its middle between."""
    (start, end), *others = _parts(gene)
    for next_start, next_end in others:
        between = range(bisect(middles, (end, -1)), bisect(middles, (next_start, -1)))
        if any(middles[place][1] != number for place in between):
            yield start, end
            start, end = next_start, next_end
        else:
            end = max(end, next_end)
    yield start, end
