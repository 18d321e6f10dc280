"""Embeddings kept on disk, so that no protein is embedded twice by the same encoder.

One SQLite file in the cache's folder for each encoder and precision; several processes may share it. It needs
a file system that can lock files, as any local one can.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glm_annot.errors import GlmAnnotError
from glm_annot.model.encoder import ProteinEncoder, precision_of
from glm_annot.model.esm import fingerprint

log = logging.getLogger(__name__)

MAX_BYTES = 10**10  # of a file, as `--cache-size` has it
EVICTED_SHARE = 0.25  # of a full cache's proteins, those not asked for for longest
_WAIT = 60.0  # seconds for another process to finish writing
_CHECKSUM_BYTES = 8  # of an embedding
_AT_ONCE = 500  # proteins in one query; SQLite allows 32,766 variables, old ones 999
_PLACE = ("unable to open", "full", "disk I/O")  # what SQLite says of the place rather than the file
_TABLE = """
CREATE TABLE IF NOT EXISTS embeddings (
    protein BLOB PRIMARY KEY, embedding BLOB NOT NULL, used REAL NOT NULL
) WITHOUT ROWID
"""


class _BusyError(GlmAnnotError):
    """Another process has had the cache locked for all the time that this one waits."""


class _DamagedError(GlmAnnotError):
    """The file is no database, or a damaged one."""


class EmbeddingCache:
    """Embeddings by protein sequence.

    Args:
        folder: of all caches; made if need be.
        encoder: whose embeddings are kept, on its device.
        precision: that it runs in, as `encoder.embed` takes it; other precisions are kept apart.
        max_bytes: size of the file beyond which the proteins not asked for for longest are dropped.

    Raises:
        GlmAnnotError: the folder or the file cannot be used; of a damaged file a warning says so.
    """

    def __init__(
        self,
        folder: str | Path,
        encoder: ProteinEncoder,
        *,
        precision: str = "auto",
        max_bytes: int = MAX_BYTES,
    ) -> None:
        folder = Path(folder)
        precision = precision_of(encoder, precision)
        self.path = folder / f"{fingerprint(encoder)[:32]}-{precision}.sqlite"
        self._dim = encoder.config.dim
        self._warned = False
        self._max_bytes = max_bytes
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GlmAnnotError(f"{folder}: cannot keep a cache here: {error.strerror}") from error
        try:
            with suppress(_BusyError), self._database() as database:  # `find` and `keep` pass it by, too
                database.execute(_TABLE)
        except _DamagedError as error:
            self._tell_damaged(error)

    def find(self, proteins: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
        """The embeddings (D,) of those proteins that are known.

        A damaged embedding is none, and a cache that cannot be read holds none; a warning says so once.
        """
        try:
            found = self._read(proteins)
        except GlmAnnotError as error:
            self._tell_damaged(error)
            return {}
        self._note_use([_key(protein) for protein in found])
        return found

    def _read(self, proteins: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
        by_key = {_key(protein): protein for protein in proteins}
        keys = list(by_key)
        found: dict[str, npt.NDArray[np.float32]] = {}
        with self._database() as database:
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                marks = ",".join("?" * len(some))
                rows = database.execute(
                    f"SELECT protein, embedding FROM embeddings WHERE protein IN ({marks})", some
                ).fetchall()
                opened = {by_key[key]: _opened(key, sealed, self._dim) for key, sealed in rows}
                found |= {protein: row for protein, row in opened.items() if row is not None}
                if len(rows) > sum(row is not None for row in opened.values()):
                    self._warn_once(f"{self.path}: some embeddings are damaged; they are computed anew")
        return found

    def _tell_damaged(self, error: GlmAnnotError) -> None:
        self._warn_once(f"{error}; its embeddings are computed anew")

    def _warn_once(self, message: str) -> None:
        if not self._warned:
            log.warning("%s", message)
        self._warned = True

    def _note_use(self, keys: Sequence[bytes]) -> None:
        """These have just been asked for; where it cannot be written, they seem older than they are."""
        now = time.time()
        with suppress(GlmAnnotError), self._database() as database:
            database.executemany(
                "UPDATE embeddings SET used = ? WHERE protein = ?", [(now, key) for key in keys]
            )

    def keep(self, embeddings: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Add the embeddings (D,) of proteins; what is too much for the size is dropped again.

        If there is no room for them, they are not kept, and a warning says so; results do not depend on it.
        """
        try:
            self._add(embeddings)
        except _DamagedError as error:
            self._tell_damaged(error)
        except GlmAnnotError as error:
            log.warning("%s; continuing without keeping %d embeddings", error, len(embeddings))

    def _add(self, embeddings: Mapping[str, npt.NDArray[np.float32]]) -> None:
        now = time.time()
        rows = [(_key(p), _sealed(_key(p), row), now) for p, row in embeddings.items() if _is_finite(row)]
        with self._database() as database:
            database.executemany("INSERT OR REPLACE INTO embeddings VALUES (?, ?, ?)", rows)
            while _size(database) > self._max_bytes:
                (count,) = database.execute("SELECT COUNT(*) FROM embeddings").fetchone()
                if not count:
                    break  # an empty file is larger than allowed
                oldest = "SELECT protein FROM embeddings ORDER BY used, protein LIMIT ?"
                drop = max(1, int(count * EVICTED_SHARE))
                database.execute(f"DELETE FROM embeddings WHERE protein IN ({oldest})", (drop,))

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """A connection for one transaction, so that none is shared by threads or forked processes."""
        try:
            database = sqlite3.connect(self.path, timeout=_WAIT)
            try:
                with database:
                    yield database
            finally:
                database.close()
        except sqlite3.Error as error:
            if "locked" in str(error):  # Python 3.10 has no code for it
                raise _BusyError(f"{self.path}: another process has locked the cache") from error
            kind = GlmAnnotError if any(what in str(error) for what in _PLACE) else _DamagedError
            raise kind(
                f"{self.path}: the cache cannot be used ({error}); delete the file if it is damaged"
            ) from error


def _key(protein: str) -> bytes:
    return hashlib.sha256(protein.encode()).digest()


def _sealed(key: bytes, row: npt.NDArray[np.float32]) -> bytes:
    """An embedding as it is kept: with a checksum, so that a damaged one is not taken for a protein's."""
    content = row.astype(np.float32).tobytes()
    return content + _checksum(key, content)


def _opened(key: bytes, sealed: bytes, dim: int) -> npt.NDArray[np.float32] | None:
    """The embedding (D,) that was kept; None where it is damaged."""
    content, checksum = sealed[:-_CHECKSUM_BYTES], sealed[-_CHECKSUM_BYTES:]
    if len(content) != 4 * dim or checksum != _checksum(key, content):
        return None
    row = np.frombuffer(content, np.float32)
    return row if _is_finite(row) else None


def _checksum(key: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(content, key=key, digest_size=_CHECKSUM_BYTES).digest()


def _is_finite(row: npt.NDArray[np.float32]) -> bool:
    return bool(np.isfinite(row).all())


def _size(database: sqlite3.Connection) -> int:
    """Bytes in use; pages that were freed are filled again before the file grows."""
    pages, free, width = (
        database.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * width)
