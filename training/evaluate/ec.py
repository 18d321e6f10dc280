"""How good an EC head is on benchmarks and on E. coli K-12, with DIAMOND's best hit beside it.

A protein without an answer counts as wrong. DIAMOND, the votes of the head's search alone, and the head
with a reference search what a user could search: all labelled proteins (tiers 1 and 2 for the benchmarks, 1
to 3 for the genome) but those identical to a protein of the very set that is scored. The head itself learnt
from none of any set. Near relatives of K-12's proteins are among those that are searched, by DIAMOND and
the head alike.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glm_annot.bundle import Model
from glm_annot.ec.adjacency import runs
from glm_annot.ec.evidence import Evidence, Homologue
from glm_annot.ec.head import ECHead, ECResult
from glm_annot.ec.search import votes
from glm_annot.ec_numbers import LEVELS, is_complete, number
from glm_annot.errors import GlmAnnotError
from glm_annot.io.sequences import clean_protein
from glm_annot.records import Genome

from ..common.tsv import read_tsv
from ..corpus import diamond
from ..corpus.shared_data import SharedData
from ..ec.fit import Reader
from ..ec.labels import Labelled, as_reference, numbers, read_labelled
from ..ec.sources import lone_genes
from . import audit as ec_audit
from .scores import Results, TrueNumbers, by_level, compare, complete, confidence, micro, scores

BENCHMARKS = ("CARE-30", "CARE-30-50", "New-392")
BENCHMARK_TRUST, GENOME_TRUST = 2, 3  # last tiers of labelled proteins that are searched
IDENTITY_BINS = {  # identity to the nearest labelled protein, as a share: from, and below
    "no hit": (-1.0, 1e-9),
    "< 30 %": (1e-9, 0.3),
    "30-50 %": (0.3, 0.5),
    "50-70 %": (0.5, 0.7),
    "70-90 %": (0.7, 0.9),
    ">= 90 %": (0.9, 2.0),
}
CUTS = [percent / 100 for percent in range(0, 100, 5)]  # least identities of a best hit to choose from
FOLDS = 5  # to choose it in
ABLATIONS: dict[str, tuple[str, ...]] = {  # sources that are ignored
    "all": (),
    "no context": ("context", "neighbours"),
    "no neighbours": ("neighbours",),
    "encoder alone": ("homology", "kmer", "context", "neighbours"),
    "kmer alone": ("homology", "encoder", "context", "neighbours"),
    "homology alone": ("kmer", "encoder", "context", "neighbours"),
    "no homology": ("homology",),
}


def benchmark(
    model: Model,
    data: Path,
    k12: Genome,
    of_k12: frozenset[str],
    *,
    threads: int = 1,
    audit: Path | None = None,
) -> dict[str, Any]:
    """Measure a model's EC head on CARE-30, CARE-30-50, New-392 and E. coli K-12.

    Args:
        model: with an EC head.
        data: the shared data.
        k12: the genome, with the EC numbers of its annotation.
        of_k12: its proteins in every annotation at hand, as `clean_protein` gives them; the search for K-12's
            homologues must not find them.
        threads: processor cores for DIAMOND.
        audit: file for a sample of the calls on K-12 that no curated entry confirms or contradicts.

    Raises:
        GlmAnnotError: the model has no EC head, or DIAMOND is not installed.
    """
    shared = SharedData(data)
    found: dict[str, Any] = {"min_confidence": _head(model).config.threshold}
    for name in BENCHMARKS:
        cases = read_benchmark(shared.ec_benchmark(name))
        own = frozenset(map(clean_protein, cases.proteins))
        labelled = _searched(shared, own, max_trust=BENCHMARK_TRUST)
        gathered = gather(model, lone_genes(cases.proteins), labelled, threads=threads)
        found[name] = compare(gathered.results(), cases, cases.enzymes)
    cases = of_genome(k12)
    labelled = _searched(shared, of_k12, max_trust=GENOME_TRUST)
    gathered = gather(model, k12, labelled, threads=threads)
    results, figures = measure_genome(gathered, cases)
    calls = ec_audit.unannotated(k12, results.alone, ec_audit.read_curated(shared))
    if audit is not None:
        ec_audit.write_sample(calls, audit)
    return {**found, **figures, "K-12 audit": ec_audit.summary(calls, figures["K-12 genome"])}


def _searched(shared: SharedData, own: frozenset[str], *, max_trust: int) -> list[Labelled]:
    """The labelled proteins but those that are scored (`own`)."""
    return read_labelled(shared.labelled, held_out=own, updates={}, max_trust=max_trust)


def read_benchmark(path: Path) -> TrueNumbers:
    """Read a benchmark's table (columns sequence and ec)."""
    rows = [row for _, row in read_tsv(path, "sequence", "ec")]
    ec = (frozenset(numbers(row["ec"], {})) for row in rows)
    return TrueNumbers(tuple(row["sequence"] for row in rows), tuple(ec))


def of_genome(genome: Genome) -> TrueNumbers:
    """A genome's coding genes with the EC numbers that its annotation carries."""
    coding = list(genome.coding)
    ec = (frozenset(numbers(";".join(gene.ec), {})) for gene in coding)
    return TrueNumbers(tuple(gene.protein or "" for gene in coding), tuple(ec))


@dataclass(frozen=True)
class Gathered:
    """All that is known of some proteins, gathered once to be judged in several ways.

    Attributes:
        head: judges.
        evidences: its own.
        homologues: of each protein among the labelled ones alone.
        with_reference: evidence with the labelled ones beside the head's own.
        run_G: of their genes.
        diamond: the complete numbers of the best hit among these, none without one.
        identity: of that hit, as a share; 0 without one.
    """

    head: ECHead
    evidences: Sequence[Evidence]
    homologues: Sequence[Sequence[Homologue]]
    with_reference: Sequence[Evidence]
    run_G: Sequence[int]
    diamond: Sequence[frozenset[str]]
    identity: Sequence[float]

    def judge(self, *, ignored: Collection[str] = ()) -> list[ECResult]:
        """What the head says at its threshold, by itself, without what is ignored."""
        return self.head.judge(self.evidences, min_confidence=self.head.config.threshold, ignored=ignored)

    def results(self) -> Results:
        """What the head says at its threshold, by itself and with the reference."""
        with_reference = self.head.judge(self.with_reference, min_confidence=self.head.config.threshold)
        voted = list(map(first_by_votes, self.homologues))
        return Results(self.judge(), with_reference, voted, self.diamond, self.identity)


def gather(model: Model, genome: Genome, labelled: Sequence[Labelled], *, threads: int = 1) -> Gathered:
    """Evidence for all coding genes of a genome, and their nearest labelled proteins."""
    head = _head(model)
    proteins = genome.proteins
    best = diamond.best_hits(proteins, (protein.sequence for protein in labelled), threads=threads)
    reference, run_G = as_reference(labelled), runs(genome)
    alone = head.gather(proteins, *Reader(model, head.config.layers)(genome))
    both = head.base.with_others(reference).homologues(proteins, threads=threads)
    referenced = [replace(evidence, homologues=of) for evidence, of in zip(alone, both, strict=True)]
    rows = range(len(proteins))
    return Gathered(
        head,
        head.with_neighbours(alone, run_G),
        reference.homologues(proteins, threads=threads),
        head.with_neighbours(referenced, run_G),
        run_G,
        [
            frozenset(filter(is_complete, labelled[best[row][0]].ec)) if row in best else frozenset()
            for row in rows
        ],
        [best[row][1] if row in best else 0.0 for row in rows],
    )


def first_by_votes(homologues: Sequence[Homologue]) -> frozenset[str]:
    """The complete numbers with most votes of a protein's homologues.

    Those of one protein may have equally many; like those of DIAMOND's best hit they count as one answer.
    """
    found: dict[str, float] = {}
    for vote, near in zip(votes([near.bits for near in homologues]), homologues, strict=True):
        for step in near.nodes:
            if len(step) == LEVELS:
                found[number(step)] = found.get(number(step), 0.0) + vote
    most = max(found.values(), default=0.0)
    return frozenset(text for text, vote in found.items() if vote == most)


def measure_genome(gathered: Gathered, cases: TrueNumbers) -> tuple[Results, dict[str, Any]]:
    """Judge all coding genes of a genome whose annotation knows enzymes.

    Args:
        gathered: their evidence.
        cases: the same genes, with the numbers of the annotation; without any counts as no enzyme.

    Returns:
        what the head says; the figures.
    """
    results, identity = gathered.results(), gathered.identity
    bins = {
        name: [place for place in cases.enzymes if least <= identity[place] < below]
        for name, (least, below) in IDENTITY_BINS.items()
    }
    figures = {
        "K-12 enzymes": compare(results, cases, cases.enzymes),
        "K-12 enzymes by identity": {name: compare(results, cases, own) for name, own in bins.items()},
        "K-12 genome": _whole(results, cases),
        "K-12 ablations": {
            name: _ablation(gathered.judge(ignored=ignored), cases) for name, ignored in ABLATIONS.items()
        },
        "K-12 confidence": {
            **confidence(results.alone, cases),
            "levels": by_level(gathered.head.confidences(gathered.evidences), cases),
        },
        "K-12 confidence, with reference": confidence(results.with_reference, cases),
    }
    return results, figures


def _whole(results: Results, cases: TrueNumbers) -> dict[str, Any]:
    """Precision, recall and F1 of all calls on a genome: what a user meets."""
    return {
        "proteins": len(cases.ec),
        **micro([complete(result) for result in results.alone], cases.ec),
        "with_reference": micro([complete(result) for result in results.with_reference], cases.ec),
        "diamond": micro(results.diamond, cases.ec),
        "diamond, identity cut": _cut_by_identity(results, cases),
    }


def _cut_by_identity(results: Results, cases: TrueNumbers) -> dict[str, Any]:
    """The best hits that reach a least identity.

    Every fifth gene is judged at the cut that gives the best F1 on the other four fifths of the genes.
    """
    identity_G = np.array(results.identity)
    fold_G = np.arange(len(identity_G)) % FOLDS
    cut_G = np.empty(len(identity_G))
    for fold in range(FOLDS):
        others = np.flatnonzero(fold_G != fold).tolist()
        true = [cases.ec[place] for place in others]
        cut_G[fold_G == fold] = max(
            CUTS,
            key=lambda cut: micro(
                [results.diamond[p] if identity_G[p] >= cut else frozenset() for p in others], true
            )["f1"],
        )
    answers = [
        numbers if identity >= cut else frozenset()
        for numbers, identity, cut in zip(results.diamond, identity_G, cut_G, strict=True)
    ]
    return {"identity": sorted(set(cut_G.tolist())), **micro(answers, cases.ec)}


def _ablation(results: Sequence[ECResult], cases: TrueNumbers) -> dict[str, float]:
    of_enzymes = scores([results[place] for place in cases.enzymes], [cases.ec[p] for p in cases.enzymes])
    over_all = micro([complete(result) for result in results], cases.ec)
    return {
        "hit_rate": of_enzymes["hit_rate"],
        "hit_rate_first_guess": of_enzymes["hit_rate_first_guess"],
        "genome_f1": over_all["f1"],
    }


def _head(model: Model) -> ECHead:
    if model.ec is None:
        raise GlmAnnotError(f"the model {model.name} has no EC head to measure")
    return model.ec
