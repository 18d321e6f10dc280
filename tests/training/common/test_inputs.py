"""Tables, arrays and JSON files that are damaged: one line that names the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glm_annot.errors import InputError
from glm_annot.training.common.inputs import read_array, read_arrays, read_json, read_parquet, read_record


def test_whole_files_are_read(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), tmp_path / "t.parquet")
    assert read_parquet(tmp_path / "t.parquet", ["b"]).to_pydict() == {"b": ["x", "y"]}
    np.save(tmp_path / "a.npy", np.arange(3))
    assert (
        read_array(tmp_path / "a.npy").tolist() == read_array(tmp_path / "a.npy", "r").tolist() == [0, 1, 2]
    )
    np.savez(tmp_path / "b.npz", x=np.arange(3), y=np.zeros(0))
    assert {name: found.tolist() for name, found in read_arrays(tmp_path / "b.npz").items()} == {
        "x": [0, 1, 2],
        "y": [],
    }
    (tmp_path / "r.json").write_text('{"a": 1}')
    assert read_record(tmp_path / "r.json") == {"a": 1}


@pytest.mark.parametrize("stop", [0, 3, 40, -4])
def test_tables_and_arrays_cut_short(stop: int, tmp_path: Path) -> None:
    path = tmp_path / "x"
    pq.write_table(pa.table({"a": list(range(100))}), path)
    path.write_bytes(path.read_bytes()[:stop])
    with pytest.raises(InputError, match="x: is no Parquet table, or damaged"):
        read_parquet(path)
    with path.open("wb") as stream:
        np.save(stream, np.arange(100))
    path.write_bytes(path.read_bytes()[:stop])
    for mode in (None, "r"):
        with pytest.raises(InputError, match="x: is no numpy array, or damaged"):
            read_array(path, mode)  # type: ignore[arg-type]
    with path.open("wb") as stream:
        np.savez(stream, x=np.arange(100))
    path.write_bytes(path.read_bytes()[:stop])
    with pytest.raises(InputError, match="x: is no file of numpy arrays, or damaged"):
        read_arrays(path)


@pytest.mark.parametrize(
    ("shape", "wrong"),
    [(b"(100,), }         ", b"(10000000000,), } "), (b"(100,), }  ", b"(100,),),)}")],
    ids=["larger than its file", "does not end"],
)
def test_an_array_whose_header_is_wrong(shape: bytes, wrong: bytes, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(100))
    content = (tmp_path / "x.npy").read_bytes()
    assert shape in content
    (tmp_path / "x.npy").write_bytes(content.replace(shape, wrong))
    with pytest.raises(InputError, match="is no numpy array, or damaged"):
        read_array(tmp_path / "x.npy")


def test_one_array_is_no_file_of_several(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.arange(3))
    np.savez(tmp_path / "x.npz", x=np.arange(3))
    with pytest.raises(InputError, match="it holds one array without a name"):
        read_arrays(tmp_path / "x.npy")
    with pytest.raises(InputError, match="it holds several arrays"):
        read_array(tmp_path / "x.npz")


def test_files_that_lack_something(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match="no column 'c'; needed: a, c"):
        read_parquet(tmp_path / "t.parquet", ["a", "c"])
    for read in (read_parquet, read_array, read_arrays):
        with pytest.raises(InputError, match="nowhere: no such file"):
            read(tmp_path / "nowhere")
    with pytest.raises(InputError, match="nowhere: cannot be read"):
        read_json(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a":\n1,}', "line 2: is no JSON"),
        ('{"a": "\u00e9"}'.encode("latin-1"), "is no UTF-8 text"),
        (json.dumps({"a": 1}).encode("utf-16"), "is no UTF-8 text"),
        (b"[" * 10**5, "is JSON nested too deep"),
        (b"9" * 5000, "is JSON with a number of too many digits"),
        (b"[]", "is no JSON object"),
    ],
)
def test_what_is_no_json_object(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_record(tmp_path / "x.json")
