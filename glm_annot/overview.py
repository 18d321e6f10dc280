"""What has to be known of a whole genome before its parts are predicted one by one: counts that add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from glm_annot.model.windows import n_windows, parts
from glm_annot.operons.features import Ints, Track, gap_counts
from glm_annot.operons.promoters import promoter_counts
from glm_annot.records import Genome, Skip


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts over all sections of a genome.

    Attributes:
        genes: how many CDS there are.
        skips: how many of them get no prediction, by the reason.
        residues: of the proteins, each distinct one counted once in each part.
        contigs: how many there are of each (number of coding genes, circular or not).
        gaps_3K: `gap_counts` between neighbouring coding genes.
        promoters_2KS: `promoter_counts` of the gaps between them.
    """

    genes: int
    skips: Counter[Skip]
    residues: int
    contigs: Counter[tuple[int, bool]]
    gaps_3K: Ints
    promoters_2KS: Ints

    @classmethod
    def of(cls, sections: Iterable[Genome]) -> Overview:
        """Read all sections once; none is kept."""
        genes = residues = 0
        skips, contigs = Counter[Skip](), Counter[tuple[int, bool]]()
        gaps_3K, promoters_2KS = gap_counts([]), promoter_counts([])
        for section in sections:
            genes += sum(1 for _ in section.genes)
            skips.update(gene.skip for gene in section.genes if gene.skip is not None)
            residues += sum(sum(map(len, set(part.proteins))) for part in parts(section))
            contigs.update((len(contig.coding), contig.circular) for contig in section.contigs)
            gaps_3K = np.add(gaps_3K, gap_counts([Track.of(contig) for contig in section.contigs]))
            promoters_2KS = np.add(promoters_2KS, promoter_counts(section.contigs))
        return cls(genes, skips, residues, contigs, gaps_3K, promoters_2KS)

    @property
    def coding(self) -> int:
        """How many CDS are predicted."""
        return sum(count * n for (n, _), count in self.contigs.items())

    def windows(self, size: int) -> int:
        """How many windows of `size` genes there are."""
        return sum(count * n_windows(n, circular, size) for (n, circular), count in self.contigs.items())
