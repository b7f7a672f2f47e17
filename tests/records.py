"""Records of documents without chunks, for what only looks at names."""

from __future__ import annotations

from chunking.document import Document
from retrieval.records import DocumentRecord, record_of


def record(title: str, *aliases: str, name: str | None = None) -> DocumentRecord:
    """Return the record of a document of this title; its id is the title unless it has a name."""
    return record_of(Document(name or title, "", title, title, aliases=aliases), (), {})
