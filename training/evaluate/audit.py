"""Calls on genes whose annotation gives no EC number: what curated sources say of the same proteins.

To look up, never to train on: the curated entries include those of the genome's own proteins. What they know
nothing of is sampled for a person to judge.
"""

from __future__ import annotations

import csv
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from glm_annot.ec.head import ECResult
from glm_annot.ec_numbers import is_complete, lineage, node
from glm_annot.io.sequences import clean_protein
from glm_annot.records import Gene, Genome

from ..corpus.shared_data import SharedData
from ..ec.labels import read_labelled, read_non_enzymes

ANY_TRUST = 4  # the last tier there is
SAMPLE = 60
COLUMNS = ("locus_tag", "gene", "product", "number", "confidence", "evidence")
Verdict = Literal["confirmed", "contradicted", "unknown"]


@dataclass(frozen=True, slots=True)
class Call:
    """A complete number called for a gene that carries none, and what an identical protein says of it."""

    gene: Gene
    number: str
    confidence: float
    evidence: str
    verdict: Verdict


def read_curated(shared: SharedData) -> dict[str, frozenset[str]]:
    """Numbers of the proteins in labelled.parquet; none for those that are stated to be no enzymes."""
    found: dict[str, frozenset[str]] = {
        protein.sequence: frozenset() for protein in read_non_enzymes(shared.unnumbered, held_out=())
    }
    for protein in read_labelled(shared.labelled, held_out=(), updates={}, max_trust=ANY_TRUST):
        found[protein.sequence] = found.get(protein.sequence, frozenset()).union(protein.ec)
    return found


def unannotated(
    genome: Genome, results: Sequence[ECResult], curated: Mapping[str, frozenset[str]]
) -> list[Call]:
    """The calls of complete numbers on coding genes without an EC number, in order of the genome.

    Args:
        genome: as annotated.
        results: of its coding genes.
        curated: as `read_curated` gives it.
    """
    coding = list(genome.coding)
    return [
        Call(gene, call.number, call.confidence, result.evidence, _verdict(gene, call.number, curated))
        for gene, result in zip(coding, results, strict=True)
        if not gene.ec
        for call in result.ec
        if is_complete(call.number)
    ]


def _verdict(gene: Gene, number: str, curated: Mapping[str, frozenset[str]]) -> Verdict:
    """A curated class above the number neither confirms nor contradicts it."""
    known = curated.get(clean_protein(gene.protein or ""))
    if known is None:
        return "unknown"
    if number in known:
        return "confirmed"
    return "unknown" if any(node(one) in lineage(number) for one in known) else "contradicted"


def summary(calls: Sequence[Call], genome: Mapping[str, Any]) -> dict[str, float]:
    """How many there are of each verdict; the precision over the whole genome with confirmed ones as right.

    Args:
        calls: as `unannotated` gives them.
        genome: calls and precision over all genes (`ec_scores.micro`).
    """
    counts = Counter(call.verdict for call in calls)
    verdicts: tuple[Verdict, ...] = ("confirmed", "contradicted", "unknown")
    more = counts["confirmed"] / genome["calls"] if genome["calls"] else 0.0
    return {
        "calls": len(calls),
        **{verdict: counts[verdict] for verdict in verdicts},
        "corrected_precision": genome["precision"] + more,
    }


def write_sample(calls: Sequence[Call], path: Path, *, seed: int = 0) -> None:
    """Write up to `SAMPLE` calls that are unknown, drawn at random, in order of the genome."""
    unknown = [call for call in calls if call.verdict == "unknown"]
    drawn = sorted(random.Random(seed).sample(range(len(unknown)), min(SAMPLE, len(unknown))))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        for call in (unknown[place] for place in drawn):
            gene = call.gene
            row = (
                gene.locus_tag,
                gene.name,
                gene.product,
                call.number,
                f"{call.confidence:.3f}",
                call.evidence,
            )
            writer.writerow(row)
