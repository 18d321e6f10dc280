"""Names of results, what is refused before the work, and writing that leaves no half file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from glm_annot.errors import UsageError
from glm_annot.results.output import Target, plan, stem


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


@pytest.mark.parametrize("name", ["new", "new/", "strain.v2", "old.gff3/", "isolates.gz", ".gff3"])
@pytest.mark.parametrize("inputs", [["x.gff"], ["x.gff", "y.gbk"]])
def test_output_is_a_folder_with_one_input_as_with_many(inputs: list[str], name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    found = places(inputs, f"{tmp_path}{os.sep}{name}")
    assert found[0] == (folder / "x.glm.gff3", folder / "x.glm.tsv") and len(found) == len(inputs)


def test_a_folder_that_exists_may_be_named_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "new.gff3").mkdir()
    assert places(["x.gff"], str(tmp_path / "new.gff3"))[0][1] == tmp_path / "new.gff3" / "x.glm.tsv"


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("out.gff3", "out.tsv"),
        ("strain.v2.gff3", "strain.v2.tsv"),
        ("strain.v2.gff", "strain.v2.tsv"),
        ("a.gbk.GFF3.gz", "a.gbk.tsv"),
    ],
)
def test_output_is_a_file_when_it_ends_like_one(name: str, table: str, tmp_path: Path) -> None:
    assert places(["x.gff"], str(tmp_path / name)) == [(tmp_path / name, tmp_path / table)]


@pytest.mark.parametrize("name", ["out.gbk", "out.gb.gz", "out.gbff", "out.embl", "out.json"])
def test_an_output_of_another_format_is_refused(name: str, tmp_path: Path) -> None:
    (target,) = plan(["x.gff"], str(tmp_path / name))
    with pytest.raises(UsageError, match=r"format of the input, x\.gff; name a \.gff3 file"):
        target.check_format("gff3")
    target.check_format({".emb": "embl", ".jso": "bakta"}.get(name[3:7], "genbank"))


def test_standard_output_takes_the_annotation_alone() -> None:
    assert places(["x.gff"], "-") == [(None, None)]
    assert places(["-"], None) == [(None, None)]


@pytest.mark.parametrize(
    ("inputs", "output", "complaint"),
    [
        (["a/x.gff", "b/x.gff"], "out/", "a/x.gff and b/x.gff would both write"),
        (["x.gff", "x.gbk"], None, "x.gff and x.gbk would both write to x.glm.tsv"),
        (["x.gff", "y.gff"], "-", "standard output"),
        (["x.gff", "y.gff"], "out.gff3.gz", "name a folder for several"),
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


def test_target_checks_table_and_annotation(tmp_path: Path) -> None:
    target = Target("x.gff", tmp_path, "x")
    target.check_free("gff3")
    (tmp_path / "x.glm.gff3").write_text("")
    with pytest.raises(UsageError, match=r"x\.glm\.gff3 exists"):
        target.check_free("gff3")
    target.check_free("genbank")


def test_a_link_to_itself_is_no_folder_of_results(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError, match="leads nowhere"):
        plan([str(tmp_path / "a.gff3")], str(tmp_path / "loop"))
