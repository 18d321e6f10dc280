"""Families of labelled proteins that one k-mer profile each is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from glm_annot.ec.adjacency import LabelPairs
from glm_annot.ec.head import ECHead, ECHeadConfig
from glm_annot.ec_numbers import sort_key

from ..corpus import similarity
from . import profiles as kmer_profiles
from .labels import Labelled

FAMILY_IDENTITY = 0.5  # proteins of one family share at least this much, and their EC numbers


@dataclass(frozen=True)
class Family:
    """Alike proteins with the same EC numbers; labelled ones first, then their homologues."""

    ec: tuple[str, ...]
    members: tuple[str, ...]


def families(labelled: Sequence[Labelled], homologues: Mapping[int, Sequence[str]]) -> list[Family]:
    """Group labelled proteins of equal EC numbers and at least 50 % identity.

    Args:
        labelled: proteins with EC numbers (or none: no enzymes).
        homologues: position in `labelled` -> proteins that got its label.
    """
    if not labelled:
        return []
    clusters = similarity.cluster((p.sequence for p in labelled), min_identity=FAMILY_IDENTITY)
    grouped: dict[tuple[int, tuple[str, ...]], list[int]] = {}
    for place, cluster in enumerate(clusters.tolist()):
        grouped.setdefault((cluster, labelled[place].ec), []).append(place)
    found = []
    for (_, ec), places in grouped.items():
        relatives = [s for place in places for s in homologues.get(place, ())]
        found.append(Family(ec, (*(labelled[place].sequence for place in places), *relatives)))
    return found


def head_of(
    found: Sequence[Family],
    labels: Sequence[str],
    rarity_K: npt.NDArray[np.uint8],
    pairs: LabelPairs,
    inputs: ECHeadConfig,
) -> ECHead:
    """An EC head that knows these families; linear heads and calibration are still to be fitted.

    Args:
        found: the families.
        labels: EC numbers, those of the families among them.
        rarity_K: as `kmer_profiles.rarity` gives it.
        pairs: how often labels are neighbours.
        inputs: says which other evidence there will be, and of what size.
    """
    profiles = kmer_profiles.build([family.members for family in found], rarity_K)
    numbered = {label: place for place, label in enumerate(labels)}
    places = [numbered[label] for family in found for label in family.ec]
    config = replace(
        inputs,
        labels=tuple(labels),
        profiles=len(found),
        entries=profiles.config.entries,
        profile_labels=len(places),
        pairs=len(pairs.other_N),
    )
    head = ECHead(config)
    head.profiles.load_state_dict(profiles.state_dict())
    head.pairs.load_state_dict(pairs.state_dict())
    head.profile_listed_P.copy_(torch.tensor([len(family.ec) for family in found], dtype=torch.uint8))
    head.profile_label_N.copy_(torch.tensor(places, dtype=torch.int16))
    return head


def all_labels(proteins: Sequence[Labelled]) -> tuple[str, ...]:
    """Every EC number of some proteins, in order."""
    return tuple(sorted({number for protein in proteins for number in protein.ec}, key=sort_key))
