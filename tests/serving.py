"""A small corpus behind a whole service: no server, no weights, no language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from chunking.counters import load_counter
from chunking.document import Document
from chunking.piece_counts import count_pieces
from chunking.sections import markdown_sections
from chunking.split import Splitter
from chunking.tokens import TokenCounter
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.points import Engine
from retrieval.providers import fingerprint_of
from retrieval.search import Searcher
from retrieval.writer import IndexWriter
from serve.backends.protocol import ChatBackend
from serve.ledger import Ledger
from serve.profiles import ModelProfile, load_profiles
from serve.requests import RequestStore
from serve.runtime import Runtime
from serve.settings import ServeSettings

OWN_PROFILE = """
[profiles.mine]
backend = "openai"
model = "my-model"
base_url = "http://127.0.0.1:9000/v1"
window = 4096
output_limit = 400
tokenizer = "tiktoken:o200k_base"
place = "local"
licence = "MIT"
price = "none"
reviewed = 2026-11-21
"""
"""A profile of a user's own, as it stands in a file; it has no review."""

EMBEDDER = HashEmbedder()
SPLITTER = Splitter(EMBEDDER.count_tokens, size=32, limit=64)
FINGERPRINT = fingerprint_of(EMBEDDER, SPLITTER)
SETTINGS = ServeSettings(collection="small", model="scripted")


def country(name: str, *, capital: str, area: str, wording: str = "landlocked") -> Document:
    """Return a document of two headings, its id in lower case."""
    text = (
        f"# On {name}\n\n"
        f"## Government\nCapital: {capital}\nLegislature: {wording} {name} assembly.\n"
        f"\n## Geography\nArea: {area} sq km\nTerrain: {wording} mountains of {name} and plains.\n"
    )
    sections = markdown_sections(text)
    return Document(name.lower(), text, name, f"{name.lower()}.md", "text/markdown", sections)


PERU = country("Peru", capital="Lima", area="1,285,216", wording="coastal")
CHAD = country("Chad", capital="N'Djamena", area="1,284,000")
BOLIVIA = country("Bolivia", capital="Sucre", area="1,098,581", wording="highland")
DOCUMENTS = (PERU, CHAD, BOLIVIA)


@cache
def mistral() -> TokenCounter:
    """Return the real tokenizer of the shipped profiles; loading it takes a second."""
    return load_counter("mistral:v3")


def profile(**changes: object) -> ModelProfile:
    """Return a local profile with the real tokenizer, answered by a script."""
    scripted = replace(load_profiles()["quote"], name="scripted", backend="scripted")
    return replace(scripted, **changes)  # type: ignore[arg-type]


def fill(
    engine: Engine, documents: Sequence[Document] = DOCUMENTS, *, counter: TokenCounter
) -> Index:
    """Put the documents into the collection `small`."""
    index = Index.create(engine, "small", FINGERPRINT)
    with IndexWriter(index, grace_seconds=0) as writer:
        for document in documents:
            chunks = SPLITTER.split(document)
            vectors = EMBEDDER.embed([chunk.embedded_text for chunk in chunks])
            counts = {counter.identity: count_pieces(document, chunks, counter)}
            writer.write(document, chunks, vectors, counts=counts)
    return index


def small_searcher(documents: Sequence[Document] = DOCUMENTS, *, counter: TokenCounter) -> Searcher:
    """Return a searcher over the documents."""
    return Searcher(fill(MemoryEngine(), documents, counter=counter), EMBEDDER)


def small_runtime(
    backend: ChatBackend,
    *,
    engine: Engine | None = None,
    profiles: Mapping[str, ModelProfile] | None = None,
    requests: RequestStore | None = None,
    ledger: Ledger | None = None,
) -> Runtime:
    """Return a runtime over the small corpus, or over an engine, whose model is the backend."""
    if engine is None:
        engine = MemoryEngine()
        fill(engine, counter=mistral())
    known = {"scripted": profile(), "quote": load_profiles()["quote"]}
    return Runtime(
        engine,
        EMBEDDER,
        FINGERPRINT,
        known if profiles is None else profiles,
        Path("no-models"),
        requests=requests,
        ledger=ledger,
        _counters={"mistral:v3": mistral()},
        _backends={"scripted": backend},
    )
