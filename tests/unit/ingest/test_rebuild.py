"""A rebuilt collection is that of an ingestion into an empty store, and no document is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import pytest

from chunking.document import Document
from chunking.errors import (
    CollectionNotFound,
    EmbeddingModelMismatch,
    StoreError,
    StoreLocked,
    UnreadableDocument,
)
from chunking.split import Splitter
from ingest import job
from ingest.job import Ingestion, run_ingest
from ingest.plan import IngestPlan, plan_ingest
from ingest.rebuild import plan_rebuild, run_rebuild
from ingest.tally import IngestReport, Progress
from ingest.texts import SourceFile, document_file
from ingest.verify import verify
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.ledger import LEDGER
from retrieval.memory import MemoryEngine, MemoryPointStore
from retrieval.points import Engine, Point, PointStore, Where
from retrieval.providers import fingerprint_of
from retrieval.rebuild import begin_rebuild
from retrieval.writer import IndexWriter

SENTENCES = 12


@dataclass(frozen=True)
class Cut:
    """How a collection is cut and embedded."""

    dimension: int
    size: int

    @property
    def embedder(self) -> HashEmbedder:
        return HashEmbedder(self.dimension)

    @property
    def splitter(self) -> Splitter:
        return Splitter(self.embedder.count_tokens, size=self.size, limit=2 * self.size)

    def begin(self, index: Index) -> Ingestion:
        return Ingestion(IndexWriter(index, grace_seconds=0), self.embedder, self.splitter)

    def ingest(self, files: Sequence[SourceFile], engine: Engine) -> IngestReport:
        index = Index.create(engine, "c", fingerprint_of(self.embedder, self.splitter))
        return run_ingest(files, self.begin(index))

    def rebuild(
        self,
        files: Sequence[SourceFile] | None,
        engine: Engine,
        *,
        prune: bool = False,
        progress: list[Progress] | None = None,
    ) -> IngestReport:
        return run_rebuild(
            files,
            engine,
            "c",
            self.begin,
            fingerprint=fingerprint_of(self.embedder, self.splitter),
            prune=prune,
            grace_seconds=0,
            on_progress=(progress if progress is not None else []).append,
        )

    def plan(self, files: Sequence[SourceFile] | None, engine: Engine) -> IngestPlan:
        planning = partial(
            plan_ingest,
            collection="c",
            splitter=self.splitter,
            embedder=self.embedder,
            measured=False,
        )
        return plan_rebuild(files, engine, "c", planning)

    def open(self, engine: Engine) -> Index:
        return Index.open(engine, "c", fingerprint_of(self.embedder, self.splitter))


OLD, NEW = Cut(dimension=16, size=16), Cut(dimension=24, size=40)


@dataclass
class FailingStore(MemoryPointStore):
    """Acknowledges so many writes, among all stores of its engine, and refuses those after them."""

    left: list[int] = field(default_factory=lambda: [1_000_000])

    def upsert(self, points: Sequence[Point], *, only_if: Where | None = None) -> None:
        spend(self.left)
        super().upsert(points, only_if=only_if)

    def delete(self, ids: Sequence[str]) -> None:
        spend(self.left)
        super().delete(ids)


@dataclass
class FailingEngine(MemoryEngine):
    """An engine of `FailingStore`s."""

    left: list[int] = field(default_factory=lambda: [1_000_000])

    def create(self, collection: str, *, dimension: int, indexed: Sequence[str]) -> PointStore:
        del indexed
        if collection not in self.stores:
            spend(self.left)
            self.stores[collection] = FailingStore(dimension, left=self.left)
        return self.stores[collection]

    def drop(self, collection: str) -> None:
        spend(self.left)
        super().drop(collection)


def spend(left: list[int]) -> None:
    if not left[0]:
        raise StoreError("the store is down")
    left[0] -= 1


def document(number: int, word: str = "word") -> Document:
    text = "\n".join(f"Sentence {line} of {number} says {word}." for line in range(SENTENCES))
    return Document(f"d{number}", text, f"Title {number}", f"d{number}.txt")


def files_of(*documents: Document) -> list[SourceFile]:
    return [document_file(each) for each in documents]


def unreadable(name: str) -> SourceFile:
    def load() -> bytes:
        raise UnreadableDocument(f"{name}: broken", hint="repair it", param=name)

    return SourceFile(name, load, lambda _: document(0), "text/1")


def stored(cut: Cut, engine: Engine) -> dict[str, object]:
    """Return all that is stored of the collection, but for who may write."""
    return {
        point.id: (point.payload, None if point.vector is None else point.vector.tolist())
        for point in cut.open(engine).points.scroll(where={}, vectors=True)
        if point.payload["kind"] != "lease"
    }


def fresh(cut: Cut, *documents: Document) -> dict[str, object]:
    """Return what an ingestion into an empty store leaves."""
    engine = MemoryEngine()
    cut.ingest(files_of(*documents), engine)
    return stored(cut, engine)


@pytest.fixture
def engine() -> FailingEngine:
    engine = FailingEngine()
    OLD.ingest(files_of(document(1), document(2), document(3)), engine)
    return engine


def test_a_rebuild_leaves_the_points_of_an_ingestion_into_an_empty_store(
    engine: FailingEngine,
) -> None:
    documents = document(1), document(2, "other"), document(3)
    report = NEW.rebuild(files_of(*documents), engine)
    assert stored(NEW, engine) == fresh(NEW, *documents)
    assert engine.collections() == ("c@1", LEDGER)
    assert verify(NEW.open(engine)).intact
    assert (report.collection, report.files, report.written, report.carried) == ("c", 3, 3, 0)
    assert report.embedded_chunks == report.collection_chunks == NEW.open(engine).chunk_count()


def test_documents_that_the_source_lacks_are_carried_over(engine: FailingEngine) -> None:
    report = NEW.rebuild(files_of(document(2, "other"), document(4)), engine)
    expected = document(1), document(2, "other"), document(3), document(4)
    assert stored(NEW, engine) == fresh(NEW, *expected)
    assert (report.written, report.carried, report.removed_documents) == (2, 2, 0)


def test_without_a_source_the_stored_documents_are_built_anew(engine: FailingEngine) -> None:
    report = NEW.rebuild(None, engine)
    assert stored(NEW, engine) == fresh(NEW, document(1), document(2), document(3))
    assert (report.files, report.carried, report.collection_documents) == (0, 3, 3)


def test_pruning_leaves_out_what_the_source_lacks_but_not_what_cannot_be_read(
    engine: FailingEngine,
) -> None:
    report = NEW.rebuild([*files_of(document(1)), unreadable("d3")], engine, prune=True)
    assert stored(NEW, engine) == fresh(NEW, document(1), document(3))
    assert [one.name for one in report.quarantined] == ["d3"]
    assert (report.written, report.carried, report.removed_documents) == (1, 1, 1)


def test_a_name_that_is_another_files_is_not_taken_over(
    engine: FailingEngine, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("source") / "d9.txt"
    path.write_text("here", "utf-8")
    mine = replace(document(9), source=str(path))
    OLD.ingest(files_of(mine), engine)
    report = NEW.rebuild(files_of(replace(document(9, "foreign"), source="elsewhere")), engine)
    assert [one.name for one in report.quarantined] == ["d9"]
    assert [one.text for one in NEW.open(engine).documents(["d9"])] == [mine.text]


def test_where_there_is_no_collection_a_rebuild_is_an_ingestion() -> None:
    engine = MemoryEngine()
    NEW.rebuild(files_of(document(1)), engine)
    assert engine.collections() == ("c",)
    assert stored(NEW, engine) == fresh(NEW, document(1))


def test_without_collection_and_source_there_is_nothing_to_build_from() -> None:
    engine = MemoryEngine()
    with pytest.raises(CollectionNotFound):
        NEW.rebuild(None, engine)
    assert engine.collections() == ()


def test_a_rebuilt_collection_is_ingested_into_and_rebuilt_again(engine: FailingEngine) -> None:
    NEW.rebuild(None, engine)
    again = NEW.ingest(files_of(document(1), document(2, "new")), engine)
    assert (again.written, again.unchanged) == (1, 1)
    OLD.rebuild(None, engine)
    assert stored(OLD, engine) == fresh(OLD, document(1), document(2, "new"), document(3))
    assert engine.collections() == ("c@2", LEDGER)


def test_no_count_of_the_progress_falls_and_the_last_one_is_all(engine: FailingEngine) -> None:
    progress: list[Progress] = []
    report = NEW.rebuild(files_of(document(1)), engine, progress=progress)
    embedded = [one.embedded_chunks for one in progress]
    assert embedded == sorted(embedded)
    assert embedded[-1] == report.embedded_chunks


# --- killed, refused, damaged


def test_a_rebuild_that_dies_at_any_write_is_completed_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job, "BATCH_CHUNKS", 4)
    before = document(1), document(2), document(3)
    files = files_of(document(2, "other"), document(4))
    expected = fresh(NEW, document(1), document(2, "other"), document(3), document(4))
    old = fresh(OLD, *before)
    ended, writes, outcomes = False, 0, []
    while not ended:
        engine = FailingEngine()
        OLD.ingest(files_of(*before), engine)
        engine.left[0] = writes
        try:
            NEW.rebuild(files, engine)
            ended = True
        except StoreError:
            engine.left[0] = 1_000_000
            outcomes.append(seen_by_readers(engine, old, expected))
            NEW.rebuild(files, engine)
        assert stored(NEW, engine) == expected
        assert engine.collections() == ("c@1", LEDGER)
        writes += 1
    switched = outcomes.index("new")
    assert outcomes == ["old"] * switched + ["new"] * (len(outcomes) - switched)
    assert 0 < switched < len(outcomes)


def seen_by_readers(engine: Engine, old: dict[str, object], new: dict[str, object]) -> str | None:
    """Return which collection is to be seen: the old or the new one; None for neither."""
    texts = {
        name: {one[0]["id"]: one[0]["text"] for one in points.values() if "spans" in one[0]}  # type: ignore[index]
        for name, points in (("old", old), ("new", new))
    }
    try:
        cut, index = "old", OLD.open(engine)
    except EmbeddingModelMismatch:
        cut, index = "new", NEW.open(engine)
    found = {one.id: one.text for one in index.documents()}
    assert len(index.read()) == index.chunk_count()
    return cut if found == texts[cut] else None


def test_a_rebuild_that_died_is_gone_on_with_whatever_changed_since(engine: FailingEngine) -> None:
    interrupted = begin_rebuild(engine, "c", fingerprint_of(NEW.embedder, NEW.splitter))
    with interrupted as rebuild:
        run_ingest(files_of(document(1), document(5), document(6)), NEW.begin(rebuild.build))
    report = NEW.rebuild(files_of(document(1), document(6, "changed")), engine)
    expected = document(1), document(2), document(3), document(6, "changed")
    assert stored(NEW, engine) == fresh(NEW, *expected)
    assert (report.unchanged, report.written, report.carried) == (1, 1, 2)


def test_two_rebuilds_at_once_are_one(engine: FailingEngine) -> None:
    with (
        begin_rebuild(engine, "c", fingerprint_of(NEW.embedder, NEW.splitter)),
        pytest.raises(StoreLocked),
    ):
        NEW.rebuild(None, engine)
    NEW.rebuild(None, engine)


def test_a_damaged_document_is_not_carried_over_as_if_it_were_whole(
    engine: FailingEngine,
) -> None:
    index = OLD.open(engine)
    (point,) = index.scroll("document", {"document": ("d2",)}, fields=None)
    index.points.upsert([Point(point.id, {**point.payload, "text": "something else"})])
    with pytest.raises(StoreError, match=r"'d2' is not stored as it was written"):
        NEW.rebuild(files_of(document(1)), engine)
    assert OLD.open(engine).chunk_count() > 0
    NEW.rebuild(files_of(document(2)), engine)
    assert stored(NEW, engine) == fresh(NEW, document(1), document(2), document(3))


# --- planning


def test_a_plan_of_a_rebuild_has_every_chunk_embedded(engine: FailingEngine) -> None:
    files = [*files_of(document(1), document(2, "other"), document(4)), unreadable("d3")]
    before = engine.collections()
    plan = NEW.plan(files, engine)
    report = NEW.rebuild(files, engine)
    assert plan.embedded_chunks == plan.chunks == report.embedded_chunks
    assert (plan.new, plan.changed, plan.unchanged, plan.removed) == (1, 2, 0, ())
    assert before == ("c",)


def test_a_plan_without_a_source_has_the_stored_documents(engine: FailingEngine) -> None:
    plan = NEW.plan(None, engine)
    assert (plan.files, plan.removed) == (0, ())
    assert plan.chunks == NEW.rebuild(None, engine).embedded_chunks


def test_a_plan_where_there_is_no_collection_is_that_of_an_ingestion() -> None:
    assert NEW.plan(files_of(document(1)), MemoryEngine()).new == 1
    with pytest.raises(CollectionNotFound):
        NEW.plan(None, MemoryEngine())
