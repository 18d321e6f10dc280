"""Which threshold of the families lets the memory tell most."""

from __future__ import annotations

from pathlib import Path

import pytest

from glm_annot.training.glm.families import Families, make_families, read_families, write_families
from glm_annot.training.glm.train import read_embeddings
from glm_annot.training.memory import threshold as thresholds
from glm_annot.training.memory.threshold import THRESHOLDS, choose_threshold


def _silent(line: str) -> None:
    pass


def test_the_strictest_that_finds_enough_is_taken(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing above 0.8, most at 0.52, and nearly as much at 0.64."""
    found = {0.8: 0.1, 0.76: 0.2, 0.72: 0.22, 0.68: 0.28, 0.64: 0.305, 0.6: 0.31, 0.56: 0.315, 0.52: 0.32}

    def right_guesses(_: Path, families: Families, *others: object) -> float:
        return found.get(round(float(families.table.nearest), 2), 0.0)

    monkeypatch.setattr(thresholds, "_right_guesses", right_guesses)
    embeddings_ND = read_embeddings(corpus)
    make_families(corpus, embeddings_ND)
    chosen = choose_threshold(corpus, read_families(corpus), embeddings_ND, report=_silent)
    assert float(chosen.table.nearest) == pytest.approx(0.64)
    figures = write_families(corpus, chosen)
    assert figures["threshold"] == pytest.approx(0.64) and figures["given_their_family"] == 1.0
    kept = read_families(corpus)
    assert float(kept.table.nearest) == pytest.approx(0.64)
    assert (kept.family_N == chosen.family_N).all()


def test_among_strains_of_one_species_relatives_vote(corpus: Path) -> None:
    """All genomes share all their families here, so the genus ring leaves none."""
    embeddings_ND = read_embeddings(corpus)
    make_families(corpus, embeddings_ND)
    said: list[str] = []
    after = choose_threshold(corpus, read_families(corpus), embeddings_ND, report=said.append)
    assert float(after.table.nearest) == pytest.approx(THRESHOLDS[0])
    assert len(said) == 2 * len(THRESHOLDS)
    assert "finds 0.0000" in said[0] and "finds 0.0000" not in said[len(THRESHOLDS)]


def test_without_any_genome_that_votes_it_stays(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thresholds, "_right_guesses", lambda *_: 0.0)
    embeddings_ND = read_embeddings(corpus)
    make_families(corpus, embeddings_ND)
    before = read_families(corpus)
    after = choose_threshold(corpus, before, embeddings_ND, report=_silent)
    assert float(after.table.nearest) == float(before.table.nearest)


def test_a_looser_threshold_gives_more_proteins_a_family(corpus: Path) -> None:
    make_families(corpus, read_embeddings(corpus))
    families = read_families(corpus)
    none = families.table.none
    loose, strict = families.with_threshold(-1.0), families.with_threshold(1.5)
    assert (loose.family_N < none).all() and (strict.family_N == none).all()
    assert (loose.family_N == families.nearest_N).all()
    assert float(families.table.nearest) not in (-1.0, 1.5)  # that of the first stays its own
