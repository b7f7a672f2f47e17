"""Brings the documents of a data set into a collection of its own."""

from __future__ import annotations

from collections.abc import Callable

from chunking.errors import InputError
from eval.datasets import RetrievalSet
from ingest.tally import Progress
from ingest.texts import document_file
from ingest.workbench import Workbench


def ingest_set(
    dataset: RetrievalSet,
    bench: Workbench,
    *,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> str:
    """Return the collection of a set that brings its documents, complete.

    What is stored already costs nothing, so a run that was killed is completed by the next one.

    Raises:
        InputError: a document cannot be ingested, and what is measured would not be the set.
    """
    collection = dataset.collection_name(bench.fingerprint)
    files = [document_file(document) for document in dataset.documents or ()]
    with bench.work(files, collection, prune=True, on_progress=on_progress) as ingest:
        report = ingest()
    if report.quarantined:
        first = report.quarantined[0]
        raise InputError(
            f"{len(report.quarantined)} documents of {dataset.name} cannot be ingested, "
            f"the first {first.name!r}: {first.reason}",
            hint=first.hint,
            param="dataset",
        )
    return collection
