"""The one reader of tables with tabs."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from glm_annot.errors import InputError
from glm_annot.training.common.tsv import columns_of, read_tsv

TABLE = 'a\tb\tc\n1\t"2 ""x"""\t3\n4\t5\t\n'


def test_rows_come_with_their_lines_plain_or_gzipped(tmp_path: Path) -> None:
    plain, packed = tmp_path / "t.tsv", tmp_path / "t.tsv.gz"
    plain.write_text(TABLE)
    packed.write_bytes(gzip.compress(TABLE.encode()))
    expected = [(2, {"a": "1", "b": '2 "x"', "c": "3"}), (3, {"a": "4", "b": "5", "c": ""})]
    assert list(read_tsv(plain, "a", "c")) == list(read_tsv(packed)) == expected
    assert columns_of(plain) == ["a", "b", "c"]


def test_quotation_marks_may_be_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text('name\tec\n"half\t1\nwhole\t2\n')
    rows = [row["name"] for _, row in read_tsv(tmp_path / "t.tsv", "name", quotes=False)]
    assert rows == ['"half', "whole"]


def test_a_field_that_is_too_long_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("name\tec\na\t1\n" + "b" * 200_000 + "\t2\n")
    with pytest.raises(InputError, match=r"t\.tsv, line 3: cannot be read as a table \(field larger"):
        list(read_tsv(tmp_path / "t.tsv", "name"))
    (tmp_path / "t.tsv").write_text("n" * 200_000 + "\tec\n")
    with pytest.raises(InputError, match=r"t\.tsv, line 1: cannot be read as a table"):
        columns_of(tmp_path / "t.tsv")


def test_a_separator_of_unicode_ends_no_row(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("name\tec\none\u2028two\t1\n", encoding="utf-8")
    assert [row["ec"] for _, row in read_tsv(tmp_path / "t.tsv")] == ["1"]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text(TABLE)
    with pytest.raises(InputError, match=r"t.tsv, line 1: no column 'd'; needed: a, d, with tabs between"):
        list(read_tsv(tmp_path / "t.tsv", "a", "d"))
    (tmp_path / "t.tsv").write_bytes(b"a\tb\n\xe9\t1\n")
    with pytest.raises(InputError, match="is no UTF-8 text"):
        list(read_tsv(tmp_path / "t.tsv"))
    with pytest.raises(InputError, match="no such file"):
        list(read_tsv(tmp_path / "none.tsv"))
