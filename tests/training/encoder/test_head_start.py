"""The closed-form start: the encoder's features are the discriminants of residue pairs, computed apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glm_annot.model.esm import STANDARD_RESIDUES, Encoder, embed
from glm_annot.model.sizes import PLMConfig
from glm_annot.training.encoder.head_start import discriminants, pair_frequencies, start_from_pairs
from glm_annot.training.settings import wide_enough_for_pairs

LETTERS = list(STANDARD_RESIDUES)


def homologues(families: int, *, changed: float = 0.1, length: int = 150) -> list[str]:
    """Two proteins of each family; each has that share of its ancestor's residues drawn anew."""
    rng = np.random.default_rng(0)
    proteins = []
    for _ in range(families):
        ancestor = rng.choice(LETTERS, length)
        for _ in range(2):
            child = np.where(rng.random(length) < changed, rng.choice(LETTERS, length), ancestor)
            proteins.append("".join(child))
    return proteins


def test_pairs_are_counted_by_distance() -> None:
    at = {letter: place for place, letter in enumerate(STANDARD_RESIDUES)}
    counts = pair_frequencies("MKXM", 3).reshape(3, 20, 20) * 4  # axes: distance, residue, the one before it
    expected = np.zeros((3, 20, 20))
    expected[0, at["K"], at["M"]] = expected[1, at["M"], at["K"]] = 1
    expected[2, at["M"], at["M"]] = 1
    np.testing.assert_allclose(counts, expected)


def test_discriminants_find_the_direction_that_tells_families_apart() -> None:
    rng = np.random.default_rng(0)
    family = np.repeat(rng.normal(size=400), 2)
    noise = rng.normal(size=(800, 3))
    rows = np.column_stack([noise[:, 0] * 5, family + 0.1 * noise[:, 1], noise[:, 2]])
    direction = discriminants(rows, 1)[:, 0]
    assert np.abs(direction[1]) > 20 * np.abs(direction[[0, 2]]).max()


def test_the_encoder_computes_the_discriminants() -> None:
    torch.manual_seed(0)
    encoder = Encoder(PLMConfig(layers=2, dim=128, heads=2))
    proteins = homologues(150)
    start_from_pairs(encoder, proteins)
    expected_GK = np.stack([pair_frequencies(p, 2) for p in proteins])
    expected_GK = expected_GK @ discriminants(expected_GK, 88)
    got_GK = embed(encoder, proteins, precision="fp32")[:, 40:]
    # The final layer norm divides by each place's own deviation: equal up to that and to a scale.
    correlation_K = [np.corrcoef(expected_GK[:, k], got_GK[:, k])[0, 1] for k in range(88)]
    assert np.median(correlation_K) > 0.98 and min(correlation_K) > 0.9


def test_the_start_tells_new_families_apart_where_random_weights_do_not() -> None:
    def retrieved(encoder: Encoder, proteins: list[str]) -> float:
        x_GD = embed(encoder, proteins, precision="fp32")
        x_GD = (x_GD - x_GD.mean(0)) / (x_GD.std(0) + 1e-6)
        x_GD /= np.linalg.norm(x_GD, axis=1, keepdims=True)
        similarity_GG = x_GD @ x_GD.T - 2 * np.eye(len(x_GD))
        return float((similarity_GG.argmax(1) // 2 == np.arange(len(x_GD)) // 2).mean())

    torch.manual_seed(0)
    encoder = Encoder(PLMConfig(layers=2, dim=128, heads=2))
    proteins = homologues(400, changed=0.4)
    known, new = proteins[:600], proteins[600:]
    before = retrieved(encoder, new)
    start_from_pairs(encoder, known)
    assert retrieved(encoder, new) > before + 0.1


def test_what_has_no_room_is_refused() -> None:
    narrow = Encoder(PLMConfig(layers=1, dim=64, heads=2))
    assert not wide_enough_for_pairs(narrow.config)
    with pytest.raises(ValueError, match="no room"):
        start_from_pairs(narrow, ["MK", "MK"])
    with pytest.raises(ValueError, match="pairs"):
        start_from_pairs(Encoder(PLMConfig(layers=1, dim=128, heads=2)), ["MK"])
