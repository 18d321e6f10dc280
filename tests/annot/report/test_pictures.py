"""Pictures: names do not touch, the same bytes each time, and a clear word without the libraries."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from glm_annot.errors import GlmAnnotError, UsageError
from glm_annot.records import Contig
from glm_annot.report import circle, picture
from glm_annot.report.drawing import colours, picture_format, saved
from glm_annot.report.genes import Genes
from glm_annot.report.regions import Drawn, Region, region
from tests.annot.report.made import genes, row

pytest.importorskip("dna_features_viewer", reason="the extra plot is not installed")
pytest.importorskip("pycirclize", reason="the extra plot is not installed")
matplotlib = pytest.importorskip("matplotlib")

MANY = circle._FEW + 1


@pytest.fixture(scope="module")
def small() -> Region:
    return region(genes(), "chromosome:1-4000")


def test_names_of_genes_do_not_touch(small: Region) -> None:
    crowded = tuple(
        Drawn(100 * i + 1, 100 * i + 90, 1, f"LONG_NAME_{i}", "", "new", "", None, None) for i in range(8)
    )
    figure = picture.draw(replace(small, genes=(*crowded, *small.genes[1:])))
    texts = [text for text in figure.axes[0].texts if text.get_text() != "genes"]
    assert sum(text.get_text().startswith("LONG_NAME") for text in texts) == 8
    boxes = [text.get_window_extent() for text in texts]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in boxes)


def test_what_is_drawn(small: Region) -> None:
    figure = picture.draw(small)
    genes, operons, fit = figure.axes
    assert "ribE 2.5.1.9" in {text.get_text() for text in genes.texts}
    assert "0.90" in {text.get_text() for text in operons.texts}
    assert len([line for line in fit.lines if line.get_marker() == "v"]) == 1
    (legend,) = figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said == ["new EC", "EC agrees", "EC differs", "EC in file only", "context fit below 5"]


def test_a_long_region_has_several_lines_and_a_cut_gene_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "LINE", 1500)
    first, second = picture._parts(region(genes(), "chromosome:1-3000"))
    assert (first.start, first.end, second.start, second.end) == (1, 1500, 1501, 3000)
    assert [gene.label for gene in first.genes] == ["ribE", "M_2"]
    assert [gene.label for gene in second.genes] == ["", "M_3"]


@pytest.mark.parametrize(("ending", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_files_are_the_same_each_time(small: Region, ending: str, magic: bytes) -> None:
    content = saved(picture.draw(small), ending)
    assert content.startswith(magic)
    assert saved(picture.draw(small), ending) == content


def test_a_circle_before_changes_no_picture(small: Region) -> None:
    """Nor how figures of others are saved, which pyCirclize sets when it is imported."""
    for name in [name for name in sys.modules if name.split(".")[0] == "pycirclize"]:
        del sys.modules[name]
    others = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"savefig.bbox": "tight", "svg.fonttype": "path"}):
        content = saved(picture.draw(small), "svg")
    circle.inline(small)
    assert saved(picture.draw(small), "svg") == content and b"<text" in content
    assert dict(matplotlib.rcParams) == others


def test_a_contig_of_many_lines_is_a_circle(small: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "MOST_LINES", 0)
    monkeypatch.setattr(picture, "circle", lambda region: region)
    assert picture.draw(small) is small


def many() -> Region:
    """More genes than a circle shows one by one."""
    found = Genes()
    cells = {"contig": "c", "context_fit": "40.0", "ec_agreement": "new"}
    rows = [row(start=str(50 * i + 1), end=str(50 * i + 25), **cells) for i in range(MANY)]
    found.add([Contig("c", 50 * MANY, True, ())], rows)
    return region(found)


def test_a_circle_takes_the_colours_of_the_page() -> None:
    for whole in (region(genes()), many()):
        text = circle.inline(whole)
        assert text.startswith("<svg ") and not re.search("#[0-9a-f]{6}", text)
        assert "var(--new)" in text and "<style" not in text and "metadata" not in text
        assert len(text) < 300_000
        assert circle.inline(whole) == text


def test_shares_and_means_of_the_parts_of_a_circle() -> None:
    whole = many()
    places, shares = circle._shares(whole, whole.genes)
    assert len(places) == 360 and shares.mean() == pytest.approx(0.5, abs=0.01)
    assert places[0] == pytest.approx(whole.length / 720)
    _, fits = circle._mean_fits(whole)
    assert set(fits) == {40.0}


def test_a_linear_contig_has_a_gap() -> None:
    plasmid = region(genes(), "plasmid")
    assert not plasmid.is_whole_circle
    assert "2,000 bp" in {text.get_text().split("\n")[1] for text in circle.circle(plasmid).axes[0].texts
                          if "bp" in text.get_text()}  # fmt: skip


@pytest.mark.parametrize(
    ("length", "step"), [(4_641_652, 500_000), (100_000, 10_000), (12_000, 1000), (9, 1)]
)
def test_rulers(length: int, step: int) -> None:
    assert circle._step(length) == step


def test_colours_are_those_of_the_light_page() -> None:
    assert colours()["new"] == "#009e73" and colours()["panel"] == "#ffffff"


def test_formats_go_by_name() -> None:
    assert picture_format(Path("x.y.PDF")) == "pdf"
    with pytest.raises(UsageError, match=r"pictures are written as .svg, .png or .pdf"):
        picture_format(Path("x.jpg"))


@pytest.mark.parametrize("name", ["dna_features_viewer", "pycirclize", "matplotlib.figure"])
def test_without_the_libraries_it_says_what_to_install(
    small: Region, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(GlmAnnotError, match=r"pip install 'glm-annot\[plot\]'"):
        circle.circle(small) if name == "pycirclize" else picture.draw(small)
