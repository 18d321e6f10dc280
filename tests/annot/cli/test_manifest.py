"""`--manifest`: what the run was, beside the results; only where it is asked for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import glm_annot
from glm_annot.bundle import Model
from glm_annot.cli.app import cli
from glm_annot.errors import UsageError
from glm_annot.io import read
from glm_annot.results.output import Target, is_result, plan
from tests.support.tiny import made_gff3


def annotate(*words: object) -> None:
    result = CliRunner().invoke(cli, [*map(str, words), "-q"], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_it_says_what_was_read_with_what_and_what_came_out(
    small_gff3: Path, tiny_bundle: Path, tiny_model: Model
) -> None:
    annotate(small_gff3, "--model", tiny_bundle, "--manifest", "--promote-ec", 0.9)
    told: dict[str, Any] = json.loads(small_gff3.with_name("small.glm.run.json").read_text())
    assert told["program"] == f"glm-annot {glm_annot.__version__}"
    assert told["model"] == {"name": "tiny", "version": "1.0.0", "sha256": tiny_model.sha256}
    digest = hashlib.sha256(small_gff3.read_bytes()).hexdigest()
    assert told["inputs"] == {"annotation": {"file": str(small_gff3), "sha256": digest}}
    settings = told["settings"]
    assert (settings["promote_ec"], settings["precision"], settings["min_confidence"]) == (0.9, "fp32", 0.5)
    predictions = glm_annot.annotate(read(small_gff3), tiny_model).predictions
    assert predictions.operons is not None
    assert told["counts"]["genes"] == 34 and told["counts"]["operons"] == len(predictions.operons)
    assert told["counts"]["ec"]["new"] == sum(bool(gene.ec) for gene in predictions.genes.values())
    assert told["times"]["seconds"] >= 0 and told["times"]["started"].endswith("+00:00")
    assert told["command"].startswith("glm-annot") and told["machine"]["device"] == "cpu"


def test_there_is_none_unless_asked_for_and_results_are_the_same(small_gff3: Path, tiny_bundle: Path) -> None:
    """Times differ between runs, so that results stay comparable byte for byte only without it."""
    for name in ("with", "without"):
        more = ["--manifest"] if name == "with" else []
        annotate(small_gff3, "--model", tiny_bundle, "-o", small_gff3.parent / f"{name}/", *more)
    found = {name: set((small_gff3.parent / name).iterdir()) for name in ("with", "without")}
    assert {path.name for path in found["with"]} - {path.name for path in found["without"]} == {
        "small.glm.run.json"
    }
    for path in found["without"]:
        assert path.read_bytes() == (small_gff3.parent / "with" / path.name).read_bytes()


def test_resume_makes_a_missing_one_and_force_replaces_it(small_gff3: Path, tiny_bundle: Path) -> None:
    common = (small_gff3, "--model", tiny_bundle)
    manifest = small_gff3.with_name("small.glm.run.json")
    annotate(*common)
    annotate(*common, "--resume", "--manifest")
    first = manifest.read_bytes()
    annotate(*common, "--resume", "--manifest")
    assert manifest.read_bytes() == first
    manifest.write_text("other")
    refused = CliRunner().invoke(cli, [*map(str, common), "--manifest"])
    assert refused.exit_code == UsageError.exit_status and manifest.read_text() == "other"
    annotate(*common, "--force", "--manifest")
    assert json.loads(manifest.read_text())["program"]


def test_it_stands_beside_the_file_that_is_named(tmp_path: Path) -> None:
    (named,) = plan(["x.gff3"], str(tmp_path / "out.v2.gff3.gz"), manifest=True)
    assert named.manifest == tmp_path / "out.v2.run.json"
    (beside,) = plan([str(tmp_path / "x.gff3")], None, manifest=True)
    assert beside.manifest == tmp_path / "x.glm.run.json" and is_result(beside.manifest)
    assert replace(beside, with_manifest=False).manifest is None
    assert not is_result(tmp_path / "x.run.json")


def test_standard_output_has_no_place_for_it() -> None:
    for source, output in (("-", None), ("x.gff3", "-")):
        with pytest.raises(UsageError, match="--manifest needs a place for its file"):
            plan([source], output, manifest=True)
    assert Target("x.gff3", None).manifest is None


def test_a_folder_of_results_is_not_read_again(tmp_path: Path, tiny_bundle: Path) -> None:
    (tmp_path / "x.gff3").write_text(made_gff3(3))
    annotate(tmp_path / "x.gff3", "--model", tiny_bundle, "--manifest")
    annotate(*sorted(tmp_path.iterdir()), "--model", tiny_bundle, "--force")
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "x.gff3",
        "x.glm.gff3",
        "x.glm.run.json",
        "x.glm.tsv",
    ]
