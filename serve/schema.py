"""The wire format of the service: requests in, answers and problems out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    model_validator,
)
from pydantic_core import to_jsonable_python

from chunking.tokens import Message
from serve.answer import Answer
from serve.citations import Citation
from serve.context.report import ContextReport
from serve.fields import (
    CALL_LIMIT,
    CallLimit,
    CostLimit,
    Filter,
    Label,
    Name,
    Route,
    Searches,
    Text,
    TokenLimit,
    route_of,
    where_of,
)
from serve.plan import Ask, Mode, Order, Plan, Truncation
from serve.settings import ServeSettings


class Turn(BaseModel):
    """One earlier turn of the conversation."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "assistant"]
    content: Text


class AnswerRequest(BaseModel):
    """A question and how to answer it; everything but the question has a default."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"question": "What is the median age in India?", "collection": "factbook"},
                {
                    "question": "Which has the larger total area, Bolivia or Lesotho?",
                    "collection": "factbook",
                    "model": "mistral-7b-8k",
                    "max_context_tokens": 2048,
                    "max_output_tokens": 256,
                },
            ]
        },
    )

    question: Text
    collection: Name | None = Field(default=None, description="default: the service's setting")
    model: Name | None = Field(default=None, description="a profile; default: the service's")
    route: Route = None
    sensitivity: Label = None
    mode: Mode = Field(
        default="retrieve",
        description="`retrieve` packs chunks, `full` whole documents, `auto` whole documents if "
        "all of them fit, `exhaustive` reads the whole corpus in several calls and joins them",
    )
    truncation: Truncation = Field(
        default="auto",
        description="`auto` drops and reports what does not fit, `disabled` refuses instead",
    )
    order: Order = Field(
        default="relevance",
        description="`relevance` shows the best chunk first, `document` keeps the order of the "
        "documents",
    )
    trim: bool = Field(
        default=False, description="cut the best chunk left out at a sentence or line to fit"
    )
    call_limit: CallLimit = CALL_LIMIT
    cost_limit_usd: CostLimit = None
    max_context_tokens: TokenLimit | None = Field(default=None, description="cap on retrieved text")
    max_output_tokens: TokenLimit | None = Field(default=None, description="room for the answer")
    history: tuple[Turn, ...] = Field(
        default=(), max_length=1000, description="earlier turns, user first"
    )
    filter: Filter | None = Field(
        default=None, description="allowed keys: document, sensitivity, source, title"
    )
    searches: Searches = ()
    stream: bool = Field(
        default=False, description="send the answer as it is written, as server-sent events"
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.question.strip():
            raise ValueError("question is blank")
        roles = [turn.role for turn in self.history]
        if roles != ["user", "assistant"] * (len(roles) // 2):
            raise ValueError("history must alternate user, assistant and end with assistant")
        return self

    def ask(self, settings: ServeSettings) -> Ask:
        """Return the request with the service's defaults filled in."""
        model, route = route_of(self.model, self.route, settings)
        return Ask(
            question=self.question,
            collection=self.collection or settings.collection,
            model=model,
            route=route,
            sensitivity=self.sensitivity or settings.request_sensitivity,
            mode=self.mode,
            truncation=self.truncation,
            order=self.order,
            trim=self.trim,
            call_limit=self.call_limit,
            cost_limit_usd=self.cost_limit_usd,
            max_context_tokens=self.max_context_tokens,
            max_output_tokens=self.max_output_tokens,
            history=tuple(Message(turn.role, turn.content) for turn in self.history),
            where=where_of(self.filter),
            searches=self.searches,
        )


class Usage(BaseModel):
    """Tokens as the model's server counted them; planned prompt tokens where it did not say."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    total_tokens: int
    source: Literal["server", "planned"]


def usage_of(answer: Answer) -> Usage:
    """Return the tokens of an answer and who counted them."""
    completion = answer.completion
    served = completion.prompt_tokens
    planned = completion.planned_tokens or answer.report.prompt_tokens
    prompt = planned if served is None else served
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion.output_tokens,
        cached_tokens=completion.cached_tokens,
        total_tokens=prompt + completion.output_tokens,
        source="planned" if served is None else "server",
    )


def as_json(value: object) -> Any:
    """Return a dataclass or model as JSON values, as every response spells it."""
    return to_jsonable_python(value)


class AnswerResponse(BaseModel):
    """An answer with its sources and its receipt."""

    answer: str
    citations: tuple[Citation, ...]
    context: ContextReport
    usage: Usage
    cost_usd: float
    timings_ms: dict[str, float]
    model: str
    finish_reason: str
    request_id: str

    @classmethod
    def of(cls, answer: Answer, *, request_id: str) -> Self:
        """Return the response for an answer."""
        return cls(
            answer=answer.text,
            citations=answer.citations,
            context=answer.report,
            usage=usage_of(answer),
            cost_usd=answer.report.cost_usd,
            timings_ms=dict(answer.timings_ms),
            model=answer.report.model,
            finish_reason=answer.completion.finish_reason,
            request_id=request_id,
        )


def answer_events(request_id: str) -> Callable[[Plan | str | Answer], Iterator[dict[str, Any]]]:
    """Return what writes the events of a streamed `POST /answer`, one for each item."""

    def write(item: Plan | str | Answer) -> Iterator[dict[str, Any]]:
        if isinstance(item, Plan):
            yield {"context": as_json(item.report), "request_id": request_id}
        elif isinstance(item, str):
            yield {"delta": item}
        else:
            yield as_json(AnswerResponse.of(item, request_id=request_id))

    return write


def wire_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return messages as OpenAI's routes take them."""
    return [_wire_message(message) for message in messages]


def _wire_message(message: Message) -> dict[str, Any]:
    wire: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        wire["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    return wire


class PreviewResponse(BaseModel):
    """What would be sent: the receipt, and the messages for anyone to recount."""

    context: ContextReport
    messages: list[dict[str, Any]]
    timings_ms: dict[str, float]
    request_id: str

    @classmethod
    def of(cls, plan: Plan, *, request_id: str) -> Self:
        """Return the response for a plan."""
        return cls(
            context=plan.report,
            messages=wire_messages(plan.context.messages),
            timings_ms=dict(plan.timings_ms),
            request_id=request_id,
        )
