"""A label that changes is in force for every reader, whatever happens to the writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Document
from chunking.errors import StoreError
from chunking.sensitivity import Sensitivity
from chunking.split import Splitter
from ingest.verify import verify
from retrieval import index as index_module
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine, MemoryPointStore
from retrieval.points import Point, Where
from retrieval.providers import fingerprint_of
from retrieval.scope import point_id
from retrieval.state import read_state
from retrieval.writer import IndexWriter

EMBEDDER = HashEmbedder(dimension=16)
SPLITTER = Splitter(EMBEDDER.count_tokens, size=16, limit=32)
TEXT = "\n".join(f"Line {n} says this and that and more of it." for n in range(8))
PUBLIC, RESTRICTED = Sensitivity.PUBLIC, Sensitivity.RESTRICTED


@dataclass
class WatchedStore(MemoryPointStore):
    """Calls back after every write, and fails when no writes are left."""

    after: Callable[[], None] = lambda: None
    writes_left: int = 1_000_000
    chunk_writes: list[int] = field(default_factory=list)

    def upsert(self, points: Sequence[Point], *, only_if: Where | None = None) -> None:
        if not self.writes_left:
            raise StoreError("the store is down")
        self.writes_left -= 1
        self.chunk_writes.append(sum(point.payload["kind"] == "chunk" for point in points))
        super().upsert(points, only_if=only_if)
        self.after()


def opened(store: WatchedStore) -> Index:
    """Return the collection as a process of its own sees it."""
    return Index.create(MemoryEngine({"c": store}), "c", fingerprint_of(EMBEDDER, SPLITTER))


def document(label: Sensitivity, *, name: str = "d", text: str = TEXT) -> Document:
    return Document(name, text, "Title", f"{name}.txt", digest=name, sensitivity=label)


def put(index: Index, *documents: Document) -> None:
    with IndexWriter(index, grace_seconds=0) as writer:
        for one in documents:
            chunks = SPLITTER.split(one)
            missing = writer.missing(one.id, chunks)
            writer.stage(missing, EMBEDDER.embed([chunk.embedded_text for chunk in missing]))
            writer.commit(one, chunks, {})


def relabel(index: Index, label: Sensitivity, *names: str) -> None:
    with IndexWriter(index, grace_seconds=0) as writer:
        writer.relabel(dict.fromkeys(names or ("d",), label))
        writer.publish()


def labels(index: Index) -> set[Sensitivity]:
    """Return the labels of all that a search finds now."""
    vector = EMBEDDER.embed(["Line 3 says this"])[0]
    return {hit.chunk.sensitivity for hit in index.search(vector, limit=100)}


@pytest.fixture
def store() -> WatchedStore:
    store = WatchedStore(dimension=EMBEDDER.dimension)
    put(opened(store), document(PUBLIC))
    return store


@pytest.fixture
def no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have readers ask each time whether the collection changed, as after two seconds."""
    monkeypatch.setattr(index_module, "LEASE_SECONDS", -1.0)


def test_every_hit_and_every_chunk_that_is_read_carries_the_label_of_its_document(
    store: WatchedStore,
) -> None:
    index = opened(store)
    put(index, document(RESTRICTED, name="e"))
    assert {(hit.chunk.document, hit.chunk.sensitivity) for hit in index.read()} == {
        ("d", PUBLIC),
        ("e", RESTRICTED),
    }
    assert labels(index) == {PUBLIC, RESTRICTED}
    assert {one.id: one.sensitivity for one in index.documents()} == {"d": PUBLIC, "e": RESTRICTED}


def test_a_label_changes_by_one_write_of_the_record_and_none_of_a_chunk(
    store: WatchedStore,
) -> None:
    store.chunk_writes.clear()
    relabel(opened(store), RESTRICTED)
    assert labels(opened(store)) == {RESTRICTED}
    assert sum(store.chunk_writes) == 0
    assert verify(opened(store)).intact


def test_a_writer_that_gives_the_same_label_writes_nothing(store: WatchedStore) -> None:
    index = opened(store)
    with IndexWriter(index, grace_seconds=0) as writer:
        before = len(store.chunk_writes)
        writer.relabel({"d": PUBLIC, "unknown": RESTRICTED})
        assert len(store.chunk_writes) == before


@pytest.mark.usefixtures("no_lease")
@pytest.mark.parametrize("writes", range(12))
def test_wherever_a_writer_dies_a_reader_sees_what_the_record_says(
    store: WatchedStore, writes: int
) -> None:
    reader = opened(store)
    assert labels(reader) == {PUBLIC}
    store.writes_left = writes
    with suppress(StoreError):
        relabel(opened(store), RESTRICTED)
    record = store.points[point_id("document", "d")].payload["sensitivity"]
    assert labels(reader) == labels(opened(store)) == {Sensitivity(record)}
    store.writes_left = 1_000_000
    relabel(opened(store), RESTRICTED)
    assert labels(reader) == {RESTRICTED}
    assert verify(opened(store)).intact


@pytest.mark.usefixtures("no_lease")
def test_after_every_write_readers_old_and_new_see_one_label_and_the_same(
    store: WatchedStore,
) -> None:
    reader, seen = opened(store), []
    assert labels(reader) == {PUBLIC}

    def look() -> None:
        [old], [new] = labels(reader), labels(opened(store))
        assert old is new
        seen.append(old)

    store.after = look
    relabel(opened(store), RESTRICTED)
    assert seen == sorted(seen)
    assert seen[-1] is RESTRICTED


@pytest.mark.usefixtures("no_lease")
def test_a_new_text_and_its_label_come_together(store: WatchedStore) -> None:
    reader, seen = opened(store), set()

    def look() -> None:
        for hit in reader.steady(lambda catalog: reader.read(catalog=catalog)):
            seen.add(("secret" in hit.chunk.text, hit.chunk.sensitivity))

    store.after = look
    put(opened(store), document(RESTRICTED, text="The secret is told here."))
    assert seen == {(False, PUBLIC), (True, RESTRICTED)}


@pytest.mark.usefixtures("no_lease")
@pytest.mark.parametrize("label", Sensitivity)
def test_a_collection_at_rest_shows_a_change_of_its_labels_alone(
    store: WatchedStore, label: Sensitivity
) -> None:
    reader = opened(store)
    assert labels(reader) == {PUBLIC}
    relabel(opened(store), label)
    assert "labelling" not in read_state(opened(store))
    assert labels(reader) == {label}


@pytest.mark.parametrize(("label", "waits"), [(RESTRICTED, [7.0]), (PUBLIC, [])])
def test_a_run_that_raised_a_label_ends_when_no_reader_goes_by_the_old_one(
    store: WatchedStore, label: Sensitivity, waits: list[float]
) -> None:
    put(opened(store), document(Sensitivity.INTERNAL))
    waited: list[float] = []
    with IndexWriter(opened(store), grace_seconds=7.0, wait=waited.append) as writer:
        writer.relabel({"d": label})
    assert waited == waits


def test_a_record_without_a_label_is_internal_unless_the_settings_protect_more(
    store: WatchedStore,
) -> None:
    name = point_id("document", "d")
    payload = dict(store.points[name].payload)
    del payload["sensitivity"]
    store.points[name] = Point(name, payload)
    index = opened(store)
    assert labels(index) == {Sensitivity.INTERNAL}
    for setting, label in ((PUBLIC, Sensitivity.INTERNAL), (RESTRICTED, RESTRICTED)):
        index = opened(store)
        index.unlabelled = setting
        assert labels(index) == {label}


def test_a_stored_label_that_cannot_be_read_protects_and_is_named_as_altered(
    store: WatchedStore,
) -> None:
    name = point_id("document", "d")
    store.points[name] = Point(name, {**store.points[name].payload, "sensitivity": "publik"})
    assert labels(opened(store)) == {RESTRICTED}
    assert [one.defect for one in verify(opened(store)).findings] == ["altered"]


def test_a_label_that_was_changed_behind_the_back_is_found_and_not_sealed_by_another(
    store: WatchedStore,
) -> None:
    name = point_id("document", "d")
    store.points[name] = Point(name, {**store.points[name].payload, "title": "Another"})
    relabel(opened(store), RESTRICTED)
    assert labels(opened(store)) == {RESTRICTED}
    assert [one.defect for one in verify(opened(store)).findings] == ["altered"]


@given(st.lists(st.tuples(st.sampled_from("de"), st.sampled_from(Sensitivity)), max_size=8))
def test_equal_texts_keep_each_their_own_label_and_the_last_one_given_holds(
    changes: list[tuple[str, Sensitivity]],
) -> None:
    store = WatchedStore(dimension=EMBEDDER.dimension)
    put(opened(store), document(PUBLIC), document(PUBLIC, name="e"))
    for name, label in changes:
        relabel(opened(store), label, name)
    expected = {"d": PUBLIC, "e": PUBLIC} | dict(changes)
    found = {hit.chunk.document: hit.chunk.sensitivity for hit in opened(store).read()}
    assert found == expected
