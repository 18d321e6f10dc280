"""From a corpus to families, a memory, and what both say of masked genes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from glm_annot.errors import InputError
from glm_annot.model.neighbours.names import Fact
from glm_annot.training.evaluate.context import evaluate_context, table_lines
from glm_annot.training.glm.families import make_families, read_families
from glm_annot.training.glm.train import read_embeddings
from glm_annot.training.memory.build import build_memory
from glm_annot.training.memory.neighbours import fit_neighbours, read_neighbours, save_neighbours

FAMILIES, D, GENES = 20, 12, 40


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Six genomes of one contig: the same 20 families twice in one order, two genomes in another."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(FAMILIES + 4, D))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    orders = [np.tile(rng.permutation(FAMILIES), 2) for _ in range(2)]
    splits = ["train", "train", "train", "train", "valid", "test"]
    family = np.concatenate([orders[genome % 3 == 2].copy() for genome in range(6)])
    family[GENES * 4 : GENES * 4 + 4] = np.arange(FAMILIES, FAMILIES + 4)  # seen in no training genome
    embeddings = centres[family] + 0.05 * rng.normal(size=(len(family), D))
    n = len(family)
    numbers = [10 * (genome + 1) for genome in range(6)]
    tables = {
        "genomes": pa.table({"genome": numbers, "split": splits}),
        "contigs": pa.table({"contig": range(6), "genome": numbers}),
        "genes": pa.table(
            {
                "contig": np.repeat(np.arange(6), GENES),
                "protein": np.arange(n, dtype=np.int32),
                "strand": np.ones(n, np.int8),
                "start": 1 + 1000 * np.arange(n, dtype=np.int32),
                "end": 1000 * np.arange(n, dtype=np.int32) + np.where(np.arange(n) % 2, 993, 1004),
            }
        ),
        "proteins": pa.table(
            {
                "protein": np.arange(n, dtype=np.int32),
                "cluster": np.arange(n, dtype=np.int32),
                "family": (family * 7).astype(np.int32),
                "near_heldout": np.zeros(n, bool),
            }
        ),
    }
    for name, table in tables.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    np.save(tmp_path / "embeddings.npy", embeddings.astype(np.float16))
    return tmp_path


def test_proteins_get_their_family_and_strangers_none(corpus: Path) -> None:
    figures = make_families(corpus, read_embeddings(corpus))
    assert figures["families"] == FAMILIES
    assert figures["given_their_family"] == figures["given_none"] == 1.0
    found = read_families(corpus)
    groups = pq.read_table(corpus / "proteins.parquet")["family"].to_numpy()
    of_group: dict[int, set[int]] = {}
    for group, family in zip(groups.tolist(), found.family_N.tolist(), strict=True):
        of_group.setdefault(group, set()).add(family)
    assert all(len(families) == 1 for families in of_group.values())
    strangers = groups[GENES * 4 : GENES * 4 + 4].tolist()
    assert {family for group in strangers for family in of_group[group]} == {found.table.none}
    torch.testing.assert_close(found.table.centroids_FD.norm(dim=1), torch.ones(FAMILIES))


def test_the_largest_families_are_kept(corpus: Path) -> None:
    assert make_families(corpus, read_embeddings(corpus), most=7)["families"] == 7
    assert read_families(corpus).table.config.families == 7


def test_families_of_other_embeddings_are_refused(corpus: Path) -> None:
    with pytest.raises(InputError, match="glm-train families"):
        read_families(corpus)
    make_families(corpus, read_embeddings(corpus))
    record = json.loads((corpus / "families.json").read_text())
    (corpus / "families.json").write_text(json.dumps(record | {"encoder": "another"}))
    with pytest.raises(InputError, match="another encoder"):
        read_families(corpus)


def test_a_memory_holds_every_gene_and_groups_relatives(corpus: Path) -> None:
    make_families(corpus, read_embeddings(corpus))
    built = build_memory(corpus, read_families(corpus))
    assert built.memory.family_N.tolist() == read_families(corpus).family_N.tolist()
    assert built.memory.first_C.tolist() == list(range(0, 6 * GENES + 1, GENES))
    assert built.genomes.tolist() == [10, 20, 30, 40, 50, 60]
    assert built.memory.gap_N[:4].tolist() == [-4, 7, -4, 7]  # gaps of -4 and 7 bases in turn
    assert built.memory.group_M.unique().numel() == 1  # all share their families
    assert built.seen_by(5, "near").reshape(6, GENES).any(1).tolist() == [True] * 5 + [False]
    assert not built.seen_by(5, "genus").any()
    order = built.order_of(3)
    assert order.protein_G.tolist() == list(range(3 * GENES, 4 * GENES))
    assert order.first_C.tolist() == [0, GENES] and set(order.strand_G.tolist()) == {1}


def test_neighbours_tell_the_families_where_relatives_are_seen(corpus: Path) -> None:
    make_families(corpus, read_embeddings(corpus))
    found = evaluate_context(corpus, report=lambda line: None)
    assert found["near"]["memory"]["first"] > 0.9 and found["genus"]["memory"]["first"] == 0.0
    assert len(table_lines(found)) == 4
    with pytest.raises(InputError, match="no genomes in the split 'none'"):
        evaluate_context(corpus, split="none", report=lambda line: None)


def test_a_mixture_is_fitted_and_comes_back(corpus: Path, tmp_path: Path) -> None:
    make_families(corpus, read_embeddings(corpus))
    fitted = fit_neighbours(corpus, report=lambda line: None)
    save_neighbours(fitted, tmp_path / "fitted")
    found = read_neighbours(tmp_path / "fitted")
    assert found.config == fitted.config and found.head is None
    assert all(torch.equal(found.state_dict()[key], value) for key, value in fitted.state_dict().items())
    assert (found.quantiles_Q.diff() >= 0).all()
    table = evaluate_context(corpus, neighbours=tmp_path / "fitted", report=lambda line: None)
    assert table["near"]["mixture"]["first"] > 0.9
    assert 0 <= table["near"]["mixture"]["calibration_error"] <= 1
    assert "calibration_error" not in table["near"]["memory"]


def test_no_neighbours_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make them with `glm-train neighbours`"):
        read_neighbours(tmp_path)


def test_names_are_fitted_and_come_back(corpus: Path, tmp_path: Path) -> None:
    make_families(corpus, read_embeddings(corpus))
    facts = [Fact(family, "a", "", f"product {family // 2}", "", 1) for family in range(FAMILIES)]
    said: list[str] = []
    fitted = fit_neighbours(corpus, facts=facts, report=said.append)
    assert sum("whose family's name is" in line for line in said) == 2
    save_neighbours(fitted, tmp_path / "fitted")
    found = read_neighbours(tmp_path / "fitted")
    assert found.names == fitted.names and len(found.names) == FAMILIES
    assert found.hints is not None and fitted.hints is not None
    assert torch.equal(found.hints.label_NF, fitted.hints.label_NF)
    assert all(torch.equal(found.state_dict()[key], value) for key, value in fitted.state_dict().items())
