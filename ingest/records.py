"""Turns structured records (nested mappings) into fields of readable lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from chunking.sections import Field

Clean = Callable[[str], tuple[str, ...]]
"""Returns the readable lines of one text value."""


def plain_lines(value: str) -> tuple[str, ...]:
    """Return the non-empty lines of a text, whitespace collapsed."""
    lines = (" ".join(line.split()) for line in value.split("\n"))
    return tuple(line for line in lines if line)


def record_fields(record: Mapping[str, object], *, clean: Clean = plain_lines) -> Iterator[Field]:
    """Yield one field per second-level key, each line of it readable on its own.

    `{"Area": {"Land": {"total": "7 sq km"}}}` gives the field `Area > Land` with the line
    `Land - total: 7 sq km`. A top-level value that is no mapping is a field of its own.
    """
    for section, fields in record.items():
        path = _label(section)
        if not isinstance(fields, Mapping):
            lines = tuple(_lines(path, fields, clean))
            if lines:
                yield Field(path, lines)
            continue
        for field, value in fields.items():
            name = _label(field)
            lines = tuple(_lines(name, value, clean))
            if lines:
                yield Field((*path, *name), lines)


def _label(key: str) -> tuple[str, ...]:
    """Return a key as a heading on one line; none for a blank one."""
    words = key.split()
    return (" ".join(words),) if words else ()


def _lines(label: tuple[str, ...], value: object, clean: Clean) -> Iterator[str]:
    """Yield "Field - subfield: value" lines of a value under its label."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            below = label if key == "text" else _extended(label, _label(key))
            yield from _lines(below, inner, clean)
    elif isinstance(value, list):
        for inner in value:
            yield from _lines(label, inner, clean)
    elif value is not None:
        first, *rest = clean(str(value)) or ("",)
        if first:
            yield f"{_prefix(label, first)}{first}"
        yield from rest


def _extended(label: tuple[str, ...], key: tuple[str, ...]) -> tuple[str, ...]:
    """Return the label of a subfield; one that repeats its field's name replaces it.

    "Exports" > "Exports 2023" reads "Exports 2023", not "Exports - Exports 2023".
    """
    if label and key and key[0].startswith(label[-1]):
        return (*label[:-1], *key)
    return (*label, *key)


def _prefix(label: tuple[str, ...], first: str) -> str:
    """Return "label: ", without a last part that the text itself begins with ("note: ...")."""
    if label and first.startswith(f"{label[-1]}:"):
        label = label[:-1]
    return f"{' - '.join(label)}: " if label else ""
