"""Readers see a document as it was or as it is, whatever happens to the writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pytest

from chunking.document import Chunk, Document
from chunking.errors import CollectionChanged, StoreError
from chunking.piece_counts import PieceCount, PieceCounts
from chunking.split import Splitter
from retrieval import index as index_module
from retrieval.catalog import Catalog
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine, MemoryPointStore
from retrieval.points import Point, Where
from retrieval.providers import fingerprint_of
from retrieval.writer import GRACE_SECONDS, IndexWriter

EMBEDDER = HashEmbedder(dimension=16)
SPLITTER = Splitter(EMBEDDER.count_tokens, size=16, limit=32)
LINES = [f"Line {n} says this and that and more of it." for n in range(8)]


@dataclass
class WatchedStore(MemoryPointStore):
    """Calls back after every write, notes what was written, and may fail."""

    after: Callable[[], None] = lambda: None
    writes: list[str] = field(default_factory=list)
    writes_left: int = 1_000_000

    def upsert(self, points: Sequence[Point], *, only_if: Where | None = None) -> None:
        self._spend()
        kinds = {str(point.payload["kind"]) for point in points}
        if kinds != {"lease"}:
            self.writes.append(f"upsert {'+'.join(sorted(kinds))}")
        super().upsert(points, only_if=only_if)
        self.after()

    def delete(self, ids: Sequence[str]) -> None:
        self._spend()
        kinds = {str(self.points[name].payload["kind"]) for name in ids if name in self.points}
        self.writes.append(f"delete {'+'.join(sorted(kinds))}")
        super().delete(ids)
        self.after()

    def _spend(self) -> None:
        if not self.writes_left:
            raise StoreError("the store is down")
        self.writes_left -= 1


@pytest.fixture
def store() -> WatchedStore:
    return WatchedStore(dimension=EMBEDDER.dimension)


@pytest.fixture
def index(store: WatchedStore) -> Index:
    return opened(store)


def opened(store: WatchedStore) -> Index:
    """Return the collection as a process of its own sees it."""
    engine = MemoryEngine({"c": store})
    return Index.create(engine, "c", fingerprint_of(EMBEDDER, SPLITTER))


def document(*lines: str, name: str = "d") -> Document:
    return Document(name, "\n".join(lines), "Title", f"{name}.txt")


def put(index: Index, *documents: Document) -> int:
    """Write the documents as a run does; return how many chunks were embedded."""
    embedded = 0
    with IndexWriter(index, grace_seconds=0) as writer:
        for each in documents:
            chunks = SPLITTER.split(each)
            missing = writer.missing(each.id, chunks)
            writer.stage(missing, embed(missing))
            writer.commit(each, chunks, {})
            embedded += len(missing)
    return embedded


def stage(index: Index, chunks: Sequence[Chunk]) -> None:
    """Store chunks as a writer does that dies before it makes them visible."""
    writer = IndexWriter(index)
    writer.stage(chunks, embed(chunks))
    writer.close()


def embed(chunks: Sequence[Chunk]) -> np.ndarray:
    return EMBEDDER.embed([chunk.embedded_text for chunk in chunks])


def shown(index: Index) -> str:
    """Return what a reader sees of the collection."""
    return "\n".join(hit.chunk.text for hit in index.read())


def content(store: WatchedStore) -> dict[str, object]:
    return {name: dict(point.payload) for name, point in sorted(store.points.items())}


# --- what is written


def test_chunks_come_before_the_record_and_stale_ones_go_last(
    index: Index, store: WatchedStore
) -> None:
    put(index, document(*LINES))
    store.writes.clear()
    put(index, document(*LINES[:4], "Another line stands here now, in their place."))
    assert store.writes == [
        "upsert state",
        "upsert chunk",
        "upsert document",
        "upsert state",
        "delete chunk",
        "upsert state",
    ]


def test_a_line_in_front_moves_the_chunks_behind_it_and_embeds_none_of_them(index: Index) -> None:
    old = document(*LINES)
    assert put(index, old) == len(SPLITTER.split(old)) == len(LINES)

    moved = document("A new line has come first today.", *LINES)

    assert put(index, moved) == 1
    hits = index.read()
    assert [hit.chunk.position for hit in hits] == list(range(len(LINES) + 1))
    assert all(moved.text[hit.chunk.start : hit.chunk.end] == hit.chunk.text for hit in hits)
    assert [hit.gap for hit in hits] == [None] + ["\n"] * len(LINES)


def test_equal_chunks_of_a_document_are_kept_apart(index: Index) -> None:
    put(index, document(LINES[0], LINES[0], LINES[1], LINES[0]))
    assert shown(index) == "\n".join([LINES[0], LINES[0], LINES[1], LINES[0]])
    assert put(index, document(LINES[0], LINES[1], LINES[0])) == 0
    assert shown(index) == "\n".join([LINES[0], LINES[1], LINES[0]])


def test_new_counts_leave_chunks_and_vectors_alone(index: Index, store: WatchedStore) -> None:
    put(index, document(*LINES))
    store.writes.clear()
    counts = {"words": PieceCounts(9, (PieceCount(4),) * len(LINES))}
    with IndexWriter(index) as writer:
        writer.commit(document(*LINES), SPLITTER.split(document(*LINES)), counts)
    assert index.records()["d"].counts == counts
    assert store.writes == ["upsert state", "upsert document", "upsert state", "upsert state"]


def test_a_writer_that_changes_nothing_writes_nothing(index: Index, store: WatchedStore) -> None:
    put(index, document(*LINES))
    store.writes.clear()
    with IndexWriter(index):
        pass
    assert store.writes == []


def test_equal_collections_are_equal_whatever_their_history(
    index: Index, store: WatchedStore
) -> None:
    put(index, document(*LINES), document(*LINES[:2], name="e"))
    put(index, document(*LINES[4:]))
    with IndexWriter(index, grace_seconds=0) as writer:
        writer.remove(["e", "unknown"])
    fresh = WatchedStore(dimension=EMBEDDER.dimension)
    put(opened(fresh), document(*LINES[4:]))
    assert content(store) == content(fresh)


def test_chunks_and_vectors_must_be_as_many(index: Index) -> None:
    chunks = SPLITTER.split(document(*LINES))
    with pytest.raises(ValueError, match="zip"), IndexWriter(index) as writer:
        writer.write(document(*LINES), chunks, embed(chunks[:2]))
    assert index.records() == {}


def test_a_writer_that_stalled_cannot_write_over_its_successor(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = document("One line."), document("Another line.")
    stalled = IndexWriter(index, grace_seconds=0)
    chunks = SPLITTER.split(old)
    stalled.stage(chunks, embed(chunks))
    # Its beat stands still and its process is taken for dead.
    stalled._lease._stop.set()
    monkeypatch.setattr("retrieval.lease.Holder.gone", property(lambda _: True))
    put(index, new)
    monkeypatch.setattr("retrieval.lease.PATIENCE_SECONDS", 0.0)
    with pytest.raises(StoreError, match="another writer took over"):
        stalled.commit(old, chunks, {})
    with pytest.raises(StoreError, match="another writer took over"):
        stalled.stage(chunks, embed(chunks))
    stalled.close()
    assert shown(index) == "Another line."


def test_nothing_is_removed_before_readers_had_time_to_look_again(index: Index) -> None:
    waits: list[float] = []
    put(index, document(*LINES))
    with IndexWriter(index, wait=waits.append) as writer:
        writer.write(document("One."), (one := SPLITTER.split(document("One."))), embed(one))
        assert waits == []
        assert writer.finish() == len(LINES)
    assert waits == [GRACE_SECONDS]
    assert GRACE_SECONDS > index_module.LEASE_SECONDS


# --- what a reader sees


def test_after_every_write_a_reader_sees_the_old_version_or_the_new_one(
    store: WatchedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_module, "LEASE_SECONDS", -1.0)
    old, new = document(*LINES), document(*LINES[2:6], "Another line stands here now.")
    put(opened(store), old)
    reader = opened(store)
    seen: dict[str, list[str]] = {"known": [], "fresh": []}
    query = EMBEDDER.embed(["Title Line says this and that"])[0]

    def look() -> None:
        for name, each in (("known", reader), ("fresh", opened(store))):
            seen[name].append(each.steady(partial(text_under, each)))

    def text_under(each: Index, catalog: Catalog) -> str:
        hits = each.search(query, limit=99, catalog=catalog)
        return "\n".join(hit.chunk.text for hit in sorted(hits, key=lambda h: h.chunk.start))

    store.after = look
    put(opened(store), new)

    for texts in seen.values():
        assert {old.text, new.text} == set(texts)
        assert texts == sorted(texts, key=[old.text, new.text].index)


def test_a_removed_document_is_gone_at_once_and_its_chunks_with_the_end(
    index: Index, store: WatchedStore
) -> None:
    put(index, document(*LINES), document(*LINES[:2], name="e"))
    with IndexWriter(index, grace_seconds=0) as writer:
        writer.remove(["d"])
        assert shown(opened(store)) == "\n".join(LINES[:2])
        assert writer.finish() == len(LINES)
    assert sum(p.payload["kind"] == "chunk" for p in store.points.values()) == 2


def test_versions_that_are_not_visible_take_no_place_among_the_hits(index: Index) -> None:
    put(index, document(*LINES))
    rivals = SPLITTER.split(document(*(f"{line} Rival." for line in LINES)))
    stage(index, rivals)
    query = EMBEDDER.embed(["Line says this and that and more of it. Rival."])[0]
    assert len(index.search(query, limit=len(LINES))) == len(LINES)
    assert len(index.search(query, limit=3)) == 3


def test_a_reading_that_outlives_its_lease_asks_whether_the_collection_changed(
    index: Index, store: WatchedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(index, document(*LINES))
    catalog = index.catalog()
    put(opened(store), document(*LINES[:3]))
    index.check(catalog)  # within the lease nothing that it names is removed
    monkeypatch.setattr(index_module, "LEASE_SECONDS", -1.0)
    with pytest.raises(CollectionChanged, match="'c' changed"):
        index.check(catalog)
    index.check(index.catalog())


def test_a_missing_chunk_is_never_passed_over_in_silence(index: Index, store: WatchedStore) -> None:
    put(index, document(*LINES))
    name = next(p.id for p in store.points.values() if p.payload["kind"] == "chunk")
    store.delete([name])
    with pytest.raises(CollectionChanged, match="holds 7 of the 8 chunks"):
        index.read()


# --- a writer that dies


@pytest.mark.parametrize("second", [LINES[4:], LINES[2:6]])
def test_whatever_write_was_the_last_the_next_run_ends_as_if_there_had_been_one(
    second: list[str],
) -> None:
    killed = [document(*LINES[:5], "Killed."), document("Killed, too.", name="e")]
    new = [document(*second), document(LINES[0], name="e")]
    expected = WatchedStore(dimension=EMBEDDER.dimension)
    put(opened(expected), *new)
    after = 0
    while True:
        store = WatchedStore(dimension=EMBEDDER.dimension)
        put(opened(store), document(*LINES), document(*LINES[:2], name="e"))
        store.writes_left = after
        try:
            put(opened(store), *killed)
        except StoreError:
            store.writes_left = 1_000_000
        else:
            break
        put(opened(store), *new)
        assert content(store) == content(expected), f"after {after} writes"
        after += 1
    assert after >= 7


def test_chunks_that_a_dead_writer_stored_are_not_embedded_again(
    index: Index, store: WatchedStore
) -> None:
    put(index, document(*LINES[:2]))
    chunks = SPLITTER.split(document(*LINES))
    stage(index, chunks[2:6])
    assert put(opened(store), document(*LINES)) == 2
    assert shown(opened(store)) == "\n".join(LINES)
