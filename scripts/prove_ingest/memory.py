"""Ingests a large corpus with the real command and meters its memory from outside.

    python -m scripts.prove_ingest.memory [--megabytes 1024] [--engine qdrant edge]

The corpus is made up while it is read, as JSON lines on standard input: articles of 2 to 20 kB
under Markdown headings. Embedded by hashes, so that no model's memory is among what is metered, and
counted by no tokenizer. What the process had taken after a third of the corpus tells how it grows
with it. Prints a table and a last line of JSON; exits with 1 where more was taken.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.prove.parts import ROOT, conclude
from scripts.prove_ingest.metered import MIB, MIB_LIMIT, Metered, run_metered
from scripts.qdrant_server import running_server

ENGINES: Final = ("qdrant", "edge")
GROWTH_LIMIT: Final = 1.0
"""Most MiB that a process grows by for each MiB of corpus: 1 GB then stays below the limit."""
RUN_SECONDS_LIMIT: Final = 3600.0
_SHARE: Final = 3
_SENTENCES: Final = (2, 8)
_PARAGRAPHS: Final = (8, 80)
_WORDS: Final = 5000


@dataclass(frozen=True, slots=True)
class MemoryResult:
    """What an ingestion took on one engine.

    Attributes:
        megabytes: of the corpus as JSON lines.
        chunks: stored in the end.
        peak_mib: most resident memory of the process; `third_mib` after a third of the corpus.
        growth: MiB that the process grew by for each MiB of corpus behind that third.
        exit_code: of the command.
    """

    engine: str
    megabytes: int
    documents: int
    chunks: int
    peak_mib: int
    third_mib: int
    growth: float
    exit_code: int | None
    seconds: float

    @property
    def held(self) -> bool:
        """Whether the ingestion ended well and within the limits."""
        ended = self.exit_code == 0 and self.documents > 0
        return ended and self.peak_mib <= MIB_LIMIT and self.growth <= GROWTH_LIMIT


def corpus_lines(size: int, seed: int = 4) -> Iterator[bytes]:
    """Yield JSON lines of made-up articles until they are so many bytes; always the same ones."""
    chance = random.Random(seed)
    syllables = [one + other for one in "bdfgklmnprstvz" for other in "aeiou"]
    words = ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(_WORDS)]
    written = number = 0
    while written < size:
        line = json.dumps(
            {
                "id": f"article/{number}",
                "title": " ".join(chance.choices(words, k=3)),
                "media_type": "text/markdown",
                "text": "\n\n".join(_paragraphs(chance, words)),
            }
        )
        data = line.encode() + b"\n"
        written += len(data)
        number += 1
        yield data


def _paragraphs(chance: random.Random, words: list[str]) -> Iterator[str]:
    for number in range(chance.randint(*_PARAGRAPHS)):
        if number % 6 == 0:
            yield f"## {' '.join(chance.choices(words, k=2))}"
        sentences = chance.randint(*_SENTENCES)
        some = chance.choices(words, k=12 * sentences)
        yield " ".join(f"{' '.join(some[at : at + 12])}." for at in range(0, len(some), 12))


def measure(engine: str, megabytes: int) -> MemoryResult:
    """Return what ingesting a corpus of so many megabytes takes on one engine."""
    whole = _ingest(engine, megabytes)
    third_mib = whole.peak_when(megabytes * MIB // _SHARE)
    return MemoryResult(
        engine=engine,
        megabytes=megabytes,
        documents=int(whole.report.get("collection_documents", 0)),
        chunks=int(whole.report.get("collection_chunks", 0)),
        peak_mib=round(whole.peak_mib),
        third_mib=round(third_mib),
        growth=round((whole.peak_mib - third_mib) / (megabytes - megabytes / _SHARE), 2),
        exit_code=whole.exit_code,
        seconds=round(whole.seconds, 1),
    )


def _ingest(engine: str, megabytes: int) -> Metered:
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        environment = _environment(Path(scratch))
        if engine == "qdrant":
            server = stack.enter_context(running_server(Path(scratch, "server")))
            environment |= {
                "WINDOWFIT_QDRANT_URL": server.url,
                "WINDOWFIT_QDRANT_GRPC_PORT": str(server.grpc_port),
            }
        command = ("ingest", "run", "-", "--collection", "memory", "--json", "--quiet")
        return run_metered(
            (sys.executable, "-m", "windowfit", *command),
            environment=environment,
            folder=Path(scratch),
            limit_seconds=RUN_SECONDS_LIMIT,
            lines=corpus_lines(megabytes * MIB),
        )


def _environment(scratch: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": str(ROOT),
        "WINDOWFIT_HOME": str(scratch / "home"),
        "WINDOWFIT_EMBEDDER": "hash:64",
        "WINDOWFIT_TOKENIZERS": "[]",
    }


def main() -> int:
    """Print a line for each engine and a last line of JSON; return 1 where one did not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--engine", nargs="+", choices=ENGINES, default=["qdrant"])
    given = parser.parse_args()
    results = []
    for engine in given.engine:
        one = measure(engine, given.megabytes)
        results.append(one)
        print(
            f"{engine}: {one.megabytes} MB, {one.documents} documents, {one.chunks} chunks: "
            f"{one.peak_mib} MiB ({one.third_mib} after a third), {one.growth} MiB for each MiB of "
            f"corpus; exit code {one.exit_code}; {one.seconds} s",
            flush=True,
        )
    return conclude("engines", results)


if __name__ == "__main__":
    sys.exit(main())
