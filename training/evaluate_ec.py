"""How right EC numbers are, and how far their confidences can be trusted; DIAMOND's best hit beside them.

One answer set per protein is scored: its complete numbers at the threshold. A protein without an answer
counts as wrong. DIAMOND searches labelled proteins of tiers 1 and 2 for the benchmarks, 1 to 3 for a genome;
none of what the head or DIAMOND knows is identical to a scored protein.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glm_annot.bundle import Model
from glm_annot.ec import ECHead, ECResult
from glm_annot.ec_numbers import is_complete
from glm_annot.errors import GlmAnnotError
from glm_annot.records import Genome

from . import diamond
from .ec_head import Reader
from .ec_labels import Labelled, as_reference, numbers, read_labelled
from .ec_sources import lone_genes
from .heldout import HeldOut

BENCHMARKS = ("CARE-30", "CARE-30-50", "New-392")
BENCHMARK_TRUST, GENOME_TRUST = 2, 3  # tiers of labelled proteins that DIAMOND searches
BINS = 15  # of equal mass, for the calibration error
RESAMPLES = 200  # of the bootstrap interval


@dataclass(frozen=True)
class Cases:
    """Proteins with the EC numbers that are held to be true; none: not an enzyme."""

    proteins: tuple[str, ...]
    ec: tuple[frozenset[str], ...]

    @property
    def enzymes(self) -> list[int]:
        """Positions of proteins with at least one EC number."""
        return [place for place, true in enumerate(self.ec) if true]


def benchmark(
    model: Model, data: Path, held_out: HeldOut, k12: Genome, *, threads: int = 1
) -> dict[str, Any]:
    """Measure a model's EC head on CARE-30, CARE-30-50, New-392 and E. coli K-12.

    Args:
        model: with an EC head.
        data: the shared data.
        held_out: K-12's proteins and those of the benchmarks.
        k12: the genome, with the EC numbers of its annotation.
        threads: processor cores for DIAMOND.

    Raises:
        GlmAnnotError: the model has no EC head, or DIAMOND is not installed.
    """
    found: dict[str, Any] = {"min_confidence": _head(model).config.threshold}
    references = {
        trust: read_labelled(
            data / "ec" / "labelled.parquet", held_out=held_out.all, updates={}, max_trust=trust
        )
        for trust in (BENCHMARK_TRUST, GENOME_TRUST)
    }
    for name in BENCHMARKS:
        cases, labelled = read_benchmark(data / "ec" / f"{name}.tsv"), references[BENCHMARK_TRUST]
        results = predict(model, lone_genes(cases.proteins), labelled, threads=threads)
        found[name] = compare(results, cases, labelled, threads=threads)
    cases, labelled = of_genome(k12), references[GENOME_TRUST]
    results = predict(model, k12, labelled, threads=threads)
    found["K-12 enzymes"] = compare(results, cases, labelled, threads=threads)
    found["K-12 confidence"] = confidence(results.alone, cases)
    found["K-12 confidence, with reference"] = confidence(results.with_reference, cases)
    return found


def read_benchmark(path: Path) -> Cases:
    """Read a benchmark's table (columns sequence and ec)."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    ec = (frozenset(numbers(row["ec"], {})) for row in rows)
    return Cases(tuple(row["sequence"] for row in rows), tuple(ec))


def of_genome(genome: Genome) -> Cases:
    """A genome's coding genes with the EC numbers that its annotation carries."""
    coding = [gene for contig in genome.contigs for gene in contig.coding]
    ec = (frozenset(numbers(";".join(gene.ec), {})) for gene in coding)
    return Cases(tuple(gene.protein or "" for gene in coding), tuple(ec))


@dataclass(frozen=True)
class Results:
    """What a head says of some proteins: by itself, and with labelled proteins as a reference."""

    alone: Sequence[ECResult]
    with_reference: Sequence[ECResult]


def predict(model: Model, genome: Genome, labelled: Sequence[Labelled], *, threads: int = 1) -> Results:
    """EC numbers of all coding genes of a genome, at the default threshold."""
    head = _head(model)
    proteins = [gene.protein or "" for contig in genome.contigs for gene in contig.coding]
    states = Reader(model, head.config.layers)(genome)
    homologues = as_reference(labelled).homologues(proteins, threads=threads)
    return Results(
        head.predict(proteins, *states, min_confidence=head.config.threshold),
        head.predict(proteins, *states, homologues, min_confidence=head.config.threshold),
    )


def _head(model: Model) -> ECHead:
    if model.ec is None:
        raise GlmAnnotError(f"the model {model.name} has no EC head to measure")
    return model.ec


def compare(
    results: Results, cases: Cases, labelled: Sequence[Labelled], *, threads: int = 1
) -> dict[str, Any]:
    """Hit rates and F1 of the enzymes among some proteins, by the head and by DIAMOND's best hit."""
    enzymes = cases.enzymes
    true = [cases.ec[place] for place in enzymes]
    hits = diamond.best_hits(
        (cases.proteins[place] for place in enzymes),
        (protein.sequence for protein in labelled),
        threads=threads,
    )
    by_diamond = [
        frozenset(labelled[hits[row]].ec) if row in hits else frozenset() for row in range(len(true))
    ]
    return {
        "proteins": len(enzymes),
        **_scores([results.alone[place] for place in enzymes], true),
        "diamond": {"hit_rate": hit_rate(by_diamond, true), "f1": sample_f1(by_diamond, true)},
        "with_reference": _scores([results.with_reference[place] for place in enzymes], true),
    }


def _scores(results: Sequence[ECResult], true: Sequence[frozenset[str]]) -> dict[str, float]:
    mine = [_complete(result) for result in results]
    first = [frozenset(call.number for call in result.ec_top[:1]) for result in results]
    return {
        "hit_rate": hit_rate(mine, true),
        "f1": sample_f1(mine, true),
        "answered": float(np.mean([bool(answer) for answer in mine])),
        "hit_rate_first_guess": hit_rate(first, true),
    }


def hit_rate(answers: Iterable[frozenset[str]], true: Sequence[frozenset[str]]) -> float:
    """Share of proteins of which at least one answer is one of the true, four-level numbers."""
    return float(np.mean([bool(a & t) for a, t in zip(answers, true, strict=True)]))


def sample_f1(answers: Iterable[frozenset[str]], true: Sequence[frozenset[str]]) -> float:
    """Mean over proteins of 2 |answers & true| / (|answers| + |true|)."""
    return float(np.mean([2 * len(a & t) / (len(a) + len(t)) for a, t in zip(answers, true, strict=True)]))


def confidence(results: Sequence[ECResult], cases: Cases, *, seed: int = 0) -> dict[str, Any]:
    """Calibration over all proteins, enzymes and others: of 'is an enzyme' and of the first guess's number.

    A protein without a true number counts as no enzyme, and whatever is said of it as wrong.
    """
    enzyme_G = np.array([result.enzyme for result in results])
    is_enzyme_G = np.array([bool(true) for true in cases.ec])
    first_G = np.array([result.ec_top[0].confidence if result.ec_top else 0.0 for result in results])
    right_G = np.array(
        [
            bool(result.ec_top) and result.ec_top[0].number in true
            for result, true in zip(results, cases.ec, strict=True)
        ]
    )
    return {
        "proteins": len(results),
        "enzymes": int(is_enzyme_G.sum()),
        "enzyme": _judge(enzyme_G, is_enzyme_G, seed),
        "number": _judge(first_G, right_G, seed),
    }


def calibration_error(p_G: npt.NDArray[np.float64], true_G: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error: mean |mean confidence - share right| over bins of equal mass.

    Ties are broken by position (a stable sort), so that equal confidences may fall into two bins.
    """
    order = np.argsort(p_G, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    gaps = [len(part) * abs(p_G[part].mean() - true_G[part].mean()) for part in bins]
    return float(sum(gaps) / len(p_G))


def _judge(p_G: npt.NDArray[np.float64], true_G: npt.NDArray[np.bool_], seed: int) -> dict[str, Any]:
    """Calibration error with its 95 % bootstrap interval; precision and coverage above two thresholds."""
    rng = np.random.default_rng(seed)
    draws = (rng.integers(0, len(p_G), len(p_G)) for _ in range(RESAMPLES))
    errors = [calibration_error(p_G[draw], true_G[draw]) for draw in draws]
    found: dict[str, Any] = {
        "calibration_error": calibration_error(p_G, true_G),
        "calibration_error_95": [float(np.quantile(errors, q)) for q in (0.025, 0.975)],
    }
    for least in (0.9, 0.5):
        sure = p_G >= least
        precision = float(true_G[sure].mean()) if sure.any() else None
        found[f"at_{least}"] = {"precision": precision, "coverage": float(sure.mean())}
    return found


def _complete(result: ECResult) -> frozenset[str]:
    return frozenset(call.number for call in result.ec if is_complete(call.number))
