"""The bytes of OpenAI's routes: what answers, lists of models and refusals of long prompts say.

Servers differ in what they leave out, so everything a server may leave out is optional here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field, NonNegativeInt

from serve.backends.protocol import Completion

_LENGTH_REASONS = frozenset({"length", "max_tokens", "model_length"})

# Wordings of vLLM and OpenAI ("maximum context length is 8192 tokens"), of llama.cpp ("available
# context size (8192 tokens)"), of Gemini and of Anthropic ("9000 tokens > 8192 maximum").
_WINDOW = re.compile(
    r"(?:maximum context length|maximum context length is|configured limit of"
    r"|available context size|maximum number of tokens allowed|tokens >)\s*\(?(\d+)"
)
_PROMPT = re.compile(
    r"(?:contains|resulted in|your request has|request \(|token count \(|Input length \("
    r"|too long:)\s*(at least )?(\d+)(?: input tokens| tokens|\))"
)
_PROMPT_IN_SUM = re.compile(r"\((\d+) in the messages")


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _PromptDetails(BaseModel):
    cached_tokens: NonNegativeInt | None = None


class _Usage(BaseModel):
    prompt_tokens: NonNegativeInt | None = None
    completion_tokens: NonNegativeInt | None = None
    prompt_tokens_details: _PromptDetails | None = None


class ChatReply(BaseModel):
    """One answer of `/chat/completions`, with at least one choice."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None

    @property
    def withheld(self) -> bool:
        """Whether a content filter cut or suppressed the answer."""
        return self.choices[0].finish_reason == "content_filter"

    def completion(self) -> Completion:
        """Return the first choice; without `usage` the prompt tokens are None, never a guess.

        An answer without content is an empty text: a model that spent its room on thinking.
        """
        choice = self.choices[0]
        usage = self.usage or _Usage()
        details = usage.prompt_tokens_details or _PromptDetails()
        return Completion(
            text=choice.message.content or choice.message.refusal or "",
            prompt_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens or 0,
            cached_tokens=details.cached_tokens or 0,
            finish_reason="length" if choice.finish_reason in _LENGTH_REASONS else "stop",
        )


class _ModelMeta(BaseModel):
    n_ctx: int | None = None


class ServedModel(BaseModel):
    """One model that a server lists; the window is named by vLLM and by llama.cpp."""

    id: str
    aliases: list[str] = []
    max_model_len: int | None = None
    meta: _ModelMeta | None = None

    @property
    def names(self) -> frozenset[str]:
        """Every name the server answers to; Gemini writes "models/NAME" for NAME."""
        return frozenset({self.id, self.id.removeprefix("models/"), *self.aliases})

    @property
    def window(self) -> int | None:
        """The window the server was started with, where it says so."""
        return self.max_model_len or (self.meta.n_ctx if self.meta else None)


class ModelList(BaseModel):
    """The answer of `/models`."""

    data: list[ServedModel]


@dataclass(frozen=True, slots=True)
class Overflow:
    """A server's statement that a prompt is too long, as far as it gives numbers.

    Attributes:
        window: the window it names.
        prompt_tokens: the prompt tokens it counted, or the bound it stopped counting at.
        lower_bound: whether it stopped counting, as vLLM does one token past the window.
    """

    window: int | None
    prompt_tokens: int | None
    lower_bound: bool = False


def error_fields(body: object) -> Mapping[str, Any]:
    """Return the fields of an error body, whichever way the server nests them."""
    if isinstance(body, list) and body:  # Gemini sends [{"error": {…}}]
        body = body[0]
    if isinstance(body, dict):
        inner = body.get("error")
        return inner if isinstance(inner, dict) else body
    return {}


def find_overflow(fields: Mapping[str, Any]) -> Overflow | None:
    """Return what an error says of a prompt that is too long; None for any other error."""
    if fields.get("type") == "exceed_context_size_error":  # llama.cpp gives both numbers
        return Overflow(_number(fields.get("n_ctx")), _number(fields.get("n_prompt_tokens")))
    message = str(fields.get("message", ""))
    window = _WINDOW.search(message)
    if window is None:
        known = fields.get("code") == "context_length_exceeded"
        return Overflow(window=None, prompt_tokens=None) if known else None
    if counted := _PROMPT.search(message):
        return Overflow(int(window[1]), int(counted[2]), lower_bound=counted[1] is not None)
    in_sum = _PROMPT_IN_SUM.search(message)
    return Overflow(int(window[1]), int(in_sum[1]) if in_sum else None)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
