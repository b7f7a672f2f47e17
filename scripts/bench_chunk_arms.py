"""How plain tokenization, Windowfit and each library chunk a text with one tokenizer.

Each arm is given the tokenizer in the form that its documentation shows first, no overlap, and the
same size. Two of them cut wherever the tokens are full, inside of a word if need be; they are
measured as well, but they do another job: `at_seams` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import chonkie
import semantic_text_splitter
import semchunk
import tiktoken
from langchain_text_splitters import RecursiveCharacterTextSplitter
from langchain_text_splitters import Tokenizer as LangChainTokenizer
from langchain_text_splitters.base import split_text_on_tokens
from llama_index.core.node_parser import SentenceSplitter, TokenTextSplitter
from tokenizers import Tokenizer

from chunking.document import Document
from chunking.measures import Measure, TiktokenMeasure
from chunking.split import Splitter
from chunking.tokenizer_sources import load_tiktoken
from retrieval.transformer.tokens import tokens_of

Way = Callable[[Document], Sequence[Any]]
"""Splits one document into chunks; plain tokenization returns none."""

EMBEDDER_LIMIT = 256
PLAIN, WINDOWFIT, KNOWN = "plain tokenization", "Windowfit", "Windowfit, the words known already"


@dataclass(frozen=True, slots=True)
class Arm:
    """A way to chunk; `begin` makes it anew, so that nothing is remembered from an earlier run."""

    name: str
    begin: Callable[[], Way]
    peer: bool = True
    at_seams: bool = True


@dataclass(frozen=True, slots=True)
class Text:
    """One tokenizer in all the forms that libraries take it in."""

    tokenizer: Any
    encode: Callable[[str], list[int]]
    count: Callable[[str], int]
    decode: Callable[[list[int]], str]
    measure: Callable[[], Measure]
    semantic: Callable[[int], Any]


def load(name: str) -> Text:
    """Return a tokenizer by name: `tokenizers:FILE` or `tiktoken:ENCODING`."""
    provider, _, place = name.partition(":")
    return _word_pieces(place) if provider == "tokenizers" else _tiktoken(place)


def _word_pieces(file: str) -> Text:
    tokenizer = Tokenizer.from_file(file)
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def encode(text: str) -> Any:
        return tokenizer.encode(text, add_special_tokens=False)

    return Text(
        tokenizer=tokenizer,
        encode=lambda text: encode(text).ids,
        count=lambda text: len(encode(text)),
        decode=tokenizer.decode,
        measure=lambda: tokens_of(tokenizer, limit=EMBEDDER_LIMIT),
        semantic=lambda size: semantic_text_splitter.TextSplitter.from_huggingface_tokenizer(
            tokenizer, size
        ),
    )


def _tiktoken(name: str) -> Text:
    encoding = load_tiktoken(name)
    model = next(m for m, e in tiktoken.model.MODEL_TO_ENCODING.items() if e == name)
    return Text(
        tokenizer=encoding,
        encode=encoding.encode_ordinary,
        count=lambda text: len(encoding.encode_ordinary(text)),
        decode=encoding.decode,
        measure=lambda: TiktokenMeasure(encoding),
        semantic=lambda size: semantic_text_splitter.TextSplitter.from_tiktoken_model(model, size),
    )


def arms(text: Text, size: int) -> list[Arm]:
    """Return every way to chunk with a tokenizer; plain tokenization first."""
    limit = max(size, EMBEDDER_LIMIT)
    kept = Splitter(text.measure(), size=size, limit=limit)
    return [
        Arm(PLAIN, lambda: _tokenize(text), peer=False),
        Arm(WINDOWFIT, lambda: Splitter(text.measure(), size=size, limit=limit).split, peer=False),
        Arm(KNOWN, lambda: kept.split, peer=False),
        *_peers(text, size),
        Arm(
            "chonkie TokenChunker",
            lambda: _of_text(chonkie.TokenChunker(text.tokenizer, size).chunk),
            at_seams=False,
        ),
        Arm("LangChain split_text_on_tokens", lambda: _by_tokens(text, size), at_seams=False),
    ]


def _peers(text: Text, size: int) -> list[Arm]:
    def langchain() -> Way:
        splitter = RecursiveCharacterTextSplitter(
            chunk_size=size, chunk_overlap=0, length_function=text.count
        )
        return _of_text(splitter.split_text)

    def llama_index(kind: Any) -> Callable[[], Way]:
        return lambda: _of_text(
            kind(chunk_size=size, chunk_overlap=0, tokenizer=text.encode).split_text
        )

    return [
        Arm(
            "chonkie RecursiveChunker",
            lambda: _of_text(chonkie.RecursiveChunker(text.tokenizer, size).chunk),
        ),
        Arm(
            "chonkie SentenceChunker",
            lambda: _of_text(chonkie.SentenceChunker(text.tokenizer, size).chunk),
        ),
        Arm("semchunk", lambda: _of_text(semchunk.chunkerify(text.tokenizer, size))),
        Arm("semantic-text-splitter", lambda: _of_text(text.semantic(size).chunks)),
        Arm("LangChain RecursiveCharacterTextSplitter", langchain),
        Arm("LlamaIndex SentenceSplitter", llama_index(SentenceSplitter)),
        Arm("LlamaIndex TokenTextSplitter", llama_index(TokenTextSplitter)),
    ]


def _tokenize(text: Text) -> Way:
    def way(document: Document) -> Sequence[Any]:
        text.count(document.text)
        return ()

    return way


def _of_text(chunk: Callable[[str], Sequence[Any]]) -> Way:
    return lambda document: chunk(document.text)


def _by_tokens(text: Text, size: int) -> Way:
    splitter = LangChainTokenizer(
        chunk_overlap=0, tokens_per_chunk=size, decode=text.decode, encode=text.encode
    )
    return lambda document: split_text_on_tokens(text=document.text, tokenizer=splitter)
