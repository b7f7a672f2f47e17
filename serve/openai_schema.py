"""The bytes of OpenAI's chat completions: requests in, completions, chunks and models out.

Every field of a request is taken, passed on, ignored or refused by name; docs/http.md says which.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)
from pydantic_core import PydanticCustomError

from serve.citations import Citation
from serve.context.report import ContextReport
from serve.fields import (
    CALL_LIMIT,
    CallLimit,
    CostLimit,
    Filter,
    JsonObject,
    Label,
    Name,
    Route,
    Searches,
    TokenLimit,
    WellFormed,
)
from serve.openai_messages import ChatMessage, FunctionTool, FunctionToolCall
from serve.plan import Mode, Order, Truncation


class NamedFunction(BaseModel):
    """The name of a function."""

    name: str


class NamedToolChoice(BaseModel):
    """The one function that the model must call."""

    type: Literal["function"]
    function: NamedFunction


class ResponseFormat(BaseModel):
    """The form the answer must have."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonObject | None = None


class StreamOptions(BaseModel):
    """Whether a last chunk with the usage follows."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class WindowfitOptions(BaseModel):
    """What OpenAI has no field for."""

    model_config = ConfigDict(extra="forbid")

    collection: Name | None = Field(default=None, description="where `model` names no collection")
    route: Route = None
    sensitivity: Label = None
    mode: Mode = "retrieve"
    truncation: Truncation | None = None
    order: Order = "relevance"
    trim: bool = False
    call_limit: CallLimit = CALL_LIMIT
    cost_limit_usd: CostLimit = None
    max_context_tokens: TokenLimit | None = Field(default=None, description="cap on retrieved text")
    filter: Filter | None = Field(
        default=None, description="allowed keys: document, sensitivity, source, title"
    )
    searches: Searches = ()


def _only(*allowed: object, hint: str) -> BeforeValidator:
    """Accept null and what changes nothing; refuse the rest with a hint."""

    def check(value: object) -> object:
        if value is None or value in allowed:
            return value
        raise PydanticCustomError("not_supported", "not supported", {"hint": hint})

    return BeforeValidator(check)


OneAnswer = Annotated[Any, _only(1, hint="ask for one answer, or send the request again")]
NoLogprobs = Annotated[Any, _only(False, 0, hint="leave logprobs out")]
NoFunctions = Annotated[Any, _only(hint="use `tools` and `tool_choice` instead")]
NoWeb = Annotated[Any, _only(hint="leave it out: answers rest on the collection alone")]
TextOut = Annotated[Any, _only(["text"], hint="leave it out: answers are text")]
Ignored = Annotated[Any, Field(description="accepted and ignored")]

SAMPLING: Final = (
    *("temperature", "top_p", "stop", "seed", "presence_penalty", "frequency_penalty"),
    *("logit_bias", "reasoning_effort", "verbosity", "parallel_tool_calls"),
)
"""Fields that are passed on to the model's server as they are."""


class ChatRequest(BaseModel):
    """A chat completion over a collection; `model` is "COLLECTION/PROFILE" or "PROFILE"."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "model": "factbook/quote",
                    "messages": [{"role": "user", "content": "What is the capital of Peru?"}],
                },
                {
                    "model": "factbook/mistral-7b-8k",
                    "messages": [
                        {"role": "system", "content": "Answer in one sentence."},
                        {"role": "user", "content": "Which is larger, Bolivia or Lesotho?"},
                    ],
                    "max_tokens": 256,
                    "stream": True,
                    "windowfit": {"max_context_tokens": 2048},
                },
            ]
        },
    )

    model: Annotated[str, Field(min_length=1, max_length=257)]
    messages: Annotated[tuple[ChatMessage, ...], Field(max_length=2000)]
    tools: tuple[FunctionTool, ...] | None = None
    tool_choice: Literal["none", "auto", "required"] | NamedToolChoice | None = None
    response_format: ResponseFormat | None = None
    max_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    truncation: Truncation | None = None
    windowfit: WindowfitOptions | None = None

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stop: WellFormed | Annotated[list[WellFormed], Field(max_length=16)] | None = None
    seed: int | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    reasoning_effort: Name | None = None
    verbosity: Name | None = None
    parallel_tool_calls: bool | None = None

    n: OneAnswer = None
    logprobs: NoLogprobs = None
    top_logprobs: NoLogprobs = None
    functions: NoFunctions = None
    function_call: NoFunctions = None
    modalities: TextOut = None
    audio: TextOut = None
    web_search_options: NoWeb = None

    user: Ignored = None
    metadata: Ignored = None
    store: Ignored = None
    service_tier: Ignored = None
    safety_identifier: Ignored = None
    prompt_cache_key: Ignored = None
    prompt_cache_retention: Ignored = None
    prediction: Ignored = None


class PromptTokensDetails(BaseModel):
    """The part of the prompt that came from a prompt cache."""

    cached_tokens: int


class ChatUsage(BaseModel):
    """Tokens as OpenAI names them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class UrlCitation(BaseModel):
    """A source, and where in the answer its marker stands."""

    start_index: int
    end_index: int
    title: str
    url: str


class Annotation(BaseModel):
    """OpenAI's form of a citation."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: UrlCitation


class AnswerMessage(BaseModel):
    """What the model says."""

    role: Literal["assistant"] = "assistant"
    content: str | None
    refusal: None = None
    annotations: tuple[Annotation, ...] = ()
    tool_calls: tuple[FunctionToolCall, ...] | None = None


class Choice(BaseModel):
    """The one answer."""

    index: Literal[0] = 0
    message: AnswerMessage
    logprobs: None = None
    finish_reason: str


class ChatCompletion(BaseModel):
    """OpenAI's chat completion, and beside it the receipt."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: tuple[Choice]
    usage: ChatUsage
    system_fingerprint: None = None
    context: ContextReport
    citations: tuple[Citation, ...]
    cost_usd: float
    timings_ms: dict[str, float]
    request_id: str
