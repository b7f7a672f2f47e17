"""A LlamaIndex retriever over our search."""

from __future__ import annotations

import asyncio

from llama_index.core.callbacks import CallbackManager
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle

from chunking.llamaindex import show_breadcrumb_only, to_node
from retrieval.points import Where
from retrieval.records import Hit
from retrieval.search import Searcher

VIA_KEY = "via"
"""Metadata key of the search step that brought a node."""


class WindowfitRetriever(BaseRetriever):
    """Retrieves the nodes of `Searcher.search`, best first.

    Nodes come in the order of priority, which is not the order of their scores: what a question
    names takes turns with what is near to it. `to_chunk` gives the chunk of a node.

    Args:
        searcher: searches one collection.
        limit: most nodes.
        where: payload filter, as in `Searcher.search`.
        callback_manager: told of every retrieval.
    """

    def __init__(
        self,
        searcher: Searcher,
        *,
        limit: int = 10,
        where: Where | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(callback_manager=callback_manager)
        self._searcher = searcher
        self._limit = limit
        self._where = where

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        hits = self._searcher.search(query_bundle.query_str, limit=self._limit, where=self._where)
        return [to_scored_node(hit) for hit in hits]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


def to_scored_node(hit: Hit) -> NodeWithScore:
    """Return the hit as a node with its score; its metadata says which step brought it."""
    node = to_node(hit.chunk)
    node.metadata[VIA_KEY] = hit.via
    return NodeWithScore(node=show_breadcrumb_only(node), score=hit.score)
