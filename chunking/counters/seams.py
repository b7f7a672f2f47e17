r"""Decides whether a tokenizer's counts add up where the prompt begins a source or a line.

The border is a line break before "[" or an ASCII letter or digit. Counts add up there when no token
can lie across it and no rule looks beyond its two characters:

- a pattern that splits text before it is merged ends a part at the border whatever stands around,
  which every alternative of `_LOCAL` does (GPT-2, cl100k_base, o200k_base, Llama 3, Qwen, tekken);
- without such a pattern (SentencePiece), no entry of the vocabulary holds the border: merges build
  entries out of entries, so those on one side never depend on the other side;
- no added token holds the border or swallows white space before such a character.

The same holds around the digits of "[12] ". What is not known to be local is not claimed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from string import ascii_letters, digits
from typing import Any

Count = Callable[[str], int]

_BEGINNINGS = ("[", *ascii_letters, *digits)
_TRIED = ("[", "Q", "a", "7")
_CASED = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LOCAL = frozenset(
    {
        *_GPT2.split("|"),
        *(_ENDINGS, "'(?i:[sdmt]|ll|ve|re)"),
        *(r"[^\r\n\p{L}\p{N}]?\p{L}+", r"[^\r\n\p{L}\p{N}]?+\p{L}++"),
        *(
            rf"[^\r\n\p{{L}}\p{{N}}]?{_CASED[0]}{many[0]}{_CASED[1]}{many[1]}{ending}"
            for many in ("*+", "+*")
            for ending in ("", f"{_ENDINGS}?")
        ),
        *(r"\p{N}", r"\p{N}{1,3}", r"\p{N}{1,3}+"),
        *(r" ?[^\s\p{L}\p{N}]+[\r\n]*", r" ?[^\s\p{L}\p{N}]+[\r\n/]*"),
        *(r" ?[^\s\p{L}\p{N}]++[\r\n]*+", r" ?[^\s\p{L}\p{N}]++[\r\n/]*+"),
        *(r"\s*[\r\n]+", r"\s*[\r\n]", r"\s++$", r"\s"),
    }
)
"""Alternatives that match nothing across the border, and look ahead by at most one character."""
_COVERING = frozenset({r"\s+", r"\s"})
"""One of these closes every known pattern: no white space is left unmatched."""

_CROSSING = re.compile(r"[\nĊ][\[A-Za-z0-9]|\[[0-9]|^[0-9]+\]")
"""An entry that could hold the border, or a digit of a marker beside its bracket.

Byte-level vocabularies spell the break as "Ċ". Mistral's "[REFERENCE_DOC_19]" is no such entry.
"""

_SAMPLES = (
    "",
    "a",
    "[1] Peru > Area\n1,285,216 sq km.",
    "x \t\n \r\n  ",
    "e\u0301\u0338",
    "🙂\u200d",
    "</s>",
    "'s [2]]",
    "]\n[",
    "00\n\n",
    "\u3000\u00a0",
    "INST] it's",
    "\u0338/",
)
_MARKERS = ("[0] ", "[7] ", "[12] ", "[123] ", "[4567] ")


def adds_up(count: Count) -> bool:
    """Return whether counts add up at the border for a few texts chosen to break it."""
    befores = {text: count(f"{text}\n[") - count("\n[") for text in _SAMPLES}
    for beginning in _TRIED:
        for before, after in zip(_SAMPLES, reversed(_SAMPLES), strict=True):
            begun = f"\n{beginning}{after}"
            if count(before + begun) != befores[before] + count(begun):
                return False
    return all(
        len({count(f"\n{marker}{text}") - count(f"\n[0] {text}") for text in _SAMPLES}) == 1
        for marker in _MARKERS
    )


def local_pattern(pattern: str) -> bool:
    """Return whether a pattern that splits text always ends a part at the border."""
    alternatives = _alternatives(pattern)
    return _LOCAL.issuperset(alternatives) and not _COVERING.isdisjoint(alternatives)


def local_vocabulary(entries: Iterable[str]) -> bool:
    """Return whether no entry holds the border, nor a digit of a marker beside its bracket."""
    missing = {"]", *_BEGINNINGS}  # unknown characters could be joined with others beside them
    for entry in entries:
        if _CROSSING.search(entry):
            return False
        missing.discard(entry)
    return not missing


def local_tokenizer(tokenizer: Any) -> bool:
    """Return whether a `tokenizers.Tokenizer` is built of parts that are local at the border."""
    from tokenizers.models import BPE

    model = tokenizer.model
    if not isinstance(model, BPE) or model.dropout:
        return False
    if model.continuing_subword_prefix or model.end_of_word_suffix:
        return False
    added = tokenizer.get_added_tokens_decoder().values()
    normalizers = _parts(tokenizer.normalizer, "normalizers")
    if not (all(map(_ends_at_border, added)) and all(map(_keeps_border, normalizers))):
        return False
    splits = [_splits(part) for part in _parts(tokenizer.pre_tokenizer, "pretokenizers")]
    if None in splits or any(splits):
        return None not in splits
    return not model.ignore_merges and local_vocabulary(tokenizer.get_vocab())


def _ends_at_border(added: Any) -> bool:
    """Return whether an added token neither holds the border nor takes white space before it."""
    text: str = added.content
    return not _CROSSING.search(text) and not (added.lstrip and text.startswith(_BEGINNINGS))


def _parts(component: Any, member: str) -> list[Mapping[str, Any]]:
    """Return the JSON of a component of the tokenizer, a sequence as its members."""
    if component is None:
        return []
    state = json.loads(component.__getstate__())
    return list(state[member]) if state["type"] == "Sequence" else [state]


def _keeps_border(normalizer: Mapping[str, Any]) -> bool:
    """Return whether a normalizer leaves the border and what is around it to itself."""
    if normalizer["type"] == "Replace":
        return bool(normalizer["pattern"] == {"String": " "} and normalizer["content"] == "▁")
    return normalizer["type"] in {"NFC", "NFD", "NFKC", "NFKD", "Prepend"}


def _splits(part: Mapping[str, Any]) -> bool | None:
    """Return whether a pre-tokenizer splits at the border; None where it may not be local."""
    if part["type"] == "ByteLevel":
        return bool(part["use_regex"])
    if part["type"] in {"Digits", "Metaspace"}:
        return False
    if part["type"] == "Split" and part["behavior"] == "Isolated" and not part["invert"]:
        pattern = part["pattern"].get("Regex")
        return True if pattern is not None and local_pattern(pattern) else None
    return None


def _alternatives(pattern: str) -> set[str]:
    """Return the top-level alternatives of a regular expression."""
    found, start, depth, in_class = set(), 0, 0, False
    for match in re.finditer(r"\\.|[\[\]()|]", pattern):
        sign = match[0]
        if in_class:
            in_class = sign != "]"
        elif sign == "[":
            in_class = True
        elif sign in "()":
            depth += 1 if sign == "(" else -1
        elif sign == "|" and not depth:
            found.add(pattern[start : match.start()])
            start = match.end()
    return found | {pattern[start:]}
