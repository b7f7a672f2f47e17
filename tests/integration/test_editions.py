"""Two real editions of the World Factbook: the second costs what changed, nothing is left over."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from chunking.split import Splitter
from ingest.factbook import factbook_files
from ingest.job import Ingestion, run_ingest
from ingest.tally import IngestReport
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.writer import IndexWriter

FIRST, SECOND = "edition_2025-12-11", "edition_2026-01-22"
MOST_EMBEDDED = 0.2
"""Of the second edition's chunks: 6 % of its values changed, and a chunk holds several."""


@pytest.fixture(scope="module")
def editions() -> Path:
    """Return the folder of both editions."""
    data = os.environ.get("WINDOWFIT_TEST_DATA")
    if not data:
        pytest.skip("needs WINDOWFIT_TEST_DATA, a folder with factbook_editions")
    return Path(data, "factbook_editions")


def empty_index() -> Index:
    embedder = HashEmbedder(8)
    return Index.create(MemoryEngine(), "factbook", fingerprint_of(embedder, splitter(embedder)))


def splitter(embedder: HashEmbedder) -> Splitter:
    return Splitter(embedder.count_tokens, size=200, limit=embedder.input_limit)


def ingest(folder: Path, index: Index) -> IngestReport:
    embedder = HashEmbedder(8)
    writer = IndexWriter(index, grace_seconds=0)
    ingestion = Ingestion(writer, embedder, splitter(embedder))
    return run_ingest(factbook_files(folder), ingestion, prune=True)


def points(index: Index) -> dict[str, Mapping[str, Any]]:
    """Return every point but the lease, whose beat differs with each run."""
    stored = index.points.scroll(where={})
    return {one.id: one.payload for one in stored if one.payload["kind"] != "lease"}


def chunk_ids(index: Index) -> set[str]:
    return {name for record in index.records().values() for name in record.chunk_ids}


def test_a_new_edition_embeds_only_the_chunks_that_changed_and_ends_as_if_ingested_alone(
    editions: Path,
) -> None:
    index, fresh = empty_index(), empty_index()
    ingest(editions / FIRST, index)
    before = chunk_ids(index)

    updated = ingest(editions / SECOND, index)
    ingest(editions / SECOND, fresh)

    assert updated.embedded_chunks == len(chunk_ids(fresh) - before)
    assert updated.embedded_chunks < MOST_EMBEDDED * updated.collection_chunks
    assert updated.removed_chunks == len(before - chunk_ids(fresh))
    assert points(index) == points(fresh)

    again = ingest(editions / SECOND, index)
    assert (again.embedded_chunks, again.written, again.removed_chunks) == (0, 0, 0)
    assert again.unchanged == again.files
