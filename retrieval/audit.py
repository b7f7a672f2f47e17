"""Finds what of a collection is not as it was written: pure comparison of stored points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from chunking.document import Chunk, numbered_id
from chunking.sketch import sketch_of
from retrieval.points import Point
from retrieval.records import DocumentRecord, read_document, read_record
from retrieval.seals import probes, seal_of
from retrieval.terms import chunk_terms

Defect = Literal["missing", "duplicate", "orphaned", "altered"]

_PROBE_TOLERANCE = 1e-4
"""Stores return a vector with the rounding of its length; another vector lies much farther off."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect of a collection.

    Attributes:
        defect: "missing", named by its document and not stored; "duplicate", stored twice;
            "orphaned", stored and named by no document; "altered", not as it was written.
        document: the document it belongs to.
        chunk: the chunk; None where the document itself is altered.
        point: the stored point; None where none is.
        unreadable: whether nothing at all can be read of the document.
    """

    defect: Defect
    document: str
    chunk: str | None
    point: str | None
    unreadable: bool = False


def audit_documents(documents: Iterable[Point]) -> Iterator[DocumentRecord | Finding]:
    """Yield the record of every stored document, and a finding for each that is altered."""
    for point in documents:
        payload = dict(point.payload)
        name = str(payload.get("document", ""))
        seal = payload.pop("seal", None)
        try:
            record = read_record(payload)
            intact = (
                seal == seal_of(payload)
                and read_document(payload).version == record.version
                # Whatever names no label is read as one that protects.
                and payload.get("sensitivity", record.sensitivity) == record.sensitivity.value
            )
        except (KeyError, TypeError, ValueError):
            yield Finding("altered", name, None, point.id, unreadable=True)
            continue
        if not intact:
            yield Finding("altered", name, None, point.id)
        yield record


def audit_chunks(
    chunks: Iterable[Point],
    records: Mapping[str, DocumentRecord],
    *,
    splitter: str,
    id_of: Callable[[str], str],
) -> Iterator[Finding]:
    """Yield every defect among the stored chunks of these documents.

    Args:
        chunks: points with their vectors and terms.
        id_of: the id of the point that holds a chunk.
    """
    named = {(record.id, name) for record in records.values() for name in record.chunk_ids}
    found: set[tuple[str, str]] = set()
    for point in chunks:
        payload = point.payload
        document, name = str(payload.get("document", "")), str(payload.get("id", ""))
        if point.id != id_of(name):
            # Under an id of another: a copy of a chunk, or one whose own id was changed.
            known = (document, name) in named
            yield Finding("duplicate" if known else "altered", document, name, point.id)
        elif (document, name) not in named:
            yield Finding("orphaned", document, name, point.id)
        else:
            found.add((document, name))
            count = len(records[document].chunk_ids)
            if not _is_intact(point, splitter=splitter, count=count):
                yield Finding("altered", document, name, point.id)
    for record in records.values():
        for name in record.chunk_ids:
            if (record.id, name) not in found:
                yield Finding("missing", record.id, name, None)


def _is_intact(point: Point, *, splitter: str, count: int) -> bool:
    payload = point.payload
    try:
        chunk = Chunk(
            id=payload["id"],
            document=payload["document"],
            title=payload["title"],
            path=tuple(payload["path"]),
            start=0,
            end=0,
            text=payload["text"],
            position=0,
        )
        # Which of equal chunks it is, only its document knows; most are the first.
        ids = (numbered_id(chunk, number, splitter=splitter) for number in range(count))
        return (
            chunk.id in ids
            and tuple(payload["sketch"]) == sketch_of(chunk)
            and point.terms == chunk_terms(chunk)
            and point.vector is not None
            and np.allclose(probes(point.vector), payload["probe"], rtol=0, atol=_PROBE_TOLERANCE)
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return False
