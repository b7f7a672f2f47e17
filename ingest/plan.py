"""States what a run would do before it does anything: documents, chunks, tokens, time, price."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from chunking.document import Chunk, Document
from chunking.errors import UnreadableDocument
from chunking.split import Splitter
from ingest.changes import Found, Quarantined, Relabelled, Unchanged, compare, raised_label
from ingest.texts import SourceFile
from retrieval.embed import Embedder
from retrieval.records import DocumentRecord

_SAMPLE_CHUNKS = 64
"""Chunks embedded to measure the speed: enough for a few batches, a second or two on a CPU."""


@dataclass(frozen=True, slots=True)
class IngestPlan:
    """What a run would do. Counts are exact as long as source and collection stay as they are.

    Attributes:
        new, changed, unchanged: documents the collection lacks, holds otherwise, or holds.
        relabelled: documents, whether they change or not, that the collection holds under another
            label; nothing is embedded for a label.
        removed: documents of the collection that the source does not hold; a run removes them only
            where it is asked to prune.
        chunks: chunks of new and changed documents.
        embedded_chunks: those of them that are not stored yet.
        embedded_tokens: their tokens by the embedder's own tokenizer.
        seconds: estimate of the time to embed them, from a sample embedded now; None where nothing
            is to be embedded or no sample was taken.
        cost_usd: price of embedding; embedders that run on this machine cost nothing.
    """

    collection: str
    files: int
    new: int
    changed: int
    unchanged: int
    removed: tuple[str, ...]
    chunks: int
    embedded_chunks: int
    embedded_tokens: int
    seconds: float | None
    cost_usd: float
    quarantined: tuple[Quarantined, ...]
    relabelled: int = 0


def plan_ingest(
    files: Iterable[SourceFile],
    records: Mapping[str, DocumentRecord],
    *,
    collection: str,
    splitter: Splitter,
    embedder: Embedder,
    origins: Mapping[str, DocumentRecord] | None = None,
    measured: bool = True,
) -> IngestPlan:
    """Return what `run_ingest` would do with these files; nothing is written.

    Args:
        records: what the collection holds; empty where there is none yet.
        origins: see `compare`.
        measured: whether a sample is embedded to estimate the time.
    """
    quarantined: list[Quarantined] = []
    seen: set[str] = set()
    new = changed = unchanged = relabelled = chunks = embedded_chunks = tokens = 0
    sample: list[Chunk] = []
    for found in compare(files, records, origins=origins):
        one, split = _split(found, splitter, origins or records)
        seen.add(one.id if isinstance(one, Document) else one.name)
        relabelled += _relabels(one, records)
        if isinstance(one, Unchanged | Relabelled):
            unchanged += 1
            continue
        if isinstance(one, Quarantined):
            quarantined.append(one)
            continue
        record = records.get(one.id)
        missing = _missing(split, record)
        if record is not None and record.version == one.version and not missing:
            unchanged += 1
            continue
        new += record is None
        changed += record is not None
        chunks += len(split)
        embedded_chunks += len(missing)
        tokens += sum(embedder.count_tokens([chunk.embedded_text for chunk in missing]))
        sample = _spread(sample, missing)
    return IngestPlan(
        collection=collection,
        files=new + changed + unchanged + len(quarantined),
        new=new,
        changed=changed,
        unchanged=unchanged,
        removed=tuple(name for name in records if name not in seen),
        chunks=chunks,
        embedded_chunks=embedded_chunks,
        embedded_tokens=tokens,
        seconds=_estimate(sample, tokens, embedder) if measured else None,
        cost_usd=0.0,
        quarantined=tuple(quarantined),
        relabelled=relabelled,
    )


def _split(
    found: Found, splitter: Splitter, held: Mapping[str, DocumentRecord]
) -> tuple[Found, tuple[Chunk, ...]]:
    """Return a file with its chunks; as quarantined where it cannot be split."""
    if not isinstance(found, Document):
        return found, ()
    try:
        return found, splitter.split(found)
    except UnreadableDocument as error:
        label = raised_label(held.get(found.id), found.sensitivity)
        return Quarantined.of(found.id, error, label=label), ()


def _relabels(one: Found, records: Mapping[str, DocumentRecord]) -> bool:
    """Return whether a run gives a stored document another label."""
    if isinstance(one, Document):
        record = records.get(one.id)
        return record is not None and record.sensitivity is not one.sensitivity
    return isinstance(one, Relabelled) or (isinstance(one, Quarantined) and bool(one.label))


def _missing(chunks: Sequence[Chunk], record: DocumentRecord | None) -> list[Chunk]:
    stored = set(record.chunk_ids) if record else set()
    return [chunk for chunk in chunks if chunk.id not in stored]


def _spread(sample: list[Chunk], more: Sequence[Chunk]) -> list[Chunk]:
    """Return a sample over all documents so far, thinned out as it grows."""
    longer = [*sample, *more]
    return longer if len(longer) <= 4 * _SAMPLE_CHUNKS else longer[::4]


def _estimate(sample: Sequence[Chunk], tokens: int, embedder: Embedder) -> float | None:
    """Return about how many seconds so many tokens take to embed."""
    texts = [chunk.embedded_text for chunk in sample[:: max(1, len(sample) // _SAMPLE_CHUNKS)]]
    if not texts:
        return None
    embedder.embed(texts[:1])  # loads the model
    started = time.perf_counter()
    embedder.embed(texts)
    elapsed = time.perf_counter() - started
    return elapsed * tokens / sum(embedder.count_tokens(texts))
