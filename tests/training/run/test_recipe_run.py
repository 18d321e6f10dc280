"""Recipes: reading them, running their steps resumably, and one command from genomes to a bundle."""

from __future__ import annotations

import csv
import gzip
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import save as serialise

from glm_annot import annotate, io
from glm_annot.bundle import Model, load, read_texts, rewrite_texts, save
from glm_annot.errors import GlmAnnotError, InputError, UsageError
from glm_annot.model.esm import PRECISIONS
from glm_annot.training import recipe as recipes
from glm_annot.training.bundle.assemble import PartFolders, assemble
from glm_annot.training.bundle.card import with_metrics
from glm_annot.training.cli import cli
from glm_annot.training.common.own_files import is_named
from glm_annot.training.common.steps import LOCK, _key
from glm_annot.training.corpus.genome_folder import annotation_files
from glm_annot.training.evaluate import suites
from glm_annot.training.run import heads, stages
from glm_annot.training.run.launch import Launcher
from glm_annot.training.run.recipe_run import RecipeRun
from glm_annot.training.settings import TrainedGLM
from tests.support.made_genomes import OPERON, number_of, write_clusters, write_folder
from tests.support.tiny import made_gff3, tiny
from tests.support.tiny_recipe import TINY, TOOLS, write_recipe

needs_tools = pytest.mark.skipif(not TOOLS, reason="MMseqs2 or DIAMOND is not installed")
STEPS = ("corpus", "plm", "glm", "heads")  # that leave a model's parts


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("90m", 5400), ("1.5h", 5400), ("2d", 172800)])
def test_budget(text: str, seconds: float) -> None:
    assert recipes.parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2 hours", "-1h", "0s", "0.0d"])
def test_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match="no span of time"):
        recipes.parse_budget(text)


@pytest.mark.parametrize("name", sorted(recipes.known()))
def test_shipped_recipes_are_sound(name: str) -> None:
    assert recipes.read(name).path == recipes.known()[name]


def test_a_share_of_the_budget_becomes_seconds_and_residues(tmp_path: Path) -> None:
    shares = {"plm": 0.5, "embed": 0.25}
    engine = {"learning_rate": 0.1}
    path = write_recipe(
        tmp_path / "r.json",
        shares=shares,
        plm={**TINY["plm"], "engine": engine},
        embed={"residues_per_second": 1000},
    )
    recipe = recipes.read(path)
    assert recipe.engine("plm", 3600).seconds == 1800
    assert recipe.engine("glm", 3600).steps == 40
    assert recipe.residues(3600) == 900_000


LEARNS = {"learning_rate": 0.001}


def trained(network: dict[str, Any] | None = None, **engine: Any) -> dict[str, Any]:
    """A section `glm` with these settings and the fewest others."""
    return {"glm": {"network": network or {}, "engine": {"steps": 2, **LEARNS, **engine}}}


def encoder(task: Any = None, **sizes: Any) -> dict[str, Any]:
    """A section `plm` with these settings beside the tiny ones."""
    tiny = TINY["plm"]["task"]
    changed = {**tiny, "encoder": {**tiny["encoder"], **sizes}, **(task or {})}
    return {"plm": {"task": changed, "engine": {"steps": 2, **LEARNS}}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"colour": "red"},
            "colour: unknown key; valid keys are name, version, summary, budget, corpus, plm",
        ),
        ({"path": "r.json"}, "path: unknown key; valid keys are name, version"),
        ({"version": 1}, "version: should be a valid string, not 1"),
        ({"suite": "guess"}, "suite: should be 'benchmark' or 'test', not 'guess'"),
        ({"budget": "2 hours"}, "budget: '2 hours' is no span of time; write 90m, 2h or 1.5d"),
        ({"budget": "0s"}, "budget: '0s' is no span of time; write 90m, 2h or 1.5d"),
        (
            {"shares": {"gml": 0.5}},
            "shares: no step 'gml' takes a share; those that do: plm, embed, glm, bas",
        ),
        ({"shares": {"glm": -0.5}}, "shares.glm: should be above 0 and at most 1, not -0.5"),
        ({"shares": {"glm": "half"}}, "shares.glm: should be a valid number, not 'half'"),
        (
            {"shares": {"plm": 0.9, "glm": 0.2}},
            "shares: should add up to 1 at most, not 1.1 (plm 0.9 + glm 0",
        ),
        (
            {"shares": {"glm": 0.6}, "baseline": True},
            "shares: should add up to 1 at most, not 1.2 (glm 0.6 + baseline 0.6)",
        ),
        ({"corpus": []}, 'corpus: should be an object, such as {"key": 1}, not []'),
        ({"corpus": {}}, "corpus: give either 'tables' or 'folder'"),
        (
            {"corpus": {"folder": ".", "size": 3}},
            "corpus.size: unknown key; valid keys are tables, folder, genomes, ",
        ),
        ({"corpus": {"folder": ".", "genomes": "9"}}, "corpus.genomes: should be a valid integer, not '9'"),
        ({"corpus": {"folder": ".", "valid": 0}}, "corpus.valid: should be above 0, not 0"),
        ({"corpus": {"folder": ".", "seed": -1}}, "corpus.seed: should be 0 or above, not -1"),
        ({"corpus": {"folder": ".", "held_out": "a"}}, "corpus.held_out: should be a valid array, not 'a'"),
        (
            {"corpus": {"folder": ".", "exclude": {"abc": "no"}}},
            "corpus: exclude has genome numbers as its keys, such as '452', not 'abc'",
        ),
        (
            {"embed": {"precision": "bf61"}},
            "embed.precision: should be 'auto', 'fp32', 'bf16' or 'fp16', not",
        ),
        (
            {"plm": {"keep": "mini", "task": {}}},
            "plm: takes 'task' and 'engine' or 'families' and 'engine' or 'keep' or 'official', not",
        ),
        (
            {"plm": {"families": {}, "engine": {"learning_rate": 0.001, "steps": 1}}},
            "plm.families: they are learnt from corpus.families; give that, too",
        ),
        ({"plm": {"keep": 3}}, "plm.keep: should be the name or path of a model, not 3"),
        (
            encoder(dims=3),
            "plm.task.encoder.dims: unknown key; valid keys are layers, dim, heads, max_residues, overl",
        ),
        (encoder(dim=33), "plm.task.encoder: dim 33 must be an even multiple of heads 2"),
        (
            encoder({"crops": 3}),
            "plm.task.crops: unknown key; valid keys are encoder, pairs, crop, mask_rate",
        ),
        (encoder({"mask_rate": 1}), "plm.task.mask_rate: should be below 1, not 1"),
        (
            encoder({"start": "pairs"}, dim=64),
            "plm.task: start 'pairs' needs an encoder with a dim of 105 at least and of 20 for each head",
        ),
        ({"glm": {"keep": "mini"}}, "glm: a kept gLM reads its own encoder; let plm keep the same model"),
        (
            {"glm": {"keep": "mini"}, "plm": {"keep": "mini"}, "baseline": True},
            "baseline: a kept gLM has no baseline: it would have to be trained on the data that trained gLM",
        ),
        (
            trained({"dims": 3}),
            "glm.network.dims: unknown key; valid keys are backbone, components, directions, masked",
        ),
        (trained({"dim": 30}), "glm.network: dim 30 is not a multiple of heads 4"),
        (trained({"heads": 0}), "glm.network.heads: should be above 0, not 0"),
        (trained({"dropout": 1}), "glm.network.dropout: should be below 1, not 1"),
        (
            trained({"max_distance": 16}),
            "glm.network: max_distance is 30 at least, the genes of a window, not",
        ),
        (
            trained(learnin_rate=1),
            "glm.engine.learnin_rate: unknown key; valid keys are learning_rate, warmup_steps",
        ),
        (trained(steps=1.5), "glm.engine.steps: should be a valid integer"),
        (trained(steps=None), "glm.engine.steps: give it, or shares.glm, a share of the budget"),
        (trained(seconds=5), "glm.engine.seconds: state it as shares.glm, a share of the budget"),
        (trained(precision="bf61"), "glm.engine.precision: should be 'fp32' or 'bf16', not 'bf61'"),
        (trained(micro_batch=0), "glm.engine.micro_batch: should be above 0, not 0"),
        (trained(betas=[0.9, 1]), "glm.engine.betas.1: should be below 1, not 1"),
        (
            trained(batch=10, micro_batch=4),
            "glm.engine: batch is 10, which is no multiple of micro_batch, 4",
        ),
        ({"glm": {"network": {}, "engine": {"steps": 1}}}, "glm.engine.learning_rate: missing; give it"),
        ({"heads": {"ec": "all"}}, "heads.ec: should be 'shared', 'corpus' or 'none', not 'all'"),
        (
            {"heads": {"ec_layers": [99]}},
            "heads.ec_layers: gLM has 2 layers, so that they are 0 to 2, not 99",
        ),
        (
            {"heads": {"leave_out": ["a"]}},
            "heads: leave_out names organisms of the collection; give 'organis",
        ),
    ],
)
def test_a_wrong_recipe_says_where_and_what_would_be_right(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        recipes.read(write_recipe(tmp_path / "r.json", **changes))
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'r.json'}: {message}") and "\n" not in said


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps({key: value for key, value in TINY.items() if key != "glm"}))
    with pytest.raises(InputError, match=r"r\.json: glm: missing; give it"):
        recipes.read(path)


def test_precisions_are_those_of_the_encoder() -> None:
    assert get_args(get_type_hints(recipes.EmbedSection)["precision"]) == PRECISIONS


@pytest.mark.parametrize("name", sorted(recipes.known()))
def test_a_launcher_s_processes_read_the_same_recipe(tmp_path: Path, name: str) -> None:
    recipe, path = recipes.read(name), tmp_path / "copy.json"
    path.write_text(json.dumps(recipe.content()))
    assert replace(recipes.read(path), path=recipe.path) == recipe


def test_what_only_data_can_tell_is_told_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "data" / "operons" / "escherichia_coli_k12").mkdir(parents=True)
    heads = {"ec": "none", "organisms": "operons", "leave_out": ["escherichia_coli_k-12"]}
    message = r"heads.leave_out: 'escherichia_coli_k-12' is unknown; valid names are escherichia_coli_k12$"
    write_recipe(tmp_path / "recipe.json", heads=heads)
    with pytest.raises(InputError, match=message):
        train(tmp_path)
    write_recipe(tmp_path / "recipe.json", plm={"keep": "minni"})
    with pytest.raises(InputError, match=r"recipe.json: plm.keep: no model 'minni'"):
        train(tmp_path)
    write_recipe(tmp_path / "recipe.json", plm={"official": "esm2_t6"})
    with pytest.raises(InputError, match=r"recipe.json: plm.official: .*esm2_t6"):
        train(tmp_path)
    kept = {"keep": "mini"}
    write_recipe(tmp_path / "recipe.json", plm=kept, glm=kept, heads={"ec_layers": [4]})
    with pytest.raises(InputError, match=r"recipe.json: heads.ec_layers: gLM has 3 layers"):
        train(tmp_path)
    assert not (tmp_path / "work").exists()


def test_a_genome_to_exclude_has_to_be_there(tmp_path: Path) -> None:
    genomes = write_folder(tmp_path / "data", ["Aaa one", "Bbb one", "Ccc one"])
    write_clusters(tmp_path / "data" / "clusters.tsv", genomes)
    write_recipe(tmp_path / "recipe.json", corpus={**TINY["corpus"], "exclude": {"3": "a slip"}})
    arguments = ["corpus", str(tmp_path / "recipe.json"), "--data", str(tmp_path / "data")]
    with pytest.raises(InputError, match=r"corpus.exclude: 3 is unknown; valid names are 0, 1, 2"):
        CliRunner().invoke(cli, [*arguments, "-o", str(tmp_path / "corpus")], catch_exceptions=False)
    assert not (tmp_path / "corpus").exists()


def test_each_genome_is_read_once_for_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    write_clusters(data / "clusters.tsv", write_folder(data, ["Aaa one", "Bbb one", "Ccc one"]))
    recipe = recipes.read(write_recipe(tmp_path / "recipe.json"))
    files, read, opened = len(annotation_files(data)), io.read, list[Path]()
    monkeypatch.setattr(io, "read", lambda path, **others: opened.append(path) or read(path, **others))
    stages.make_corpus(recipe, data, tmp_path / "corpus", budget=60.0, report=lambda _: None)
    assert (data / "operons.tsv").exists() and len(opened) == len(set(opened)) == files


def test_operons_that_fit_no_gene_are_said_before_training(tmp_path: Path) -> None:
    genomes = write_folder(tmp_path / "data", ["Aaa one", "Bbb one", "Ccc one"])
    write_clusters(tmp_path / "data" / "clusters.tsv", genomes)
    table = tmp_path / "data" / "operons.tsv"
    table.write_text("contig\tgene_a\tgene_b\tlabel\nnone\ta\tb\t1\n")
    write_recipe(tmp_path / "recipe.json")
    with pytest.raises(InputError, match="no genome has a contig 'none'"):
        train(tmp_path)
    assert not (tmp_path / "work" / "plm").exists()


@pytest.mark.parametrize("backbone", ["glm", "lstm"])
def test_a_kept_glm_has_no_other_backbone(tmp_path: Path, backbone: str) -> None:
    folders = ["--corpus", str(tmp_path), "-o", str(tmp_path / "glm")]
    with pytest.raises(
        InputError, match=r"published.json: glm: (a kept gLM has no baseline|this recipe trains no network)"
    ):
        CliRunner().invoke(
            cli, ["glm", "published", *folders, "--backbone", backbone], catch_exceptions=False
        )


@pytest.mark.parametrize("budget", ["2 hours", "0s"])
def test_a_budget_that_is_no_time_is_refused(tmp_path: Path, budget: str) -> None:
    result = CliRunner().invoke(
        cli, ["run", "own", "--data", ".", "--work", str(tmp_path), "--budget", budget]
    )
    assert result.exit_code == 2 and "is no span of time; write 90m" in result.output


def test_pairs_left_out_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = made_gff3(6).replace("ID=MADE_0002;", "ID=MADE_0002;pseudo=True;")
    (tmp_path / "a.gff3").write_text(text)
    rows = ["contig\tgene_a\tgene_b\tlabel"]
    rows += [f"contig_1\tMADE_000{n}\tMADE_000{n + 1}\t1" for n in (1, 2, 4)]
    (tmp_path / "operons.tsv").write_text("\n".join(rows) + "\n")
    monkeypatch.setattr("glm_annot.training.operons.fit.OperonExample.of", lambda labelled, _: labelled)
    monkeypatch.setattr("glm_annot.training.operons.fit.fit_operon_head", lambda examples, **_: examples)
    table = {"split": ["train"], "source": ["a.gff3"]}
    pq.write_table(pa.table(table), tmp_path / "genomes.parquet")
    said: list[str] = []
    recipe, model = recipes.read(write_recipe(tmp_path / "r.json")), SimpleNamespace()
    heads.fit_operons(recipe, tmp_path, tmp_path, model, said.append)  # type: ignore[arg-type]
    assert said == [
        "operons: 1 genomes with known ones",
        "operons: 2 known pairs left out, for a gene of theirs gets no prediction",
    ]


def test_a_baseline_is_trained_like_the_glm_but_for_its_share(tmp_path: Path) -> None:
    timed = {**TINY["glm"], "engine": {"learning_rate": 0.1}}
    plain = recipes.read(
        write_recipe(tmp_path / "r.json", glm=timed, shares={"glm": 0.4}, baseline=True)
    ).as_baseline()
    trained = recipes.read(tmp_path / "r.json").glm
    assert isinstance(trained, TrainedGLM) and isinstance(plain.glm, TrainedGLM)
    assert plain.glm.network == replace(trained.network, backbone="lstm")
    assert plain.engine("glm", 100) == recipes.read(tmp_path / "r.json").engine("glm", 100)
    own = recipes.read(write_recipe(tmp_path / "r.json", glm=timed, shares={"glm": 0.4, "baseline": 0.6}))
    assert (own.engine("glm", 100).seconds, own.as_baseline().engine("glm", 100).seconds) == (40, 60)


def test_data_that_are_not_there_are_said(tmp_path: Path) -> None:
    write_recipe(tmp_path / "recipe.json")
    with pytest.raises(InputError, match=r"data: no such folder; --data"):
        train(tmp_path)


def test_no_recipe_names_those_that_ship(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such recipe; give a JSON file or one of: .*mini"):
        recipes.read(tmp_path / "none.json")


def keys(recipe: Path, data: Path) -> dict[str, str]:
    """The key of each step, as it would be run now."""
    run = RecipeRun(recipes.read(recipe), data, data / "work", 60.0, "", print)
    found, before = {}, ""
    for step in run.steps:
        found[step.name] = before = _key(step, before)
    return found


def first_changed(before: dict[str, str], after: dict[str, str]) -> str:
    """The first step that would be done anew, '' for none; all after it would be, too."""
    changed = [name for name in before if before[name] != after[name]]
    assert changed == list(before)[len(before) - len(changed) :]
    return changed[0] if changed else ""


def edit(path: Path) -> None:
    """Change one letter of a file, which stays as long."""
    content = path.read_bytes()
    path.write_bytes(content[:-2] + bytes([content[-2] ^ 1]) + content[-1:])


@pytest.mark.parametrize(
    ("file", "step"),
    [
        ("g0.gbk", "corpus"),
        ("g1.gff3", "corpus"),
        ("g1.faa", "corpus"),
        ("ec.tsv", "corpus"),  # its numbers stand in the corpus's tables
        ("clusters.tsv", "corpus"),
        ("held.faa", "corpus"),
        ("bench.tsv", "corpus"),
        ("operons.tsv", "heads"),
        ("g0.fna", ""),  # a GenBank file is read alone
        ("notes.txt", ""),
    ],
)
def test_an_edit_of_equal_length_does_what_reads_it_anew(tmp_path: Path, file: str, step: str) -> None:
    write_folder(tmp_path, ["Aaa one", "Bbb one"])
    for name in ("clusters.tsv", "held.faa", "bench.tsv", "g1.faa", "g0.fna", "notes.txt"):
        (tmp_path / name).write_text("some text\n")
    section = {**TINY["corpus"], "held_out": ["held.faa"], "benchmarks": ["bench.tsv"]}
    recipe = write_recipe(tmp_path / "recipe.json", corpus=section)
    before = keys(recipe, tmp_path)
    edit(tmp_path / file)
    assert first_changed(before, keys(recipe, tmp_path)) == step


def test_results_beside_the_genomes_are_no_genomes_and_change_nothing(tmp_path: Path) -> None:
    write_folder(tmp_path, ["Aaa one", "Bbb one"])
    (tmp_path / "clusters.tsv").touch()
    recipe = write_recipe(tmp_path / "recipe.json")
    before, files = keys(recipe, tmp_path), annotation_files(tmp_path)
    for name in ("g0.gbk", "g1.gff3"):
        text = (tmp_path / name).read_bytes()
        stem, suffix = name.split(".")
        (tmp_path / f"{stem}.glm.{suffix}").write_bytes(text)
        (tmp_path / f"{stem}.glm.{suffix}.gz").write_bytes(gzip.compress(text))
        (tmp_path / f"{stem}.glm.tsv").write_text("a table\n")
    assert annotation_files(tmp_path) == files
    assert keys(recipe, tmp_path) == before
    shutil.copy(tmp_path / "g0.gbk", tmp_path / "g0.glm-x.gbk")  # another genome, whatever its name
    assert first_changed(before, keys(recipe, tmp_path)) == "corpus"


@pytest.mark.parametrize(
    ("file", "step"),
    [
        ("corpus/genes.parquet", "corpus"),
        ("corpus/proteins-01.parquet", "corpus"),
        ("ec/labelled.parquet", "heads"),
        ("ec/ec_names.tsv", "heads"),
        ("operons/one/pairs.tsv", "heads"),
        ("operons/one/x.gff.gz", "heads"),
        ("ec/CARE-30.tsv", "evaluate"),
        ("annotated/ncbi/ecoli_k12.gbff.gz", "evaluate"),
        ("corpus/embeddings.npy", ""),
        ("operons/README.md", ""),
    ],
)
def test_an_edit_of_the_shared_data_does_what_reads_it_anew(tmp_path: Path, file: str, step: str) -> None:
    benchmarks = ("CARE-30", "CARE-30-50", "CARE-promiscuous", "New-392")
    prodigal = "escherichia_coli_k12/GCF_000005845.2"
    names = {
        *(
            "corpus/genomes.parquet",
            "corpus/contigs.parquet",
            "corpus/genes.parquet",
            "corpus/embeddings.npy",
        ),
        *("corpus/proteins-00.parquet", "corpus/proteins-01.parquet", "ec/labelled.parquet"),
        *("ec/ec_names.tsv", "ec/unlabelled_or_non_enzyme.tsv", *(f"ec/{name}.tsv" for name in benchmarks)),
        *("annotated/ncbi/ecoli_k12.gbff.gz", "operons/one/pairs.tsv", "operons/one/x.gff.gz"),
        *(f"operons/{prodigal}.faa.gz", "operons/README.md"),
    }
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{name}\n")
    heads = {"ec": "shared", "organisms": "operons"}
    recipe = write_recipe(
        tmp_path / "r.json", corpus={"tables": "corpus"}, heads=heads, suite="benchmark", baseline=True
    )
    before = keys(recipe, tmp_path)
    edit(tmp_path / file)
    assert first_changed(before, keys(recipe, tmp_path)) == step


def test_other_weights_of_a_kept_model_are_another_encoder_other_words_are_not(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    write_folder(tmp_path, ["Aaa one", "Bbb one"])
    (tmp_path / "clusters.tsv").touch()
    kept = {"keep": str(shutil.copytree(tiny_bundle, tmp_path / "model"))}
    recipes_of = {"plm": write_recipe(tmp_path / "one.json", plm=kept)}
    recipes_of["glm"] = write_recipe(tmp_path / "both.json", plm=kept, glm=kept)
    before = {part: keys(recipe, tmp_path) for part, recipe in recipes_of.items()}
    rewrite_texts(tmp_path / "model", metrics={}, card="# New\n")
    assert before == {part: keys(recipe, tmp_path) for part, recipe in recipes_of.items()}
    model = tiny()
    next(model.glm.parameters()).data.add_(1)
    save(model, tmp_path / "model", metrics={}, card="")
    assert keys(recipes_of["plm"], tmp_path) == before["plm"]  # its gLM is not kept
    assert first_changed(before["glm"], keys(recipes_of["glm"], tmp_path)) == "glm"
    next(model.encoder.parameters()).data.add_(1)
    save(model, tmp_path / "model", metrics={}, card="")
    assert first_changed(before["plm"], keys(recipes_of["plm"], tmp_path)) == "plm"


def test_an_own_file_of_an_official_encoder_counts_by_its_content(tmp_path: Path) -> None:
    write_folder(tmp_path, ["Aaa one", "Bbb one"])
    (tmp_path / "clusters.tsv").touch()
    (tmp_path / "esm.pt").write_text("weights\n")
    recipe = write_recipe(tmp_path / "recipe.json", plm={"official": str(tmp_path / "esm.pt")})
    before = keys(recipe, tmp_path)
    edit(tmp_path / "esm.pt")
    assert first_changed(before, keys(recipe, tmp_path)) == "plm"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where a recipe ran on a made folder of genomes: data/, work/ and recipe.json."""
    folder = tmp_path_factory.mktemp("run")
    genomes = write_folder(folder / "data", ["Aaa one", "Bbb one", "Ccc one", "Ddd one"])
    write_clusters(folder / "data" / "clusters.tsv", genomes)
    write_recipe(folder / "recipe.json")
    result = train(folder)
    assert result.exit_code == 0, result.output
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """All files of a working folder, but for the lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != LOCK)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def train(folder: Path, *options: str) -> Result:
    """`glm-train run` in a folder."""
    paths = [str(folder / name) for name in ("recipe.json", "data", "work")]
    return CliRunner().invoke(
        cli, ["run", paths[0], "--data", paths[1], "--work", paths[2], *options], catch_exceptions=False
    )


def test_one_command_makes_a_model_that_annotates(made: Path, tmp_path: Path) -> None:
    genome = made / "data" / "g1.gff3"
    model = made / "work" / "bundle"
    command = [sys.executable, "-m", "glm_annot", str(genome), "--model", str(model), "-o", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "g1.glm.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert len(rows) == 30
    linked = [float(row["prob_pair_next"]) for row in rows if row["prob_pair_next"]]
    inside = [value for number, value in enumerate(linked) if number % OPERON != OPERON - 1]
    between = [value for number, value in enumerate(linked) if number % OPERON == OPERON - 1]
    assert min(inside) > 0.5 > max(between)


@needs_tools
def test_a_memory_of_gene_order_is_built_where_the_recipe_asks_for_it(tmp_path: Path) -> None:
    genomes = write_folder(tmp_path / "data", [f"{name} one" for name in ("Aaa", "Bbb", "Ccc", "Ddd", "Eee")])
    write_clusters(tmp_path / "data" / "clusters.tsv", genomes)
    network = {**TINY["glm"]["network"], "norm": "pre", "family_weight": 1.0, "paper_weight": 0.0}
    write_recipe(
        tmp_path / "recipe.json",
        glm={**TINY["glm"], "network": network},
        heads={"ec": "none"},
        neighbours=True,
    )
    result = train(tmp_path)
    assert result.exit_code == 0, result.output
    neighbours = load(tmp_path / "work" / "bundle").neighbours
    assert neighbours is not None and neighbours.config.glm == 32
    assert neighbours.config.genomes == 5 and neighbours.config.places == len(genomes) * 30
    _every_file_has_a_name_of_its_step(tmp_path)


@needs_tools
def test_the_model_knows_the_enzymes_of_ec_tsv(made: Path) -> None:
    model = load(made / "work" / "bundle")
    genome = io.read(made / "data" / "g3.gff3")
    predictions = annotate(genome, model).predictions
    tops = [predictions.genes[gene.index].ec_top for gene in genome.genes]
    firsts = [top[0].number if top else "" for top in tops[:12]]
    assert firsts == [number_of(family) for family in range(12)]


def test_the_model_says_what_it_is(made: Path) -> None:
    bundle = made / "work" / "bundle"
    metrics = json.loads((bundle / "metrics.json").read_text())
    assert 0 <= metrics["masked_genes"]["pseudo_accuracy"] <= 1
    assert metrics["masked_genes"]["of"] == "the corpus's test genomes"
    card = (bundle / "MODEL_CARD.md").read_text()
    assert card.startswith("# tiny 0.0.1\n\nA tiny model.\n")
    assert "2 genomes train gLM" in card
    for organism in ("Aaa one", "Bbb one", "Ccc one", "Ddd one"):
        assert f"| {organism} |" in card


def test_without_test_genomes_it_is_said_which_stand_in(made: Path, tmp_path: Path) -> None:
    corpus = shutil.copytree(made / "work" / "corpus", tmp_path / "corpus")
    genomes = pq.read_table(corpus / "genomes.parquet")
    splits = [split.replace("test", "train") for split in genomes["split"].to_pylist()]
    column = genomes.column_names.index("split")
    pq.write_table(genomes.set_column(column, "split", [splits]), corpus / "genomes.parquet")
    found = suites.of_corpus(load(made / "work" / "bundle"), corpus, command="")
    assert "has no test genomes" in found["masked_genes"]["of"]


def test_operons_of_test_genomes_train_nothing(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    fitted: list[str] = []
    monkeypatch.setattr("glm_annot.training.operons.fit.OperonExample.of", lambda labelled, _: labelled.name)
    monkeypatch.setattr(
        "glm_annot.training.operons.fit.fit_operon_head", lambda names, **_: fitted.extend(names)
    )
    recipe, corpus = recipes.read(made / "recipe.json"), made / "work" / "corpus"
    model = load(made / "work" / "bundle")
    heads.fit_operons(recipe, made / "data", corpus, model, said.append)
    rows = pq.read_table(corpus / "genomes.parquet").to_pylist()
    (tested,) = (row["source"] for row in rows if row["split"] == "test")
    assert sorted(fitted) == sorted(row["source"] for row in rows if row["split"] != "test")

    data = shutil.copytree(made / "data", tmp_path / "data")
    (path,) = (place for place in data.iterdir() if place.name == tested)
    contigs = {contig.name for contig in io.read(path).contigs}
    header, *pairs = (data / "operons.tsv").read_text().splitlines()
    own = [pair for pair in pairs if pair.split("\t")[0] in contigs]
    (data / "operons.tsv").write_text("\n".join([header, *own]) + "\n")
    fitted.clear()
    heads.fit_operons(recipe, data, corpus, model, said.append)
    assert fitted == [tested] and any("set aside for testing" in line for line in said)


def test_a_second_run_leaves_out_what_is_done(made: Path) -> None:
    before = (made / "work" / "bundle" / "config.json").read_bytes()
    output = train(made).output
    assert output.count("already done") == 8
    assert (made / "work" / "bundle" / "config.json").read_bytes() == before


def test_another_budget_stops_before_hours_of_work_are_done_again(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "run")
    timed = {**TINY["plm"], "engine": {**TINY["plm"]["engine"], "steps": None}}
    write_recipe(tmp_path / "run" / "recipe.json", plm=timed, shares={"plm": 0.5})
    before = contents(tmp_path / "run" / "work")
    with pytest.raises(UsageError) as stopped:
        train(tmp_path / "run", "--budget", "2m")
    said = str(stopped.value)
    assert (
        "work: plm: seconds of the budget was None and is 60.0; plm: engine.steps was 40 and is None. "
        in said
    )
    assert re.search(r"took: plm [\d,]+ s, embed [\d,]+ s, glm [\d,]+ s, heads .*Add --restart", said)
    assert contents(tmp_path / "run" / "work") == before


def test_a_folder_of_the_users_is_no_working_folder(made: Path, tmp_path: Path) -> None:
    for name in ("recipe.json", "data"):
        (tmp_path / name).symlink_to(made / name)
    (tmp_path / "work" / "corpus").mkdir(parents=True)
    (tmp_path / "work" / "corpus" / "thesis.txt").write_text("years of work\n")
    with pytest.raises(UsageError, match=r"corpus/thesis\.txt is not among the files that glm-train"):
        train(tmp_path, "--restart")
    assert contents(tmp_path / "work") == {"corpus/thesis.txt": b"years of work\n"}


def test_every_file_of_a_run_is_recorded(made: Path) -> None:
    work = made / "work"
    record = json.loads((work / "steps.json").read_text())["steps"]
    sizes = {path: size for state in record.values() for path, size in state["files"].items()}
    found = {path: len(content) for path, content in contents(work).items()}
    assert sizes == {path: size for path, size in found.items() if path != "steps.json"}


def test_every_file_of_a_run_has_a_name_of_its_step(made: Path) -> None:
    """By these names the files of a killed step are recognised."""
    _every_file_has_a_name_of_its_step(made)


def _every_file_has_a_name_of_its_step(made: Path) -> None:
    run = RecipeRun(recipes.read(made / "recipe.json"), made / "data", made / "work", 60.0, "", print)
    names = {step.name: step.names for step in run.steps}
    record = json.loads((made / "work" / "steps.json").read_text())["steps"]
    for step, state in record.items():
        assert [path for path in state["files"] if not is_named(path, names[step])] == []


def test_restart_after_a_kill_in_the_middle_of_training(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "data", tmp_path / "data")
    engine = {**TINY["plm"]["engine"], "steps": 1_000_000, "save_every": 0.1}
    recipe = write_recipe(tmp_path / "recipe.json", plm={**TINY["plm"], "engine": engine})
    options = ["--data", str(tmp_path / "data"), "--work", str(tmp_path / "work")]
    command = [str(Path(sys.executable).with_name("glm-train")), "run", str(recipe), *options]
    plm = tmp_path / "work" / "plm"
    of_this_process = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # set by DeepSpeed
    alone = {name: value for name, value in os.environ.items() if name not in of_this_process}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=alone) as process:
        while process.poll() is None and not (plm / "checkpoint" / "state.json").exists():
            time.sleep(0.1)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    write_recipe(tmp_path / "recipe.json")
    (plm / "thesis.txt").write_text("years of work\n")
    with pytest.raises(UsageError, match=r"plm/thesis\.txt is not among the files that glm-train recorded"):
        train(tmp_path, "--restart")
    (plm / "thesis.txt").unlink()
    assert (plm / "checkpoint" / "state.json").exists()
    result = train(tmp_path, "--restart")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "work" / "bundle" / "config.json").exists()


def test_embeddings_that_are_gone_are_made_again_alone(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "run")
    embeddings = tmp_path / "run" / "work" / "corpus" / "embeddings.npy"
    before = embeddings.read_bytes()
    embeddings.unlink()
    output = train(tmp_path / "run").output
    assert "[3/8] embed: done again, because " in output and output.count("already done") == 7
    assert embeddings.read_bytes() == before


def test_another_summary_rewrites_the_card_alone(made: Path) -> None:
    before = json.loads((made / "work" / "bundle" / "metrics.json").read_text())
    write_recipe(made / "recipe.json", summary="Another tiny model.")
    output = train(made, "--restart").output
    write_recipe(made / "recipe.json")
    assert output.count("already done") == 7
    assert json.loads((made / "work" / "bundle" / "metrics.json").read_text()) == before
    assert "Another tiny model." in (made / "work" / "bundle" / "MODEL_CARD.md").read_text()
    train(made, "--restart")


def test_what_ships_is_what_was_measured(made: Path, tmp_path: Path) -> None:
    """The bundle's own figures are those that the single command finds, and it writes the same into it."""
    bundle, copy = made / "work" / "bundle", tmp_path / "copy"
    recipe = recipes.read(made / "recipe.json")
    assemble(PartFolders(*(made / "work" / name for name in STEPS)), copy, recipe, command="by hand")
    assert "Nothing yet" in read_texts(copy)[1] and read_texts(copy)[0] == {}
    corpus = ["--corpus", str(made / "work" / "corpus")]
    arguments = ["evaluate", "--suite", "test", "--model", str(copy), *corpus, "--write"]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    metrics, card = read_texts(copy)
    by_run, card_of_run = read_texts(bundle)
    untimed, timed = re.subn(r"\nWall-clock time: .* minutes in all\. Trained: .*\n", "", card_of_run)
    assert (by_run, untimed) == (
        metrics,
        card.replace("`by hand`", f"`{metrics['masked_genes']['command']}`"),
    )
    assert timed == 1  # single steps do not know how long the others took
    load(copy)  # it verifies each file


def test_the_shipped_model_is_not_written_to() -> None:
    arguments = ["evaluate", "--suite", "test", "--model", "mini", "--corpus", ".", "--write"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2 and "a model of your own" in result.output


def test_a_card_without_the_section_gets_it_at_its_end() -> None:
    def measured(share: float) -> dict[str, Any]:
        return {"masked_genes": {"pseudo_accuracy": share, "of": "K-12", "command": "typed"}}

    card = with_metrics("# a\n\nb\n", measured(0.5))
    assert card.startswith("# a\n\nb\n\n## Measured\n\n") and "0.500" in card
    again = with_metrics(card + "\n## Limits\n\n- none\n", measured(0.25))
    assert again.startswith("# a\n\nb\n\n## Measured\n\n") and "0.500" not in again and "0.250" in again
    assert again.endswith("\n\n## Limits\n\n- none\n")


def test_a_baseline_is_measured_beside_it(made: Path, tmp_path: Path) -> None:
    """Nothing of what is done is done again, but what follows it: the bundle and its figures."""
    shutil.copytree(made, tmp_path / "run")
    write_recipe(tmp_path / "run" / "recipe.json", baseline=True)
    output = train(tmp_path / "run", "--restart").output
    assert output.count("already done") == 5 and "[6/9] baseline: done" in output
    work = tmp_path / "run" / "work"
    assert json.loads((work / "baseline" / "glm.json").read_text())["backbone"] == "lstm"
    masked = json.loads((work / "bundle" / "metrics.json").read_text())["masked_genes"]
    alone = json.loads((made / "work" / "bundle" / "metrics.json").read_text())["masked_genes"]
    assert masked["lstm"]["loss"] != masked["loss"] == alone["loss"]
    assert set(masked["lstm"]) == {"pseudo_accuracy", "absolute_accuracy", "loss", "place_auroc"}


def test_a_glm_is_no_baseline(made: Path) -> None:
    work = made / "work"
    arguments = ["evaluate", "--suite", "test", "--model", str(work / "bundle"), "--corpus"]
    with pytest.raises(InputError, match="holds a gLM; the baseline is trained by"):
        CliRunner().invoke(
            cli, [*arguments, str(work / "corpus"), "--lstm", str(work / "glm")], catch_exceptions=False
        )


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port: int = free.getsockname()[1]
    return port


def two_hosts(folder: Path) -> str:
    """A launcher like `srun --nodes 2 --ntasks-per-node 1 torchrun ...`, but that both hosts are this one."""
    srun = folder / "srun.py"
    srun.write_text(
        "import subprocess, sys\n"
        "hosts = [subprocess.Popen(sys.argv[1:]) for _ in range(2)]\n"
        "sys.exit(max([host.wait() for host in hosts]))\n"
    )
    torchrun = f"{sys.executable} -m torch.distributed.run --nnodes 2 --nproc-per-node 1"
    return f"{sys.executable} {srun} {torchrun} --rdzv-backend c10d --rdzv-endpoint localhost:{free_port()}"


def two_processes(_: Path) -> str:
    return f"{sys.executable} -m torch.distributed.run --standalone --nproc-per-node 2"


def deepspeed(_: Path) -> str:
    command = Path(sys.executable).with_name("deepspeed")
    return f"{command} --num_gpus 2 --no_local_rank --master_port {free_port()}"


@pytest.mark.parametrize("launcher", [two_processes, two_hosts, deepspeed])
def test_glm_trains_in_two_processes_of_a_launcher(
    made: Path, tmp_path: Path, launcher: Callable[[Path], str]
) -> None:
    shutil.copytree(made, tmp_path / "run")
    engine = {**TINY["glm"]["engine"], "steps": 4, "zero_stage": 2, "batch": 32}
    fewer = {**TINY["glm"], "engine": engine}
    write_recipe(tmp_path / "run" / "recipe.json", glm=fewer)
    result = train(tmp_path / "run", "--restart", "--launcher", launcher(tmp_path))
    assert result.exit_code == 0, result.output
    assert result.output.count("already done") == 3
    state = json.loads((tmp_path / "run" / "work" / "glm" / "checkpoint" / "state.json").read_text())
    assert (state["world_size"], state["step"], state["finished"]) == (2, 4, True)
    assert list(
        (tmp_path / "run" / "work" / "glm" / "checkpoint").glob("step-4/*zero_pp_rank_1*optim_states.pt")
    )


def test_what_is_kept_needs_one_process(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(made, tmp_path / "run")
    kept = {"keep": str(made / "work" / "bundle")}
    write_recipe(tmp_path / "run" / "recipe.json", plm=kept, glm=kept)
    monkeypatch.delattr(Launcher, "train")
    result = train(tmp_path / "run", "--restart", "--processes", "2")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("options", "environment", "message"),
    [
        (("--launcher", "no-such-launcher"), {}, "cannot start 'no-such-launcher': No such file"),
        (("--launcher", "torchrun '"), {}, "is no command: No closing quotation"),
        (("--launcher", "torchrun", "--processes", "2"), {}, "not both"),
        ((), {"RANK": "1", "WORLD_SIZE": "2"}, "give the launcher to it as --launcher"),
    ],
)
def test_wrong_launchers_are_said(
    made: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    environment: dict[str, str],
    message: str,
) -> None:
    shutil.copytree(made, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "work" / "glm")
    changed = {**TINY["glm"], "engine": {**TINY["glm"]["engine"], "steps": 3}}
    write_recipe(tmp_path / "run" / "recipe.json", glm=changed)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    try:
        said = train(tmp_path / "run", "--restart", *options).output
    except GlmAnnotError as error:
        said = str(error)
    assert message in said


def test_a_failure_in_a_process_is_said(tmp_path: Path) -> None:
    recipe = recipes.read(write_recipe(tmp_path / "recipe.json"))
    with pytest.raises(GlmAnnotError, match="failed in one of its processes"):
        Launcher.local(2).train("glm", recipe, tmp_path / "none", tmp_path, budget=60.0)


def test_a_glm_and_another_encoder_of_its_width_make_no_model(made: Path, tmp_path: Path) -> None:
    from glm_annot.training.encoder.exports import export_encoder, read_encoder

    other = read_encoder(made / "work" / "plm")
    next(other.parameters()).data.add_(1)
    export_encoder(other, tmp_path / "plm")
    recipe, work = str(made / "recipe.json"), made / "work"
    runs = ["--corpus", str(work / "corpus"), "--plm", str(tmp_path / "plm"), "--glm", str(work / "glm")]
    for command in (["heads", recipe, "--data", str(made / "data")], ["bundle", recipe]):
        arguments = [*command, *runs, "-o", str(tmp_path / "out")]
        with pytest.raises(InputError, match=r"glm: was trained on embeddings by another encoder than"):
            CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert not (tmp_path / "out").exists()


def test_an_interrupted_bundle_is_made_again(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made, tmp_path / "run")
    write_recipe(tmp_path / "run" / "recipe.json", version="0.0.2")
    written: list[dict[str, torch.Tensor]] = []

    def killed(shard: dict[str, torch.Tensor]) -> bytes:
        written.append(shard)
        if len(written) == 2:
            raise KeyboardInterrupt
        return serialise(shard)

    with monkeypatch.context() as patch:
        patch.setattr("glm_annot.bundle.serialise", killed)
        train(tmp_path / "run", "--restart")
    assert len(written) == 2
    output = train(tmp_path / "run").output
    assert "[6/8] bundle: resumes" in output
    assert load(tmp_path / "run" / "work" / "bundle").version == "0.0.2"


def test_what_reads_genes_is_on_the_gpu_of_its_process(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[set[str]] = []

    def note(*arguments: Any, **_: Any) -> None:
        (model,) = (argument for argument in arguments if isinstance(argument, Model))
        found.append({tensor.device.type for part in model.parts.values() for tensor in part.buffers()})
        found[-1] |= {tensor.device.type for part in model.parts.values() for tensor in part.parameters()}

    for work in (
        "run.heads.fit_operons",
        "run.heads.fit_ec",
        "glm.train.keep_glm",
        "evaluate.suites.of_corpus",
    ):
        monkeypatch.setattr(f"glm_annot.training.{work}", note)

    def moved(model: Model, device: str) -> None:  # users cannot choose this device: it holds no numbers
        for part in model.parts.values():
            part.to(device)

    monkeypatch.setattr(Model, "to", moved)
    monkeypatch.setattr("glm_annot.training.common.ranks.device", lambda: "meta")
    monkeypatch.setattr("glm_annot.training.bundle.assemble.add_metrics", lambda *_: None)
    work, data, bundle = made / "work", made / "data", str(made / "work" / "bundle")
    folders = PartFolders(*(work / name for name in STEPS))
    kept = write_recipe(tmp_path / "r.json", plm={"keep": bundle}, glm={"keep": bundle}, suite="test")
    recipe = recipes.read(kept)
    stages.fit_heads(recipe, data, folders, tmp_path, report=lambda _: None)
    stages.train_glm(recipe, folders.corpus, tmp_path, budget=60.0)
    stages.evaluate(recipe, data, folders.corpus, Path(bundle), tmp_path, lstm=None, command="")
    assert found == [{"meta"}] * 4


def test_heads_without_the_memory_of_the_recipe_are_said(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for head in ("fit_operons", "fit_ec"):
        monkeypatch.setattr(f"glm_annot.training.run.heads.{head}", lambda *_: None)
    folders = PartFolders(*(made / "work" / name for name in STEPS))
    for neighbours, told in ((False, 0), (True, 1)):
        said: list[str] = []
        recipe = recipes.read(write_recipe(tmp_path / "r.json", neighbours=neighbours))
        stages.fit_heads(recipe, made / "data", folders, tmp_path, report=said.append)
        assert len(said) == told and all("no neighbours are given" in line for line in said)


def test_an_encoder_can_be_kept(made: Path, tmp_path: Path) -> None:
    from glm_annot.training.encoder.exports import export_encoder, read_encoder

    export_encoder(load(made / "work" / "bundle").encoder, tmp_path / "plm")
    kept, trained = read_encoder(tmp_path / "plm"), read_encoder(made / "work" / "plm")
    assert kept.config == trained.config
    for name, tensor in trained.state_dict().items():
        assert torch.allclose(kept.state_dict()[name], tensor, atol=0.01)  # a bundle stores bf16
