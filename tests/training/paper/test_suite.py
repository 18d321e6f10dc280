"""The suite 'paper' from end to end on a tiny model and made genomes: tables, figures, page, cache."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tests.support.made_corpus import write_data

pytest.importorskip("statsmodels", reason="the extra 'paper' is not installed")

from matplotlib.image import imread

from glm_annot.training.cli import cli
from glm_annot.training.common.own_files import is_named
from glm_annot.training.paper import figures as paper_figures
from glm_annot.training.paper import probes, suite
from glm_annot.training.paper.inputs import Files, read

pytestmark = pytest.mark.skipif(
    shutil.which("mmseqs") is None or shutil.which("diamond") is None,
    reason="MMseqs2 or DIAMOND is not installed",
)
STEPS = ("enzymes", "exclusion", "genome", "masked", "operons", "states", "probes", "maps", "lstm", "page")


def evaluate(data: Path, model: Path, out: Path, *more: str) -> Result:
    arguments = ["evaluate", "--suite", "paper", "--model", str(model), "--data", str(data), "-o", str(out)]
    arguments += ["--genomes", "0", "--exclude", "3", *more]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "STEPS", 40)  # of random features nothing is to be learnt
        return CliRunner().invoke(cli, arguments, catch_exceptions=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def done(data: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("suite") / "paper"
    return out, evaluate(data, tiny_bundle, out)


def test_every_figure_and_table_is_there(done: tuple[Path, Result]) -> None:
    out, result = done
    assert result.exit_code == 0, result.output
    for drawing in paper_figures.DRAWINGS:
        pixels = imread(out / "page" / "figures" / f"{drawing.name}.png")[..., :3]
        coloured = np.ptp(pixels, axis=-1) > 0.2  # axes and text are black and grey, data are not
        assert coloured.sum() > 20, drawing.name
        assert (out / "page" / "figures" / f"{drawing.name}.svg").is_file()
        tables = [table for table in drawing.tables if not table.startswith("lstm/")]
        assert tables and all(len(read(out / table)) for table in tables), drawing.name


def test_each_figure_states_bundle_data_n_and_seed(done: tuple[Path, Result]) -> None:
    for drawing in paper_figures.DRAWINGS:
        figure = (done[0] / "page" / "figures" / f"{drawing.name}.svg").read_text(encoding="utf-8")
        text = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", figure))  # a long line is broken
        data = "ecoli_k12.gbff.gz" if drawing.data == "genome" else "corpus"
        assert re.search(rf"model tiny 1\.0\.0 \([0-9a-f]{{8}}\) · data {data} · n: .*\d.* · seed 0", text)


def test_the_page_holds_all(done: tuple[Path, Result]) -> None:
    page = (done[0] / "index.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert page.count("data:image/png;base64,") == len(paper_figures.DRAWINGS)
    for link in set(re.findall(r'href="((?!https)[^"]+)"', page)):
        assert (done[0] / link).is_file(), link
    assert "71.9 %" in page and "1.1.1.1" in page


def test_every_file_has_a_name_of_its_step(done: tuple[Path, Result]) -> None:
    record = json.loads((done[0] / "steps.json").read_text(encoding="utf-8"))["steps"]
    for step, state in record.items():
        names = [*(f"{step}/{name}" for name in suite._NAMES[step]), "index.html", "provenance.json"]
        assert [path for path in state["files"] if not is_named(path, names)] == []


def test_known_answers(done: tuple[Path, Result]) -> None:
    """Made genomes descend from the same proteins as the held-out one, so that every window resembles it."""
    out = done[0]
    total = read(out / "exclusion" / "total.tsv").iloc[0]
    assert total["left_out"] == total["windows"] == 11 and total["left_out_share"] == 1
    lengths = read(out / "masked" / "lengths.tsv").set_index("length")
    assert lengths.loc[30, "windows"] == 2 and lengths.loc[5, "chance"] == pytest.approx(0.2)
    methods = read(out / "operons" / "methods.tsv").set_index(["folds", "method"])
    assert methods["pairs"].eq(59).all()
    assert methods.loc[("shuffled", "strand + distance"), "ap_pooled"] > 0.99  # a gap of 12 or 120 bases
    layers = read(out / "probes" / "layers.tsv")
    assert set(layers["features"]) == {
        *("most frequent class", "encoder", "gLM input", "gLM layer 1", "gLM layer 2")
    }
    genomes = read(out / "enzymes" / "genomes.tsv")
    assert len(genomes) == 11 and 3 not in genomes["genome"].tolist()


def test_the_comparison_goes_into_a_page(done: tuple[Path, Result], data: Path, tiny_bundle: Path) -> None:
    page = done[0] / "docs.md"
    page.write_text("<!-- paper: start -->\n<!-- paper: end -->\n")
    result = evaluate(data, tiny_bundle, done[0], "--fill", str(page))
    assert result.output.count("already done") == len(STEPS)
    assert "| masked genes, pseudo-accuracy | 71.9 % |" in page.read_text()
    assert json.loads((done[0] / "provenance.json").read_text())["model"]["name"] == "tiny"


def test_what_is_read_is_told_by_its_content(data: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(data, tmp_path / "data")
    before = Files.of(data).contents()
    assert Files.of(copy).contents() == before
    for name in ("ec/ec_names.tsv", "ec/labelled.parquet", "corpus/genes.parquet"):
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        after = Files.of(copy).contents()
        assert after.keys() == before.keys() and after != before
        before = after


def test_another_seed_is_another_result(
    done: tuple[Path, Result], data: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "paper"
    shutil.copytree(done[0], copy)
    result = evaluate(data, tiny_bundle, copy, "--seed", "1", "--restart")
    assert "already done" not in result.output
    before, after = (read(folder / "probes" / "repeats.tsv") for folder in (done[0], copy))
    assert not before["accuracy"].equals(after["accuracy"])


def test_the_baseline_stands_beside_it(
    done: tuple[Path, Result], data: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    from glm_annot.model.glm import ContextFit, ContextFitConfig
    from glm_annot.training.glm.lstm import BiLSTM, of_equal_size
    from glm_annot.training.glm.train import _export
    from tests.support.tiny import tiny

    model = tiny()
    lstm = BiLSTM(of_equal_size(model.glm.config))
    (tmp_path / "lstm").mkdir()
    _export(lstm, model.features, ContextFit(ContextFitConfig(11)), {}, tmp_path / "lstm", encoder="")
    result = evaluate(data, tiny_bundle, done[0], "--lstm", str(tmp_path / "lstm"), "--restart")
    assert result.output.count("already done") == len(STEPS) - 2  # all but its own and the page
    assert "| biLSTM, pseudo-accuracy | 28 % |" in result.output
    ours, theirs = (read(done[0] / name / "lengths.tsv") for name in ("masked", "lstm"))
    assert theirs["masked_genes"].tolist() == ours["masked_genes"].tolist()  # the same genes are masked
    alone = evaluate(data, tiny_bundle, done[0], "--restart")
    assert alone.output.count("already done") == len(STEPS) - 2 and "biLSTM" not in alone.output
    assert "biLSTM" not in (done[0] / "page" / "figures" / "masked.svg").read_text(encoding="utf-8")
    assert "lstm/" not in (done[0] / "index.html").read_text(encoding="utf-8")


def test_folders_of_the_users_stay(tmp_path: Path, data: Path, tiny_bundle: Path) -> None:
    from glm_annot.errors import UsageError

    for name in ("lstm/thesis.txt", "index.html", "provenance.json"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("years of work\n")
        with pytest.raises(UsageError, match=f"{name} is not among the files that glm-train recorded"):
            evaluate(data, tiny_bundle, tmp_path, "--restart")
        assert path.read_text() == "years of work\n"
        path.unlink()


def test_what_is_missing_is_said_at_once(tmp_path: Path, data: Path, tiny_bundle: Path) -> None:
    from glm_annot.errors import InputError

    with pytest.raises(InputError, match="holds no finished gLM training"):
        evaluate(data, tiny_bundle, tmp_path / "paper", "--lstm", str(tmp_path))
    with pytest.raises(InputError, match="needs the lines"):
        evaluate(data, tiny_bundle, tmp_path / "paper", "--fill", str(tmp_path / "none.md"))
    assert not (tmp_path / "paper").exists()
    with pytest.raises(InputError, match="is missing; --data names a folder"):
        evaluate(tmp_path, tiny_bundle, tmp_path / "paper")
    arguments = ["evaluate", "--suite", "paper", "--model", str(tiny_bundle), "--data", str(tmp_path)]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2 and "needs -o, a folder to work in" in result.output
