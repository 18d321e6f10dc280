"""Protein embeddings of a whole corpus: `embeddings.npy`, float16 (proteins, D), rows as in proteins.parquet.

The work is done in shards, separate files beside `embeddings.json`, which says which encoder, precision
and proteins they belong to. An interrupted run leaves out the shards that are there; several processes take
turns at them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from glm_annot.errors import InputError
from glm_annot.model.devices import or_on_cpu
from glm_annot.model.encoder import ProteinEncoder, embed, precision_of
from glm_annot.model.esm import fingerprint

from ..common import ranks
from ..common.console import Report
from ..common.inputs import read_array, read_record
from ..common.json_files import write_json
from ..corpus.tables import read_table

EMBEDDINGS, RECORD = "embeddings.npy", "embeddings.json"
SHARD = 4096  # proteins in a file


def embed_corpus(
    corpus: Path,
    encoder: ProteinEncoder,
    *,
    precision: str = "auto",
    shard: int = SHARD,
    progress: Callable[[int, int], None] | None = None,
    report: Report,
) -> Path:
    """Embed every protein of a corpus folder; what an earlier run of the same encoder did is kept.

    Under a launcher each process embeds every n-th shard, and all return when the whole is there.

    Args:
        corpus: folder with proteins.parquet, which all processes see.
        encoder: already on its device; moved to the CPU where memory runs out.
        precision: one of `glm_annot.model.esm.PRECISIONS`.
        shard: proteins embedded at a time.
        progress: called with (residues done, residues in all), those of an earlier run included.
        report: called with a line of text for the user.

    Returns:
        path of embeddings.npy.

    Raises:
        InputError: the folder is no corpus, or holds embeddings by another encoder, in another precision or
            of other proteins.
    """
    sequences = read_table(corpus, "proteins", ["sequence"])["sequence"].combine_chunks()
    precision = precision_of(encoder, precision)  # the same for all shards
    identity = {
        "encoder": fingerprint(encoder),
        "precision": precision,
        "proteins": _sequences_hash(sequences),
    }
    _check(corpus, identity)
    finished = corpus / EMBEDDINGS
    if finished.exists():
        return finished
    rank, count = ranks.rank_and_count()
    with ranks.meeting() as wait_for_all:
        if rank == 0:
            write_json(corpus / RECORD, identity)
        shards = [
            _Shard(corpus, start, min(start + shard, len(sequences)))
            for start in range(0, len(sequences), shard)
        ]
        mine = shards[rank::count]
        sizes = [pc.sum(pc.utf8_length(part.of(sequences))).as_py() for part in mine]
        for number, part in enumerate(mine):
            if not part.path.exists():
                reporter = _reporter(progress, sum(sizes[:number]), sum(sizes))
                proteins = part.of(sequences).to_pylist()
                work = partial(embed, encoder, proteins, precision=precision, progress=reporter)
                part.write(or_on_cpu(work, encoder, "this encoder", report))
        wait_for_all()
        if rank == 0:
            _join(shards, finished, (len(sequences), encoder.config.dim))
        wait_for_all()
    return finished


class _Shard:
    """Proteins `start` to `end` of a corpus, and the file of their embeddings."""

    def __init__(self, corpus: Path, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.path = corpus / f"embeddings.{start}-{end}.npy"

    def of(self, sequences: pa.StringArray) -> pa.StringArray:
        """Its proteins."""
        return sequences[self.start : self.end]

    def write(self, embeddings_ND: npt.NDArray[np.float32]) -> None:
        """In one step, so that a file that is there is whole."""
        draft = self.path.with_suffix(".part")
        with draft.open("wb") as stream:
            np.save(stream, embeddings_ND.astype(np.float16))
        draft.replace(self.path)


def _join(shards: list[_Shard], finished: Path, shape: tuple[int, int]) -> None:
    """Put the shards together, and delete them."""
    draft = finished.with_suffix(".part")
    out_ND = np.lib.format.open_memmap(draft, mode="w+", dtype=np.float16, shape=shape)
    for part in shards:
        out_ND[part.start : part.end] = read_array(part.path)
    out_ND.flush()
    draft.replace(finished)
    for left in finished.parent.glob("embeddings.*-*.npy"):
        left.unlink()


def encoder_of(corpus: Path) -> str:
    """Fingerprint of the encoder that embedded a corpus; '' where it was not noted."""
    return str(_record(corpus).get("encoder", ""))


def _check(corpus: Path, identity: Mapping[str, str]) -> None:
    """Make sure that embeddings that are there, whole or in shards, are of the same kind."""
    found, whole = _record(corpus), (corpus / EMBEDDINGS).exists()
    if not found and not whole:
        return
    if whole:  # nothing is added to these, which may be older than the note of their precision
        found.setdefault("precision", identity["precision"])
    differences = {
        "encoder": "by another encoder",
        "precision": f"in {found.get('precision', 'an unknown precision')}, not {identity['precision']}",
        "proteins": "of other proteins",
    }
    for part, other in differences.items():
        if found.get(part) != identity[part]:
            raise InputError(
                f"embeddings are {other}; delete embeddings.* to embed anew", corpus / EMBEDDINGS
            )


def _record(corpus: Path) -> dict[str, Any]:
    """What is noted of a corpus's embeddings; {} when nothing is."""
    record = corpus / RECORD
    found: dict[str, Any] = read_record(record) if record.exists() else {}
    return found


def _reporter(
    progress: Callable[[int, int], None] | None, before: int, total: int
) -> Callable[[int], None] | None:
    """Turn counts of newly done residues into (done, total) of the whole corpus."""
    if progress is None:
        return None
    done = before

    def report(residues: int) -> None:
        nonlocal done
        done += residues
        progress(min(done, total), total)

    return report


def _sequences_hash(sequences: pa.StringArray) -> str:
    digest = hashlib.sha256()
    for sequence in sequences:
        digest.update(sequence.as_py().encode("ascii", "replace") + b"\n")
    return digest.hexdigest()
