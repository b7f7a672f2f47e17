"""A source is dealt out whole, and what comes back passes once, whatever the order."""

from __future__ import annotations

import pickle
import random
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.document import Chunk, Document
from chunking.errors import (
    ConfigurationError,
    EmbeddingModelMismatch,
    TokenizerUnavailable,
    UnreadableDocument,
)
from chunking.split import Splitter
from ingest.changes import Quarantined, Unchanged
from ingest.files import refused_file, source_file
from ingest.job import Ingestion
from ingest.lines import file_lines
from ingest.readers.sandbox import Sandbox
from ingest.shares import (
    Arrivals,
    ListedFile,
    WorkOrder,
    deal,
    embed_slice,
    open_tools,
    prepare_share,
    read_embedded,
)
from ingest.slices import Pending, Slice, name_of
from ingest.texts import SourceFile, document_file
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of, open_embedder, open_splitter
from retrieval.settings import IndexSettings
from retrieval.writer import IndexWriter

SETTINGS = IndexSettings(embedder="hash:16", tokenizers=(), qdrant_api_key="secret")  # type: ignore[arg-type]
EMBEDDER = open_embedder(SETTINGS)
ORDER = WorkOrder.of(
    SETTINGS,
    fingerprint=fingerprint_of(EMBEDDER, open_splitter(SETTINGS, EMBEDDER)),
    counters=(),
    most_chunks=3,
)


def document(number: int, lines: int = 40) -> Document:
    text = "\n".join(f"Sentence {line} of {number} says a few words." for line in range(lines))
    return Document(f"d{number}", text, f"Title {number}", f"d{number}.txt")


def listed(file: SourceFile, stored: frozenset[str] = frozenset()) -> ListedFile:
    return ListedFile(file, None, None, stored)


def slices_of(*files: ListedFile, most_files: int = 2) -> list[Slice]:
    shares = deal(files, most_files=most_files, most_bytes=1_000_000)
    return [pickle.loads(one) for share in shares for one in prepare_share(share, ORDER)]


def rows(cut: Slice) -> np.ndarray:
    return np.zeros((len(cut.chunks), 16), dtype=np.float32)


@given(st.integers(0, 2**32), st.lists(st.integers(0, 150), max_size=5), st.floats(0, 1))
def test_every_file_passes_once_with_all_its_chunks_in_any_order_and_twice_sent(
    seed: int, sizes: list[int], twice: float
) -> None:
    files = [document(number, lines) for number, lines in enumerate(sizes)]
    slices = slices_of(*(listed(document_file(one)) for one in files))
    chance = random.Random(seed)
    sent = [*slices, *(one for one in slices if chance.random() < twice)]
    chance.shuffle(sent)
    arrivals = Arrivals(one.id for one in files)
    stored: set[str] = set()
    passed: list[str] = []
    for cut in sent:
        done, vectors = arrivals.take(cut, rows(cut))
        assert len(vectors) == len(done.chunks)
        stored.update(chunk.id for chunk in done.chunks)
        for event in done.events:
            passed.append(name_of(event))
            if isinstance(event, Pending):
                assert stored.issuperset(chunk.id for chunk in event.missing)
    assert sorted(passed) == sorted(one.id for one in files)
    assert not arrivals.open


def test_a_document_of_two_states_does_not_pass() -> None:
    old = document(1, 200)
    new = replace(old, text=f"Another start.\n{old.text}")
    before, after = slices_of(listed(document_file(old))), slices_of(listed(document_file(new)))
    assert len(before) > 1
    arrivals = Arrivals(["d1"])
    passed = [arrivals.take(cut, rows(cut))[0].events for cut in (before[0], *after[1:])]
    assert not any(passed)
    assert arrivals.open == {"d1"}


def test_files_without_chunks_pass_as_they_come() -> None:
    events = (Unchanged("a"), Quarantined("b", "code", "reason", "hint"))
    arrivals = Arrivals(["a", "b"])
    cut = Slice((), events)
    assert arrivals.take(cut, rows(cut))[0].events == events
    assert arrivals.take(cut, rows(cut))[0].events == ()


def test_shares_hold_every_file_in_order_and_end_by_count_or_by_size() -> None:
    files = [listed(document_file(document(number))) for number in range(7)]
    size = len(pickle.dumps(files[0]))

    def names(most_files: int, most_bytes: int) -> list[list[str]]:
        shares = deal(files, most_files=most_files, most_bytes=most_bytes)
        return [[pickle.loads(one).file.name for one in pickle.loads(share)] for share in shares]

    assert [len(share) for share in names(3, 1_000_000)] == [3, 3, 1]
    assert [len(share) for share in names(100, 2 * size)] == [2, 2, 2, 1]
    assert [len(share) for share in names(100, 1)] == [1] * 7
    assert [*chain(*names(3, 2 * size))] == [file.file.name for file in files]


def test_files_of_every_kind_are_read_elsewhere_as_they_are_here(tmp_path: Path) -> None:
    sandbox = Sandbox()
    (tmp_path / "a.md").write_text("# A\n\nText of a.\n")
    (tmp_path / "p.html").write_text("<h1>P</h1><p>Text of p.</p>")
    (tmp_path / "b.jsonl").write_text('{"id": "one", "text": "Text of b."}\n{"id": 2}\n')
    files = [
        source_file(tmp_path / "a.md", name="a.md", sandbox=sandbox),
        source_file(tmp_path / "p.html", name="p.html", sandbox=sandbox),
        *file_lines(tmp_path / "b.jsonl", name="b.jsonl", sandbox=sandbox),
        document_file(document(1)),
    ]
    for file in files:
        there: SourceFile = pickle.loads(pickle.dumps(file))
        assert there.parser == file.parser
        assert _outcome(there) == _outcome(file)
    refused = pickle.loads(pickle.dumps(refused_file("x", UnreadableDocument("no", hint="yes"))))
    with pytest.raises(UnreadableDocument, match="no") as raised:
        refused.read()
    assert raised.value.hint == "yes"
    sandbox.close()


def _outcome(file: SourceFile) -> Document | str:
    try:
        return file.read()
    except UnreadableDocument as error:
        return error.message


def test_sandboxes_of_one_process_are_one_there() -> None:
    first, second = (pickle.loads(pickle.dumps(Sandbox(seconds=3.5))) for _ in range(2))
    assert first is second


def test_an_embedded_slice_has_the_vectors_of_its_chunks() -> None:
    [share] = deal([listed(document_file(document(1)))], most_files=9, most_bytes=1_000_000)
    for one in prepare_share(share, ORDER):
        cut, vectors = read_embedded(embed_slice(one, ORDER))
        expected = HashEmbedder(16).embed([chunk.embedded_text for chunk in cut.chunks])
        assert np.array_equal(vectors, expected)


def test_what_is_stored_is_not_embedded_again_and_what_is_known_is_not_parsed() -> None:
    engine = MemoryEngine()
    splitter = Splitter(EMBEDDER.count_tokens, size=200, limit=256)
    index = Index.create(engine, "c", fingerprint_of(EMBEDDER, splitter))
    writer = IndexWriter(index, grace_seconds=0)
    one = document_file(document(1)).read()
    chunks: tuple[Chunk, ...] = splitter.split(one)
    writer.write(one, chunks, EMBEDDER.embed([chunk.embedded_text for chunk in chunks]))
    here = ListedFile.of(document_file(document(1)), Ingestion(writer, EMBEDDER, splitter))
    assert here.stored == {chunk.id for chunk in chunks}
    assert here.record is not None
    assert here.record.chunk_ids == ()
    assert here.record.spans == ()
    assert slices_of(here) == [Slice((), (Unchanged("d1"),))]
    [changed] = slices_of(replace(here, record=replace(here.record, digest="another")))
    [event] = changed.events
    assert isinstance(event, Pending)
    assert (event.missing, event.unchanged) == ((), True)
    writer.close()


def test_a_worker_learns_no_key_of_the_store() -> None:
    assert ORDER.settings.qdrant_api_key is None
    assert b"secret" not in pickle.dumps(ORDER)
    assert ORDER.settings.home.is_absolute()
    assert pickle.loads(pickle.dumps(ORDER)) == ORDER


def test_a_worker_that_is_set_up_otherwise_refuses() -> None:
    with pytest.raises(ConfigurationError, match="pdf/0"):
        open_tools(replace(ORDER, parsers=("pdf/0", *ORDER.parsers[1:])))
    with pytest.raises(EmbeddingModelMismatch, match="hash:17"):
        open_tools(replace(ORDER, fingerprint=replace(ORDER.fingerprint, embedder="hash:17")))
    with pytest.raises(TokenizerUnavailable, match="unheard"):
        open_tools(replace(ORDER, counted_by=("unheard",)))
