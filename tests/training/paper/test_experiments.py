"""The suite 'paper', statistic by statistic: perfect and random predictors, attention made by hand."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from glm_annot.errors import GlmAnnotError
from glm_annot.model.glm import GLMOutput
from glm_annot.records import Contig, Gene, Genome
from glm_annot.training.evaluate.tables import around
from glm_annot.training.glm.windows import GeneOrder, Spans, WindowReader
from glm_annot.training.operons.data import LabelledGenome
from glm_annot.training.operons.fit import OperonExample
from tests.support.paths import ROOT
from tests.support.tiny import GLM_SIZES, tiny

pytest.importorskip("statsmodels", reason="the extra 'paper' is not installed")

from glm_annot.training.paper import attention as paper_attention
from glm_annot.training.paper import exclusion, inputs, maps, page, probes
from glm_annot.training.paper import masked as paper_masked

D = GLM_SIZES.input_dim - 1


def order_of(*lengths: int) -> GeneOrder:
    n = sum(lengths)
    return GeneOrder(np.arange(n), np.ones(n, np.int64), np.zeros(n, bool), np.cumsum([0, *lengths]))


def genome_of(n: int, strands: str = "") -> Genome:
    strand = [1 if s == "+" else -1 for s in (strands or "+" * n)]
    genes = (
        Gene(i, f"g{i}", "c", 100 * i + 1, 100 * i + 90, strand[i], f"t{i}", f"nam{i}", protein="MKV")
        for i in range(n)
    )
    return Genome((Contig("c", 100 * n, False, tuple(genes)),))


class ByPlace(nn.Module):
    """Says of every slot what the label of that slot is, or noise: all windows of the test are alike."""

    def __init__(self, labels_TL: Tensor, noise: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.labels_TL, self.noise = labels_TL, noise

    def forward(self, x_BTE: Tensor, real_BT: Tensor) -> GLMOutput:
        B, T, _ = x_BTE.shape
        predictions = self.labels_TL[None, :, None].expand(B, T, 4, -1).clone()
        logits = torch.tensor([9.0, 0, 0, 0]).expand(B, T, 4)
        if self.noise:
            generator = torch.Generator().manual_seed(1)
            predictions = self.labels_TL[torch.randint(T, (B, T, 4), generator=generator)]
            logits = torch.randn(B, T, 4, generator=generator)
        return GLMOutput(predictions, logits)


def same_everywhere(windows: int) -> tuple[WindowReader, Tensor]:
    """A genome whose windows of 30 genes hold the same 30 embeddings; and their labels."""
    embeddings = np.tile(np.random.default_rng(0).normal(size=(30, D)), (windows, 1)).astype(np.float32)
    reader = WindowReader(order_of(30 * windows), embeddings, tiny().features)
    return reader, reader.read(Spans(np.array([0]), np.array([30]))).labels_BTL[0]


class TestMaskedGenes:
    def test_a_perfect_predictor(self) -> None:
        reader, labels_TL = same_everywhere(20)
        table = paper_masked.by_length(ByPlace(labels_TL, noise=False), reader, most=30, seed=0)
        row = table.set_index("length").loc[30]
        assert (
            row[["pseudo_accuracy", "absolute_accuracy", "confident_share", "confident_accuracy"]].eq(1).all()
        )
        assert row["regression"] == pytest.approx(0, abs=1e-9)
        assert row["windows"] == 20 and row["chance"] == pytest.approx(1 / 30)

    def test_a_random_predictor_is_right_by_chance(self) -> None:
        reader, labels_TL = same_everywhere(60)
        spans = paper_masked.windows_of(reader.order, 30)
        found = paper_masked.figures(
            paper_masked.outcomes(ByPlace(labels_TL, noise=True), reader, spans, seed=0)
        )
        assert found["absolute_accuracy_low"] < 1 / 30 < found["absolute_accuracy_high"]
        assert found["pseudo_accuracy_low"] < 1 - (29 / 30) ** 4 < found["pseudo_accuracy_high"]

    def test_windows_have_the_length_asked_for_and_stay_in_their_contig(self) -> None:
        spans = paper_masked.windows_of(order_of(11, 4, 5), 5)
        assert spans.first_W.tolist() == [0, 5, 15] and spans.length_W.tolist() == [5, 5, 5]

    def test_intervals_and_confident_ones(self) -> None:
        """Wilson's interval of 8 of 10: 0.490 to 0.943 (Newcombe 1998's formula, worked by hand)."""
        right = np.array([True] * 8 + [False] * 2)
        likelihood = np.array([0.8] * 5 + [0.7] * 5)
        outcomes = paper_masked.Outcomes(right, right, likelihood, np.full(10, 0.1), np.zeros(3))
        row = paper_masked.figures(outcomes)
        assert (row["absolute_accuracy_low"], row["absolute_accuracy_high"]) == pytest.approx(
            (0.4902, 0.9433), abs=1e-4
        )
        assert row["confident_share"] == 0.5 and row["confident_accuracy"] == 1.0

    def test_nobody_confident_has_no_accuracy(self) -> None:
        none = np.zeros(4, bool)
        outcomes = paper_masked.Outcomes(none, none, np.full(4, 0.3), np.full(4, 0.1), np.zeros(3))
        row = paper_masked.figures(outcomes)
        assert row["confident_share"] == 0 and "confident_accuracy" not in row

    def test_reliability(self) -> None:
        likelihood = np.array([0.31] * 10 + [0.92] * 10)
        right = np.array([True] * 3 + [False] * 7 + [True] * 9 + [False])
        outcomes = paper_masked.Outcomes(right, right, likelihood, likelihood, np.zeros(3))
        table = paper_masked.accuracy_by_likelihood(outcomes)
        assert table["genes"].tolist() == [10, 10]
        assert table["right"].tolist() == pytest.approx([0.3, 0.9])
        assert table["likelihood"].tolist() == pytest.approx([0.31, 0.92])
        assert table["low"].tolist() == pytest.approx([0.3, 0.9])


def operon_example(n: int = 300, *, truth: bool = True) -> OperonExample:
    """Operons of three genes. Heads: noise, the truth, the truth turned round, a constant."""
    rng = np.random.default_rng(0)
    label = np.array([(i + 1) % 3 != 0 for i in range(n - 1)], np.int8)
    known = label if truth else rng.permutation(label)
    attention = np.stack([rng.random(n - 1), known, 1.0 - known, np.full(n - 1, 0.2)], axis=1)
    return OperonExample(LabelledGenome("made", genome_of(n), (label,)), [attention.astype(np.float32)])


class TestAttention:
    def test_hand_made_heads(self) -> None:
        table = paper_attention.correlations(paper_attention.Pairs.of(operon_example()), heads=2)
        assert table[["layer", "head"]].to_numpy().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
        assert table["rho"].tolist()[1:3] == pytest.approx([1, -1])
        assert np.isnan(table["rho"][3]) and np.isnan(table["p_adjusted"][3])
        assert abs(table["rho"][0]) < 0.2 and not table["significant"][0]
        assert table["significant"].tolist() == [False, True, True, False]
        # Bonferroni over the three heads that have a correlation.
        assert table["p_adjusted"][0] == pytest.approx(min(1.0, 3 * table["p"][0]))
        assert paper_attention.best_head(table) == 1

    def test_attention_that_knows_operons_finds_them_all(self) -> None:
        pairs = paper_attention.Pairs.of(operon_example())
        scores = paper_attention.cross_validate(pairs, seed=0)
        table = paper_attention.figures(scores, pairs.label_N).set_index(["folds", "method"])
        for folds in (paper_attention.SHUFFLED, paper_attention.BY_REGION):
            for method in ("attention of all heads", "both", "best head alone"):
                assert table.loc[(folds, method), "ap"] == pytest.approx(1)
                assert table.loc[(folds, method), "auroc_pooled"] == pytest.approx(1)

    def test_attention_that_knows_nothing_is_chance(self) -> None:
        pairs = paper_attention.Pairs.of(operon_example(900, truth=False))
        scores = paper_attention.cross_validate(pairs, seed=0)
        table = paper_attention.figures(scores, pairs.label_N).set_index(["folds", "method"])
        row = table.loc[(paper_attention.BY_REGION, "attention of all heads")]
        assert row["chance"] == pytest.approx(2 / 3, abs=0.01)
        assert row["ap"] == pytest.approx(2 / 3, abs=0.06) and row["auroc"] == pytest.approx(0.5, abs=0.07)

    def test_the_best_head_is_chosen_on_the_other_folds(self) -> None:
        """Each head is right in one region and wrong elsewhere: none is worth anything where it is chosen."""
        label = np.tile([0, 1], 50)
        region = np.repeat(np.arange(5), 20)
        sign = np.where(region[:, None] == np.arange(5), 10.0, -0.1)
        attention = (sign * (label[:, None] - 0.5)).astype(np.float32)
        pairs = paper_attention.Pairs(label, attention, np.zeros((100, 3)), region, np.arange(100))
        scores = paper_attention.cross_validate(pairs, seed=0)
        table = paper_attention.figures(scores, label).set_index(["folds", "method"])
        assert table.loc[(paper_attention.BY_REGION, "best head alone"), "auroc"] == 0
        silent = paper_attention.best_alone(np.ones((4, 2)), np.array([0, 1, 0, 1]), [(np.arange(4),) * 2])
        assert silent.tolist() == [0, 0, 0, 0]

    def test_regions_are_stretches_and_each_pair_is_judged_once(self) -> None:
        pairs = paper_attention.Pairs.of(operon_example())
        assert (np.diff(pairs.region_N) >= 0).all() and set(pairs.region_N) == set(range(5))
        for scores in paper_attention.cross_validate(pairs, seed=0):
            assert len(scores.score_N) == len(pairs.label_N)
            if scores.folds == paper_attention.BY_REGION:
                assert scores.fold_N.tolist() == pairs.region_N.tolist()
            else:
                assert (np.diff(scores.fold_N) != 0).sum() > 20

    def test_unlabelled_pairs_are_left_out_and_places_kept(self) -> None:
        example = operon_example(30)
        example.genome.labels[0][3] = -1
        pairs = paper_attention.Pairs.of(example)
        assert pairs.place_N.tolist() == [0, 1, 2, *range(4, 29)]

    def test_curve(self) -> None:
        perfect = paper_attention.precision_recall(np.array([1, 1, 0, 0]), np.array([0.9, 0.8, 0.2, 0.1]))
        assert perfect["precision"].eq(1).all() and perfect["recall"].iloc[-1] == 1
        half = paper_attention.precision_recall(np.array([1, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1]))
        at = half.set_index(half["recall"].round(2))["precision"]
        assert at[0.5] == 1 and at[0.51] == pytest.approx(2 / 3) and at[1.0] == pytest.approx(2 / 3)

    def test_examples_are_named_and_wholly_labelled(self) -> None:
        example = operon_example(70)
        example.genome.labels[0][20] = -1  # in the second stretch
        chosen = paper_attention.example_windows(example, seed=0)
        assert len(chosen) == 3 and (0, 14) not in chosen
        pairs = paper_attention.Pairs.of(example)
        scores = paper_attention.cross_validate(pairs, seed=0)[0]
        table = paper_attention.example_table(example, pairs, scores, 1, chosen)
        assert len(table) == 42 and table["label"].isna().sum() == 3
        first = table[table["window"] == 1]
        assert first["name"].iloc[0] == f"nam{chosen[0][1]}"
        known = first["label"].dropna().to_numpy()
        np.testing.assert_array_equal(first["attention"].dropna(), known)  # head 1 is the truth
        assert ((first["probability"].dropna() > 0.5) == known).all()


def proteins_of(n: int, classes: int = 3) -> tuple[probes.ProbeProteins, np.ndarray]:
    """Proteins of some classes in turn, one in three for testing; and one-hot features of the class."""
    ec = [f"1.1.1.{1 + i % classes}" for i in range(n)]
    test = np.arange(n) // classes % 3 == 0
    proteins = probes.ProbeProteins.of(ec, test, np.arange(n))
    return proteins, np.eye(classes)[np.arange(n) % classes]


class TestProbes:
    def test_features_that_hold_the_answer(self) -> None:
        proteins, x = proteins_of(180)
        probed = probes.Probed("gLM layer 1", False, probes.probe(x, proteins, seed=0))
        assert probed.probability_RNC.shape == (5, 60, 3)
        table = probes.accuracies([probed], proteins)
        assert table["accuracy"].tolist()[1:] == [1.0] * 5
        assert table["accuracy"][0] == pytest.approx(1 / 3)
        curve, averages = probes.curves([probed], proteins)
        assert averages["map"][0] == pytest.approx(1) and curve["precision"].eq(1).all()

    def test_features_that_say_nothing(self) -> None:
        proteins, _ = proteins_of(900)
        x = np.random.default_rng(0).normal(size=(900, 4))
        probed = probes.Probed("noise", False, probes.probe(x, proteins, seed=0))
        summary = probes.summary(probes.accuracies([probed], proteins), {})
        assert summary["accuracy"][1] == pytest.approx(1 / 3, abs=0.08) and summary["repeats"][1] == 5
        assert probes.curves([probed], proteins)[1]["map"][0] == pytest.approx(1 / 3, abs=0.08)

    def test_same_seed_same_probes_and_repeats_differ(self) -> None:
        proteins, _ = proteins_of(90)
        x = np.random.default_rng(0).normal(size=(90, 4))
        one, two = (probes.probe(x, proteins, seed=3) for _ in range(2))
        np.testing.assert_array_equal(one, two)
        assert not np.array_equal(one[0], one[1])

    def test_only_classes_with_both_sides_are_probed(self) -> None:
        ec = ["1.1.1.1"] * 5 + ["1.1.1.2"] * 5 + ["1.1.1.3"] * 3
        test = np.array([True, False, False, False, False, *[False] * 5, True, False, False])
        proteins = probes.ProbeProteins.of(ec, test, np.arange(13))
        assert proteins.classes.tolist() == ["1.1.1.1"] and proteins.rows_N.tolist() == [0, 1, 2, 3, 4]

    def test_f1_per_class(self) -> None:
        """Of three classes, one is learnt by context alone, one by both, one has too few test proteins."""
        proteins, _ = proteins_of(108)
        truth = np.tile(np.arange(3), 12)
        right = np.eye(3)[truth]
        wrong = right.copy()
        wrong[truth == 0] = [0.0, 0.0, 1.0]  # class 0 taken for class 2
        noise = np.random.default_rng(0).random((5, 36, 3)) * 0.01
        before = probes.Probed("encoder", False, (wrong + noise).astype(np.float32))
        after = probes.Probed("gLM layer 1", False, (right + noise).astype(np.float32))
        table = probes.compare_classes(before, after, proteins).set_index("ec")
        assert table["before"].tolist() == pytest.approx([0, 1, 2 / 3])
        assert table["after"].tolist() == [1, 1, 1]
        assert table["differs"].tolist() == [True, False, True]
        assert table["test"].tolist() == [12, 12, 12]
        few, _ = proteins_of(90)  # ten test proteins a class: not more than ten
        assert not len(probes.compare_classes(*two_random(few), few))

    def test_a_layer_is_validated_on_groups_that_did_not_train_it(self) -> None:
        """A class whose only group is judged cannot be known; the test proteins are not looked at."""
        proteins, x = proteins_of(180)
        pairs = probes.ProbeProteins(
            proteins.rows_N, proteins.ec_N, proteins.is_test_N, proteins.group_N // 6
        )
        assert probes.validate(x, pairs, seed=0) == 1
        x[proteins.is_test_N] = np.nan
        assert probes.validate(x, pairs, seed=0) == 1
        alone = probes.ProbeProteins(
            proteins.rows_N, proteins.ec_N, proteins.is_test_N, np.arange(180) % 3
        )  # group = class
        assert probes.validate(x, alone, seed=0) == 0

    def test_benjamini_and_hochberg(self) -> None:
        """p = .01 .04 .03 .5 of four tests: adjusted .04, .0533, .0533, .5 by hand."""
        table = probes.adjust(pd.DataFrame({"p": [0.01, 0.04, 0.03, 0.5]}))
        assert table["p_adjusted"].tolist() == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
        assert table["differs"].tolist() == [True, False, False, False]

    def test_best_layer(self) -> None:
        """Test accuracy does not choose it."""
        rows = [("encoder", False, 0.9), ("gLM layer 1", False, 0.5), ("gLM layer 2", False, 0.6)]
        table = pd.DataFrame(
            [*rows, ("gLM layer 1", True, 0.3)], columns=["features", "masked", "validation"]
        )
        table["accuracy"] = [0.1, 0.9, 0.2, 0.1]
        assert probes.best(table, masked=False) == "gLM layer 2"
        assert probes.best(table, masked=True) == "gLM layer 1"


def two_random(proteins: probes.ProbeProteins) -> tuple[probes.Probed, probes.Probed]:
    n, c = int(proteins.is_test_N.sum()), len(proteins.classes)
    random = np.random.default_rng(0).random((5, n, c)).astype(np.float32)
    return probes.Probed("a", False, random), probes.Probed("b", False, random)


class TestStates:
    def test_a_gene_is_read_where_it_is_most_central(self) -> None:
        order = order_of(40, 7)
        spans = inputs.centred(order, np.array([0, 20, 39, 40, 46]), 30)
        assert spans.first_W.tolist() == [0, 5, 10, 40, 40]
        assert spans.length_W.tolist() == [30, 30, 30, 7, 7]

    def test_states_are_those_of_the_network_with_that_gene_masked(self) -> None:
        model = tiny()
        embeddings = np.random.default_rng(0).normal(size=(20, D)).astype(np.float32)
        reader = WindowReader(order_of(12, 8), embeddings, model.features)
        rows = np.array([3, 15])
        batch = reader.read(Spans(np.array([0, 12]), np.array([12, 8])))
        for masked in (False, True):
            states = inputs.hidden_states(model.glm, reader, rows, masked=masked)
            x_BTE = batch.x_BTE.clone()
            if masked:
                x_BTE[0, 3], x_BTE[1, 3] = -1.0, -1.0
            expected = model.glm(x_BTE, batch.real_BT, hidden_states=True).hidden_states
            for layer, h_BTF in enumerate(expected):
                np.testing.assert_allclose(states[layer], h_BTF[:, 3].detach(), atol=2e-3)

    def test_surroundings_leave_the_gene_itself_out(self) -> None:
        embeddings = np.arange(10, dtype=np.float32)[:, None]
        around = inputs.surroundings(order_of(6, 4), embeddings, np.array([2, 6]), reach=1)
        assert around[:, 0].tolist() == [2.0, 7.5]  # (1 + 3) / 2; at the edge (7 + 8) / 2


class TestMaps:
    def test_neighbours_of_a_map_of_classes_are_of_the_class(self) -> None:
        genes = pd.DataFrame(
            {"contig": ["c"] * 80, "position": range(80), "ec_class": [str(1 + i % 4) for i in range(80)]}
        )
        random = np.random.default_rng(0)
        by_class = 10 * np.eye(4)[np.arange(80) % 4] + 0.01 * random.normal(size=(80, 4))
        by_place = np.arange(80)[:, None].astype(float)
        table = maps.neighbour_agreement({"class": by_class, "place": by_place}, genes, seed=0).set_index(
            "features"
        )
        assert table.loc["class", "same_class"] == 1 and table.loc["place", "same_place"] == 1
        assert table.loc["class", "same_class_chance"] == pytest.approx(19 / 79, abs=0.05)
        assert table.loc["class", "same_place"] < 0.5

    def test_distances_within_families_follow_context(self) -> None:
        rng = np.random.default_rng(0)
        around, noise = rng.normal(size=(60, 5)), rng.normal(size=(60, 5))
        enzymes = pd.DataFrame(
            {
                "ec": ["1.1.1.1"] * 60,
                "group": [i % 6 for i in range(60)],
                "genome": [i // 6 for i in range(60)],
            }
        )
        members = maps.families(enzymes)
        assert [len(rows) for rows in members] == [10] * 6
        table = maps.context_follows({"encoder": noise, "gLM layer 1": 3 * around}, around, members)
        summary = maps.context_summary(table, "encoder").set_index("features")
        assert summary.loc["gLM layer 1", "rho"] == pytest.approx(1)
        assert abs(summary.loc["encoder", "rho"]) < 0.2
        assert summary.loc["encoder", "p_change"] == 1
        assert summary.loc["gLM layer 1", "p_change"] == pytest.approx(2 / 2**6)  # all six of one sign

    def test_families_need_members_in_several_genomes(self) -> None:
        enzymes = pd.DataFrame(
            {"ec": ["1.1.1.1"] * 9, "group": [0] * 9, "genome": [0, 0, 0, 0, 0, 0, 1, 2, 3]}
        )
        assert maps.families(enzymes) == []


def test_windows_left_out_are_counted() -> None:
    order = order_of(30, 30, 30)
    order.near_G[:16] = order.near_G[30:45] = True
    spans = Spans(np.array([0, 30, 60]), np.array([30, 30, 30]))
    assert exclusion.near_shares(order, spans).tolist() == pytest.approx([16 / 30, 0.5, 0])
    table = pd.DataFrame({"genes": [90, 10], "near": [31, 0], "windows": [3, 1], "left_out": [1, 0]})
    assert exclusion.total(table) == {
        **{"genomes": 2, "genes": 100, "near": 31, "windows": 4, "left_out": 1},
        "left_out_share": 0.25,
    }


def test_the_page_of_the_documentation_has_markers() -> None:
    before, after = around(ROOT / "docs" / "paper.md", page.MARKERS)
    assert before.startswith("# ") and "## Where" in after


def test_without_the_extra_one_line_says_what_to_install(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import glm_annot.training
    from glm_annot.training.cli import cli

    for name in [name for name in sys.modules if name.startswith("glm_annot.training.paper")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "statsmodels", None)
    for name in [name for name in sys.modules if name.startswith("statsmodels.")]:
        monkeypatch.delitem(sys.modules, name)

    monkeypatch.delattr(glm_annot.training, "paper", raising=False)
    arguments = ["evaluate", "--suite", "paper", "--model", str(tiny_bundle), "--data", str(tmp_path)]
    result = CliRunner().invoke(cli, [*arguments, "-o", str(tmp_path / "paper")])
    assert isinstance(result.exception, GlmAnnotError)
    assert "needs statsmodels" in str(result.exception) and "train,paper" in str(result.exception)
