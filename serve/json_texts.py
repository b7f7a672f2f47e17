"""Takes JSON apart into the texts in it; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def json_in(text: str) -> Any:
    """Return the JSON object, list or string that a text is all of; None where it is none."""
    if not text.lstrip().startswith(("{", "[", '"')):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def canonical(value: object) -> str:
    """Return a JSON value in one form, whatever the order of its fields was."""
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    except (RecursionError, ValueError):  # too deep, or a number of thousands of digits
        return "\n".join(texts_in(value))


def texts_in(value: Any) -> Iterator[str]:
    """Yield the texts of a JSON value, names of fields included; no depth is too deep."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
