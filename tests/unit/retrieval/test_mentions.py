"""Which chunks hold a name."""

from __future__ import annotations

from chunking.document import Document
from chunking.split import Splitter
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.mentions import find_mentions
from retrieval.providers import fingerprint_of
from retrieval.writer import IndexWriter

EMBEDDER = HashEmbedder(dimension=256)
SPLITTER = Splitter(EMBEDDER.count_tokens, size=24, limit=32)


def test_only_chunks_with_the_name_word_for_word_are_found() -> None:
    index = Index.create(MemoryEngine(), "c", fingerprint_of(EMBEDDER, SPLITTER))
    texts = {"Kettle": "Kept by Ada.", "Teapot": "Kept by Adam.", "Larder": "Kept by nobody."}
    with IndexWriter(index, grace_seconds=0) as writer:
        for title, text in texts.items():
            document = Document(title, text, title, title)
            chunks = SPLITTER.split(document)
            writer.write(
                document, chunks, EMBEDDER.embed([chunk.embedded_text for chunk in chunks])
            )
    (row,) = EMBEDDER.embed(["kept by Ada"])

    found = find_mentions(index, "Ada", row, catalog=index.catalog(), via="bridge: Ada")

    assert [(hit.chunk.title, hit.via) for hit in found] == [("Kettle", "bridge: Ada")]
