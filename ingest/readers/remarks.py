"""Reads what hangs on the sheets of a workbook (XLSX): comments, charts on sheets of their own."""

from __future__ import annotations

from collections.abc import Iterator

from ingest.readers.charts import chart_lines
from ingest.readers.ooxml import Package, attribute, child, children, descendants, number

_THREADED = "tc="
"""How the author of a comment is called that stands in a thread, too."""


class Remarks:
    """The comments and charts of a workbook, by the name of their sheet."""

    def __init__(self, package: Package) -> None:
        self._package = package
        workbook = package.of_kind("officeDocument") or ""
        self._parts: dict[str, str] = {}
        if workbook.endswith(".xml"):
            for sheet in descendants(package.xml(workbook), "sheet"):
                links = (value for key, value in sheet.attrib.items() if key.endswith("}id"))
                part = package.by_id(workbook, next(links, ""))
                self._parts[attribute(sheet, "name") or ""] = part or ""
        found = (package.xml(e.part) for e in package.related(workbook) if e.kind == "person")
        self._people = {
            attribute(person, "id"): attribute(person, "displayName") or ""
            for people in found
            for person in children(people, "person")
        }

    def comments(self, sheet: str) -> Iterator[str]:
        """Yield a line for each comment on a sheet: on which cell, by whom, and what."""
        for related in self._package.related(self._parts.get(sheet, "")):
            if related.kind == "comments":
                yield from self._notes(related.part)
            elif related.kind == "threadedComment":
                for comment in children(self._package.xml(related.part), "threadedComment"):
                    person = self._people.get(attribute(comment, "personId"), "")
                    words = "".join(e.text or "" for e in children(comment, "text"))
                    yield _line(attribute(comment, "ref"), person, words)

    def charts(self, sheet: str) -> Iterator[str]:
        """Yield the lines of the charts on a sheet."""
        part = self._package.of_kind("drawing", self._parts.get(sheet, ""))
        for related in self._package.related(part) if part else ():
            root = self._package.xml(related.part) if related.kind == "chart" else None
            if root is not None:
                yield from chart_lines(root)

    def _notes(self, part: str) -> Iterator[str]:
        root = self._package.xml(part)
        authors = [author.text or "" for author in children(child(root, "authors"), "author")]
        for comment in descendants(root, "comment"):
            at = number(attribute(comment, "authorId"), -1)
            author = authors[at] if 0 <= at < len(authors) else ""
            if not author.startswith(_THREADED):
                words = "".join(e.text or "" for e in descendants(comment, "t"))
                yield _line(attribute(comment, "ref"), author, words)


def _line(cell: str | None, author: str, words: str) -> str:
    by = f" by {author}" if author else ""
    return f"Comment on {cell}{by}: {' '.join(words.split())}"
