"""From a corpus to families, a memory, and what both say of masked genes."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from glm_annot.errors import InputError
from glm_annot.model.neighbours.names import Fact
from glm_annot.training.evaluate.context import evaluate_context, table_lines
from glm_annot.training.evaluate.neighbours.hints import evaluate_hints, lines
from glm_annot.training.glm.families import make_families, read_families
from glm_annot.training.glm.train import read_embeddings
from glm_annot.training.memory.build import Places, build_memory, filled_memory
from glm_annot.training.memory.names import corpus_facts
from glm_annot.training.memory.neighbours import fit_neighbours, read_neighbours, save_neighbours
from tests.training.memory.conftest import FAMILIES, GENES


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


def test_near_relatives_of_the_first_of_a_group_vote_with_it_and_chains_make_a_lineage() -> None:
    families = [
        range(10),
        range(2, 12),
        range(4, 14),
    ]  # each has 8 of the 10 before it, the third 6 of the first
    n = 10 * len(families)
    places = Places(
        family_N=np.concatenate([np.array(of) for of in families]),
        strand_N=np.ones(n, np.int64),
        gap_N=np.zeros(n, np.int64),
        first_C=np.arange(0, n + 1, 10),
        genome_C=np.arange(len(families)),
    )
    memory, _ = filled_memory(places, 3, 14)
    assert memory.group_M.tolist() == [0, 0, 1]
    assert memory.lineage_M is not None and memory.lineage_M.tolist() == [0, 0, 0]


def test_genomes_of_a_corpus_state_ec_numbers(corpus: Path) -> None:
    make_families(corpus, read_embeddings(corpus))
    families = read_families(corpus)
    for name, column, values in (
        ("genomes", "source", [f"owner/name:folder/{n}.gff" for n in "abcdef"]),
        ("genes", "ec", ["2.5.1.9;1.1.1.-", "2.5.1.9", *[None] * (6 * GENES - 2)]),
    ):
        path = corpus / f"{name}.parquet"
        pq.write_table(pq.read_table(path).append_column(column, [values]), path)
    first, second = families.family_N[:2].tolist()
    assert corpus_facts(corpus, families, {"2.5.1.9": "2.5.1.78"}) == sorted(
        (Fact(family, "a.gff", "", "", "2.5.1.78", 1) for family in (first, second)),
        key=lambda fact: fact.family,
    )


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
    nearness = table["nearness"]  # the others share all families; in the other rings nobody is left
    assert list(nearness) == ["0.0-0.1", "0.9-1.0"] and nearness["0.9-1.0"]["first"] > 0.9
    assert nearness["0.0-0.1"]["first"] < 0.5 and nearness["0.9-1.0"]["low"] == pytest.approx(0.9)


def test_no_neighbours_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make them with `glm-train neighbours`"):
        read_neighbours(tmp_path)


def test_names_are_fitted_and_come_back(corpus: Path, tmp_path: Path) -> None:
    make_families(corpus, read_embeddings(corpus))
    facts = [Fact(family, "a", "", f"product {family // 2}", "", 1) for family in range(FAMILIES)]
    said: list[str] = []
    fitted = fit_neighbours(corpus, facts=facts, report=said.append)
    assert any("fitted to a single genome" in line for line in said)  # so that none measures them
    assert fitted is not None
    save_neighbours(fitted, tmp_path / "fitted")
    found = read_neighbours(tmp_path / "fitted")
    assert found.names == fitted.names and len(found.names) == FAMILIES
    assert found.hints is not None and fitted.hints is not None
    assert torch.equal(found.hints.label_NF, fitted.hints.label_NF)
    assert all(torch.equal(found.state_dict()[key], value) for key, value in fitted.state_dict().items())
    model = SimpleNamespace(neighbours=fitted, predictor=None)
    fitted.hints.least_K.fill_(0.0)  # everything is shown
    table = evaluate_hints(corpus, model, split="valid", report=lambda line: None)
    assert table["known"]["near"]["genes"] == GENES - 4 and table["stranger"]["near"]["genes"] == 4
    assert table["stranger"]["near"]["precision"] == 0.0  # of no family: every name is wrong
    assert table["known"]["near"]["precision"] > 0.9 and table["unnamed"]["near"]["genes"] == 0
    by_neighbours = [of["genes"] for by, of in table["known"].items() if "neighbours" in by]
    assert sum(by_neighbours) == GENES - 4
    assert table["without a name"]["far"]["genes"] == GENES
    assert len(lines(table)) == 1 + 6 * 7
