"""The enzyme dataset: labels carried over by search, whole identity groups for training or testing."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from glm_annot.errors import InputError
from glm_annot.training.cli import cli
from glm_annot.training.corpus.tables import read_tables
from glm_annot.training.ec.dataset import DatasetOptions, Enzyme, build, identity_groups, split
from glm_annot.training.ec.labels import read_labelled
from tests.support.made_corpus import ORGANISMS, write_data
from tests.support.made_genomes import ancestors, make_genome

needs_diamond = pytest.mark.skipif(shutil.which("diamond") is None, reason="DIAMOND is not installed")


def test_whole_groups_test_and_the_largest_trains() -> None:
    ec = ["1.1.1.1"] * 10 + ["2.2.2.2"] * 4 + ["3.3.3.3"] * 4
    group = np.array([0] * 6 + [1, 1, 2, 3] + [4] * 4 + [5, 5, 6, 6])
    for seed in range(20):
        is_test = split(ec, group, seed=seed)
        assert all(len(set(is_test[group == g])) == 1 for g in range(7))
        assert not is_test[group == 0].any()
        assert 1 <= is_test[:10].sum() <= 3  # at most 30 % of the class
        assert not is_test[10:14].any()  # one group: nothing to test with
        assert is_test[14:].sum() == 2  # nothing fits into 30 %: the smallest group tests
    drawn = {tuple(split(ec, group, seed=seed).tolist()) for seed in range(20)}
    assert len(drawn) > 1


@needs_diamond
def test_groups_are_chains_of_alike_proteins_of_one_class() -> None:
    unrelated = ancestors(3, seed=1, length=120)
    near = make_genome("X y", [unrelated[0], unrelated[0], unrelated[1], unrelated[0]], 5, mutated=0.2)
    proteins = [gene.protein for gene in near.genes]
    ec = ["1.1.1.1", "1.1.1.1", "1.1.1.1", "2.2.2.2"]
    enzymes = [Enzyme(n, 0, 0, n, ec[n], protein) for n, protein in enumerate(proteins)]
    group = identity_groups(enzymes)
    assert group[0] == group[1] != group[2]
    assert group[3] not in group[:3]  # alike, but of another class


@needs_diamond
def test_a_dataset_knows_the_truth(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    labelled = read_labelled(data / "ec" / "labelled.parquet", held_out=(), updates={})
    record = build(
        read_tables(data / "corpus"), labelled, tmp_path / "out", options=DatasetOptions(genomes=6)
    )
    assert record["genomes"] == 6 and record["train"] + record["test"] == record["proteins"] > 60
    with (tmp_path / "out" / "proteins.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    families = {row["sequence"]: row["ec"] for row in rows}
    truth = {protein.sequence: protein.ec[0] for protein in labelled}
    # Each protein descends from the ancestor that is most alike, residue by residue.
    for sequence, ec in families.items():
        alike = max(truth, key=lambda a: sum(x == y for x, y in zip(a, sequence, strict=True)))
        assert truth[alike] == ec
    train = {row["group"] for row in rows if row["split"] == "train"}
    assert train.isdisjoint(row["group"] for row in rows if row["split"] == "test")
    with (tmp_path / "out" / "genomes.tsv").open() as stream:
        listed = list(csv.DictReader(stream, delimiter="\t"))
    assert {row["genome"] for row in rows} <= {row["genome"] for row in listed} and len(listed) == 6


@needs_diamond
def test_command(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    arguments = [
        "ec-dataset",
        "--corpus",
        str(data / "corpus"),
        "--labelled",
        str(data / "ec/labelled.parquet"),
    ]
    out = ["-o", str(tmp_path / "out"), "--genomes", "0", "--exclude", "0"]
    result = CliRunner().invoke(cli, [*arguments, "--ec-names", str(data / "ec/ec_names.tsv"), *out])
    assert result.exit_code == 0, result.output
    assert f"{len(ORGANISMS) - 1} genomes" in result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("classes.tsv", "dataset.json", "genomes.tsv", "proteins.tsv")
    ]


@needs_diamond
def test_no_class_with_two_groups_is_said(tmp_path: Path) -> None:
    data = write_data(tmp_path)
    labelled = read_labelled(data / "ec" / "labelled.parquet", held_out=(), updates={})[::2]
    with pytest.raises(InputError, match=r"none of .* can test"):
        build(read_tables(data / "corpus"), labelled, tmp_path / "out", options=DatasetOptions(genomes=4))
