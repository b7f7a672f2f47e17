"""Let a planner say what to search for besides the question, and see what each search brought."""

from chunking.document import Document
from chunking.split import Splitter
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.search import SEARCH_LENGTH, SEARCH_LIMIT, Searcher
from retrieval.writer import IndexWriter

QUESTION = "Is trade by sea harder for one of the two?"
PROMPT = "Write what to look up for this question, one short search on each line, nothing else."
# A model's answer to that prompt with the question; ask yours with a request of its own.
WRITTEN = "coast of Chad\n\ncoast of Peru\n- harbours of Peru\n"


def searches_of(written: str) -> list[str]:
    """Return the lines of a model as searches; what is too long or too much is left out."""
    lines = (line.strip().removeprefix("- ") for line in written.splitlines())
    return [line for line in lines if 0 < len(line) <= SEARCH_LENGTH][:SEARCH_LIMIT]


embedder = HashEmbedder(dimension=256)
splitter = Splitter(embedder.count_tokens, size=40)
index = Index.create(MemoryEngine(), "countries", fingerprint_of(embedder, splitter))
texts = {"Chad": "Chad has no coast. ", "Peru": "Peru has a coast of 2,414 km and many harbours. "}
with IndexWriter(index) as writer:
    for title, text in texts.items():
        document = Document(title.lower(), text * 3, title, source=f"{title}.txt")
        chunks = splitter.split(document)
        writer.write(document, chunks, embedder.embed([chunk.embedded_text for chunk in chunks]))

found = Searcher(index, embedder).search(QUESTION, limit=6, searches=searches_of(WRITTEN))
for hit in found:
    print(f"{hit.chunk.title}: {hit.via}")
