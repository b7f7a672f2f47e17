"""Every text that a request brings to a model, whatever field it came in; pure.

What looks at the texts of a request looks here: the memory of labels and the detectors of personal
data. So no field is looked at by one of them and forgotten by the other.
"""

from __future__ import annotations

from collections.abc import Iterator

from chunking.tokens import Message, ToolCall
from serve.json_texts import canonical, json_in, texts_in
from serve.plan import Ask


def brought_texts(ask: Ask) -> tuple[str, ...]:
    """Return every text of a request that a model would read, each once, blank ones left out.

    These are the question, the instructions (each message of them, too), turns, tools with their
    schemas, calls of tools with their arguments, and the form and the options of the answer. What
    came as JSON is there as a whole and by each text in it.
    """
    texts: list[str] = []
    for text in (ask.question, ask.system, *ask.system_parts):
        texts += _with_parts(text)
    for turn in (*ask.history, *ask.after):
        texts += _turn_texts(turn)
    for tool in ask.tools:
        texts += [tool.name, tool.description or "", *_json_texts(tool.parameters)]
    for value in (ask.tool_choice, ask.response_format, ask.sampling):
        texts += _json_texts(value)
    return tuple(dict.fromkeys(text for text in texts if text.strip()))


def arguments_text(call: ToolCall) -> str:
    """Return the arguments of a call in one form, however a client has written its JSON."""
    value = json_in(call.arguments)
    return call.arguments if value is None else canonical(value)


def _turn_texts(turn: Message) -> Iterator[str]:
    yield from _with_parts(turn.content)
    for call in turn.tool_calls:
        yield call.name
        yield from _with_parts(call.arguments)


def _with_parts(text: str) -> Iterator[str]:
    """Yield a text and, where all of it is JSON, what `_json_texts` yields of that."""
    yield text
    yield from _json_texts(json_in(text))


def _json_texts(value: object) -> Iterator[str]:
    if not value:
        return
    yield canonical(value)
    yield from texts_in(value)
