"""The encoder against fair-esm's own forward pass, how proteins are cut and packed, and official weights."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import esm
import numpy as np
import pytest
import torch

from glm_annot.errors import InputError
from glm_annot.model.esm import ALPHABET, MASK, Encoder, Pack, embed, precision_on, tokenize
from glm_annot.model.sizes import PLMConfig
from glm_annot.training.bundle.assemble import read_encoder
from glm_annot.training.encoder import official as esm2
from glm_annot.training.recipe import read as read_recipe
from glm_annot.training.run.stages import train_encoder
from glm_annot.training.settings import Official
from tests.support.official_files import write_esm2

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


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_stays_close(encoder: Encoder, precision: str) -> None:
    full, half = (embed(encoder, PROTEINS, precision=word) for word in ("fp32", precision))
    assert (full != half).any()
    cosine_G = (full * half).sum(1) / np.linalg.norm(full, axis=1) / np.linalg.norm(half, axis=1)
    assert cosine_G.min() > 0.999


def test_progress_counts_residues_and_nothing_gives_nothing(encoder: Encoder) -> None:
    done: list[int] = []
    embed(encoder, PROTEINS, batch_tokens=30, progress=done.append)
    assert sum(done) == sum(map(len, PROTEINS)) and len(done) > 1
    assert embed(encoder, []).shape == (0, 32)


@pytest.mark.parametrize(("cores", "packs"), [(1, 3), (2, 4), (4, 4), (8, 8), (500, 40)])
def test_packs_keep_all_cores_busy(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, cores: int, packs: int
) -> None:
    proteins = ["MKV" * length for length in range(6, 46)]
    expected, forward, tokens = embed(encoder, proteins, precision="fp32"), encoder.forward, []

    def counted(pack: Pack) -> torch.Tensor:
        tokens.append(len(pack.tokens_N))
        return forward(pack)

    monkeypatch.setattr(torch, "get_num_threads", lambda: cores)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(encoder, "forward", counted)
    got_GD = embed(encoder, proteins, precision="fp32", batch_tokens=1300)  # 3,140 tokens in all
    assert len(tokens) == packs and max(tokens) - min(tokens) <= 140
    np.testing.assert_allclose(got_GD, expected, atol=1e-5)


def test_precision_words() -> None:
    cpu = torch.device("cpu")
    assert [precision_on(cpu, word) for word in ("fp32", "bf16", "fp16")] == ["fp32", "bf16", "fp16"]
    with pytest.raises(ValueError, match="precision"):
        precision_on(cpu, "half")


@pytest.mark.parametrize(
    ("capability", "meant"), [((9, 0), "bf16"), ((7, 5), "fp16"), ((6, 1), "fp32")], ids=["H200", "T4", "P40"]
)
def test_what_auto_means_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], meant: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    assert precision_on(torch.device("cuda:1")) == meant


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where torch.hub keeps its downloads."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def official_means(path: Path, proteins: list[str]) -> np.ndarray:
    """Mean embeddings by fair-esm's own loader and forward pass."""
    with torch.serialization.safe_globals([Namespace]):
        data = torch.load(path, weights_only=True)
    with pytest.warns(UserWarning, match="Regression weights not found"):
        model, alphabet = esm.pretrained.load_model_and_alphabet_core("esm2", data, None)
    *_, tokens_GT = alphabet.get_batch_converter()([("", protein) for protein in proteins])
    last = model.num_layers
    with torch.no_grad():
        states_GTD = model.eval()(tokens_GT, repr_layers=[last])["representations"][last]
    means = [x_TD[1 : len(p) + 1].mean(0).numpy() for x_TD, p in zip(states_GTD, proteins, strict=True)]
    return np.stack(means)


@pytest.mark.parametrize("sizes", [(3, 32, 2), (6, 320, 20)], ids=["small", "8M"])
def test_an_official_file_embeds_as_fair_esm_does(sizes: tuple[int, int, int], tmp_path: Path) -> None:
    write_esm2(tmp_path / "mine.pt", *sizes)
    encoder = esm2.load(tmp_path / "mine.pt")
    config = encoder.config
    assert (config.layers, config.dim, config.heads) == sizes and not encoder.training
    expected_GD = official_means(tmp_path / "mine.pt", PROTEINS)
    np.testing.assert_allclose(embed(encoder, PROTEINS, precision="fp32"), expected_GD, atol=1e-5)


def test_half_precision_files_become_float32(tmp_path: Path) -> None:
    """The two largest are published like that."""
    write_esm2(tmp_path / "half.pt", 2, 32, 2, torch.float16)
    write_esm2(tmp_path / "full.pt", 2, 32, 2)
    half, full = (esm2.load(tmp_path / name).state_dict() for name in ("half.pt", "full.pt"))
    for name, tensor in full.items():
        assert half[name].dtype == torch.float32 and torch.allclose(half[name], tensor, atol=1e-3)


def test_a_name_is_found_among_the_downloads_of_torch_hub(hub: Path) -> None:
    write_esm2(hub / "esm2_t6_8M_UR50D.pt", 2, 32, 2)
    assert esm2.load("esm2_t6_8M_UR50D").config == PLMConfig(2, 32, 2)


def test_what_was_not_downloaded_says_where_it_is_and_how_large(hub: Path) -> None:
    url = "https://dl.fbaipublicfiles.com/fair-esm/models/esm2_t33_650M_UR50D.pt"
    with pytest.raises(InputError) as caught:
        esm2.load("esm2_t33_650M_UR50D")
    message = str(caught.value)
    assert f"(2.6 GB): curl --create-dirs -o {hub}/esm2_t33_650M_UR50D.pt {url}" in message
    assert "\n" not in message


def test_an_unknown_name_lists_the_official_ones(hub: Path) -> None:
    with pytest.raises(InputError, match="no such file, and no name of an official ESM2: esm2_t6_8M_UR50D, "):
        esm2.load("esm2_t7")


@pytest.mark.parametrize("name", esm2.OFFICIAL)
def test_stated_sizes_are_those_of_the_architectures(name: str) -> None:
    shape = esm2.SHAPES[name]
    with torch.device("meta"):
        model = esm.ESM2(num_layers=shape.layers, embed_dim=shape.dim, attention_heads=shape.heads)
    assert name.startswith(f"esm2_t{shape.layers}_")
    bytes_each = 2 if name in ("esm2_t36_3B_UR50D", "esm2_t48_15B_UR50D") else 4
    numbers = sum(parameter.numel() for parameter in model.parameters())
    assert esm2.OFFICIAL[name] == pytest.approx(numbers * bytes_each, rel=0.02)


def faulty(path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """An official file with something changed."""
    write_esm2(path, 1, 32, 2)
    with torch.serialization.safe_globals([Namespace]):
        content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("cfg"), "is no ESM2 as fair-esm publishes it"),
        (lambda c: c.update(cfg={"model": Namespace(arch="roberta_large")}), "is no ESM2"),
        (lambda c: setattr(c["cfg"]["model"], "token_dropout", False), "without token dropout"),
        (lambda c: setattr(c["cfg"]["model"], "encoder_layers", 2), "is damaged: tensors are missing"),
        (lambda c: c["model"].popitem(), "is damaged: tensors are missing"),
        (
            lambda c: c.update(cfg=PLMConfig(1, 32, 2)),
            "refused, and nothing in it was run: it asks for glm_an",
        ),
    ],
    ids=["no cfg", "another model", "no dropout", "other layers", "a lost tensor", "code"],
)
def test_another_file_is_said_in_one_line(
    change: Callable[[dict[str, Any]], object], message: str, tmp_path: Path
) -> None:
    path = faulty(tmp_path / "faulty.pt", change)
    with pytest.raises(InputError, match=message) as caught:
        esm2.load(path)
    assert "\n" not in str(caught.value)


def test_a_recipe_takes_an_official_encoder(tmp_path: Path) -> None:
    write_esm2(tmp_path / "mine.pt", 2, 32, 2)
    recipe = replace(read_recipe("own"), plm=Official(str(tmp_path / "mine.pt")))
    train_encoder(recipe, tmp_path, tmp_path / "plm", budget=1.0)
    kept, official = read_encoder(tmp_path / "plm"), esm2.load(tmp_path / "mine.pt")
    assert kept.config == official.config
    for name, tensor in official.state_dict().items():
        assert torch.equal(kept.state_dict()[name], tensor)


def test_packs_that_do_not_fit_a_gpu_are_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = Encoder(PLMConfig(layers=1, dim=16, heads=2))
    expected, forward, sizes = embed(encoder, PROTEINS, precision="fp32"), encoder.forward, []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)

    def small(pack: Pack) -> torch.Tensor:
        sizes.append(len(pack.lengths_S))
        if len(pack.lengths_S) > 2:
            raise torch.cuda.OutOfMemoryError
        return forward(pack)

    monkeypatch.setattr(encoder, "forward", small)
    np.testing.assert_allclose(embed(encoder, PROTEINS, precision="fp32"), expected, atol=1e-6)
    assert sizes == [5, 2, 3, 1, 2]
    sizes.clear()
    monkeypatch.setattr(encoder, "forward", lambda pack: small(Pack.of([np.array([4])] * 3)))
    with pytest.raises(torch.cuda.OutOfMemoryError):
        embed(encoder, ["MKV"], precision="fp32")
