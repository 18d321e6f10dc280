"""Which genes of an annotated genome lie in prophages, as its annotators say."""

from __future__ import annotations

import re
from io import StringIO
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from Bio import SeqIO

from glm_annot.records import Genome

_PART = re.compile(
    r"\b(?:pro)?phage\b|terminase|\bcapsid|portal protein|\bholin\b|"
    r"\btail (?:fiber|tape|tube|sheath|assembly)",
    re.IGNORECASE,
)
_HOST = re.compile(r"phage (?:receptor|shock)|resistan", re.IGNORECASE)  # genes of the host that name phages
_BETWEEN = 8  # genes at most between two that name a phage, for those between to be of it, too


def prophage_genes(genome: Genome) -> npt.NDArray[np.bool_]:
    """Which coding genes are of phages, (G,).

    Those whose product is a part of a phage, those between two of them that stand near each other, and those
    in a feature of a GenBank file whose note says 'prophage'.
    """
    parts = []
    regions = _regions(genome)
    for contig in genome.contigs:
        named = [
            bool(_PART.search(gene.product) and not _HOST.search(gene.product)) for gene in contig.coding
        ]
        for left, right in pairwise(np.flatnonzero(named).tolist()):
            if right - left <= _BETWEEN + 1:
                named[left:right] = [True] * (right - left)
        inside = [
            any(start <= gene.start and gene.end <= end for start, end in regions.get(contig.name, ()))
            for gene in contig.coding
        ]
        parts.append(np.array(named, np.bool_) | np.array(inside, np.bool_))
    return np.concatenate([np.zeros(0, np.bool_), *parts])


def runs(chosen_G: npt.NDArray[np.bool_], least: int) -> list[tuple[int, int]]:
    """First gene and end of each run of chosen genes that has so many or more."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen_G, [False]]).astype(np.int8)))
    pairs = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    return [(first, end) for first, end in pairs if end - first >= least]


def _regions(genome: Genome) -> dict[str, list[tuple[int, int]]]:
    """First and last base of the features of each contig whose note says 'prophage'; none but in GenBank."""
    if genome.source is None or genome.source.format != "genbank":
        return {}
    found: dict[str, list[tuple[int, int]]] = {}
    for record in SeqIO.parse(StringIO(genome.source.text.decode()), "genbank"):
        for feature in record.features:
            if "prophage" in " ".join(feature.qualifiers.get("note", ())) and feature.type != "CDS":
                region = int(feature.location.start) + 1, int(feature.location.end)
                found.setdefault(record.id, []).append(region)
    return found
