"""The family encoder, against a plain re-derivation of its k-mers."""

from __future__ import annotations

import dataclasses
import math
from itertools import chain

import numpy as np
import pytest
import torch

from glm_annot.errors import InputError
from glm_annot.model import encoder as encoders
from glm_annot.model.family_encoder import KINDS, FamilyEncoder, Kind, Kmers, embed, rows_of
from glm_annot.model.sizes import FamilyEncoderConfig

CONFIG = FamilyEncoderConfig(dim=12, kmer_dim=8, hidden=16, hash_bits=9)
PROTEINS = ["MKVLAAGIDRWY", "MSTNPKPQRKTKRNTNRRPQDVKFPGG", "MKXVLAAGI", "MK", "mkvlaagidrwy"]


def small(seed: int = 0) -> FamilyEncoder:
    torch.manual_seed(seed)
    return FamilyEncoder(CONFIG).eval()


def plain_rows(protein: str, kind: Kind) -> list[int]:
    """The rows of a protein's k-mers, one after another; those with other letters are none."""
    found = []
    for start in range(len(protein)):
        letters = [protein[start + p].upper() for p in kind.places if start + p < len(protein)]
        groups = [next((n for n, group in enumerate(kind.alphabet) if x in group), None) for x in letters]
        if len(groups) < len(kind.places) or None in groups:
            continue
        code = 0
        for group in groups:
            code = code * len(kind.alphabet) + group  # type: ignore[operator]
        if kind.codes > 2**CONFIG.hash_bits:
            product = (code * (0x9E3779B9 - 2**32) + 2**31) % 2**32 - 2**31  # wraps around, signed
            code = (product >> (32 - CONFIG.hash_bits)) % 2**CONFIG.hash_bits
        found.append(code)
    return found


def test_kmers_are_those_of_a_plain_loop() -> None:
    kmers = Kmers.of(PROTEINS, CONFIG)
    assert kmers.lengths_G.tolist() == [len(protein) for protein in PROTEINS]
    for kind, rows, starts in zip(KINDS, kmers.rows, kmers.starts, strict=True):
        expected = [plain_rows(protein, kind) for protein in PROTEINS]
        assert rows.tolist() == list(chain.from_iterable(expected))
        assert starts.tolist() == [sum(map(len, expected[:g])) for g in range(len(PROTEINS))]
        assert max(rows.tolist(), default=0) < min(kind.codes, 2**CONFIG.hash_bits)


def test_an_embedding_is_the_network_of_the_sum_over_root_length() -> None:
    encoder, protein = small(), PROTEINS[1]
    tables = torch.split(encoder.kmers, list(rows_of(CONFIG)))
    total = sum(table[plain_rows(protein, kind)].sum(0) for kind, table in zip(KINDS, tables, strict=True))
    x = torch.cat([total / math.sqrt(len(protein)), torch.tensor([math.log(len(protein)) - 5.5])])
    h = torch.nn.functional.gelu(encoder.first(encoder.norm(x)))
    h = h + torch.nn.functional.gelu(encoder.second(h))
    expected = torch.nn.functional.normalize(encoder.last(h), dim=0)
    np.testing.assert_allclose(embed(encoder, [protein])[0], expected.detach().numpy(), atol=1e-5)


def test_embeddings_have_length_1_and_do_not_hang_on_the_batch() -> None:
    encoder = small()
    together = embed(encoder, PROTEINS)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(together, embed(encoder, PROTEINS, batch_residues=5), atol=1e-6)
    np.testing.assert_allclose(together[0], together[4], atol=1e-6)  # lower case
    assert embed(encoder, []).shape == (0, CONFIG.dim)


@pytest.mark.parametrize(("protein", "complaint"), [("", "empty"), ("MKÄ", "'Ä'")])
def test_what_is_no_protein_is_refused(protein: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        embed(small(), ["MKV", protein])


def test_gradients_are_those_of_embedding_bag() -> None:
    encoder = small()
    kmers = Kmers.of(PROTEINS, CONFIG)
    encoder(kmers)[:, 0].sum().backward()
    assert encoder.kmers.grad is not None
    row, step = int(kmers.rows[0][0]), 1e-3
    moved = []
    for sign in (1, -1):
        with torch.no_grad():
            encoder.kmers[row, 0] += sign * step
            moved.append(float(encoder(kmers)[:, 0].double().sum()))
            encoder.kmers[row, 0] -= sign * step
    numeric = (moved[0] - moved[1]) / (2 * step)
    assert float(encoder.kmers.grad[row, 0]) == pytest.approx(numeric, rel=0.02, abs=1e-4)


def test_four_bits_a_number_change_little_and_only_once() -> None:
    encoder, again = small(), small(1)
    before = embed(encoder, PROTEINS)
    state = encoders.stored_state(encoder)
    assert (
        state["kmers.nibbles"].dtype == torch.uint8
        and state["kmers.nibbles"].shape[1] == CONFIG.kmer_dim // 2
    )
    again.load_state_dict(state)
    assert (before * embed(again, PROTEINS)).sum(1).min() > 0.9
    third = small(2)
    third.load_state_dict(encoders.stored_state(again))
    np.testing.assert_array_equal(embed(again, PROTEINS), embed(third, PROTEINS))


def test_its_configuration_comes_back() -> None:
    kind, config = encoders.kind_and_config(encoders.config_json(small()))
    assert kind is FamilyEncoder and config == CONFIG
    with pytest.raises(ValueError, match="'other' is unknown"):
        encoders.kind_and_config({"method": "other", **dataclasses.asdict(CONFIG)})
    assert encoders.precision_of(small(), "bf16") == "fp32"
