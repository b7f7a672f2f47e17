"""Documents and chunks as LlamaIndex has them, both ways, and its NodeParser over our splitter."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.node_parser.interface import NodeParser
from llama_index.core.schema import (
    BaseNode,
    MediaResource,
    MetadataMode,
    NodeRelationship,
    ObjectType,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.schema import Document as LlamaDocument
from llama_index.core.utils import get_tqdm_iterable
from pydantic import Field, field_serializer

from chunking.document import Chunk, Document, Section
from chunking.sections import markdown_sections
from chunking.sensitivity import read_sensitivity
from chunking.split import Splitter

CHUNK_KEY = "windowfit_chunk"
"""Metadata key of what LlamaIndex has no field for: document, headings, position; as JSON."""
DOCUMENT_KEY = "windowfit_document"
"""Metadata key of a document's title, source, sections and aliases; as JSON."""
SENSITIVITY_KEY = "sensitivity"
"""Metadata key of the label; what others put under it and is no label counts as restricted."""

_BREADCRUMB_KEY = "breadcrumb"
_TITLE_KEYS = ("title", "file_name")
_SOURCE_KEYS = ("file_path", "file_name", "source")
_MARKDOWN_SUFFIXES = (".md", ".markdown")
_MARKDOWN = "text/markdown"
_PLAIN_TEXT = "text/plain"


def to_node(chunk: Chunk) -> TextNode:
    """Return the chunk as a node; `to_chunk` gives the same chunk back.

    What the node shows to embedding models and to language models is `Chunk.embedded_text`: the
    breadcrumb once, then the text. All other metadata is kept out of both, so that counts hold.
    """
    node = TextNode(
        id_=chunk.id,
        text=chunk.text,
        start_char_idx=chunk.start,
        end_char_idx=chunk.end,
        metadata={
            _BREADCRUMB_KEY: chunk.breadcrumb,
            "title": chunk.title,
            CHUNK_KEY: json.dumps(
                {"document": chunk.document, "path": chunk.path, "position": chunk.position}
            ),
            SENSITIVITY_KEY: chunk.sensitivity.value,
        },
        relationships={
            NodeRelationship.SOURCE: RelatedNodeInfo(
                node_id=chunk.document, node_type=ObjectType.DOCUMENT
            )
        },
        metadata_template="{value}",
        text_template="{metadata_str}\n{content}",
    )
    return show_breadcrumb_only(node)


def show_breadcrumb_only(node: TextNode) -> TextNode:
    """Keep all metadata but the breadcrumb out of what models read; return the node."""
    hidden = [key for key in node.metadata if key != _BREADCRUMB_KEY]
    node.excluded_embed_metadata_keys = hidden
    node.excluded_llm_metadata_keys = list(hidden)
    return node


def to_chunk(node: BaseNode) -> Chunk:
    """Return the chunk of a node; one that others made gets what its fields and metadata say.

    Such a chunk keeps the node's id. Its title is `title` or `file_name` of the metadata, it has no
    headings, and its span begins at `start_char_idx`, or at 0 where the node does not know it.
    """
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    start = getattr(node, "start_char_idx", None) or 0
    document = node.source_node.node_id if node.source_node else node.node_id
    made_by_us = CHUNK_KEY in node.metadata
    record = json.loads(node.metadata[CHUNK_KEY]) if made_by_us else {}
    return Chunk(
        id=node.node_id,
        document=record.get("document", document),
        title=node.metadata["title"] if made_by_us else _title(node, otherwise=document),
        path=tuple(record.get("path", ())),
        start=start,
        end=start + len(text),
        text=text,
        position=record.get("position", 0),
        sensitivity=read_sensitivity(node.metadata.get(SENSITIVITY_KEY)),
    )


def to_llama_document(document: Document) -> LlamaDocument:
    """Return the document as LlamaIndex has it; `to_document` gives the same document back."""
    record = {
        "title": document.title,
        "source": document.source,
        "sections": [(s.path, s.start, s.end) for s in document.sections],
        "aliases": document.aliases,
    }
    metadata = {
        "title": document.title,
        "file_path": document.source,
        DOCUMENT_KEY: json.dumps(record),
        SENSITIVITY_KEY: document.sensitivity.value,
    }
    return LlamaDocument(
        id_=document.id,
        text_resource=MediaResource(text=document.text, mimetype=document.media_type),
        metadata=metadata,
        excluded_embed_metadata_keys=list(metadata),
        excluded_llm_metadata_keys=list(metadata),
    )


def to_document(node: BaseNode) -> Document:
    """Return the document of a LlamaIndex document, or of any node that a parser may be given.

    Title, source and media type come from the metadata that LlamaIndex' readers write; a Markdown
    text gets its headings as sections. Chunk ids repeat only where the document's own id does:
    give it one, or read with `SimpleDirectoryReader(filename_as_id=True)`.
    """
    text = node.get_content(metadata_mode=MetadataMode.NONE)
    media_type = _media_type(node)
    if DOCUMENT_KEY in node.metadata:
        record = json.loads(node.metadata[DOCUMENT_KEY])
        return Document(
            id=node.node_id,
            text=text,
            title=record["title"],
            source=record["source"],
            media_type=media_type,
            sections=tuple(Section(tuple(path), *span) for path, *span in record["sections"]),
            aliases=tuple(record["aliases"]),
            sensitivity=read_sensitivity(node.metadata.get(SENSITIVITY_KEY)),
        )
    return Document(
        id=node.node_id,
        text=text,
        title=_title(node, otherwise=node.node_id),
        source=_first_text(node.metadata, _SOURCE_KEYS) or node.node_id,
        media_type=media_type,
        sections=markdown_sections(text) if media_type == _MARKDOWN else (),
        sensitivity=read_sensitivity(node.metadata.get(SENSITIVITY_KEY)),
    )


class FieldNodeParser(NodeParser):
    """A LlamaIndex NodeParser that cuts documents with a `Splitter`.

    Node ids are the chunks' own content hashes, whatever `id_func` says. Metadata of the document
    is handed on to its nodes and kept out of what models read, so that the limit holds.

    Attributes:
        splitter: cuts the documents; its name stands for it where a pipeline caches results.
    """

    splitter: Splitter = Field(description="Cuts documents into chunks.")

    @classmethod
    def class_name(cls) -> str:
        """Return the name under which LlamaIndex writes the parser down."""
        return "FieldNodeParser"

    @field_serializer("splitter")
    def _name_of(self, splitter: Splitter) -> str:
        return splitter.name

    def _parse_nodes(
        self, nodes: Sequence[BaseNode], show_progress: bool = False, **kwargs: Any
    ) -> list[BaseNode]:
        del kwargs
        parsed: list[BaseNode] = []
        for node in get_tqdm_iterable(nodes, show_progress, "Parsing nodes"):
            parsed.extend(map(to_node, self.splitter.split(to_document(node))))
        return parsed

    async def _aparse_nodes(
        self, nodes: Sequence[BaseNode], show_progress: bool = False, **kwargs: Any
    ) -> list[BaseNode]:
        return await asyncio.to_thread(self._parse_nodes, nodes, show_progress, **kwargs)

    def _postprocess_parsed_nodes(
        self, nodes: list[BaseNode], parent_doc_map: dict[str, LlamaDocument]
    ) -> list[BaseNode]:
        """Add metadata and neighbours as LlamaIndex does, and keep the spans.

        LlamaIndex looks for each node's text in its document and takes the first place where it
        stands, which for a short text may be inside the node before.
        """
        ours = [node for node in nodes if isinstance(node, TextNode)]
        spans = [(node.start_char_idx, node.end_char_idx) for node in ours]
        parents = {name: _without_record(parent) for name, parent in parent_doc_map.items()}
        processed = super()._postprocess_parsed_nodes(nodes, parents)
        for node, (start, end) in zip(ours, spans, strict=True):
            node.start_char_idx, node.end_char_idx = start, end
            show_breadcrumb_only(node)
        return processed


def _without_record(document: LlamaDocument) -> LlamaDocument:
    """Return the document without the list of its sections, which no node needs."""
    metadata = {key: value for key, value in document.metadata.items() if key != DOCUMENT_KEY}
    return document.model_copy(update={"metadata": metadata})


def _media_type(node: BaseNode) -> str:
    stated = getattr(getattr(node, "text_resource", None), "mimetype", None)
    stated = stated or _first_text(node.metadata, ("file_type",))
    if stated:
        return str(stated)
    name = _first_text(node.metadata, _SOURCE_KEYS).lower()
    return _MARKDOWN if name.endswith(_MARKDOWN_SUFFIXES) else _PLAIN_TEXT


def _title(node: BaseNode, *, otherwise: str) -> str:
    return " ".join(_first_text(node.metadata, _TITLE_KEYS).split()) or otherwise


def _first_text(metadata: Mapping[str, Any], keys: Sequence[str]) -> str:
    """Return the first of these values that is a text and not blank; the empty text if none is."""
    values = (metadata.get(key) for key in keys)
    return next((value for value in values if isinstance(value, str) and value.strip()), "")
