"""What a collection was made by, stored with it and compared before any query."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from chunking.errors import EmbeddingModelMismatch
from retrieval.points import Engine, Point, PointStore
from retrieval.scope import INDEXED_KEYS, point_id, scope_of, scoped
from retrieval.terms import TERMS_SCHEME


@dataclass(frozen=True, slots=True)
class IndexFingerprint:
    """What the vectors and terms of a collection depend on; those of two fingerprints never mix.

    Attributes:
        terms: the scheme of terms; empty for a collection that was made before there were any.
    """

    embedder: str
    dimension: int
    splitter: str
    terms: str = TERMS_SCHEME


def create_place(engine: Engine, place: str, fingerprint: IndexFingerprint) -> PointStore:
    """Return a place for vectors of a fingerprint, made first if it does not exist.

    One that exists keeps its fingerprint.
    """
    points = engine.create(place, dimension=fingerprint.dimension, indexed=INDEXED_KEYS)
    if read_fingerprint(points) is None:
        stored = Point(point_id("fingerprint"), scoped("fingerprint", asdict(fingerprint)))
        points.upsert([stored])
    return points


def read_fingerprint(points: PointStore) -> IndexFingerprint | None:
    """Return the stored fingerprint; None where its creation was cut short."""
    for point in points.scroll(where=scope_of("fingerprint")):
        stored = point.payload
        return IndexFingerprint(
            stored["embedder"], stored["dimension"], stored["splitter"], stored.get("terms", "")
        )
    return None


def check_fingerprint(
    name: str, points: PointStore, wanted: IndexFingerprint | None
) -> IndexFingerprint:
    """Return the stored fingerprint if it is the wanted one, or whichever it is if None is.

    Raises:
        EmbeddingModelMismatch: it is another; the message says what differs.
    """
    stored = read_fingerprint(points)
    wanted = wanted or stored
    differing = [
        f"{part}: stored {ours!r}, configured {theirs!r}"
        for part in ("embedder", "dimension", "splitter", "terms")
        if (ours := getattr(stored, part, None)) != (theirs := getattr(wanted, part, None))
    ]
    if differing or stored is None:
        raise EmbeddingModelMismatch(
            f"collection {name!r} was built otherwise ({'; '.join(differing)})", param="collection"
        )
    return stored
