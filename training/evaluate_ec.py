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
from glm_annot.ec import ECResult
from glm_annot.ec_numbers import is_complete
from glm_annot.errors import GlmAnnotError
from glm_annot.homology import Reference
from glm_annot.records import Genome

from . import diamond
from .ec_head import Reader
from .ec_labels import Labelled, numbers, read_labelled
from .ec_sources import lone_genes
from .heldout import HeldOut

BENCHMARKS = ("CARE-30", "CARE-30-50", "New-392")
BENCHMARK_TRUST, GENOME_TRUST = 2, 3  # tiers of labelled proteins that DIAMOND searches
MIN_CONFIDENCE = 0.5  # the program's default threshold
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
    found: dict[str, Any] = {"min_confidence": MIN_CONFIDENCE}
    references = {
        trust: read_labelled(
            data / "ec" / "labelled.parquet", held_out=held_out.all, updates={}, max_trust=trust
        )
        for trust in (BENCHMARK_TRUST, GENOME_TRUST)
    }
    for name in BENCHMARKS:
        cases = read_benchmark(data / "ec" / f"{name}.tsv")
        found[name] = _measure(model, lone_genes(cases.proteins), cases, references[BENCHMARK_TRUST], threads)
    cases = of_genome(k12)
    found["K-12 enzymes"] = _measure(model, k12, cases, references[GENOME_TRUST], threads)
    found["K-12 confidence"] = confidence(predict(model, k12), cases)
    labelled = _as_reference(references[GENOME_TRUST])
    found["K-12 confidence, with reference"] = confidence(predict(model, k12, labelled, threads), cases)
    return found


def _measure(
    model: Model, genome: Genome, cases: Cases, labelled: Sequence[Labelled], threads: int
) -> dict[str, Any]:
    """Figures without and with the labelled proteins as a reference, and DIAMOND's with the same."""
    figures = compare(predict(model, genome), cases, labelled, threads=threads)
    reference = _as_reference(labelled)
    with_reference = compare(predict(model, genome, reference, threads), cases, labelled, threads=threads)
    del with_reference["diamond"], with_reference["proteins"]
    return {**figures, "with_reference": with_reference}


def _as_reference(labelled: Sequence[Labelled]) -> Reference:
    return Reference(tuple(p.sequence for p in labelled), tuple(p.ec for p in labelled))


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


def predict(
    model: Model, genome: Genome, reference: Reference | None = None, threads: int = 1
) -> list[ECResult]:
    """EC numbers of all coding genes of a genome, at the default threshold."""
    if model.ec is None:
        raise GlmAnnotError(f"the model {model.name} has no EC head to measure")
    proteins = [gene.protein or "" for contig in genome.contigs for gene in contig.coding]
    states = Reader(model, model.ec.config.layers)(genome)
    homologues = reference.homologues(proteins, threads=threads) if reference else None
    return model.ec.predict(proteins, *states, homologues, min_confidence=MIN_CONFIDENCE)


def compare(
    results: Sequence[ECResult], cases: Cases, reference: Sequence[Labelled], *, threads: int = 1
) -> dict[str, Any]:
    """Hit rates and F1 of the enzymes among some proteins, by the head and by DIAMOND's best hit."""
    enzymes = cases.enzymes
    true = [cases.ec[place] for place in enzymes]
    hits = diamond.best_hits(
        (cases.proteins[place] for place in enzymes),
        (protein.sequence for protein in reference),
        threads=threads,
    )
    by_diamond = [
        frozenset(reference[hits[row]].ec) if row in hits else frozenset() for row in range(len(true))
    ]
    mine = [_complete(results[place]) for place in enzymes]
    first = [frozenset(call.number for call in results[place].ec_top[:1]) for place in enzymes]
    return {
        "proteins": len(enzymes),
        "hit_rate": hit_rate(mine, true),
        "f1": sample_f1(mine, true),
        "answered": float(np.mean([bool(answer) for answer in mine])),
        "hit_rate_first_guess": hit_rate(first, true),
        "diamond": {"hit_rate": hit_rate(by_diamond, true), "f1": sample_f1(by_diamond, true)},
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
