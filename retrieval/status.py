"""Tells what a collection holds and how its last writer left it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from chunking.sensitivity import Sensitivity
from retrieval.catalog import Catalog
from retrieval.index import Index
from retrieval.lease import holder_name
from retrieval.places import other_places


@dataclass(frozen=True, slots=True)
class CollectionStatus:
    """What a collection holds, and how its last writer left it.

    Attributes:
        document_ids: in corpus order.
        labels: how many documents have each label of sensitivity; those that none has are left out.
        hidden_chunks: chunks stored but named by no document: a run is under way, or broke off.
        swept: whether the last run came to its end; a rebuild is one.
        writer: the process that holds the collection for writing now; None if there is none.
    """

    collection: str
    embedder: str
    splitter: str
    documents: int
    chunks: int
    characters: int
    document_ids: tuple[str, ...]
    labels: Mapping[str, int]
    hidden_chunks: int
    swept: bool
    writer: str | None


def read_status(index: Index) -> CollectionStatus:
    """Return what the collection holds now, and how its last writer left it.

    Raises:
        StoreError: the store failed.
    """
    catalog = Catalog.of(index.records().values())
    states = index.scroll("state", fields=("swept",))
    held = Counter(record.sensitivity for record in catalog.records.values())
    left = index.engine and other_places(index.engine, index.name, index.place)
    return CollectionStatus(
        collection=index.name,
        embedder=index.fingerprint.embedder,
        splitter=index.fingerprint.splitter,
        documents=len(catalog.records),
        chunks=catalog.chunk_count,
        characters=sum(record.characters for record in catalog.records.values()),
        document_ids=tuple(catalog.records),
        labels={label.value: held[label] for label in Sensitivity if held[label]},
        hidden_chunks=index.stored_chunk_count() - catalog.chunk_count,
        swept=all(state.payload["swept"] == "yes" for state in states)
        and not (left and (left.superseded or left.unfinished)),
        writer=next(map(holder_name, index.scroll("lease", fields=None)), None),
    )
