"""Looks once more at the labels of what is about to leave for a cloud, at the last moment."""

from __future__ import annotations

from collections.abc import Iterable

from chunking.document import Chunk
from chunking.errors import CollectionChanged
from chunking.sensitivity import Sensitivity, highest
from retrieval.index import Index


def refuse_outdated(shown: Iterable[Chunk], index: Index) -> None:
    """Raise where a document that a prompt shows is not what it was when that was planned.

    Raises:
        CollectionChanged: a document has a higher label now, or is gone.
        StoreError: the store cannot be asked.
    """
    labels: dict[str, Sensitivity] = {}
    for chunk in shown:
        known = labels.get(chunk.document, chunk.sensitivity)
        labels[chunk.document] = highest((chunk.sensitivity, known))
    if not labels:
        return
    # From the store, and not from the catalog, which may be seconds old.
    records = index.records(sorted(labels))
    changed = [
        name
        for name, label in labels.items()
        if name not in records or records[name].sensitivity > label
    ]
    if changed:
        index.forget()
        raise CollectionChanged(
            f"{len(changed)} of {len(labels)} documents in the prompt were removed or have a higher"
            " label since it was planned"
        )
