"""Fitting operon heads on made genomes whose operons are known, whatever their labels say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from glm_annot.errors import InputError
from glm_annot.model.neighbours.memory import Memory, MemoryConfig
from glm_annot.operons.features import CONSERVED
from glm_annot.records import Contig, Gene, Genome
from glm_annot.training.evaluate.operons import calibration_by_band, figures, measure
from glm_annot.training.evaluate.scores import calibration_error
from glm_annot.training.operons import fit as operon_fit
from glm_annot.training.operons.data import LabelledGenome
from glm_annot.training.operons.fit import OperonExample, fit_operon_head, hide, regions, relatives


def made(
    seed: int, *, genes: int = 400, reach: float = np.inf, attention: bool = True
) -> tuple[OperonExample, list[int]]:
    """A genome of operons with shorter gaps and more attention inside; and the truth for each pair.

    With a finite reach labels are those of a caller: yes to every tandem pair below it, no beyond.
    """
    rng = np.random.default_rng(seed)
    records, truth, labels, seen, at, strand = [], [], [], [], 1, 1
    for number in range(genes):
        inside = bool(number) and rng.random() < 0.55
        gap = int(rng.gamma(2, 20 if inside else 90)) - 5
        turned = number > 0 and not inside and rng.random() < 0.5
        strand = -strand if turned else strand
        at += gap if number else 0
        length = int(rng.integers(200, 1500))
        records.append(Gene(number, f"g{number}", "c", at, at + length - 1, strand, protein="M"))
        at += length
        if number:
            truth.append(int(inside))
            labels.append((-1 if turned else int(gap < reach)) if np.isfinite(reach) else int(inside))
            seen.append([np.exp(rng.normal(-2 + inside, 0.7)), rng.random()])
    genome = Genome((Contig("c", at + 100, False, tuple(records)),))
    labelled = LabelledGenome(f"made_{seed}", genome, (np.array(labels, np.int8),), reach)
    return OperonExample(labelled, [np.array(seen)] if attention else None), truth


def tandem(example: OperonExample) -> np.ndarray:
    return np.concatenate([track.same for track in example.tracks])


def test_same_seed_same_head() -> None:
    examples = [made(seed)[0] for seed in (1, 2)]
    one, two = (fit_operon_head(examples, calibrate=False, seed=3) for _ in range(2))
    for name, tensor in one.state_dict().items():
        assert tensor.equal(two.state_dict()[name]), name


def test_labels_beyond_the_reach_of_their_caller_are_no_evidence() -> None:
    """The caller says no to all pairs of 40 bases or more; a head that believed it would put them at 0."""
    example, truth = made(1, genes=900, reach=40, attention=False)
    test, truth = made(2, genes=900, attention=False)
    (probability,) = fit_operon_head([example]).predict(test.genome.genome.contigs)
    far = tandem(test) & (np.concatenate([track.gap for track in test.tracks]) >= 45)
    share = np.array(truth)[far].mean()
    assert share > 0.3 and probability[far].mean() > share / 2


def test_attention_helps_though_labels_come_from_gaps() -> None:
    examples = [made(seed, genes=900, reach=40)[0] for seed in (1, 2)]
    test, truth = made(3, genes=900)
    blind = [OperonExample(example.genome) for example in examples]
    same = tandem(test)
    with_attention = np.concatenate(
        fit_operon_head(examples, calibrate=False).logits(test.tracks, test.attention)
    )
    without = np.concatenate(fit_operon_head(blind, calibrate=False).logits(test.tracks))
    label = np.array(truth, np.int8)[same]
    assert figures(label, with_attention[same])["ap"] > figures(label, without[same])["ap"] + 0.01


def with_memory(example: OperonExample, truth: list[int], seed: int) -> OperonExample:
    """The same with a memory in which true pairs stand side by side more often, and closer."""
    rng = np.random.default_rng(seed)
    inside = np.array(truth)
    columns = dict.fromkeys(CONSERVED, np.zeros(len(truth)))
    columns["both"] = rng.integers(5, 40, len(truth)).astype(float)
    columns["beside"] = rng.binomial(columns["both"].astype(int), 0.15 + 0.4 * inside).astype(float)
    columns["share"] = (columns["beside"] + 0.5) / (columns["both"] + 2)
    columns["gap"] = np.where(columns["beside"] > 0, rng.gamma(2, 90 - 60 * inside), 2000.0)
    return replace(example, conserved=[np.stack(list(columns.values()), axis=1)])


def test_memory_helps_though_labels_come_from_gaps() -> None:
    examples = [with_memory(*made(seed, genes=900, reach=40, attention=False), seed) for seed in (1, 2)]
    test, truth = made(3, genes=900, attention=False)
    test = with_memory(test, truth, 3)
    head = fit_operon_head(examples, calibrate=False)
    assert head.config.conserved and not head.config.attention
    remembered = np.concatenate(head.logits(test.tracks, conserved=test.conserved))
    blind = fit_operon_head([OperonExample(example.genome) for example in examples], calibrate=False)
    same = tandem(test)
    far = same & (np.concatenate([track.gap for track in test.tracks]) >= 40)  # where labels say nothing
    label = np.array(truth, np.int8)
    without = np.concatenate(blind.logits(test.tracks))
    assert figures(label[same], remembered[same])["ap"] > figures(label[same], without[same])["ap"] + 0.01
    assert figures(label[far], remembered[far])["ap"] > figures(label[far], without[far])["ap"] + 0.1


def test_relatives_share_families() -> None:
    memory = Memory(MemoryConfig(places=15, contigs=3, genomes=3, families=9))
    memory.family_N.copy_(torch.tensor([0, 1, 2, 3, 9, 0, 1, 2, 8, 9, 5, 6, 7, 8, 9]))
    memory.first_C.copy_(torch.tensor([0, 5, 10, 15]))
    memory.genome_C.copy_(torch.arange(3))
    assert relatives(torch.tensor([0, 1, 2, 3, 9, 9]), memory).tolist() == [True, False, False]
    assert relatives(torch.tensor([0, 1, 2, 3]), memory, "far").tolist() == [True, True, False]
    assert not relatives(torch.tensor([9]), memory).any()


def test_probabilities_are_calibrated_on_a_new_genome() -> None:
    head = fit_operon_head([made(seed)[0] for seed in range(4)])
    test, truth = made(9, genes=1500)
    (probability,) = head.predict(test.genome.genome.contigs, test.attention)
    assert calibration_error(probability[tandem(test)], np.array(truth, float)[tandem(test)]) < 0.06


def test_one_genome_is_calibrated_by_its_regions() -> None:
    example, _ = made(1)
    slope, offset = fit_operon_head([example]).calibration.tolist()
    assert 0 < slope < 1.2 and (slope, offset) != (1, 0)  # boosting is too sure of itself


def only(example: OperonExample, shown: list[int]) -> OperonExample:
    """The example with the labels of some pairs alone."""
    keep = np.isin(np.arange(len(example.genome.labels[0])), shown)
    return hide(example, [keep])


def test_labels_in_a_corner_of_one_genome_are_enough() -> None:
    """All of them lie in one fifth of it, so that without that fifth there would be none."""
    example, _ = made(1)
    said: list[str] = []
    head = fit_operon_head([only(example, list(range(100, 160)))], report=said.append)
    assert said == [] and tuple(head.calibration.tolist()) != (1, 0)
    assert head.attention.weight_F.any()


def test_a_genome_with_labels_of_one_kind_is_no_obstacle() -> None:
    (one, _), (two, _) = made(1), made(2)
    said: list[str] = []
    ones = hide(two, [two.genome.labels[0] == 1])
    head = fit_operon_head([one, ones], report=said.append)
    assert said == [] and tuple(head.calibration.tolist()) != (1, 0)


def test_labels_that_cannot_be_parted_make_a_head_that_nothing_calibrates() -> None:
    """One genome has all that is 1 and another all that is 0: neither is a test of the other."""
    (one, _), (two, _) = made(1), made(2)
    said: list[str] = []
    parted = [hide(one, [one.genome.labels[0] == 1]), hide(two, [two.genome.labels[0] == 0])]
    head = fit_operon_head(parted, report=said.append)
    assert len(said) == 2 and "attention" in said[0] and "good for ranking" in said[1]
    assert head.calibration.tolist() == [1, 0] and not head.attention.weight_F.any()


def test_regions_split_a_genome_without_overlap() -> None:
    example, _ = made(1, genes=24)
    parts = [np.concatenate(region) for region in regions(example, 5)]
    assert np.sum(parts, axis=0).tolist() == [1] * 23
    shown = hide(example, [parts[0]]).genome.labels[0]
    assert (shown[~parts[0]] == -1).all() and (shown[parts[0]] == example.genome.labels[0][parts[0]]).all()


def test_labels_of_one_kind() -> None:
    example, _ = made(1, genes=30)
    everywhere = [np.concatenate(example.genome.labels) == 1]
    with pytest.raises(InputError, match="all equal"):
        fit_operon_head([hide(example, everywhere)])


@pytest.mark.parametrize(
    ("strands", "missing"),
    [([1], "no convergent and no divergent"), ([1, -1], "no tandem"), ([1] * 15 + [-1] * 15, "no divergent")],
)
def test_neighbours_of_each_kind_are_needed(strands: list[int], missing: str) -> None:
    example, _ = made(1, genes=30)
    (contig,) = example.genome.genome.contigs
    genes = (replace(gene, strand=strands[gene.index % len(strands)]) for gene in contig.genes)
    genome = Genome((replace(contig, genes=tuple(genes)),))
    with pytest.raises(InputError, match=f"have {missing} neighbours"):
        fit_operon_head([replace(example, genome=replace(example.genome, genome=genome))])


def test_calibration_error_by_hand() -> None:
    """Fifteen bins of two: said 0.5 where half is true, and 0.9 where all is."""
    assert calibration_error(np.full(30, 0.5), np.tile([0.0, 1.0], 15)) == pytest.approx(0)
    assert calibration_error(np.full(30, 0.9), np.ones(30)) == pytest.approx(0.1)


def test_calibration_by_band_by_hand() -> None:
    found = calibration_by_band(np.array([0.1, 0.1, 0.2, 0.9, 0.9]), np.array([0.0, 1.0, 0.0, 1.0, 1.0]))
    assert (found["pairs"], found["share"], found["mean_probability"]) == (5, 0.6, pytest.approx(0.44))
    assert list(found["bands"]) == ["0 to 0.2", "0.2 to 0.4", "0.8 to 1"]
    assert found["bands"]["0 to 0.2"] == {"mean_probability": pytest.approx(0.1), "share": 0.5, "pairs": 2}


def test_measures_of_every_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operon_fit, "ENSEMBLE", ((40, 6),))  # dozens of heads are fitted
    names = ("escherichia_coli_k12", "salmonella_enterica_14028s", "other")
    examples = {name: made(number)[0] for number, name in enumerate(names)}
    k12 = examples[names[0]]
    half = hide(k12, [np.arange(len(k12.genome.labels[0])) < 200])
    found = measure(examples, k12, half.genome)
    assert set(found["leave_one_out"]) == {*names, "escherichia_coli_k12, Salmonella left out too"}
    for suite in (found["confirmed"], found["unseen"], *found["leave_one_out"].values()):
        assert set(suite) == {"distance", "boosting", "layout", "no_promoters", "head"}
        assert suite["head"]["ap"] > suite["layout"]["ap"]
    assert set(found["all_adjacent"]) == {"distance", "boosting", "layout", "no_promoters", "head"}
    assert found["all_adjacent"]["head"]["ap"] > found["all_adjacent"]["distance"]["ap"]
    gain = found["gains"]["unseen"]["layout"]
    assert 0 < gain["low"] < gain["gain"] < gain["high"]
    assert found["calibration"]["all tandem"]["pairs"] == tandem(k12).sum()
    assert found["calibration"]["confirmed"]["pairs"] == tandem(k12)[:200].sum()
    assert found["calibration"]["pairs.tsv"]["ece"] < 0.15
