"""An ingestion does what changed and nothing else, and a broken one is completed by the next."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from chunking.document import Document
from chunking.errors import InputError, StoreError, UnreadableDocument
from chunking.split import Splitter
from chunking.tokens import Message, TokenCounter, Tool
from ingest import job
from ingest.files import refused_file
from ingest.job import Ingestion, run_ingest
from ingest.tally import IngestReport, Progress
from ingest.texts import SourceFile, document_file
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine, MemoryPointStore
from retrieval.points import Engine, Point, Vector, Where
from retrieval.providers import fingerprint_of
from retrieval.writer import IndexWriter

SENTENCES = 30


@dataclass
class CountingEmbedder:
    """Embeds by hash, notes every text, and fails on texts that hold `failing`."""

    failing: str | None = None
    texts: list[str] = field(default_factory=list)
    name: str = "hash:64"
    dimension: int = 64
    input_limit: int = 64

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return HashEmbedder(self.dimension).count_tokens(texts)

    def embed(self, texts: Sequence[str]) -> Vector:
        if self.failing is not None and any(self.failing in text for text in texts):
            raise RuntimeError("the device is gone")
        self.texts.extend(texts)
        return HashEmbedder(self.dimension).embed(texts)

    def embed_stream(self, batches: Iterable[Sequence[str]]) -> Generator[Vector, None, None]:
        yield from map(self.embed, batches)


@dataclass
class FailingStore(MemoryPointStore):
    """Acknowledges so many writes and refuses the one after them."""

    writes_left: int = 1_000_000

    def upsert(self, points: Sequence[Point], *, only_if: Where | None = None) -> None:
        self._spend()
        super().upsert(points, only_if=only_if)

    def delete(self, ids: Sequence[str]) -> None:
        self._spend()
        super().delete(ids)

    def _spend(self) -> None:
        if self.writes_left == 0:
            raise StoreError("the store is down")
        self.writes_left -= 1


class WordCounter:
    name = "words"
    identity = "words"
    exact = True
    exact_tools = True
    factor = Fraction(1)
    additive = False
    control_tokens = ()

    @property
    def base(self) -> TokenCounter:
        return self

    def count(self, text: str) -> int:
        return len(text.split())

    def count_messages(self, messages: Sequence[Message], *, tools: Sequence[Tool] = ()) -> int:
        return len(tools) + sum(self.count(message.content) for message in messages)


def document(number: int, word: str = "word") -> Document:
    text = "\n".join(f"Sentence {line} of {number} says {word}." for line in range(SENTENCES))
    return Document(f"d{number}", text, f"Title {number}", f"d{number}.txt")


def files_of(*documents: Document) -> list[SourceFile]:
    return [document_file(each) for each in documents]


def unreadable(name: str) -> SourceFile:
    def load() -> bytes:
        raise UnreadableDocument(f"{name}: broken", hint="repair it", param=name)

    return SourceFile(name, load, lambda _: document(0), "text/1")


def ingest(
    files: Iterable[SourceFile],
    engine: Engine,
    *,
    embedder: CountingEmbedder | None = None,
    progress: list[Progress] | None = None,
    counters: Sequence[WordCounter] = (),
    prune: bool = False,
) -> IngestReport:
    embedder = embedder or CountingEmbedder()
    splitter = Splitter(embedder.count_tokens, size=32, limit=64)
    index = Index.create(engine, "c", fingerprint_of(embedder, splitter))
    report = run_ingest(
        files,
        Ingestion(IndexWriter(index, grace_seconds=0), embedder, splitter, counters),
        prune=prune,
        on_progress=(progress if progress is not None else []).append,
    )
    assert report.files == report.written + report.unchanged + len(report.quarantined)
    return report


def content(engine: MemoryEngine) -> dict[str, Point]:
    """Return everything that the collection holds, comparable."""
    points = engine.stores["c"].points
    return {i: Point(i, p.payload, None) for i, p in sorted(points.items())}


def fresh(*documents: Document) -> dict[str, Point]:
    """Return what a collection holds after these documents were ingested once, undisturbed."""
    engine = MemoryEngine()
    ingest(files_of(*documents), engine)
    return content(engine)


def searchable(engine: MemoryEngine) -> list[str]:
    return [p.payload["text"] for p in content(engine).values() if p.payload["kind"] == "chunk"]


def test_a_first_run_writes_every_document() -> None:
    engine, embedder = MemoryEngine(), CountingEmbedder()
    report = ingest(files_of(document(1), document(2)), engine, embedder=embedder)
    assert (report.written, report.unchanged, report.quarantined) == (2, 0, ())
    assert report.collection == "c"
    assert report.collection_documents == 2
    assert report.collection_chunks == report.embedded_chunks == len(embedder.texts) > 2
    assert all(text.startswith("Title ") for text in embedder.texts)


def test_a_second_run_embeds_and_writes_nothing() -> None:
    engine, embedder = MemoryEngine(), CountingEmbedder()
    files = files_of(document(1), document(2))
    ingest(files, engine)
    before = content(engine)
    report = ingest(files, engine, embedder=embedder)
    assert (report.written, report.unchanged, report.embedded_chunks) == (0, 2, 0)
    assert embedder.texts == []
    assert content(engine) == before


def test_only_a_changed_document_is_embedded_and_its_stale_chunks_go() -> None:
    engine, embedder = MemoryEngine(), CountingEmbedder()
    old, kept, new = document(1), document(2), document(1, "other")
    ingest(files_of(old, kept), engine)
    report = ingest(files_of(new, kept), engine, embedder=embedder)
    assert (report.written, report.unchanged) == (1, 1)
    assert all(text.startswith("Title 1") for text in embedder.texts)
    assert content(engine) == fresh(new, kept)


def test_a_document_that_shrank_leaves_nothing_of_its_rest() -> None:
    engine = MemoryEngine()
    short = replace(document(1), text="Sentence 0 of 1 says word.")
    ingest(files_of(document(1)), engine)
    ingest(files_of(short), engine)
    assert searchable(engine) == ["Sentence 0 of 1 says word."]


def test_a_bad_file_among_many_is_named_and_the_rest_goes_on() -> None:
    engine = MemoryEngine()
    good = files_of(document(1), document(2))
    report = ingest([good[0], unreadable("bad.txt"), good[1]], engine)
    [bad] = report.quarantined
    assert (bad.name, bad.code) == ("bad.txt", "unreadable_document")
    assert (bad.reason, bad.hint) == ("bad.txt: broken", "repair it")
    assert (report.written, report.collection_documents) == (2, 2)


def test_a_document_that_cannot_be_split_is_named_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    split = Splitter.split

    def refuse(splitter: Splitter, each: Document) -> object:
        if each.id == "d1":
            raise UnreadableDocument("the character at 3 does not fit")
        return split(splitter, each)

    monkeypatch.setattr(Splitter, "split", refuse)
    report = ingest(files_of(document(1), document(2)), MemoryEngine())
    assert [bad.name for bad in report.quarantined] == ["d1"]
    assert report.written == 1


def test_a_quarantined_file_leaves_what_was_ingested_of_it_before() -> None:
    engine = MemoryEngine()
    ingest(files_of(document(1)), engine)
    before = content(engine)
    report = ingest([unreadable("d1")], engine)
    assert len(report.quarantined) == 1
    assert content(engine) == before


def test_no_files_and_only_bad_files_are_runs_too() -> None:
    assert ingest([], MemoryEngine()).collection_documents == 0
    report = ingest([unreadable("a"), unreadable("b")], MemoryEngine())
    assert [bad.name for bad in report.quarantined] == ["a", "b"]


def test_a_blank_document_is_recorded_without_chunks() -> None:
    engine = MemoryEngine()
    blank = Document("blank", " \n", "Blank", "blank.txt")
    assert ingest(files_of(blank, document(1)), engine).written == 2
    report = ingest(files_of(blank), engine)
    assert (report.unchanged, report.collection_documents) == (1, 2)


def test_records_keep_what_the_tokenizers_count() -> None:
    engine = MemoryEngine()
    ingest(files_of(document(2), document(1)), engine, counters=[WordCounter()])
    embedder = CountingEmbedder()
    splitter = Splitter(embedder.count_tokens, size=32, limit=64)
    records = Index.open(engine, "c", fingerprint_of(embedder, splitter)).records()
    counts = records["d1"].counts["words"]
    assert counts.whole > 6 * SENTENCES
    assert len(counts.chunks) == len(records["d1"].chunk_ids)


def test_a_file_of_the_same_bytes_is_not_even_parsed() -> None:
    engine = MemoryEngine()
    ingest(files_of(document(1)), engine)

    def parse(_: bytes) -> Document:
        raise AssertionError("parsed")

    report = ingest([replace(files_of(document(1))[0], parse=parse)], engine)

    assert (report.unchanged, report.written, report.quarantined) == (1, 0, ())


def test_a_parser_of_another_version_reads_again_and_embeds_only_what_differs() -> None:
    engine, embedder = MemoryEngine(), CountingEmbedder()
    ingest(files_of(document(1)), engine)
    better = replace(files_of(document(1))[0], parser="document/2")

    report = ingest([better], engine, embedder=embedder)

    assert (report.unchanged, report.written, report.embedded_chunks) == (1, 0, 0)
    before = content(engine)
    ingest([better], engine)
    assert content(engine) == before


def test_a_sentence_put_in_front_embeds_a_few_chunks_and_keeps_the_rest() -> None:
    engine, embedder = MemoryEngine(), CountingEmbedder()
    old = document(1)
    ingest(files_of(old), engine)
    new = replace(old, text=f"{old.text}\nOne sentence more.")

    report = ingest(files_of(new), engine, embedder=embedder)

    assert 1 <= report.embedded_chunks == len(embedder.texts) <= 2
    assert report.kept_chunks == report.collection_chunks - report.embedded_chunks > 2
    assert content(engine) == fresh(new)


def test_two_documents_of_one_name_in_a_source_are_not_both_ingested() -> None:
    report = ingest(files_of(document(1), document(1, "other"), document(2)), MemoryEngine())
    assert (report.written, report.collection_documents) == (2, 2)
    assert "two documents of this name" in report.quarantined[0].reason


def test_pruning_removes_what_the_source_does_not_hold_any_more() -> None:
    engine = MemoryEngine()
    ingest(files_of(document(1), document(2)), engine)
    assert ingest(files_of(document(2)), engine).collection_documents == 2

    report = ingest([*files_of(document(2)), unreadable("d3")], engine, prune=True)

    assert (report.removed_documents, report.collection_documents) == (1, 1)
    assert report.removed_chunks > 2
    assert content(engine) == fresh(document(2))


def test_pruning_keeps_a_document_whose_file_cannot_be_read_now() -> None:
    engine = MemoryEngine()
    ingest(files_of(document(1), document(2)), engine)
    report = ingest([unreadable("d1"), *files_of(document(2))], engine, prune=True)
    assert (report.removed_documents, report.collection_documents) == (0, 2)


def test_nothing_is_pruned_where_the_source_cannot_be_listed_whole() -> None:
    engine = MemoryEngine()
    ingest(files_of(document(1), document(2)), engine)
    closed = refused_file("folder", UnreadableDocument("folder: closed"), hides_others=True)
    report = ingest([*files_of(document(2)), closed], engine, prune=True)
    assert (report.removed_documents, report.unpruned) == (0, 1)
    assert report.collection_documents == 2


def test_pruning_by_a_source_that_holds_nothing_is_refused() -> None:
    engine = MemoryEngine()
    ingest(files_of(document(1), document(2)), engine)
    with pytest.raises(InputError, match="would remove all 2"):
        ingest([], engine, prune=True)
    assert content(engine) == fresh(document(1), document(2))


def test_a_source_may_be_read_as_it_comes() -> None:
    seen: list[Progress] = []
    files = (file for file in files_of(document(1), document(2)))
    assert ingest(files, MemoryEngine(), progress=seen).written == 2
    assert seen[-1].files == seen[-1].files_done == 2


def test_a_new_tokenizer_counts_what_is_stored_without_embedding_it_again() -> None:
    engine = MemoryEngine()
    ingest(files_of(document(1), document(2)), engine)

    report = ingest(files_of(document(1), document(2)), engine, counters=[WordCounter()])

    assert (report.unchanged, report.recounted, report.embedded_chunks) == (2, 2, 0)
    counted_at_once = MemoryEngine()
    ingest(files_of(document(1), document(2)), counted_at_once, counters=[WordCounter()])
    assert content(engine) == content(counted_at_once)
    again = ingest(files_of(document(1), document(2)), engine, counters=[WordCounter()])
    assert again.recounted == 0


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_the_size_of_a_batch_changes_nothing_that_is_stored(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    documents = [document(number) for number in range(4)]
    expected = fresh(*documents)
    monkeypatch.setattr(job, "BATCH_CHUNKS", size)
    assert fresh(*documents) == expected


def test_progress_never_falls_and_ends_with_every_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "BATCH_CHUNKS", 1)
    engine = MemoryEngine()
    seen: list[Progress] = []
    ingest(files_of(document(1)), engine)
    files = [*files_of(document(1), document(2)), unreadable("x"), *files_of(document(3))]
    report = ingest(files, engine, progress=seen)
    assert len(seen) >= 3
    assert {progress.files for progress in seen} == {4}
    for earlier, later in pairwise(seen):
        assert earlier.files_done <= later.files_done
        assert earlier.embedded_chunks <= later.embedded_chunks
    assert (seen[-1].files_done, seen[-1].embedded_chunks) == (4, report.embedded_chunks)


# --- interrupted runs

OLD = [document(1, "old"), document(2, "old")]
KILLED = [document(1, "killed"), document(2, "killed")]
NEW = [document(1, "new"), document(2, "new")]


def interrupted(documents: Sequence[Document], *, after: int) -> MemoryEngine | None:
    """Return an engine with old documents, whose store failed `after` writes into the next run.

    None where the run came to its end before.
    """
    engine, store = MemoryEngine(), FailingStore(dimension=64)
    engine.stores["c"] = store
    ingest(files_of(*OLD), engine)
    store.writes_left = after
    try:
        ingest(files_of(*documents), engine)
    except StoreError:
        store.writes_left = 1_000_000
        return engine
    return None


def test_a_run_that_the_store_broke_off_anywhere_is_completed_by_the_next() -> None:
    after = 0
    while (engine := interrupted(NEW, after=after)) is not None:
        report = ingest(files_of(*NEW), engine)
        assert content(engine) == fresh(*NEW), f"broken off after {after} writes"
        assert report.collection_documents == 2
        after += 1
    assert after >= 4


def test_what_a_broken_run_left_goes_even_if_the_documents_changed_since() -> None:
    after = 0
    while (engine := interrupted(KILLED, after=after)) is not None:
        ingest(files_of(*NEW), engine)
        assert content(engine) == fresh(*NEW), f"broken off after {after} writes"
        after += 1
    assert after >= 4


def test_a_document_is_only_recorded_when_its_chunks_are_stored() -> None:
    after = 0
    while (engine := interrupted(NEW, after=after)) is not None:
        complete = fresh(*NEW)
        for point_id, point in content(engine).items():
            if point.payload["kind"] == "document" and point == complete[point_id]:
                stored = {p.payload.get("id") for p in engine.stores["c"].points.values()}
                assert set(point.payload["chunk_ids"]) <= stored
        after += 1


def test_an_embedder_that_fails_on_one_batch_leaves_the_batches_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job, "BATCH_CHUNKS", 1)
    engine = MemoryEngine()
    files = files_of(document(1), document(2, "poison"), document(3))
    with pytest.raises(RuntimeError, match="the device is gone"):
        ingest(files, engine, embedder=CountingEmbedder(failing="poison"))
    embedder = CountingEmbedder()
    report = ingest(files, engine, embedder=embedder)
    assert (report.written, report.unchanged) == (2, 1)
    assert not any(text.startswith("Title 1") for text in embedder.texts)
    assert content(engine) == fresh(document(1), document(2, "poison"), document(3))


def test_two_files_of_one_name_are_not_taken_for_each_other(tmp_path: Path) -> None:
    sources = [tmp_path / folder / "readme.md" for folder in ("a", "b")]
    for source in sources:
        source.parent.mkdir()
        source.write_text("text", encoding="utf-8")
    first = replace(document(0, "one"), source=str(sources[0]))
    second = replace(document(0, "two"), source=str(sources[1]))
    engine = MemoryEngine()
    ingest(files_of(first), engine)

    report = ingest(files_of(second), engine)

    assert report.written == 0
    assert str(sources[0]) in report.quarantined[0].reason
    assert any("one" in text for text in searchable(engine))


def test_a_file_that_moved_is_brought_up_to_date_from_its_new_place(tmp_path: Path) -> None:
    moved = replace(document(0, "new"), source=str(tmp_path / "here.md"))
    engine = MemoryEngine()
    ingest(files_of(replace(document(0), source=str(tmp_path / "gone.md"))), engine)

    assert ingest(files_of(moved), engine).written == 1


def test_chunks_that_a_killed_run_left_behind_are_not_counted() -> None:
    engine = MemoryEngine()
    ingest(files_of(document(1)), engine)
    store = engine.stores["c"]
    chunk = next(p for p in store.points.values() if p.payload["kind"] == "chunk")
    left = replace(chunk, id="f" * 32, payload={**chunk.payload, "id": "f" * 32})
    store.upsert([left])

    report = ingest(files_of(document(1)), engine, counters=[WordCounter()])

    assert (report.unchanged, report.recounted) == (1, 1)
    embedder = CountingEmbedder()
    splitter = Splitter(embedder.count_tokens, size=32, limit=64)
    index = Index.open(engine, "c", fingerprint_of(embedder, splitter))
    (record,) = index.records().values()
    assert len(record.counts["words"].chunks) == len(record.chunk_ids)
