"""Keeps what a prompt was made from, and rebuilds it byte for byte from that and the corpus.

Kept are the question, the turns, the tools and the instructions, the answer, and of every piece of
a document its span, its breadcrumb, its marker and the sha256 of its text. The texts of documents
stay in the corpus, those of the citations too; what the answer itself quotes is kept with it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from hashlib import sha256
from itertools import groupby
from typing import Any, Self

from pydantic import BaseModel

from chunking.counters import load_counter
from chunking.document import Chunk
from chunking.errors import RequestNotFound, WindowfitError
from chunking.tokens import Message, TokenCounter, Tool, ToolCall
from serve.answer import Answer
from serve.context.prompt import Prompt
from serve.context.rebuild import ShownSpan, read_entry, shown_spans
from serve.plan import Plan
from serve.profiles import find_profile
from serve.requests import KeptRequest, Kind
from serve.runtime import Runtime
from serve.schema import as_json, usage_of, wire_messages

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Replay:
    """A rebuilt prompt, held against the one that was planned.

    In mode `exhaustive` these are the prompts of all shards, and the tokens of the longest; the
    call that joins their notes is not rebuilt, since it holds what the model wrote.

    Attributes:
        identical: whether messages, tools and token count are those that were planned, counted by
            the counter that the receipt names: what an estimate has learnt since changes nothing.
        changed: documents whose text is not what the prompt showed, with what became of it.
    """

    request_id: str
    identical: bool
    planned_sha256: str
    planned_tokens: int
    sha256: str
    tokens: int
    changed: Mapping[str, str]
    messages: tuple[Message, ...]


class ReplayResponse(BaseModel):
    """A rebuilt prompt and whether it is the one that was sent."""

    request_id: str
    identical: bool
    planned_sha256: str
    planned_tokens: int
    sha256: str
    tokens: int
    changed: dict[str, str]
    messages: list[dict[str, Any]]

    @classmethod
    def of(cls, done: Replay) -> Self:
        """Return the response for a replay."""
        values = {name: getattr(done, name) for name in cls.model_fields}
        return cls(**{**values, "messages": wire_messages(done.messages)})


async def keep_answer(given: Answer, runtime: Runtime, *, request_id: str) -> None:
    """Keep an answer with its receipt, before it is sent; never fails it."""
    await asyncio.to_thread(_keep_answer, given, runtime, request_id)


async def keep_preview(plan: Plan, runtime: Runtime, *, request_id: str) -> None:
    """Keep a preview with its receipt, before it is sent; never fails it."""
    await asyncio.to_thread(_keep, "preview", plan, {}, runtime, request_id)


def _keep_answer(given: Answer, runtime: Runtime, request_id: str) -> None:
    receipt = {
        "answer": given.text,
        "tool_calls": as_json(given.completion.tool_calls) or None,
        "citations": [{**as_json(cited), "text": None} for cited in given.citations],
        "usage": as_json(usage_of(given)),
        "cost_usd": given.report.cost_usd,
        "timings_ms": dict(given.timings_ms),
        "finish_reason": given.completion.finish_reason,
        "context": as_json(given.report),
    }
    _keep("answer", given.plan, receipt, runtime, request_id)


def _keep(kind: Kind, plan: Plan, receipt: Json, runtime: Runtime, request_id: str) -> None:
    if runtime.requests is None:
        return
    prompt = plan.prompt
    common = {
        "model": plan.profile.name,
        "context": as_json(plan.report),
        "prompt_sha256": prompt_sha256(plan.context.messages, plan.ask.tools),
        "timings_ms": dict(plan.timings_ms),
    }
    ask = [one.name for one in fields(plan.ask) if one.name not in _ELSEWHERE]
    record = {
        "ask": {name: as_json(getattr(plan.ask, name)) for name in ask},
        "prompt": {name: as_json(getattr(prompt, name)) for name in _PROMPT_FIELDS},
        "system_role": prompt.system_role,
        "pieces": [_digest(chunk.text) for chunk in plan.context.chunks],
    }
    now = datetime.now(UTC)
    runtime.requests.put(KeptRequest(request_id, kind, now, {**common, **receipt}, record))


_PROMPT_FIELDS = ("question", "system", "history", "after", "tools")
# The parts stand in `system`, and of what came back the record tells the label alone.
_ELSEWHERE = (*_PROMPT_FIELDS, "system_parts", "recalled", "brought")


def find_kept(request_id: str, runtime: Runtime) -> KeptRequest:
    """Return a kept request by its id, or by the id of a chat completion.

    Raises:
        RequestNotFound, RequestsUnavailable: see `RequestStore.get`.
    """
    if runtime.requests is None:
        raise RequestNotFound("no requests are kept", hint="set keep_requests in [serve]")
    return runtime.requests.get(request_id.removeprefix("chatcmpl-"))


def receipt_of(kept: KeptRequest, runtime: Runtime) -> Json:
    """Return the receipt of a kept request, its citations with their text from the corpus.

    The text is null where the corpus does not hold it any more, or cannot be read.
    """
    citations = kept.receipt.get("citations")
    if not citations:
        return kept.receipt
    wanted = sorted({cited["document"] for cited in citations})
    try:
        index = runtime.searcher(kept.replay["ask"]["collection"]).index
        texts = {document.id: document.text for document in index.documents(wanted)}
    except WindowfitError:
        texts = {}
    pieces = kept.replay["pieces"]

    def told(cited: Json) -> Json:
        text = texts.get(cited["document"], "")[cited["start"] : cited["end"]]
        same = _digest(text) == pieces[cited["marker"] - 1]
        return {**cited, "text": text if same else None}

    return {**kept.receipt, "citations": [told(cited) for cited in citations]}


def replay(kept: KeptRequest, runtime: Runtime) -> Replay:
    """Rebuild the prompt of a kept request and compare it with what was planned.

    Raises:
        CollectionNotFound, StoreError: the corpus cannot be read.
        ModelNotFound, TokenizerUnavailable: nothing counts the model's tokens any more.
    """
    ask, context = kept.replay["ask"], kept.receipt["context"]
    counter = _counter(runtime, ask["model"], context["tokenizer"])
    prompt = replace(_prompt(kept.replay), control_tokens=counter.control_tokens)
    entries = [read_entry(entry) for entry in context["entries"]]
    spans = shown_spans(entries)
    index = runtime.searcher(ask["collection"]).index
    wanted = sorted({span.document for span in spans})
    texts = {document.id: document.text for document in index.documents(wanted)} if wanted else {}
    calls = [
        prompt.messages([_chunk(span, texts) for span in shown], first_marker=first)
        for first, shown in _by_call(spans)
    ]
    tokens = max(counter.count_messages(messages, tools=prompt.tools) for messages in calls)
    messages = tuple(message for call in calls for message in call)
    digest = prompt_sha256(messages, prompt.tools)
    planned, planned_tokens = kept.receipt["prompt_sha256"], context["prompt_tokens"]
    return Replay(
        request_id=kept.id,
        identical=(digest, tokens) == (planned, planned_tokens),
        planned_sha256=planned,
        planned_tokens=planned_tokens,
        sha256=digest,
        tokens=tokens,
        changed=dict(_changes(spans, texts, kept.replay["pieces"])),
        messages=messages,
    )


def _counter(runtime: Runtime, model: str, name: str) -> TokenCounter:
    """Return the counter of that name, which the profile may not have any more."""
    counter = runtime.counter(find_profile(runtime.profiles, model))
    if counter.name == name or name.startswith("server:"):
        return counter
    return load_counter(name, folders=(runtime.models_folder,))


def prompt_sha256(messages: Sequence[Message], tools: Sequence[Tool]) -> str:
    """Return the sha256 of a prompt's canonical form.

    That is the JSON of {"messages": as OpenAI spells them, "tools": the functions}, keys sorted, no
    spaces, non-ASCII escaped.
    """
    prompt = {"messages": wire_messages(messages), "tools": as_json(list(tools))}
    return _digest(json.dumps(prompt, sort_keys=True, separators=(",", ":")))


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _by_call(spans: Sequence[ShownSpan]) -> list[tuple[int, list[ShownSpan]]]:
    """Return the pieces of each call with its first marker; all but `exhaustive` make one call."""
    calls = [list(shown) for _, shown in groupby(spans, key=lambda span: span.shard)]
    return [(shown[0].marker, shown) for shown in calls] or [(1, [])]


def _prompt(record: Json) -> Prompt:
    given = record["prompt"]
    return Prompt(
        given["question"],
        system=given["system"],
        history=tuple(map(_message, given["history"])),
        after=tuple(map(_message, given["after"])),
        tools=tuple(Tool(**tool) for tool in given["tools"]),
        system_role=record["system_role"],
    )


def _message(given: Json) -> Message:
    calls = tuple(ToolCall(**call) for call in given["tool_calls"])
    return Message(given["role"], given["content"], calls, given["tool_call_id"])


def _chunk(span: ShownSpan, texts: Mapping[str, str]) -> Chunk:
    """Return a piece of the prompt as it stands in the corpus now."""
    return Chunk(
        id=span.chunk,
        document=span.document,
        title=span.breadcrumb,
        path=(),
        start=span.start,
        end=span.end,
        text=texts.get(span.document, "")[span.start : span.end],
        position=0,
    )


def _changes(
    spans: Sequence[ShownSpan], texts: Mapping[str, str], pieces: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield each document of which a piece is not what it was."""
    for span, digest in zip(spans, pieces, strict=True):
        text = texts.get(span.document)
        if text is None:
            yield span.document, "is not in the collection any more"
        elif _digest(text[span.start : span.end]) != digest:
            yield span.document, "has another text there now"
