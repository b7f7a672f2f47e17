"""Any server with OpenAI's chat completions: vLLM, llama.cpp, OpenAI, Gemini and many others.

The one module that imports `openai`. Whatever the SDK raises leaves here as an error of ours with
the cause kept. Upstream error text may repeat the prompt, so no word of it goes into a message;
only token counts are read from it.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import openai
from pydantic import ValidationError

from chunking.counters import well_formed
from chunking.errors import (
    ConfigurationError,
    ContextLengthExceeded,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    WindowfitError,
)
from retrieval.loopback import is_loopback
from serve.backends.openai_wire import (
    ChatReply,
    ModelList,
    Overflow,
    ServedModel,
    error_fields,
    find_overflow,
)
from serve.backends.protocol import Completion, CompletionRequest

CHECK_SECONDS: Final = 5.0

_KEY_HINT = "check the key in the environment variable that the profile's api_key_env names"
_ROOT_HINT = "check that the profile's base_url is the root of the server's OpenAI routes"
_WINDOW_HINT = (
    "the server counts more than was planned: check the profile's window and tokenizer against it,"
    " or shorten the question"
)

_Sent = TypeVar("_Sent")


class OpenAICompatibleBackend:
    """Completes chat requests on a server with OpenAI's routes, each within one deadline."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None,
        model: str,
        timeout_seconds: float,
        temperature: float | None = None,
        window: int | None = None,
        max_retries: int = 2,
    ) -> None:
        """Prepare the connection; nothing is sent.

        Args:
            base_url: root of the routes, such as `http://127.0.0.1:8000/v1`.
            api_key: the key; None where the server wants none.
            model: name sent to the server.
            timeout_seconds: deadline of a whole call, retries and their pauses included.
            temperature: sampling temperature; None leaves it to the server.
            window: what the profile says, for `check` and for messages.
            max_retries: how often a failed try is repeated, paced by the server's Retry-After.

        Raises:
            ConfigurationError: the address or the key cannot be sent at all.
        """
        self._server = _server_name(base_url)
        self._output_parameter = output_parameter(base_url)
        self._model = model
        self._timeout_seconds = timeout_seconds
        self._temperature = temperature
        self._window = window
        self._client = openai.AsyncOpenAI(
            base_url=base_url,
            api_key=_sendable_key(api_key),
            timeout=timeout_seconds,
            max_retries=max_retries,
            http_client=openai.DefaultAsyncHttpxClient(
                # A redirect would carry the prompt to a place that the profile does not name.
                follow_redirects=False,
                # A proxy of the environment would carry a local prompt off this machine.
                trust_env=not is_loopback(urlsplit(base_url).hostname or ""),
                event_hooks={"response": [self._refuse_long_waits]},
            ),
        )
        # The SDK reads these from the environment and would send them to whatever server.
        self._client.organization = None
        self._client.project = None

    async def complete(self, request: CompletionRequest) -> Completion:
        """Return the server's answer.

        Raises:
            ContextLengthExceeded: the server counts more tokens than its window holds.
            UpstreamError: or a child of it, for everything else that goes wrong.
        """
        sending = self._client.chat.completions.with_raw_response.create(**self._body(request))
        response = await self._within(
            self._timeout_seconds, sending, output_tokens=request.max_output_tokens
        )
        try:
            reply = ChatReply.model_validate_json(response.content)
        except ValidationError as error:
            raise UpstreamError(
                f"{self._server} sent an answer that is no chat completion", hint=_ROOT_HINT
            ) from error
        if reply.withheld:
            raise UpstreamRejected(
                f"a content filter at {self._server} withheld the answer",
                hint="rephrase the question or choose another model",
            )
        return reply.completion()

    async def check(self) -> Sequence[str]:
        """Return what is wrong: server away, key refused, model or window not the profile's."""
        listing = self._client.get(
            "/models", cast_to=str, options={"max_retries": 0, "timeout": CHECK_SECONDS}
        )
        try:
            text = await self._within(CHECK_SECONDS, listing)
            served = ModelList.model_validate_json(text).data
        except ValidationError:
            return [f"{self._server} sent something that is no list of models; {_ROOT_HINT}"]
        except WindowfitError as error:
            return [f"{error.message}; {error.hint}"]
        return self._compare(served)

    async def close(self) -> None:
        """Close the connections; a second call does nothing."""
        await self._client.close()

    def _body(self, request: CompletionRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._model,
            "messages": [
                {"role": message.role, "content": well_formed(message.content)}
                for message in request.messages
            ],
            self._output_parameter: request.max_output_tokens,
        }
        if self._temperature is not None:
            body["temperature"] = self._temperature
        return body

    async def _refuse_long_waits(self, response: Any) -> None:
        """Stop the SDK from waiting past the deadline: the caller should learn the real reason."""
        seconds = _retry_after_seconds(response.headers)
        if seconds is not None and seconds >= self._timeout_seconds:
            response.headers["x-should-retry"] = "false"  # the SDK obeys this header

    async def _within(
        self, seconds: float, sending: Awaitable[_Sent], *, output_tokens: int = 0
    ) -> _Sent:
        """Await a call for so long, and turn whatever the SDK raises into an error of ours."""
        try:
            async with asyncio.timeout(seconds):
                return await sending
        except (TimeoutError, openai.APITimeoutError) as error:
            raise UpstreamTimeout(
                f"{self._server} gave no answer within {seconds:g} seconds"
            ) from error
        except openai.APIStatusError as error:
            raise self._failure(error, output_tokens=output_tokens) from error
        except openai.APIConnectionError as error:
            raise UpstreamError(
                f"{self._server} cannot be reached or closed the connection"
            ) from error
        except openai.OpenAIError as error:
            raise UpstreamError(f"{self._server}: the SDK raised {type(error).__name__}") from error

    def _failure(self, error: openai.APIStatusError, *, output_tokens: int) -> WindowfitError:
        """Return our error for a refusal; overflows come first, with 400, 413 or even 500."""
        fields = error_fields(error.body)
        if overflow := find_overflow(fields):
            return self._overflow(overflow, output_tokens=output_tokens)
        said = f"(HTTP {error.status_code})"
        match error.status_code:
            case 429:
                return self._limited(error, used_up=fields.get("code") == "insufficient_quota")
            case 408 | 504:
                return UpstreamTimeout(f"{self._server} gave up waiting {said}")
            case status if status >= 500:  # noqa: PLR2004  # server errors, RFC 9110 section 15.6
                return UpstreamError(f"{self._server} failed {said}")
        return self._refusal(error.status_code, said)

    def _refusal(self, status: int, said: str) -> UpstreamRejected:
        match status:
            case 401 | 403:
                return UpstreamRejected(f"{self._server} refused the key {said}", hint=_KEY_HINT)
            case 404:
                return UpstreamRejected(
                    f"{self._server} knows no model {self._model!r} or no such route {said}",
                    hint=f"{_ROOT_HINT}; its /models lists the names it serves",
                )
        return UpstreamRejected(f"{self._server} refused the request {said}")

    def _limited(self, error: openai.APIStatusError, *, used_up: bool) -> WindowfitError:
        if used_up:  # OpenAI says so with 429 as well, though no waiting helps
            return UpstreamRejected(f"the quota of the key at {self._server} is used up (HTTP 429)")
        return UpstreamRateLimited(
            f"{self._server} asks to be called less often (HTTP 429)",
            retry_after_seconds=_retry_after_seconds(error.response.headers),
        )

    def _overflow(self, overflow: Overflow, *, output_tokens: int) -> ContextLengthExceeded:
        window = overflow.window or self._window
        if window is None or overflow.prompt_tokens is None:
            limit = "" if window is None else f" of {window} tokens"
            message = f"the prompt does not fit the window{limit} of {self._server}"
        else:
            bound = "at least " if overflow.lower_bound else ""
            message = (
                f"window {window} < prompt {bound}{overflow.prompt_tokens}"
                f" + answer {output_tokens}, as {self._server} counts"
            )
        return ContextLengthExceeded(message, hint=_WINDOW_HINT, param="messages")

    def _compare(self, served: Sequence[ServedModel]) -> list[str]:
        model = next((model for model in served if self._model in model.names), None)
        if model is None:
            names = ", ".join(model.id for model in served[:10]) or "none"
            return [f"{self._server} does not serve {self._model!r}; it serves {names}"]
        if self._window is not None and model.window not in {None, self._window}:
            return [
                f"{self._server} serves {self._model!r} with a window of {model.window} tokens,"
                f" the profile says {self._window}: make them equal"
            ]
        return []


def output_parameter(base_url: str) -> str:
    """Return the name under which a server takes the most answer tokens.

    OpenAI's reasoning models refuse `max_tokens`; other servers know it the longest.
    https://help.openai.com/en/articles/5072518-controlling-the-length-of-openai-model-responses
    """
    host = urlsplit(base_url).hostname or ""
    ours = host == "api.openai.com" or host.endswith((".api.openai.com", ".openai.azure.com"))
    return "max_completion_tokens" if ours else "max_tokens"


def _server_name(base_url: str) -> str:
    """Return host and port for messages; credentials in the address stay out of them."""
    try:
        parts = urlsplit(base_url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(
            "the profile's base_url is no http or https address", param="base_url"
        )
    return f"the model server at {parts.hostname}{port}"


def _sendable_key(api_key: str | None) -> str:
    """Return the key; servers that want none get a word, since the SDK insists on sending one."""
    key = "none" if api_key is None else api_key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise ConfigurationError(
            "the API key is empty or holds characters that no HTTP header carries",
            hint=_KEY_HINT,
            param="api_key_env",
        )
    return key


def _retry_after_seconds(headers: Mapping[str, str]) -> int | None:
    """Return the seconds of a Retry-After header; None for a date, for nonsense and for none."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return math.ceil(seconds) if 0 <= seconds < math.inf else None
