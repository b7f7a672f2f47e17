"""On every engine a hit has the label of its document, and a new label comes without vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from chunking.sensitivity import Sensitivity
from ingest.job import Ingestion, run_ingest
from ingest.labels import Labelling
from ingest.rebuild import run_rebuild
from ingest.tally import IngestReport
from ingest.texts import document_file
from ingest.verify import verify
from retrieval.catalog import FILTER_KEYS
from retrieval.index import Index
from retrieval.providers import fingerprint_of
from retrieval.writer import IndexWriter
from scripts.prove_ingest.corpus import Corpus
from scripts.prove_ingest.rebuilds import OLD
from tests.contract.workbench import Workbench

CORPUS = Corpus(documents=4, lines=6)
FINGERPRINT = fingerprint_of(OLD.embedder, OLD.splitter)
INTERNAL, RESTRICTED = Sensitivity.INTERNAL, Sensitivity.RESTRICTED


def begin(index: Index) -> Ingestion:
    return Ingestion(IndexWriter(index, grace_seconds=0), OLD.embedder, OLD.splitter)


def ingest(bench: Workbench, label: Sensitivity | None) -> IngestReport:
    index = Index.create(bench.engine, bench.collection, FINGERPRINT)
    documents = list(map(document_file, CORPUS.edition(1)))
    return run_ingest(Labelling(run=label).apply(documents), begin(index))


def found(bench: Workbench, where: Any = None) -> dict[str, Sensitivity]:
    """Return the labels of the hits of a search by vector and of all that is read."""
    index = Index.open(bench.engine, bench.collection, FINGERPRINT)
    vector = OLD.embedder.embed(["line"])[0]
    hits = index.search(vector, limit=1000, where=where)
    labels = {hit.chunk.document: hit.chunk.sensitivity for hit in hits}
    read = {hit.chunk.document: hit.chunk.sensitivity for hit in index.read(where)}
    assert labels == read
    assert verify(index).intact
    return labels


@pytest.fixture
def labelled(bench: Workbench) -> Iterator[Workbench]:
    """A collection without a word on labels, whose places are all dropped afterwards."""
    ingest(bench, None)
    yield bench
    for place in bench.engine.collections():
        if place.partition("@")[0] == bench.collection:
            bench.engine.drop(place)


def test_a_label_comes_and_goes_without_vectors_and_survives_a_rebuild(
    labelled: Workbench,
) -> None:
    bench = labelled
    assert set(found(bench).values()) == {INTERNAL}
    done = ingest(bench, RESTRICTED)
    assert (done.relabelled, done.embedded_chunks) == (done.files, 0)
    assert set(found(bench).values()) == {RESTRICTED}
    options: dict[str, Any] = {"fingerprint": FINGERPRINT, "grace_seconds": 0}
    run_rebuild(None, bench.engine, bench.collection, begin, **options)
    assert set(found(bench).values()) == {RESTRICTED}
    assert ingest(bench, Sensitivity.PUBLIC).embedded_chunks == 0
    assert set(found(bench).values()) == {Sensitivity.PUBLIC}


def test_a_label_is_a_key_to_filter_by(labelled: Workbench) -> None:
    assert "sensitivity" in FILTER_KEYS
    index = Index.open(labelled.engine, labelled.collection, FINGERPRINT)
    first = min(index.records())
    with IndexWriter(index, grace_seconds=0) as writer:
        writer.relabel({first: RESTRICTED})
    assert found(labelled, {"sensitivity": ["restricted"]}) == {first: RESTRICTED}
    assert first not in found(labelled, {"sensitivity": ["public", "internal"]})
