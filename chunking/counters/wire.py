"""What of a request goes to a server: text in a form it can have, messages as JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from chunking.errors import TemplateRefused
from chunking.tokens import Message, Tool, ToolCall


def well_formed(text: str) -> str:
    r"""Return the text with surrogate pairs joined and every lone surrogate replaced by U+FFFD.

    A lone surrogate (`json.loads` makes one of `"\ud800"`) has no UTF-8 form: tokenizers raise on
    it and vLLM answers 400. Every counter counts `well_formed(text)`, so whoever sends a counted
    text sends `well_formed(text)`. Text without surrogates is returned as it is. This is also
    the rule of `tiktoken.Encoding.encode`.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def sendable(value: Any) -> Any:
    """Return JSON with every text in it `well_formed`, and with dicts for mappings."""
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, Mapping):
        return {sendable(name): sendable(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [sendable(member) for member in value]
    return value


def message_payload(message: Message) -> dict[str, Any]:
    """Return a message as the JSON that a chat completions endpoint takes."""
    sent: dict[str, Any] = {"role": message.role, "content": well_formed(message.content)}
    if message.tool_calls:
        sent["tool_calls"] = [_call_payload(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        sent["tool_call_id"] = well_formed(message.tool_call_id)
    return sent


def _call_payload(call: ToolCall) -> dict[str, Any]:
    function = {"name": well_formed(call.name), "arguments": well_formed(call.arguments)}
    return {"id": well_formed(call.id), "type": "function", "function": function}


def tool_payload(tool: Tool) -> dict[str, Any]:
    """Return a tool as the JSON that a server makes of it: only `strict` is left out when unset."""
    function: dict[str, Any] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    if tool.strict is not None:
        function["strict"] = tool.strict
    formed: dict[str, Any] = sendable({"type": "function", "function": function})
    return formed


def longest_first(texts: Collection[str]) -> tuple[str, ...]:
    """Order texts so that one pattern of alternatives, tried in order, finds the longest."""
    return tuple(sorted(texts, key=lambda text: (-len(text), text)))


def refused(name: str, reason: object, *, hint: str | None = None) -> TemplateRefused:
    """Return the error for a conversation that a model's chat format has no place for."""
    return TemplateRefused(
        f"{name} has no form for this conversation: {reason}",
        hint=hint,
        param="messages",
    )
