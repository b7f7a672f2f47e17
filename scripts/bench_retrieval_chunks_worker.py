"""Splits documents as the peers of `bench_retrieval_chunks.py` do; runs among the peers.

    python -m scripts.bench_retrieval_chunks_worker DOCUMENTS.jsonl TOKENIZER.json 64:0 64:13

Prints one line of JSON: under each peer's name, then under each `SIZE:OVERLAP` in tokens, then
under each document's id, where its chunks begin and end. Every option that is not named is the
library's own, and its tokens are those of the tokenizer, without special ones.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from langchain_text_splitters import RecursiveCharacterTextSplitter
from llama_index.core.node_parser import SentenceSplitter
from tokenizers import Tokenizer

from scripts.bench_documents import read_documents

Split = Callable[[str], list[str]]
Encode = Callable[[str], list[int]]


def langchain(encode: Encode, size: int, overlap: int) -> Split:
    """Return how LangChain splits a text."""
    splitter = RecursiveCharacterTextSplitter(
        chunk_size=size, chunk_overlap=overlap, length_function=lambda text: len(encode(text))
    )
    return lambda text: list(splitter.split_text(text))


def llama_index(encode: Encode, size: int, overlap: int) -> Split:
    """Return how LlamaIndex splits a text."""
    splitter = SentenceSplitter(chunk_size=size, chunk_overlap=overlap, tokenizer=encode)
    return lambda text: list(splitter.split_text(text))


PEERS = {
    "LangChain RecursiveCharacterTextSplitter": langchain,
    "LlamaIndex SentenceSplitter": llama_index,
}


def located(chunks: Iterable[str], text: str) -> list[tuple[int, int]]:
    """Return where the chunks of a text stand; each begins behind the beginning of the last.

    Raises:
        ValueError: one does not stand in it.
    """
    spans: list[tuple[int, int]] = []
    for chunk in chunks:
        start = text.index(chunk, spans[-1][0] + 1 if spans else 0)
        spans.append((start, start + len(chunk)))
    return spans


def main() -> int:
    """Print a line of JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("documents", type=Path)
    parser.add_argument("tokenizer")
    parser.add_argument("sizes", nargs="+", metavar="SIZE:OVERLAP")
    given = parser.parse_args()
    documents = read_documents(given.documents)
    tokenizer = Tokenizer.from_file(given.tokenizer)
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    spans: dict[str, dict[str, dict[str, list[tuple[int, int]]]]] = {}
    for name, begin in PEERS.items():
        for sizes in given.sizes:
            size, overlap = map(int, sizes.split(":"))
            split = begin(encode, size, overlap)
            found = {d.id: located(split(d.text), d.text) for d in documents}
            spans.setdefault(name, {})[sizes] = found
            print(f"{name} {sizes}: {sum(map(len, found.values()))} chunks", file=sys.stderr)
    print(json.dumps(spans))
    return 0


if __name__ == "__main__":
    sys.exit(main())
