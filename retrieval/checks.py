"""What every engine does before it touches a store, so that all take and refuse the same things."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from chunking.errors import EmbeddingModelMismatch, InputError
from retrieval.ledger import LEDGER
from retrieval.points import Point, Vector
from retrieval.terms import Terms

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_NUMBERED = re.compile(r"(.*)@[1-9][0-9]{0,8}")


def check_collection_name(collection: str) -> None:
    """Raise `InputError` unless a collection may have this name.

    It is safe as a folder name and in a URL, and neither a place of another collection nor the
    ledger's.
    """
    _check_safe(collection)
    if collection == LEDGER:
        raise InputError(
            f"collection name {collection!r} is kept for Windowfit's own ledger",
            hint="choose another collection name",
            param="collection",
        )


def check_place_name(place: str) -> None:
    """Raise `InputError` unless an engine may store points under this name, see `places`."""
    numbered = _NUMBERED.fullmatch(place)
    _check_safe(numbered[1] if numbered else place)


def _check_safe(collection: str) -> None:
    if not _NAME.fullmatch(collection):
        raise InputError(
            f"collection name {collection!r}: use 1 to 128 letters, digits, '.', '_' or '-', "
            "a letter or digit first",
            param="collection",
        )


def check_vector(vector: Vector, *, dimension: int) -> None:
    """Raise unless the vector is one row of `dimension` finite numbers.

    Raises:
        EmbeddingModelMismatch: the shape is another.
        InputError: a value is infinite or not a number.
    """
    if vector.shape != (dimension,):
        raise EmbeddingModelMismatch(
            f"vector of shape {vector.shape}, collection of dimension {dimension}"
        )
    if not np.isfinite(vector).all():
        raise InputError("a vector holds a value that is not a finite number", param="vector")


def check_sought(sought: Vector | Terms, *, dimension: int) -> None:
    """Check what a query asks for, see `check_vector`; any terms may be asked for."""
    if not isinstance(sought, Terms):
        check_vector(sought, dimension=dimension)


def check_points(points: Sequence[Point], *, dimension: int) -> None:
    """Check all vectors, so that a bad one is refused before the first point is written."""
    for point in points:
        if point.vector is not None:
            check_vector(point.vector, dimension=dimension)


def last_of_each_id(points: Sequence[Point]) -> list[Point]:
    """Return the points without those that a later one of the same id replaces.

    A write under a condition is held against what was stored before it, not against itself.
    """
    return list({point.id: point for point in points}.values())
