"""The table of real files says what is in a file and what becomes of it."""

from __future__ import annotations

from pathlib import Path

from tests.bench.real_files import count_cds, row
from tests.support.paths import ROOT

DATA = ROOT / "tests" / "annot" / "io" / "data"


def test_rows_and_refusals(tmp_path: Path) -> None:
    assert row(DATA / "genbank" / "bakta.gbff") == "| bakta.gbff | 4 | 4 | 1 pseudogene |"
    contigs = tmp_path / "c.fna"
    contigs.write_text(">c\nACGT\n")
    assert row(contigs).startswith("| c.fna | 0 | refused: these are contigs without genes")


def test_a_cds_of_several_lines_counts_once() -> None:
    line = b"c\tt\tCDS\t%d\t%d\t.\t+\t0\t%s\n"
    text = (
        line % (1, 9, b"ID=a") + line % (20, 28, b"ID=a") + line % (40, 48, b"note=x") + line % (50, 58, b".")
    )
    assert count_cds(b"##gff-version 3\n" + text) == 3


def test_the_page_accounts_for_each_cds() -> None:
    page = (ROOT / "docs" / "input-files.md").read_text(encoding="utf-8").partition("## Real files tried")[2]
    lines = [line for line in page.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert len(rows) > 30
    for _, _, cds, outcome, _ in rows:
        assert outcome.startswith("refused: ") or (cds == outcome and cds.isdigit())
