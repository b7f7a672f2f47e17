"""Retrieve with LlamaIndex from a Windowfit collection: no server, no weights, no network."""

from chunking.document import Document
from chunking.sections import markdown_sections
from chunking.split import Splitter
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.llamaindex import WindowfitRetriever
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.search import Searcher
from retrieval.writer import IndexWriter

TEXTS = {
    "Chad": "# Geography\nChad has no coast.\n# Economy\nOil is most of the exports of Chad.\n",
    "Peru": "# Geography\nThe coast of Peru is dry.\n# Economy\nCopper is mined in Peru.\n",
}

embedder = HashEmbedder(dimension=256)
splitter = Splitter(embedder.count_tokens)
index = Index.create(MemoryEngine(), "countries", fingerprint_of(embedder, splitter))
with IndexWriter(index) as writer:
    for title, text in TEXTS.items():
        document = Document(title, text, title, source=title, sections=markdown_sections(text))
        chunks = splitter.split(document)
        vectors = embedder.embed([chunk.embedded_text for chunk in chunks])
        writer.write(document, chunks, vectors)

retriever = WindowfitRetriever(Searcher(index, embedder), limit=3)
for hit in retriever.retrieve("What does Chad export?"):
    print(f"{hit.score:.2f}  {hit.metadata['via']:<12}  {hit.metadata['breadcrumb']}: {hit.text!r}")
