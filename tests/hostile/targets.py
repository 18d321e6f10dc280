"""What is attacked: for each target how an input is made from a number, and what is done with it."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from Bio import SeqIO

import glm_annot.io as annotation_io
from glm_annot.io.source import read_bytes
from glm_annot.io.table import COLUMNS, write_table
from glm_annot.records import Genome
from tests.hostile.damage import damaged, damaged_json
from tests.hostile.outcomes import require
from tests.support import made_genomes
from tests.support.fakes import fake_predictions
from tests.support.paths import ROOT
from tests.support.rewritten import as_embl
from tests.support.tiny import made_gff3

SAMPLES = ROOT / "tests" / "annot" / "io" / "data"

Make = Callable[[random.Random, Sequence[bytes]], bytes]
Attempt = Callable[[Path, random.Random], None]


@dataclass(frozen=True)
class Target:
    """Something that reads files of others.

    Attributes:
        suffix: of the file that an input is written to.
        make: an input, from random numbers and further examples of the user.
        attempt: reads the file; raises a GlmAnnotError where it is refused, LostError where the result is
            wrong.
    """

    suffix: str
    make: Make
    attempt: Attempt


# ---- annotations ----


@cache
def _gff3_texts() -> list[bytes]:
    made = made_genomes.make_genome("Made up", made_genomes.ancestors(8), seed=1)
    kept = [path.read_bytes() for path in sorted(SAMPLES.glob("gff3/**/*.gff*"))]
    return _with_results([*kept, made_gff3(6).encode(), made_genomes.gff3(made).encode()], ".gff3")


@cache
def _genbank_texts() -> list[bytes]:
    made = made_genomes.make_genome("Made up", made_genomes.ancestors(8), seed=1)
    kept = [path.read_bytes() for path in sorted(SAMPLES.glob("genbank/*"))]
    return _with_results([*kept, made_genomes.genbank(made).encode()], ".gbk")


@cache
def _embl_texts() -> list[bytes]:
    plain = [text for text in _genbank_texts() if b"glm-annot" not in text]
    # Biopython itself stops at Prokka's LOCUS line.
    usable = [text for text in plain if b"NODE_1" not in text]
    records = [list(SeqIO.parse(io.StringIO(text.decode()), "genbank")) for text in usable]
    return _with_results([as_embl(each) for each in records], ".embl")


@cache
def _bakta_documents() -> list[object]:
    made = made_genomes.make_genome("Made up", made_genomes.ancestors(8), seed=1)
    texts = _with_results([made_genomes.bakta_json(made)], ".json")
    return [json.loads(text) for text in texts]


def _with_results(texts: list[bytes], suffix: str) -> list[bytes]:
    """The texts and what an annotation makes of those that can be read."""
    from tempfile import TemporaryDirectory

    from glm_annot.errors import InputError

    found = list(texts)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"sample{suffix}"
        for text in texts:
            path.write_bytes(text)
            try:
                genome = annotation_io.read(path)
            except InputError:  # it needs a FASTA file
                continue
            found.append(annotation_io.render(genome, fake_predictions(genome), promote_ec=0.6))
    return found


def _damaged_text(texts: Callable[[], list[bytes]], rng: random.Random, examples: Sequence[bytes]) -> bytes:
    return damaged(rng.choice([*texts(), *examples]), rng)


def _damaged_bakta(rng: random.Random, _: Sequence[bytes]) -> bytes:
    content = rng.choice(_bakta_documents())
    changed = damaged_json(content, rng) if rng.random() < 0.7 else content
    text = json.dumps(changed, indent=rng.choice([None, 1, 4])).encode()
    return text if changed is not content and rng.random() < 0.5 else damaged(text, rng)


def round_trip(path: Path, rng: random.Random) -> None:
    """Read, predict at random, write, strip and read again.

    Raises:
        GlmAnnotError: refused.
        LostError: something was lost on the way.
    """
    original = read_bytes(path)
    stripped = annotation_io.strip(original)
    genome = annotation_io.read(path)
    predictions = fake_predictions(genome, rng.randrange(100), operons=rng.random() < 0.9)
    promotion = {"promote_ec": rng.choice([None, 0.0, 0.6]), "promote_to": rng.choice(["note", "field"])}
    written = annotation_io.render(genome, predictions, **promotion)  # type: ignore[arg-type]
    require(annotation_io.strip(written) == stripped, "strip gives other bytes than the input's")
    path.write_bytes(written)
    require(annotation_io.read(path).contigs == genome.contigs, "the result is read as another genome")
    _check_table(genome, predictions)
    path.write_bytes(original)
    sections = annotation_io.open_sections(path)
    try:
        pieces = [annotation_io.render(s, predictions, **promotion) for s in sections]  # type: ignore[arg-type]
        if len(pieces) == 1:  # each section numbers its own genes
            require(b"".join([*pieces, *sections.rest()]) == written, "sections give another text")
    finally:
        sections.close()


def _check_table(genome: Genome, predictions: object) -> None:
    csv.field_size_limit(10**9)
    stream = io.StringIO(newline="")
    write_table(genome, predictions, stream)  # type: ignore[arg-type]
    rows = list(csv.reader(io.StringIO(stream.getvalue(), newline=""), delimiter="\t"))
    require(len(rows) == 1 + len(list(genome.genes)), "the table has not a row for each CDS")
    require(all(len(row) == len(COLUMNS) for row in rows), "a row of the table has other columns")


def _fasta_beside(path: Path, rng: random.Random) -> None:
    """A damaged FASTA file beside a good annotation."""
    annotation = path.with_name("annotation.gff3")
    annotation.write_bytes(made_gff3(6).partition("##FASTA")[0].encode())
    beside = {"faa" if rng.random() < 0.5 else "fasta": path}
    genome = annotation_io.read(annotation, **beside)  # type: ignore[arg-type]
    written = annotation_io.render(genome, fake_predictions(genome))
    require(
        annotation_io.strip(written) == annotation.read_bytes(), "strip gives other bytes than the input's"
    )


def _fasta_text(rng: random.Random, _: Sequence[bytes]) -> bytes:
    genome = annotation_io.read(_made())
    proteins = "".join(f">{gene.id}\n{gene.protein}\n" for gene in genome.genes)
    contigs = "".join(f">{contig.name} made\n{contig.sequence}\n" for contig in genome.contigs)
    return damaged(rng.choice([proteins, contigs]).encode(), rng)


@cache
def _made() -> Path:
    from tempfile import mkdtemp

    path = Path(mkdtemp(prefix="hostile-")) / "made.gff3"
    path.write_text(made_gff3(6))
    return path


FILES: dict[str, Target] = {
    "gff3": Target(".gff3", partial(_damaged_text, _gff3_texts), round_trip),
    "genbank": Target(".gbk", partial(_damaged_text, _genbank_texts), round_trip),
    "embl": Target(".embl", partial(_damaged_text, _embl_texts), round_trip),
    "bakta": Target(".json", _damaged_bakta, round_trip),
    "fasta": Target(".fasta", _fasta_text, _fasta_beside),
}

NAMES = [*FILES, "command", "bundle", "checkpoint", "pickle", "recipe", "table"]


def all_targets() -> dict[str, Target]:
    """Every target by name. What needs torch is imported only when it is asked for."""
    from tests.hostile.bundles import damaged_model, load_and_predict
    from tests.hostile.command import annotate_and_strip
    from tests.hostile.training import (
        damaged_checkpoint,
        damaged_pickle,
        damaged_recipe,
        damaged_table,
        read_checkpoint,
        read_recipe,
        read_table,
        read_weights,
    )

    command = Target(".gff3", partial(_damaged_text, _gff3_texts), annotate_and_strip)
    return {
        **FILES,
        "command": command,
        "bundle": Target(".zip", damaged_model, load_and_predict),
        "checkpoint": Target(".bin", damaged_checkpoint, read_checkpoint),
        "pickle": Target(".pkl", damaged_pickle, read_weights),
        "recipe": Target(".json", damaged_recipe, read_recipe),
        "table": Target(".table", damaged_table, read_table),
    }
