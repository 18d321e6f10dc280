"""The vectors of the genes as a Parquet file, written part by part, or as AnnData's .h5ad.

Axes as in `glm_annot.model.context`: G genes, D protein embedding, S layers, F hidden features.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from itertools import count
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
from glm_annot.processes import temporary_folder
from glm_annot.records import Genome
from glm_annot.results.files import FilesInUse, WholeFile, refuse_existing, whole_files

log = logging.getLogger(__name__)

ENDINGS = (".parquet", ".h5ad")
_TEXTS = ("contig", "strand", "locus_tag", "id", "product")
_WHOLE_NUMBERS = ("start", "end")
_Part = tuple[Genome, npt.NDArray[np.float32], ContextStates]  # embeddings (G, D) and what gLM makes of them


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

    In a .h5ad file, which is made in memory as a whole, the genes are AnnData's observations, `X` is
    `protein`, and the others are in `obsm`.

    Args:
        genome: as `read` gives it.
        model: as `load` gives it.
        path: where to; its ending, one of `ENDINGS`, says in which format.
        layers: of gLM, 0 is its input; None for all.
        masked: whether to write what the neighbours alone say, which takes seven more passes of gLM.
        precision, batch_size: as in `Settings`.
        force: overwrite a file that exists.
        in_use: files never to be written to.

    Raises:
        UsageError: no such layer; the file exists, or is in use.
        GlmAnnotError: the library of the format is not installed, or the disk does not take the file.
    """
    most = model.glm.config.layers
    chosen = tuple(range(most + 1)) if layers is None else tuple(dict.fromkeys(layers))
    if wrong := [layer for layer in chosen if not 0 <= layer <= most]:
        raise UsageError(f"gLM of {model.name} has layers 0 to {most}, and no layer {wrong[0]}")
    write = _write_anndata if path.suffix.lower() == ".h5ad" else _write_parquet
    names = [f"context_{layer}" for layer in chosen] + ["context_only"] * masked
    library = _library(path)
    if not force:
        refuse_existing([path])
    made_by = provenance(model, Settings(precision=precision))
    about = {
        "program": made_by.program,
        "model": f"{made_by.model} {made_by.model_version}",
        "model_sha256": made_by.model_sha256,
        "precision": made_by.precision,
    }
    found = _read_parts(genome, model, chosen, masked, precision, batch_size)
    sizes = {"protein": model.encoder.config.dim} | dict.fromkeys(names, model.glm.config.dim)
    with whole_files(path, force=force, in_use=in_use) as (file,):
        return write(library, file, found, sizes, about)


def _read_parts(
    genome: Genome, model: Model, layers: tuple[int, ...], masked: bool, precision: str, batch_size: int
) -> Iterator[_Part]:
    for part in parts(genome):
        read = partial(_vectors, part, model, layers, masked, precision, batch_size)
        yield (part, *or_on_cpu(read, model, f"model {model.name}", log.warning))


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


def _columns(part: Genome) -> dict[str, list[Any]]:
    """What is said of each gene besides its vectors."""
    genes = list(part.coding)
    columns = {name: [getattr(gene, name) for gene in genes] for name in (*_TEXTS, *_WHOLE_NUMBERS)}
    return columns | {"strand": [SIGNS[gene.strand] for gene in genes]}


def _matrices(part: _Part, sizes: Mapping[str, int]) -> list[npt.NDArray[np.float32]]:
    """The vectors of the genes, in the order of `sizes`."""
    _, embeddings_GD, states = part
    masked = [states.masked_GF] if "context_only" in sizes else []
    return [embeddings_GD, *np.moveaxis(states.hidden_GSF, 1, 0), *masked]


def _write_parquet(
    arrow: Any, file: WholeFile, found: Iterator[_Part], sizes: Mapping[str, int], about: Mapping[str, str]
) -> int:
    fields = [
        *((name, arrow.string()) for name in _TEXTS),
        *((name, arrow.int64()) for name in _WHOLE_NUMBERS),
        *((name, arrow.list_(arrow.float32(), size)) for name, size in sizes.items()),
    ]
    schema, written = arrow.schema(fields, metadata=about), 0
    with arrow.parquet.ParquetWriter(arrow.PythonFile(_Sink(file), mode="w"), schema) as writer:
        for part in found:
            lists = [
                arrow.FixedSizeListArray.from_arrays(arrow.array(rows.ravel()), rows.shape[1])
                for rows in _matrices(part, sizes)
            ]
            columns = [*map(arrow.array, _columns(part[0]).values()), *lists]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))
            written += len(part[1])
    return written


def _write_anndata(
    anndata: Any, file: WholeFile, found: Iterator[_Part], sizes: Mapping[str, int], about: Mapping[str, str]
) -> int:
    import pandas

    every = list(found)
    of_parts = zip(*(_matrices(part, sizes) for part in every), strict=True)
    proteins, *contexts = map(np.concatenate, of_parts)
    columns = [_columns(part) for part, _, _ in every]
    genes = pandas.DataFrame({name: [v for each in columns for v in each[name]] for name in columns[0]})
    # Objects, because some versions of anndata cannot write the texts of pandas 3.
    genes = genes.astype(dict.fromkeys(_TEXTS, object))
    genes.index = pandas.Index(_unique(genes["id"]), dtype=object)
    features = pandas.DataFrame(index=pandas.Index(map(str, range(proteins.shape[1])), dtype=object))
    named = dict(zip(list(sizes)[1:], contexts, strict=True))
    data = anndata.AnnData(proteins, genes, features, obsm=named, uns={"glm_annot": dict(about)})
    with temporary_folder() as folder:  # it writes to a place, not into an open file
        place = folder / "genes.h5ad"
        data.write_h5ad(place)
        file.write(place.read_bytes())
    return len(proteins)


def _unique(names: Iterable[str]) -> list[str]:
    """The names, those that came before with their number: 'a', 'b', 'a-1'."""
    seen, found = set[str](), []
    for name in names:
        tries = (name if number == 0 else f"{name}-{number}" for number in count())
        found.append(next(each for each in tries if each not in seen))
        seen.add(found[-1])
    return found


def _library(path: Path) -> Any:
    """The library that writes this format.

    Raises:
        GlmAnnotError: it is not installed.
    """
    name = "anndata" if path.suffix.lower() == ".h5ad" else "pyarrow"
    try:
        if name == "pyarrow":
            import_module("pyarrow.parquet")
        return import_module(name)
    except ImportError:
        what = f"{path.suffix} needs {name}; install it with: pip install 'glm-annot[table]'"
        raise GlmAnnotError(what) from None


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
