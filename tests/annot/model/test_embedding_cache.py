"""The cache of embeddings: nothing is embedded twice, encoders are kept apart, the size is kept."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from glm_annot import pipeline
from glm_annot.errors import GlmAnnotError
from glm_annot.model.embedding_cache import EmbeddingCache
from glm_annot.model.esm import Encoder, embed
from glm_annot.model.sizes import PLMConfig
from glm_annot.pipeline import embed_distinct

PROTEINS = ["MKVLA", "MAAAGGW", "MKKLTT"]


def small_encoder(seed: int = 0) -> Encoder:
    torch.manual_seed(seed)
    return Encoder(PLMConfig(1, 8, 2)).eval().requires_grad_(False)


def large_cache(folder: Path, encoder: Encoder, *, precision: str = "auto") -> EmbeddingCache:
    return EmbeddingCache(folder, encoder, precision=precision, max_bytes=10**9)


def test_a_known_protein_is_not_embedded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, asked = small_encoder(), []

    def counting(encoder: Encoder, proteins: list[str], **options: object) -> np.ndarray:
        asked.append(list(proteins))
        return embed(encoder, proteins)

    monkeypatch.setattr(pipeline, "embed", counting)
    cache, progress = large_cache(tmp_path / "new" / "cache", encoder), []
    first = embed_distinct(encoder, PROTEINS[:2], cache=cache)
    again = large_cache(tmp_path / "new" / "cache", small_encoder())
    both = embed_distinct(
        encoder, [PROTEINS[2], *PROTEINS, PROTEINS[0]], cache=again, progress=lambda *at: progress.append(at)
    )
    assert asked == [PROTEINS[:2], PROTEINS[2:]]
    assert np.array_equal(both[1:3], first) and np.array_equal(both[0], both[3])
    np.testing.assert_allclose(both, embed(encoder, [PROTEINS[2], *PROTEINS, PROTEINS[0]]), atol=1e-6)
    embed_distinct(encoder, PROTEINS, cache=again)
    assert asked[2] == []


def test_encoders_are_kept_apart(tmp_path: Path) -> None:
    for seed in (0, 1):
        embed_distinct(small_encoder(seed), PROTEINS, cache=large_cache(tmp_path, small_encoder(seed)))
    assert len(list(tmp_path.glob("*.sqlite"))) == 2
    half = large_cache(tmp_path, small_encoder(), precision="bf16")
    assert half.find(PROTEINS) == {}


def test_the_proteins_not_seen_for_longest_are_dropped(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, small_encoder(), max_bytes=100_000)
    row = np.ones(8, np.float32)
    for batch in range(40):
        cache.keep({f"M{'A' * batch}{'C' * n}": row for n in range(100)})
        assert cache.find(["M"])  # asked for again and again
    assert cache.path.stat().st_size < 250_000
    assert cache.find([f"M{'A' * 39}{'C' * 99}"]) and not cache.find(["MACC"])


def test_a_size_that_nothing_fits_into_keeps_nothing(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path, small_encoder(), max_bytes=1)
    cache.keep({"MKV": np.ones(8, np.float32)})
    assert cache.find(["MKV"]) == {}


def test_several_may_write_at_once(tmp_path: Path) -> None:
    encoder = small_encoder()
    large_cache(tmp_path, encoder)

    def write(number: int) -> None:
        large_cache(tmp_path, encoder).keep({f"M{'K' * number}": np.full(8, number, np.float32)})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    found = large_cache(tmp_path, encoder).find([f"M{'K' * number}" for number in range(40)])
    assert [int(row[0]) for row in found.values()] == list(range(40)) or len(found) == 40


def test_a_cache_that_takes_nothing_more_costs_no_result(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = large_cache(tmp_path, small_encoder())
    cache.keep({"MK": np.ones(8, np.float32)})
    with sqlite3.connect(cache.path) as database:
        for action in ("INSERT", "UPDATE"):
            database.execute(
                f"CREATE TRIGGER no_{action} BEFORE {action} ON embeddings "
                "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
            )
    with caplog.at_level("WARNING", logger="glm_annot"):
        assert cache.find(["MK"])["MK"].tolist() == [1] * 8
        assert caplog.records == []
        cache.keep({"MC": np.ones(8, np.float32)})
    (record,) = caplog.records
    assert "database or disk is full" in record.getMessage()
    assert list(cache.find(["MK", "MC"])) == ["MK"]


def test_of_a_damaged_cache_one_warning_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whichever byte of the head and of the first pages is another."""
    path = large_cache(tmp_path, small_encoder()).path
    whole, warned = path.read_bytes(), 0
    places = [*range(100), *range(100, len(whole), 211)]
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        caplog.clear()
        cache = large_cache(tmp_path, small_encoder())
        embed_distinct(small_encoder(), PROTEINS, cache=cache)
        assert len(caplog.records) <= 1, place
        assert all("its embeddings are computed anew" in record.getMessage() for record in caplog.records)
        warned += len(caplog.records)
    assert warned > 10


def test_a_bad_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(GlmAnnotError, match="cannot keep a cache"):
        large_cache(tmp_path / "file" / "cache", small_encoder())


@pytest.mark.parametrize(
    "change", ["x'00'", "cast(substr(embedding, 1, 5) || x'01' || substr(embedding, 7) AS BLOB)"]
)
def test_a_damaged_embedding_is_computed_anew_with_one_warning(
    change: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache = large_cache(tmp_path, small_encoder())
    cache.keep({protein: np.ones(8, np.float32) for protein in PROTEINS[:2]})
    with sqlite3.connect(cache.path) as database:
        database.execute(f"UPDATE embeddings SET embedding = {change}")
    with caplog.at_level("WARNING", logger="glm_annot"):
        assert cache.find(PROTEINS[:1]) == cache.find(PROTEINS[1:]) == {}
    (record,) = caplog.records
    assert "some embeddings are damaged; they are computed anew" in record.getMessage()
    cache.keep({PROTEINS[0]: np.full(8, 2, np.float32)})
    assert list(cache.find(PROTEINS)) == PROTEINS[:1]


def test_what_is_no_number_is_not_kept(tmp_path: Path) -> None:
    cache = large_cache(tmp_path, small_encoder())
    cache.keep({"MK": np.full(8, np.nan, np.float32)})
    assert cache.find(["MK"]) == {}
