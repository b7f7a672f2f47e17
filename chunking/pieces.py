"""How a prompt shows a chunk: a marker in brackets, the breadcrumb and the text.

Pieces are parted by a blank line, so that each begins behind a line break with "[".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from chunking.document import Chunk

PIECE_FORM = 2
"""Changes with the form of a piece: counts stored for another form are counted again."""
BETWEEN_PIECES = "\n\n"

_OWN_LINE_STARTS = re.compile(r"^(\s*(?:\[(?=\d+\])|S(?=ources:)|Q(?=uestion:)))", re.MULTILINE)
"""How lines begin that only the prompt itself may write: a source's header, the two labels."""
_OWN_LINE_SIGNS = ("[", "Sources:", "Question:")
_BREAK = "\u200b"
"""Zero-width space put inside control-token text, so that a tokenizer reads it as plain text."""


def piece_of(chunk: Chunk, marker: int, control_tokens: Sequence[str]) -> str:
    """Return a chunk as the prompt shows it: marker and breadcrumb, then the text."""
    body = unforged(f"{chunk.breadcrumb}\n{chunk.text}")
    return f"[{marker}] {defuse(body, control_tokens)}"


def unforged(text: str) -> str:
    """Return the text of a document without lines that look like the prompt's own.

    A document that holds "[2] Peru" or "Question:" at the start of a line could pass for another
    source or for the user; a zero-width space inside tells it from them and can be taken out again.
    """
    if not any(sign in text for sign in _OWN_LINE_SIGNS):
        return text
    return _OWN_LINE_STARTS.sub(lambda match: match[0] + _BREAK, text)


def defuse(text: str, control_tokens: Sequence[str]) -> str:
    """Return the text with every control token broken by a zero-width space after its first letter.

    Text from documents and users is data. A server that parses `<|im_end|>` out of it would end the
    turn there; the broken form stays readable and is counted as the plain text it becomes.
    """
    finder = _finder(control_tokens)
    if finder is None or not finder.search(text):
        return text
    present = [token for token in control_tokens if len(token) > 1 and token in text]
    # Looking ahead finds tokens that overlap or lie inside of others, too.
    begins = f"(?={'|'.join(map(re.escape, present))})."
    return re.sub(begins, lambda match: match[0] + _BREAK, text, flags=re.DOTALL)


def _finder(control_tokens: Sequence[str]) -> re.Pattern[str] | None:
    """Return what finds any control token in one pass; None where there are none.

    Remembered by identity: a tokenizer has hundreds of them, and they are asked for every chunk.
    """
    known = _FINDERS.get(id(control_tokens))
    if known is None or known[0] is not control_tokens:
        if len(_FINDERS) == _MOST_FINDERS:
            _FINDERS.clear()
        longer = [token for token in control_tokens if len(token) > 1]
        known = control_tokens, re.compile(_any_of(longer)) if longer else None
        _FINDERS[id(control_tokens)] = known
    return known[1]


def _any_of(tokens: Iterable[str]) -> str:
    """Return a pattern that finds where any of the tokens begins.

    Beginnings that tokens share are tried once: a tokenizer has 700 that begin with "[", and a text
    of nothing but "[" would take a millisecond a chunk if each were tried at each of them.
    """
    rests: dict[str, list[str]] = {}
    for token in tokens:
        rests.setdefault(token[:1], []).append(token[1:])
    if "" in rests:
        return ""
    branches = [re.escape(first) + _any_of(rest) for first, rest in rests.items()]
    return branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})"


_FINDERS: dict[int, tuple[Sequence[str], re.Pattern[str] | None]] = {}
_MOST_FINDERS = 64
