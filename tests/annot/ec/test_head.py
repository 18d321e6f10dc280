import json
import math
import random
import shutil
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from glm_annot import ec_numbers
from glm_annot.ec.adjacency import LabelPairs
from glm_annot.ec.evidence import (
    ENZYME_FEATURES,
    RANKING_FEATURES,
    Evidence,
    Homologue,
    SimilarFamily,
    by_node,
    spans,
)
from glm_annot.ec.head import ECHead, ECHeadConfig, ECResult, LinearHead
from glm_annot.ec_numbers import LEVELS, ROOT, ancestry, node
from glm_annot.errors import GlmAnnotError
from glm_annot.records import Contig, ECCall, Gene, Genome
from glm_annot.training.corpus.heldout import HeldOut
from glm_annot.training.corpus.tables import Tables
from glm_annot.training.ec import fit as ec_fit
from glm_annot.training.ec import sources as ec_sources
from glm_annot.training.ec.calibrate import NEARLY, THRESHOLDS, CalibrationExample, calibrate
from glm_annot.training.ec.families import all_labels, families, head_of
from glm_annot.training.ec.labels import Labelled
from glm_annot.training.ec.linear import fit_linear
from glm_annot.training.ec.profiles import rarity
from glm_annot.training.evaluate import audit, scores

needs_tools = pytest.mark.skipif(
    shutil.which("mmseqs") is None or shutil.which("diamond") is None,
    reason="MMseqs2 and DIAMOND are not installed",
)
LABELS = ("1.1.1.1", "2.7.1.2", "2.7.1.11", "2.7.4.-", "6.3.5.7")
NOTHING = np.zeros((9, 0), np.float32)


def protein(seed: int, length: int = 150) -> str:
    return "M" + "".join(random.Random(seed).choices("ACDEFGHIKLMNPQRSTVWY", k=length - 1))


def mutated(sequence: str, share: float, seed: int) -> str:
    rng = random.Random(seed)
    return "".join(rng.choice("ACDEFGHIKLMNPQRSTVWY") if rng.random() < share else c for c in sequence)


def even_head(config: ECHeadConfig) -> ECHead:
    """A head that gives even odds for an enzyme, and ten times that if all of the families say so.

    A candidate gets its share of what is said for it. One above the last level gets something only where no
    number under it is a candidate."""
    head = ECHead(config).eval().requires_grad_(False)
    for parameter in head.enzyme.parameters():
        torch.nn.init.zeros_(parameter)
    head.enzyme.direct.weight[0, ENZYME_FEATURES.index("share")] = float(np.log(10))
    head.ranking.weight_SF[:, RANKING_FEATURES.index("log_said")] = 1.0
    head.ranking.bias_S[:LEVELS] = torch.tensor([-90.0, -80.0, -70.0, -60.0])
    return head


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("2.7.1.2", True), ("2.7.1.n3", True), ("2.-.-.-", True), ("2.7.-.-", True)]
    + [(bad, False) for bad in ("-.-.-.-", "2.7.1", "2.-.1.2", "8.1.1.1", "2.7.1.2.3", "2.7.1.x", "")],
)
def test_what_an_ec_number_is(text: str, wanted: bool):
    assert ec_numbers.is_number(text) is wanted


def test_numbers_and_nodes_are_each_others_inverse():
    for text in LABELS:
        assert ec_numbers.number(ec_numbers.node(text)) == text
    assert ancestry(["2.7.4.-"]) == {(), ("2",), ("2", "7"), ("2", "7", "4")}
    assert ancestry([]) == frozenset()


def test_labels_are_ordered_field_by_field():
    shuffled = ["6.3.5.7", "2.7.4.-", "2.7.1.11", "1.1.1.1", "2.7.1.2"]
    assert tuple(sorted(shuffled, key=ec_numbers.sort_key)) == LABELS
    with pytest.raises(ValueError, match="in order"):
        ECHeadConfig(("2.7.1.11", "2.7.1.2"))


def test_configuration_survives_json():
    config = ECHeadConfig(
        LABELS, (0, 2), hidden_dim=8, embedding_dim=4, profiles=2, entries=3, profile_labels=2
    )
    assert ECHeadConfig(**json.loads(json.dumps(asdict(config)))) == config


def test_a_class_is_as_likely_as_all_numbers_under_it():
    probability_C = np.array([0.1, 0.3, 0.2, 0.1, 0.05], np.float32)
    found = by_node(probability_C, LABELS, spans(LABELS))
    assert found[("2", "7", "1")] == pytest.approx(0.5)
    assert found[("2",)] == pytest.approx(0.6)
    assert found[ROOT] == pytest.approx(0.75)
    assert found[("1", "1", "1", "1")] == pytest.approx(0.1)


def test_what_tells_enzymes():
    near = [
        SimilarFamily(2.0, frozenset()),
        SimilarFamily(1.0, ancestry(["2.7.1.2"]), enzyme_rate=0.9, exact_rate=0.8),
        SimilarFamily(0.5, ancestry(["1.1.1.1"]), enzyme_rate=0.5, exact_rate=0.1),
    ]
    evidence = Evidence(100, near, encoder={("2",): 0.75, ROOT: 0.75}, beside={("2", "7", "1", "2"): 1.5})
    found = dict(zip(ENZYME_FEATURES, evidence.enzyme_features(), strict=True))
    assert found["log_similarity"] == pytest.approx(np.log(1.01))
    assert found["log_rival"] == found["log_top"] == pytest.approx(np.log(2.01))
    assert found["share"] == pytest.approx(1.125 / 9.125)
    assert (found["enzyme_rate"], found["exact_rate"], found["beside"]) == (0.9, 0.8, 1.5)
    assert found["encoder_logit"] == pytest.approx(np.log(3))
    assert found["context_logit"] == pytest.approx(np.log(1e-4), rel=1e-3)  # it says nothing
    assert found["log_length"] == pytest.approx(np.log(100))


def test_what_the_sources_say_is_added_up():
    numbers = [node(text) for text in ("2.7.1.2", "1.1.1.1")]
    evidence = Evidence(
        100,
        [SimilarFamily(0.8, ancestry(["2.7.1.2"])), SimilarFamily(0.4, ancestry(["1.1.1.1"]))],
        encoder={numbers[0]: 0.5},
        homologues=[Homologue(ancestry(["1.1.1.1"]), 150.0, 0.8, 1.0)],
        beside={numbers[1]: 2.0},
    )
    says = evidence.says()
    assert says["homology"] == dict.fromkeys(ancestry(["1.1.1.1"]), pytest.approx(0.75))
    assert says["kmer"][numbers[0]] == pytest.approx(0.8 * 8 / 9)
    assert says["kmer"][ROOT] == pytest.approx(0.8)
    (first, second) = evidence.ranking_features(numbers)
    assert first == [pytest.approx(math.log(0.8 * 8 / 9 + 0.25 + 0.01)), 0.0, 2.0]
    assert second == [pytest.approx(math.log(0.75 + 0.8 / 9 + 0.01)), 2.0, 0.0]
    ignored = evidence.ranking_features(numbers, ["homology", "kmer", "encoder", "neighbours"])
    assert ignored == [[pytest.approx(math.log(0.01)), 0.0, 0.0]] * 2


def test_probabilities_are_shared_out_and_a_class_has_the_sum_of_what_lies_under_it():
    head = even_head(ECHeadConfig(LABELS))
    agreed = SimilarFamily(1.0, ancestry(["2.7.1.2"]))
    parted = SimilarFamily(1.0, ancestry(["2.7.1.11"]))
    other = SimilarFamily(1.0, ancestry(["1.1.1.1"]))
    (found,) = head.confidences([Evidence(100, [agreed, parted, other, agreed])])
    assert found[ROOT] == pytest.approx(10 / 11, rel=1e-5)
    assert found[("2", "7", "1")] == pytest.approx(found[("2",)]) == pytest.approx(10 / 11 * 3 / 4, rel=0.01)
    assert found[("2", "7", "1", "2")] == pytest.approx(10 / 11 / 2, rel=0.01)
    assert found[("2", "7", "1", "11")] == pytest.approx(found[("1",)]) == pytest.approx(10 / 44, rel=0.03)


def test_what_lies_above_the_last_level_stands_for_other_numbers():
    head = even_head(ECHeadConfig(LABELS))
    head.ranking.bias_S[3] = 0.0
    (found,) = head.confidences([Evidence(100, [SimilarFamily(1.0, ancestry(["2.7.1.2"]))])])
    assert found[("2", "7", "1")] == pytest.approx(found[ROOT])
    assert found[("2", "7", "1", "2")] == pytest.approx(found[ROOT] / 2)


def made_head() -> tuple[ECHead, list[str]]:
    proteins = [protein(n) for n in range(4)]
    ec = [("1.1.1.1",), ("2.7.1.2", "6.3.5.7"), ("2.7.4.-",), ()]
    labelled = [Labelled(s, numbers) for s, numbers in zip(proteins, ec, strict=True)]
    found = [(label.ec, (label.sequence,)) for label in labelled]
    from glm_annot.training.ec.families import Family

    pairs = LabelPairs(len(LABELS), 0)
    head = head_of([Family(*f) for f in found], LABELS, rarity(proteins), pairs, ECHeadConfig(()))
    known = even_head(head.config)
    known.load_state_dict({**known.state_dict(), **evidence_of(head)})
    return known, proteins


def evidence_of(head: ECHead) -> dict[str, torch.Tensor]:
    """All weights but those that are calibrated."""
    calibrated = ("enzyme.", "ranking.")
    return {name: tensor for name, tensor in head.state_dict().items() if not name.startswith(calibrated)}


def test_families_name_their_numbers():
    head, proteins = made_head()
    first, second, third = head.predict(proteins[:3], NOTHING, NOTHING, min_confidence=0.4)
    (none,) = head.predict(proteins[3:], NOTHING, NOTHING, min_confidence=0.6)
    assert [[call.number for call in result.ec] for result in (first, second, third, none)] == [
        ["1.1.1.1"],
        ["2.7.1.2", "6.3.5.7"],
        ["2.7.4.-"],
        [],
    ]
    assert [result.evidence for result in (first, second, third, none)] == ["kmer", "kmer", "kmer", ""]
    assert third.ec_top == () and first.ec_top[0].number == "1.1.1.1"
    assert first.enzyme == pytest.approx(10 / 11, rel=1e-5)
    assert none.enzyme == pytest.approx(0.5)


def test_calls_are_the_deepest_that_are_likely_enough():
    head, proteins = made_head()
    head.ranking.bias_S[3] = 0.0  # half of it goes to other numbers
    (result,) = head.predict(proteins[:1], NOTHING, NOTHING, min_confidence=0.7)
    assert [call.number for call in result.ec] == ["1.1.1.-"]
    (result,) = head.predict(proteins[:1], NOTHING, NOTHING, min_confidence=0.95)
    assert result.ec == () and result.evidence == ""


def test_a_head_gives_the_same_after_saving_and_loading():
    head, proteins = made_head()
    other = ECHead(ECHeadConfig(**json.loads(json.dumps(asdict(head.config)))))
    other.load_state_dict(head.state_dict())
    predict = {"min_confidence": 0.5}
    assert other.predict(proteins, NOTHING, NOTHING, **predict) == head.predict(
        proteins, NOTHING, NOTHING, **predict
    )


def test_the_encoder_carries_what_families_do_not_know():
    config = ECHeadConfig(LABELS, embedding_dim=2)
    head = even_head(config)
    head.enzyme.direct.weight[0, ENZYME_FEATURES.index("encoder_logit")] = 1.0
    head.encoder.weight_CD[4, 0] = 20.0
    x = np.array([[1.0, 0.0]], np.float32)
    (result,) = head.predict(["MKV"], x, x, min_confidence=0.5)
    assert [call.number for call in result.ec] == ["6.3.5.7"]
    assert result.evidence == "encoder"


def test_the_source_that_says_most_carries_a_call():
    known, proteins = made_head()
    head = even_head(replace(known.config, embedding_dim=2))
    head.load_state_dict({**head.state_dict(), **evidence_of(known)})
    head.enzyme.direct.weight[0, ENZYME_FEATURES.index("encoder_logit")] = 1.0
    head.encoder.weight_CD[4, 0] = 20.0  # 6.3.5.7
    stranger, x = protein(77), np.array([[1.0, 0.0]], np.float32)
    (by_family,) = head.predict(proteins[:1], -x, NOTHING, min_confidence=0.0)
    (by_encoder,) = head.predict([stranger], x, NOTHING, min_confidence=0.6)
    assert by_family.evidence == "kmer"
    assert ([call.number for call in by_encoder.ec], by_encoder.evidence) == (["6.3.5.7"], "encoder")


def test_neighbours_carry_what_is_not_likely_enough_without_them():
    head = even_head(ECHeadConfig(LABELS))
    head.ranking.weight_SF[:, RANKING_FEATURES.index("beside")] = 1.0
    near = [SimilarFamily(1.0, ancestry([number])) for number in ("2.7.1.2", "1.1.1.1")]
    evidence = Evidence(100, near, beside={node("1.1.1.1"): 3.0})
    for least, carrier in ((0.4, "kmer"), (0.6, "neighbours")):
        (result,) = head.judge([evidence], min_confidence=least)
        assert (result.ec[0].number, result.evidence) == ("1.1.1.1", carrier)


def test_the_linear_head_learns_labels_several_labels_and_none():
    rng = np.random.default_rng(0)
    labels_N = [[0], [1, 2], []] * 60
    centre = np.array([[4, 0, 0], [0, 4, 0], [0, 0, 4]], np.float32)
    x = (centre[np.arange(180) % 3] + rng.normal(0, 0.3, (180, 3))).astype(np.float32)
    head = LinearHead(3, 3)
    fit_linear(head, x, labels_N, epochs=60)
    probability = head(torch.from_numpy(centre)).numpy()
    assert probability.argmax(1).tolist()[::2] == [0, 3]
    assert probability[1, 1] == pytest.approx(probability[1, 2], abs=0.01)
    assert probability[1, 1:3].min() > probability[1, [0, 3]].max()


def test_calibrated_confidence_is_the_share_that_is_right():
    head, proteins = made_head()
    (evidence,) = head.gather(proteins[:1], NOTHING, NOTHING)
    answers = [("1.1.1.1",)] * 60 + [("1.1.1.2",)] * 20 + [("2.7.1.2",)] * 10 + [()] * 10
    examples = [CalibrationExample(evidence, ec, n % 2) for n, ec in enumerate(answers)]
    calibrate(head, examples)
    found = head.confidences(head.gather(proteins[:1], NOTHING, NOTHING))[0]
    assert found[ROOT] == pytest.approx(0.9, abs=0.03)
    assert found[("1", "1", "1")] == pytest.approx(0.8, abs=0.03)
    assert found[("1", "1", "1", "1")] == pytest.approx(0.6, abs=0.03)
    rate = head.rate_C2[0].tolist()
    assert rate == pytest.approx([0.9, 0.6], abs=0.02)


def test_the_default_threshold_is_the_lowest_that_calls_nearly_best():
    head, proteins = made_head()
    answers = [("1.1.1.1",)] * 6 + [()] * 4, [("2.7.1.2",)] * 4 + [("6.3.5.7",)] * 2 + [()] * 4
    rows = [(place, ec) for place, of in enumerate(answers) for ec in of]
    evidences = head.gather([proteins[place] for place, _ in rows], NOTHING, NOTHING)
    calibrate(
        head,
        [
            CalibrationExample(e, ec, n % 2)
            for n, (e, (_, ec)) in enumerate(zip(evidences, rows, strict=True))
        ],
    )

    def f1(threshold: float) -> float:
        found = head.predict(
            [proteins[place] for place, _ in rows], NOTHING, NOTHING, min_confidence=threshold
        )
        called = [{call.number for call in one.ec if "-" not in call.number} for one in found]
        right = sum(len(calls & set(ec)) for calls, (_, ec) in zip(called, rows, strict=True))
        return 2 * right / (sum(map(len, called)) + sum(len(ec) for _, ec in rows))

    least = NEARLY * max(map(f1, THRESHOLDS))
    assert f1(head.config.threshold) >= least > f1(0.95)
    assert all(f1(lower) < least for lower in THRESHOLDS if lower < head.config.threshold)


def test_without_true_numbers_the_default_threshold_stays():
    head, proteins = made_head()
    (evidence,) = head.gather(proteins[:1], NOTHING, NOTHING)
    calibrate(head, [CalibrationExample(evidence, (), 0)] * 20)
    assert head.config.threshold == 0.5


def test_a_truth_that_stops_early_says_nothing_of_what_lies_below():
    head, proteins = made_head()
    (evidence,) = head.gather(proteins[:1], NOTHING, NOTHING)
    examples = [CalibrationExample(evidence, ("1.1.1.-",), 0)] * 40 + [
        CalibrationExample(evidence, ("1.1.1.1",), 1)
    ] * 40
    calibrate(head, examples)
    found = head.confidences([evidence])[0]
    assert found[("1", "1", "1", "1")] > 0.9


@needs_tools
def test_families_part_by_number_and_by_likeness():
    first, second = protein(1), protein(2)
    labelled = [
        Labelled(first, ("1.1.1.1",)),
        Labelled(mutated(first, 0.1, 0), ("1.1.1.1",)),
        Labelled(mutated(first, 0.1, 1), ("1.1.1.2",)),
        Labelled(second, ("1.1.1.1",)),
    ]
    found = families(labelled, {1: ["MKV"]})
    assert sorted(len(family.members) for family in found) == [1, 1, 3]
    assert all_labels(labelled) == ("1.1.1.1", "1.1.1.2")


def user_tables(n_genomes: int) -> Tables:
    """Genomes of 12 genes: mutants of the same 6 enzymes and 6 others."""
    ancestors = [protein(n) for n in range(12)]
    ec = ["1.1.1.1", "2.7.1.2", "2.7.1.11", "6.3.5.7", "3.1.3.5;4.2.1.1", "5.-.-.-", *[None] * 6]
    sequences = [mutated(s, 0.15, genome) for genome in range(n_genomes) for s in ancestors]
    n = len(sequences)
    return Tables(
        pa.table({"genome": range(n_genomes), "genus": ["?"] * n_genomes}),
        pa.table(
            {
                "contig": pa.array(range(n_genomes), pa.int32()),
                "genome": range(n_genomes),
                "name": [f"c{g}" for g in range(n_genomes)],
                "length": [9000] * n_genomes,
                "n_genes": [12] * n_genomes,
            }
        ),
        pa.table(
            {
                "contig": pa.array([row // 12 for row in range(n)], pa.int32()),
                "index": [row % 12 for row in range(n)],
                "start": [1 + 600 * (row % 12) for row in range(n)],
                "end": [450 + 600 * (row % 12) for row in range(n)],
                "strand": [1] * n,
                "protein": range(n),
                "ec": ec * n_genomes,
            }
        ),
        pa.table({"protein": range(n), "sequence": pa.array(sequences)}),
    )


@pytest.fixture(scope="module")
def small_head() -> ECHead:
    return ec_fit.fit_ec_head(ec_sources.from_corpus(user_tables(6), HeldOut()))


@needs_tools
def test_a_small_corpus_gives_a_head_that_knows_its_enzymes(small_head: ECHead):
    new = [mutated(protein(n), 0.15, 99) for n in range(12)]
    results = small_head.predict(new, NOTHING, NOTHING, min_confidence=0.5)
    assert results[1].ec_top[0].number == "2.7.1.2"
    assert {call.number for call in results[4].ec_top[:2]} == {"3.1.3.5", "4.2.1.1"}
    assert min(r.enzyme for r in results[:6]) > max(r.enzyme for r in results[6:])


@needs_tools
def test_the_same_seed_gives_the_same_head(small_head: ECHead):
    again = ec_fit.fit_ec_head(ec_sources.from_corpus(user_tables(6), HeldOut()))
    for key, tensor in small_head.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key]), key


def test_one_genome_in_four_calibrates_and_gives_no_labels():
    sources = ec_sources.from_corpus(user_tables(6), HeldOut())
    (genome,) = sources.calibration
    assert genome.number == 3
    assert not set(genome.proteins) & ({p.sequence for p in sources.labelled} | set(sources.relatives))
    assert genome.ec[4] == ("3.1.3.5", "4.2.1.1") and genome.ec[6] == ()


def test_a_single_genome_calibrates_on_a_quarter_of_its_proteins():
    sources = ec_sources.from_corpus(user_tables(1), HeldOut())
    (genome,) = sources.calibration
    assert len(genome.proteins) == 3
    known = {p.sequence for p in (*sources.labelled, *sources.non_enzymes)}
    assert len(known) == 9 and not known & set(genome.proteins)


def with_ec(tables: Tables, genes: dict[int, int]) -> Tables:
    """The tables with EC numbers for the first genes of each genome only."""
    contig, index = (tables.genes[name].to_pylist() for name in ("contig", "index"))
    ec = [
        number if place < genes.get(genome, 0) else None
        for genome, place, number in zip(contig, index, tables.genes["ec"].to_pylist(), strict=True)
    ]
    column = tables.genes.column_names.index("ec")
    return replace(tables, genes=tables.genes.set_column(column, "ec", pa.array(ec, pa.string())))


def test_genes_of_sparsely_labelled_genomes_are_not_taken_for_no_enzymes():
    said: list[str] = []
    tables = with_ec(user_tables(4), {0: 1, 1: 6, 2: 2, 3: 6})
    sources = ec_sources.from_corpus(tables, HeldOut(), said.append)
    assert [genome.number for genome in (*sources.calibration, *sources.context)] == [3, 1]
    assert len(sources.labelled) == 6 + 1 + 2 and sources.non_enzymes == ()
    assert len(said) == 1 and "2 of 4 genomes" in said[0]
    single = ec_sources.from_corpus(with_ec(user_tables(3), {0: 1, 1: 6, 2: 2}), HeldOut())
    (quarter,) = single.calibration
    of_second = set(user_tables(3).proteins["sequence"].to_pylist()[12:24])
    assert set(quarter.proteins) | {p.sequence for p in single.non_enzymes} < of_second
    assert single.context == () and len(single.labelled) + sum(map(bool, quarter.ec)) == 6 + 1 + 2


@needs_tools
def test_where_nothing_says_what_is_no_enzyme_a_model_is_made_that_does_not_either():
    said: list[str] = []
    tables = with_ec(user_tables(4), dict.fromkeys(range(4), 2))
    sources = ec_sources.from_corpus(tables, HeldOut(), said.append)
    assert (sources.calibration, sources.context, sources.non_enzymes) == ((), (), ())
    assert len(said) == 2 and "nothing says what is no enzyme" in said[1]
    head = ec_fit.fit_ec_head(sources)
    found = head.predict([protein(0), protein(20)], NOTHING, NOTHING, min_confidence=0.5)
    assert [result.enzyme for result in found] == [0.5, 0.5] and found[0].ec_top[0].number == "1.1.1.1"


def test_genomes_set_aside_for_testing_teach_no_enzymes():
    tables = user_tables(5)
    genomes = tables.genomes.append_column("split", pa.array(["train", "test", "train", "train", "valid"]))
    tables = replace(tables, genomes=genomes)
    sources = ec_sources.from_corpus(tables, HeldOut())
    known = {p.sequence for p in sources.labelled} | set(sources.relatives)
    known.update(p for genome in (*sources.calibration, *sources.context) for p in genome.proteins)
    proteins = tables.proteins["sequence"].to_pylist()
    assert known == {*proteins[:12], *proteins[24:]}
    assert sorted(sources.runs.protein_G.tolist()) == list(range(36))  # of three genomes: one calibrates
    said: list[str] = []
    only_test = with_ec(tables, {1: 6})
    assert len(ec_sources.from_corpus(only_test, HeldOut(), said.append).non_enzymes) > 0
    assert said == ["EC: only genomes set aside for testing have EC numbers, so that these train the EC head"]


@needs_tools
def test_no_protein_of_a_benchmark_trains_calibrates_or_is_searched(monkeypatch: pytest.MonkeyPatch):
    """Enzymes of each genome are held out; what the fit computes on is looked at where it is used."""
    tables = user_tables(4)  # the last one calibrates
    sequences = tables.proteins["sequence"].to_pylist()
    held = {sequences[12 * genome + place] for genome in range(4) for place in (0, 7)}
    sources = ec_sources.from_corpus(tables, HeldOut(benchmarks=frozenset(held)))
    assert any(held & set(genome.proteins) for genome in sources.calibration)
    used: dict[str, set[str]] = {"family": set(), "reference": set(), "rarity": set(), "gathered": set()}
    families, rarity, gather = ec_fit.families, ec_fit.profiles.rarity, ECHead.gather
    reference = ec_fit.as_reference

    def seen_families(labelled, homologues):
        found = families(labelled, homologues)
        used["family"].update(member for family in found for member in family.members)
        return found

    def seen_reference(proteins):
        used["reference"].update(protein.sequence for protein in proteins)
        return reference(proteins)

    def seen_rarity(proteins):
        used["rarity"].update(proteins)
        return rarity(proteins)

    def seen_gather(self, proteins, *rest):
        used["gathered"].update(proteins)
        return gather(self, proteins, *rest)

    monkeypatch.setattr(ec_fit, "families", seen_families)
    monkeypatch.setattr(ec_fit, "as_reference", seen_reference)
    monkeypatch.setattr(ec_fit.profiles, "rarity", seen_rarity)
    monkeypatch.setattr(ECHead, "gather", seen_gather)
    ec_fit.fit_ec_head(sources)
    assert all(used.values())
    assert {name: proteins & held for name, proteins in used.items()} == {name: set() for name in used}


@pytest.mark.parametrize("part", ["labelled", "non_enzymes", "rivals"])
@needs_tools
def test_a_fit_refuses_a_protein_of_a_benchmark(part: str):
    sources = ec_sources.from_corpus(user_tables(1), HeldOut(benchmarks=frozenset({protein(50)})))
    leaking = replace(sources, **{part: (*getattr(sources, part), Labelled(protein(50), ("1.1.1.1",)))})
    with pytest.raises(GlmAnnotError, match="identical to held-out"):
        ec_fit.fit_ec_head(leaking)


def test_hit_rate_and_f1_count_silence_as_wrong():
    true = [frozenset({"1.1.1.1"}), frozenset({"1.1.1.1", "2.7.1.2"}), frozenset({"6.3.5.7"})]
    answers = [frozenset({"1.1.1.1", "3.1.1.1"}), frozenset({"2.7.1.2"}), frozenset[str]()]
    assert scores.hit_rate(answers, true) == pytest.approx(2 / 3)
    assert scores.sample_f1(answers, true) == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_calibration_error_of_known_cases():
    p = np.repeat([0.2, 0.8], 150)
    right = np.tile([True] + [False] * 4, 30), np.tile([True] * 4 + [False], 30)
    assert scores.calibration_error(p, np.concatenate(right)) == pytest.approx(0, abs=0.02)
    assert scores.calibration_error(p, np.ones(300, bool)) == pytest.approx(0.5)


def test_confidence_counts_predictions_without_a_true_number_as_wrong():
    call = (ECCall("1.1.1.1", 0.95),)
    results = [ECResult(call, call, 0.97, "kmer")] * 3 + [ECResult((), (), 0.1, "")]
    ec = tuple(map(frozenset, [{"1.1.1.1"}, {"1.1.1.2"}, set(), set()]))
    found = scores.confidence(results, scores.TrueNumbers(("M",) * 4, ec))
    assert found["number"]["at_0.9"] == {"precision": pytest.approx(1 / 3), "coverage": 0.75}
    assert found["enzyme"]["at_0.9"]["precision"] == pytest.approx(2 / 3)
    assert (found["proteins"], found["enzymes"]) == (4, 2)


def test_calls_on_genes_without_a_number_count_in_a_genome():
    answers = [frozenset({"1.1.1.1", "3.1.1.1"}), frozenset({"2.7.1.2"}), frozenset[str]()]
    true = [frozenset({"1.1.1.1", "2.-.-.-"}), frozenset[str](), frozenset({"6.3.5.7"})]
    found = scores.micro(answers, true)  # 1 right of 3 called; 2 complete ones are true
    assert found == pytest.approx({"calls": 3, "precision": 1 / 3, "recall": 1 / 2, "f1": 2 / 5})
    assert scores.micro([frozenset()], [frozenset()])["f1"] == 0


def test_levels_are_judged_by_their_likeliest_class():
    found = {ROOT: 1.0, ("1",): 0.6, ("2",): 0.8, ("1", "1"): 0.6, ("2", "7"): 0.2}
    cases = scores.TrueNumbers(("M",) * 3, (frozenset({"1.1.1.1"}), frozenset({"2.-.-.-"}), frozenset()))
    levels = scores.by_level([found, found, {ROOT: 0.0}], cases)
    assert levels["1"]["at_0.5"] == {"precision": 0.5, "coverage": pytest.approx(2 / 3)}
    assert levels["2"]["at_0.5"] == {"precision": 1.0, "coverage": 0.5}  # the second ends above it
    assert levels["4"]["at_0.5"] == {"precision": None, "coverage": 0.0}


def test_curated_entries_of_the_same_protein_judge_a_call():
    genes = tuple(
        Gene(n, f"g{n}", "c", 1, 9, 1, ec=ec, protein="MKVLA"[: n + 1])
        for n, ec in enumerate([(), (), (), ("1.1.1.1",), ()])
    )
    genome = Genome((Contig("c", None, False, genes),))
    call = (ECCall("1.1.1.1", 0.9), ECCall("2.-.-.-", 0.8))
    results = [ECResult(call, call[:1], 0.9, "kmer")] * 5
    curated = {"M": frozenset({"1.1.1.1"}), "MK": frozenset[str](), "MKV": frozenset({"1.1.1.-"})}
    calls = audit.unannotated(genome, results, curated)
    assert [(one.gene.index, one.verdict) for one in calls] == [
        *((0, "confirmed"), (1, "contradicted"), (2, "unknown"), (4, "unknown")),
    ]
    assert {one.number for one in calls} == {"1.1.1.1"}
    assert audit.summary(calls, {"calls": 5, "precision": 0.2}) == pytest.approx(
        {"calls": 4, "confirmed": 1, "contradicted": 1, "unknown": 2, "corrected_precision": 0.4}
    )


def test_what_was_gathered_is_judged_as_it_is_predicted():
    head, proteins = made_head()
    evidences = head.gather(proteins, NOTHING, NOTHING)
    judged = head.judge(evidences, min_confidence=0.4)
    assert judged == head.predict(proteins, NOTHING, NOTHING, min_confidence=0.4)
    deaf = head.judge(evidences, min_confidence=0.4, ignored=["kmer"])
    assert len({result.enzyme for result in deaf}) < len({result.enzyme for result in judged})
