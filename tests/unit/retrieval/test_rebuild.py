"""A collection moves by one write, and whoever has it open goes along."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from chunking.document import Document
from chunking.errors import (
    CollectionChanged,
    CollectionNotFound,
    EmbeddingModelMismatch,
    StoreLocked,
)
from chunking.split import Splitter
from retrieval import index as index_module
from retrieval.catalog import Catalog
from retrieval.embed import HashEmbedder
from retrieval.fingerprint import IndexFingerprint
from retrieval.index import Index
from retrieval.ledger import LEDGER
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.rebuild import Rebuild, begin_rebuild, open_stored
from retrieval.status import read_status
from retrieval.writer import GRACE_SECONDS, IndexWriter

EMBEDDER = HashEmbedder(dimension=16)
SPLITTER = Splitter(EMBEDDER.count_tokens, size=16, limit=32)
FINGERPRINT = fingerprint_of(EMBEDDER, SPLITTER)
OTHER = replace(FINGERPRINT, splitter="other")
ANY = np.full(16, 0.25, dtype=np.float32)


@pytest.fixture(autouse=True)
def ask_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers ask the store each time whether the collection changed."""
    monkeypatch.setattr(index_module, "LEASE_SECONDS", -1)


@pytest.fixture
def engine() -> MemoryEngine:
    engine = MemoryEngine()
    put(Index.create(engine, "c", FINGERPRINT), "old")
    return engine


@pytest.fixture
def reader(engine: MemoryEngine) -> Index:
    reader = Index.open(engine, "c", FINGERPRINT)
    assert shown(reader) == "It is old."
    return reader


def put(index: Index, word: str) -> None:
    document = Document("d", f"It is {word}.", "Title", "d.txt")
    chunks = SPLITTER.split(document)
    with IndexWriter(index, grace_seconds=0) as writer:
        writer.write(document, chunks, EMBEDDER.embed([one.embedded_text for one in chunks]))


def shown(index: Index) -> str:
    read = index.steady(lambda catalog: index.read(catalog=catalog))
    found = index.steady(lambda catalog: index.search(ANY, limit=9, catalog=catalog))
    assert {hit.chunk.id for hit in read} == {hit.chunk.id for hit in found}
    return "\n".join(hit.chunk.text for hit in read)


def rebuilding(
    engine: MemoryEngine, fingerprint: IndexFingerprint = FINGERPRINT
) -> Iterator[Rebuild]:
    with begin_rebuild(engine, "c", fingerprint, grace_seconds=0) as rebuild:
        put(rebuild.build, "new")
        yield rebuild


def die_after_switch(engine: MemoryEngine) -> None:
    """Switch, and die before the old place is removed."""

    def die(_: float) -> None:
        raise KeyboardInterrupt

    with begin_rebuild(engine, "c", FINGERPRINT, wait=die) as rebuild:
        put(rebuild.build, "new")
        with pytest.raises(KeyboardInterrupt):
            rebuild.switch()


def test_what_is_built_is_seen_after_the_switch_and_not_before(
    engine: MemoryEngine, reader: Index
) -> None:
    for rebuild in rebuilding(engine):
        assert shown(reader) == "It is old."
        assert shown(Index.open(engine, "c", FINGERPRINT)) == "It is old."
        rebuild.switch()
        assert shown(reader) == "It is new."
        assert shown(Index.open(engine, "c", FINGERPRINT)) == "It is new."
    assert engine.collections() == ("c@1", LEDGER)


@pytest.mark.parametrize("died", [False, True], ids=["gone", "still there"])
def test_a_search_of_the_current_state_follows_to_the_new_place(
    engine: MemoryEngine, reader: Index, died: bool
) -> None:
    if died:
        die_after_switch(engine)
    else:
        for rebuild in rebuilding(engine):
            rebuild.switch()
    assert [hit.chunk.text for hit in reader.search(ANY, limit=9)] == ["It is new."]


def test_a_rebuild_without_a_switch_changes_nothing(engine: MemoryEngine, reader: Index) -> None:
    for _ in rebuilding(engine):
        pass
    assert shown(reader) == "It is old."
    assert not read_status(reader).swept


def test_readers_have_their_grace_before_the_old_place_goes(
    engine: MemoryEngine, reader: Index
) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        assert "c" in engine.collections()

    with begin_rebuild(engine, "c", FINGERPRINT, wait=wait) as rebuild:
        rebuild.switch()
    assert waited == [GRACE_SECONDS]
    assert "c" not in engine.collections()
    assert shown(reader) == ""


def test_what_a_request_reads_on_both_sides_of_a_switch_it_reads_again(
    engine: MemoryEngine, reader: Index
) -> None:
    seen: list[str] = []

    def read(catalog: Catalog) -> str:
        if not seen:
            seen.append("began")
            for rebuild in rebuilding(engine):
                rebuild.switch()
        return reader.read(catalog=catalog)[0].chunk.text

    assert reader.steady(read) == "It is new."


def test_equal_collections_in_two_places_are_told_apart(
    engine: MemoryEngine, reader: Index
) -> None:
    catalog = reader.catalog()
    with begin_rebuild(engine, "c", FINGERPRINT, grace_seconds=0) as rebuild:
        put(rebuild.build, "old")
        rebuild.switch()
    with pytest.raises(CollectionChanged):
        reader.check(catalog)


@pytest.mark.parametrize("use", ["records", "documents", "stored_chunk_count"])
def test_whatever_is_asked_first_after_a_switch_is_answered_from_the_new_place(
    engine: MemoryEngine, reader: Index, use: str
) -> None:
    for rebuild in rebuilding(engine):
        rebuild.switch()
    if use == "records":
        assert list(reader.records()) == ["d"]
    elif use == "documents":
        assert [one.text for one in reader.documents()] == ["It is new."]
    else:
        assert reader.stored_chunk_count() == 1


def test_a_search_that_comes_too_late_is_to_be_sent_again(
    engine: MemoryEngine, reader: Index
) -> None:
    catalog = reader.catalog()
    for rebuild in rebuilding(engine):
        rebuild.switch()
    with pytest.raises(CollectionChanged, match="rebuilt while it was read"):
        reader.search(ANY, limit=1, catalog=catalog)
    assert shown(reader) == "It is new."


def test_a_scroll_that_is_cut_short_is_to_be_begun_again(
    engine: MemoryEngine, reader: Index
) -> None:
    class Cut(type(reader.points)):  # type: ignore[misc]
        def scroll(self, **_: object) -> Iterator[object]:
            yield next(super().scroll(where={}))
            raise CollectionNotFound("gone")

    points = reader.points
    reader.points = Cut(16, points.points)  # type: ignore[attr-defined]
    with pytest.raises(CollectionChanged):
        list(reader.scroll("chunk"))


def test_a_process_configured_otherwise_is_refused_from_the_switch_on(
    engine: MemoryEngine, reader: Index
) -> None:
    for rebuild in rebuilding(engine, OTHER):
        assert shown(reader) == "It is old."
        rebuild.switch()
    for _ in range(2):
        with pytest.raises(EmbeddingModelMismatch, match="splitter: stored 'other'") as caught:
            reader.catalog()
    assert "--rebuild" in caught.value.hint
    assert shown(Index.open(engine, "c", OTHER)) == "It is new."


def test_a_collection_that_is_gone_is_not_found(engine: MemoryEngine, reader: Index) -> None:
    engine.drop("c")
    with pytest.raises(CollectionNotFound, match="no collection 'c'"):
        reader.catalog()


# --- writers


def test_nobody_else_writes_while_a_collection_is_rebuilt(
    engine: MemoryEngine, reader: Index
) -> None:
    for _ in rebuilding(engine):
        with pytest.raises(StoreLocked):
            IndexWriter(reader)
        with pytest.raises(StoreLocked), begin_rebuild(engine, "c", OTHER):
            pass
    put(reader, "newer")


def test_who_opened_a_collection_before_it_moved_does_not_write_where_it_was(
    engine: MemoryEngine, reader: Index
) -> None:
    die_after_switch(engine)
    with pytest.raises(CollectionChanged, match="rebuilt since it was opened"):
        IndexWriter(reader)
    engine.drop("c")
    with pytest.raises(CollectionChanged, match="rebuilt since it was opened"):
        IndexWriter(reader)
    put(Index.open(engine, "c", FINGERPRINT), "newer")
    assert shown(reader) == "It is newer."


def test_readers_go_along_with_a_rebuild_that_died_behind_its_switch(
    engine: MemoryEngine, reader: Index
) -> None:
    die_after_switch(engine)
    assert engine.collections() == ("c", "c@1", LEDGER)
    assert shown(reader) == "It is new."


def test_the_next_writer_removes_what_is_superseded_after_the_grace(engine: MemoryEngine) -> None:
    die_after_switch(engine)
    waited: list[float] = []
    index = Index.open(engine, "c", FINGERPRINT)
    assert not read_status(index).swept
    with IndexWriter(index, wait=waited.append):
        pass
    assert waited == [GRACE_SECONDS]
    assert engine.collections() == ("c@1", LEDGER)
    assert read_status(index).swept


def test_a_writer_leaves_an_unfinished_rebuild_until_it_is_told_to_drop_it(
    engine: MemoryEngine, reader: Index
) -> None:
    for _ in rebuilding(engine):
        pass
    with IndexWriter(reader, grace_seconds=0) as writer:
        writer.finish()
        assert "c@1" in engine.collections()
        writer.drop_unfinished()
    assert engine.collections() == ("c", LEDGER)


def test_an_unfinished_rebuild_is_gone_on_with_only_for_its_own_fingerprint(
    engine: MemoryEngine,
) -> None:
    for _ in rebuilding(engine):
        pass
    with begin_rebuild(engine, "c", FINGERPRINT) as rebuild:
        assert list(rebuild.build.records()) == ["d"]
    with begin_rebuild(engine, "c", OTHER) as rebuild:
        assert list(rebuild.build.records()) == []
        assert rebuild.build.fingerprint == OTHER


def test_a_collection_is_opened_whatever_made_its_vectors(engine: MemoryEngine) -> None:
    assert open_stored(engine, "c").fingerprint == FINGERPRINT
    engine.create("empty", dimension=2, indexed=())
    for name in ("empty", "nowhere"):
        with pytest.raises(CollectionNotFound):
            open_stored(engine, name)
