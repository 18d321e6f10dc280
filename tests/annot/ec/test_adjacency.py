"""Which EC numbers are neighbours: counted as by hand, and what that says of a gene."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from glm_annot.ec.adjacency import REACH, LabelPairs, runs
from glm_annot.ec.evidence import RANKING_FEATURES, Evidence, SimilarFamily
from glm_annot.ec.head import ECHead, ECHeadConfig
from glm_annot.ec_numbers import ROOT, lineage, node
from glm_annot.records import Contig, Gene, Genome
from glm_annot.training.corpus.tables import Tables
from glm_annot.training.ec.adjacency import PRIOR, GeneRuns, count, gene_runs
from glm_annot.training.ec.calibrate import CalibrationExample, calibrate

pytestmark = pytest.mark.versions
LABELS = ("1.1.1.1", "2.7.1.2", "2.7.1.11")


def strands(*contigs: str) -> Genome:
    """Contigs of genes on these strands; 'x' is a pseudogene."""
    made, index = [], 0
    for number, of in enumerate(contigs):
        genes = []
        for place, strand in enumerate(of):
            extent = 1 + 100 * place, 90 + 100 * place, -1 if strand == "-" else 1
            skip = "pseudogene" if strand == "x" else None
            genes.append(Gene(index, f"g{index}", str(number), *extent, protein="MKV", skip=skip))
            index += 1
        made.append(Contig(str(number), None, False, tuple(genes)))
    return Genome(tuple(made))


def pairs_of(ratios: dict[tuple[int, int], float], unseen: dict[int, float]) -> LabelPairs:
    """Pairs with these ratios, given in one order and known in both."""
    both = sorted({**ratios, **{(e, c): ratio for (c, e), ratio in ratios.items()}}.items())
    pairs = LabelPairs(len(LABELS), len(both))
    firsts = [c for (c, _), _ in both]
    pairs.first_C.copy_(torch.tensor(np.searchsorted(firsts, range(len(LABELS)))))
    pairs.other_N.copy_(torch.tensor([e for (_, e), _ in both]))
    pairs.log_ratio_N.copy_(torch.tensor([math.log(ratio) for _, ratio in both]))
    pairs.log_unseen_C.copy_(torch.tensor([math.log(unseen.get(c, 1.0)) for c in range(len(LABELS))]))
    return pairs


def test_a_run_ends_with_its_strand_and_its_contig() -> None:
    assert runs(strands("++-x-", "--+")) == [0, 0, 1, 1, 2, 2, 3]
    assert runs(strands("")) == []


def test_genes_beside_multiply_the_odds() -> None:
    pairs = pairs_of({(0, 1): 8.0}, unseen={0: 0.5})
    likely = [{}, {1: 0.5}, {1: 0.25, 2: 0.25}]
    found = pairs.support([[0], [0, 1], []], likely, [7, 7, 7])
    assert found[0] == pytest.approx({0: math.log((0.5 * 8 + 0.5) * (0.25 * 8 + 0.25 * 0.5 + 0.5))}, rel=1e-3)
    assert found[1] == pytest.approx({0: math.log(0.25 * 8 + 0.25 * 0.5 + 0.5), 1: 0.0}, rel=1e-3, abs=1e-6)
    assert found[2] == {}


def test_only_near_genes_of_the_run_that_are_enzymes_are_heard() -> None:
    pairs = pairs_of({(0, 1): 8.0}, unseen={})
    nothing = [{}] * REACH
    assert pairs.support([[0], []], [{}, {1: 1.0}], [0, 1]) == [{}, {}]
    assert pairs.support([[0], *nothing, []], [{}, *nothing, {1: 1.0}], [0] * (REACH + 2))[0] == {}
    assert pairs.support([[0], *nothing[1:], []], [{}, *nothing[1:], {1: 1.0}], [0] * (REACH + 1))[0]


def test_probabilities_of_one_protein_add_up_to_one_at_most() -> None:
    pairs = pairs_of({(0, 1): 8.0, (0, 2): 8.0}, unseen={})
    ((found,), _) = (of.values() or (0,) for of in pairs.support([[0], []], [{}, {1: 0.9, 2: 0.9}], [0, 0]))
    assert found == pytest.approx(math.log(8), rel=1e-3)


def test_counts_are_those_of_a_plain_loop() -> None:
    rng = random.Random(0)
    n, n_labels = 400, 6
    genes = GeneRuns(
        np.array([rng.randrange(-1, 60) for _ in range(n)]),
        np.sort(np.array([rng.randrange(60) for _ in range(n)])),
        np.repeat([1.0, 0.5], n // 2),
    )
    labels_of = {p: rng.sample(range(n_labels - 1), rng.choice([1, 1, 2])) for p in range(0, 60, 2)}
    seen, places, chance = defaultdict(float), [0.0] * n_labels, [0.0] * n_labels
    for g in range(n):
        own = labels_of.get(int(genes.protein_G[g]), [])
        for c in own:
            chance[c] += genes.weight_G[g] / len(own) / genes.weight_G.sum()
        for h in range(n):
            if 0 < abs(g - h) <= REACH and genes.run_G[g] == genes.run_G[h]:
                others = labels_of.get(int(genes.protein_G[h]), [])
                for c in own:
                    places[c] += genes.weight_G[g] / len(own)
                    for e in others:
                        # a pair counts what the first of its genes does; runs lie within genomes, but here
                        seen[c, e] += genes.weight_G[min(g, h)] / len(own) / len(others)
    found = count(genes, labels_of, n_labels)
    ratios = found._ratios()
    assert {(c, e) for c, of in enumerate(ratios) for e in of} == set(seen)
    for (c, e), times in seen.items():
        expected = (times + PRIOR * chance[e]) / ((places[c] + PRIOR) * chance[e])
        assert ratios[c][e] == pytest.approx(expected, rel=2e-3)
    unseen = [math.log(PRIOR / (of + PRIOR)) for of in places]
    torch.testing.assert_close(found.log_unseen_C, torch.tensor(unseen), check_dtype=False)
    assert found.log_unseen_C[-1] == 0  # of a number that no gene has


def test_genomes_of_one_genus_count_as_one() -> None:
    tables = Tables(
        pa.table({"genome": [0, 1, 2, 3, 4], "genus": ["Bacillus", "Bacillus", "?", "?", "Vibrio"]}),
        pa.table({"contig": range(5), "genome": range(5)}),
        pa.table(
            {
                "contig": [0, 0, 0, 1, 2, 3, 4],
                "strand": [1, 1, -1, -1, -1, 1, 1],
                "protein": [5, 6, 7, 8, 9, 10, 11],
            }
        ),
        pa.table({}),
    )
    found = gene_runs(tables, without={4})
    assert found.protein_G.tolist() == [5, 6, 7, 8, 9, 10]
    assert found.weight_G.tolist() == [0.5, 0.5, 0.5, 0.5, 1.0, 1.0]
    assert np.diff(found.run_G).tolist() == [0, 1, 1, 1, 1]


def test_features_are_those_of_the_best_number_under_a_node_and_of_its_best_rival() -> None:
    beside = {node("2.7.1.2"): 1.5, node("2.7.1.11"): -2.0, node("1.1.1.1"): 0.5}
    evidence = Evidence(100, beside=beside)
    places = [RANKING_FEATURES.index(name) for name in ("beside", "beside_rival")]

    def of(*step: str) -> list[float]:
        return [evidence.ranking_features([step])[0][place] for place in places]

    assert of("2", "7", "1", "11") == [-2.0, 1.5]
    assert of("2") == [1.5, 0.5]
    assert of(*ROOT) == [1.5, 0.0]
    assert of("3") == [0.0, 1.5]
    assert Evidence(100).ranking_features([("2",)])[0][1:] == [0.0, 0.0]


def test_calibration_learns_to_trust_the_genes_beside() -> None:
    """Two numbers look alike by themselves, and a sure neighbour tells which it is."""
    config = ECHeadConfig(LABELS, profiles=1, pairs=2)
    head = ECHead(config).eval().requires_grad_(False)
    head.pairs.load_state_dict(pairs_of({(0, 1): 30.0}, unseen={2: 0.2}).state_dict())

    def family(label: str, similarity: float) -> SimilarFamily:
        return SimilarFamily(similarity, frozenset(lineage(label)), (LABELS.index(label),))

    either = Evidence(300, (family("1.1.1.1", 0.5), family("2.7.1.11", 0.5)))
    sure, none = Evidence(300, (family("2.7.1.2", 0.9),)), Evidence(300)
    examples = []
    for run in range(60):
        examples += [
            CalibrationExample(either, ("1.1.1.1",), 0, run),
            CalibrationExample(sure, ("2.7.1.2",), 0, run),
        ]
        examples += [
            CalibrationExample(either, (LABELS[2 * (run % 2)],), 0, 60 + run),
            CalibrationExample(none, (), 0, 60 + run),
        ]
    calibrate(head, examples)
    (gene, _) = head.with_neighbours([either, sure], [0, 0])
    (found,) = head.judge([gene], min_confidence=0.5)
    assert found.ec_top[0].number == "1.1.1.1" and found.ec_top[0].confidence > 0.8
    for other, run in ((none, 0), (sure, 1)):
        (gene, _) = head.with_neighbours([either, other], [0, run])
        (found,) = head.judge([gene], min_confidence=0.5)
        assert found.ec_top[0].confidence < 0.7
    (called,) = head.judge(head.with_neighbours([either, sure], [0, 0])[:1], min_confidence=0.8)
    assert called.evidence == "neighbours"


def test_what_was_said_of_neighbours_before_does_not_count() -> None:
    head = ECHead(ECHeadConfig(LABELS, profiles=1)).eval().requires_grad_(False)
    evidence = Evidence(300, (SimilarFamily(0.5, frozenset(lineage("1.1.1.1")), (0,)),))
    once = head.with_neighbours([evidence, evidence], [0, 0])
    again = head.with_neighbours([replace(one, beside={node("1.1.1.1"): 5.0}) for one in once], [0, 0])
    assert again == once
