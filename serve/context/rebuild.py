"""Finds the pieces of a prompt again from its receipt alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from serve.context.report import Entry


@dataclass(frozen=True, slots=True)
class ShownSpan:
    """A piece of a prompt: the span of a document that stood under `marker` and `breadcrumb`.

    `shard` is the call that showed it, in mode `exhaustive`.
    """

    marker: int
    chunk: str
    document: str
    breadcrumb: str
    start: int
    end: int
    shard: int | None = None


def read_entry(record: Mapping[str, Any]) -> Entry:
    """Return an entry of a receipt as JSON, also where another version of the code has kept it."""
    return Entry(
        **{field.name: record[field.name] for field in fields(Entry) if field.name in record}
    )


def shown_spans(entries: Sequence[Entry]) -> tuple[ShownSpan, ...]:
    """Return the pieces that the prompt showed, in its order; merged neighbours are one piece."""
    pieces: defaultdict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.marker is not None:
            pieces[entry.marker].append(entry)
    spans = []
    for marker, members in sorted(pieces.items()):
        first, *rest = sorted(members, key=lambda entry: entry.start)
        end = rest[-1].end if rest else first.end
        spans.append(
            ShownSpan(
                marker,
                first.chunk,
                first.document,
                first.breadcrumb,
                first.start,
                end,
                first.shard,
            )
        )
    return tuple(spans)
