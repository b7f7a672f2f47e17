"""Reads books (EPUB): the pages in the order of the spine."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

from chunking.errors import UnreadableDocument
from ingest.readers.dates import iso_date
from ingest.readers.html import write_page
from ingest.readers.html_facts import decode_page
from ingest.readers.manuscript import Manuscript, Reading
from ingest.readers.ooxml import Element, attribute, child, children, descendants, local, parse_xml
from ingest.readers.zips import SafeZip


def read_epub(data: bytes, *, name: str) -> Reading:
    """Return the reading of an EPUB file.

    Raises:
        UnreadableDocument: it is broken, encrypted or too large.
    """
    package = SafeZip(data, name=name)
    container = package.read("META-INF/container.xml")
    roots = descendants(parse_xml(container, name=name), "rootfile") if container else iter(())
    path = next((attribute(root, "full-path") or "" for root in roots), "")
    content = package.read(path)
    if content is None:
        raise UnreadableDocument(f"{name}: no EPUB inside", param=name)
    book = parse_xml(content, name=name)
    manuscript = Manuscript()
    for page in _pages(book, posixpath.dirname(path)):
        text = package.read(page)
        if text is not None:
            write_page(manuscript, decode_page(text, name=name))
    date = iso_date(_fact(book, "modified")) or iso_date(_fact(book, "date"))
    return manuscript.reading(title=_fact(book, "title"), date=date)


def _pages(book: Element, folder: str) -> list[str]:
    """Return the members that hold the pages of a book, in reading order."""
    files = {
        attribute(item, "id"): attribute(item, "href") or ""
        for item in children(child(book, "manifest"), "item")
    }
    spine = children(child(book, "spine"), "itemref")
    named = (files.get(attribute(entry, "idref")) for entry in spine)
    return [posixpath.normpath(posixpath.join(folder, unquote(href))) for href in named if href]


def _fact(book: Element, name: str) -> str:
    """Return what the book states about itself, by a Dublin Core element or a property."""
    metadata = child(book, "metadata")
    for fact in () if metadata is None else metadata:
        stated = (attribute(fact, "property") or "").rpartition(":")[2]
        if name in {local(fact), stated} and (fact.text or "").strip():
            return (fact.text or "").strip()
    return ""
