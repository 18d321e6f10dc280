"""The published checkpoint as a bundle, against float64 formulas of its format; files that would do harm."""

from __future__ import annotations

import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from click.testing import CliRunner, Result
from scipy.special import erf, logsumexp
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch import Tensor

from glm_annot import annotate, io
from glm_annot.bundle import Model, load, read_texts
from glm_annot.errors import InputError, ModelError
from glm_annot.model.glm import mask_inputs
from glm_annot.training.cli import cli
from glm_annot.training.common.untrusted import Array, PCAState, read_pickle, read_torch
from glm_annot.training.glm.losses import glm_loss
from tests.support.made_genomes import write_clusters, write_folder
from tests.support.official_files import (
    PUBLISHED,
    Sizes,
    live_weights,
    with_copies,
    write_esm2,
    write_pickles,
)

pytestmark = pytest.mark.versions
Numbers = npt.NDArray[np.float64]
SMALL = Sizes(embedding=16, dim=24, heads=4, ffn=40, layers=3, distance=40, labels=9)
DEEP = Sizes(embedding=24, dim=40, heads=10, ffn=96, layers=19, labels=21)
WINDOWS = (30, 17, 1)  # genes of each; the rest is padding
full_size = pytest.mark.skipif(
    "GLM_ANNOT_FULL_SIZE" not in os.environ, reason="takes 15 GB of disk and minutes: set GLM_ANNOT_FULL_SIZE"
)


def write(folder: Path, sizes: Sizes, state: dict[str, Tensor] | None = None) -> Path:
    """All files of an import in a folder."""
    folder.mkdir(exist_ok=True)
    torch.save(with_copies(live_weights(sizes)) if state is None else state, folder / "glm.bin")
    write_pickles(folder, sizes)
    write_esm2(folder / "esm2.pt", 1, sizes.embedding, 2)
    return folder


def import_glm(folder: Path, output: Path, **files: str) -> Result:
    """`glm-train import-glm`; a refused file is raised."""
    names = {"glm": "glm.bin", "norm": "norm.pkl", "pca": "pca.pkl", "plm": "esm2.pt", **files}
    paths = {key: str(folder / name) for key, name in names.items()}
    options = [part for key in ("norm", "pca", "plm") for part in (f"--{key}", paths[key])]
    command = ["import-glm", paths["glm"], *options, "-o", str(output)]
    return CliRunner().invoke(cli, command, catch_exceptions=False)


class Formulas:
    """glm.md in float64, by the names of a checkpoint."""

    def __init__(self, state: dict[str, Tensor], sizes: Sizes) -> None:
        self.state, self.sizes = state, sizes

    def __getitem__(self, name: str) -> Numbers:
        return self.state[name].double().numpy()

    def linear(self, name: str, h: Numbers) -> Numbers:
        return h @ self[f"{name}.weight"].T + self[f"{name}.bias"]

    def norm(self, name: str, h: Numbers) -> Numbers:
        centred = h - h.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return centred / deviation * self[f"{name}.weight"] + self[f"{name}.bias"]

    def attend(self, layer: str, h: Numbers, genes: int) -> tuple[Numbers, Numbers]:
        heads, length = self.sizes.heads, len(h)
        width = self.sizes.dim // heads
        q, k, v = (
            self.linear(f"{layer}.attention.self.{name}", h).reshape(length, heads, width)
            for name in ("query", "key", "value")
        )
        table = self[f"{layer}.attention.self.distance_embedding.weight"]
        maps = np.zeros((heads, length, length))
        for left in range(length):
            for right in range(genes):  # no gene attends to padding
                p = table[left - right + self.sizes.distance - 1]
                score = (q[left] * k[right]).sum(-1) + q[left] @ p + k[right] @ p
                maps[:, left, right] = np.exp(score / np.sqrt(width))
        maps /= maps.sum(-1, keepdims=True)
        mixed = np.stack([maps[head] @ v[:, head] for head in range(heads)], 1).reshape(length, -1)
        return self.linear(f"{layer}.attention.output.dense", mixed), maps

    def window(self, x: Numbers, genes: int) -> tuple[list[Numbers], list[Numbers], Numbers, Numbers]:
        """Hidden states, attentions, predictions (T, P, L) and likelihoods (T, P)."""
        inner = "roberta.roberta"
        token_type = self[f"{inner}.embeddings.token_type_embeddings.weight"][0]
        h = self.norm(f"{inner}.embeddings.LayerNorm", self.linear("dense", x) + token_type)
        hidden, attentions = [h], []
        for number in range(self.sizes.layers):
            layer = f"{inner}.encoder.layer.{number}"
            mixed, maps = self.attend(layer, h, genes)
            h = self.norm(f"{layer}.attention.output.LayerNorm", h + mixed)
            wide = self.linear(f"{layer}.intermediate.dense", h)
            wide *= (1 + erf(wide / np.sqrt(2))) / 2
            h = self.norm(f"{layer}.output.LayerNorm", h + self.linear(f"{layer}.output.dense", wide))
            hidden.append(h)
            attentions.append(maps)
        predictions = self.linear("roberta.lm_head.dense", h).reshape(len(x), self.sizes.predictions, -1)
        logits = self.linear("roberta.lm_head.dense_prob", h)
        return hidden, attentions, predictions, np.exp(logits - logsumexp(logits, -1, keepdims=True))


@pytest.mark.parametrize(
    ("sizes", "tolerance"),
    [
        pytest.param(SMALL, 1e-5, id="small"),
        pytest.param(DEEP, 1e-4, id="19-layers"),
        pytest.param(PUBLISHED, 1e-4, id="published", marks=full_size),
    ],
)
def test_an_imported_checkpoint_computes_the_formulas(sizes: Sizes, tolerance: float, tmp_path: Path) -> None:
    live = live_weights(sizes)
    folder = write(tmp_path / "files", sizes, with_copies(live))
    norm, pca = (pickle.loads((folder / f"{name}.pkl").read_bytes()) for name in ("norm", "pca"))
    import_glm(folder, tmp_path / "bundle")
    model = load(tmp_path / "bundle")

    rng = np.random.default_rng(1)
    shape = (len(WINDOWS), max(WINDOWS))
    embeddings = rng.normal(size=(*shape, sizes.embedding)).astype(np.float32)
    strands = rng.choice([-1, 1], shape)
    real = np.arange(shape[1]) < np.array(WINDOWS)[:, None]
    masked = (rng.random(shape) < 0.15) & real
    masked[0, 3] = masked[2, 0] = True

    given = torch.from_numpy(embeddings), torch.from_numpy(strands)
    labels = model.features.labels(*given)
    inputs = mask_inputs(
        model.features.inputs(*given) * torch.from_numpy(real)[..., None], torch.from_numpy(masked)
    )
    with torch.inference_mode():
        output = model.glm(inputs, torch.from_numpy(real), hidden_states=True, attentions=True)
        loss = glm_loss(output, labels.clamp(-10, 10), torch.from_numpy(masked))
    assert output.hidden_states is not None and output.attentions is not None
    assert len(output.hidden_states) == sizes.layers + 1 and len(output.attentions) == sizes.layers

    def close(found: Tensor, expected: Numbers) -> None:
        np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=tolerance)

    formulas, regression, likelihood = Formulas(live, sizes), 0.0, 0.0
    for b, genes in enumerate(WINDOWS):
        z = (embeddings[b].astype(np.float64) - norm["mean"]) / norm["std"]
        orientation = 0.5 * strands[b][:, None]
        x = np.concatenate([z, orientation], 1) * real[b][:, None]
        x[masked[b]] = -1.0
        y = np.concatenate([pca.transform(z), orientation], 1)
        np.testing.assert_allclose(labels[b].numpy(), y, rtol=1e-5, atol=tolerance)
        hidden, attentions, predictions, likelihoods = formulas.window(x, genes)
        for layer, expected in enumerate(hidden):
            close(output.hidden_states[layer][b], expected)
        for layer, expected in enumerate(attentions):
            close(output.attentions[layer][b], expected)
        close(output.predictions_BTPL[b], predictions)
        close(output.likelihoods_BTP[b], likelihoods)
        for t in np.flatnonzero(masked[b]):
            squares = ((predictions[t] - np.clip(y[t], -10, 10)) ** 2).sum(-1)
            regression += squares.min() / (real.size * sizes.labels)
            likelihood -= np.log(likelihoods[t, squares.argmin()]) / real.size
    assert loss.regression.item() == pytest.approx(regression, rel=tolerance)
    assert loss.likelihood.item() == pytest.approx(likelihood, rel=tolerance)
    assert loss.total.item() == pytest.approx(regression + 1e-4 * likelihood, rel=tolerance)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a small checkpoint; tests write what they change under other names."""
    return write(tmp_path_factory.mktemp("published"), SMALL)


@pytest.fixture(scope="module")
def imported(files: Path) -> Path:
    """Their bundle."""
    import_glm(files, files / "bundle")
    return files / "bundle"


def test_only_live_weights_come_along_exactly_and_mapped(files: Path, imported: Path) -> None:
    model = load(imported)
    live = live_weights(SMALL)
    assert sum(p.numel() for p in model.glm.parameters()) == sum(tensor.numel() for tensor in live.values())
    written = sorted(tensor.sum().item() for tensor in live.values())
    assert sorted(p.sum().item() for p in model.glm.parameters()) == pytest.approx(written, abs=1e-4)
    assert model.fit is None and model.operons is None and model.ec is None
    maps = Path("/proc/self/maps")
    if maps.exists():
        assert str(imported / "glm-00.safetensors") in maps.read_text()


def test_the_published_sizes_make_279_million_live_numbers() -> None:
    with torch.device("meta"):
        from glm_annot.model.glm import GLM
        from glm_annot.model.sizes import GLMConfig

        glm = GLM(GLMConfig(1281, 1280, 19, 10, 3072, max_distance=512))
    assert sum(parameter.numel() for parameter in glm.parameters()) == 278_867_988


def test_the_licence_is_shown_and_kept(files: Path, tmp_path: Path) -> None:
    output = import_glm(files, tmp_path / "bundle").output
    metrics, card = read_texts(tmp_path / "bundle")
    for text in (output, card):
        assert "academic, non-commercial" in text and "may not be passed on" in text
    assert metrics == {}
    assert "predicts nothing without heads" in output


def test_a_model_without_heads_says_that_it_predicts_nothing(imported: Path, small_gff3: Path) -> None:
    with pytest.raises(ModelError, match="published predicts nothing yet"):
        annotate(io.read(small_gff3), load(imported))


def same_weights(a: Model, b: Model) -> bool:
    pairs = zip(a.glm.state_dict().values(), b.glm.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_training_checkpoints_and_wrappers_are_tolerated(files: Path, imported: Path, tmp_path: Path) -> None:
    live = live_weights(SMALL)
    wrapped = {f"module.{name}": tensor for name, tensor in live.items()}
    optimizer = torch.optim.AdamW([torch.zeros(1)]).state_dict()
    torch.save(
        {"epoch": 3, "model_state_dict": wrapped, "optimizer_state_dict": optimizer, "loss": 0.1},
        files / "training.cp",
    )
    torch.save(live, files / "legacy.bin", _use_new_zipfile_serialization=False)
    for name in ("training.cp", "legacy.bin"):
        import_glm(files, tmp_path / name, glm=name)
        assert same_weights(load(tmp_path / name), load(imported))


def drop(name: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda state: state.pop(name)


def cut(name: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda state: state.update({name: state[name][:-1]})


LAYER = "roberta.roberta.encoder.layer"
FAULTS = {
    "weights that are no numbers": (
        lambda state: state["dense.weight"].fill_(torch.nan),
        "the weights dense.weight have numbers that are not finite",
    ),
    "no input layer": (drop("dense.weight"), "has no weights dense.weight"),
    "no table": (
        drop(f"{LAYER}.0.attention.self.distance_embedding.weight"),
        f"has no weights {LAYER}.0.attention.self.distance_embedding.weight",
    ),
    "no bias": (drop(f"{LAYER}.1.output.dense.bias"), f"has no weights {LAYER}.1.output.dense.bias"),
    "a cut bias": (
        cut(f"{LAYER}.2.attention.self.query.bias"),
        f"{LAYER}.2.attention.self.query.bias has the shape (23,), which does not fit the others",
    ),
    "a cut table": (
        cut(f"{LAYER}.0.attention.self.distance_embedding.weight"),
        "fit no gLM: heads, positions or predictions come out uneven",
    ),
    "a gap": (
        lambda state: state.update({f"{LAYER}.99999999.output.dense.bias": torch.zeros(24)}),
        f"has no weights {LAYER}.3.attention.self.query.weight",
    ),
    "nothing": (lambda state: state.clear(), "has no weights dense.weight: not a published gLM checkpoint"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_missing_or_misshaped_live_weight_is_said_in_one_line(
    fault: str, files: Path, tmp_path: Path
) -> None:
    harm, message = FAULTS[fault]
    state = live_weights(SMALL)
    harm(state)
    torch.save(state, files / "faulty.bin")
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        import_glm(files, tmp_path / "bundle", glm="faulty.bin")
    assert "\n" not in str(caught.value) and not (tmp_path / "bundle").exists()


def test_another_encoder_does_not_fit(files: Path, tmp_path: Path) -> None:
    write_esm2(files / "esm2_other.pt", 1, 32, 2)
    with pytest.raises(InputError, match="reads embeddings of 16 numbers, not of 32: give --plm"):
        import_glm(files, tmp_path / "bundle", plm="esm2_other.pt")


PICKLES: dict[str, tuple[str, object, str]] = {
    "no dict": ("norm", [1.0], "no dict of 'mean' and 'std'"),
    "no std": ("norm", {"mean": np.zeros(16)}, "no array 'std'"),
    "other size": ("norm", {"mean": np.zeros(3), "std": np.ones(3)}, "'mean' has the shape (3,)"),
    "zero std": ("norm", {"mean": np.zeros(16), "std": np.zeros(16)}, "deviation that is not positive"),
    "not finite": ("norm", {"mean": np.full(16, np.nan), "std": np.ones(16)}, "numbers that are not finite"),
    "too large": ("norm", {"mean": np.full(16, 1e300), "std": np.ones(16)}, "not finite in float32"),
    "no PCA": ("pca", {"mean_": np.zeros(16)}, "no PCA of scikit-learn"),
    "no whiten": ("pca", PCA(8, whiten=None), "does not say whether it whitens"),
    "unfitted": ("pca", PCA(8), "no array 'explained_variance_'"),
    "another class": (
        "pca",
        KMeans(),
        "refused, and nothing in it was run: it asks for sklearn.cluster._kmeans",
    ),
}


@pytest.mark.parametrize("fault", PICKLES)
def test_a_pickle_of_something_else_is_said_in_one_line(fault: str, files: Path, tmp_path: Path) -> None:
    option, content, message = PICKLES[fault]
    (files / "faulty.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        import_glm(files, tmp_path / "bundle", **{option: "faulty.pkl"})
    assert "\n" not in str(caught.value)


LONG = "n" * 10**6
WORDS = {
    "a line end in a name": (
        b"Vnumpy.\\u000acore\\u0085\nVarray\n\x93.",
        r"it asks for numpy.\ncore\x85.array;",
    ),
    "a long name": (f"c{LONG}\nx\n.".encode(), "it asks for nnnn"),
    "a long encoding": (f"c_codecs\nencode\n(Vx\nV{LONG}\ntR.".encode(), "it holds bytes encoded as 'nnnn"),
    "a long kind of numbers": (f"cnumpy\ndtype\n(V{LONG}\ntR.".encode(), "it holds an array of 'nnnn"),
}


@pytest.mark.parametrize("fault", WORDS)
def test_words_of_a_pickle_are_said_in_one_short_line(fault: str, tmp_path: Path) -> None:
    content, message = WORDS[fault]
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_pickle(tmp_path / "x.pkl")
    assert message in str(caught.value) and str(caught.value).isprintable()
    assert len(caught.value.message) < 400


class Harm:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def harmful_pca(harm: Harm) -> PCA:
    pca = PCA(2).fit(np.eye(4))
    pca.mean_ = harm
    return pca


HIDDEN_IN: dict[str, tuple[str, Callable[[Harm], object]]] = {
    "itself": ("norm", lambda harm: harm),
    "a dict": ("norm", lambda harm: {"mean": np.zeros(16), "std": harm}),
    "an array": ("norm", lambda harm: {"mean": np.array([harm], dtype=object)}),
    "a PCA": ("pca", harmful_pca),
    "a checkpoint": ("glm", lambda harm: {**live_weights(SMALL), "extra": harm}),
    "an encoder": ("plm", lambda harm: {"cfg": {"model": harm}, "model": {}}),
}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("place", HIDDEN_IN)
def test_harm_is_refused_and_not_done(place: str, protocol: int, files: Path, tmp_path: Path) -> None:
    option, hide = HIDDEN_IN[place]
    content = hide(Harm(tmp_path / "harm"))
    path = files / "harmful.pt"
    if option in ("glm", "plm"):
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(InputError, match=r"harmful\.pt: refused, and nothing in it was run: it ") as caught:
        import_glm(files, tmp_path / "bundle", **{option: path.name})
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "harm").exists() and not (tmp_path / "bundle").exists()
    if option in ("norm", "pca"):
        pickle.loads(path.read_bytes())
        assert (tmp_path / "harm").exists()  # it would have been done


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_numbers_are_read_as_they_are(protocol: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        "rows": rng.normal(size=(3, 4)),
        "columns": np.asfortranarray(rng.normal(size=(3, 4))),
        "single": rng.normal(size=5).astype(np.float32),
        "swapped": rng.normal(size=5).astype(">f8"),
        "whole": np.arange(6),
        "number": np.float64(0.25),
    }
    pca = PCA(2, whiten=True).fit(rng.normal(size=(9, 4)))
    text = pickle.dumps({**arrays, "pca": pca, "plain": [1, "a", (None, True, 2.5)]}, protocol=protocol)
    if protocol < 4:  # names end with a line there; as numpy 1 wrote them
        text = text.replace(b"numpy._core.", b"numpy.core.")
        assert b"numpy.core." in text
    (tmp_path / "numbers.pkl").write_bytes(text)
    found = read_pickle(tmp_path / "numbers.pkl")
    assert found["plain"] == [1, "a", (None, True, 2.5)]
    for name, expected in arrays.items():
        assert isinstance(found[name], Array)
        np.testing.assert_array_equal(found[name].value, expected)
    state = found["pca"]
    assert isinstance(state, PCAState) and state.found["whiten"] is True
    np.testing.assert_array_equal(state.found["components_"].value, pca.components_)


HOSTILE = {
    "eval": b"c__builtin__\neval\n(S'1'\ntR.",
    "a submodule's name": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__class_\x93.",
    "sets the class": b"cnumpy\nndarray\n(N}S'__init__'\nS'x'\nst(tb.",
    "more than it has": b"cnumpy._core.numeric\n_frombuffer\n(B\x08\x00\x00\x00abcdefgh"
    b"cnumpy\ndtype\n(S'f8'\ntR(I1000000\ntS'C'\ntR.",
    "objects": b"cnumpy\ndtype\n(S'O'\ntR.",
    "another codec": b"c_codecs\nencode\n(S'a'\nS'rot13'\ntR.",
    "nothing": b"",
    "a text": b"mean 1.0",
    "a high number": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "cut": pickle.dumps({"mean": np.zeros(4)})[:-9],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_and_damaged_pickles_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    before = dict(vars(Array))
    path = tmp_path / "hostile.pkl"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(InputError, match=r"hostile\.pkl: (refused|is no pickle)") as caught:
        read_pickle(path)
    assert "\n" not in str(caught.value) and dict(vars(Array)) == before


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", b"PK\x03\x04" + bytes(60)])
def test_a_damaged_checkpoint_is_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "glm.bin").write_bytes(content)
    with pytest.raises(InputError, match=r"glm\.bin: is no file of PyTorch, or damaged$"):
        read_torch(tmp_path / "glm.bin")


def test_tensors_larger_than_their_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "glm.bin"
    torch.save({"a": torch.zeros(1).expand(10**6)}, path)
    with pytest.raises(InputError, match="a tensor in it is larger than what the file holds"):
        read_torch(path)
    whole = torch.zeros(10**5)
    torch.save({str(n): whole for n in range(9)}, path)
    with pytest.raises(InputError, match="its tensors are more than what the file holds"):
        read_torch(path)


def test_a_packed_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(10)}, tmp_path / "plain")
    with zipfile.ZipFile(tmp_path / "plain") as plain, zipfile.ZipFile(tmp_path / "glm.bin", "w") as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name), zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="torch packs nothing, but this file is packed"):
        read_torch(tmp_path / "glm.bin")


def test_files_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_torch(tmp_path / "glm.bin")
    with pytest.raises(InputError, match="cannot be read"):
        read_pickle(tmp_path / "norm.pkl")


def test_heads_are_fitted_to_it_by_a_recipe_that_keeps_it(imported: Path, tmp_path: Path) -> None:
    genomes = write_folder(tmp_path / "data", ["Aaa one", "Bbb one", "Ccc one", "Ddd one"])
    write_clusters(tmp_path / "data" / "clusters.tsv", genomes)
    recipe = {
        **{"name": "mine", "version": "1.0.0", "summary": "Heads.", "budget": "1m"},
        "corpus": {"folder": ".", "valid": 1, "test": 1, "clusters": "clusters.tsv"},
        **{"plm": {"keep": str(imported)}, "glm": {"keep": str(imported)}, "heads": {"ec": "none"}},
    }
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    paths = [str(tmp_path / name) for name in ("recipe.json", "data", "work")]
    command = ["run", paths[0], "--data", paths[1], "--work", paths[2]]
    assert CliRunner().invoke(cli, command, catch_exceptions=False).exit_code == 0
    model = load(tmp_path / "work" / "bundle")
    assert same_weights(model, load(imported))  # not rounded
    assert "those of model" in read_texts(tmp_path / "work" / "bundle")[1]
    predictions = annotate(io.read(tmp_path / "data" / "g1.gff3"), model).predictions
    assert predictions.operons
    fits = [gene.context_fit for gene in predictions.genes.values()]
    assert all(fit is not None for fit in fits) and len(set(fits)) > 10
