"""The line that a run ends with: right counts, in words, one and several."""

from __future__ import annotations

import pytest

from glm_annot.cli.summary import Summary
from glm_annot.errors import InputError
from glm_annot.overview import Overview
from glm_annot.records import Contig, ECCall, Gene, GenePrediction, Genome, OperonCall, Predictions, Skip
from tests.support.fakes import PROVENANCE

CALLED = {  # number in the file, called number
    "new": ("", "1.1.1.1"),
    "same": ("1.1.1.1", "1.1.1.1"),
    "prefix": ("1.1.1.1", "1.1.-.-"),
    "conflict": ("1.1.1.1", "2.7.1.2"),
    "missed": ("1.1.1.1", ""),
    "none": ("", ""),
}


def line(*kinds: str, skips: tuple[Skip, ...] = (), operons: int = 0) -> str:
    called = [CALLED[kind] for kind in kinds]
    genes = [
        Gene(i, str(i), "c", 100 * i + 1, 100 * i + 90, 1, ec=(file,) if file else (), protein="M" * 30)
        for i, (file, _) in enumerate(called)
    ]
    # a skipped gene has EC numbers, too: nothing was looked for there
    genes += [Gene(90 + i, "s", "c", 9000, 9090, 1, ec=("1.1.1.1",), skip=s) for i, s in enumerate(skips)]
    genome = Genome((Contig("c", 9999, False, tuple(genes)),))
    predictions = {
        i: GenePrediction((ECCall(number, 0.9),) if number else (), enzyme=0.9)
        for i, (_, number) in enumerate(called)
    }
    calls = (OperonCall("glm_operon_0001", "c", (0, 1), 1, 190, 1, 0.9),) * operons
    summary = Summary("x.gff3", Overview.of([genome]))
    for _ in summary.watched([(genome, Predictions(predictions, {}, calls, PROVENANCE))]):
        pass
    return str(summary)


def test_several_of_each() -> None:
    kinds = ("new", "new", "same", "prefix", "conflict", "conflict", "missed", "none")
    skips = (Skip.PSEUDOGENE, Skip.PSEUDOGENE, Skip.TOO_SHORT)
    assert line(*kinds, skips=skips, operons=2) == (
        "x.gff3: 11 genes (3 skipped: 2 pseudogenes, 1 too short); new EC numbers for 2 genes, 2 agree with "
        "the file, 2 differ, 1 in the file only; 2 operons"
    )


def test_one_of_each() -> None:
    assert line("new", "same", "conflict", skips=(Skip.PSEUDOGENE,), operons=1) == (
        "x.gff3: 4 genes (1 skipped: 1 pseudogene); new EC numbers for 1 gene, 1 agrees with the file, "
        "1 differs, 0 in the file only; 1 operon"
    )


@pytest.mark.parametrize("skip", Skip)
def test_every_reason_has_words(skip: Skip) -> None:
    assert "1 skipped: 1 " in line("new", skips=(skip,))


def test_standard_input_is_named() -> None:
    assert str(InputError("the file is empty", "-")) == "standard input: the file is empty"
