"""Protein embeddings of a whole corpus: `embeddings.npy`, float16 (proteins, D), rows as in proteins.parquet.

The work is done in shards into `embeddings.part.npy`, with `embeddings.json` saying how far it has come and
which encoder and proteins it belongs to, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from glm_annot.errors import InputError
from glm_annot.plm import Encoder, embed, fingerprint

EMBEDDINGS, PARTIAL, RECORD = "embeddings.npy", "embeddings.part.npy", "embeddings.json"
SHARD = 4096  # proteins embedded between two notes of progress


def embed_corpus(
    corpus: Path,
    encoder: Encoder,
    *,
    precision: str = "auto",
    shard: int = SHARD,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Embed every protein of a corpus folder; what an earlier run of the same encoder did is kept.

    Args:
        corpus: folder with proteins.parquet.
        encoder: already on its device.
        precision: 'auto', 'fp32' or 'bf16'.
        shard: proteins embedded at a time.
        progress: called with (residues done, residues in all), those of an earlier run included.

    Returns:
        path of embeddings.npy.

    Raises:
        InputError: the folder holds embeddings by another encoder or of other proteins.
    """
    sequences = pq.read_table(corpus / "proteins.parquet", columns=["sequence"])["sequence"].combine_chunks()
    identity = {"encoder": fingerprint(encoder), "proteins": _sequences_hash(sequences)}
    done, finished = _earlier(corpus, identity), corpus / EMBEDDINGS
    if finished.exists():
        return finished
    residues = np.concatenate([[0], np.cumsum(pc.utf8_length(sequences).to_numpy())])
    out_ND = _open(corpus / PARTIAL, (len(sequences), encoder.config.dim), fresh=done == 0)
    for start in range(done, len(sequences), shard):
        report = _reporter(progress, int(residues[start]), int(residues[-1]))
        proteins = sequences[start : start + shard].to_pylist()
        end = start + len(proteins)
        out_ND[start:end] = embed(encoder, proteins, precision=precision, progress=report)
        out_ND.flush()
        _note(corpus, {**identity, "done": end})
    return (corpus / PARTIAL).replace(finished)


def _earlier(corpus: Path, identity: dict[str, str]) -> int:
    """How many proteins an earlier run has embedded, after making sure that it was one of the same kind."""
    record = corpus / RECORD
    found: dict[str, Any] = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    if not found and not (corpus / EMBEDDINGS).exists():
        return 0
    for part, other in (("encoder", "by another encoder"), ("proteins", "of other proteins")):
        if found.get(part) != identity[part]:
            raise InputError(
                f"embeddings are {other}; delete embeddings.* to embed anew", corpus / EMBEDDINGS
            )
    return int(found["done"])


def _open(path: Path, shape: tuple[int, int], *, fresh: bool) -> np.memmap[Any, np.dtype[np.float16]]:
    mode = "w+" if fresh else "r+"
    return np.lib.format.open_memmap(path, mode=mode, dtype=np.float16, shape=shape)


def _note(corpus: Path, record: dict[str, Any]) -> None:
    """Write the record in one step, so that an interruption leaves the old one or the new one."""
    draft = corpus / f"{RECORD}.part"
    draft.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    draft.replace(corpus / RECORD)


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
