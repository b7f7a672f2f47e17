"""OpenAI's chat completions in Windowfit's words, and its answers in OpenAI's."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from chunking.errors import InputError
from chunking.tokens import Message
from serve.answer import Answer
from serve.citations import Citation, find_markers
from serve.fields import route_of, where_of
from serve.openai_messages import FunctionToolCall, InstructionMessage, UserMessage
from serve.openai_schema import (
    SAMPLING,
    Annotation,
    AnswerMessage,
    ChatCompletion,
    ChatRequest,
    ChatUsage,
    Choice,
    PromptTokensDetails,
    UrlCitation,
    WindowfitOptions,
)
from serve.plan import Ask, Plan
from serve.schema import Usage, as_json, usage_of
from serve.settings import ServeSettings

Event = Mapping[str, Any]


def ask_of(body: ChatRequest, settings: ServeSettings, profiles: Collection[str]) -> Ask:
    """Return the request as Windowfit plans it.

    Raises:
        InputError: fields contradict each other, or no user message asks anything.
    """
    options = body.windowfit or WindowfitOptions()
    collection, profile = _named(body.model, profiles)
    # A client of OpenAI's must name a model; where a route is named beside it, that counts.
    model, route = route_of(None if options.route else profile, options.route, settings)
    system, history, question, after = _conversation(body)
    sampling = {
        name: value for name in SAMPLING if (value := getattr(body, name)) not in (None, {}, [])
    }
    if not body.tools:
        sampling.pop("parallel_tool_calls", None)
    return Ask(
        question=question,
        collection=_one("collection", collection, options.collection) or settings.collection,
        model=model,
        route=route,
        sensitivity=options.sensitivity or settings.request_sensitivity,
        mode=options.mode,
        call_limit=options.call_limit,
        cost_limit_usd=options.cost_limit_usd,
        truncation=_one("truncation", body.truncation, options.truncation) or "auto",
        order=options.order,
        trim=options.trim,
        max_context_tokens=options.max_context_tokens,
        max_output_tokens=_one("max_tokens", body.max_tokens, body.max_completion_tokens),
        history=history,
        where=where_of(options.filter),
        searches=options.searches,
        system="\n\n".join(system),
        system_parts=system,
        after=after,
        tools=tuple(tool.tool() for tool in body.tools or ()),
        tool_choice=_tool_choice(body),
        response_format=_response_format(body),
        sampling=sampling,
    )


def _named(model: str, profiles: Collection[str]) -> tuple[str | None, str]:
    """Return collection and profile of "COLLECTION/PROFILE"; a profile's name may hold a slash."""
    collection, slash, profile = model.partition("/")
    if model in profiles or not slash or not collection:
        return None, model
    return collection, profile


def _conversation(
    body: ChatRequest,
) -> tuple[tuple[str, ...], tuple[Message, ...], str, tuple[Message, ...]]:
    """Return instructions, turns before the question, the question, and turns after it."""
    system = [turn.content for turn in body.messages if isinstance(turn, InstructionMessage)]
    rest = [turn for turn in body.messages if not isinstance(turn, InstructionMessage)]
    asking = [place for place, turn in enumerate(rest) if isinstance(turn, UserMessage)]
    turns = [turn.turn() for turn in rest]
    if not asking or not turns[asking[-1]].content.strip():
        raise InputError(
            "no user message asks anything" if not asking else "the last user message is blank",
            hint='end with {"role": "user", "content": "your question"}',
            param="messages",
        )
    at = asking[-1]
    return tuple(system), tuple(turns[:at]), turns[at].content, tuple(turns[at + 1 :])


def _one(name: str, first: Any, second: Any) -> Any:
    """Return the value of a field that has two names.

    Raises:
        InputError: both are given and differ.
    """
    if first is not None and second is not None and first != second:
        raise InputError(
            f"{name} is given twice, as {first!r} and as {second!r}",
            hint="give it once",
            param=name,
        )
    return second if first is None else first


def _tool_choice(body: ChatRequest) -> str | Mapping[str, Any] | None:
    choice = body.tool_choice
    if choice is None or isinstance(choice, str):
        if choice == "required" and not body.tools:
            raise InputError("tool_choice is required and there are no tools", param="tool_choice")
        return choice if body.tools else None
    named = choice.function.name
    if named not in {tool.function.name for tool in body.tools or ()}:
        raise InputError(f"tool_choice names {named!r}, which is no tool", param="tool_choice")
    return choice.model_dump()


def _response_format(body: ChatRequest) -> Mapping[str, Any] | None:
    given = body.response_format
    if given is None or given.type == "text":
        return None
    if given.type == "json_schema" and not given.json_schema:
        raise InputError("response_format needs json_schema", param="response_format")
    return given.model_dump(exclude_none=True)


def completion_of(given: Answer, *, model: str, request_id: str) -> ChatCompletion:
    """Return the response for an answer.

    Args:
        model: the name that the request gave.
        request_id: under which the receipt is kept.
    """
    calls = _tool_calls(given)
    return ChatCompletion(
        id=f"chatcmpl-{request_id}",
        created=int(time.time()),
        model=model,
        choices=(
            Choice(
                message=AnswerMessage(
                    content=given.text if given.text or not calls else None,
                    annotations=annotations_of(given),
                    tool_calls=calls or None,
                ),
                finish_reason=given.completion.finish_reason,
            ),
        ),
        usage=_chat_usage(usage_of(given)),
        context=given.report,
        citations=given.citations,
        cost_usd=given.report.cost_usd,
        timings_ms=dict(given.timings_ms),
        request_id=request_id,
    )


class ChunkWriter:
    """Writes the events of one streamed completion, in OpenAI's order.

    The first chunk carries the report, the one with the finish reason ends the text, and usage,
    cost and citations stand on the last.
    """

    def __init__(self, *, model: str, request_id: str, include_usage: bool) -> None:
        """Write for one request.

        Args:
            model: the name that the request gave.
            request_id: under which the receipt is kept.
            include_usage: whether usage comes on a chunk of its own after the finish reason.
        """
        self._request_id = request_id
        self._include_usage = include_usage
        self._same: Event = {
            "id": f"chatcmpl-{request_id}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": None,
            **({"usage": None} if include_usage else {}),
        }

    def events(self, item: Plan | str | Answer) -> Iterable[Event]:
        """Yield the chunks of one item of `stream_answer`."""
        if isinstance(item, Plan):
            opening = {"context": as_json(item.report), "request_id": self._request_id}
            yield self._chunk({"role": "assistant", "content": ""}) | opening
        elif isinstance(item, str):
            yield self._chunk({"content": item})
        else:
            yield from self._closing(item)

    def _closing(self, given: Answer) -> Iterable[Event]:
        if calls := _tool_calls(given):
            indexed = [{"index": at, **call.model_dump()} for at, call in enumerate(calls)]
            yield self._chunk({"tool_calls": indexed})
        annotations = [item.model_dump() for item in annotations_of(given)]
        finish = self._chunk(
            {"annotations": annotations} if annotations else {}, given.completion.finish_reason
        )
        receipt = {
            "usage": _chat_usage(usage_of(given)).model_dump(),
            "context": as_json(given.report),
            "citations": as_json(given.citations),
            "cost_usd": given.report.cost_usd,
            "timings_ms": dict(given.timings_ms),
            "request_id": self._request_id,
        }
        if self._include_usage:
            yield finish
            yield {**self._same, "choices": [], **receipt}
        else:
            yield {**finish, **receipt}

    def _chunk(self, delta: Event, finish_reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return {**self._same, "choices": [choice]}


def annotations_of(given: Answer) -> tuple[Annotation, ...]:
    """Return the citations as OpenAI's annotations, one for every place of a marker."""
    cited = {citation.marker: citation for citation in given.citations}
    # Where the backend names its sources, a bracket inside of a line is the document's own.
    own = given.completion.markers is None
    return tuple(
        Annotation(
            url_citation=UrlCitation(
                start_index=start,
                end_index=end,
                title=cited[marker].breadcrumb,
                url=_url(cited[marker], given.plan.ask.collection),
            )
        )
        for marker, start, end in find_markers(given.text, cited)
        if own or given.text[end : end + 1] in {"", "\n"}
    )


def _url(citation: Citation, collection: str) -> str:
    """Return the source if it is an address, else a name of the span (RFC 5147) that stays true."""
    if citation.source.startswith(("http://", "https://")):
        return citation.source
    named = f"{quote(collection, safe='')}:{quote(citation.document, safe='/')}"
    return f"urn:windowfit:{named}#char={citation.start},{citation.end}"


def _tool_calls(given: Answer) -> tuple[FunctionToolCall, ...]:
    return tuple(FunctionToolCall.of(call) for call in given.completion.tool_calls)


def _chat_usage(usage: Usage) -> ChatUsage:
    return ChatUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        total_tokens=usage.total_tokens,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=usage.cached_tokens),
    )
