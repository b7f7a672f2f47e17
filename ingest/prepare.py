"""Makes of a file what can be embedded: reads, compares, splits and counts, one file at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chunking.document import Chunk, Document
from chunking.errors import UnreadableDocument
from chunking.piece_counts import count_pieces
from chunking.split import Splitter
from chunking.tokens import TokenCounter
from ingest.changes import Quarantined, examine, raised_label
from ingest.slices import Event, Pending
from ingest.texts import SourceFile
from retrieval.records import DocumentRecord

Missing = Callable[[str, Sequence[Chunk]], Sequence[Chunk]]
"""Returns those chunks of a document, named by its id, that are not stored yet."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What happens to a file before its chunks are embedded; it changes nothing anywhere.

    Attributes:
        counters: tokenizers by which prompts are planned.
    """

    splitter: Splitter
    counters: Sequence[TokenCounter] = ()

    def prepare(
        self,
        file: SourceFile,
        record: DocumentRecord | None,
        missing: Missing,
        *,
        origin: DocumentRecord | None,
    ) -> Event:
        """Return a file's document, split and counted, or why there is nothing to do for it.

        Args:
            record: what the collection knows of the document; None where it has none.
            origin: the document that the file's name belongs to, if any.
        """
        counted_by = [counter.identity for counter in self.counters]
        found = examine(file, record, origin=origin, counted_by=counted_by)
        if not isinstance(found, Document):
            return found
        return self.split(found, record, missing, held=origin)

    def split(
        self,
        document: Document,
        record: DocumentRecord | None,
        missing: Missing,
        *,
        held: DocumentRecord | None = None,
    ) -> Event:
        """Return a document with its chunks and their counts, or why it cannot be split.

        Args:
            held: the version that stays where this one cannot be split.
        """
        try:
            chunks = self.splitter.split(document)
        except UnreadableDocument as error:
            return Quarantined.of(
                document.id, error, label=raised_label(held or record, document.sensitivity)
            )
        lacking = tuple(missing(document.id, chunks))
        counts = {
            counter.identity: count_pieces(document, chunks, counter) for counter in self.counters
        }
        return Pending(
            document,
            chunks,
            lacking,
            unchanged=record is not None and record.version == document.version and not lacking,
            counts=counts,
            recounted=record is not None and not record.counts.keys() >= counts.keys(),
            relabelled=record is not None and record.sensitivity is not document.sensitivity,
        )
