"""Sets a receipt for a report's page: its window, all fates counted, entries as room allows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serve.context.report import ContextReport, Entry

_SEGMENTS = ("template", "system", "history", "question", "retrieved")


@dataclass(frozen=True, slots=True)
class Shown:
    """How much of a receipt a page shows: most entries, and most characters of a cited text."""

    entries: int
    quote: int


@dataclass(slots=True)
class Held:
    """What a page holds once for all its questions, since it has little room.

    Attributes:
        places: each text that stands often, with the place by which it is named.
        fields: names of the values of records, which are held as lists, by kind of record.
        cut: how many texts were longer than what was asked for.
        unlisted: how many entries of receipts are counted and not listed.
    """

    places: dict[str, int] = field(default_factory=dict)
    fields: dict[str, list[str]] = field(default_factory=dict)
    cut: int = 0
    unlisted: int = 0

    def place(self, text: str) -> int:
        """Return the place of a text, which is added where it is new."""
        return self.places.setdefault(text, len(self.places))

    def pack(self, kind: str, record: Mapping[str, Any]) -> list[Any]:
        """Return the values of a record; all of a kind have the same fields in the same order."""
        self.fields.setdefault(kind, list(record))
        return list(record.values())

    def shorten(self, text: str, limit: int) -> tuple[str, int]:
        """Return so many characters of a text, and how many more there are."""
        left = max(0, len(text) - limit)
        self.cut += left > 0
        return text[:limit], left


def set_receipt(
    report: ContextReport,
    citations: Sequence[Mapping[str, Any]],
    *,
    shown: Shown,
    held: Held,
) -> list[Any]:
    """Return a receipt as the page's script takes it; numbers are whole whatever is listed.

    Entries stand in one list, five numbers each: rank, headings, tokens, fate, and marker or 0.
    """
    cited = {str(citation.get("chunk", "")) for citation in citations}
    listed = _choose(report.entries, cited, shown.entries)
    unlisted = len(report.entries) - len(listed)
    held.unlisted += unlisted
    coverage, upstream = report.coverage, report.upstream
    record = {
        "window": report.window,
        "count": report.count,
        "mode": held.place(report.mode),
        "segments": [getattr(report.segments, name) for name in _SEGMENTS],
        "reserved": report.reserved_output,
        "free": report.free,
        "truncated": int(report.truncated),
        "percent": coverage.percent,
        "documents": coverage.corpus_documents,
        "unread": len(coverage.unread),
        "drift": None if upstream is None else upstream.drift,
        "removed": report.removed_citations,
        "insufficient": int(bool(report.insufficient_evidence)),
        "calls": report.llm_calls,
        "fates": _count_fates(report.entries, held),
        "entries": [number for entry in listed for number in _set_entry(entry, held)],
        "unlisted": unlisted,
        "citations": [_set_citation(one, shown.quote, held) for one in citations],
    }
    return held.pack("receipt", record)


def _choose(entries: Sequence[Entry], cited: set[str], limit: int) -> list[Entry]:
    """Return the entries to list, by rank: cited ones before others in the prompt, then the rest.

    A third of the room is kept for what was left out, which is the other half of the account.
    """
    inside = [entry for entry in entries if entry.marker is not None]
    outside = [entry for entry in entries if entry.marker is None]
    inside.sort(key=lambda entry: (entry.chunk not in cited, entry.rank))
    room = max(limit - len(outside), limit - limit // 3)
    chosen = inside[:room]
    chosen += outside[: limit - len(chosen)]
    return sorted(chosen, key=lambda entry: entry.rank)


def _count_fates(entries: Iterable[Entry], held: Held) -> list[list[int]]:
    counted: dict[int, list[int]] = {}
    for entry in entries:
        sums = counted.setdefault(held.place(_fate(entry)), [0, 0])
        sums[0] += 1
        sums[1] += entry.tokens
    return [[fate, *sums] for fate, sums in counted.items()]


def _fate(entry: Entry) -> str:
    return f"{entry.fate} ({entry.reason})" if entry.reason else entry.fate


def _set_entry(entry: Entry, held: Held) -> list[int]:
    label = held.place(entry.breadcrumb or entry.document)
    fate = held.place(_fate(entry))
    return [entry.rank, label, entry.tokens, fate, entry.marker or 0]


def _set_citation(citation: Mapping[str, Any], limit: int, held: Held) -> list[Any]:
    """Return marker, headings, source, span, the beginning of the text, and how much it lacks."""
    label = citation.get("breadcrumb") or citation.get("document", "")
    quote, left = held.shorten(str(citation.get("text") or ""), limit)
    return [
        citation.get("marker"),
        held.place(str(label)),
        held.place(str(citation.get("source", ""))),
        citation.get("start"),
        citation.get("end"),
        held.place(quote),
        left,
    ]
