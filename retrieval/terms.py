"""Turns chunks and questions into weighted words, by which a store ranks as BM25F does.

BM25F (Robertson, Zaragoza and Taylor 2004, "Simple BM25 extension to multiple weighted fields")
adds up a word's counts over the fields of a text, each divided by how long that field is, and lets
the sum saturate. A short field speaks louder by its length alone: there is no weight to tune. How
rare a word is, the store knows and multiplies in: see `PointStore.query`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Self

import numpy as np
from snowballstemmer.english_stemmer import EnglishStemmer
from snowballstemmer.greek_stemmer import GreekStemmer
from snowballstemmer.russian_stemmer import RussianStemmer

from chunking.document import Chunk
from retrieval.spelling import MARKS, UNSPACED, unmarked

TERMS_SCHEME = "bm25f:2"
"""Names how terms are made, in the fingerprint of an index: another one for every change here."""

_SATURATION = 1.2
_LENGTH_SHARE = 0.75
"""k1 and b as Lucene has them, from Robertson et al. 1994, "Okapi at TREC-3"."""
_USUAL_LENGTH = 100
"""Words, stop words left out, of a field that is taken as it is: those of a chunk of 200 tokens."""
_WORDS_REMEMBERED = 1 << 17
_SPACED = rf"(?![\x00-\x7f{UNSPACED}])"
_LETTERS = rf"(?:[a-zA-Z0-9]|{_SPACED}\w)(?:[a-zA-Z0-9]+|{_SPACED}[\w{MARKS}])*+"
_WORD = re.compile(
    r"(?P<number>\d+(?:[.,]\d+)+)"
    rf"|(?P<word>{_LETTERS}(?:_+{_LETTERS})*)(?:['\u2019]s\b)?"
    rf"|(?P<unspaced>(?=\w)(?:(?=[\w{MARKS}])[{UNSPACED}])+)"
)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_PART = re.compile(r"[^_.,]+")
STOP_WORDS = frozenset(
    # Lucene's list.
    "a an and are as at be but by for if in into is it no not of on or such that the their then "
    "there these they this to was will with "
    # What questions are asked with: rare in what answers them, which would make it weigh much.
    "what which who whom whose when where why how do does did has have had can could would should "
    "may might about than from also were been being so some any each all i me my we us our you "
    "your he him his she her hers its them".split()
)


@dataclass(frozen=True, slots=True)
class Terms:
    """The words of a text by number, each with its weight; equal texts have equal terms for ever.

    Attributes:
        indices: ascending, each once, below 2**32.
        weights: one for each index, above 0, as exact as float32 is.
    """

    indices: tuple[int, ...]
    weights: tuple[float, ...]

    @classmethod
    def of(cls, weights: Mapping[int, float]) -> Self:
        """Return the terms of these weights by index."""
        indices = sorted(weights)
        rounded = np.asarray([weights[index] for index in indices], dtype=np.float32)
        return cls(tuple(indices), tuple(rounded.tolist()))


def chunk_terms(chunk: Chunk) -> Terms:
    """Return the terms of a chunk, from its title, its headings and its text as fields."""
    counts: dict[int, float] = {}
    for text in (chunk.title, " ".join(chunk.path), chunk.text):
        words = list(split_words(text))
        length = 1 - _LENGTH_SHARE + _LENGTH_SHARE * len(words) / _USUAL_LENGTH
        for index, count in Counter(map(_index, words)).items():
            counts[index] = counts.get(index, 0.0) + count / length
    return Terms.of(
        {
            index: count * (_SATURATION + 1) / (count + _SATURATION)
            for index, count in counts.items()
        }
    )


def question_terms(question: str) -> Terms:
    """Return the terms of a question: each word by how often it stands there."""
    return Terms.of(Counter(map(_index, split_words(question))))


def split_words(text: str) -> Iterator[str]:
    """Yield the stems of the words of a text, stop words left out.

    Case, accents and compatibility forms do not count. What digits and marks or underscores make of
    several parts is a word as it is written and each part is one, too: "1,284,000" is found by
    "1284000" and by "284". Scripts without spaces between words are cut into pairs of characters.
    Latin letters are stemmed as English, Cyrillic ones as Russian, Greek ones as Greek.
    """
    for found in _WORD.finditer(unmarked(text.casefold())):
        if unspaced := found["unspaced"]:
            yield from map("".join, pairwise(unspaced)) if len(unspaced) > 1 else unspaced
        else:
            yield from _written(found["number"] or found["word"])


def _written(word: str) -> Iterator[str]:
    parts = _PART.findall(word)
    if len(parts) > 1:
        yield word.replace(",", "") if _THOUSANDS.fullmatch(word) else word
    for part in parts:
        if part not in STOP_WORDS:
            yield _stem(part)


@lru_cache(_WORDS_REMEMBERED)
def _stem(word: str) -> str:
    # A stemmer of its own for every new word: one that is shared among threads mixes words up.
    if word[0] < "\u0370":
        stemmer: Any = EnglishStemmer()
    elif word[0] < "\u0400":
        stemmer = GreekStemmer()
    elif word[0] < "\u0530":
        stemmer = RussianStemmer()
    else:
        return word
    stem: str = stemmer.stemWord(word)
    return stem


@lru_cache(_WORDS_REMEMBERED)
def _index(word: str) -> int:
    """Return the number of a word: 32 bits of a hash, for ever the same.

    Of 100,000 words about one pair shares a number. A chunk with one of the two is then found by
    the other as well, and both count as a little less rare than they are.
    """
    data = word.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(data, digest_size=4).digest(), "big")
