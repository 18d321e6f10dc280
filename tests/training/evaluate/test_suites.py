"""The suite 'benchmark' from the command line, on made data laid out as the shared one and a tiny model."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from glm_annot import io
from glm_annot.bundle import load, read_texts, save
from glm_annot.model.glm import ContextFit, ContextFitConfig
from glm_annot.pipeline import embed_distinct
from glm_annot.training.bundle.card import with_metrics
from glm_annot.training.cli import cli
from glm_annot.training.corpus import heldout
from glm_annot.training.corpus.shared_data import SharedData
from glm_annot.training.evaluate import suites
from glm_annot.training.evaluate.audit import COLUMNS
from glm_annot.training.evaluate.ec import ABLATIONS, BENCHMARKS, IDENTITY_BINS, _cut_by_identity
from glm_annot.training.evaluate.scores import Results, TrueNumbers
from glm_annot.training.glm.lstm import BiLSTM, of_equal_size
from glm_annot.training.glm.masked import evaluate_masked, place_auroc
from glm_annot.training.glm.train import _export, load_baseline
from glm_annot.training.glm.windows import GeneOrder, WindowReader, cut
from tests.support.made_corpus import FAMILIES, write_data
from tests.support.made_genomes import ancestors
from tests.support.tiny import tiny

pytestmark = pytest.mark.skipif(shutil.which("diamond") is None, reason="DIAMOND is not installed")


def measure(data: Path, model: Path, *more: str) -> Result:
    arguments = ["evaluate", "--suite", "benchmark", "--data", str(data), "--model", str(model), *more]
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ as the shared data, model/ without an operon head, lstm/ of its size; all of it measured."""
    folder = tmp_path_factory.mktemp("benchmark")
    data = write_data(folder)
    for name in SharedData(data).ec_benchmarks:
        rows = (f"{n}\t{protein}K" for n, protein in zip(["1.1.1.1", "2.1.1.3"], ancestors(2), strict=True))
        (data / name).write_text("ec\tsequence\n" + "\n".join(rows) + "\n")
    (data / "ec" / "unlabelled_or_non_enzyme.tsv").write_text("id\tsource\tsequence\n")
    SharedData(data).k12_prodigal.write_text(f">a\n{ancestors(1)[0]}\n")
    model = tiny(operons=False)
    save(model, folder / "model", metrics={"older": {"figure": 0.5}}, card="# tiny card\n")
    lstm = BiLSTM(of_equal_size(model.glm.config))
    (folder / "lstm").mkdir()
    _export(lstm, model.features, ContextFit(ContextFitConfig(11)), {}, folder / "lstm", encoder="")
    more = ("--lstm", "lstm"), ("--audit", "audit.tsv"), ("-o", "metrics.json")
    options = [part for option, name in more for part in (option, str(folder / name))]
    result = measure(data, folder / "model", *options, "--write")
    assert result.exit_code == 0, result.output
    (folder / "printed.txt").write_text(result.output)
    return folder


@pytest.fixture(scope="module")
def metrics(made: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((made / "metrics.json").read_text())
    return found


def test_what_was_measured_lands_in_the_model(made: Path, metrics: dict[str, Any]) -> None:
    written, card = read_texts(made / "model")
    assert written == {"older": {"figure": 0.5}, **metrics}
    assert card.startswith("# tiny card\n\n## Measured\n\nHow to read the figures:\n")
    assert load(made / "model").name == "tiny"


def test_operon_figures_say_that_they_are_of_other_heads(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = {"leave_one_out": {"escherichia_coli_k12": {"head": {"ap": 0.9}}}}
    monkeypatch.setattr("glm_annot.training.evaluate.operons.benchmark", lambda *_: figures)
    card = with_metrics("# a\n", suites.benchmark(tiny(ec=False), made / "data", command="typed"))
    assert f"- operons: {suites.REFITTED}, `typed`" in card
    operons = [line for line in card.splitlines() if re.match(r"\| operons|### Operon", line)]
    assert len(operons) == 3 and all("fitted" in line for line in operons)


def test_the_baseline_is_measured_on_the_same_genes(made: Path, metrics: dict[str, Any]) -> None:
    run, model = load_baseline(made / "lstm", tiny()), load(made / "model")
    genome = io.read(SharedData(made / "data").k12)
    proteins = [gene.protein or "" for contig in genome.contigs for gene in contig.coding]
    order = GeneOrder.of_genome(genome)
    reader = WindowReader(order, embed_distinct(model.encoder, proteins), run.features)
    expected = evaluate_masked(run.network, reader, cut(order))
    found = metrics["masked_genes"]["lstm"]
    for name in ("pseudo_accuracy", "absolute_accuracy", "loss"):
        assert found[name] == pytest.approx(expected[name], rel=1e-4), name
    assert found["place_auroc"] == pytest.approx(place_auroc(run.network, run.context_fit, reader), rel=1e-4)


@pytest.fixture
def searched(made: Path) -> int:
    """Families that DIAMOND may know: the labelled ones of which the genome has no identical protein."""
    genome = heldout.read(SharedData(made / "data").held_out).genomes
    return len(set(ancestors(FAMILIES)[: 2 * FAMILIES // 3]) - genome)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_only_the_scored_proteins_are_hidden_from_diamond(metrics: dict[str, Any], name: str) -> None:
    """One of the two has a homologue of the same number. That is a protein of K-12; a user finds it."""
    assert metrics["ec"][name]["diamond"]["hit_rate"] == 0.5


def test_an_identity_cut_is_chosen_on_other_genes() -> None:
    """Hits of 60 % are right in one fifth of the genes and wrong in all others, which choose to drop them."""
    right = frozenset({"1.1.1.1"})
    cases = TrueNumbers(("M",) * 20, (right,) * 20)
    sure = [place % 2 == 0 for place in range(20)]
    diamond = [right if s or place % 5 == 1 else frozenset({"2.1.1.1"}) for place, s in enumerate(sure)]
    found = _cut_by_identity(Results([], [], [], diamond, [0.9 if s else 0.6 for s in sure]), cases)
    assert found["identity"] == [0.65] and found["calls"] == 10 and found["precision"] == 1


def test_all_enzymes_fall_into_bins_of_identity(metrics: dict[str, Any], searched: int) -> None:
    bins = metrics["ec"]["K-12 enzymes by identity"]
    assert list(bins) == list(IDENTITY_BINS)
    assert sum(of["proteins"] for of in bins.values()) == metrics["ec"]["K-12 enzymes"]["proteins"] == 60
    # The genome has each family twice, a tenth of its residues drawn anew.
    assert bins["no hit"]["proteins"] == 60 - 2 * searched
    assert bins[">= 90 %"]["proteins"] > 0 < bins["70-90 %"]["proteins"]
    assert bins[">= 90 %"]["diamond"]["hit_rate"] == bins["70-90 %"]["diamond"]["hit_rate"] == 1


def test_the_genome_is_scored_with_all_its_genes(metrics: dict[str, Any], searched: int) -> None:
    ec, recall = metrics["ec"], 2 * searched / 60
    f1 = pytest.approx(2 * recall / (1 + recall))
    expected = {"calls": 2 * searched, "precision": 1.0, "recall": recall, "f1": f1}
    assert ec["K-12 genome"]["diamond"] == expected
    assert ec["K-12 genome"]["diamond, identity cut"]["f1"] == f1
    assert ec["K-12 ablations"]["all"]["genome_f1"] == ec["K-12 genome"]["f1"]
    assert ec["K-12 ablations"]["all"]["hit_rate"] == ec["K-12 enzymes"]["hit_rate"]
    assert list(ec["K-12 ablations"]) == list(ABLATIONS)
    assert list(ec["K-12 confidence"]["levels"]) == ["1", "2", "3", "4"]
    bands = ec["K-12 confidence"]["number"]["bands"].values()
    assert sum(band["proteins"] for band in bands) == ec["K-12 confidence"]["proteins"]
    assert ec["K-12 audit"]["calls"] == 0  # all its genes carry a number


def test_the_sample_is_a_table(made: Path) -> None:
    with (made / "audit.tsv").open() as stream:
        assert tuple(next(csv.reader(stream, delimiter="\t"))) == COLUMNS


def test_what_is_printed_has_the_bars_beside(made: Path) -> None:
    printed = (made / "printed.txt").read_text()
    assert "biLSTM" in printed and "DIAMOND best hit 1.000, with an identity cut 1.000" in printed
    for part in ("each kind of evidence", "by identity", "Confidences", "that carry none"):
        assert part in printed


def test_options_of_one_suite_are_no_others(made: Path) -> None:
    arguments = ["evaluate", "--suite", "test", "--model", "mini", "--corpus", ".", "--audit", "a.tsv"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2 and "--audit is for the suite 'benchmark'" in result.output


@pytest.mark.parametrize("option", ["--seed", "--genomes", "--exclude", "--fill"])
@pytest.mark.parametrize("suite", ["test", "benchmark"])
def test_options_of_the_suite_paper_are_no_others(suite: str, option: str) -> None:
    """Not even with the value that they have where they are not given."""
    arguments = ["evaluate", "--suite", suite, "--model", "mini", "--corpus", ".", "--data", ".", option, "0"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2 and f"{option} is for the suite 'paper'" in result.output


def test_what_would_end_it_late_is_said_at_once(made: Path, tmp_path: Path) -> None:
    save(tiny(ec=False, operons=False), tmp_path / "model", metrics={}, card="")
    result = measure(made / "data", tmp_path / "model", "--audit", str(tmp_path / "a.tsv"))
    assert result.exit_code == 2 and "needs a model that predicts EC numbers" in result.output
    result = measure(made / "data", tmp_path / "model", "-o", str(tmp_path))
    assert result.exit_code == 2 and "is a folder; the suite 'benchmark' writes a file" in result.output
