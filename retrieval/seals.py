"""Marks by which a stored payload or vector is known to be what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from retrieval.points import Vector

_PROBES = 2


def sealed(payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a payload with a seal over everything in it."""
    return {**payload, "seal": seal_of(payload)}


def probes(vector: Vector) -> list[float]:
    """Return what tells a vector from others of its length, up to rounding."""
    return [round(float(row @ vector), 6) for row in _directions(len(vector))]


def seal_of(payload: Mapping[str, Any]) -> str:
    """Return the hash of a payload, whatever the order of its keys."""
    plain = json.dumps(payload, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(plain.encode(), digest_size=16).hexdigest()


@lru_cache(maxsize=8)
def _directions(dimension: int) -> Vector:
    """Return rows of ones and minus ones that look random and are the same everywhere."""
    size = -(-dimension // 8)
    rows = []
    for number in range(_PROBES):
        bits = hashlib.shake_128(f"windowfit probe {number}".encode()).digest(size)
        signs = np.unpackbits(np.frombuffer(bits, dtype=np.uint8))[:dimension]
        rows.append(signs.astype(np.float32) * 2 - 1)
    return np.stack(rows)
