"""`python -m tests.hostile.growth`: memory and time of reading, writing and stripping files of odd lines.

For each kind of file it prints the most memory for each byte of the file, and how much longer a file of twice
the size takes. Predictions are made up, and so cost next to nothing.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from functools import cache
from io import StringIO
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from Bio import SeqIO

import glm_annot.io as annotation_io
from glm_annot.errors import GlmAnnotError
from tests.hostile.outcomes import require
from tests.hostile.targets import SAMPLES
from tests.support.fakes import fake_predictions
from tests.support.made_genomes import ancestors, bakta_document, genbank, make_genome
from tests.support.rewritten import as_embl
from tests.support.tiny import made_gff3

_CONTIG = "contig_1"
_QUALIFIER = " " * 21
_FEATURES = "FEATURES"


def _lines(line: str, size: int) -> str:
    """A line, with another number in the place of {n} each time, so often that it makes so many bytes."""
    times = size // max(1, len(line.format(n=10**4, m=10**4)))
    return "".join(line.format(n=n, m=n + 1) for n in range(times))


def _gff3(line: str) -> Callable[[int], str]:
    head, _, body = made_gff3(6).partition("\n")
    return lambda size: f"{head}\n{_lines(line, size)}{body}"


def _gff3_cds(attributes: str, item: str) -> Callable[[int], str]:
    """A CDS with so many attributes, values or parents."""
    start = f"{_CONTIG}\t.\tCDS\t1\t9\t.\t+\t0\tpseudo=1;{attributes}"
    return lambda size: _gff3("{n}")(0).replace("\n", f"\n{start}{_lines(item, size)}\n", 1)


def _after_gff3(line: str, before: str = "") -> Callable[[int], str]:
    return lambda size: made_gff3(6) + before + _lines(line, size)


def _genbank(line: str, before: str = "     CDS ") -> Callable[[int], str]:
    text = _small_genbank()
    place = text.index(before)
    return lambda size: text[:place] + _lines(line, size) + text[place:]


def _embl(line: str, before: str = "FT   CDS ") -> Callable[[int], str]:
    text = as_embl(list(SeqIO.parse(StringIO(_small_genbank()), "genbank"))).decode()
    place = text.index(before)
    return lambda size: text[:place] + _lines(line, size) + text[place:]


def _bakta(key: str, value: Any) -> Callable[[int], str]:
    document = bakta_document(make_genome("Made up", ancestors(8), seed=1))
    length = len(json.dumps(value)) + 2
    return lambda size: json.dumps({**document, key: document.get(key, []) + [value] * (size // length)})


@cache
def _small_genbank() -> str:
    return genbank(make_genome("Made up", ancestors(8), seed=1))


def kinds() -> dict[str, Callable[[int], str]]:
    """What makes a file of each kind of about so many bytes."""
    gene = f"{_CONTIG}\t.\tgene\t1\t9\t.\t+\t.\t"
    coding = f"{_CONTIG}\t.\tCDS\t1\t9\t.\t+\t0\t"
    return {
        "gff3: blank lines": _gff3("\n"),
        "gff3: comments": _gff3("#\n"),
        "gff3: directives": _gff3("##x\n"),
        "gff3: genes": _gff3(gene + "ID=g{n};Parent=g{m}\n"),
        "gff3: contigs": _gff3("{n}\t.\tgene\t1\t9\t.\t+\t.\t.\n"),
        "gff3: CDS": _gff3(coding + "ID=c{n}\n"),
        "gff3: CDS of many contigs": _gff3("{n}\t.\tCDS\t1\t9\t.\t+\t0\tpseudo=1\n"),
        "gff3: one CDS in many lines": _gff3(coding + "ID=x;pseudo=1\n"),
        "gff3: one attribute many times": _gff3_cds("", "a=b;"),
        "gff3: attributes": _gff3_cds("", "{n}=;"),
        "gff3: values": _gff3_cds("a=", "b,"),
        "gff3: parents": _gff3_cds("Parent=", "b,"),
        "gff3: sequences": _after_gff3(">{n}\nA\n"),
        "gff3: lines of a sequence": _after_gff3("A\n", ">z\n"),
        "gff3: as usual": lambda size: made_gff3(max(6, size // 340)),
        "genbank: blank lines": _genbank("\n"),
        "genbank: comments": _genbank("COMMENT     x\n", _FEATURES),
        "genbank: genes": _genbank("     gene            1..9\n"),
        "genbank: CDS": _genbank("     CDS             1..9\n"),
        "genbank: qualifiers": _genbank(f"{_QUALIFIER}/a\n"),
        "genbank: a long location": lambda size: _genbank("")(0).replace(
            "     CDS ", f"     CDS             join(1..9{_lines(',1..9', size)})\n     CDS ", 1
        ),
        "embl: comments": _embl("CC   x\n", "FH   Key"),
        "embl: spacers": _embl("XX\n", "FH   Key"),
        "embl: CDS": _embl("FT   CDS             1..9\n"),
        "bakta: lists": _bakta("x", []),
        "bakta: objects": _bakta("x", {"a": 1}),
        "bakta: features": _bakta("features", {"type": "tRNA"}),
        "bakta: CDS": _bakta("features", {"type": "cds", "pseudo": 1}),
    }


def round_trip(path: Path) -> str:
    """Read, write and strip a file; says whether it was refused."""
    try:
        genome = annotation_io.read(path)
    except GlmAnnotError as error:
        return f"refused: {error}".replace(f"{path}: ", "")[:70]
    written = annotation_io.render(genome, fake_predictions(genome))
    require(annotation_io.strip(written) == path.read_bytes(), "strip gives other bytes than the input's")
    return f"read, {len(list(genome.genes))} CDS"


def measure(text: str) -> tuple[float, float, str]:
    """(bytes of memory for each byte of the text, seconds of the processor, what became of it)."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "in"
        path.write_text(text, encoding="utf-8")
        ours, theirs = get_context("fork").Pipe()
        process = get_context("fork").Process(target=_measure, args=(path, theirs))
        process.start()
        used, seconds, what = ours.recv()
        process.join()
        return used / path.stat().st_size, seconds, what


def _measure(path: Path, pipe: Connection) -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the most that there was
    before, began = _memory("VmRSS"), time.process_time()
    what = round_trip(path)
    seconds = time.process_time() - began
    pipe.send((_memory("VmHWM") - before, seconds, what))
    pipe.close()
    os._exit(0)


def _memory(field: str) -> int:
    """Bytes, as Linux counts them for this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))


@click.command()
@click.option("--size", type=int, default=1_000_000, show_default=True, help="Bytes of a file.")
def main(size: int) -> None:
    """Measures all kinds of files, on Linux."""
    click.echo("| file | bytes of memory for each byte | seconds | of twice the size | outcome |")
    click.echo("| --- | --- | --- | --- | --- |")
    round_trip(SAMPLES / "gff3" / "bakta.gff3")  # loads what is loaded once
    for name, make in kinds().items():
        used, seconds, what = measure(make(size))
        _, longer, _ = measure(make(2 * size))
        click.echo(f"| {name} | {used:.0f} | {seconds:.1f} | {longer / seconds:.1f} times | {what} |")


if __name__ == "__main__":
    main()
