"""The page: nothing of the file is markup, nothing is loaded, and the numbers are right."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from glm_annot.io import outline
from glm_annot.io.table import read_rows
from glm_annot.records import Contig
from glm_annot.report import page
from glm_annot.report.charts import BASE, LEFT, RIGHT, TOP, curve, histogram
from glm_annot.report.genes import Genes
from glm_annot.report.reliability import Band, Reliability, from_metrics, of_model
from tests.annot.report.made import COMMENT, CONTIGS, HOSTILE, genes, row
from tests.support.paths import EXAMPLE

MEASURED = Reliability(
    {"3.5.1.4": "amidase"},
    (Band(0.05, 0.01, 400), Band(0.85, 0.75, 20)),
    0.013,
    {0.9: 0.94},
    (Band(0.1, 0.2, 9), Band(0.9, 0.8, 36)),
    0.05,
)


@pytest.fixture
def html(monkeypatch: pytest.MonkeyPatch) -> str:
    """The page of the made-up genes."""
    return made(monkeypatch, genes())


def made(
    monkeypatch: pytest.MonkeyPatch,
    found: Genes,
    title: str = "made",
    table: str = "t.tsv",
    measured: Reliability = MEASURED,
) -> str:
    monkeypatch.setattr(page, "of_model", lambda sha256, chosen: measured)
    return page.render(title, found, COMMENT, annotation="a.gff3", table=table).decode()


class Elements(HTMLParser):
    """The names of all elements of a page, and the attributes that load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]


def data(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    content: dict[str, Any] = json.loads(found[1])
    return content


def test_what_the_file_says_is_text(html: str) -> None:
    assert HOSTILE not in html and "<img" not in html
    assert Elements(html).names.count("script") == 2
    assert data(html)["columns"]["product"][5] == HOSTILE


def test_a_title_and_a_contig_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Genes()
    found.add([Contig(HOSTILE, 10, False, ())], [row(contig=HOSTILE, start="1", end="9")])
    html = made(monkeypatch, found, title=HOSTILE)
    assert "<img" not in html and Elements(html).names.count("script") == 2


def test_only_the_script_of_the_page_may_run_and_nothing_is_loaded(html: str) -> None:
    script = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in html and "default-src &#39;none&#39;" in html
    assert len(script) == 1
    assert all(source.startswith(("#", "data:")) for source in Elements(html).sources)
    assert "url(" not in html and "@import" not in html


def test_figures_and_names(html: str) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    assert "8 genes on 2 contigs · 11.0 kb · model made 1.0.0" in text
    assert "1 gene gets an EC number that the file does not have" in text
    assert "3 genes have no known product" in text
    assert "file: 3.5.1.4 amidase" in text
    assert "share of right calls 0.013; of the calls from 0.9 on, 94 % are right." in text
    assert "SHA-256 of the model 0 " in text and "Annotation a.gff3" in text


def test_the_calibration_curves_of_the_model(monkeypatch: pytest.MonkeyPatch, html: str) -> None:
    said = re.findall(r'aria-label="(Calibration of [^"]+)"', html)
    assert said == [
        "Calibration of EC numbers: predicted 0.05, observed 0.01; predicted 0.85, observed 0.75",
        "Calibration of operon links: predicted 0.10, observed 0.20; predicted 0.90, observed 0.80",
    ]
    assert "<title>predicted 0.85, observed 0.75, 20 genes</title>" in html
    older = made(monkeypatch, genes(), measured=replace(MEASURED, ec_bands=()))
    assert "Calibration of operon links" in older and "Calibration of EC numbers" not in older


def test_data_of_the_page(html: str) -> None:
    content = data(html)
    assert content["contigs"] == [["chromosome", 9000, 1], ["plasmid", 2000, 0]]
    assert content["names"]["2.7.1.26"] == "riboflavin kinase" and content["names"]["3.5.1.4"] == "amidase"
    assert "ec_candidates" not in content["columns"]  # nothing in it
    assert content["header"][:4] == ["contig", "start", "end", "strand"]
    assert "hypothetical" not in content["header"] and "ec_candidates" in content["header"]


def test_a_model_that_is_not_at_hand_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "of_model", of_model)
    html = page.render("x", genes(), COMMENT, annotation="a.gff3", table="t.tsv").decode()
    assert "The figures of this file's model (made 1.0.0) are not at hand." in html


def test_a_bacterial_genome_is_a_small_page(monkeypatch: pytest.MonkeyPatch) -> None:
    found, n = Genes(), 5000
    cells = {
        "product": "a protein with a name of usual length",
        "ec_passed": "2.7.1.2",
        "evidence": "kmer",
        "ec_passed_confidence": "0.9123",
        "ec_name": "glucokinase, or a longer name",
        "ec_agreement": "new",
        "ec_candidates": "2.7.1.2,2.7.1.1,2.7.1.63",
        "ec_candidates_confidence": "0.9,0.1,0.1",
        "context_fit": "44.4",
        "enzyme_confidence": "0.9876",
        "context_confidence": "0.1234",
    }
    found.add(
        CONTIGS[:1],
        [
            row(
                contig="chromosome",
                start=str(i),
                end=str(i + 9),
                locus_tag=f"ABCDEF_{i:05d}",
                id=f"ABCDEF_{i:05d}",
                **cells,
            )
            for i in range(1, n + 1)
        ],
    )
    assert len(made(monkeypatch, found)) < 5e6


def test_bars_of_a_histogram_stand_on_each_other() -> None:
    chart = histogram({"a": [0, 2, 0, 1], "b": [5, 2, 0, 0]}, first=1)
    assert chart.most == 4
    low, high, last = chart.bars
    assert (low.kind, low.count, low.low, low.high) == ("a", 2, 0.25, 0.5)
    assert low.y == (BASE + TOP) / 2 and high.y == TOP and high.y + high.height == low.y
    assert last.low == 0.75 and last.x + last.width == pytest.approx(RIGHT, abs=1)
    assert [value for value, _ in chart.ticks] == [0.4, 0.6, 0.8, 1.0]
    assert chart.ticks[0][1] == pytest.approx(LEFT + 0.2 * (RIGHT - LEFT)) and chart.ticks[-1][1] == RIGHT


def test_points_of_a_curve() -> None:
    first, last = curve([Band(0.0, 0.0, 1), Band(1.0, 1.0, 4)])
    assert (first.x, first.y) == (LEFT, BASE) and (last.x, last.y) == (RIGHT, TOP)
    assert first.radius < last.radius


def test_figures_of_a_model() -> None:
    band = {"mean_probability": 0.3, "share": 0.4, "pairs": 5}
    found = from_metrics(
        {
            "ec": {
                "K-12 confidence": {
                    "number": {
                        "calibration_error": 0.01,
                        "at_0.5": {"precision": 0.8},
                        "bands": {"0.6 to 0.7": {"proteins": 7, "mean_confidence": 0.65, "share": 0.6}},
                    }
                }
            },
            "operons": {"calibration": {"all tandem": {"ece": 0.02, "bands": {"0.2 to 0.4": band}}}},
        },
        {},
    )
    assert found == Reliability({}, (Band(0.65, 0.6, 7),), 0.01, {0.5: 0.8}, (Band(0.3, 0.4, 5),), 0.02)
    assert from_metrics({}, {}) == Reliability()


def test_the_report_of_the_example_is_of_its_files() -> None:
    report = EXAMPLE.with_suffix(".glm.html").read_text(encoding="utf-8")
    with EXAMPLE.with_suffix(".glm.tsv").open(encoding="utf-8", newline="") as stream:
        rows = list(read_rows(stream, "example"))
    comment, _ = outline(EXAMPLE.with_suffix(".glm.gff3"))
    for name in ("locus_tag", "ec_passed", "ec_passed_confidence", "operon"):
        assert data(report)["columns"][name] == [row[name] for row in rows]
    assert page.parse_comment(comment)["sha256"] in report
