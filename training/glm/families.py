"""The families of a corpus: which there are, where they lie among embeddings, and which each protein is of.

A family is a group of similar proteins (`family` of the corpus's proteins where it has one, else their
cluster). The largest of them in the training genomes become a `FamilyTable`; the encoder then says for every
protein of the corpus which it belongs to, as it will for the proteins of any genome.

Beside a corpus's embeddings stand `families.safetensors` (the table), `families.json` (its size and what was
measured), `families.npy` (int32, row = `protein`: the nearest family) and `family_cosines.npy` (float32: how
near). From the table's threshold on a protein belongs to the family.

Axes: N proteins, F families, D dimensions of an embedding, V proteins that choose the threshold.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import Tensor

from glm_annot.errors import InputError
from glm_annot.model.families import FamilyTable, FamilyTableConfig
from glm_annot.model.sizes import MOST_FAMILIES

from ..common.inputs import read_array, read_record
from ..common.json_files import write_json
from ..common.weights import fill
from ..corpus.tables import read_table
from ..encoder.embed import encoder_of
from .windows import Embeddings, GeneOrder

FAMILY_TABLE, FAMILY_RECORD = "families.safetensors", "families.json"
NEAREST, COSINES = "families.npy", "family_cosines.npy"
LEAST_GENES = 3  # in the training genomes, if these are as many; smaller families teach little
_ROWS = 65_536  # proteins read at a time
_THRESHOLDS = np.linspace(0.0, 0.95, 96)

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Families:
    """The families of a corpus.

    Attributes:
        table: tells which family a protein belongs to.
        nearest_N: the nearest family of each protein.
        cosine_N: of the protein and that family's centroid.
    """

    table: FamilyTable
    nearest_N: npt.NDArray[np.int32]
    cosine_N: npt.NDArray[np.float32]

    @classmethod
    def of(cls, table: FamilyTable, embeddings_ND: Embeddings) -> Families:
        """Those of some proteins by a table."""
        starts = range(0, max(len(embeddings_ND), 1), _ROWS)
        parts = [table.compare(_rows(embeddings_ND, slice(start, start + _ROWS))) for start in starts]
        family_N, cosine_N = (torch.cat(of).cpu().numpy() for of in zip(*parts, strict=True))
        return cls(table, family_N.astype(np.int32), cosine_N)

    @cached_property
    def family_N(self) -> npt.NDArray[np.int32]:
        """The family of each protein; the table's `none` for none."""
        near_enough_N = self.cosine_N >= float(self.table.nearest)
        return np.where(near_enough_N, self.nearest_N, self.table.none).astype(np.int32)

    def with_threshold(self, cosine: float) -> Families:
        """The same where proteins belong to a family from another cosine on."""
        table = FamilyTable(self.table.config)
        table.load_state_dict({**self.table.state_dict(), "nearest": torch.tensor(cosine)})
        return replace(self, table=table.requires_grad_(False))


def make_families(corpus: Path, embeddings_ND: Embeddings, *, most: int = MOST_FAMILIES) -> dict[str, float]:
    """Make the families of an embedded corpus and write them into its folder.

    Args:
        corpus: the corpus folder.
        embeddings_ND: of its proteins.
        most: families at most.

    Returns:
        how many there are, the threshold, and on the validation genomes' proteins: the share of those of a
        family of the table that are given theirs, and of the others that are given none.

    Raises:
        InputError: no family has three genes in the training genomes.
    """
    train = GeneOrder.read(corpus, "train").protein_G
    number_N = _by_cluster(corpus, train, most)
    table = _centroids(embeddings_ND, number_N, np.unique(train))
    found = Families.of(table, embeddings_ND)
    valid = np.setdiff1d(GeneOrder.read(corpus, "valid").protein_G, train)
    if len(valid):
        found = found.with_threshold(_best_threshold(found, number_N, valid))
    np.save(corpus / NEAREST, found.nearest_N)
    np.save(corpus / COSINES, found.cosine_N)
    return write_families(corpus, found)


def write_families(corpus: Path, families: Families) -> dict[str, float]:
    """Write the table of families, after the threshold was changed, too; returns as `make_families`."""
    train, valid = (GeneOrder.read(corpus, split).protein_G for split in ("train", "valid"))
    own_N = _by_cluster(corpus, train, families.table.none)
    shares = _shares(families, own_N, np.setdiff1d(valid, train))
    table = families.table
    save_file(table.state_dict(), corpus / FAMILY_TABLE)
    figures = {"families": float(table.config.families), "threshold": float(table.nearest), **shares}
    record = {"table": asdict(table.config), "encoder": encoder_of(corpus), "figures": figures}
    write_json(corpus / FAMILY_RECORD, record)
    return figures


def read_families(corpus: Path) -> Families:
    """Read the families of a corpus.

    Raises:
        InputError: it has none, or they are of another encoder than its embeddings.
    """
    if not (corpus / FAMILY_RECORD).exists():
        raise InputError("has no families; make them with `glm-train families`", corpus)
    record = read_record(corpus / FAMILY_RECORD)
    if record["encoder"] != encoder_of(corpus):
        raise InputError("has families by another encoder; make them anew with `glm-train families`", corpus)
    table = FamilyTable(FamilyTableConfig(**record["table"]))
    fill(table, corpus / FAMILY_TABLE)
    table.requires_grad_(False)
    return Families(table, read_array(corpus / NEAREST), read_array(corpus / COSINES))


def by_cluster(corpus: Path, families: Families) -> Ints:
    """The family of each protein of a corpus by its cluster; the table's `none` for none."""
    none = families.table.none
    number_N = _by_cluster(corpus, GeneOrder.read(corpus, "train").protein_G, none)
    return np.where(number_N < 0, none, number_N)


def _groups(corpus: Path) -> Ints:
    """The group of similar proteins that each protein belongs to."""
    names = read_table(corpus, "proteins").column_names
    column = "family" if "family" in names else "cluster"
    return np.asarray(read_table(corpus, "proteins", [column])[column], np.int64)


def _by_cluster(corpus: Path, train: Ints, most: int) -> Ints:
    """The same with -1 for none, of the largest families of the training genomes' genes, `most` of them."""
    splits = read_table(corpus, "genomes", ["split"])["split"].to_pylist()
    return _largest(_groups(corpus), train, most, min(LEAST_GENES, splits.count("train")))


def _largest(group_N: Ints, train: Ints, most: int, least: int) -> Ints:
    """Numbers of the groups by their genes in the training genomes, -1 for those too small or too many."""
    groups, counts = np.unique(group_N[train], return_counts=True)
    order = np.lexsort((groups, -counts))[:most]
    order = order[counts[order] >= least]
    if not len(order):
        raise InputError(f"no family has {least} genes in the training genomes")
    number = dict(zip(groups[order].tolist(), range(len(order)), strict=True))
    return np.array([number.get(group, -1) for group in group_N.tolist()], np.int64)


def _centroids(embeddings_ND: Embeddings, number_N: Ints, train: Ints) -> FamilyTable:
    """A table whose centroids are the mean directions of the training proteins of each family."""
    D = embeddings_ND.shape[1]
    table = FamilyTable(FamilyTableConfig(int(number_N.max()) + 1, D))
    members = train[number_N[train] >= 0]
    sums_FD = torch.zeros(table.config.families, D)
    mean_D, square_D = torch.zeros(D, dtype=torch.float64), torch.zeros(D, dtype=torch.float64)
    for rows in np.array_split(train, -(-len(train) // _ROWS)):
        values_ND = _rows(embeddings_ND, rows).double()
        mean_D += values_ND.sum(0) / len(train)
        square_D += values_ND.square().sum(0) / len(train)
    std_D = (square_D - mean_D.square()).clamp_min(0).sqrt()
    table.mean_D.copy_(mean_D)
    table.std_D.copy_(torch.where(std_D > 0, std_D, 1.0))
    for rows in np.array_split(members, -(-len(members) // _ROWS)):
        sums_FD.index_add_(0, torch.from_numpy(number_N[rows]), table.directions(_rows(embeddings_ND, rows)))
    table.centroids_FD.copy_(torch.nn.functional.normalize(sums_FD, dim=-1))
    return table


def _best_threshold(families: Families, own_N: Ints, valid: Ints) -> float:
    """The threshold by which most of some proteins get what is theirs: their family, or none."""
    own_V, right_V = own_N[valid], families.nearest_N[valid] == own_N[valid]
    given_TV = families.cosine_N[valid] >= _THRESHOLDS[:, None]
    return float(_THRESHOLDS[np.where(given_TV, right_V, own_V < 0).mean(1).argmax()])


def _shares(families: Families, own_N: Ints, valid: Ints) -> dict[str, float]:
    """What `make_families` measures on some proteins; nothing without any."""
    if not len(valid):
        return {}
    own_V, family_V = own_N[valid], families.family_N[valid]
    known_V = own_V >= 0
    return {
        "given_their_family": _mean(family_V[known_V] == own_V[known_V]),
        "given_none": _mean(family_V[~known_V] == families.table.none),
        "of_a_family": _mean(known_V),
    }


def _mean(of: npt.NDArray[np.bool_]) -> float:
    return float(of.mean()) if len(of) else 0.0


def _rows(embeddings_ND: Embeddings, rows: Ints | slice) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(embeddings_ND[rows], np.float32))
