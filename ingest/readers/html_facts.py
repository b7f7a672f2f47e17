"""Reads what a page says about itself: its encoding, title and date."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser

from chunking.errors import UnreadableDocument
from ingest.readers.dates import iso_date
from ingest.texts import decode

_CHARSET = re.compile(rb"""(?i)(?:charset|encoding)\s*=\s*["']?\s*([a-z0-9._:-]+)""")
_CHARSET_WITHIN = 4096
"""Bytes within which a page declares its encoding; the standard says 1,024."""
_WEB_CHARSETS = {
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "ascii": "cp1252",
    "us-ascii": "cp1252",
}
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_STRAY_SHARE = 1000
"""One character in so many may be broken."""
_DATE_NAMES = (
    "article:modified_time",
    "og:updated_time",
    "last-modified",
    "dcterms.modified",
    "article:published_time",
    "dcterms.created",
    "dcterms.date",
    "dc.date",
    "date",
    "datepublished",
)
"""Names of `meta` elements that hold a date; when a page changed last comes first."""
_LINKED_DATES = ("dateModified", "datePublished", "dateCreated")


def decode_page(data: bytes, *, name: str) -> str:
    """Return the text of a page: by its byte order mark, what it declares, else UTF-8.

    A stray byte in a large page stands as U+FFFD, as in browsers.

    Raises:
        UnreadableDocument: more than stray bytes are no text.
    """
    if data.startswith(_MARKS):
        return decode(data, name=name)
    declared = _CHARSET.search(data[:_CHARSET_WITHIN])
    charset = declared[1].decode("ascii").lower() if declared else "utf-8"
    try:
        # What pages call Latin-1 is Windows-1252 on the Web, by the standard.
        text = data.decode(_WEB_CHARSETS.get(charset, charset), "replace")
    except (LookupError, ValueError):
        text = data.decode("utf-8", "replace")
    if text.count("\ufffd") * _STRAY_SHARE > len(text):
        reason = f"{name}: invalid {charset}"
        raise UnreadableDocument(reason, hint="convert the file to UTF-8", param=name)
    return text


def page_title(tree: LexborHTMLParser) -> str:
    """Return the title that the head of a page states; empty where it states none."""
    for selector in ("head > title", "title"):
        node = tree.css_first(selector)
        if node is not None and node.text().strip():
            return node.text()
    node = tree.css_first('meta[property="og:title"]')
    return node.attrs.sget("content", "") if node is not None else ""


def page_date(tree: LexborHTMLParser) -> str | None:
    """Return the date that a page states: when it was changed, else published (ISO 8601)."""
    named: dict[str, str] = {}
    for meta in tree.css("meta"):
        for key in ("name", "property", "http-equiv", "itemprop"):
            name = meta.attrs.sget(key, "").lower()
            if name:
                named.setdefault(name, meta.attrs.sget("content", ""))
    stated = [named[name] for name in _DATE_NAMES if name in named]
    return next(filter(None, map(iso_date, [*stated, *_linked_dates(tree)])), None)


def _linked_dates(tree: LexborHTMLParser) -> Iterator[str]:
    """Yield the dates of the JSON-LD objects of a page."""
    for script in tree.css('script[type="application/ld+json"]'):
        try:
            value = json.loads(script.text())
        except (ValueError, RecursionError):
            continue
        graph = value.get("@graph", [value]) if isinstance(value, dict) else value
        for item in graph if isinstance(graph, list) else []:
            for key in _LINKED_DATES:
                if isinstance(item, dict) and isinstance(item.get(key), str):
                    yield item[key]
