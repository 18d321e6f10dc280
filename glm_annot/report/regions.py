"""The part of a contig that a picture shows, and the genes that stand there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from glm_annot.errors import UsageError
from glm_annot.io import qualifiers as q
from glm_annot.records import Contig
from glm_annot.report.genes import Genes, Kind

_EXTENT = re.compile(r"(.+):([\d,]+)-([\d,]+)")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A gene as pictures have it.

    Attributes:
        start, end: 1-based inclusive; of a gene over the origin both ends are drawn, so that `start` may be
            below 1 and `end` beyond the contig.
        strand: 1, -1, or 0 where the file gives none.
        label: what people call it.
        number: its first predicted EC number, '' without one.
        kind: how that compares with the file.
        operon: ID of its operon, '' without one.
        link: probability that it shares an operon with the next gene.
        fit: its context fit.
    """

    start: int
    end: int
    strand: int
    label: str
    number: str
    kind: Kind
    operon: str
    link: float | None
    fit: float | None


@dataclass(frozen=True, slots=True)
class Region:
    """A part of a contig, 1-based inclusive, and its genes in order."""

    contig: Contig
    start: int
    end: int
    genes: tuple[Drawn, ...]

    @property
    def length(self) -> int:
        """In bases."""
        return self.end - self.start + 1

    @property
    def is_whole_circle(self) -> bool:
        """Whether it is all of a circular contig."""
        return self.contig.circular and self.length == self.contig.length


def region(genes: Genes, named: str | None = None) -> Region:
    """The genes of a region.

    Args:
        genes: those of a genome.
        named: 'contig:from-to', or the name of a contig, for all of it; None for the first one.

    Raises:
        UsageError: there is no such region, or no gene in it.
    """
    place, extent = _named(genes.contigs, named)
    contig = genes.contigs[place]
    found = [gene for i in genes.on_contig(place) for gene in _drawn(genes, i, contig)]
    length = contig.length or max((gene.end for gene in found), default=0)
    start, end = extent or (1, length)
    if not 1 <= start <= end <= length:
        raise UsageError(f"--region {named}: {contig.name} has the bases 1 to {length}")
    inside = [gene for gene in found if gene.start <= end and gene.end >= start]
    if not inside:
        raise UsageError(f"no gene stands on {contig.name} from {start} to {end}; choose with --region")
    return Region(contig, start, end, tuple(sorted(inside, key=lambda gene: (gene.start, gene.end))))


def _named(contigs: Sequence[Contig], named: str | None) -> tuple[int, tuple[int, int] | None]:
    """The place of the contig, and the first and last base where these are said."""
    if named is None:
        return 0, None
    known = {contig.name: place for place, contig in enumerate(contigs)}
    match = _EXTENT.fullmatch(named)
    if match and named not in known:  # names of contigs may hold colons
        name, extent = match[1], (int(match[2].replace(",", "")), int(match[3].replace(",", "")))
    else:
        name, extent = named, None
    if name not in known:
        first = ", ".join(list(known)[:3])
        raise UsageError(
            f"--region {named}: there is no contig {name!r}, but {first}{', ...' if len(known) > 3 else ''}; "
            "write contig:from-to"
        )
    return known[name], extent


def _drawn(genes: Genes, i: int, contig: Contig) -> Iterator[Drawn]:
    """Gene `i`; one that runs over the origin stands at both ends of its contig."""
    start, end = int(genes.value("start", i) or 0), int(genes.value("end", i) or 0)
    around = [0, -contig.length] if contig.length and end > contig.length else [0]
    operon, link, fit = (genes.value(name, i) for name in ("operon", "prob_pair_next", "context_fit"))
    for shift in around:
        yield Drawn(
            start + shift,
            end + shift,
            {"+": 1, "-": -1}.get(str(genes.value("strand", i)), 0),
            genes.label(i),
            next(iter(q.listed(str(genes.value("ec_passed", i) or ""))), ""),
            genes.kind(i),
            "" if operon in (None, q.NO_OPERON) else str(operon),
            None if link is None else float(link),
            None if fit is None else float(fit),
        )
