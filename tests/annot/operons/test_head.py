"""The operon head on contigs whose answers are known by hand."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glm_annot.operons.evidence import LinkEvidence
from glm_annot.operons.features import (
    AXIS_POINTS,
    CONSERVED,
    GEOMETRY,
    GapTables,
    Track,
    gap_counts,
    gap_histograms,
    geometry,
)
from glm_annot.operons.head import (
    BoostedTrees,
    OperonHead,
    OperonHeadConfig,
    attention_features,
    call_operons,
    pair_probabilities,
)
from glm_annot.records import Contig, Gene, Genome, OperonCall, Skip

Layout = list[tuple[int, int, int]]  # start, end, strand
PRIOR = np.full((3, AXIS_POINTS), 1 / AXIS_POINTS)


def contig_of(
    layout: Layout, *, length: int = 100_000, circular: bool = False, name: str = "c", first: int = 0
) -> Contig:
    genes = (
        Gene(first + i, f"g{i}", name, start, end, strand, protein="M")
        for i, (start, end, strand) in enumerate(layout)
    )
    return Contig(name, length, circular, tuple(genes))


@st.composite
def layouts(draw: st.DrawFn, least: int = 2) -> Layout:
    """Genes of 100 to 1000 bases with gaps of -20 to 400 on random strands."""
    layout, at = [], 500
    for _ in range(draw(st.integers(least, 14))):
        end = at + draw(st.integers(100, 1000)) - 1
        layout.append((at, end, draw(st.sampled_from((1, -1)))))
        at = end + 1 + draw(st.integers(-20, 400))
    return layout


def head_by_gap(longest: float, attention: int = 0) -> OperonHead:
    """Log-odds +2 for gaps up to `longest` bases, else -2."""
    head = OperonHead(OperonHeadConfig(attention, trees=1, nodes=3))
    trees = head.layout
    trees.feature_TN[0, 0] = GEOMETRY.index("gap_0")
    trees.threshold_TN[0, 0] = float(np.log1p(longest / 20))
    trees.children_TN2[0] = torch.tensor([[1, 2], [1, 1], [2, 2]])
    trees.value_TN[0] = torch.tensor([0.0, 2.0, -2.0])
    head.gap_prior_3K.copy_(torch.from_numpy(PRIOR))
    return head


def features_of(contig: Contig) -> dict[str, list[float]]:
    (x_PF,) = geometry([Track.of(contig)], PRIOR)
    return {name: x_PF[:, column].tolist() for column, name in enumerate(GEOMETRY)}


def test_pairs_of_contigs() -> None:
    layout = [(1, 100, 1), (150, 300, 1), (297, 500, 1)]
    assert contig_of(layout).pairs == ((0, 1), (1, 2))
    assert contig_of(layout, circular=True).pairs == ((0, 1), (1, 2), (2, 0))
    assert contig_of(layout[:1], circular=True).pairs == ()
    assert Track.of(contig_of(layout)).gap.tolist() == [49, -4]


def test_gap_over_the_origin_of_a_circle() -> None:
    """A gene of 20 bases from 991 on ends on base 10 of the next lap, ten bases before the first gene."""
    circle = contig_of([(21, 100, 1), (991, 1010, 1)], length=1000, circular=True)
    assert Track.of(circle).gap.tolist() == [890, 10]


def test_a_gap_begins_where_the_longest_gene_before_it_ends() -> None:
    nested = [(1, 900, 1), (300, 500, 1), (911, 1200, 1)]
    assert Track.of(contig_of(nested)).gap.tolist() == [-601, 10]
    over_origin = [(40, 60, 1), (111, 300, 1), (900, 1100, 1)]
    assert Track.of(contig_of(over_origin, length=1000, circular=True)).gap.tolist() == [10, 599, -61]


def test_features_follow_the_direction_of_transcription() -> None:
    forward = features_of(contig_of([(1, 300, 1), (311, 900, 1), (1000, 1100, 1), (1500, 2000, -1)]))
    assert forward["same_-1"] == [0, 1, 1] and forward["same_1"] == [1, 0, 0]
    assert forward["strand_2"] == [1, -1, 0]
    assert forward["gap_1"][0] == pytest.approx(np.log1p(99 / 20))
    assert np.exp(forward["length_0"][:2]) == pytest.approx([300, 590])
    assert np.expm1(forward["run_upstream"]) == pytest.approx([0, 1, 2])


def test_gap_is_judged_beside_the_genome_s_own() -> None:
    """A gap of 60 is long where most genes are 5 apart, and short where most are 300 apart."""

    def rank(usual: int) -> float:
        starts = np.cumsum([1000 + usual] * 80)
        layout = [(int(s), int(s) + 999, 1) for s in starts]
        last = layout[-1][1]
        layout.append((last + 61, last + 1000, 1))
        return features_of(contig_of(layout))["rank_0"][-1]

    assert rank(5) > 0.7 and rank(300) < 0.4


@given(layouts())
def test_tandem_features_survive_turning_the_contig_round(layout: Layout) -> None:
    turned = [(100_001 - end, 100_001 - start, -strand) for start, end, strand in reversed(layout)]
    track = Track.of(contig_of(layout))
    (there,) = geometry([track], PRIOR)
    (back,) = geometry([Track.of(contig_of(turned))], PRIOR)
    np.testing.assert_allclose(there[track.same], back[::-1][track.same], atol=1e-9)


@given(layouts(), st.integers(1, 13))
def test_features_survive_moving_the_origin(layout: Layout, genes: int) -> None:
    k = genes % len(layout)
    length = layout[-1][1] + 100
    shift = layout[k][0] - 1
    moved = [*layout[k:], *((s + length, e + length, d) for s, e, d in layout[:k])]
    moved = [(start - shift, end - shift, strand) for start, end, strand in moved]
    local = [name != "density" for name in GEOMETRY]  # density does not look past the origin
    (before,) = geometry([Track.of(contig_of(layout, length=length, circular=True))], PRIOR)
    (after,) = geometry([Track.of(contig_of(moved, length=length, circular=True))], PRIOR)
    np.testing.assert_allclose(np.roll(before, -k, axis=0)[:, local], after[:, local], atol=1e-9)


def test_log_odds_favour_the_gaps_of_tandem_genes() -> None:
    layout, at = [], 1
    for number in range(400):
        layout.append((at, at + 899, 1 if number // 4 % 2 else -1))
        at += 900 + (10 if number % 4 < 3 else 200)
    tables = GapTables.of(gap_histograms(gap_counts([Track.of(contig_of(layout))])), PRIOR)
    near, far = tables.log_odds(np.array([10.0, 200.0]))
    assert near > 1 and far < -1


def test_a_part_is_judged_by_the_gaps_of_the_whole_genome() -> None:
    layouts = [[(1, 300, 1), (300 + gap, 600 + gap, 1), (900, 1200, -1)] for gap in (5, 40, 200)]
    tracks = [Track.of(contig_of(layout)) for layout in layouts]
    counts_3K = gap_counts(tracks[:1]) + gap_counts(tracks[1:])
    assert np.array_equal(counts_3K, gap_counts(tracks)) and counts_3K.sum(1).tolist() == [3, 3, 0]
    whole = geometry(tracks, PRIOR)
    assert np.array_equal(geometry(tracks[1:2], PRIOR, counts_3K)[0], whole[1])
    assert not np.array_equal(geometry(tracks[1:2], PRIOR)[0], whole[1])


def test_trees_by_hand() -> None:
    """x0 <= 1 ? 5 : (x1 <= 0 ? 7 : 9), and a second tree that adds 1 to everything."""
    trees = BoostedTrees(2, 5)
    trees.feature_TN[0] = torch.tensor([0, 0, 1, 0, 0])
    trees.threshold_TN[0] = torch.tensor([1.0, 0, 0, 0, 0])
    trees.children_TN2[0] = torch.tensor([[1, 2], [1, 1], [3, 4], [3, 3], [4, 4]])
    trees.value_TN[0] = torch.tensor([0.0, 5, 0, 7, 9])
    trees.value_TN[1, 0] = 1.0
    trees.start.fill_(0.5)
    x_PF = torch.tensor([[1.0, 3.0], [2.0, 0.0], [2.0, 0.1]])
    assert trees(x_PF).tolist() == [6.5, 8.5, 10.5]


def test_probabilities_of_linear_circular_and_bare_contigs() -> None:
    layout = [(1, 300, 1), (320, 600, 1), (610, 900, -1), (1100, 1400, -1)]
    yes, no = 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))
    contigs = [
        contig_of(layout),
        contig_of(layout, length=1420, circular=True),
        contig_of([]),
        contig_of(layout[:1]),
    ]
    linear, circle, bare, lone = head_by_gap(50).predict(contigs)
    assert linear == pytest.approx([yes, 0, no])
    assert circle == pytest.approx([yes, 0, no, 0])
    assert len(bare) == len(lone) == 0


def test_genes_that_are_not_read_are_no_neighbours() -> None:
    genes = [Gene(i, f"g{i}", "c", 1 + 400 * i, 390 + 400 * i, 1, protein="M") for i in range(3)]
    genes[1] = Gene(1, "g1", "c", 401, 790, 1, skip=Skip.PSEUDOGENE)
    contig = Contig("c", 2000, False, tuple(genes))
    probabilities = head_by_gap(50).predict([contig])
    assert list(pair_probabilities([contig], probabilities)) == [(0, 2)]
    assert probabilities[0][0] < 0.5


def test_calibration_is_applied() -> None:
    head = head_by_gap(50)
    head.calibration.copy_(torch.tensor([0.5, -1.0]))
    (probability,) = head.predict([contig_of([(1, 300, 1), (320, 600, 1)])])
    assert probability == pytest.approx([0.5])  # 0.5 * 2 - 1 = 0


def test_attention_raises_the_probability() -> None:
    head = head_by_gap(50, attention=2)
    head.attention.weight_F[1] = 3.0  # second head, the pair itself
    contig = contig_of([(1, 300, 1), (320, 600, 1)])
    low, high = (head.predict([contig], [np.array([[0.5, a]])])[0][0] for a in (0.01, 0.02))
    odds = high / (1 - high) / (low / (1 - low))
    assert odds == pytest.approx((0.0201 / 0.0101) ** 3)


def test_attention_up_and_downstream() -> None:
    attention_P1 = np.array([[0.1], [0.2], [0.4]])
    forward = contig_of([(1, 9, 1), (11, 19, 1), (21, 29, 1), (31, 39, 1)])
    middle = np.exp(attention_features(Track.of(forward), attention_P1))[1] - 1e-4
    assert middle == pytest.approx([0.2, 0.1, 0.4])
    reverse = contig_of([(1, 9, -1), (11, 19, -1), (21, 29, -1), (31, 39, -1)])
    rows = np.exp(attention_features(Track.of(reverse), attention_P1)) - 1e-4
    assert rows[1] == pytest.approx([0.2, 0.4, 0.1])
    assert rows[2] == pytest.approx([0.4, 0.4, 0.2])  # nothing upstream: its own again


def test_attention_that_is_missing_or_of_another_genome() -> None:
    contig = contig_of([(1, 300, 1), (320, 600, 1)])
    with pytest.raises(ValueError, match="needs the attention"):
        head_by_gap(50, attention=2).predict([contig])
    with pytest.raises(ValueError, match="2 rows of attention for 1 pairs"):
        head_by_gap(50, attention=2).predict([contig], [np.ones((2, 2))])


def test_trees_read_what_the_memory_says() -> None:
    head = head_by_gap(50)
    head.config = OperonHeadConfig(trees=1, nodes=3, conserved=True)
    head.layout.feature_TN[0, 0] = head.config.features.index("beside")
    head.layout.threshold_TN[0, 0] = 2.5
    head.check()
    contig = contig_of([(1, 300, 1), (320, 600, 1), (620, 900, 1)])
    said = np.zeros((2, len(CONSERVED)))
    said[1, CONSERVED.index("beside")] = 3
    (few, many) = head.logits([Track.of(contig)], conserved=[said])[0]
    assert (few, many) == (2.0, -2.0)
    with pytest.raises(ValueError, match="needs what its memory"):
        head.predict([contig])


def test_head_survives_its_files() -> None:
    head = head_by_gap(50, attention=2)
    head.attention.weight_F.uniform_(-1, 1)
    again = OperonHead(OperonHeadConfig(**json.loads(json.dumps(asdict(head.config)))))
    again.load_state_dict(head.state_dict())
    contig, attention = contig_of([(1, 300, 1), (320, 600, 1)]), [np.array([[0.3, 0.1]])]
    assert again.predict([contig], attention)[0] == head.predict([contig], attention)[0]


def operons_of(contig: Contig, probabilities: list[float]) -> tuple[OperonCall, ...]:
    pairs = pair_probabilities([contig], [np.array(probabilities)])
    return call_operons(Genome((contig,)), pairs)


def test_runs_of_links_are_operons() -> None:
    layout = [(1, 90, 1), (101, 190, 1), (201, 290, 1), (301, 390, -1), (401, 495, -1), (480, 490, -1)]
    first, second = operons_of(contig_of(layout), [0.9, 0.5, 0.0, 0.3, 0.8])
    assert first == OperonCall("glm_operon_0001", "c", (0, 1, 2), 1, 290, 1, 0.5, None, 1.0)
    assert second == OperonCall("glm_operon_0002", "c", (4, 5), 401, 495, -1, 0.8, 0.7, None)


def test_operons_tell_their_evidence() -> None:
    contig = contig_of([(1, 90, 1), (101, 190, 1), (201, 290, 1)])
    evidence = {(0, 1): LinkEvidence(True, None, 9), (1, 2): LinkEvidence(True, True, 4)}
    (operon,) = call_operons(Genome((contig,)), {(0, 1): 0.9, (1, 2): 0.8}, evidence=evidence)
    assert operon.evidence == ("gap", "promoter", "conserved:4")


def test_operon_over_the_origin() -> None:
    layout = [(10, 90, 1), (101, 190, 1), (301, 390, 1), (901, 990, 1)]
    (operon,) = operons_of(contig_of(layout, length=1000, circular=True), [0.9, 0.2, 0.1, 0.7])
    assert operon == OperonCall("glm_operon_0001", "c", (3, 0, 1), 901, 1190, 1, 0.7, 0.9, 0.8)


def test_operon_all_round_a_circle() -> None:
    layout = [(10, 90, 1), (101, 190, 1), (301, 390, 1)]
    circle = contig_of(layout, length=400, circular=True)
    (closed,) = operons_of(circle, [0.9, 0.8, 0.7])
    assert (closed.genes, closed.start, closed.end) == ((0, 1, 2), 10, 390)
    assert closed.start_confidence is None and closed.end_confidence is None
    (broken,) = operons_of(circle, [0.9, 0.25, 0.7])
    assert (broken.genes, broken.start, broken.end) == ((2, 0, 1), 301, 590)
    assert broken.start_confidence == broken.end_confidence == 0.75


def test_operons_are_numbered_along_the_file() -> None:
    layout = [(1, 90, 1), (101, 190, 1)]
    contigs = (contig_of(layout, name="z"), contig_of([], name="none"), contig_of(layout, name="a", first=2))
    calls = call_operons(Genome(contigs), {(0, 1): 0.6, (2, 3): 0.7})
    assert [(call.id, call.contig) for call in calls] == [("glm_operon_0001", "z"), ("glm_operon_0002", "a")]
    assert call_operons(Genome(contigs), {(0, 1): 0.6, (2, 3): 0.7}, threshold=0.8) == ()


@given(layouts(least=1), st.booleans(), st.randoms(use_true_random=False))
def test_operons_hold_all_links_and_no_others(layout: Layout, circular: bool, random: object) -> None:
    contig = contig_of(layout, circular=circular)
    genes = contig.coding
    tandem = [genes[a].strand == genes[b].strand for a, b in contig.pairs]
    probabilities = [random.random() if same else 0.0 for same in tandem]  # type: ignore[attr-defined]
    pairs = pair_probabilities([contig], [np.array(probabilities)])
    operons = call_operons(Genome((contig,)), pairs)
    members = [gene for operon in operons for gene in operon.genes]
    assert len(members) == len(set(members))
    inside = {pair for operon in operons for pair in zip(operon.genes, operon.genes[1:], strict=False)}
    links = {pair for pair, probability in pairs.items() if probability >= 0.5}
    whole_circle = circular and len(members) == len(genes) and len(operons) == 1
    assert links - inside <= ({(genes[-1].index, 0)} if whole_circle else set())
    assert inside <= links
