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


def label_now(documents: Iterable[str], index: Index) -> Sensitivity:
    """Return the highest label that documents, or copies of them, have by now; gone ones have none.

    Raises:
        WindowfitError: the store cannot be asked, or the collection is gone.
    """
    known = dict.fromkeys(documents, Sensitivity.PUBLIC)
    records = index.records(sorted(_with_copies(known, index)))
    return highest((Sensitivity.PUBLIC, *(one.sensitivity for one in records.values())))


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
