"""Made-up predictions for any genome, so that writing is tested without a model."""

from __future__ import annotations

import itertools
import random

from glm_annot.records import Contig, ECCall, GenePrediction, Genome, OperonCall, Predictions, Provenance

PROVENANCE = Provenance("glm-annot 0.1.0", "fake", "1.0.0", "0" * 64, min_confidence=0.5)
EC_POOL = ("1.1.1.1", "2.7.1.2", "2.7.1.-", "3.1.-.-", "6.3.5.7", "3.4.24.n1")


def fake_predictions(genome: Genome, seed: int = 0, *, ec: bool = True, operons: bool = True) -> Predictions:
    """Random but consistent predictions for every coding gene; the same seed gives the same ones."""
    rng = random.Random(seed)
    genes = {gene.index: _gene(rng, ec) for contig in genome.contigs for gene in contig.coding}
    pairs = (
        {pair: p for contig in genome.contigs for pair, p in _pairs(contig, rng).items()} if operons else {}
    )
    calls = _operons(genome, pairs) if operons else None
    return Predictions(genes, pairs, calls, PROVENANCE, n_windows=len(genome.contigs))


def _gene(rng: random.Random, ec: bool) -> GenePrediction:
    top = tuple(
        ECCall(n, p)
        for n, p in zip(
            rng.sample(EC_POOL, 3), sorted((rng.random() for _ in range(3)), reverse=True), strict=True
        )
    )
    passed = tuple(call for call in top if call.confidence >= 0.5)
    return GenePrediction(
        ec=passed if ec else (),
        ec_top=top if ec else (),
        enzyme=rng.random() if ec else None,
        context_fit=rng.choice([None, 100 * rng.random()]),
        context_confidence=rng.choice([None, rng.random()]),
        evidence=rng.choice(["encoder", "context", "kmer", "reference"]) if ec and passed else "",
    )


def _pairs(contig: Contig, rng: random.Random) -> dict[tuple[int, int], float]:
    coding = contig.coding
    neighbours = list(itertools.pairwise(coding))
    if contig.circular and len(coding) > 1:
        neighbours.append((coding[-1], coding[0]))
    return {(a.index, b.index): rng.random() if a.strand == b.strand else 0.0 for a, b in neighbours}


def _operons(genome: Genome, pairs: dict[tuple[int, int], float]) -> tuple[OperonCall, ...]:
    calls: list[OperonCall] = []
    for contig in genome.contigs:
        for run in _runs(contig, pairs):
            calls.append(_operon(contig, run, pairs, f"glm_operon_{len(calls) + 1:04d}"))
    return tuple(calls)


def _runs(contig: Contig, pairs: dict[tuple[int, int], float]) -> list[list[int]]:
    """Runs of two or more positions in `contig.coding` linked at 0.5 or more; one may go over the origin."""
    n = len(contig.coding)
    runs: list[list[int]] = []
    for i in range(n):
        link = pairs.get((contig.coding[i - 1].index, contig.coding[i].index), 0.0) if i else 0.0
        if link >= 0.5:
            runs[-1].append(i)
        else:
            runs.append([i])
    over = (
        pairs.get((contig.coding[-1].index, contig.coding[0].index), 0.0)
        if contig.circular and n > 1
        else 0.0
    )
    if over >= 0.5 and len(runs) > 1:
        runs[-1] += runs.pop(0)
    return [run for run in runs if len(run) > 1]


def _operon(contig: Contig, run: list[int], pairs: dict[tuple[int, int], float], name: str) -> OperonCall:
    genes = [contig.coding[i] for i in run]
    wrapped = any(b < a for a, b in itertools.pairwise(run))
    offset = (contig.length or 0) if wrapped else 0
    end = max(g.end + (offset if i < run[0] else 0) for i, g in zip(run, genes, strict=True))
    links = [pairs[a.index, b.index] for a, b in itertools.pairwise(genes)]
    before = next((p for pair, p in pairs.items() if pair[1] == genes[0].index), None)
    after = next((p for pair, p in pairs.items() if pair[0] == genes[-1].index), None)
    return OperonCall(
        id=name,
        contig=contig.name,
        genes=tuple(g.index for g in genes),
        start=genes[0].start,
        end=end,
        strand=genes[0].strand,
        confidence=min(links),
        start_confidence=None if before is None else 1 - before,
        end_confidence=None if after is None else 1 - after,
    )
