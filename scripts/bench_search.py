"""Measures a search against the model and one raw query of the store, in pairs in one run.

    python -m scripts.bench_search [--chunks 1000000] [--questions 60] [--grpc]

For every question, in turns: (a) the question is embedded and its nearest chunks are asked for by
the store's own client, with their payload and as many as we want; (b) `Searcher.search`, embedding
included. A search remembers what it found, so that matters: other questions are asked first, then
new ones are measured, and these once more after they were asked again. Three cases: 10,000 chunks
in Qdrant Edge and on a Qdrant server, and as many as `--chunks` says on the server with vectors of
one byte a dimension in memory and the rest on disk. Chunks are those of the World Factbook over and
over, see `bench_collection.py`. The server's data stay in `.cache/bench-search`, so that a second
run measures at once. Prints a table and a last line of JSON; exits with 1 where plain questions
take more than 1.3 times what (a) does, new ones or known ones.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

import qdrant_edge as edge
from qdrant_client import QdrantClient, models

from chunking.errors import WindowfitError
from retrieval.edge.engine import EdgeEngine
from retrieval.edge.store import VECTOR, EdgePointStore
from retrieval.index import Index
from retrieval.points import Engine, Vector
from retrieval.qdrant.engine import QdrantEngine
from retrieval.qdrant.layout import CollectionLayout
from retrieval.search import Searcher
from retrieval.transformer import TransformerEmbedder
from scripts.bench_chunk import MODEL
from scripts.bench_collection import DOCUMENT_CHUNKS, Patterns, fill
from scripts.bench_documents import models_folder
from scripts.prove.peers_environment import ROOT
from scripts.qdrant_server import Server, ServerError, running_server

RATIO_LIMIT: Final = 1.3
FEW: Final = 10_000
FOLDER: Final = ROOT / ".cache" / "bench-search"
LIMIT: Final = 40
"""Hits asked for: as many as a request with 4,096 tokens of room."""
_READY_SECONDS: Final = 3600.0
_ON_DISK: Final = CollectionLayout(quantization="int8", vectors_on_disk=True, payload_on_disk=True)

_PASSES: Final = 4

Ask = Callable[[Vector], object]
Times = tuple[float, float, float]
"""Of embedding, of embedding with a raw query, and of our search."""


@dataclass(frozen=True, slots=True)
class Row:
    """The medians over the questions of one kind, in milliseconds, and memory in MiB.

    Attributes:
        ratio: b / a of questions that were asked before; the milliseconds are of these.
        new: b / a of questions that were not, where as many others were.
    """

    store: str
    chunks: int
    questions: str
    embed_ms: float
    raw_ms: float
    search_ms: float
    ratio: float
    new: float
    server_mib: int
    process_mib: int


def questions_of(like: Patterns, number: int) -> dict[str, list[str]]:
    """Return questions that name no document, and questions that name one: twice so many of each.

    Raises:
        ValueError: there are not as many headings.
    """
    chance = random.Random(0)
    headings = chance.sample([name.lower() for name in like.headings], 2 * number)
    titles = chance.sample(like.titles[: FEW // DOCUMENT_CHUNKS], 2 * number)
    return {
        "plain": [f"What is known about {heading}?" for heading in headings],
        "naming a document": [
            f"What is the {heading} of {title}?"
            for heading, title in zip(headings, titles, strict=True)
        ],
    }


def measure(
    searcher: Searcher, raw: Ask, questions: Mapping[str, Sequence[str]]
) -> Iterator[tuple[str, list[Times]]]:
    """Yield the medians of new questions, and of questions that were asked before."""
    for kind, asked in questions.items():
        others, ours = asked[: len(asked) // 2], asked[len(asked) // 2 :]
        searcher.index.forget()  # what the questions of another kind have found
        _pass(searcher, raw, others)
        new, _, *known = (_pass(searcher, raw, ours) for _ in range(_PASSES))
        yield kind, [_medians(new), _medians([*chain.from_iterable(known)])]


def _pass(searcher: Searcher, raw: Ask, asked: Sequence[str]) -> list[Times]:
    taken: list[Times] = []
    for number, question in enumerate(asked):
        ours = _seconds(searcher, question) if number % 2 else 0.0
        start = time.perf_counter()
        [vector] = searcher.embedder.embed([question])
        embedded = time.perf_counter()
        raw(vector)
        end = time.perf_counter()
        ours = ours or _seconds(searcher, question)
        taken.append((embedded - start, end - start, ours))
    return taken


def _medians(taken: Sequence[Times]) -> Times:
    embed, both, search = (statistics.median(times) * 1000 for times in zip(*taken, strict=True))
    return embed, both, search


def _seconds(searcher: Searcher, question: str) -> float:
    start = time.perf_counter()
    searcher.search(question, limit=LIMIT)
    return time.perf_counter() - start


class Bench:
    """Measures one collection after the other with the same model and questions."""

    def __init__(self, number: int, *, grpc: bool) -> None:
        self._embedder = TransformerEmbedder(MODEL, folders=(models_folder(),), devices=("cpu",))
        self._like = Patterns.of(self._embedder)
        self._questions = questions_of(self._like, number)
        self._grpc = grpc

    def edge(self, folder: Path) -> Iterator[Row]:
        """Yield what was measured in the embedded engine."""
        engine = EdgeEngine(folder)
        try:
            index = self._filled(engine, FEW)
            assert isinstance(index.points, EdgePointStore)
            shard = index.points._shard  # a second one cannot be opened beside it

            def raw(vector: Vector) -> object:
                near = edge.Query.Nearest(vector.tolist(), using=VECTOR)
                return shard.query(edge.QueryRequest(limit=LIMIT, query=near, with_payload=True))

            yield from self._rows("Edge", index, raw, FEW, pid=None)
        finally:
            engine.close()

    def server(self, server: Server, chunks: int, layout: CollectionLayout) -> Iterator[Row]:
        """Yield what was measured on a Qdrant server."""
        port = server.grpc_port if self._grpc else None
        # Points are written over gRPC in any case, which takes half as long.
        writing = QdrantEngine(
            server.url, timeout_seconds=60, grpc_port=server.grpc_port, layout=layout
        )
        index = self._filled(writing, chunks)
        place = index.place
        client = QdrantClient(
            url=server.url,
            prefer_grpc=self._grpc,
            grpc_port=server.grpc_port,
            check_compatibility=False,
            timeout=60,
        )
        _wait_until_indexed(client, place)
        engine = QdrantEngine(server.url, timeout_seconds=60, grpc_port=port, layout=layout)
        index = Index.open(engine, index.name)

        def raw(vector: Vector) -> object:
            return client.query_points(
                place, vector.tolist(), using=VECTOR, limit=LIMIT, with_payload=True
            )

        name = "server" if layout.quantization is None else f"server, {layout.quantization}"
        yield from self._rows(name, index, raw, chunks, pid=server.pid)
        for opened in (writing, engine, client):
            opened.close()

    def _filled(self, engine: Engine, chunks: int) -> Index:
        name = f"bench-{chunks}"
        index = Index.open(engine, name) if name in engine.collections() else None
        if index is None or not any(index.scroll("state", fields=("swept",))):
            print(f"storing {chunks:,} chunks", file=sys.stderr)
            fill(engine, name, self._embedder, self._like, chunks)
            index = Index.open(engine, name)
        return index

    def _rows(
        self, store: str, index: Index, raw: Ask, chunks: int, *, pid: int | None
    ) -> Iterator[Row]:
        searcher = Searcher(index, self._embedder)
        for kind, times in measure(searcher, raw, self._questions):
            new, known = (round(search / both, 3) for _, both, search in times)
            memory = _resident_mib(pid) if pid else 0, _resident_mib("self")
            yield Row(store, chunks, kind, *times[-1], known, new, *memory)


def _wait_until_indexed(client: QdrantClient, collection: str) -> None:
    """Wait for the server to end building its graphs, as it does within minutes of a big write."""
    deadline = time.monotonic() + _READY_SECONDS
    while client.get_collection(collection).status != models.CollectionStatus.GREEN:
        if time.monotonic() > deadline:
            raise ServerError(f"collection {collection} is not indexed in {_READY_SECONDS:.0f} s")
        time.sleep(2)


def _resident_mib(pid: int | str) -> int:
    """Return the memory of a process that no file backs, in MiB: what it cannot do without."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    [line] = [line for line in status.splitlines() if line.startswith("RssAnon")]
    return int(line.split()[1]) // 1024


def table(rows: Sequence[Row]) -> str:
    """Return what was measured as a Markdown table."""
    lines = [
        "| store | chunks | questions | embedding, ms | (a) with a raw query, ms | (b) search, ms "
        "| b / a | new questions | server, MiB | our process, MiB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.store} | {row.chunks:,} | {row.questions} | {row.embed_ms:.1f} | {row.raw_ms:.1f} "
        f"| {row.search_ms:.1f} | {row.ratio:.2f} | {row.new:.2f} "
        f"| {row.server_mib or ''} | {row.process_mib} |"
        for row in rows
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table and a last line of JSON; return 1 where the limit does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--chunks", type=int, default=1_000_000, help="of the large case; 0: none")
    parser.add_argument("--questions", type=int, default=50, help="of each kind")
    parser.add_argument("--grpc", action="store_true", help="query the server over gRPC, not REST")
    given = parser.parse_args(arguments)
    rows: list[Row] = []
    try:
        bench = Bench(given.questions, grpc=given.grpc)
        rows += bench.edge(FOLDER / "edge")
        with running_server(FOLDER / "qdrant") as server:
            rows += bench.server(server, FEW, CollectionLayout())
        if given.chunks:
            # A server of its own, so that its memory is that of this collection.
            with running_server(FOLDER / "qdrant-large") as server:
                rows += bench.server(server, given.chunks, _ON_DISK)
    except (ServerError, WindowfitError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 4
    print(table(rows))
    plain = [row for row in rows if row.questions == "plain"]
    held = all(max(row.ratio, row.new) <= RATIO_LIMIT for row in plain)
    found: dict[str, Any] = {"rows": [asdict(row) for row in rows], "held": held}
    print(json.dumps(found))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
