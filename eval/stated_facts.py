"""Finds what structured documents state in so many words: a field and its value on one line; pure.

Lines are read as people and readers of files write them: `Area - total: 30,355 sq km`, also as an
item of a list or in bold, the rows of a Markdown table of two columns, and rows of a table that
repeat the names of their columns: `Country: Chad; Area: 1,284,000 sq km`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from chunking.document import Document, Section

_MARKS = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])?\s*")
_LABEL = r"[^\W\d_][^:;|\n]{0,79}"
_PAIR = re.compile(rf"(?P<label>{_LABEL}):(?:\*\*|__)?\s+(?P<value>\S.*)")
_TABLE_ROW = re.compile(rf"\|\s*(?P<label>{_LABEL}?)\s*\|\s*(?P<value>[^|]*[^|\s])\s*\|\s*")
_CELL = re.compile(rf"({_LABEL}): (.+)")
_SENTENCE = re.compile(r"[.!?]\s|\b(?:is|are|was|were|has|have)\b")
_EMPHASIS = re.compile(r"^(?:\*\*|__)|(?:\*\*|__)$")
_REMARK = re.compile(r"(?:notes?|examples?|see|sources?|warning|tip)\b.*", re.IGNORECASE)
_REMARK_BEGINS = re.compile(r"notes?\b[^:]{0,20}:", re.IGNORECASE)
_SEVERAL = re.compile(rf";\s{_LABEL}:\s|:$")
VALUE_LIMIT = 120
"""Characters of a value that an answer could be expected to repeat."""
_FEWEST_ROWS = 2


@dataclass(frozen=True, slots=True)
class Fact:
    """A field of a subject with its value, and the line that states both.

    Attributes:
        subject: what it is stated of: the document's title, or the first cell of a row.
        field: the name of the field, with its heading where the name alone is not enough.
        headings: those above the line, outermost first.
        line: the line as it stands in the document, without the white space around it.
    """

    document: str
    subject: str
    field: str
    headings: tuple[str, ...]
    value: str
    line: str


def find_facts(document: Document) -> tuple[tuple[Fact, ...], Counter[str]]:
    """Return the facts of a document that a question can be asked of, and why others are none.

    No two facts of one subject have the same field.
    """
    left: Counter[str] = Counter()
    stated = list(_all(document))
    fields = Counter((fact.subject, fact.field) for fact in stated)
    named = [
        fact if fields[fact.subject, fact.field] == 1 else _under_heading(fact) for fact in stated
    ]
    fields = Counter((fact.subject, fact.field) for fact in named)
    kept = []
    for fact in named:
        if fields[fact.subject, fact.field] > 1:
            left["a field that its document states more than once"] += 1
        elif len(fact.value) > VALUE_LIMIT:
            left[f"a value longer than {VALUE_LIMIT} characters"] += 1
        elif not fact.subject:
            left["a document without a title"] += 1
        else:
            kept.append(fact)
    return tuple(kept), left


def _under_heading(fact: Fact) -> Fact:
    """Return the fact with its innermost heading in the name of its field, where that adds any."""
    above = next((one for one in reversed(fact.headings) if one not in fact.field), "")
    return replace(fact, field=f"{fact.field} ({above})") if above else fact


def _all(document: Document) -> Iterator[Fact]:
    whole = (Section((), 0, len(document.text)),)
    for section in document.sections or whole:
        lines = document.text[section.start : section.end].split("\n")
        rows = [_cells(line) for line in lines]
        firsts = Counter(cells[0][0] for cells in rows if cells)
        for line, cells in zip(lines, rows, strict=True):
            if cells and firsts[cells[0][0]] >= _FEWEST_ROWS:
                (_, subject), *others = cells
                found: Iterable[tuple[str, str, str]] = ((subject, *pair) for pair in others)
            else:
                found = ((document.title, *pair) for pair in _pair(line))
            for subject, field, value in found:
                yield Fact(document.id, subject, field, section.path, value, line.strip())


def _cells(line: str) -> list[tuple[str, str]]:
    """Return the cells of a line that names the columns of each; none for any other line."""
    parts = line.strip().split("; ")
    found = [_CELL.fullmatch(part) for part in parts]
    cells = [(match[1].strip(), match[2].strip()) for match in found if match is not None]
    names = {name for name, _ in cells}
    return cells if 1 < len(parts) == len(cells) == len(names) else []


def _pair(line: str) -> Iterator[tuple[str, str]]:
    bare = _MARKS.sub("", line.strip(), count=1)
    match = _TABLE_ROW.fullmatch(bare) or _PAIR.fullmatch(_EMPHASIS.sub("", bare))
    if match is None:
        return
    label, value = (_EMPHASIS.sub("", match[name].strip()) for name in ("label", "value"))
    last = label.rpartition(" - ")[2]
    remark = _REMARK.fullmatch(last) or _REMARK_BEGINS.match(value) or _SEVERAL.search(value)
    if value.strip("-: ") and not remark and not _SENTENCE.search(label):
        yield label, value
