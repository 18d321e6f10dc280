"""What becomes of annotation files of other programs: `python -m tests.bench.real_files FILE...` says it.

A table: CDS in each file, rows in the table of results, CDS without a prediction by the reason, and the
message where it is refused. A file without sequences is read with the first `.fna` file beside it.
docs/input-files.md has such a table.
"""

from __future__ import annotations

import logging
import re
import sys
from collections import Counter
from pathlib import Path

import glm_annot.io as annotation_io
from glm_annot.errors import InputError
from glm_annot.io.source import read_bytes
from glm_annot.records import Genome
from tests.support.fakes import fake_predictions

_GFF3_CDS = re.compile(rb"^(?:[^\t#\n]*\t){2}CDS\t(?:[^\t\n]*\t){5}(?:.*?\bID=([^;\r\n]+))?", re.MULTILINE)
_INSDC_CDS = re.compile(rb"^(?:FT|  )   CDS  ", re.MULTILINE)
_JSON_CDS = re.compile(rb'"type": "(?:cds|sorf)"')


def count_cds(text: bytes) -> int:
    """CDS of a file by its text alone; GFF3 lines of one ID are one."""
    ids = [name or bytes([0]) + str(n).encode() for n, name in enumerate(_GFF3_CDS.findall(text))]
    return len(set(ids)) or len(_INSDC_CDS.findall(text)) or len(_JSON_CDS.findall(text))


def read(path: Path) -> Genome:
    """The genome; with the contigs beside it where it needs them."""
    try:
        return annotation_io.read(path)
    except InputError as error:
        fasta = next(iter(sorted(path.parent.glob("*.fna"))), None)
        if fasta is None or "--fasta" not in str(error):
            raise
        return annotation_io.read(path, fasta=fasta)


def row(path: Path) -> str:
    """The row of one file."""
    text = read_bytes(path)
    cells = [path.name, str(count_cds(text))]
    try:
        genome = read(path)
    except InputError as error:
        return f"| {' | '.join(cells)} | refused: {error.message} | |"
    genes = list(genome.genes)
    skips = Counter(gene.skip.value for gene in genes if gene.skip is not None)
    assert annotation_io.strip(annotation_io.render(genome, fake_predictions(genome))) == text
    skipped = ", ".join(f"{count} {reason}" for reason, count in skips.most_common())
    return f"| {' | '.join(cells)} | {len(genes)} | {skipped} |"


def main(names: list[str]) -> None:
    """Print the table of some files."""
    logging.getLogger("glm_annot").setLevel(logging.ERROR)
    print("| file | CDS | rows | of these skipped |\n|---|---|---|---|")
    for name in names:
        print(row(Path(name)))


if __name__ == "__main__":
    main(sys.argv[1:])
