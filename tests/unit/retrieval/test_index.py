"""Documents, chunks and records come back from a store as they went in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from chunking.document import Chunk, Document, Section, identified
from chunking.errors import CollectionNotFound, EmbeddingModelMismatch, InputError
from chunking.piece_counts import PieceCount, PieceCounts
from retrieval.catalog import FILTER_KEYS
from retrieval.fingerprint import IndexFingerprint
from retrieval.index import Index
from retrieval.memory import MemoryEngine, MemoryPointStore
from retrieval.points import Point, ScoredPoint, Vector, Where
from retrieval.records import DocumentRecord
from retrieval.scope import point_id, scoped
from retrieval.terms import Terms
from retrieval.writer import IndexWriter

FINGERPRINT = IndexFingerprint("hash:2", 2, "fields:200/256")
TEXT = "Climate: dry 🙂\nRivers: Chari\n"
CHAD = Document(
    "chad.json",
    TEXT,
    "Chad",
    "factbook/chad.json",
    media_type="application/json",
    sections=(Section(("Geography", "Climate"), 0, 14), Section(("Geography", "Rivers"), 15, 28)),
    aliases=("Tchad",),
)
PERU = replace(CHAD, id="peru.json", title="Peru", source="factbook/peru.json", aliases=())


@dataclass
class RecordingStore(MemoryPointStore):
    """Notes every call, writes and reads apart."""

    writes: list[tuple[str, list[str]]] = field(default_factory=list)
    reads: int = 0

    def upsert(self, points: Sequence[Point], *, only_if: Where | None = None) -> None:
        self.writes.append(("upsert", [str(point.payload["kind"]) for point in points]))
        super().upsert(points, only_if=only_if)

    def delete(self, ids: Sequence[str]) -> None:
        known = [self.points[i] for i in ids if i in self.points]
        self.writes.append(("delete", [str(point.payload["kind"]) for point in known]))
        super().delete(ids)

    def query(
        self,
        sought: Vector | Terms,
        *,
        limit: int,
        where: Where,
        ids: Sequence[str] | None = None,
        terms: Terms | None = None,
        bare: bool = False,
    ) -> list[ScoredPoint]:
        self.reads += 1
        return super().query(sought, limit=limit, where=where, ids=ids, terms=terms, bare=bare)


@pytest.fixture
def store() -> RecordingStore:
    return RecordingStore(dimension=2)


@pytest.fixture
def engine(store: RecordingStore) -> MemoryEngine:
    return MemoryEngine({"c": store})


@pytest.fixture
def index(engine: MemoryEngine) -> Index:
    return Index.create(engine, "c", FINGERPRINT)


def chunks_of(document: Document) -> tuple[Chunk, ...]:
    cut = (
        Chunk.of(document, start=s.start, end=s.end, path=s.path, position=position)
        for position, s in enumerate(document.sections)
    )
    return identified(cut, splitter=FINGERPRINT.splitter)


def rows(*pairs: tuple[float, float]) -> Vector:
    return np.array(pairs, dtype=np.float32).reshape(-1, 2)


COUNTS = {"words": PieceCounts(4, (PieceCount(1), PieceCount(3, 2)))}


def write(index: Index, document: Document) -> tuple[Chunk, ...]:
    chunks = chunks_of(document)
    with IndexWriter(index, grace_seconds=0) as writer:
        writer.write(document, chunks, rows((1, 0), (0, 1))[: len(chunks)], counts=COUNTS)
    return chunks


def texts(index: Index, where: Mapping[str, Sequence[str]] | None = None) -> list[str]:
    hits = index.search(rows((1, 0))[0], limit=9, where=where)
    return [f"{hit.chunk.title}: {hit.chunk.text}" for hit in hits]


# --- round trips


def test_a_document_comes_back_as_it_was(index: Index) -> None:
    write(index, CHAD)
    assert list(index.documents()) == [CHAD]


def test_chunks_come_back_as_they_were(index: Index) -> None:
    chunks = write(index, CHAD)
    assert tuple(hit.chunk for hit in index.read()) == chunks
    assert index.chunk_count() == 2


def test_a_record_says_what_a_document_is_without_its_text(index: Index) -> None:
    chunks = write(index, replace(CHAD, date="2026-01-22", digest="d1"))
    assert index.records() == {
        "chad.json": DocumentRecord(
            id="chad.json",
            title="Chad",
            source="factbook/chad.json",
            media_type="application/json",
            date="2026-01-22",
            digest="d1",
            version=CHAD.version,
            aliases=("Tchad",),
            chunk_ids=tuple(chunk.id for chunk in chunks),
            spans=((0, 14), (15, 28)),
            gaps=(None, "\n"),
            characters=len(TEXT),
            counts=COUNTS,
        )
    }


def test_documents_are_in_corpus_order_with_numbers_taken_as_numbers(index: Index) -> None:
    for name in ("part 10", "part 9", "chad.json", "part 9b", "²"):
        write(index, replace(CHAD, id=name))
    assert list(index.catalog().records) == ["chad.json", "part 9", "part 9b", "part 10", "²"]
    assert index.catalog().place("part 10") == 3


def test_documents_and_records_can_be_asked_for_by_name(index: Index) -> None:
    write(index, CHAD)
    write(index, PERU)
    assert [document.id for document in index.documents(["peru.json"])] == ["peru.json"]
    assert list(index.records(["peru.json", "unknown"])) == ["peru.json"]
    assert list(index.documents([])) == []
    assert index.records([]) == {}


def test_a_document_without_text_is_recorded_without_chunks(index: Index) -> None:
    empty = Document("empty", "", "Empty", "empty.txt")
    with IndexWriter(index) as writer:
        writer.write(empty, [], np.zeros((0, 2), dtype=np.float32))
    assert list(index.documents()) == [empty]
    assert index.records()["empty"].chunk_ids == ()
    assert index.chunk_count() == 0


def test_an_empty_collection_has_nothing(index: Index) -> None:
    assert (index.records(), list(index.documents()), index.chunk_count()) == ({}, [], 0)
    assert texts(index) == []


# --- fingerprint


def test_a_collection_keeps_the_fingerprint_it_was_made_with(engine: MemoryEngine) -> None:
    assert Index.create(engine, "c", FINGERPRINT).fingerprint == FINGERPRINT
    assert Index.create(engine, "c", FINGERPRINT).fingerprint == FINGERPRINT
    assert Index.open(engine, "c", FINGERPRINT).fingerprint == FINGERPRINT


@pytest.mark.parametrize("open_index", [Index.create, Index.open])
@pytest.mark.parametrize(
    ("other", "differing"),
    [
        (replace(FINGERPRINT, embedder="hash:3"), "embedder: stored 'hash:2', configured 'hash:3'"),
        (replace(FINGERPRINT, dimension=3), "dimension: stored 2, configured 3"),
        (replace(FINGERPRINT, splitter="x"), "splitter: stored 'fields:200/256', configured 'x'"),
    ],
)
def test_another_fingerprint_is_refused_before_anything_is_written_or_queried(
    engine: MemoryEngine,
    store: RecordingStore,
    open_index: type[Index],
    other: IndexFingerprint,
    differing: str,
) -> None:
    write(Index.create(engine, "c", FINGERPRINT), CHAD)
    before = len(store.writes)
    with pytest.raises(EmbeddingModelMismatch, match=differing) as caught:
        open_index(engine, "c", other)  # type: ignore[arg-type]
    assert caught.value.param == "collection"
    assert (len(store.writes), store.reads) == (before, 0)


def test_a_collection_that_is_not_ours_is_refused(engine: MemoryEngine) -> None:
    with pytest.raises(EmbeddingModelMismatch, match="stored None"):
        Index.open(engine, "c", FINGERPRINT)


def test_opening_does_not_create(engine: MemoryEngine) -> None:
    with pytest.raises(CollectionNotFound, match="existing collections: c"):
        Index.open(engine, "other", FINGERPRINT)
    assert engine.collections() == ("c",)


# --- search


def test_a_search_returns_chunks_nearest_first_and_how_they_were_found(index: Index) -> None:
    chunks = write(index, CHAD)
    first, second = index.search(rows((1, 0.1))[0], limit=5, via="named: Chad")
    assert (first.chunk, second.chunk) == chunks
    assert first.score > second.score
    assert (first.via, second.via) == ("named: Chad",) * 2
    assert index.search(rows((1, 0))[0], limit=1)[0].via == "question"


@pytest.mark.parametrize(
    "where",
    [
        {"document": ["chad.json"]},
        {"title": ["Chad"]},
        {"source": ["factbook/chad.json"]},
        {"title": ["Chad", "Peru"], "document": ["chad.json"]},
    ],
)
def test_a_filter_takes_the_chunks_it_names(index: Index, where: dict[str, list[str]]) -> None:
    write(index, CHAD)
    write(index, PERU)
    assert set(texts(index, where)) == {"Chad: Climate: dry 🙂", "Chad: Rivers: Chari"}


@pytest.mark.parametrize("key", ["tenant", "kind", "text", "id", "path", "Document", ""])
def test_a_filter_by_any_other_key_is_refused(
    index: Index, store: RecordingStore, key: str
) -> None:
    with pytest.raises(InputError, match="allowed keys") as caught:
        texts(index, {key: ["x"]})
    assert caught.value.param == "filter"
    assert all(allowed in caught.value.message for allowed in FILTER_KEYS)
    assert store.reads == 0


def test_a_search_of_a_dropped_collection_says_that_there_is_none(
    engine: MemoryEngine, index: Index
) -> None:
    write(index, CHAD)
    index.forget()
    engine.drop("c")
    with pytest.raises(CollectionNotFound):
        texts(index)


def test_records_are_never_hits(index: Index) -> None:
    write(index, CHAD)
    assert len(texts(index)) == 2


# --- counts, gaps, reading everything


def test_counts_of_another_form_of_piece_are_not_used(index: Index, store: RecordingStore) -> None:
    write(index, CHAD)
    for point in list(store.points.values()):
        if point.payload["kind"] == "document":
            store.points[point.id] = replace(point, payload={**point.payload, "piece_form": 0})

    assert index.records()["chad.json"].counts == {}


def test_a_hit_knows_the_white_space_before_its_chunk(index: Index) -> None:
    first, second = write(index, CHAD)
    gaps = {hit.chunk.id: hit.gap for hit in index.search(rows((1, 0))[0], limit=9)}

    assert gaps == {first.id: None, second.id: CHAD.text[first.end : second.start]}


def test_other_text_between_two_chunks_is_no_gap(index: Index) -> None:
    first, second = chunks_of(CHAD)
    shorter = replace(first, end=first.end - 3, text=first.text[:-3])
    with IndexWriter(index) as writer:
        writer.write(CHAD, [shorter, second], rows((1, 0), (0, 1)))

    assert {hit.gap for hit in index.read()} == {None}


def test_reading_everything_yields_each_chunk_that_passes_the_filter(index: Index) -> None:
    chunks = {chunk.id for chunk in (*write(index, CHAD), *write(index, PERU))}

    assert {hit.chunk.id for hit in index.read()} == chunks
    assert {hit.chunk.title for hit in index.read({"title": ("Peru",)})} == {"Peru"}
    with pytest.raises(InputError, match="cannot filter by"):
        list(index.read({"tenant": ("other",)}))


@pytest.mark.parametrize(
    ("where", "named"),
    [
        ({"title": "Peru and Chad"}, "title"),
        ({"document": "chad"}, "document"),
        ({"sensitivity": ("secret", "public")}, "secret"),
        ({"sensitivity": ("PUBLIC",)}, "PUBLIC"),
    ],
)
def test_a_filter_that_would_pass_others_or_nothing_by_mistake_is_refused(
    index: Index, where: dict[str, Any], named: str
) -> None:
    write(index, CHAD)
    write(index, PERU)
    with pytest.raises(InputError, match=named) as caught:
        list(index.read(where))
    assert caught.value.param == "filter"
    with pytest.raises(InputError, match=named):
        index.search(rows((1, 0))[0], limit=3, where=where)


def test_a_collection_made_before_there_were_terms_is_refused_with_the_way_out() -> None:
    engine = MemoryEngine()
    Index.create(engine, "c", replace(FINGERPRINT, terms=""))
    with pytest.raises(EmbeddingModelMismatch, match="terms: stored ''") as caught:
        Index.open(engine, "c", FINGERPRINT)
    assert "--rebuild" in (caught.value.hint or "")


def test_a_fingerprint_stored_without_a_scheme_of_terms_is_one_of_none() -> None:
    store = MemoryPointStore(2)
    plain = {"embedder": "hash:2", "dimension": 2, "splitter": "fields:200/256"}
    store.upsert([Point(point_id("fingerprint"), scoped("fingerprint", plain))])
    assert Index.open(MemoryEngine({"c": store}), "c").fingerprint.terms == ""
