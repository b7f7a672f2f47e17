"""The wire format of the service: requests in, answers and problems out."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from chunking.counters import well_formed
from chunking.tokens import Message
from serve.answer import Answer
from serve.citations import Citation
from serve.context.report import ContextReport
from serve.plan import Ask, Mode, Plan, Truncation
from serve.profiles import ModelProfile
from serve.settings import ServeSettings


def _well_formed(value: object) -> object:
    """Replace unpaired surrogates: JSON can spell them, no tokenizer and no server encode them."""
    return well_formed(value) if isinstance(value, str) else value


WellFormed = Annotated[str, BeforeValidator(_well_formed)]
Text = Annotated[WellFormed, StringConstraints(min_length=1, max_length=2_000_000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
TokenLimit = Annotated[int, Field(ge=1, le=100_000_000)]


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
    mode: Mode = Field(
        default="retrieve",
        description="`retrieve` packs chunks, `full` whole documents, `auto` whole documents if "
        "all of them fit",
    )
    truncation: Truncation = Field(
        default="auto",
        description="`auto` drops and reports what does not fit, `disabled` refuses instead",
    )
    max_context_tokens: TokenLimit | None = Field(default=None, description="cap on retrieved text")
    max_output_tokens: TokenLimit | None = Field(default=None, description="room for the answer")
    history: tuple[Turn, ...] = Field(
        default=(), max_length=1000, description="earlier turns, user first"
    )
    filter: dict[str, WellFormed | list[WellFormed]] | None = Field(
        default=None, description="allowed keys: document, title, source"
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
        where = {
            key: (value,) if isinstance(value, str) else tuple(value)
            for key, value in (self.filter or {}).items()
        }
        return Ask(
            question=self.question,
            collection=self.collection or settings.collection,
            model=self.model or settings.model,
            mode=self.mode,
            truncation=self.truncation,
            max_context_tokens=self.max_context_tokens,
            max_output_tokens=self.max_output_tokens,
            history=tuple(Message(turn.role, turn.content) for turn in self.history),
            where=where or None,
        )


class Usage(BaseModel):
    """Tokens as the model's server counted them; planned prompt tokens where it did not say."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    total_tokens: int
    source: Literal["server", "planned"]


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
        completion = answer.completion
        served = completion.prompt_tokens
        prompt = answer.report.prompt_tokens if served is None else served
        return cls(
            answer=answer.text,
            citations=answer.citations,
            context=answer.report,
            usage=Usage(
                prompt_tokens=prompt,
                completion_tokens=completion.output_tokens,
                cached_tokens=completion.cached_tokens,
                total_tokens=prompt + completion.output_tokens,
                source="planned" if served is None else "server",
            ),
            cost_usd=answer.report.cost_usd,
            timings_ms=dict(answer.timings_ms),
            model=answer.report.model,
            finish_reason=completion.finish_reason,
            request_id=request_id,
        )


class PreviewResponse(BaseModel):
    """What would be sent: the receipt, and the messages for anyone to recount."""

    context: ContextReport
    messages: tuple[Message, ...]
    timings_ms: dict[str, float]
    request_id: str

    @classmethod
    def of(cls, plan: Plan, *, request_id: str) -> Self:
        """Return the response for a plan."""
        return cls(
            context=plan.report,
            messages=plan.context.messages,
            timings_ms=dict(plan.timings_ms),
            request_id=request_id,
        )


class ModelCard(BaseModel):
    """A profile in OpenAI's model format, with the facts that budgets are made of."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    description: str
    window: int
    output_limit: int
    default_output: int
    tokenizer: str
    place: Literal["local", "cloud"]
    licence: str

    @classmethod
    def of(cls, profile: ModelProfile) -> Self:
        """Return the card of a profile."""
        reviewed = datetime.combine(profile.reviewed, time(), tzinfo=UTC)
        return cls(
            id=profile.name,
            created=int(reviewed.timestamp()),
            owned_by="windowfit",
            description=profile.description,
            window=profile.window,
            output_limit=profile.output_limit,
            default_output=profile.default_output,
            tokenizer=profile.tokenizer,
            place=profile.place,
            licence=profile.licence,
        )


class ModelList(BaseModel):
    """All profiles."""

    object: Literal["list"] = "list"
    data: tuple[ModelCard, ...]


class OpenAIError(BaseModel):
    """The error as OpenAI's clients read it."""

    message: str
    type: str
    param: str | None
    code: str


class Problem(BaseModel):
    """One error body for both worlds: RFC 9457 and OpenAI's `error`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    retryable: bool
    request_id: str
    error: OpenAIError


class Health(BaseModel):
    """Whether the service is up, or what keeps it from being ready."""

    status: Literal["ok", "unavailable"]
    problems: tuple[str, ...] = ()
