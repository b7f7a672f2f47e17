"""Counts by asking the model's own server: vLLM's `/tokenize`, or llama.cpp's two routes.

For servers whose tokenizer files are not at hand. Every count is a call, so packing takes longer
than with a tokenizer in this process, and a server that is away cannot be planned for.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from chunking.counters.wire import (
    longest_first,
    message_payload,
    refused,
    tool_payload,
    well_formed,
)
from chunking.tokens import Message, TokenCounter, Tool
from retrieval.loopback import is_loopback
from serve.backends.openai_facts import CountedMessages, RenderedMessages, Tokens
from serve.backends.openai_failures import KEY_HINT, ROOT_HINT
from serve.errors import UpstreamError, UpstreamRejected, UpstreamTimeout

COMMON_MARKERS: Final = longest_first(
    {
        *("<s>", "</s>", "<unk>", "<pad>", "<bos>", "<eos>", "<|endoftext|>", "<|endofprompt|>"),
        *("<|im_start|>", "<|im_end|>", "<|im_sep|>", "<|end|>", "<|start|>", "<|message|>"),
        *("<|channel|>", "<|call|>", "<|return|>", "<|constrain|>", "<|eom_id|>", "<|eot_id|>"),
        *("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>"),
        *(
            "<|python_tag|>",
            "<|system|>",
            "<|user|>",
            "<|assistant|>",
            "<|tool|>",
            "<|observation|>",
        ),
        *("<start_of_turn>", "<end_of_turn>", "<think>", "</think>", "<tool_call>", "</tool_call>"),
        *("<tool_response>", "</tool_response>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
        *("[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_CALLS]", "[TOOL_RESULTS]"),
        *("[/TOOL_RESULTS]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[THINK]", "[/THINK]"),
        *("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"),
        # DeepSeek writes its own with a full-width bar and a block for a space.
        *("<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>"),
        *("<\uff5cUser\uff5c>", "<\uff5cAssistant\uff5c>"),
    }
)
"""Control tokens of widespread models, defused in every text: a server does not tell its own."""

_NOT_OFFERED = frozenset({404, 405, 501})
_TEMPLATE_ROUTE = "/apply-template"
_REFUSED = frozenset({400, 422})
_TEMPLATE_REFUSED = _REFUSED | {500}  # llama.cpp's answer where its template refuses the turns
_KEY = frozenset({401, 403})
_REMEMBERED_COUNTS = 4096
_BLOCK_BYTES = 1 << 16
_Shape = TypeVar("_Shape", bound=BaseModel)


class ServerCounter:
    """Counts as the server that will answer counts, because that server does it.

    Attributes:
        name: `"server:MODEL"`.
        identity: the name and a digest of the server's address.
        exact, exact_tools: always true.
        factor: always 1.
        additive: always false: nothing is known of the tokenizer's parts.
        control_tokens: `COMMON_MARKERS`.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        api_key: str | None = None,
        timeout_seconds: float = 30.0,
        proxied: bool = True,
    ) -> None:
        """Prepare the calls; the server is not asked before the first count.

        Args:
            model: the name under which the server knows the model.
            base_url: root of its OpenAI routes; the tokenizer's routes lie above it.
            timeout_seconds: deadline of one count, from connecting to the last byte.
            proxied: whether a proxy of the environment may carry the calls; none carries those to
                the loopback.
        """
        self.name: Final = f"server:{model}"
        digest = hashlib.sha256(base_url.encode()).hexdigest()[:12]
        self.identity: Final = f"{self.name}@{digest}"
        self.exact: Final = True
        self.exact_tools: Final = True
        self.factor: Final = Fraction(1)
        self.additive: Final = False
        self.control_tokens: Final = COMMON_MARKERS
        self._model: Final = model
        self._server: Final = _Server(base_url, api_key, timeout_seconds, proxied=proxied)
        # Packing counts the same pieces again for every request that finds them.
        self._remembered: Final = lru_cache(_REMEMBERED_COUNTS)(self._count)

    @property
    def base(self) -> TokenCounter:
        """Return itself: these counts are not raised."""
        return self

    def count(self, text: str) -> int:
        """Return the tokens of a bare text, without template or special tokens.

        Raises:
            UpstreamError: the server is away, too slow, or counts no tokens.
        """
        return self._remembered(well_formed(text)) if text else 0

    def count_messages(self, messages: Sequence[Message], *, tools: Sequence[Tool] = ()) -> int:
        """Return the prompt tokens of the request.

        Raises:
            TemplateRefused: the server's chat template refuses this order of turns.
            UpstreamError: the server is away, too slow, or counts no tokens.
        """
        chat: dict[str, Any] = {
            "messages": [message_payload(message) for message in messages],
            "add_generation_prompt": True,
        }
        if tools:
            chat["tools"] = [tool_payload(tool) for tool in tools]
        try:
            counted = self._server.ask("/tokenize", {"model": self._model, **chat}, CountedMessages)
            if counted is not None:
                return counted.count
            rendered = self._server.ask(_TEMPLATE_ROUTE, chat, RenderedMessages)
        except _Refusal as refusal:
            raise refused(self.name, f"the server answers {refusal.status}") from refusal
        if rendered is None:
            raise self._server.counts_nothing()
        # As llama.cpp reads a rendered conversation: BOS added, control tokens read as such.
        text = {"content": rendered.prompt, "add_special": True, "parse_special": True}
        return len(self._tokens(text))

    def _count(self, text: str) -> int:
        prompt = {"model": self._model, "prompt": text, "add_special_tokens": False}
        try:
            counted = self._server.ask("/tokenize", prompt, CountedMessages)
        except _Refusal:
            counted = None  # llama.cpp may refuse vLLM's words for it
        if counted is not None:
            return counted.count
        plain = {"content": text, "add_special": False, "parse_special": True}
        return len(self._tokens(plain))

    def _tokens(self, body: Mapping[str, Any]) -> Sequence[int]:
        try:
            found = self._server.ask("/tokenize", body, Tokens)
        except _Refusal as refusal:
            raise self._server.counts_nothing() from refusal
        if found is None:
            raise self._server.counts_nothing()
        return found.tokens


class _Refusal(Exception):
    """The server understood the route and refused the body; its words are not kept."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Server:
    """Calls the routes that lie above a server's OpenAI routes."""

    def __init__(
        self, base_url: str, api_key: str | None, timeout_seconds: float, *, proxied: bool
    ) -> None:
        address = urlsplit(base_url)
        self._root = base_url.rstrip("/").removesuffix("/v1")
        self._host = address.netloc
        self._seconds = timeout_seconds
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        straight = not proxied or is_loopback(address.hostname or "")
        proxies = urllib.request.ProxyHandler({} if straight else None)
        self._opener = urllib.request.build_opener(proxies, _NoRedirect())

    def ask(self, route: str, body: Mapping[str, Any], shape: type[_Shape]) -> _Shape | None:
        """Return the answer to a body; None where the route is missing or answers otherwise.

        Raises:
            _Refusal: the server refuses the body.
            UpstreamError: it is away, too slow, or refuses the key.
        """
        data = json.dumps(body, ensure_ascii=False).encode()
        request = urllib.request.Request(f"{self._root}{route}", data, self._headers)  # noqa: S310  # http(s), by the profile
        deadline = time.monotonic() + self._seconds
        try:
            with self._opener.open(request, timeout=self._seconds) as reply:
                text = self._read(reply, deadline)
        except urllib.error.HTTPError as error:
            self._raise_unless_missing(route, error)
            return None
        except TimeoutError as error:
            raise self._late() from error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(getattr(error, "reason", None), TimeoutError):
                raise self._late() from error
            raise UpstreamError(f"{self._host} cannot be reached to count tokens") from error
        try:
            return shape.model_validate_json(text)
        except ValidationError:
            return None

    def _read(self, reply: http.client.HTTPResponse, deadline: float) -> bytes:
        """Read a whole answer; the socket's own limit holds for one block only."""
        blocks = []
        while block := reply.read1(_BLOCK_BYTES):
            if time.monotonic() > deadline:
                raise self._late()
            blocks.append(block)
        return b"".join(blocks)

    def _raise_unless_missing(self, route: str, error: urllib.error.HTTPError) -> None:
        """Raise for every failure but a route that is not offered."""
        status = error.code
        error.close()
        if status in _NOT_OFFERED:
            return
        if status in (_TEMPLATE_REFUSED if route == _TEMPLATE_ROUTE else _REFUSED):
            raise _Refusal(status) from error
        message = f"{self._host} answers {status} to a count of tokens"
        if status in _KEY:
            raise UpstreamRejected(message, hint=KEY_HINT) from error
        raise UpstreamError(message) from error

    def _late(self) -> UpstreamTimeout:
        return UpstreamTimeout(
            f"{self._host} did not count tokens within {self._seconds:g} s",
            hint="raise the profile's timeout_seconds, or name a tokenizer that counts here",
        )

    def counts_nothing(self) -> UpstreamRejected:
        """Return the error for a server without a way to count."""
        return UpstreamRejected(
            f"{self._host} offers neither vLLM's /tokenize nor llama.cpp's /apply-template",
            hint=f"{ROOT_HINT}, and that it knows the tokenizer's model; or name another tokenizer",
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: text and key go to the profile's server and to no other."""

    def redirect_request(self, *_: Any) -> None:
        """Return nothing, so that the redirect is a failure."""
