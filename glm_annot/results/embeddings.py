"""The vectors of the genes as a Parquet file, written part by part.

Axes as in `glm_annot.model.context`: G genes, D protein embedding, S layers, F hidden features.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glm_annot.bundle import Model
from glm_annot.errors import GlmAnnotError, UsageError
from glm_annot.io.qualifiers import SIGNS
from glm_annot.model.context import BATCH_WINDOWS, ContextStates, contextualise
from glm_annot.model.devices import or_on_cpu
from glm_annot.model.windows import parts
from glm_annot.pipeline import Settings, embed_distinct, provenance
from glm_annot.records import Gene, Genome
from glm_annot.results.files import FilesInUse, WholeFile, refuse_existing, whole_files

log = logging.getLogger(__name__)


def write_embeddings(
    genome: Genome,
    model: Model,
    path: Path,
    *,
    layers: Sequence[int] | None = None,
    masked: bool = False,
    precision: str = "auto",
    batch_size: int = BATCH_WINDOWS,
    force: bool = False,
    in_use: FilesInUse,
) -> int:
    """Writes one row for each coding gene, in order along the contigs, and returns how many.

    Columns: contig, start, end, strand, locus_tag, id, product; `protein`, the embedding (D,) of the protein
    alone; `context_N` for each layer, the hidden state (F,) among its neighbours; with `masked`
    `context_only`, that of the last layer while the gene is masked. Numbers are float32. The file's metadata
    say which program and model made it.

    Args:
        genome: as `read` gives it.
        model: as `load` gives it.
        path: where to.
        layers: of gLM, 0 is its input; None for all.
        masked: whether to write what the neighbours alone say, which takes seven more passes of gLM.
        precision, batch_size: as in `Settings`.
        force: overwrite a file that exists.
        in_use: files never to be written to.

    Raises:
        UsageError: no such layer; the file exists, or is in use.
        GlmAnnotError: pyarrow is not installed, or the disk does not take the file.
    """
    most = model.glm.config.layers
    chosen = tuple(range(most + 1)) if layers is None else tuple(dict.fromkeys(layers))
    if wrong := [layer for layer in chosen if not 0 <= layer <= most]:
        raise UsageError(f"gLM of {model.name} has layers 0 to {most}, and no layer {wrong[0]}")
    arrow, parquet = _pyarrow()
    if not force:
        refuse_existing([path])
    names = [f"context_{layer}" for layer in chosen] + ["context_only"] * masked
    schema = _schema(arrow, model, names, precision)
    written = 0
    with whole_files(path, force=force, in_use=in_use) as (file,):
        sink = arrow.PythonFile(_Sink(file), mode="w")
        with parquet.ParquetWriter(sink, schema) as writer:
            for part in parts(genome):
                read = partial(_vectors, part, model, chosen, masked, precision, batch_size)
                embeddings_GD, states = or_on_cpu(read, model, f"model {model.name}", log.warning)
                writer.write_table(_table(arrow, schema, part, embeddings_GD, states))
                written += len(embeddings_GD)
    return written


def _vectors(
    part: Genome, model: Model, layers: tuple[int, ...], masked: bool, precision: str, batch_size: int
) -> tuple[npt.NDArray[np.float32], ContextStates]:
    """The embeddings (G, D) of the proteins, and what gLM makes of them."""
    embeddings_GD = embed_distinct(model.encoder, part.proteins, precision=precision)
    states = contextualise(
        part,
        embeddings_GD,
        model.glm,
        model.features,
        layers=layers,
        masked=masked,
        batch_size=batch_size,
    )
    return embeddings_GD, states


def _schema(arrow: Any, model: Model, contexts: Sequence[str], precision: str) -> Any:
    vectors = {"protein": model.encoder.config.dim} | dict.fromkeys(contexts, model.glm.config.dim)
    made_by = provenance(model, Settings(precision=precision))
    fields = [
        *((name, arrow.string()) for name in ("contig", "strand", "locus_tag", "id", "product")),
        *((name, arrow.int64()) for name in ("start", "end")),
        *((name, arrow.list_(arrow.float32(), size)) for name, size in vectors.items()),
    ]
    return arrow.schema(
        fields,
        metadata={
            "program": made_by.program,
            "model": f"{made_by.model} {made_by.model_version}",
            "model_sha256": made_by.model_sha256,
            "precision": made_by.precision,
        },
    )


def _table(
    arrow: Any, schema: Any, part: Genome, embeddings_GD: npt.NDArray[np.float32], states: ContextStates
) -> Any:
    """The rows of a part, in the order of `schema`."""
    genes = list(part.coding)
    masked = [states.masked_GF] if "context_only" in schema.names else []
    vectors = [embeddings_GD, *np.moveaxis(states.hidden_GSF, 1, 0), *masked]
    texts = [[_strand(gene) if name == "strand" else getattr(gene, name) for gene in genes]
             for name in schema.names[: -len(vectors)]]  # fmt: skip
    lists = [
        arrow.FixedSizeListArray.from_arrays(arrow.array(rows.ravel()), rows.shape[1]) for rows in vectors
    ]
    return arrow.Table.from_arrays([*map(arrow.array, texts), *lists], schema=schema)


def _strand(gene: Gene) -> str:
    return SIGNS[gene.strand]


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise GlmAnnotError(
            "Parquet needs pyarrow; install it with: pip install 'glm-annot[table]'"
        ) from None
    return pyarrow, parquet


class _Sink:
    """A file that is being written, as pyarrow wants it: it knows its length, and its owner ends it."""

    def __init__(self, file: WholeFile) -> None:
        self._file, self._position = file, 0
        self.closed = False

    def write(self, content: bytes) -> int:
        """Adds `content`; how many bytes that was."""
        self._file.write(content)
        self._position += len(content)
        return len(content)

    def tell(self) -> int:
        """Bytes written."""
        return self._position

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing more comes."""
        self.closed = True
