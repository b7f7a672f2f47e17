"""Opens Office files (DOCX, PPTX, XLSX): their parts, how these refer to each other, their dates.

The strict and the transitional form differ in namespaces alone, so names are told apart without.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from chunking.errors import UnreadableDocument
from ingest.readers.dates import iso_date
from ingest.readers.zips import SafeZip

Element = ET.Element


@dataclass(frozen=True, slots=True)
class Related:
    """A part that another part refers to; `kind` is the last word of the relationship's type."""

    id: str
    kind: str
    part: str


class Package:
    """The parts of an Office file."""

    def __init__(self, data: bytes, *, name: str) -> None:
        self.name = name
        self.zip = SafeZip(data, name=name)
        self._related: dict[str, tuple[Related, ...]] = {}

    def xml(self, part: str) -> Element | None:
        """Return the root of a part; None where there is none.

        Raises:
            UnreadableDocument: the part is no valid XML.
        """
        data = self.zip.read(part)
        return None if data is None else parse_xml(data, name=self.name)

    def main(self, name: str, otherwise: str) -> tuple[str, Element]:
        """Return the part that the file is about, and its root, which has this name.

        Raises:
            UnreadableDocument: the file is about something else.
        """
        part = self.of_kind("officeDocument") or otherwise
        root = self.xml(part)
        found = "none" if root is None else local(root)
        if root is None or found != name:
            hint = "give the file the suffix of its content"
            reason = f"{self.name}: no {name} inside, but {found}"
            raise UnreadableDocument(reason, hint=hint, param=self.name)
        return part, root

    def related(self, part: str = "") -> tuple[Related, ...]:
        """Return what a part refers to inside the file; the file itself is the part ""."""
        if part not in self._related:
            folder, file = posixpath.split(part)
            root = self.xml(posixpath.join(folder, "_rels", f"{file}.rels"))
            self._related[part] = tuple(_relationships(root, folder))
        return self._related[part]

    def of_kind(self, kind: str, part: str = "") -> str | None:
        """Return the first part of a kind that a part refers to."""
        return next((found.part for found in self.related(part) if found.kind == kind), None)

    def by_id(self, part: str, name: str) -> str | None:
        """Return the part that a part refers to by a relationship's id."""
        return next((found.part for found in self.related(part) if found.id == name), None)

    def title(self) -> str:
        """Return the title that the file's properties state, if any."""
        return self._property("title")

    def date(self) -> str | None:
        """Return when the file was changed, else made, as its properties state."""
        stated = (iso_date(self._property(name)) for name in ("modified", "created"))
        return next(filter(None, stated), None)

    def _property(self, name: str) -> str:
        part = self.of_kind("core-properties") or "docProps/core.xml"
        root = self.xml(part)
        found = child(root, name)
        return "" if found is None else (found.text or "").strip()


def parse_xml(data: bytes, *, name: str) -> Element:
    """Return the root of an XML part.

    The parser is expat, which fetches no external entity and refuses to multiply internal ones;
    a document type, which no Office file has, is refused before.

    Raises:
        UnreadableDocument: it is no valid XML, or has a document type.
    """
    if b"<!DOCTYPE" in data[:1024]:
        raise UnreadableDocument(f"{name}: a document type inside", param=name)
    try:
        return ET.fromstring(data)  # noqa: S314
    except (ET.ParseError, ValueError, LookupError) as error:
        raise UnreadableDocument(f"{name}: invalid XML inside", param=name) from error


def local(element: Element) -> str:
    """Return the name of an element without its namespace."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Element | None, name: str) -> str | None:
    """Return an attribute by its name without a namespace."""
    if element is None:
        return None
    if name in element.attrib:
        return element.attrib[name]
    found = (value for key, value in element.attrib.items() if key.rpartition("}")[2] == name)
    return next(found, None)


def child(element: Element | None, *names: str) -> Element | None:
    """Return the element at the end of a path of names; None where the path breaks off."""
    for name in names:
        if element is None:
            return None
        element = next((inner for inner in element if local(inner) == name), None)
    return element


def children(element: Element | None, name: str) -> Iterator[Element]:
    """Yield the children of a name."""
    return (inner for inner in (() if element is None else element) if local(inner) == name)


def descendants(element: Element | None, *names: str) -> Iterator[Element]:
    """Yield the elements of these names below an element, in order."""
    if element is not None:
        yield from (inner for inner in element.iter() if local(inner) in names)


def number(text: str | None, default: int = 0) -> int:
    """Return a whole number that an attribute states."""
    try:
        return int(text) if text is not None else default
    except ValueError:
        return default


def _relationships(root: Element | None, folder: str) -> Iterator[Related]:
    for element in () if root is None else root:
        target = attribute(element, "Target") or ""
        if attribute(element, "TargetMode") == "External" or not target:
            continue
        path = target.lstrip("/") if target.startswith("/") else posixpath.join(folder, target)
        kind = (attribute(element, "Type") or "").rpartition("/")[2]
        yield Related(attribute(element, "Id") or "", kind, posixpath.normpath(path))
