"""The LlamaIndex retriever finds what our search finds."""

from __future__ import annotations

import asyncio

import pytest
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

from chunking.document import Document
from chunking.errors import InputError
from chunking.llamaindex import to_chunk
from chunking.sections import markdown_sections
from chunking.split import Splitter
from retrieval.embed import HashEmbedder
from retrieval.index import Index
from retrieval.llamaindex import WindowfitRetriever
from retrieval.memory import MemoryEngine
from retrieval.providers import fingerprint_of
from retrieval.records import Hit
from retrieval.search import Searcher
from retrieval.writer import IndexWriter

QUESTION = "What does Chad export?"
TEXTS = {
    "Chad": "# Geography\nChad has no coast.\n# Economy\nOil is what Chad exports.\n",
    "Peru": "# Geography\nThe coast of Peru is dry.\n# Economy\nCopper is mined in Peru.\n",
}


@pytest.fixture
def searcher() -> Searcher:
    embedder = HashEmbedder(dimension=256)
    splitter = Splitter(embedder.count_tokens)
    index = Index.create(MemoryEngine(), "countries", fingerprint_of(embedder, splitter))
    with IndexWriter(index) as writer:
        for title, text in TEXTS.items():
            document = Document(title, text, title, title, sections=markdown_sections(text))
            chunks = splitter.split(document)
            vectors = embedder.embed([chunk.embedded_text for chunk in chunks])
            writer.write(document, chunks, vectors)
    return Searcher(index, embedder)


def hits_of(nodes: list[NodeWithScore]) -> list[Hit]:
    return [Hit(to_chunk(n.node), n.get_score(), n.metadata["via"]) for n in nodes]


def test_nodes_are_the_hits_in_their_order_with_score_and_step(searcher: Searcher) -> None:
    nodes = WindowfitRetriever(searcher, limit=3).retrieve(QUESTION)
    hits = searcher.search(QUESTION, limit=3)
    assert hits_of(nodes) == [Hit(hit.chunk, hit.score, hit.via) for hit in hits]
    assert nodes[0].metadata["via"] == "named: Chad"


def test_the_asynchronous_path_finds_the_same(searcher: Searcher) -> None:
    retriever = WindowfitRetriever(searcher, limit=3)
    nodes = asyncio.run(retriever.aretrieve(QueryBundle(QUESTION)))
    assert nodes == retriever.retrieve(QUESTION)


def test_an_event_loop_goes_on_while_the_retriever_searches(searcher: Searcher) -> None:
    async def turns_taken_meanwhile() -> int:
        search = asyncio.create_task(WindowfitRetriever(searcher).aretrieve(QUESTION))
        turns = 0
        while not search.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    assert asyncio.run(turns_taken_meanwhile()) > 1


def test_the_step_is_hidden_from_models(searcher: Searcher) -> None:
    [node] = WindowfitRetriever(searcher, limit=1).retrieve(QUESTION)
    for mode in (MetadataMode.EMBED, MetadataMode.LLM):
        text = node.get_content(metadata_mode=mode)
        assert text == to_chunk(node.node).embedded_text


def test_a_filter_holds_for_every_node(searcher: Searcher) -> None:
    retriever = WindowfitRetriever(searcher, where={"document": ["Peru"]})
    assert {to_chunk(n.node).document for n in retriever.retrieve(QUESTION)} == {"Peru"}


def test_a_filter_that_is_not_allowed_is_refused(searcher: Searcher) -> None:
    with pytest.raises(InputError, match="tenant"):
        WindowfitRetriever(searcher, where={"tenant": ["other"]}).retrieve(QUESTION)
