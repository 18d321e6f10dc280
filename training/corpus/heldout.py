"""What must not leak into training: the proteins of held-out genomes and of benchmarks.

Proteins are excluded by sequence, not by source, because the same protein is in many sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from glm_annot import io
from glm_annot.errors import GlmAnnotError, InputError
from glm_annot.io import source
from glm_annot.io.sequences import clean_protein, read_fasta

from ..common.tsv import columns_of, read_tsv


@dataclass(frozen=True)
class HeldOut:
    """Held-out sequences, normalised as `clean_protein` does.

    Attributes:
        genomes: proteins of held-out genomes; windows that resemble these are left out of training, too.
        benchmarks: proteins of benchmarks; only identity counts.
        names: the files that they were read from.
    """

    genomes: frozenset[str] = frozenset()
    benchmarks: frozenset[str] = frozenset()
    names: tuple[str, ...] = ()

    @property
    def all(self) -> frozenset[str]:
        """Every sequence that may not be trained on."""
        return self.genomes | self.benchmarks


def read(genomes: Sequence[Path] = (), benchmarks: Sequence[Path] = ()) -> HeldOut:
    """Read held-out genomes and benchmarks: GenBank, GFF3, protein FASTA, or TSV with a column `sequence`."""
    return HeldOut(
        frozenset().union(*map(read_sequences, genomes)),
        frozenset().union(*map(read_sequences, benchmarks)),
        tuple(path.name for path in (*genomes, *benchmarks)),
    )


def read_sequences(path: Path) -> frozenset[str]:
    """Read the proteins of one file; its format is recognised from the content.

    Raises:
        InputError: it holds no proteins, or cannot be read.
    """
    text = source.read_bytes(path)
    if source.recognise(text) is not None:
        found = [gene.protein for gene in io.read(path).genes if gene.protein]
    elif text.lstrip().startswith(b">"):
        found = list(read_fasta(text, path).values())
    else:
        found = _column(path)
    sequences = frozenset(map(clean_protein, found)) - {""}
    if not sequences:
        raise InputError("holds no protein", path)
    return sequences


def _column(path: Path) -> list[str]:
    if "sequence" not in columns_of(path):
        raise InputError("is neither GenBank, GFF3 nor FASTA, and has no column `sequence`", path, 1)
    return [row["sequence"] for _, row in read_tsv(path, "sequence") if row["sequence"]]


def refuse_leaks(labelled: Iterable[str], held_out: HeldOut) -> None:
    """Make sure that no labelled training protein is a held-out one.

    Args:
        labelled: sequences whose EC labels entered training, calibration or retrieval.
        held_out: what must not be among them.

    Raises:
        GlmAnnotError: some are identical.
    """
    leaked = set(map(clean_protein, labelled)) & held_out.all
    if leaked:
        raise GlmAnnotError(
            f"{len(leaked)} proteins with EC labels are identical to held-out ones, such as "
            f"{min(leaked)[:30]}...; measurements on these would be worthless"
        )
