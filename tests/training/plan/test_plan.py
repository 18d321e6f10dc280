"""Plans: operations against torch's own count, sizes against the modules, and what a plan says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from glm_annot.model.esm import Encoder, Pack, tokenize
from glm_annot.model.family_encoder import FamilyEncoder, Kmers
from glm_annot.model.glm import GLM
from glm_annot.model.sizes import FamilyEncoderConfig, GLMConfig, PLMConfig
from glm_annot.training import recipe
from glm_annot.training.cli import cli
from glm_annot.training.plan import flops, plan, speed
from tests.support.made_genomes import write_clusters, write_folder

SMALL = GLMConfig(17, 16, 3, 2, 40, labels=9)


def linear_weights(network: nn.Module) -> int:
    return sum(part.weight.numel() for part in network.modules() if isinstance(part, nn.Linear))


def counted(network: nn.Module, *inputs: object) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs)
    return counter.get_total_flops()


def test_linear_layers_are_two_operations_a_weight() -> None:
    assert flops.glm_window(SMALL, 30) == 2 * 30 * linear_weights(GLM(SMALL))
    config = PLMConfig(layers=3, dim=32, heads=2)
    assert flops.encoder_token(config) == 2 * linear_weights(Encoder(config).layers)


@pytest.mark.parametrize("genes", [1, 12, 30])
def test_a_pass_of_glm_is_what_torch_counts(genes: int) -> None:
    x, real = torch.randn(2, genes, 17), torch.ones(2, genes, dtype=torch.bool)
    whole = flops.glm_window(SMALL, genes) + flops.glm_attention(SMALL, genes)
    assert counted(GLM(SMALL), x, real) == 2 * whole


def test_training_is_three_passes_but_for_what_inputs_need() -> None:
    x, real = torch.randn(2, 30, 17), torch.ones(2, 30, dtype=torch.bool)
    with FlopCounterMode(display=False) as counter:
        output = GLM(SMALL).train()(x, real)
        (output.predictions_BTPL.sum() + output.likelihood_logits_BTP.sum()).backward()
    whole = 2 * (flops.glm_window(SMALL, 30) + flops.glm_attention(SMALL, 30))
    first_layer = 2 * 2 * 30 * 17 * 16  # no gradient of the inputs is wanted
    assert counter.get_total_flops() == flops.TRAINING * whole - first_layer


def test_an_encoder_is_what_torch_counts() -> None:
    config = PLMConfig(layers=2, dim=32, heads=2)
    pack = Pack.of([tokenize("MKV" * 5)] * 3)
    attention = flops.encoder_attention(config, 17)
    found = counted(Encoder(config), pack)
    # torch has no formula for the fused attention of some of its versions on CPUs.
    linear = 3 * 17 * flops.encoder_token(config)
    assert found in (linear, linear + 3 * attention)
    q = torch.zeros(1, 1, 17, 32)
    with FlopCounterMode(display=False) as counter:
        (q @ q.transpose(2, 3)) @ q
    assert attention == 2 * counter.get_total_flops()  # of each of two layers


def test_a_family_encoder_is_what_torch_counts_and_its_sums() -> None:
    config = FamilyEncoderConfig(dim=8, kmer_dim=6, hidden=10, hash_bits=5)
    encoder = FamilyEncoder(config)
    proteins = ["MKVLAWDERT" * 3, "GHIKLMNPQS" * 5]
    kmers = Kmers.of(proteins, config)
    assert counted(encoder, kmers) == 2 * flops.family_protein(config)
    sums = config.kmer_dim * sum(len(rows) for rows in kmers.rows)
    assert sums < flops.family_residue(config) * 80 < 1.2 * sums  # no k-mer begins at the last residues
    assert flops.embedding(config, 2, 80) == 80 * flops.family_residue(config) + 2 * flops.family_protein(
        config
    )


def test_a_recipe_with_a_family_encoder_has_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_SECONDS", 0.01)
    monkeypatch.setattr(speed, "_GEMM_SIZE", {"cpu": 128})
    done = CliRunner().invoke(cli, ["plan", "mini", "--windows", "100"], catch_exceptions=False)
    assert done.exit_code == 0
    lines = done.output.splitlines()
    encoder = FamilyEncoder(FamilyEncoderConfig())
    size = sum(weight.numel() for weight in encoder.parameters())
    assert f"family encoder, 160 wide, {size:,} parameters in {size * 4 / 1e6:,.1f} MB of memory" in lines[0]
    assert any("memory of a device (by formula)" in line for line in lines)
    here = next(line for line in lines if line.startswith("| this machine"))
    assert re.search(r"\| [\d,.]+ (s|min|h) \|.*measured.*: [\d,]+ residues/s", here)
    (a100,) = (line for line in lines if "A100" in line)
    assert a100.split("|")[2].strip() == ""  # no time for embedding


def paper(windows: int = 1000) -> plan.Plan:
    return plan.Plan.of(recipe.read("paper"), plan.Corpus.assumed(windows))


def test_the_papers_model_has_its_published_size() -> None:
    found = paper()
    assert found.parameters == 278_867_988
    assert (found.encoder.layers, found.encoder.dim, found.batch) == (33, 1280, 3000)
    # 6 N operations a gene, for the weights of the linear layers alone, and the attention's on top.
    with torch.device("meta"):
        weights = linear_weights(GLM(found.glm))  # type: ignore[arg-type]
    assert found.step_flops == pytest.approx(6 * weights * 90_000, rel=0.02)
    assert found.step_flops > 6 * weights * 90_000


def test_the_papers_steps_and_epochs_agree() -> None:
    found = paper(plan.PAPER_WINDOWS)
    assert found.steps == 1_296_960
    assert found.steps * found.batch / found.corpus.windows == pytest.approx(560, rel=0.01)


def test_memory_is_sixteen_bytes_a_parameter_and_zero_divides_it() -> None:
    found = paper()
    assert found.zero_stage == 1
    assert found.state_bytes(1) == 16 * found.parameters
    assert found.state_bytes(4) == 10 * found.parameters


def test_an_assumed_corpus_is_full_windows_of_distinct_proteins() -> None:
    corpus = plan.Corpus.assumed(10)
    assert (corpus.proteins, corpus.residues) == (300, 96_000)
    with_padding = paper(10)
    token = flops.encoder_token(with_padding.encoder)
    attention = flops.encoder_attention(with_padding.encoder, 322)
    assert with_padding.embedding_flops == 300 * (322 * token + attention)


def test_a_corpus_is_counted(tmp_path: Path) -> None:
    genomes = write_folder(tmp_path / "data", ["Aaa one", "Bbb one", "Ccc one"])
    write_clusters(tmp_path / "data" / "clusters.tsv", genomes)
    settings = {
        **{"name": "n", "version": "1", "summary": "s", "budget": "1m"},
        "corpus": {"folder": ".", "valid": 1, "test": 1, "clusters": "clusters.tsv"},
        "plm": {"keep": "mini"},
        "glm": {"network": {}, "engine": {"learning_rate": 0.1, "steps": 7, "micro_batch": 5, "batch": 20}},
    }
    made, folder = tmp_path / "recipe.json", tmp_path / "corpus"
    made.write_text(json.dumps(settings), encoding="utf-8")
    runner = CliRunner()
    done = runner.invoke(cli, ["corpus", str(made), "--data", str(tmp_path / "data"), "-o", str(folder)])
    assert done.exit_code == 0, done.output
    found = plan.Corpus.counted(folder)
    # Three genomes of 30 genes, one of them for training: one window.
    proteins = {gene.protein for genome in genomes for gene in genome.genes}
    assert (found.origin, found.windows) == ("counted", 1)
    assert (found.proteins, found.residues) == (len(proteins), sum(map(len, proteins)))
    shown = runner.invoke(cli, ["plan", str(made), "--corpus", str(folder), "--no-measure"]).output
    assert "training (by formula): 7 steps, 140.0 times the corpus" in shown


def test_hours_are_operations_over_what_is_assumed() -> None:
    options = ["--device-tflops", "100", "--devices", "2", "--utilisation", "0.5", "--no-measure"]
    shown = CliRunner().invoke(cli, ["plan", "paper", "--windows", "1000", *options]).output
    found = paper()
    assert found.steps is not None
    days = found.steps * found.step_flops / 100e12 / 86400
    row = next(line for line in shown.splitlines() if line.startswith("| 2 x device of yours"))
    assert f"| {days:,.1f} days |" in row
    assert "assumed: 50% of 100 TFLOP/s" in row and "measured" not in shown


def test_a_small_recipe_is_measured_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_SECONDS", 0.01)
    monkeypatch.setattr(speed, "_GEMM_SIZE", {"cpu": 128})
    shown = CliRunner().invoke(cli, ["plan", "own", "--windows", "100"]).output
    row = next(line for line in shown.splitlines() if line.startswith("| this machine"))
    assert re.search(r"measured.*: [\d,]+ residues/s", row) and "windows/s trained" in row
    assert "the recipe limits it by time" in shown


def test_wrong_input_is_said(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["plan", "own", "--windows", "5", "--corpus", str(tmp_path)])
    assert "not both" in done.output
    with pytest.raises(recipe.InputError, match="is no corpus folder"):
        plan.Corpus.counted(tmp_path)


@pytest.mark.parametrize(("seconds", "said"), [(None, ""), (90, "90.0 s"), (3 * 86400, "3.0 days")])
def test_spans(seconds: float | None, said: str) -> None:
    assert plan.span(seconds) == said


def test_steps_that_are_null_are_ended_by_time(tmp_path: Path) -> None:
    own = json.loads(recipe.known()["own"].read_text(encoding="utf-8"))
    own["glm"]["engine"]["steps"] = None
    own["shares"] = {**own.get("shares", {}), "glm": 0.5}
    (tmp_path / "own.json").write_text(json.dumps(own), encoding="utf-8")
    arguments = ["plan", str(tmp_path / "own.json"), "--windows", "100", "--no-measure"]
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert "the recipe limits it by time" in done.output
