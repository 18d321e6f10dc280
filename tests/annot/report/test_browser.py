"""The page in a real browser: Chromium, driven by Playwright. Skipped where one of them is absent."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from glm_annot.records import Contig
from glm_annot.report.genes import Genes
from glm_annot.report.page import render
from tests.annot.report.made import COMMENT, HOSTILE, genes, row

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright (extra dev) is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = os.environ.get("GLM_ANNOT_AXE")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the path (Debian: chromium)")
WIDTHS = (390, 1280, 1920)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the made-up genes, on disk."""
    path = tmp_path_factory.mktemp("report") / "made.html"
    path.write_bytes(render("made", genes(), COMMENT, annotation="a.gff3", table="t.tsv"))
    return path


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    """The page, opened; afterwards nothing was complained of, and nothing but the file was asked for."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("dialog", lambda dialog: complaints.append(dialog.message))
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(report.as_uri())
    yield opened
    opened.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [report.as_uri()]


def shown(page: Page) -> list[str]:
    """The locus tags of the rows of the table, in order."""
    rows = page.locator("#table tbody tr[data-gene]").all()
    return [f"M_{int(row.get_attribute('data-gene') or 0) + 1}" for row in rows]


def test_headings_sort(page: Page) -> None:
    assert shown(page) == [f"M_{n}" for n in range(1, 9)]
    page.get_by_role("button", name="Context fit", exact=True).click()
    assert shown(page)[:4] == ["M_2", "M_3", "M_1", "M_4"]
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("Context fit")
    page.get_by_role("button", name="Context fit", exact=True).click()
    assert shown(page)[:4] == ["M_4", "M_1", "M_3", "M_2"]  # those without stay last
    page.get_by_role("button", name="Confidence", exact=True).click()
    assert shown(page)[:3] == ["M_1", "M_2", "M_3"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("riboflavin", ["M_1", "M_2"]),
        ("riboflavin kinase", ["M_2"]),
        ("m_5", ["M_5"]),
        ("2.7.1", ["M_2", "M_4"]),  # and not 1.2.7.1
        ("EC:2.7.1.2", ["M_4"]),  # and not 2.7.1.26
        ("onerror", ["M_6"]),
        ("nothing has this", []),
    ],
)
def test_search(page: Page, query: str, found: list[str]) -> None:
    page.fill("#search", query)
    page.get_by_text(f"{len(found)} of 8 genes").wait_for()
    assert shown(page) == found


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("hypothetical", ["M_2", "M_5", "M_8"]),
        ("new", ["M_2"]),
        ("differs", ["M_3"]),
        ("low", ["M_2"]),
    ],
)
def test_filters(page: Page, name: str, found: list[str]) -> None:
    page.click(f"#filters [data-name={name}]")
    assert shown(page) == found
    page.get_by_role("button", name="Show all").click()
    assert len(shown(page)) == 8


def test_a_row_moves_the_map_and_the_map_chooses_a_row(page: Page) -> None:
    assert page.locator("#where").inner_text() == "1 to 9,000 of 9,000 bp"
    page.click("#table tbody tr[data-gene='6']")
    page.get_by_text("1 to 2,000 of 2,000 bp").wait_for()
    assert page.locator("#contig").input_value() == "1"
    assert page.locator("#details h2").inner_text() == "M_7"
    page.locator("#contig").select_option("0")
    page.get_by_text("1 to 9,000 of 9,000 bp").wait_for()
    box = page.locator("#map").bounding_box()
    assert box is not None
    left, right = 96, 8  # what the map leaves free at its sides
    base = 1500  # in the middle of the second gene
    page.mouse.click(box["x"] + left + base / 9000 * (box["width"] - left - right), box["y"] + 70)
    assert page.locator("#details h2").inner_text() == "M_2"
    assert page.locator("#table tr.chosen").get_attribute("data-gene") == "1"


def test_keys_move_the_map(page: Page) -> None:
    page.focus("#map")
    page.keyboard.press("+")
    page.get_by_text("2,251 to 6,750 of 9,000 bp").wait_for()
    page.keyboard.press("Home")
    page.get_by_text("1 to 4,500 of 9,000 bp").wait_for()
    page.keyboard.press("n")
    page.keyboard.press("n")
    assert page.locator("#details h2").inner_text() == "M_2"
    page.keyboard.press("0")
    page.get_by_text("1 to 9,000 of 9,000 bp").wait_for()


def test_a_filter_that_hides_the_chosen_gene_is_told(page: Page) -> None:
    page.click("#filters [data-name=new]")
    page.focus("#map")
    page.keyboard.press("n")
    assert "not among the rows" in page.locator("#details").inner_text()


@pytest.mark.parametrize(("kind", "separator"), [("csv", ","), ("tsv", "\t")])
def test_the_rows_shown_are_exported_as_the_table_has_them(page: Page, kind: str, separator: str) -> None:
    page.fill("#search", "M_7")
    page.get_by_text("1 of 8 genes").wait_for()
    with page.expect_download() as started:
        page.click(f"#{kind}")
    text = started.value.path().read_text(encoding="utf-8")
    (row,) = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    assert started.value.suggested_filename == f"made.genes.{kind}"
    assert (row["contig"], row["start"], row["product"]) == ("plasmid", "701", '\'=cmd("x"), y')
    page.fill("#search", "ribE")  # which comes a moment after the typing, and shows one gene, too
    page.locator("#table tbody tr", has_text="M_7").wait_for(state="detached")
    with page.expect_download() as started:
        page.click(f"#{kind}")
    (row,) = csv.DictReader(started.value.path().open(encoding="utf-8", newline=""), delimiter=separator)
    assert (row["prob_pair_next"], row["context_fit"], row["strand"]) == ("0.9000", "80.0", "+")


def test_what_the_file_says_stays_text(page: Page) -> None:
    page.click("#table tbody tr[data-gene='5']")
    assert page.locator("#details h2").inner_text() == "M_6"
    assert HOSTILE in page.locator("#details").inner_text()
    assert page.locator("img").count() == 0


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_width_scrolls_sideways(browser: Browser, report: Path, width: int, scheme: str) -> None:
    opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    opened.goto(report.as_uri())
    opened.click("#table tbody tr[data-gene='5'] button")
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    opened.close()


@pytest.mark.skipif(AXE is None, reason="GLM_ANNOT_AXE does not name axe.min.js (npm: axe-core)")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_use_it(browser: Browser, report: Path, width: int, scheme: str) -> None:
    """axe-core's rules of accessibility: contrast, names of controls, order of headings, and others."""
    opened = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    opened.goto(report.as_uri())
    opened.click("#table tbody tr[data-gene='1'] button")
    opened.evaluate(Path(AXE or "").read_text(encoding="utf-8"))
    found = opened.evaluate("axe.run().then((result) => result.violations)")
    opened.close()
    said = [(rule["id"], rule["impact"], node["html"]) for rule in found for node in rule["nodes"]]
    assert [each for each in said if each[1] in ("serious", "critical")] == []


def test_a_click_on_a_circle_opens_the_place_on_the_map(browser: Browser, tmp_path: Path) -> None:
    pytest.importorskip("pycirclize", reason="the extra plot is not installed")
    found = Genes()
    places = [(100 * i + 1, 100 * i + 90) for i in range(40)]
    rows = [row(contig="c", start=str(start), end=str(end), locus_tag=f"G_{start}") for start, end in places]
    found.add([Contig("c", 4000, True, ())], rows)
    (tmp_path / "x.html").write_bytes(render("x", found, COMMENT, annotation="a.gff3", table="t.tsv"))
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.goto((tmp_path / "x.html").as_uri())
    circle = opened.locator("[data-circle]")
    box = circle.bounding_box()
    assert box is not None
    circle.click(position={"x": box["width"] - 60, "y": box["width"] / 2})  # a quarter of the way round
    assert opened.locator("#details h2").inner_text() == "G_1001"
    opened.close()


def test_print_hides_the_controls(page: Page) -> None:
    assert page.locator("#search").is_visible()
    page.emulate_media(media="print")
    for controls in ("#search", "#filters", ".tools", ".pages"):
        assert not page.locator(controls).first.is_visible()
    assert page.locator("#table").is_visible() and page.locator("#map").is_visible()
