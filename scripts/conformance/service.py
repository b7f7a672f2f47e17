"""The service that clients are tried against: the real application over three short documents.

    python -m scripts.conformance.service     prints its address, then serves until it is ended

Its models are `quote`, which is shipped, and parts that are played: each shows a client one thing
that can happen to it.
"""

from __future__ import annotations

import socket
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI

from chunking.counters import load_counter
from chunking.document import Document
from chunking.piece_counts import count_pieces
from chunking.sections import markdown_sections
from chunking.split import Splitter
from ingest.routes import mount_jobs
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.settings import IndexSettings
from retrieval.writer import IndexWriter
from scripts.conformance.played import Part, PlayedBackend, Probes
from serve.app import create_app
from serve.breaker import CircuitLimits
from serve.gate import GateLimits
from serve.profiles import ModelProfile, load_profiles
from serve.requests import RequestStore, open_requests
from serve.runtime import Runtime
from serve.settings import ServeSettings

COLLECTION: Final = "countries"
TOKENIZER: Final = "mistral:v3"
STEADY: Final = ("Lima", " is", " the", " capital", " of", " Peru", " [1].")
PARTS: Final[Mapping[str, Part]] = {
    # Finishes as it should.
    "steady": Part(STEADY, pause_seconds=0.01),
    # Speaks at once, and then for longer than anyone listens.
    "slow": Part(("word ",) * 600, pause_seconds=0.1),
    # Says nothing for longer than anyone waits.
    "silent": Part(STEADY, first_seconds=60),
    "breaks": Part(STEADY, pause_seconds=0.01, broken_after=3),
    "busy": Part(STEADY, refusals=1_000_000),
    "busy-once": Part(STEADY, refusals=1),
    "tool": Part(STEADY, arguments={"country": "Peru", "capital": "Lima"}),
    # Its window holds no question.
    "tiny": Part(STEADY),
}
TINY_WINDOW: Final = 64
_COUNTRIES: Final = (
    ("Peru", "Lima", "1,285,216", "coastal"),
    ("Chad", "N'Djamena", "1,284,000", "landlocked"),
    ("Bolivia", "Sucre", "1,098,581", "highland"),
)


def build_app(probes: Probes, *, home: Path) -> FastAPI:
    """Return the application, which also tells what became of a probe at `/probe/{name}`.

    Args:
        probes: where that is remembered.
        home: folder of the answered requests.
    """
    settings = ServeSettings(collection=COLLECTION, model="quote")
    runtime = build_runtime(probes, requests=open_requests(home, settings))
    jobs = partial(mount_jobs, settings=IndexSettings(tokenizers=()))
    app = create_app(runtime, settings, mounts=[jobs])

    async def probe(name: str) -> dict[str, int]:
        return asdict(probes.of(name))

    app.get("/probe/{name}", include_in_schema=False)(probe)
    return app


_NEVER_BROKEN = GateLimits(circuit=CircuitLimits(failures=10**6))
"""A part that breaks off for every client would count as a broken server, and be called no more."""


def build_runtime(probes: Probes, *, requests: RequestStore | None = None) -> Runtime:
    """Return a runtime in memory that holds the countries and knows every part."""
    counter = load_counter(TOKENIZER)
    embedder = HashEmbedder()
    splitter = Splitter(embedder.count_tokens, size=32, limit=64)
    engine = MemoryEngine()
    fingerprint = fingerprint_of(embedder, splitter)
    index = Index.create(engine, COLLECTION, fingerprint)
    with IndexWriter(index) as writer:
        for facts in _COUNTRIES:
            document = _country(*facts)
            chunks = splitter.split(document)
            vectors = embedder.embed([chunk.embedded_text for chunk in chunks])
            counts = {counter.identity: count_pieces(document, chunks, counter)}
            writer.write(document, chunks, vectors, counts=counts)
    return Runtime(
        engine,
        embedder,
        fingerprint,
        build_profiles(),
        Path("no-models"),
        requests=requests,
        _counters={TOKENIZER: counter},
        _backends={name: PlayedBackend(part, probes) for name, part in PARTS.items()},
        gate_limits=_NEVER_BROKEN,
    )


def build_profiles() -> dict[str, ModelProfile]:
    """Return the profile `quote` and one for each part."""
    quote = load_profiles()["quote"]
    profiles = {"quote": quote}
    for name in PARTS:
        profiles[name] = replace(quote, name=name, model=name, backend="scripted")
    profiles["tiny"] = replace(
        profiles["tiny"], window=TINY_WINDOW, output_limit=TINY_WINDOW // 4, default_output=8
    )
    return profiles


def _country(name: str, capital: str, area: str, wording: str) -> Document:
    text = (
        f"# {name}\n\n## Government\nCapital: {capital}\nLegislature: {wording} {name} assembly.\n"
        f"\n## Geography\nArea: {area} sq km\nTerrain: {wording} mountains of {name} and plains.\n"
    )
    sections = markdown_sections(text)
    return Document(name.lower(), text, name, f"{name.lower()}.md", "text/markdown", sections)


def main() -> None:
    """Serve on a free port of the loopback interface."""
    with (
        tempfile.TemporaryDirectory(prefix="windowfit-clients-") as home,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        app = build_app(Probes(), home=Path(home))
        sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        config = uvicorn.Config(app, log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
