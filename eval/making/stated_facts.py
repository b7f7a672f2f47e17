"""Finds what structured documents state in so many words: a field and its value on one line; pure.

Lines are read as people and readers of files write them: `Area - total: 30,355 sq km`, also as an
item of a list or in bold, the rows of a Markdown table of two columns, and rows of a table that
repeat the names of their columns: `Country: Chad; Area: 1,284,000 sq km`. In documents other than
records, colons stand in sentences and programs, too: there a line counts that is no part of a
paragraph, with a name of few words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from chunking.document import Document, Section

_MARKS = re.compile(r"^\s*(?:[-*+•]|\d{1,3}[.)])?\s*")
_MARKED = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s")
_LABEL = r"[^\W\d_][^:;|\n]{0,79}"
_PAIR = re.compile(rf"(?P<label>{_LABEL}):(?:\*\*|__)?\s+(?P<value>\S.*)")
_TABLE_ROW = re.compile(rf"\|\s*(?P<label>{_LABEL}?)\s*\|\s*(?P<value>[^|]*[^|\s])\s*\|\s*")
_CELL = re.compile(rf"({_LABEL}): (.+)")
_PROGRAM = re.compile(r"[`*={}<>\"$\\]")
"""What no name of a field holds, and texts about programs do."""
_NUMERAL = re.compile(r"[\W\d_]*|[IVXLC]+")
_RULE = re.compile(r"[|:\- ]*-[|:\- ]*")
_FENCE = ("```", "~~~")
_RECORDS = "application/json"
_WORDS_LIMIT = 6
"""Words of a field's name in a text of sentences."""
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
        stating = set(range(len(lines)))
        if document.media_type != _RECORDS:
            stating = set(_standing_alone(lines))
        for number, (line, cells) in enumerate(zip(lines, rows, strict=True)):
            if cells and firsts[cells[0][0]] >= _FEWEST_ROWS:
                (_, subject), *others = cells
                found: Iterable[tuple[str, str, str]] = ((subject, *pair) for pair in others)
            else:
                found = ((document.title, *pair) for pair in _pair(line) if number in stating)
            for subject, field, value in found:
                if not _NUMERAL.fullmatch(subject):
                    yield Fact(document.id, subject, field, section.path, value, line.strip())


def _standing_alone(lines: Sequence[str]) -> Iterator[int]:
    """Yield the numbers of lines between others that state fields, blank lines, or their like.

    A line of a paragraph goes on before or after itself; a program stands between fences.
    """
    kinds = [_kind(line, after) for line, after in zip(lines, [*lines[1:], ""], strict=True)]
    fenced = False
    for number, kind in enumerate(kinds):
        fenced ^= kind == "fence"
        around = kinds[max(0, number - 1) : number + 2]
        if kind == "pair" and not fenced and "text" not in around:
            yield number


def _kind(line: str, after: str) -> str:
    bare = line.strip()
    if bare.startswith(_FENCE):
        return "fence"
    if not bare or bare.startswith("#") or _RULE.fullmatch(bare):
        return "blank"
    if bare.startswith("|") and _RULE.fullmatch(after.strip()):
        return "blank"
    short = [pair for pair in _pair(line) if len(pair[0].split()) <= _WORDS_LIMIT]
    return "pair" if short else "item" if _MARKED.match(bare) or bare[0] == "|" else "text"


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
    named = not (_SENTENCE.search(label) or _PROGRAM.search(label) or "```" in value)
    if value.strip("-: ") and not remark and named and label.count("(") == label.count(")"):
        yield label, value
