"""How long a browser takes until a report shows its table: `python -m tests.bench.report FILE.html`."""

from __future__ import annotations

import shutil
import statistics
import time
from pathlib import Path

import click
from playwright.sync_api import sync_playwright

RUNS = 5


@click.command()
@click.argument("report", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(report: Path) -> None:
    """Opens REPORT five times in Chromium, and prints the median time until the first row is there."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        times = []
        for _ in range(RUNS):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            started = time.perf_counter()
            page.goto(report.resolve().as_uri())
            page.wait_for_selector("#table tbody tr[data-gene]")
            times.append(time.perf_counter() - started)
            page.close()
        browser.close()
    click.echo(f"{report.name}, {report.stat().st_size / 1e6:.1f} MB: {statistics.median(times):.2f} s")


if __name__ == "__main__":
    main()
