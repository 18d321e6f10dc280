"""Writes the kept results of the shipped model anew: `python -m tests.golden.write`, from the checkout.

To be run when the model, or what the program makes of it, was changed on purpose; `git diff` then shows what
users will see. It writes `examples/*.glm.*` and `tests/golden/*.tsv`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from glm_annot.cli.app import cli
from tests.golden.runs import CONTIG_TABLE, EXAMPLE_GFF3, EXAMPLE_TABLE, annotate_contig, annotate_example


def main() -> None:
    """Runs the model on each genome and replaces what is kept."""
    with TemporaryDirectory() as folder:
        results = (*annotate_example(Path(folder)), annotate_contig(Path(folder)))
        for result, kept in zip(results, (EXAMPLE_GFF3, EXAMPLE_TABLE, CONTIG_TABLE), strict=True):
            shutil.copyfile(result, kept)
            print(f"wrote {kept}")
    cli.main(["report", str(EXAMPLE_GFF3), "--force"], standalone_mode=False)


if __name__ == "__main__":
    main()
