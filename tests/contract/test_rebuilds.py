"""Readers see the old collection or the new one, also where a rebuild is killed."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from chunking.errors import CollectionChanged, EmbeddingModelMismatch
from ingest.job import Ingestion, run_ingest
from ingest.rebuild import run_rebuild
from ingest.texts import SourceFile, document_file
from retrieval.catalog import Catalog
from retrieval.index import Index
from retrieval.places import collection_names
from retrieval.providers import fingerprint_of
from retrieval.writer import IndexWriter
from scripts.prove_ingest.corpus import Corpus
from scripts.prove_ingest.rebuilds import NEW, OLD, Cut, cut_texts
from tests.contract.engine_kinds import DURABLE
from tests.contract.workbench import Workbench

CORPUS = Corpus(documents=4, lines=6)
READERS = 3


def files(edition: int) -> list[SourceFile]:
    return [document_file(one) for one in CORPUS.edition(edition)]


def begin(cut: Cut, index: Index) -> Ingestion:
    return Ingestion(IndexWriter(index, grace_seconds=0), cut.embedder, cut.splitter)


def rebuild(bench: Workbench, cut: Cut, *, grace_seconds: float) -> None:
    run_rebuild(
        files(2),
        bench.engine,
        bench.collection,
        partial(begin, cut),
        fingerprint=fingerprint_of(cut.embedder, cut.splitter),
        prune=True,
        grace_seconds=grace_seconds,
    )


def opened(bench: Workbench, cut: Cut) -> Index:
    return Index.open(bench.engine, bench.collection, fingerprint_of(cut.embedder, cut.splitter))


@pytest.fixture
def rebuilt(bench: Workbench) -> Any:
    """A collection with the first edition, whose places are all dropped afterwards."""
    fingerprint = fingerprint_of(OLD.embedder, OLD.splitter)
    index = Index.create(bench.engine, bench.collection, fingerprint)
    run_ingest(files(1), begin(OLD, index))
    yield bench
    for place in bench.engine.collections():
        if place.partition("@")[0] == bench.collection:
            bench.engine.drop(place)


@pytest.mark.parametrize("cut", [OLD, NEW], ids=["same fingerprint", "another fingerprint"])
# Without a grace, places go while they are read.
@pytest.mark.parametrize("grace_seconds", [0.0, 4.0])
def test_readers_see_the_old_collection_and_then_the_new_one(
    rebuilt: Workbench, cut: Cut, grace_seconds: float
) -> None:
    bench = rebuilt
    reader = opened(bench, OLD)
    old = cut_texts(OLD, CORPUS.edition(1))
    new = None if cut is NEW else cut_texts(OLD, CORPUS.edition(2))
    done = threading.Event()

    def look(catalog: Catalog) -> list[str]:
        return sorted(hit.chunk.text for hit in reader.read(catalog=catalog))

    def read() -> list[list[str] | None]:
        seen: list[list[str] | None] = []
        while not done.is_set():
            try:
                seen.append(reader.steady(look))
            except EmbeddingModelMismatch:
                seen.append(None)
        return seen

    with ThreadPoolExecutor(READERS) as pool:
        readings = [pool.submit(read) for _ in range(READERS)]
        try:
            rebuild(bench, cut, grace_seconds=grace_seconds)
        finally:
            done.set()
    for one in readings:
        seen = one.result()
        before = [look for look in seen if look == old]
        assert before, "a reader saw nothing before the switch"
        assert seen == before + [new] * (len(seen) - len(before))
    after = opened(bench, cut)
    texts = sorted(hit.chunk.text for hit in after.read())
    assert texts == cut_texts(cut, CORPUS.edition(2))
    assert bench.collection in collection_names(bench.engine)
    assert bench.collection not in bench.engine.collections()


def test_who_opened_the_old_collection_writes_nothing_into_it(rebuilt: Workbench) -> None:
    late = opened(rebuilt, OLD)
    rebuild(rebuilt, OLD, grace_seconds=0)
    with pytest.raises(CollectionChanged):
        IndexWriter(late)
    assert rebuilt.collection not in rebuilt.engine.collections()


@pytest.mark.parametrize("engine", DURABLE[:2])
def test_a_rebuild_killed_at_a_write_is_completed_by_the_next(engine: str) -> None:
    command = [sys.executable, "-m", "scripts.prove_ingest.rebuilds", "--engine"]
    given = ["--documents", "3", "--every", "6", "--rebuilds", "1"]
    name = engine.partition("-")[0]
    ran = subprocess.run(
        [*command, name, *given], capture_output=True, text=True, timeout=600, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (found,) = json.loads(ran.stdout.splitlines()[-1])["engines"]
    assert found["boundaries"] > 12
