"""Injects silent truncations and counts which are found, and which honest answers are accused.

    python -m scripts.prove.cuts [--cuts 500] [--honest 5000]

Every answer goes through `serve.answer.answer`, over a small corpus and with a scripted model that
says how many prompt tokens it read: all of them, or fewer, from one token less to almost nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from chunking.counters import load_counter
from chunking.document import Document
from chunking.piece_counts import count_pieces
from chunking.split import Splitter
from chunking.tokens import Message, TokenCounter
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.writer import IndexWriter
from serve.answer import answer
from serve.backends.protocol import CompletionRequest
from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamSilentTruncation
from serve.plan import Ask
from serve.profiles import ModelProfile, load_profiles
from serve.runtime import Runtime

SEED: Final = 20_260_122
COLLECTION: Final = "cuts"
TOKENIZERS: Final = ("mistral:v3", "mistral:tekken", "tiktoken:o200k_base", "tiktoken:cl100k_base")
_WORDS: Final = (
    "Peru capital population area border river 1,285,216 sq km Lima 東京 été naïve [3] 12.5% "
    "exports copper gold zinc growth GDP median age 29.7 years \n Question: sources"
).split(" ")


@dataclass(frozen=True, slots=True)
class CutsResult:
    """What became of the answers.

    Attributes:
        cuts, found: injected truncations, and how many of them were refused.
        honest, accused: honest answers, and how many of them were refused or flagged.
    """

    cuts: int
    found: int
    honest: int
    accused: int
    seconds: float

    @property
    def held(self) -> bool:
        """Whether every cut was found and nobody was accused."""
        return self.found == self.cuts and self.accused == 0


def run(*, cuts: int = 500, honest: int = 5000, seed: int = SEED) -> CutsResult:
    """Answer so many requests with a cut and without."""
    started = time.perf_counter()
    chance = random.Random(seed)
    corpus = _Corpus(chance)
    found = sum(asyncio.run(corpus.ask(cut=True)) for _ in range(cuts))
    accused = sum(asyncio.run(corpus.ask(cut=False)) for _ in range(honest))
    return CutsResult(cuts, found, honest, accused, round(time.perf_counter() - started, 1))


class _Corpus:
    """A service over some documents, asked at random."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._counters = {name: load_counter(name) for name in TOKENIZERS}
        self._profiles = {name: _profile(name) for name in TOKENIZERS}
        embedder = HashEmbedder()
        splitter = Splitter(embedder.count_tokens, size=64, limit=128)
        self._embedder, self._engine = embedder, MemoryEngine()
        self._fingerprint = fingerprint_of(embedder, splitter)
        index = Index.create(self._engine, COLLECTION, self._fingerprint)
        with IndexWriter(index) as writer:
            for number in range(20):
                text = "\n".join(self._line() for _ in range(chance.randint(3, 30)))
                document = Document(f"d{number}", text, f"Title {number}", f"d{number}.txt")
                chunks = splitter.split(document)
                vectors = embedder.embed([chunk.embedded_text for chunk in chunks])
                counts = {
                    c.identity: count_pieces(document, chunks, c) for c in self._counters.values()
                }
                writer.write(document, chunks, vectors, counts=counts)
        self._runtime = self._open()

    async def ask(self, *, cut: bool) -> bool:
        """Return whether the answer was refused, or reported as cut."""
        name = self._chance.choice(TOKENIZERS)
        counter = self._counters[name]
        backend = ScriptedBackend(
            ["It is so [1]."], prompt_tokens=lambda request: self._read(request, counter, cut)
        )
        runtime = replace(self._runtime, _backends=dict.fromkeys(TOKENIZERS, backend))
        try:
            given = await answer(self._request(name), runtime)
        except UpstreamSilentTruncation:
            return True
        upstream = given.report.upstream
        return upstream is None or upstream.silently_truncated or upstream.drift != 0

    def _read(self, request: CompletionRequest, counter: TokenCounter, cut: bool) -> int:
        """Return what the server says it read; the loss is small as often as it is large."""
        planned = counter.count_messages(request.messages)
        if not cut:
            return planned
        most = self._chance.choice([1, 8, 64, planned - 1])
        return planned - self._chance.randint(1, min(most, planned - 1))

    def _request(self, name: str) -> Ask:
        turns = tuple(
            Message(role, self._line())
            for _ in range(self._chance.randint(0, 3))
            for role in ("user", "assistant")
        )
        return Ask(
            self._line() + "?",
            collection=COLLECTION,
            model=name,
            history=turns,
            mode=self._chance.choice(["retrieve", "retrieve", "full"]),
            max_context_tokens=self._chance.randint(0, 1500),
            max_output_tokens=64,
        )

    def _line(self) -> str:
        return " ".join(self._chance.choices(_WORDS, k=self._chance.randint(3, 25)))

    def _open(self) -> Runtime:
        return Runtime(
            self._engine,
            self._embedder,
            self._fingerprint,
            self._profiles,
            Path("no-models"),
            _counters=dict(self._counters),
        )


def _profile(tokenizer: str) -> ModelProfile:
    scripted: dict[str, Any] = {"name": tokenizer, "backend": "scripted", "tokenizer": tokenizer}
    return replace(load_profiles()["quote"], **scripted)


def main() -> int:
    """Print the result; return 1 where a cut was missed or somebody was accused."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cuts", type=int, default=500)
    parser.add_argument("--honest", type=int, default=5000)
    given = parser.parse_args()
    result = run(cuts=given.cuts, honest=given.honest)
    print(json.dumps(asdict(result)))
    return 0 if result.held else 1


if __name__ == "__main__":
    sys.exit(main())
