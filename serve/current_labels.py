"""Looks once more at the labels of what is about to leave for a cloud, at the last moment."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from chunking.errors import CollectionChanged
from chunking.sensitivity import Sensitivity, highest
from retrieval.index import Index
from serve.context.assemble import ContextWindow


def planned_labels(context: ContextWindow) -> dict[str, Sensitivity]:
    """Return by document the label under which its text stands in a prompt.

    Those are the documents that are shown, and those whose chunks repeat a shown one and were left
    out for that: their text is there, too.
    """
    labels: dict[str, Sensitivity] = {}
    for chunk in context.chunks:
        known = labels.get(chunk.document, chunk.sensitivity)
        labels[chunk.document] = highest((chunk.sensitivity, known))
    homes = {entry.chunk: entry.document for entry in context.entries}
    for entry in context.entries:
        repeated = homes.get(entry.duplicate_of or "")
        if repeated in labels:
            labels.setdefault(entry.document, labels[repeated])
    return labels


def labels_now(documents: Iterable[str], index: Index) -> dict[str, Sensitivity]:
    """Return the highest label that each document, or a copy of it, has by now, gone ones left out.

    Raises:
        WindowfitError: the store cannot be asked, or the collection is gone.
    """
    catalog = index.catalog()
    copies = {name: (name, *catalog.copies(name)) for name in documents}
    records = index.records(sorted({one for same in copies.values() for one in same}))
    found: dict[str, Sensitivity] = {}
    for name, same in copies.items():
        labels = [records[one].sensitivity for one in same if one in records]
        if labels:
            found[name] = highest(labels)
    return found


def refuse_outdated(
    planned: Mapping[str, Sensitivity], index: Index, *, shown: Collection[str]
) -> None:
    """Raise where a document that a prompt shows is not what it was when that was planned.

    Documents that were read from the same bytes as one of these count as that one.

    Args:
        planned: see `planned_labels`.
        shown: those of them that must be there still.

    Raises:
        CollectionChanged: a document has a higher label now, or is gone.
        StoreError: the store cannot be asked.
    """
    if not planned:
        return
    allowed = _with_copies(planned, index)
    # From the store, and not from the catalog, which may be seconds old.
    records = index.records(sorted(allowed))
    raised = [name for name, one in records.items() if one.sensitivity > allowed[name]]
    gone = [name for name in shown if name not in records]
    if raised or gone:
        index.forget()
        raise CollectionChanged(
            f"{len(raised) + len(gone)} of {len(allowed)} documents in the prompt were removed or"
            " have a higher label since it was planned"
        )


def _with_copies(planned: Mapping[str, Sensitivity], index: Index) -> dict[str, Sensitivity]:
    """Return the labels with those of documents that were read from the same bytes as theirs."""
    catalog = index.catalog()
    labels = dict(planned)
    for name, label in planned.items():
        for copy in catalog.copies(name):
            labels.setdefault(copy, label)
    return labels
