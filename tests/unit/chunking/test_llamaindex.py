"""Chunks and documents through LlamaIndex' types and back, and its NodeParser over our splitter."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import (
    BaseNode,
    MetadataMode,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.schema import Document as LlamaDocument

from chunking.document import Chunk, Document, Section
from chunking.llamaindex import (
    DOCUMENT_KEY,
    FieldNodeParser,
    to_chunk,
    to_document,
    to_llama_document,
    to_node,
)
from chunking.sections import markdown_sections
from chunking.sensitivity import Sensitivity
from chunking.split import Splitter

MARKDOWN = "# Geography\n\n{area}: 7 sq km\n\n# People > Society\n\n7 sq km\n\n## Age\n\n7 sq km\n"
TEXT = st.text(max_size=30)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
VISIBLE = NAMES.filter(lambda text: text == text.strip())


def words(texts: Sequence[str]) -> list[int]:
    return [len(re.findall(r"\w+|[^\w\s]", text)) + 2 for text in texts]


SPLITTER = Splitter(words, size=20, limit=24)
DOCUMENT = Document(
    "folder/chad.md",
    MARKDOWN,
    "Chad",
    "folder/chad.md",
    media_type="text/markdown",
    sections=markdown_sections(MARKDOWN),
    aliases=("Tchad", "Republic of Chad"),
)


@pytest.fixture
def parser() -> FieldNodeParser:
    return FieldNodeParser(splitter=SPLITTER)


def texts_of(nodes: Sequence[BaseNode]) -> list[str]:
    return [node.get_content(metadata_mode=MetadataMode.NONE) for node in nodes]


# --- chunks


@pytest.mark.parametrize("chunk", SPLITTER.split(DOCUMENT), ids=lambda chunk: chunk.breadcrumb)
def test_a_chunk_comes_back_from_its_node_as_it_was(chunk: Chunk) -> None:
    node = to_node(chunk)
    assert to_chunk(node) == chunk
    assert to_chunk(TextNode.from_dict(node.to_dict())) == chunk
    assert (node.node_id, node.text) == (chunk.id, chunk.text)
    assert (node.start_char_idx, node.end_char_idx) == (chunk.start, chunk.end)
    assert node.source_node is not None
    assert node.source_node.node_id == chunk.document


@given(
    title=NAMES,
    path=st.lists(NAMES, max_size=3).map(tuple),
    text=NAMES,
    before=TEXT,
    position=st.integers(0),
)
def test_any_chunk_comes_back_from_its_node_as_it_was(
    title: str, path: tuple[str, ...], text: str, before: str, position: int
) -> None:
    document = Document("id", before + text, title, "source")
    start, end = len(before), len(before) + len(text)
    chunk = Chunk.of(document, start=start, end=end, path=path, position=position)
    assert to_chunk(to_node(chunk)) == chunk


@given(title=VISIBLE, path=st.lists(VISIBLE, max_size=3).map(tuple), text=VISIBLE)
def test_models_read_the_breadcrumb_once_and_the_text(
    title: str, path: tuple[str, ...], text: str
) -> None:
    document = Document("id", text, title, "source")
    node = to_node(Chunk.of(document, start=0, end=len(text), path=path, position=0))
    for mode in (MetadataMode.EMBED, MetadataMode.LLM):
        assert node.get_content(metadata_mode=mode) == to_chunk(node).embedded_text
    assert node.get_content(metadata_mode=MetadataMode.NONE) == text


def test_the_metadata_of_a_node_is_flat_as_vector_stores_want_it() -> None:
    for chunk in SPLITTER.split(DOCUMENT):
        assert {type(value) for value in to_node(chunk).metadata.values()} <= {str, int, float}


def test_a_node_that_others_made_becomes_a_chunk_of_its_span() -> None:
    node = TextNode(
        id_="n1",
        text="7 sq km",
        start_char_idx=20,
        end_char_idx=27,
        metadata={"file_name": "chad.md", "page_label": 3},
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id="chad")},
    )
    assert to_chunk(node) == Chunk("n1", "chad", "chad.md", (), 20, 27, "7 sq km", 0)


def test_a_node_without_any_facts_is_its_own_document() -> None:
    assert to_chunk(TextNode(id_="n1", text="abc")) == Chunk("n1", "n1", "n1", (), 0, 3, "abc", 0)


@pytest.mark.parametrize(
    ("metadata", "title"),
    [
        ({"title": "Chad", "file_name": "chad.md"}, "Chad"),
        ({"title": " A\n title "}, "A title"),
        ({"title": " ", "file_name": "chad.md"}, "chad.md"),
        ({"title": 7, "file_name": None}, "chad"),
    ],
)
def test_a_foreign_title_is_the_first_usable_name(metadata: dict[str, object], title: str) -> None:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="chad")}
    node = TextNode(text="x", metadata=metadata, relationships=source)
    assert to_chunk(node).title == title


# --- documents


def test_a_document_comes_back_as_it_was() -> None:
    there = to_llama_document(DOCUMENT)
    assert to_document(there) == DOCUMENT
    assert to_document(LlamaDocument.from_dict(there.to_dict())) == DOCUMENT
    assert (there.doc_id, there.text) == (DOCUMENT.id, DOCUMENT.text)


@given(text=TEXT, title=TEXT, source=TEXT, aliases=st.lists(TEXT).map(tuple))
def test_any_document_comes_back_as_it_was(
    text: str, title: str, source: str, aliases: tuple[str, ...]
) -> None:
    sections = (Section(("A", title), 0, len(text)),)
    document = Document("id", text, title, source, sections=sections, aliases=aliases)
    assert to_document(to_llama_document(document)) == document


@pytest.mark.parametrize("label", Sensitivity)
def test_a_label_travels_with_documents_and_through_the_parser(
    parser: FieldNodeParser, label: Sensitivity
) -> None:
    document = replace(DOCUMENT, sensitivity=label)
    llama = to_llama_document(document)
    assert to_document(llama) == document
    chunks = [to_chunk(node) for node in parser.get_nodes_from_documents([llama])]
    assert {chunk.sensitivity for chunk in chunks} == {label}


@pytest.mark.parametrize(
    ("metadata", "label"),
    [
        ({}, Sensitivity.INTERNAL),
        ({"sensitivity": "Public"}, Sensitivity.PUBLIC),
        ({"sensitivity": "top secret"}, Sensitivity.RESTRICTED),
    ],
)
def test_a_label_that_others_wrote_counts_and_one_that_is_none_protects(
    parser: FieldNodeParser, metadata: dict[str, str], label: Sensitivity
) -> None:
    llama = LlamaDocument(text="Some text.", metadata=metadata)
    assert to_document(llama).sensitivity is label
    [node] = parser.get_nodes_from_documents([llama])
    assert to_chunk(node).sensitivity is label


def test_models_read_nothing_but_the_text_of_a_document() -> None:
    there = to_llama_document(DOCUMENT)
    for mode in (MetadataMode.EMBED, MetadataMode.LLM):
        assert there.get_content(metadata_mode=mode) == DOCUMENT.text


@pytest.mark.parametrize(
    "metadata",
    [{"file_name": "chad.md", "file_type": "text/markdown"}, {"file_name": "CHAD.MD"}],
    ids=["by type", "by name"],
)
def test_a_markdown_document_of_others_gets_its_headings(metadata: dict[str, str]) -> None:
    document = to_document(LlamaDocument(id_="d", text=MARKDOWN, metadata=metadata))
    assert document.sections == DOCUMENT.sections
    assert (document.id, document.title) == ("d", metadata["file_name"])
    assert (document.source, document.media_type) == (metadata["file_name"], "text/markdown")


def test_a_document_of_others_without_metadata_is_plain_text() -> None:
    document = to_document(LlamaDocument(id_="d", text=MARKDOWN))
    assert document == Document("d", MARKDOWN, "d", "d")
    assert to_document(LlamaDocument(id_="d", text="")) == Document("d", "", "d", "d")


# --- the parser


def test_the_parser_gives_the_chunks_of_the_splitter(parser: FieldNodeParser) -> None:
    nodes = parser.get_nodes_from_documents([to_llama_document(DOCUMENT)])
    assert tuple(map(to_chunk, nodes)) == SPLITTER.split(DOCUMENT)


def test_the_asynchronous_parser_gives_the_same(parser: FieldNodeParser) -> None:
    there = to_llama_document(DOCUMENT)
    nodes = asyncio.run(parser.aget_nodes_from_documents([there]))
    assert nodes == parser.get_nodes_from_documents([there])
    assert asyncio.run(parser.acall([there])) == parser([there])


def test_the_spans_of_repeated_texts_are_not_confused(parser: FieldNodeParser) -> None:
    text = "# A\n7 sq km and more\n# B\n7 sq km\n# C\nkm\n"
    chunks = [to_chunk(n) for n in parser([LlamaDocument(id_="d", text=text)])]
    assert [text[chunk.start : chunk.end] for chunk in chunks] == [chunk.text for chunk in chunks]
    ends = [0, *(chunk.end for chunk in chunks)]
    assert all(end <= chunk.start for end, chunk in zip(ends, chunks, strict=False))


def test_a_short_text_that_stands_in_the_node_before_keeps_its_own_span(
    parser: FieldNodeParser,
) -> None:
    text = "# A\nthe letter B is # B here\n# B\n"
    there = LlamaDocument(id_="d", text=text, metadata={"file_name": "d.md"})
    second = parser.get_nodes_from_documents([there])[1]
    assert isinstance(second, TextNode)
    assert (second.text, second.start_char_idx, second.end_char_idx) == ("# B", 29, 32)


def test_metadata_of_the_document_is_handed_on_and_hidden_from_models(
    parser: FieldNodeParser,
) -> None:
    metadata = {"file_name": "chad.md", "author": "x " * 500}
    [node, *_] = parser([LlamaDocument(id_="d", text=MARKDOWN, metadata=metadata)])
    assert {**node.metadata, **metadata} == node.metadata
    for mode in (MetadataMode.EMBED, MetadataMode.LLM):
        assert node.get_content(metadata_mode=mode) == to_chunk(node).embedded_text


def test_the_list_of_sections_stays_with_the_document(parser: FieldNodeParser) -> None:
    there = to_llama_document(DOCUMENT)
    nodes = parser([there])
    assert DOCUMENT_KEY in there.metadata
    assert not any(DOCUMENT_KEY in node.to_json() for node in nodes)


def test_nodes_know_their_document_and_their_neighbours(parser: FieldNodeParser) -> None:
    first, second, *_ = parser([to_llama_document(DOCUMENT), LlamaDocument(text="other")])
    assert first.ref_doc_id == DOCUMENT.id
    assert first.prev_node is None
    assert first.next_node is not None
    assert first.next_node.node_id == second.node_id
    assert second.prev_node is not None
    assert second.prev_node.node_id == first.node_id


def test_neighbours_and_metadata_can_be_left_out() -> None:
    parser = FieldNodeParser(splitter=SPLITTER, include_metadata=False, include_prev_next_rel=False)
    [node, *_] = parser([LlamaDocument(text=MARKDOWN, metadata={"author": "x"})])
    assert "author" not in node.metadata
    assert set(node.relationships) == {NodeRelationship.SOURCE}


def test_no_node_of_the_parser_exceeds_the_limit(parser: FieldNodeParser) -> None:
    there = LlamaDocument(text="word " * 500, metadata={"file_name": "long name " * 50})
    texts = [node.get_content(metadata_mode=MetadataMode.EMBED) for node in parser([there])]
    assert max(words(texts)) <= SPLITTER.limit


def test_a_pipeline_runs_the_parser_and_tells_parsers_apart(parser: FieldNodeParser) -> None:
    pipeline = IngestionPipeline(transformations=[parser], disable_cache=False)
    nodes = pipeline.run(documents=[to_llama_document(DOCUMENT)])
    assert texts_of(nodes) == [chunk.text for chunk in SPLITTER.split(DOCUMENT)]
    other = FieldNodeParser(splitter=Splitter(words, size=24, limit=24))
    assert parser.to_dict() != other.to_dict()
    assert parser.to_dict()["splitter"] == "packed:2:20/24"
