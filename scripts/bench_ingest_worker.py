"""Times Windowfit and LlamaIndex ingesting the same documents, in turns; runs among the peers.

    python -m scripts.bench_ingest_worker FIRST.jsonl SECOND.jsonl model|free WEIGHTS QDRANT_URL

In every round each way ingests a first edition into an empty collection, then a second one in which
6 % of the lines differ. With `model` both embed with the same weights on the CPU, and the model
alone runs the batches that Windowfit's chunks make; with `free` both get vectors for nothing, so
that what is measured is all the rest. Chunks are of 200 of the embedder's tokens at most, without
overlap: LlamaIndex' own 1,024 would be cut in silence at the 256 that the model reads. What is
timed is the wall clock; ratios are medians over rounds of the ratio within a round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Final

import numpy as np
from llama_index.core import Document as LlamaDocument
from llama_index.core import MockEmbedding
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import QdrantClient

from chunking.document import Document
from chunking.split import Splitter
from ingest.job import BATCH_CHUNKS, Ingestion, run_ingest
from ingest.texts import document_file
from retrieval.index import Index
from retrieval.points import Vector
from retrieval.providers import fingerprint_of
from retrieval.qdrant.engine import QdrantEngine
from retrieval.transformer import TransformerEmbedder
from retrieval.transformer.windows import prepare
from retrieval.writer import IndexWriter
from scripts.bench_documents import ratio, read_documents

SIZE: Final = 200
FORWARD, WINDOWFIT, LLAMA_INDEX = "the model alone", "Windowfit", "LlamaIndex"
AGAIN: Final = ", next edition"

Editions = tuple[Sequence[Document], Sequence[Document]]
_numbers = count()


class FreeEmbedder:
    """An embedder whose vectors cost nothing; it counts as the real one does."""

    def __init__(self, counted: TransformerEmbedder) -> None:
        self.name = "free"
        self.dimension = counted.dimension
        self.input_limit = counted.input_limit
        self.count_tokens = counted.count_tokens

    def embed(self, texts: Sequence[str]) -> Vector:
        """Return the same unit row for every text."""
        return np.full((len(texts), self.dimension), self.dimension**-0.5, dtype=np.float32)

    def embed_stream(self, batches: Iterable[Sequence[str]]) -> Generator[Vector, None, None]:
        """See `Embedder.embed_stream`."""
        yield from map(self.embed, batches)


class Bench:
    """Ingests two editions in each way, each time into a collection of its own."""

    def __init__(self, weights: str, url: str, *, free: bool) -> None:
        self.embedder = TransformerEmbedder(weights, devices=("cpu",))
        self._url = url
        self._free = free
        limit = self.embedder.input_limit
        self._splitter = Splitter(self.embedder.count_tokens, size=SIZE, limit=limit)
        self._client = QdrantClient(url=url, timeout=30)
        self._model: Any = (
            MockEmbedding(embed_dim=self.embedder.dimension)
            if free
            else HuggingFaceEmbedding(weights, device="cpu")
        )

    def windowfit(self, editions: Editions) -> list[tuple[float, int]]:
        """Return the seconds and embedded chunks of each edition."""
        ours: Any = FreeEmbedder(self.embedder) if self._free else self.embedder
        engine = QdrantEngine(self._url)
        index = Index.create(engine, self._name(), fingerprint_of(ours, self._splitter))
        taken = []
        for edition in editions:
            files = [document_file(document) for document in edition]
            start = time.perf_counter()
            writer = IndexWriter(index, grace_seconds=0)
            report = run_ingest(files, Ingestion(writer, ours, self._splitter))
            taken.append((time.perf_counter() - start, report.embedded_chunks))
        engine.drop(index.name)
        engine.close()
        return taken

    def llama_index(self, editions: Editions) -> list[tuple[float, int]]:
        """Return the seconds and embedded chunks of each edition."""
        name = self._name()
        tokens = self.embedder.tokens
        splitter = SentenceSplitter(
            chunk_size=SIZE, chunk_overlap=0, tokenizer=lambda text: tokens.ids([text])[0].tolist()
        )
        pipeline = IngestionPipeline(
            transformations=[splitter, self._model],
            vector_store=QdrantVectorStore(name, client=self._client),
            docstore=SimpleDocumentStore(),
            docstore_strategy=DocstoreStrategy.UPSERTS,
        )
        taken = []
        for edition in editions:
            documents = [LlamaDocument(text=one.text, id_=one.id) for one in edition]
            start = time.perf_counter()
            nodes = pipeline.run(documents=documents)
            taken.append((time.perf_counter() - start, len(nodes)))
        self._client.delete_collection(name)
        return taken

    def forward(self, documents: Sequence[Document]) -> Callable[[], tuple[float, int]]:
        """Return what runs the batches of all chunks through the model and nothing else."""
        texts = [c.embedded_text for one in documents for c in self._splitter.split(one)]
        size = BATCH_CHUNKS // 2  # as a run embeds them
        slices = [texts[at : at + size] for at in range(0, len(texts), size)]
        windows = prepare(slices, tokens=self.embedder.tokens, limits=self.embedder.limits)
        encoder = self.embedder.encoder()
        batches = [encoder.features(batch) for window in windows for batch in window.batches]

        def run() -> tuple[float, int]:
            start = time.perf_counter()
            for features in batches:
                encoder.forward(features)
            return time.perf_counter() - start, len(texts)

        return run

    def _name(self) -> str:
        return f"bench-{next(_numbers)}"


def measure(
    bench: Bench, editions: Editions, *, rounds: int, free: bool
) -> dict[str, list[tuple[float, int]]]:
    """Return the seconds and chunks of each way in each round; ways take turns to begin."""
    bench.embedder.embed([one.text[:500] for one in editions[0]] * 8)
    forward = None if free else bench.forward(editions[0])
    found: dict[str, list[tuple[float, int]]] = {}
    for number in range(rounds + 1):
        ways = [(WINDOWFIT, bench.windowfit), (LLAMA_INDEX, bench.llama_index)]
        for name, way in ways if number % 2 else ways[::-1]:
            both = way(editions)
            if number:
                # The first round warms everything up.
                found.setdefault(name, []).append(both[0])
                found.setdefault(name + AGAIN, []).append(both[1])
        if forward is not None:
            alone = forward()
            if number:
                found.setdefault(FORWARD, []).append(alone)
        print(f"round {number}", file=sys.stderr)
    return found


def summary(
    found: dict[str, list[tuple[float, int]]], documents: Sequence[Document], *, free: bool
) -> dict[str, Any]:
    """Return everything that was measured, and the ratios that are promised."""
    seconds = {name: [one for one, _ in taken] for name, taken in found.items()}
    base = WINDOWFIT if free else FORWARD
    rows = [
        {
            "name": name,
            "seconds": round(statistics.median(seconds[name]), 3),
            "chunks": found[name][0][1],
            "to_forward": round(ratio(seconds, name, base), 3),
            "to_windowfit": round(ratio(seconds, name, WINDOWFIT), 3),
        }
        for name in found
    ]
    characters = sum(len(document.text) for document in documents)
    what = "vectors for nothing" if free else "vectors by the model"
    return {
        "text": f"{len(documents)} documents, {characters:,} characters; {what}",
        "to_forward": None if free else round(ratio(seconds, WINDOWFIT, FORWARD), 3),
        "speedup": round(ratio(seconds, LLAMA_INDEX, WINDOWFIT), 2),
        "speedup_next_edition": round(ratio(seconds, LLAMA_INDEX + AGAIN, WINDOWFIT + AGAIN), 2),
        "ways": rows,
    }


def main() -> int:
    """Print a line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("vectors", choices=("model", "free"))
    parser.add_argument("weights")
    parser.add_argument("url")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    editions = read_documents(given.first), read_documents(given.second)
    free = given.vectors == "free"
    bench = Bench(given.weights, given.url, free=free)
    found = measure(bench, editions, rounds=given.rounds, free=free)
    print(json.dumps(summary(found, editions[0], free=free)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
