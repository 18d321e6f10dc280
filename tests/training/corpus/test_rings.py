"""Rings of relatives, and the sets of genomes that are drawn by them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glm_annot.errors import InputError
from glm_annot.training.corpus import rings, sets
from glm_annot.training.recipe import CorpusSection
from glm_annot.training.run.stages import sets_file

GENOMES = [np.arange(10), np.arange(1, 11), np.arange(5, 15), np.arange(4), np.arange(50, 60)]


def test_a_share_is_of_the_smaller_genome() -> None:
    shares = rings.shares(GENOMES)
    for a, one in enumerate(GENOMES):
        for b, other in enumerate(GENOMES):
            expected = len(np.intersect1d(one, other)) / min(len(one), len(other))
            assert shares[a, b] == pytest.approx(expected), (a, b)


def test_rings_leave_out_relatives_and_always_the_genome_itself() -> None:
    shares = rings.shares(GENOMES)
    assert rings.left_out(shares, 0, "near").tolist() == [True, False, False, False, False]
    assert rings.left_out(shares, 0, "genus").tolist() == [True, True, False, True, False]
    assert rings.left_out(shares, 0, "far").tolist() == [True, True, True, True, False]


def test_a_table_of_families_names_each_protein_once(tmp_path: Path) -> None:
    path = tmp_path / "families.parquet"
    pq.write_table(pa.table({"protein": [1, 0], "cluster": [4, 5], "family": [8, 9]}), path)
    assert rings.read_families(path, 2)["family"].to_pylist() == [9, 8]
    with pytest.raises(InputError, match="each of the 3 proteins exactly once"):
        rings.read_families(path, 3)
    pq.write_table(pa.table({"protein": [0], "cluster": [4]}), path)
    with pytest.raises(InputError, match="no column 'family'"):
        rings.read_families(path, 1)


def test_the_sets_that_ship_are_apart() -> None:
    shipped = sets.read(sets_file(CorpusSection(tables="corpus", sets="shared"), Path("nowhere")))
    assert len(shipped.test) == 30 and len(shipped.calibrate) == 20
    phyla = {why.rsplit(", ", 1)[1] for why in shipped.test.values()}
    assert len(phyla) >= 8
    orders = [why.rsplit("(", 1)[1].split(",")[0] for why in shipped.test.values()]
    assert max(map(orders.count, orders)) <= 2
    assert 452 in shipped.left_out and not {100, 178, 229} & set(shipped.untrained)
    splits = shipped.splits
    assert sorted(splits) == sorted({*shipped.test, *shipped.calibrate, *shipped.relatives})


def test_sets_are_read_as_written_and_name_no_genome_twice(tmp_path: Path) -> None:
    path, made = tmp_path / "sets.json", sets.Sets(3, {1: "a"}, {2: "b"}, {3: "c"}, {4: "d"})
    sets.write(made, path)
    assert sets.read(path) == made
    sets.write(sets.Sets(3, {1: "a"}, {1: "b"}), path)
    with pytest.raises(InputError, match="names genome 1 twice"):
        sets.read(path)
    path.write_text("{}")
    with pytest.raises(InputError, match="no file of sets"):
        sets.read(path)
    with pytest.raises(InputError, match="cannot be read"):
        sets.read(tmp_path / "absent.json")
