"""Every text that a request brings to a model, whatever field it came in; pure.

What looks at the texts of a request looks here: the memory of labels and the detectors of personal
data. So no field is looked at by one of them and forgotten by the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from chunking.tokens import Message, ToolCall
from serve.plan import Ask


def brought_texts(ask: Ask) -> tuple[str, ...]:
    """Return every text of a request that a model would read, each once, blank ones left out.

    These are the question, the instructions (each message of them, too), turns, tools with their
    schemas, calls of tools with their arguments, and the form and the options of the answer. What
    came as JSON is there as a whole and by each text in it.
    """
    texts = [ask.question, ask.system, *ask.system_parts]
    for turn in (*ask.history, *ask.after):
        texts += _turn_texts(turn)
    for tool in ask.tools:
        texts += [tool.name, tool.description or "", *_json_texts(tool.parameters)]
    for value in (ask.tool_choice, ask.response_format, ask.sampling):
        texts += _json_texts(value)
    return tuple(dict.fromkeys(text for text in texts if text.strip()))


def arguments_text(call: ToolCall) -> str:
    """Return the arguments of a call in one form, however a client has written its JSON."""
    try:
        return _canonical(json.loads(call.arguments))
    except (ValueError, RecursionError):
        return call.arguments


def _turn_texts(turn: Message) -> Iterator[str]:
    yield turn.content
    for call in turn.tool_calls:
        yield from (call.name, call.arguments, arguments_text(call))
        try:
            yield from _texts_in(json.loads(call.arguments))
        except (ValueError, RecursionError):
            continue


def _json_texts(value: object) -> Iterator[str]:
    if not value:
        return
    yield _canonical(value)
    yield from _texts_in(value)


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _texts_in(value: Any) -> Iterator[str]:
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
