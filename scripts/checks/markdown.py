"""Reads Markdown as a renderer does: code blocks, links and headings, with line numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

RUN_MARK = "<!-- run -->"
"""Comment before a shell block that is to be run; all others are for reading."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced code block; `line` counts from 1 and is the line after the opening fence."""

    language: str
    code: str
    line: int
    marked: bool


@dataclass(frozen=True, slots=True)
class Link:
    """One link or picture and the line its paragraph begins on."""

    target: str
    line: int


def blocks(text: str) -> list[Block]:
    """Return the fenced code blocks of a document, in order."""
    found = []
    marked = False
    for token in _parse(text):
        if token.type == "fence":
            words = token.info.split()
            language = words[0] if words else ""
            found.append(Block(language, token.content, _line(token) + 1, marked))
        marked = token.type == "html_block" and token.content.strip() == RUN_MARK
    return found


def links(text: str) -> Iterator[Link]:
    """Yield the links and pictures of a document, HTML ones included."""
    for token in _parse(text):
        for child in token.children or []:
            target = child.attrGet("href") or child.attrGet("src")
            if target is not None:
                yield Link(str(target), _line(token))
        if token.type in {"inline", "html_block"}:
            for target in re.findall(r'<[^>]*\b(?:href|src)="([^"]+)"', _markup(token)):
                yield Link(target, _line(token))


def anchors(text: str) -> set[str]:
    """Return the fragments that headings can be linked by, as GitHub makes them."""
    tokens = _parse(text)
    counts: dict[str, int] = {}
    found = set()
    for index, token in enumerate(tokens):
        if token.type != "heading_open":
            continue
        title = "".join(child.content for child in tokens[index + 1].children or [])
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        earlier = counts.get(slug, 0)
        counts[slug] = earlier + 1
        found.add(f"{slug}-{earlier}" if earlier else slug)
    return found


def _parse(text: str) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(text)


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 1


def _markup(token: Token) -> str:
    """The HTML of a token, without the code spans that may quote some."""
    if token.type == "html_block":
        return token.content
    return "".join(c.content for c in token.children or [] if c.type == "html_inline")
