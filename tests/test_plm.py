"""The encoder against fair-esm's own forward pass, and how proteins are cut and packed."""

from __future__ import annotations

import esm
import numpy as np
import pytest
import torch

from glm_annot.errors import InputError
from glm_annot.plm import ALPHABET, MASK, Encoder, Pack, PLMConfig, embed, tokenize, wants_bf16

PROTEINS = ["MKV" * 5, "ACDEFGHIKLMNPQRSTVWYX" * 3, "MAAAWKLIVP", "MKWVTFISLLLLFSS", "M"]


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(PLMConfig(layers=3, dim=32, heads=2)).eval()


def fair_esm_tokens(proteins: list[str]) -> torch.Tensor:
    *_, tokens_GT = ALPHABET.get_batch_converter()([("", protein) for protein in proteins])
    return tokens_GT


def fair_esm(encoder: Encoder, tokens_GT: torch.Tensor) -> torch.Tensor:
    """Padded representations (G, T, D) by fair-esm's forward pass at the same weights."""
    layers = encoder.config.layers
    with torch.no_grad():
        return esm.ESM2.forward(encoder, tokens_GT, repr_layers=[layers])["representations"][layers]


def test_means_equal_those_of_fair_esm(encoder: Encoder) -> None:
    expected_GTD = fair_esm(encoder, fair_esm_tokens(PROTEINS))
    expected = [x_TD[1 : len(p) + 1].mean(0).numpy() for x_TD, p in zip(expected_GTD, PROTEINS, strict=True)]
    for batch_tokens in (8, 4096):
        got_GD = embed(encoder, PROTEINS, precision="fp32", batch_tokens=batch_tokens)
        np.testing.assert_allclose(got_GD, np.stack(expected), atol=1e-5)


def test_masked_residues_rescale_as_in_fair_esm(encoder: Encoder) -> None:
    residues = tokenize(PROTEINS[0])
    residues[[2, 7]] = MASK
    pack = Pack.of([residues])
    with torch.no_grad():
        got_ND = encoder(pack)
    torch.testing.assert_close(got_ND[None], fair_esm(encoder, pack.tokens_N[None]), atol=1e-5, rtol=0)


def test_tokens_are_those_of_fair_esm() -> None:
    assert tokenize("ACDUXBZO").tolist() == fair_esm_tokens(["ACDUXBZO"])[0, 1:-1].tolist()
    assert tokenize("acJ*-").tolist() == tokenize("ACXXX").tolist()


@pytest.mark.parametrize("protein", ["", "MÄK"])
def test_what_is_no_protein_is_refused(protein: str) -> None:
    with pytest.raises(InputError):
        tokenize(protein)


def test_state_dict_is_fair_esms_without_the_contact_head(encoder: Encoder) -> None:
    official = esm.ESM2(num_layers=3, embed_dim=32, attention_heads=2).state_dict()
    expected = {name: value.shape for name, value in official.items() if "contact_head" not in name}
    assert {name: value.shape for name, value in encoder.state_dict().items()} == expected


def test_a_long_protein_is_the_weighted_mean_of_its_overlapping_pieces() -> None:
    torch.manual_seed(0)
    short = Encoder(PLMConfig(layers=2, dim=32, heads=2, max_residues=10, overlap=4))
    protein = "ACDEFGHIKLMNPQRSTVWY"  # 20 residues: pieces 0-10, 6-16, 12-20
    pieces = [protein[0:10], protein[6:16], protein[12:20]]
    expected_D = np.average(embed(short, pieces, precision="fp32"), axis=0, weights=[10, 10, 8])
    np.testing.assert_allclose(embed(short, [protein], precision="fp32")[0], expected_D, atol=1e-6)


def test_order_and_repeats_of_proteins_do_not_matter(encoder: Encoder) -> None:
    one_by_one = np.concatenate([embed(encoder, [p], precision="fp32") for p in PROTEINS])
    shuffled = [3, 0, 0, 4, 2, 1]
    together = embed(encoder, [PROTEINS[place] for place in shuffled], precision="fp32")
    np.testing.assert_allclose(together, one_by_one[shuffled], atol=1e-5)


def test_bf16_stays_close(encoder: Encoder) -> None:
    full, half = (embed(encoder, PROTEINS, precision=precision) for precision in ("fp32", "bf16"))
    cosine_G = (full * half).sum(1) / np.linalg.norm(full, axis=1) / np.linalg.norm(half, axis=1)
    assert cosine_G.min() > 0.999


def test_progress_counts_residues_and_nothing_gives_nothing(encoder: Encoder) -> None:
    done: list[int] = []
    embed(encoder, PROTEINS, batch_tokens=30, progress=done.append)
    assert sum(done) == sum(map(len, PROTEINS)) and len(done) > 1
    assert embed(encoder, []).shape == (0, 32)


def test_precision_words() -> None:
    cpu = torch.device("cpu")
    assert wants_bf16("bf16", cpu) and not wants_bf16("fp32", cpu)
    with pytest.raises(ValueError, match="precision"):
        wants_bf16("half", cpu)
