"""What the suite 'paper' reads, and genes with a chosen one masked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from glm_annot.bundle import Model
from glm_annot.errors import InputError
from glm_annot.io.checksums import file_sha256
from glm_annot.model.glm import GLM, mask_inputs
from glm_annot.model.windows import MAX_GENES
from glm_annot.records import Genome

from ..corpus.shared_data import SharedData
from ..corpus.tables import TABLES, table_files
from ..glm.masked import BATCH_WINDOWS
from ..glm.windows import GeneOrder, Spans, WindowReader


@dataclass(frozen=True)
class Files:
    """What is read; all but the corpus belong to the folder of shared data.

    Attributes:
        genome: the held-out genome, with locus tags.
        operons: its known operons, a table with a column `locus_tags`.
        labelled, ec_names: proteins with EC numbers, and which numbers have moved.
        corpus: a corpus folder, for the enzymes and the exclusion protocol.
    """

    genome: Path
    operons: Path
    labelled: Path
    ec_names: Path
    corpus: Path

    @classmethod
    def of(cls, data: Path, corpus: Path | None = None) -> Files:
        """The files of a folder of shared data, E. coli K-12 held out.

        Raises:
            InputError: one of them is not there.
        """
        shared = SharedData(data)
        files = cls(shared.k12, shared.k12_operons, shared.labelled, shared.ec_names, corpus or shared.corpus)
        for path in (files.genome, files.operons, files.labelled, files.ec_names, files.corpus):
            if not path.exists():
                raise InputError(
                    "is missing; --data names a folder that is laid out as the shared data", path
                )
        return files

    def contents(self) -> dict[str, str]:
        """sha256 of each file that is read, by its name: other contents make other results."""
        tables = [path for name in TABLES for path in table_files(self.corpus, name)]
        return {
            path.name: file_sha256(path)
            for path in (self.genome, self.operons, self.labelled, self.ec_names, *tables)
        }


def centred(order: GeneOrder, rows_N: npt.NDArray[np.int64], longest: int = MAX_GENES) -> Spans:
    """For each gene the window of up to `longest` genes of its contig that holds it most centrally."""
    contig_N = np.searchsorted(order.first_C, rows_N, side="right") - 1
    begin_N, end_N = order.first_C[contig_N], order.first_C[contig_N + 1]
    length_N = np.minimum(end_N - begin_N, longest)
    return Spans(np.clip(rows_N - length_N // 2, begin_N, end_N - length_N), length_N)


@torch.inference_mode()
def hidden_states(
    glm: GLM, reader: WindowReader, rows_N: npt.NDArray[np.int64], *, masked: bool
) -> npt.NDArray[np.float16]:
    """Hidden states of some genes, each in the window where it is most central: (S, N, F).

    S = layers + 1, the embedding's output first. Where `masked`, the gene itself is masked and all others of
    its window are seen, as in the paper.
    """
    spans = centred(reader.order, rows_N, min(MAX_GENES, glm.config.max_distance))
    states = np.empty((glm.config.layers + 1, len(rows_N), glm.config.dim), np.float16)
    for start, x_BTE, real_BT in _batches(reader, spans):
        place_B = torch.from_numpy((rows_N - spans.first_W)[start : start + len(x_BTE)]).to(x_BTE.device)
        here_BT = torch.arange(x_BTE.shape[1], device=x_BTE.device) == place_B[:, None]
        seen_BTE = mask_inputs(x_BTE, here_BT) if masked else x_BTE
        output = glm(seen_BTE, real_BT, hidden_states=True)
        for layer, h_BTF in enumerate(output.hidden_states or ()):
            states[layer, start : start + len(x_BTE)] = h_BTF[here_BT].float().cpu().numpy()
    return states


def _batches(reader: WindowReader, spans: Spans) -> Iterator[tuple[int, Tensor, Tensor]]:
    start = 0
    for batch in reader.batches(spans, BATCH_WINDOWS):
        yield start, batch.x_BTE, batch.real_BT
        start += len(batch.real_BT)


def window_reader(genome: Genome, embeddings_GD: npt.NDArray[np.float32], model: Model) -> WindowReader:
    """Reads windows of a genome for a model."""
    return WindowReader(GeneOrder.of_genome(genome), embeddings_GD, model.features)


def surroundings(
    order: GeneOrder, embeddings_GD: npt.NDArray[np.float32], rows_N: npt.NDArray[np.int64], reach: int
) -> npt.NDArray[np.float32]:
    """Mean embedding of each gene's up to `reach` neighbours on either side, itself left out: (N, D)."""
    spans = centred(order, rows_N, 2 * reach + 1)
    before_GD = np.concatenate(
        [np.zeros((1, embeddings_GD.shape[1])), np.cumsum(embeddings_GD, axis=0, dtype=np.float64)]
    )
    total_ND = before_GD[spans.first_W + spans.length_W] - before_GD[spans.first_W] - embeddings_GD[rows_N]
    return np.asarray(total_ND / np.maximum(spans.length_W - 1, 1)[:, None], np.float32)


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as TSV, numbers with six digits."""
    table.to_csv(path, sep="\t", index=False, float_format="%.6g", lineterminator="\n")


def read(path: Path, **kinds: type) -> pd.DataFrame:
    """Read a table; columns named are of that kind, the others of what they hold."""
    return pd.read_csv(path, sep="\t", dtype=kinds or None, na_values=[""], keep_default_na=False)


def layer_names(layers: int) -> Sequence[str]:
    """What the states of `hidden_states` are called: 'input' and the layers from 1."""
    return ["gLM input", *(f"gLM layer {number}" for number in range(1, layers + 1))]
