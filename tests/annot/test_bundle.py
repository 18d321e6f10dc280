"""A model on disk: what is saved comes back, and whatever is wrong with a folder is said in one line."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from safetensors.torch import save as serialise

from glm_annot import annotate, io
from glm_annot.bundle import (
    CARD,
    CONFIG,
    FORMAT,
    METRICS,
    MOST_SHARDS,
    OLDEST,
    PROTEINS,
    Model,
    known,
    load,
    part_record,
    read_texts,
    rewrite_texts,
    save,
)
from glm_annot.ec.reference import Reference
from glm_annot.errors import ModelError, UsageError
from glm_annot.io.checksums import file_sha256
from tests.support.tiny import LABELS, tiny


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return shutil.copytree(tiny_bundle, tmp_path / "model")


def edit(bundle: Path, **changes: object) -> None:
    config = json.loads((bundle / CONFIG).read_text())
    (bundle / CONFIG).write_text(json.dumps({**config, **changes}))


def test_a_saved_model_comes_back(tmp_path: Path) -> None:
    original = tiny()
    save(original, tmp_path / "model", metrics={"suite": {"f1": 0.5}}, card="# Card\n", bf16=())
    found = load(tmp_path / "model")
    assert (found.name, found.version) == ("tiny", "1.0.0") and len(found.sha256) == 64
    assert found.encoder.config == original.encoder.config and found.glm.config == original.glm.config
    assert found.ec is not None and original.ec is not None and found.ec.config == original.ec.config
    assert found.operons is not None and original.operons is not None
    assert found.operons.config == original.operons.config
    for name, part in original.parts.items():
        state = found.parts[name].state_dict()
        assert state.keys() == part.state_dict().keys()
        assert all(torch.equal(state[key], value) for key, value in part.state_dict().items())
    assert read_texts(tmp_path / "model") == ({"suite": {"f1": 0.5}}, "# Card\n")


def test_a_memory_of_gene_order_comes_back(tmp_path: Path) -> None:
    original = tiny(neighbours=True)
    save(original, tmp_path / "model", metrics={}, card="")
    found = load(tmp_path / "model").neighbours
    assert found is not None and original.neighbours is not None
    assert found.config == original.neighbours.config
    state = original.neighbours.state_dict()
    assert all(torch.equal(found.state_dict()[key], value) for key, value in state.items())


def test_a_model_from_before_there_was_a_memory_has_none(bundle: Path) -> None:
    config = json.loads((bundle / CONFIG).read_text())
    del config["neighbours"]
    (bundle / CONFIG).write_text(json.dumps(config))
    assert load(bundle).neighbours is None


def test_a_loaded_model_is_ready_for_inference(bundle: Path) -> None:
    for part in load(bundle).parts.values():
        assert not part.training
        assert not any(parameter.requires_grad for parameter in part.parameters())


def test_bfloat16_on_disk_is_float32_in_memory_and_spares_buffers(tmp_path: Path) -> None:
    original = tiny()
    original.features.mean_D.fill_(1.001)  # not a bfloat16
    save(original, tmp_path / "half", metrics={}, card="", bf16=("plm", "features"))
    stored = load_file(tmp_path / "half" / "plm-00.safetensors")
    weight = "layers.0.fc1.weight"
    assert stored[weight].dtype == torch.bfloat16
    found = load(tmp_path / "half")
    loaded = found.encoder.state_dict()[weight]
    assert loaded.dtype == torch.float32
    torch.testing.assert_close(loaded, original.encoder.state_dict()[weight], rtol=2**-8, atol=0)
    assert torch.equal(found.features.mean_D, original.features.mean_D)


def test_weights_are_cut_into_shards(tmp_path: Path) -> None:
    save(tiny(), tmp_path / "cut", metrics={}, card="", bf16=(), shard_bytes=3000)
    shards = sorted((tmp_path / "cut").glob("plm-*.safetensors"))
    assert len(shards) > 3
    assert all(sum(t.nbytes for t in load_file(shard).values()) <= 3000 for shard in shards)
    assert max(tensor.nbytes for tensor in tiny().encoder.state_dict().values()) > 3000  # is cut itself
    state = load(tmp_path / "cut").encoder.state_dict()
    assert all(torch.equal(state[key], value) for key, value in tiny().encoder.state_dict().items())


def test_a_large_part_is_cut_into_larger_shards(tmp_path: Path) -> None:
    save(tiny(), tmp_path / "cut", metrics={}, card="", shard_bytes=1)
    model = load(tmp_path / "cut")
    assert (
        len(list((tmp_path / "cut").glob("glm-*.safetensors")))
        <= 2 * MOST_SHARDS
        < len(model.glm.state_dict())
    )


def test_weights_are_mapped_not_copied(tmp_path: Path) -> None:
    save(tiny(), tmp_path / "model", metrics={}, card="", bf16=())
    model = load(tmp_path / "model")
    maps = Path("/proc/self/maps")
    if not maps.exists():
        pytest.skip("this system does not list what is mapped")
    assert model.encoder is not None and str(tmp_path / "model" / "plm-00.safetensors") in maps.read_text()


def test_tied_weights_stay_tied(tiny_model: Model) -> None:
    assert tiny_model.encoder.lm_head.weight is tiny_model.encoder.embed_tokens.weight


def test_a_model_may_have_no_context_fit(tmp_path: Path, small_gff3: Path) -> None:
    save(replace(tiny(ec=False), fit=None), tmp_path / "model", metrics={}, card="")
    predictions = annotate(io.read(small_gff3), load(tmp_path / "model")).predictions
    assert predictions.operons is not None
    assert {gene.context_fit for gene in predictions.genes.values()} == {None}
    assert {gene.context_confidence for gene in predictions.genes.values()} == {None}


def test_labels_have_a_file_of_their_own(bundle: Path) -> None:
    assert (bundle / "ec_labels.tsv").read_text().split() == ["ec", *LABELS]
    assert "labels" not in json.loads((bundle / CONFIG).read_text())["ec"]


def test_labelled_proteins_have_a_file_of_their_own(tmp_path: Path) -> None:
    model = tiny()
    assert model.ec is not None
    model.ec.base = Reference(("MKVLA", "MKKW"), (("1.1.1.1", "2.7.1.2"), ()), ("P12345", ""))
    save(model, tmp_path / "model", metrics={}, card="")
    found = load(tmp_path / "model").ec
    assert found is not None and found.base == model.ec.base
    assert PROTEINS in json.loads((tmp_path / "model" / CONFIG).read_text())["files"]


def test_heads_are_optional(tmp_path: Path) -> None:
    save(tiny(operons=False, ec=False), tmp_path / "bare", metrics={}, card="")
    model = load(tmp_path / "bare")
    assert model.operons is None and model.ec is None


def test_the_same_model_has_the_same_hash_and_another_has_not(tmp_path: Path) -> None:
    other = tiny()
    other.fit.sigma.fill_(2.0)
    hashes = []
    for name, model in (("a", tiny()), ("b", tiny()), ("c", other)):
        save(model, tmp_path / name, metrics={}, card="")
        hashes.append(load(tmp_path / name).sha256)
    assert hashes[0] == hashes[1] != hashes[2]


def test_saving_replaces_a_model_but_nothing_else(bundle: Path, tmp_path: Path) -> None:
    save(tiny(operons=False), bundle, metrics={}, card="")
    assert not list(bundle.glob("operons*")) and load(bundle).operons is None
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(UsageError, match="not empty"):
        save(tiny(), tmp_path / "thesis", metrics={}, card="")
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


def killed_at(call: int, work: Callable[..., object]) -> Callable[..., object]:
    """The same work, but that its n-th call ends the program."""
    calls = iter(range(1, 1000))

    def worked(*args: object, **kwargs: object) -> object:
        if next(calls) == call:
            raise KeyboardInterrupt
        return work(*args, **kwargs)

    return worked


@pytest.mark.parametrize("call", [1, 3])
def test_an_interrupted_save_leaves_the_old_model_and_can_be_repeated(
    call: int, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load(bundle).sha256
    for folder in (bundle, tmp_path / "new"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("glm_annot.bundle.serialise", killed_at(call, serialise))
            save(tiny(operons=False), folder, metrics={}, card="")
    assert load(bundle).sha256 == before and not (tmp_path / "new").exists()
    (tmp_path / ".new.part").mkdir()  # as one that had no time to clear up leaves it
    (tmp_path / ".new.part" / "plm-00.safetensors").write_bytes(b"half")
    save(tiny(operons=False), tmp_path / "new", metrics={}, card="")
    assert load(tmp_path / "new").operons is None
    assert {path.name for path in tmp_path.iterdir()} == {"model", "new"}


def test_a_reader_finds_a_whole_model_while_another_is_written(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, found = load(bundle).sha256, []

    def seen(shard: dict[str, torch.Tensor]) -> bytes:
        found.append(load(bundle).sha256)
        return serialise(shard)

    monkeypatch.setattr("glm_annot.bundle.serialise", seen)
    save(tiny(operons=False), bundle, metrics={}, card="")
    assert found and set(found) == {before} != {load(bundle).sha256}


@pytest.mark.parametrize("call", [1, 2, 3])
def test_interrupted_words_leave_a_whole_model(
    call: int, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = read_texts(bundle)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "write_text", killed_at(call, Path.write_text))
        rewrite_texts(bundle, metrics={"suite": {"f1": 0.5}}, card="# New\n")
    load(bundle)
    assert read_texts(bundle) == texts
    rewrite_texts(bundle, metrics={"suite": {"f1": 0.5}}, card="# New\n")
    load(bundle)
    assert read_texts(bundle) == ({"suite": {"f1": 0.5}}, "# New\n")


def test_new_words_change_one_model_alone_and_keep_what_lies_beside(bundle: Path, tiny_bundle: Path) -> None:
    """Weights are shared with the old folder, texts must not be."""
    (bundle / "notes.txt").write_text("mine")
    shutil.copytree(bundle, bundle.parent / "twin", copy_function=os.link)
    rewrite_texts(bundle, metrics={}, card="# New\n")
    assert (bundle / "notes.txt").read_text() == "mine"
    assert load(bundle.parent / "twin").sha256 == load(tiny_bundle).sha256 != load(bundle).sha256


def test_names_of_ec_numbers_come_with_a_model_or_not(bundle: Path, tmp_path: Path) -> None:
    names = {"1.1.1.1": "alcohol dehydrogenase", "2.7.1.-": "Transferases: …"}
    before = load(bundle)
    assert before.ec_names == {}  # as of a model that was made before there were names
    rewrite_texts(bundle, metrics={}, card="# New\n", ec_names=names)
    named = load(bundle)
    assert named.ec_names == names and named.sha256 != before.sha256
    rewrite_texts(bundle, metrics={}, card="# Newer\n")
    assert load(bundle).ec_names == names
    save(named, tmp_path / "saved", metrics={}, card="")
    assert load(tmp_path / "saved").ec_names == names
    with (bundle / "ec_names.tsv").open("a") as file:
        file.write("1.1.1.2\tmine\n")
    with pytest.raises(ModelError, match=r"ec_names\.tsv is damaged"):
        load(bundle)


def test_a_link_to_a_model_stays_one(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(bundle, target_is_directory=True)
    save(tiny(ec=False), tmp_path / "link", metrics={}, card="")
    assert (tmp_path / "link").is_symlink() and load(bundle).ec is None


def test_the_record_of_a_part_is_that_of_its_weights(bundle: Path, tmp_path: Path) -> None:
    encoder = part_record(bundle, "plm")
    assert list(encoder["files"]) == ["plm-00.safetensors"] and encoder["plm"]["dim"] == 16
    rewrite_texts(bundle, metrics={}, card="# New\n")
    assert part_record(bundle, "plm") == encoder != part_record(bundle, "features", "glm")
    other = tiny()
    other.encoder.layers[0].fc1.bias.data.add_(1)
    save(other, tmp_path / "other", metrics={}, card="")
    assert part_record(tmp_path / "other", "plm") != encoder
    assert part_record(tmp_path / "other", "glm") == part_record(bundle, "glm")


def flip_a_byte(bundle: Path) -> None:
    path = bundle / "glm-00.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda b: (b / CONFIG).unlink(), r"is no model: cannot read config\.json"),
    "broken config": (lambda b: (b / CONFIG).write_text("{"), "config.json is damaged"),
    "no format": (lambda b: (b / CONFIG).write_text("{}"), "states no format version"),
    "newer format": (lambda b: edit(b, format=FORMAT + 1), r"newer than this program's \d: update glm-annot"),
    "older format": (lambda b: edit(b, format=OLDEST - 1), "does not read; fit its heads"),
    "no list of files": (lambda b: edit(b, files=None), "lists no files"),
    "lost file": (lambda b: (b / "plm-00.safetensors").unlink(), "plm-00.safetensors is missing"),
    "changed weights": (flip_a_byte, r"glm-00\.safetensors is damaged or was changed"),
    "weights that are not listed": (
        lambda b: (b / "glm-01.safetensors").touch(),
        r"glm-01\.safetensors is not in the list of config\.json",
    ),
    "a card that is no text": (lambda b: rewrite(b, CARD, b"\xff"), r"MODEL_CARD\.md is damaged"),
    "changed metrics": (lambda b: (b / "metrics.json").write_text("{}"), "metrics.json is damaged"),
    "other sizes": (lambda b: edit(b, plm={"layers": 3, "dim": 16, "heads": 2}), "do not fit together"),
    "unknown setting": (lambda b: edit(b, fit={"nonsense": 1}), "do not fit together"),
    "no part": (lambda b: edit(b, glm=None), "do not fit together"),
    "a file elsewhere": (lambda b: edit(b, files={"../secret": "0" * 64}), "is the name of no file in it"),
    "no checksum": (lambda b: edit(b, files={CARD: 1}), "'MODEL_CARD.md' has no checksum"),
    "a name twice": (
        lambda b: (b / CONFIG).write_text('{"format": 5, "format": 5}'),
        "'format' is named twice",
    ),
    "nested deep": (lambda b: (b / CONFIG).write_text("[" * 10**5), "config.json is damaged"),
    "a pipe": (lambda b: put_a_pipe(b / CONFIG), "config.json is no regular file"),
    "a pipe of weights": (lambda b: put_a_pipe(b / "plm-00.safetensors"), "is no regular file"),
    "a name of two lines": (lambda b: edit(b, name="a\n##FASTA"), "its name is no line of text"),
    "a name with colours": (lambda b: edit(b, name="\x1b[31m"), "its name is no line of text"),
    "a list as version": (lambda b: edit(b, version=[]), "its version is no line of text"),
    "text for a number": (lambda b: change(b, "ec", threshold="0.5"), "threshold cannot be '0.5'"),
    "an empty part": (lambda b: edit(b, fit=0), "do not fit together"),
    "a wide network": (lambda b: change(b, "glm", ffn=10**9), "ask for more numbers than its files hold"),
    "many layers": (lambda b: change(b, "glm", layers=10**6), "ask for more numbers than its files hold"),
    "no width": (lambda b: change(b, "plm", dim=0, heads=0), "layers, dim and heads must be above 0"),
    "no gaps to read": (
        lambda b: change(b, "operons", conserved=True),
        "reads a memory of gene order with gaps",
    ),
    "another attention": (lambda b: change(b, "operons", attention=2), "do not fit together"),
    "a layer beyond": (lambda b: change(b, "ec", layers=[0, 9]), "reads layers"),
}


def change(bundle: Path, part: str, **settings: object) -> None:
    config = json.loads((bundle / CONFIG).read_text())
    edit(bundle, **{part: {**config[part], **settings}})


def put_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_said_in_one_line(damage: str, bundle: Path) -> None:
    harm, message = DAMAGES[damage]
    harm(bundle)
    with pytest.raises(ModelError, match=message) as caught:
        load(bundle)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("part", "name", "number", "reason"),
    [
        ("glm", None, math.nan, "has numbers that are not finite"),
        ("plm", None, math.inf, "has numbers that are not finite"),
        ("fit", "sigma", 0.0, "sigma is a standard deviation and must be above 0"),
        ("features", "std_D", 0.0, "std_D is a standard deviation and must be above 0"),
        ("ec", "encoder.scale_D", -1.0, "encoder.scale_D is a standard deviation and must be above 0"),
    ],
)
def test_numbers_that_cannot_be_right_are_refused_by_tensor(
    part: str, name: str | None, number: float, reason: str, bundle: Path
) -> None:
    path = bundle / f"{part}-00.safetensors"
    tensors = load_file(path)
    tensors[name or min(tensors)].view(-1)[0] = number
    path.write_bytes(serialise(tensors))
    config = json.loads((bundle / CONFIG).read_text())
    edit(bundle, files={**config["files"], path.name: file_sha256(path)})
    with pytest.raises(ModelError, match=f"{part}: .*{reason}"):
        load(bundle)


def rewrite(bundle: Path, name: str, content: bytes) -> None:
    """Another content of a file, with the checksum that fits."""
    (bundle / name).write_bytes(content)
    files = json.loads((bundle / CONFIG).read_text())["files"]
    edit(bundle, files={**files, name: file_sha256(bundle / name)})


@pytest.mark.parametrize(
    ("part", "name", "value", "reason"),
    [
        ("operons", "layout.children_TN2", 0, "nodes that do not come after their parents"),
        ("operons", "layout.feature_TN", -1, "features that there are not"),
        ("neighbours", "memory.family_N", 99, "family_N has numbers"),
        ("neighbours", "memory.first_C", 7, "first_C is no list of places"),
    ],
)
def test_places_that_there_are_not_are_refused(
    part: str, name: str, value: int, reason: str, tmp_path: Path
) -> None:
    save(tiny(neighbours=True), tmp_path / "model", metrics={}, card="")
    tensors = load_file(tmp_path / "model" / f"{part}-00.safetensors")
    if name.endswith("children_TN2"):
        tensors[name][0, 0, 1], tensors[name][0, 1, 0] = 1, value  # 0 -> 1 -> 0 -> ...
    else:
        tensors[name].view(-1)[0] = value
    rewrite(tmp_path / "model", f"{part}-00.safetensors", serialise(tensors))
    with pytest.raises(ModelError, match=reason):
        load(tmp_path / "model")


def test_tensors_of_another_type_are_refused(bundle: Path) -> None:
    tensors = load_file(bundle / "fit-00.safetensors")
    tensors["sigma"] = tensors["sigma"].long()
    rewrite(bundle, "fit-00.safetensors", serialise(tensors))
    with pytest.raises(ModelError, match=r"sigma is torch\.int64 instead of torch\.float32"):
        load(bundle)


@pytest.mark.parametrize(("name", "content"), [(CARD, b"\xff"), (METRICS, b"\xff"), (METRICS, b"[]")])
def test_words_that_are_none_are_refused(name: str, content: bytes, bundle: Path) -> None:
    rewrite(bundle, name, content)
    with pytest.raises(ModelError, match=f"{name} is damaged"):
        read_texts(bundle)


def test_a_card_that_leads_elsewhere_is_not_shown(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (bundle / CARD).unlink()
    (bundle / CARD).symlink_to(tmp_path / "secret")
    files = json.loads((bundle / CONFIG).read_text())["files"]
    edit(bundle, files={**files, CARD: file_sha256(tmp_path / "secret")})
    with pytest.raises(ModelError, match="is a link"):
        read_texts(bundle)


@pytest.mark.parametrize("threshold", [math.nan, 2, -1])
def test_a_threshold_is_a_probability(threshold: float, bundle: Path) -> None:
    config = json.loads((bundle / CONFIG).read_text())
    edit(bundle, ec={**config["ec"], "threshold": threshold})
    with pytest.raises(ModelError, match="threshold of an EC head must be from 0 to 1"):
        load(bundle)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match="no model 'nonsense'") as caught:
        load("nonsense")
    assert all(name in str(caught.value) for name in known())


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "meta"])
def test_an_unusable_device(device: str, tiny_bundle: Path) -> None:
    with pytest.raises(UsageError, match=device):
        load(tiny_bundle, device)


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        save(tiny(), tmp_path / "model", metrics={}, card="")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "model").iterdir()} == {0o644}


def test_models_that_ship_are_small_and_in_files_that_are() -> None:
    for folder in known().values():
        sizes = [path.stat().st_size for path in folder.iterdir()]
        assert max(sizes) <= 15 * 2**20 and sum(sizes) <= 90e6
