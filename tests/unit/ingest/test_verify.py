"""Whatever is done to a collection behind Windowfit's back is named, and mended where it can be."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from chunking.document import Document
from chunking.errors import StoreError
from chunking.split import Splitter
from ingest.job import Ingestion, run_ingest
from ingest.texts import document_file
from ingest.verify import VerifyReport, repair, verify
from retrieval import index as index_module
from retrieval.audit import Defect
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine, MemoryPointStore
from retrieval.points import Point
from retrieval.providers import fingerprint_of
from retrieval.terms import Terms
from retrieval.writer import IndexWriter

EMBEDDER = HashEmbedder(dimension=16)
SPLITTER = Splitter(EMBEDDER.count_tokens, size=24, limit=48)
LINES = [f"Line {n} of many says that number {n * n} is a square." for n in range(6)]
DOCUMENTS = [
    Document(f"d{n}", "\n".join([*LINES[n:], LINES[0], LINES[0]]), f"Title {n}", f"d{n}.txt")
    for n in range(4)
]


@pytest.fixture
def store() -> MemoryPointStore:
    return MemoryPointStore(EMBEDDER.dimension)


@pytest.fixture
def index(store: MemoryPointStore) -> Index:
    engine = MemoryEngine({"c": store})
    index = Index.create(engine, "c", fingerprint_of(EMBEDDER, SPLITTER))
    run_ingest([document_file(one) for one in DOCUMENTS], begin(index))
    return index


def begin(index: Index) -> Ingestion:
    return Ingestion(IndexWriter(index, grace_seconds=0), EMBEDDER, SPLITTER)


def mend(index: Index) -> VerifyReport:
    return repair(index, lambda: begin(index))


def content(store: MemoryPointStore) -> dict[str, object]:
    """Return all that is stored but the generation, which a repair changes."""
    return {
        name: (
            {key: value for key, value in point.payload.items() if key != "generation"},
            None if point.vector is None else point.vector.tolist(),
            point.terms,
        )
        for name, point in store.points.items()
    }


def points(store: MemoryPointStore, kind: str) -> list[Point]:
    return [store.points[name] for name in sorted(store.points) if _kind(store, name) == kind]


def _kind(store: MemoryPointStore, name: str) -> str:
    return str(store.points[name].payload["kind"])


def change(store: MemoryPointStore, point: Point, **payload: Any) -> None:
    store.upsert([replace(point, payload={**point.payload, **payload})])


# One way each to break a chunk.


def lose(store: MemoryPointStore, point: Point) -> None:
    store.delete([point.id])


def copy(store: MemoryPointStore, point: Point) -> None:
    store.upsert([replace(point, id="f" * 32)])


def orphan(store: MemoryPointStore, point: Point) -> None:
    change(store, point, document="nobody's")


def rewrite(store: MemoryPointStore, point: Point) -> None:
    change(store, point, text=f"{point.payload['text']}!")


def retitle(store: MemoryPointStore, point: Point) -> None:
    change(store, point, path=["Elsewhere"])


def resketch(store: MemoryPointStore, point: Point) -> None:
    change(store, point, sketch=["0" * 16])


def turn(store: MemoryPointStore, point: Point) -> None:
    assert point.vector is not None
    store.upsert([replace(point, vector=np.roll(point.vector, 1))])


def strip(store: MemoryPointStore, point: Point) -> None:
    store.upsert([replace(point, vector=None)])


def forget_terms(store: MemoryPointStore, point: Point) -> None:
    store.upsert([replace(point, terms=None)])


def drop_term(store: MemoryPointStore, point: Point) -> None:
    assert point.terms is not None
    kept = Terms(point.terms.indices[1:], point.terms.weights[1:])
    store.upsert([replace(point, terms=kept)])


def reweigh(store: MemoryPointStore, point: Point) -> None:
    assert point.terms is not None
    doubled = tuple(2 * weight for weight in point.terms.weights)
    store.upsert([replace(point, terms=replace(point.terms, weights=doubled))])


def empty(store: MemoryPointStore, point: Point) -> None:
    keys = ("kind", "tenant", "document", "id")
    store.upsert([replace(point, payload={key: point.payload[key] for key in keys})])


BREAKAGES: Mapping[Any, set[Defect]] = {
    lose: {"missing"},
    copy: {"duplicate"},
    orphan: {"orphaned", "missing"},
    rewrite: {"altered"},
    retitle: {"altered"},
    resketch: {"altered"},
    turn: {"altered"},
    strip: {"altered"},
    forget_terms: {"altered"},
    drop_term: {"altered"},
    reweigh: {"altered"},
    empty: {"altered"},
}


def test_a_collection_as_it_was_written_has_no_defect(index: Index) -> None:
    report = verify(index)
    assert report.intact
    assert (report.documents, report.findings, report.counts) == (len(DOCUMENTS), (), {})
    assert report.chunks == index.chunk_count()


@pytest.mark.parametrize("breakage", BREAKAGES, ids=lambda breakage: breakage.__name__)
def test_every_breakage_is_named_and_mended(
    index: Index, store: MemoryPointStore, breakage: Any
) -> None:
    before = content(store)
    for point in points(store, "chunk")[::4]:
        breakage(store, point)
        report = verify(index)
        assert {finding.defect for finding in report.findings} == BREAKAGES[breakage]
        assert point.payload["id"] in {finding.chunk for finding in report.findings}
        assert mend(index).intact
        assert verify(index).findings == ()
        assert content(store) == before


@pytest.mark.parametrize("later", [False, True], ids=["at once", "after later runs"])
def test_readers_see_what_was_mended_though_the_records_are_as_they_were(
    index: Index, store: MemoryPointStore, monkeypatch: pytest.MonkeyPatch, later: bool
) -> None:
    monkeypatch.setattr(index_module, "LEASE_SECONDS", -1.0)
    reader = Index.open(MemoryEngine({"c": store}), "c")
    first = points(store, "chunk")[0]
    [vector] = EMBEDDER.embed([str(first.payload["text"])])
    rewrite(store, first)

    def read() -> str:
        hits = reader.search(vector, limit=100)
        return next(hit.chunk.text for hit in hits if hit.chunk.id == first.payload["id"])

    assert read() == f"{first.payload['text']}!"
    assert mend(index).intact
    if later:
        with IndexWriter(index, grace_seconds=0) as writer:
            writer.write(Document("e", "", "E", "e.txt"), (), EMBEDDER.embed([]))
        with IndexWriter(index, grace_seconds=0) as writer:
            writer.remove(["e"])
    assert read() == first.payload["text"]


def test_readers_see_what_a_second_repair_mended_after_the_first_died(
    index: Index, store: MemoryPointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "LEASE_SECONDS", -1.0)
    reader = Index.open(MemoryEngine({"c": store}), "c")
    first = points(store, "chunk")[0]
    [vector] = EMBEDDER.embed([str(first.payload["text"])])
    rewrite(store, first)
    altered = {hit.chunk.text for hit in reader.search(vector, limit=100)}
    writer = IndexWriter(index, grace_seconds=0)
    writer.discard([first.id])
    writer.close()

    assert mend(index).intact

    mended = {hit.chunk.text for hit in reader.search(vector, limit=100)}
    assert altered - mended == {f"{first.payload['text']}!"}


def test_a_hundred_corruptions_at_once_are_all_named_and_mended(
    index: Index, store: MemoryPointStore
) -> None:
    documents = [
        Document(f"e{n}", "\n".join(f"{line} {n}" for line in LINES), f"E {n}", f"e{n}.txt")
        for n in range(40)
    ]
    run_ingest([document_file(one) for one in documents], begin(index))
    before = content(store)
    rng = random.Random(4)
    injected = rng.sample(points(store, "chunk"), 100)
    for number, point in enumerate(injected):
        breakage = rng.choice([one for one in BREAKAGES if one is not copy])
        if number % 10 == 0:
            store.upsert([replace(point, id=f"{number:032x}")])
        else:
            breakage(store, point)

    report = verify(index)

    named = {finding.chunk for finding in report.findings}
    assert {str(point.payload["id"]) for point in injected} == named
    assert mend(index).intact
    assert content(store) == before


@pytest.mark.parametrize(
    "payload",
    [
        {"text": "Something else."},
        {"title": "Another title"},
        {"spans": [[0, 1]]},
        {"counts": {"words": {"whole": 1, "alone": [], "continued": []}}},
        {"chunk_ids": []},
        {"source": "elsewhere"},
    ],
)
def test_an_altered_document_is_named_and_read_anew_by_the_next_run(
    index: Index, store: MemoryPointStore, payload: dict[str, Any]
) -> None:
    before = content(store)
    change(store, points(store, "document")[0], **payload)
    name = str(points(store, "document")[0].payload["document"])

    report = verify(index)

    assert report.damaged == (name,)
    assert not mend(index).intact
    run_ingest([document_file(one) for one in DOCUMENTS], begin(index))
    assert verify(index).findings == ()
    assert content(store) == before


def test_a_repair_looks_again_once_it_holds_the_collection(
    index: Index, store: MemoryPointStore
) -> None:
    wanted = content(store)
    orphaned = points(store, "document")[0]
    store.delete([orphaned.id])
    assert verify(index).counts["orphaned"]

    def begin_late() -> Ingestion:
        # Another run ends between a look at the collection and the right to change it.
        run_ingest([document_file(one) for one in DOCUMENTS], begin(index))
        return begin(index)

    assert repair(index, begin_late).findings == ()
    assert content(store) == wanted


def test_a_record_that_cannot_be_read_stops_readers_and_is_removed_by_repair(
    index: Index, store: MemoryPointStore
) -> None:
    before = content(store)
    change(store, points(store, "document")[0], chunk_ids=None)
    index.forget()
    with pytest.raises(StoreError, match="damaged"):
        index.catalog()

    mend(index)

    assert len(index.catalog().records) == len(DOCUMENTS) - 1
    run_ingest([document_file(one) for one in DOCUMENTS], begin(index))
    assert content(store) == before
