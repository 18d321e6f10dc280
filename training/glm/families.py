"""The families of a corpus: which there are, where they lie among embeddings, and which each protein is of.

A family is a group of similar proteins (`family` of the corpus's proteins where it has one, else their
cluster). The largest of them in the training genomes become a `FamilyTable`; the encoder then says for every
protein of the corpus which it belongs to, as it will for the proteins of any genome.

Beside a corpus's embeddings stand `families.safetensors` (the table), `families.json` (its size and what was
measured) and `families.npy` (int32, row = `protein`; the number of families for none).

Axes: N proteins, F families, D dimensions of an embedding, V proteins that choose the threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from glm_annot.errors import InputError
from glm_annot.model.families import FamilyTable, FamilyTableConfig
from glm_annot.model.sizes import MOST_FAMILIES

from ..common.inputs import read_array, read_record
from ..common.json_files import write_json
from ..corpus.tables import read_table
from ..encoder.embed import encoder_of
from .windows import Embeddings, GeneOrder

FAMILY_TABLE, FAMILY_RECORD, ASSIGNED = "families.safetensors", "families.json", "families.npy"
LEAST_GENES = 3  # in the training genomes, if these are as many; smaller families teach little
_ROWS = 65_536  # proteins read at a time
_THRESHOLDS = np.linspace(0.0, 0.95, 96)

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Families:
    """The families of a corpus: the table, and each protein's family (the table's `none` for none)."""

    table: FamilyTable
    family_N: npt.NDArray[np.int32]


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
    valid = np.setdiff1d(GeneOrder.read(corpus, "valid").protein_G, train)
    measured = _choose_threshold(table, embeddings_ND, number_N, valid)
    family_N = assign(table, embeddings_ND)
    save_file(table.state_dict(), corpus / FAMILY_TABLE)
    np.save(corpus / ASSIGNED, family_N)
    figures = {"families": float(table.config.families), "threshold": float(table.nearest), **measured}
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
    table.load_state_dict(load_file(corpus / FAMILY_TABLE))
    table.requires_grad_(False)
    return Families(table, read_array(corpus / ASSIGNED))


def by_cluster(corpus: Path, families: Families) -> Ints:
    """The family of each protein of a corpus by its cluster; the table's `none` for none."""
    none = families.table.none
    number_N = _by_cluster(corpus, GeneOrder.read(corpus, "train").protein_G, none)
    return np.where(number_N < 0, none, number_N)


def assign(table: FamilyTable, embeddings_ND: Embeddings) -> npt.NDArray[np.int32]:
    """The family of each embedding, in any order; `table.none` for none."""
    starts = range(0, len(embeddings_ND), _ROWS)
    parts = [table.assign(_rows(embeddings_ND, slice(start, start + _ROWS)))[0].cpu() for start in starts]
    found: npt.NDArray[np.int32] = torch.cat(parts).numpy().astype(np.int32)
    return found


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


def _choose_threshold(
    table: FamilyTable, embeddings_ND: Embeddings, number_N: Ints, valid: Ints
) -> dict[str, float]:
    """Set the table's threshold so that most proteins get what is theirs: their family, or none.

    Returns:
        the shares of `make_families`; nothing without proteins to choose by.
    """
    if not len(valid):
        return {}
    family_V, cosine_V = (found.cpu().numpy() for found in table.assign(_rows(embeddings_ND, valid)))
    own_V = number_N[valid]
    given_TV = cosine_V >= _THRESHOLDS[:, None]
    right_T = np.where(given_TV, family_V == own_V, own_V < 0).mean(1)
    best = int(right_T.argmax())
    table.nearest.fill_(float(_THRESHOLDS[best]))
    known_V = own_V >= 0
    found_V = given_TV[best] & (family_V == own_V)
    shares: Mapping[str, float] = {
        "given_their_family": float(found_V[known_V].mean()) if known_V.any() else 0.0,
        "given_none": float((~given_TV[best])[~known_V].mean()) if (~known_V).any() else 0.0,
        "of_a_family": float(known_V.mean()),
    }
    return dict(shares)


def _rows(embeddings_ND: Embeddings, rows: Ints | slice) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(embeddings_ND[rows], np.float32))
