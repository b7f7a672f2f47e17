"""Keeps an embedder's vectors on disk, so that a benchmark run again embeds nothing anew.

Needs the standard library and NumPy alone: the peers' environments run it, too.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float32]
_BATCH: Final = 512
_T = TypeVar("_T")


class KeptVectors:
    """The vectors of texts: each made once, and kept in a file by the digest of its text."""

    def __init__(self, file: Path, embed: Callable[[Sequence[str]], Rows]) -> None:
        """Open the file, made where there is none; it belongs to one embedder.

        Args:
            embed: returns one row for each text; called with texts of about equal length.
        """
        self._embed = embed
        file.parent.mkdir(parents=True, exist_ok=True)
        self._kept = sqlite3.connect(file, timeout=60, check_same_thread=False)
        self._kept.execute("CREATE TABLE IF NOT EXISTS vectors (text TEXT PRIMARY KEY, row BLOB)")

    def embed(self, texts: Sequence[str]) -> Rows:
        """Return one row for each text; what was embedded once is not embedded again."""
        if not texts:
            return np.empty((0, 0), dtype=np.float32)
        keys = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in texts]
        known = self._find(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        for part in _batches(sorted(missing.items(), key=lambda item: len(item[1]))):
            rows = self._embed([text for _, text in part])
            made = {
                key: np.asarray(row, dtype=np.float32).tobytes()
                for (key, _), row in zip(part, rows, strict=True)
            }
            with self._kept:
                self._kept.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", made.items())
            known |= made
        return np.stack([np.frombuffer(known[key], dtype=np.float32) for key in keys])

    def close(self) -> None:
        """Close the file."""
        self._kept.close()

    def _find(self, keys: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for part in _batches(list(dict.fromkeys(keys))):
            places = ",".join("?" * len(part))
            query = f"SELECT text, row FROM vectors WHERE text IN ({places})"
            found.update(self._kept.execute(query, part).fetchall())
        return found


def _batches(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    return (items[at : at + _BATCH] for at in range(0, len(items), _BATCH))
