"""Names of results, what is refused before the work, and writing that leaves no half file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glm_annot.errors import GlmAnnotError, UsageError
from glm_annot.output import Target, plan, stem, write_all


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/x.gff3", "x"),
        ("x.gff", "x"),
        ("x.gbff.gz", "x"),
        ("x.GBK", "x"),
        ("x.glm.gff3", "x"),
        ("x.glm.gbk.gz", "x"),
        ("strain.v2", "strain.v2"),
        ("GCF_000005845.2_ASM584v2_genomic.gbff", "GCF_000005845.2_ASM584v2_genomic"),
        ("annotation", "annotation"),
    ],
)
def test_stem(path: str, expected: str) -> None:
    assert stem(path) == expected


def places(
    inputs: list[str], output: str | None, format: str = "gff3"
) -> list[tuple[Path | None, Path | None]]:
    return [(target.annotation(format), target.table) for target in plan(inputs, output)]


def test_results_stand_beside_the_input_by_default(tmp_path: Path) -> None:
    source = str(tmp_path / "x.gbff.gz")
    assert places([source], None, "genbank") == [(tmp_path / "x.glm.gbk", tmp_path / "x.glm.tsv")]


def test_output_names_a_folder_when_it_is_one_or_ends_so_or_serves_many(tmp_path: Path) -> None:
    expected = [(tmp_path / "x.glm.gff3", tmp_path / "x.glm.tsv")]
    assert places(["x.gff"], str(tmp_path)) == expected
    new = tmp_path / "new"
    assert places(["x.gff"], f"{new}{os.sep}") == [(new / "x.glm.gff3", new / "x.glm.tsv")]
    assert places(["x.gff", "y.gbk"], str(new))[1] == (new / "y.glm.gff3", new / "y.glm.tsv")


def test_output_names_a_file_otherwise(tmp_path: Path) -> None:
    assert places(["x.gff"], str(tmp_path / "out.gff3")) == [(tmp_path / "out.gff3", tmp_path / "out.tsv")]


def test_standard_output_takes_the_annotation_alone() -> None:
    assert places(["x.gff"], "-") == [(None, None)]
    assert places(["-"], None) == [(None, None)]


@pytest.mark.parametrize(
    ("inputs", "output", "complaint"),
    [
        (["a/x.gff", "b/x.gff"], "out/", "a/x.gff and b/x.gff would both write"),
        (["x.gff", "x.gbk"], None, "x.gff and x.gbk would both write to x.glm.tsv"),
        (["x.gff", "y.gff"], "-", "standard output"),
        (["x.gff"], "out.gff3.gz", "uncompressed"),
        (["x.gff"], "out.tsv", "name the annotated file"),
        (["x.gff"], "nowhere/deep/out.gff3", "nowhere does not exist"),
    ],
)
def test_refused_beforehand(
    inputs: list[str], output: str | None, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=complaint):
        plan(inputs, output)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        plan(["x.gff", "y.gff"], str(tmp_path / "taken"))


def test_existing_results_are_kept_unless_forced(tmp_path: Path) -> None:
    old, new = tmp_path / "old.gff3", tmp_path / "old.tsv"
    old.write_bytes(b"old")
    with pytest.raises(UsageError, match=r"old\.gff3 exists; --force"):
        write_all({new: b"new", old: b"new"}, force=False)
    assert old.read_bytes() == b"old" and not new.exists()
    write_all({new: b"new", old: b"new"}, force=True)
    assert old.read_bytes() == new.read_bytes() == b"new"


def test_target_checks_table_and_annotation(tmp_path: Path) -> None:
    target = Target("x.gff", tmp_path, "x")
    target.check_free("gff3")
    (tmp_path / "x.glm.gff3").write_text("")
    with pytest.raises(UsageError, match=r"x\.glm\.gff3 exists"):
        target.check_free("gff3")
    target.check_free("genbank")


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(self: Path, content: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(content[:2])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(GlmAnnotError, match="No space left on device"):
        write_all({tmp_path / "x.gff3": b"content"}, force=False)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_all({tmp_path / "x.gff3": b"content"}, force=False)
    assert list(tmp_path.iterdir()) == []
