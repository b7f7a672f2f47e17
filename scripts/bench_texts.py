"""The texts of the embedding benchmark: chunks of the World Factbook, or texts generated like them.

Importing this needs the standard library alone; the Factbook's chunks need Windowfit installed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

Measure = Callable[[Sequence[str]], list[int]]

# Words of a chunk of the Factbook at the 0th, 10th, … 100th percentile: 32 entities, 1,512 chunks.
FACTBOOK_WORDS = (9, 48, 68, 77, 85, 92, 99, 106, 114, 131, 172)
NUMBER_EVERY = 8
"""Every how many words the Factbook states a number, most of them never seen before."""
GENERATED = "generated: words of this project's documents and numbers, lengths as in the Factbook"
CHUNKED = "chunks of the World Factbook"

DOCUMENTS = Path(__file__).parents[1]


def generated_texts(count: int, *, seed: int = 7) -> list[str]:
    """Return texts as long as chunks of the Factbook, the same ones for the same seed."""
    draw = random.Random(seed)
    words = _words(DOCUMENTS)
    texts = []
    for _ in range(count):
        size = _length(draw)
        start = draw.randrange(len(words) - size)
        texts.append(" ".join(_with_numbers(words[start : start + size], draw)))
    return texts


def factbook_texts(folder: Path, count: int, *, measure: Measure, limit: int) -> list[str]:
    """Return the texts that ingestion would embed, from as many entities as it takes."""
    # Imported here alone, so that the benchmark runs where Windowfit is not installed.
    from chunking.split import Splitter
    from ingest.factbook import factbook_files

    splitter = Splitter(measure, size=min(200, limit), limit=limit)
    texts: list[str] = []
    for file in factbook_files(folder):
        if len(texts) >= count:
            break
        chunks = splitter.split(file.parse(file.load()))
        texts.extend(chunk.embedded_text for chunk in chunks)
    return texts[:count]


def _length(draw: random.Random) -> int:
    """Draw a number of words, evenly within a tenth of the measured lengths."""
    tenth = draw.randrange(len(FACTBOOK_WORDS) - 1)
    return draw.randint(FACTBOOK_WORDS[tenth], FACTBOOK_WORDS[tenth + 1])


def _words(folder: Path) -> list[str]:
    """Return the running words of the documents, which repeat as words of English do."""
    files = sorted([*folder.glob("*.md"), *folder.glob("docs/*.md")])
    text = " ".join(file.read_text("utf-8") for file in files)
    return re.findall(r"[A-Za-z][a-z']*[,.;:]?", text)


def _with_numbers(words: Sequence[str], draw: random.Random) -> list[str]:
    return [
        f"{draw.randrange(10**6):,}" if not place % NUMBER_EVERY else word
        for place, word in enumerate(words)
    ]
