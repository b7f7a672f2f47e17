"""Turns texts into token ids with a model's own tokenizer, and words seen before without it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from chunking.counters import well_formed
from chunking.measures import Seams

Ids = NDArray[np.int32]

_KEPT_CHARACTERS = 1_000_000
"""Characters of known words above which they are forgotten: about 150,000 words, 25 MB."""
_ID_BYTES = 4


class Tokens(Protocol):
    """Gives the token ids of texts, special tokens included; safe to share between threads."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, uncut."""

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text, cut at its end to the most tokens of one text."""


def tokens_of(tokenizer: Any, *, limit: int) -> WordTokens | WholeTokens:
    """Return the fastest exact `Tokens` of a `tokenizers.Tokenizer` and a model's input limit."""
    fastest = WordTokens if splits_at_spaces(tokenizer) else WholeTokens
    return fastest(tokenizer, limit=limit)


def splits_at_spaces(tokenizer: Any) -> bool:
    """Whether a text's tokens are those of its parts between spaces, one part after the other.

    True of BERT's word pieces: its normalizer looks at single characters and their accents, its
    pre-tokenizer ends a word at every space, and no added token holds one.
    """
    parts = json.loads(tokenizer.to_str())
    kinds = [(parts[name] or {}).get("type") for name in ("normalizer", "pre_tokenizer", "model")]
    plain = all(" " not in added["content"] for added in parts["added_tokens"])
    return plain and kinds == ["BertNormalizer", "BertPreTokenizer", "WordPiece"]


class WholeTokens:
    """Tokenizes every text with the tokenizer, on all cores."""

    def __init__(self, tokenizer: Any, *, limit: int) -> None:
        self._uncut = _copied(tokenizer)
        self._cut = _copied(tokenizer)
        self._cut.enable_truncation(limit)

    def count(self, texts: Sequence[str]) -> list[int]:
        """See `Tokens.count`."""
        return [len(row) for row in self._uncut.encode_batch_fast(_encodable(texts))]

    __call__ = count

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """See `Tokens.ids`."""
        encodings = self._cut.encode_batch_fast(_encodable(texts))
        return [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]


class WordTokens:
    """Tokenizes every word once and puts texts together from words; see `splits_at_spaces`.

    On English text this is ten times as fast as the tokenizer is on one core: most words of a text
    were seen before, and looking them up and joining their ids runs in C.
    """

    seams: Final[Seams | None] = "white space"

    def __init__(self, tokenizer: Any, *, limit: int) -> None:
        self._tokenizer = _copied(tokenizer)
        self._known: dict[str, bytes] = {}
        self._kept = 0
        whole = self._encode(["a"], special=True)[0]
        [word] = self._encode(["a"], special=False)
        start = whole.index(word)
        self._ends = whole[:start], whole[start + len(word) :]
        self._end_count = (len(whole) - len(word)) // _ID_BYTES
        self._room = max(limit - self._end_count, 0) * _ID_BYTES

    def count(self, texts: Sequence[str]) -> list[int]:
        """See `Tokens.count`."""
        return [len(text) // _ID_BYTES + self._end_count for text in self._joined(texts)]

    __call__ = count

    def word(self, word: str) -> int:
        """See `SeamedMeasure.word`; the word is remembered."""
        known = self._known
        if word not in known:
            encoding = self._tokenizer.encode(well_formed(word), add_special_tokens=False)
            known[word] = np.array(encoding.ids, dtype=np.int32).tobytes()
            self._kept += len(word)
        return len(known[word]) // _ID_BYTES

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """See `Tokens.ids`."""
        before, after = self._ends
        return [
            np.frombuffer(before + text[: self._room] + after, dtype=np.int32)
            for text in self._joined(texts)
        ]

    def _joined(self, texts: Sequence[str]) -> list[bytes]:
        """Return the ids of each text as bytes, without special tokens."""
        words = [text.replace("\n", " ").split(" ") for text in _encodable(texts)]
        known = self._learn(set().union(*words))
        return [b"".join(map(known.__getitem__, row)) for row in words]

    def _learn(self, words: set[str]) -> dict[str, bytes]:
        """Return the known words, all of `words` among them."""
        known = self._known
        missing = list(words.difference(known))
        if not missing:
            return known
        if self._kept > _KEPT_CHARACTERS:
            # Begun anew, not emptied: another thread may be reading the old one.
            known = self._known = {}
            self._kept, missing = 0, list(words)
        known.update(zip(missing, self._encode(missing, special=False), strict=True))
        self._kept += sum(map(len, missing))
        return known

    def _encode(self, words: list[str], *, special: bool) -> list[bytes]:
        encodings = self._tokenizer.encode_batch_fast(words, add_special_tokens=special)
        return [np.array(encoding.ids, dtype=np.int32).tobytes() for encoding in encodings]


def _encodable(texts: Sequence[str]) -> list[str]:
    return [text if text.isascii() else well_formed(text) for text in texts]


def _copied(tokenizer: Any) -> Any:
    """Return a tokenizer of its own that neither cuts nor pads."""
    copied = type(tokenizer).from_str(tokenizer.to_str())
    copied.no_truncation()
    copied.no_padding()
    return copied
