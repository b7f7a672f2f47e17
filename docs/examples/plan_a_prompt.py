"""Plan a prompt under a budget and read what the model would see, without calling any model."""

from chunking.counters import load_counter
from chunking.document import Document
from chunking.piece_counts import count_pieces
from chunking.split import Splitter
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.search import Searcher
from retrieval.writer import IndexWriter
from serve.plan import Ask, make_plan
from serve.profiles import load_profiles

FACTS = "Chad has no coast. Its capital is N'Djamena. Oil is most of what it exports. "

embedder = HashEmbedder(dimension=256)
splitter = Splitter(embedder.count_tokens, size=60)
counter = load_counter("mistral:v3")
index = Index.create(MemoryEngine(), "countries", fingerprint_of(embedder, splitter))
document = Document("chad", FACTS * 20, "Chad", source="chad.txt")
chunks = splitter.split(document)
vectors = embedder.embed([chunk.embedded_text for chunk in chunks])
counts = {counter.identity: count_pieces(document, chunks, counter)}
with IndexWriter(index) as writer:
    writer.write(document, chunks, vectors, counts=counts)

ask = Ask("What does Chad export?", "countries", "mistral-7b-8k", max_context_tokens=200)
profile = load_profiles()[ask.model]
searcher = Searcher(index, embedder)
report = make_plan(ask, profile=profile, counter=counter, searcher=searcher).report

print(f"{report.prompt_tokens} prompt + {report.reserved_output} answer + {report.free} free")
print(f"  = window of {report.window}, count {report.count}")
print(f"segments: {report.segments}")
print(f"truncated: {report.truncated}, kept {report.coverage.kept} of {report.coverage.candidates}")
for entry in report.entries:
    why = f" ({entry.reason})" if entry.reason else ""
    print(f"  {entry.rank}. {entry.start}-{entry.end}, {entry.tokens} tokens: {entry.fate}{why}")
