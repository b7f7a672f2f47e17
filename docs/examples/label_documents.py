"""Label documents by a run and by a rule; every hit says how far its text may travel."""

from chunking.document import Document
from chunking.sensitivity import Sensitivity, highest
from chunking.split import Splitter
from ingest.job import Ingestion, run_ingest
from ingest.labels import Labelling
from ingest.texts import document_file
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.search import Searcher
from retrieval.settings import IndexSettings, LabelRule
from retrieval.writer import IndexWriter

embedder = HashEmbedder(dimension=256)
splitter = Splitter(embedder.count_tokens, size=100, limit=256)
index = Index.create(MemoryEngine(), "company", fingerprint_of(embedder, splitter))
settings = IndexSettings(labels=(LabelRule(glob="hr/**", label=Sensitivity.RESTRICTED),))
texts = {"menu": "On Monday there is soup.", "hr/pay": "On Monday wages are paid."}

for label in (None, Sensitivity.CONFIDENTIAL):
    files = [document_file(Document(name, text, name, name)) for name, text in texts.items()]
    labelled = Labelling.of(settings, label).apply(files)
    writer = IndexWriter(index, grace_seconds=0)
    report = run_ingest(labelled, Ingestion(writer, embedder, splitter))
    print(f"{report.embedded_chunks} chunks embedded, {report.relabelled} documents relabelled")
    hits = Searcher(index, embedder).search("What happens on Monday?", limit=5)
    for hit in hits:
        print(f"  {hit.chunk.document}: {hit.chunk.sensitivity}")
    print(f"  together: {highest(hit.chunk.sensitivity for hit in hits)}")
