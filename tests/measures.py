"""Measures whose counts add up somewhere, small ones and real ones, and texts that try them."""

from __future__ import annotations

from functools import cache
from typing import Any

import tiktoken
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from chunking.errors import DependencyMissing, TokenizerUnavailable
from chunking.measures import SeamedMeasure, TiktokenMeasure
from chunking.tokenizer_sources import load_tiktoken
from retrieval.transformer.tokens import WordTokens

GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
# Merges that make a word longer or shorter by what stands around it: a space before it splits
# "ab", and line breaks join with full stops, strokes and each other.
_MERGES = (b" a", b"ab", b"bc", b"abc", b".\n", b"\n\n", b".\n\n", b"..", b"...", b"\n/", b"  ")
_WORDS = "the population of chad 1 2 , . [ ] : > / ' e i a b ab ##s ##e ##1 ##2 ##b 東 京".split()
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def word_pieces(*, clean: bool = True, lowercase: bool = True) -> Any:
    """Return a tokenizer built as BERT's, with few words and [CLS] and [SEP] around a text."""
    vocabulary = {word: place for place, word in enumerate([*_SPECIAL, *_WORDS])}
    made = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(clean_text=clean, lowercase=lowercase)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(_SPECIAL)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


def byte_pairs(pattern: str = GPT2_PATTERN) -> tiktoken.Encoding:
    """Return an encoding over single bytes and few merges."""
    tokens = [*(bytes([byte]) for byte in range(256)), *_MERGES]
    ranks = {token: rank for rank, token in enumerate(tokens)}
    special = {"<|endoftext|>": len(ranks)}
    return tiktoken.Encoding("tiny", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)


@cache
def published(name: str) -> TiktokenMeasure | None:
    """Return the measure of an encoding of OpenAI's; None where its file is not here."""
    try:
        return TiktokenMeasure(load_tiktoken(name))
    except (DependencyMissing, TokenizerUnavailable):
        return None


def seamed_measures() -> dict[str, SeamedMeasure]:
    """Return all measures by name, with an empty memory where they have one."""
    pieces = [(clean, lowercase) for clean in (True, False) for lowercase in (True, False)]
    measures: dict[str, SeamedMeasure] = {
        f"word pieces, clean={clean}, lowercase={lowercase}": WordTokens(
            word_pieces(clean=clean, lowercase=lowercase), limit=256
        )
        for clean, lowercase in pieces
    }
    measures["bytes by GPT-2's pattern"] = TiktokenMeasure(byte_pairs())
    for name in ("cl100k_base", "o200k_base"):
        measure = published(name)
        if measure is not None:
            measures[name] = measure
            own = measure.encoding._pat_str  # tiktoken has no public name for it
            measures[f"bytes by the pattern of {name}"] = TiktokenMeasure(byte_pairs(own))
    return measures


ODD_PIECES = (
    *("word", "ab", "abc", "The", "12,345.67", "it's", "[SEP]", "<|endoftext|>", "東京", "a\u0301"),
    *(".", "...", "/", "//", "-", "(", "🙂\u200d", "\ud83d", "\ude00", "\u0301", "\0", "x" * 45),
    *(" ", "  ", "   ", "\n", "\n\n", "\n\n\n", " \n", "\n ", "\t", "\r", "\r\n", "\u00a0"),
    *("\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u3000", "\u200b"),
)
ODD_TEXTS = st.lists(st.sampled_from(ODD_PIECES), max_size=25).map("".join)
"""Texts of every sign that some tokenizer treats in its own way, in any order."""
