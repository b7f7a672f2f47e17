"""Ranks a corpus for questions as one library does, used as its documentation has it.

    python -m scripts.bench_retrieval_worker ARM TASK.json RANKED.json WEIGHTS CACHE.sqlite

Runs among the peers. TASK holds `documents` (`id`, `text`), `questions` (`id`, `question`) and
`depth`; what is written is, for every question, `[document, text of the chunk]` with the best
first. Every library splits as it does by default. All have their vectors from the same weights, and
from one file of those that were made before, so that a text of several libraries is embedded once.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from sentence_transformers import SentenceTransformer

from scripts.kept_vectors import KeptVectors, Rows

Documents = Sequence[Mapping[str, str]]
Ranking = list[tuple[str, str]]
"""Documents and texts of chunks, the best first."""
Rank = Callable[[str], Ranking]


class Vectors:
    """Vectors of texts, made by the model once: it is loaded when there is one to make."""

    def __init__(self, weights: str, cache: Path) -> None:
        self._weights = weights
        self._model: SentenceTransformer | None = None
        self._kept = KeptVectors(cache, self._encode)

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one unit row per text."""
        rows: list[list[float]] = self._kept.embed(texts).tolist()
        return rows

    def _encode(self, texts: Sequence[str]) -> Rows:
        if self._model is None:
            self._model = SentenceTransformer(self._weights, device="cpu")
        rows: Rows = self._model.encode(
            list(texts), normalize_embeddings=True, show_progress_bar=False
        )
        return rows


def llama_index(documents: Documents, vectors: Vectors, depth: int) -> Rank:
    """LlamaIndex: its sentence splitter and a vector index, both with their defaults."""
    return _llama_index(documents, vectors, depth, hybrid=False)


def llama_index_hybrid(documents: Documents, vectors: Vectors, depth: int) -> Rank:
    """LlamaIndex: the same, fused with BM25 by reciprocal ranks."""
    return _llama_index(documents, vectors, depth, hybrid=True)


def _llama_index(documents: Documents, vectors: Vectors, depth: int, *, hybrid: bool) -> Rank:
    from llama_index.core import Document, MockEmbedding, VectorStoreIndex
    from llama_index.core.llms import MockLLM
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.core.retrievers import QueryFusionRetriever
    from llama_index.core.retrievers.fusion_retriever import FUSION_MODES
    from llama_index.core.schema import QueryBundle
    from llama_index.retrievers.bm25 import BM25Retriever

    whole = [Document(text=one["text"], id_=one["id"]) for one in documents]
    nodes: Any = SentenceSplitter().get_nodes_from_documents(whole)
    for node, row in zip(nodes, vectors.embed([node.text for node in nodes]), strict=True):
        node.embedding = row
    # Nodes bring their vectors, and questions theirs: the model named here is never asked.
    index = VectorStoreIndex(nodes, embed_model=MockEmbedding(embed_dim=384))
    retriever: Any = index.as_retriever(similarity_top_k=depth)
    if hybrid:
        retriever = QueryFusionRetriever(
            [retriever, BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=depth)],
            llm=MockLLM(),
            similarity_top_k=depth,
            num_queries=1,
            mode=FUSION_MODES.RECIPROCAL_RANK,
            use_async=False,
        )

    def rank(question: str) -> Ranking:
        [row] = vectors.embed([question])
        hits = retriever.retrieve(QueryBundle(question, embedding=row))
        return [(hit.node.ref_doc_id, hit.node.text) for hit in hits]

    return rank


def haystack(documents: Documents, vectors: Vectors, depth: int) -> Rank:
    """Haystack: its splitter by words, BM25 and vectors, joined by reciprocal ranks."""
    from haystack import Document
    from haystack.components.joiners import DocumentJoiner
    from haystack.components.preprocessors import DocumentSplitter
    from haystack.components.retrievers.in_memory import (
        InMemoryBM25Retriever,
        InMemoryEmbeddingRetriever,
    )
    from haystack.document_stores.in_memory import InMemoryDocumentStore

    splitter = DocumentSplitter()
    splitter.warm_up()
    whole = [Document(content=one["text"], meta={"document": one["id"]}) for one in documents]
    chunks = splitter.run(documents=whole)["documents"]
    rows = vectors.embed([chunk.content for chunk in chunks])
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    store.write_documents(
        [
            Document(id=chunk.id, content=chunk.content, meta=chunk.meta, embedding=row)
            for chunk, row in zip(chunks, rows, strict=True)
        ]
    )
    words = InMemoryBM25Retriever(store, top_k=depth)
    near = InMemoryEmbeddingRetriever(store, top_k=depth)
    joiner = DocumentJoiner(join_mode="reciprocal_rank_fusion", top_k=depth)

    def rank(question: str) -> Ranking:
        [row] = vectors.embed([question])
        found = [
            words.run(query=question)["documents"],
            near.run(query_embedding=row)["documents"],
        ]
        joined = joiner.run(documents=found)["documents"]
        return [(one.meta["document"], one.content) for one in joined]

    return rank


def langchain(documents: Documents, vectors: Vectors, depth: int) -> Rank:
    """LangChain: its recursive splitter, BM25 and vectors in an ensemble of equal weights."""
    from langchain_classic.retrievers import EnsembleRetriever
    from langchain_community.retrievers import BM25Retriever
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import InMemoryVectorStore
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    class Remembered(Embeddings):  # type: ignore[misc]
        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return vectors.embed(texts)

        def embed_query(self, text: str) -> list[float]:
            return vectors.embed([text])[0]

    whole = [
        Document(page_content=one["text"], metadata={"document": one["id"]}) for one in documents
    ]
    chunks = RecursiveCharacterTextSplitter().split_documents(whole)
    store = InMemoryVectorStore(Remembered())
    store.add_documents(chunks)
    retriever = EnsembleRetriever(
        retrievers=[
            BM25Retriever.from_documents(chunks, k=depth),
            store.as_retriever(search_kwargs={"k": depth}),
        ],
        weights=[0.5, 0.5],
    )

    def rank(question: str) -> Ranking:
        hits = retriever.invoke(question)
        return [(hit.metadata["document"], hit.page_content) for hit in hits][:depth]

    return rank


def txtai(documents: Documents, vectors: Vectors, depth: int) -> Rank:
    """txtai: paragraphs, and its hybrid index with default weights."""
    from txtai import Embeddings
    from txtai.pipeline import Segmentation

    paragraphs = Segmentation(paragraphs=True, cleantext=False)
    chunks = [(one["id"], text) for one in documents for text in paragraphs(one["text"])]

    def transform(texts: Sequence[str]) -> Any:
        return np.asarray(vectors.embed(list(texts)), dtype=np.float32)

    index = Embeddings(method="external", transform=transform, hybrid=True)
    index.index([(number, text, None) for number, (_, text) in enumerate(chunks)])

    def rank(question: str) -> Ranking:
        return [chunks[int(number)] for number, _ in index.search(question, depth)]

    return rank


ARMS: Final[Mapping[str, Callable[[Documents, Vectors, int], Rank]]] = {
    "LlamaIndex": llama_index,
    "LlamaIndex, hybrid": llama_index_hybrid,
    "Haystack": haystack,
    "LangChain": langchain,
    "txtai": txtai,
}


def ranked(arm: str, task: Mapping[str, Any], vectors: Vectors) -> Iterator[tuple[str, Ranking]]:
    """Yield every question's ranking."""
    rank = ARMS[arm](task["documents"], vectors, task["depth"])
    for question in task["questions"]:
        yield question["id"], rank(question["question"])


def main() -> int:
    """Write the rankings of one library."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("arm", choices=ARMS)
    parser.add_argument("task", type=Path)
    parser.add_argument("ranked", type=Path)
    parser.add_argument("weights")
    parser.add_argument("cache", type=Path)
    given = parser.parse_args()
    task = json.loads(given.task.read_text(encoding="utf-8"))
    vectors = Vectors(given.weights, given.cache)
    found = dict(ranked(given.arm, task, vectors))
    given.ranked.write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
