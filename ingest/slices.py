"""Cuts a stream of documents into slices: what is embedded, stored and made visible in one go."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from chunking.document import Chunk, Document
from chunking.piece_counts import PieceCounts
from ingest.changes import Quarantined, Relabelled, Unchanged


@dataclass(frozen=True, slots=True)
class Pending:
    """A document that was split and waits to be written.

    Attributes:
        missing: those of its chunks that are to be embedded.
        unchanged: whether only what is known about the document changed, and not the document.
        counts: tokens of its pieces by `TokenCounter.identity`.
        recounted: whether a tokenizer counts it that had not.
        relabelled: whether the collection holds it under another label.
    """

    document: Document
    chunks: tuple[Chunk, ...]
    missing: tuple[Chunk, ...]
    unchanged: bool
    counts: Mapping[str, PieceCounts] = field(default_factory=dict)
    recounted: bool = False
    relabelled: bool = False


Event = Pending | Unchanged | Relabelled | Quarantined
"""What became of one file of a source."""


def name_of(event: Event) -> str:
    """Return the name of the file that an event is about."""
    return event.document.id if isinstance(event, Pending) else event.name


@dataclass(frozen=True, slots=True)
class Slice:
    """Chunks to embed together, and the files that are done with once these chunks are stored."""

    chunks: tuple[Chunk, ...]
    events: tuple[Event, ...]


def cut_slices(events: Iterable[Event], *, most_chunks: int, most_events: int) -> Iterator[Slice]:
    """Yield slices of at most so many chunks, in order; every event is in exactly one.

    A long document lies in several slices and is done with the last of them, so that what is lost
    by a kill is one slice and never a document.

    Args:
        most_events: files after which a slice ends however few chunks it has.
    """
    chunks: deque[Chunk] = deque()
    waiting: deque[tuple[int, Event]] = deque()
    given = taken = 0

    def cut(size: int) -> Slice:
        nonlocal taken
        taken += size
        some = tuple(chunks.popleft() for _ in range(size))
        done = []
        while waiting and waiting[0][0] <= taken:
            done.append(waiting.popleft()[1])
        return Slice(some, tuple(done))

    for event in events:
        if isinstance(event, Pending):
            chunks.extend(event.missing)
            given += len(event.missing)
        waiting.append((given, event))
        while len(chunks) >= most_chunks:
            yield cut(most_chunks)
        if len(waiting) >= most_events:
            yield cut(len(chunks))
    if waiting:
        yield cut(len(chunks))
