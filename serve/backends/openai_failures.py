"""What a server's refusal means: its status, its numbers, and none of its words.

Upstream error text may repeat the prompt, so no word of it goes into a message; only token counts
are read from it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from chunking.errors import ContextLengthExceeded, WindowfitError
from serve.errors import UpstreamError, UpstreamRateLimited, UpstreamRejected, UpstreamTimeout

KEY_HINT: Final = "check the key in the environment variable that the profile's api_key_env names"
ROOT_HINT: Final = "check that the profile's base_url is the root of the server's OpenAI routes"
_WINDOW_HINT = (
    "the server counts more than was planned: check the profile's window and tokenizer against it,"
    " or shorten the question"
)

# Wordings of vLLM and OpenAI ("maximum context length is 8192 tokens"), of llama.cpp ("available
# context size (8192 tokens)"), of Gemini and of Anthropic ("9000 tokens > 8192 maximum").
_WINDOW = re.compile(
    r"(?:maximum context length|maximum context length is|configured limit of"
    r"|available context size|maximum number of tokens allowed|tokens >)\s*\(?(\d{1,15})"
)
_PROMPT = re.compile(
    r"(?:contains|resulted in|your request has|request \(|token count \(|Input length \("
    r"|too long:)\s*(at least )?(\d{1,15})(?: input tokens| tokens|\))"
)
_PROMPT_IN_SUM = re.compile(r"\((\d{1,15}) in the messages")


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


@dataclass(frozen=True, slots=True)
class Refusals:
    """Turns the refusals of one server into errors that state numbers.

    Attributes:
        server: its name in messages.
        model: the name of the model that it is asked for.
        window: what the profile says, for overflows that name none.
    """

    server: str
    model: str
    window: int | None

    def error(
        self, status: int, body: object, *, headers: Mapping[str, str], output_tokens: int
    ) -> WindowfitError:
        """Return our error for an HTTP answer; overflows come first, with 400, 413 or even 500."""
        fields = error_fields(body)
        if overflow := find_overflow(fields):
            return self._overflow(overflow, output_tokens=output_tokens)
        said = f"(HTTP {status})"
        match status:
            case 429:
                return self._limited(headers, used_up=fields.get("code") == "insufficient_quota")
            case 408 | 504:
                return UpstreamTimeout(f"{self.server} gave up waiting {said}")
            case status if status >= 500:  # noqa: PLR2004  # server errors, RFC 9110 section 15.6
                return UpstreamError(f"{self.server} failed {said}")
        return self._refusal(status, said)

    def error_in_stream(self, body: object, *, output_tokens: int) -> WindowfitError:
        """Return our error for an error object inside a stream, whose status was 200."""
        fields = error_fields(body)
        code = fields.get("code")
        if isinstance(code, int) and 400 <= code < 600:  # noqa: PLR2004  # vLLM and llama.cpp: the status it would have had
            return self.error(code, fields, headers={}, output_tokens=output_tokens)
        if overflow := find_overflow(fields):
            return self._overflow(overflow, output_tokens=output_tokens)
        return UpstreamError(f"{self.server} failed in the middle of the answer")

    def _refusal(self, status: int, said: str) -> UpstreamRejected:
        match status:
            case 401 | 403:
                return UpstreamRejected(f"{self.server} refused the key {said}", hint=KEY_HINT)
            case 404:
                return UpstreamRejected(
                    f"{self.server} knows no model {self.model!r} or no such route {said}",
                    hint=f"{ROOT_HINT}; its /models lists the names it serves",
                )
        return UpstreamRejected(f"{self.server} refused the request {said}")

    def _limited(self, headers: Mapping[str, str], *, used_up: bool) -> WindowfitError:
        if used_up:  # OpenAI says so with 429 as well, though no waiting helps
            return UpstreamRejected(f"the quota of the key at {self.server} is used up (HTTP 429)")
        return UpstreamRateLimited(
            f"{self.server} asks to be called less often (HTTP 429)",
            retry_after_seconds=retry_after_seconds(headers),
        )

    def _overflow(self, overflow: Overflow, *, output_tokens: int) -> ContextLengthExceeded:
        window = overflow.window or self.window
        if window is None or overflow.prompt_tokens is None:
            limit = "" if window is None else f" of {window} tokens"
            message = f"the prompt does not fit the window{limit} of {self.server}"
        else:
            bound = "at least " if overflow.lower_bound else ""
            message = (
                f"window {window} < prompt {bound}{overflow.prompt_tokens}"
                f" + answer {output_tokens}, as {self.server} counts"
            )
        return ContextLengthExceeded(message, hint=_WINDOW_HINT, param="messages")


def error_fields(body: object) -> Mapping[str, Any]:
    """Return the fields of an error body, whichever way the server nests them."""
    if isinstance(body, list) and body:  # Gemini sends [{"error": {…}}]
        body = body[0]
    if isinstance(body, Mapping):
        inner = body.get("error")
        return inner if isinstance(inner, Mapping) else body
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


def retry_after_seconds(headers: Mapping[str, str]) -> int | None:
    """Return the seconds of a Retry-After header; None for a date, for nonsense and for none."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return math.ceil(seconds) if 0 <= seconds < math.inf else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
