"""`glm-annot models`: installing a model, finding it by name, and telling a damaged one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import glm_annot
from glm_annot import bundle
from glm_annot.cli.app import cli
from glm_annot.errors import ModelError, UsageError


@pytest.fixture(autouse=True)
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of data, where models are installed."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(bundle, "user_folder", lambda: tmp_path / "data" / "glm-annot" / "models")
    return bundle.user_folder()


@pytest.fixture
def model(tmp_path: Path, tiny_bundle: Path) -> Path:
    """A copy of the tiny model, to be damaged."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def said(*words: object) -> str:
    """What a command prints, where it succeeds; else its error is raised."""
    result = CliRunner().invoke(cli, [*map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def rename(model: Path, name: str) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "name": name}))


def test_an_installed_model_is_found_by_its_name(model: Path, users: Path) -> None:
    assert said("models", "install", model) == f"installed in {users / 'tiny'}; use it with --model tiny\n"
    shutil.rmtree(model)
    assert "tiny" in said("models").splitlines() and "tiny" in glm_annot.list_models()
    assert said("models", "tiny") == "# tiny card\n"
    assert "tiny 1.0.0: all " in said("models", "verify", "tiny")
    assert glm_annot.load_model("tiny").name == "tiny"


def test_an_installed_model_is_replaced_only_by_force(model: Path, users: Path) -> None:
    bundle.install(model)
    with pytest.raises(UsageError, match="--force replaces it"):
        said("models", "install", model)
    bundle.rewrite_texts(model, metrics={}, card="# new card\n")
    said("models", "install", model, "--force")
    assert said("models", "tiny") == "# new card\n"
    assert [path.name for path in users.iterdir()] == ["tiny"]


@pytest.mark.parametrize("name", ["../outside", "", ".hidden", "a/b"])
def test_a_model_is_never_installed_elsewhere(model: Path, tmp_path: Path, name: str) -> None:
    rename(model, name)
    with pytest.raises(UsageError if name else ModelError, match=r"is no (name for a folder|line of text)"):
        bundle.install(model)
    assert not (tmp_path / "data").exists()


def test_a_model_that_ships_keeps_its_name(
    model: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "known", lambda: {"mini": tiny_bundle})
    rename(model, "mini")
    with pytest.raises(UsageError, match="name of a model that ships"):
        bundle.install(model)


def test_damage_is_told_and_not_installed(model: Path, users: Path) -> None:
    damaged = model / "glm-00.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(content)
    for words in (("verify", model), ("install", model)):
        with pytest.raises(ModelError, match=r"glm-00\.safetensors is damaged"):
            said("models", *words)
    assert not users.exists()


def test_a_folder_with_a_commands_name_is_meant_with_a_dot(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.rename(model.with_name("verify"))
    monkeypatch.chdir(model.parent)
    assert said("models", "./verify") == "# tiny card\n"
    assert "tiny 1.0.0" in said("models", "verify", "verify")


def test_the_users_folder_follows_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert bundle.user_folder().is_relative_to(tmp_path)
    assert not bundle.user_folder().is_relative_to(Path(glm_annot.__file__).parent)
