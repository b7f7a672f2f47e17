"""Asks servers with OpenAI's routes about themselves: vLLM, llama.cpp, and others that say less."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeVar

from pydantic import BaseModel, PositiveInt, ValidationError

from chunking.tokens import Message
from serve.backends.openai_wire import wire_messages
from serve.backends.protocol import ServerFacts

Ask = Callable[[str, object, Collection[int]], Awaitable[str | None]]
"""Calls a route (POST where there is a body); None where it answers with one of the statuses."""

_NOT_OFFERED = frozenset({403, 404, 405, 501})
"""Of `/models`: no such route, or not for this key."""
_NO_ANSWER = _NOT_OFFERED | {400, 401, 422, 500}
"""Of a route that only some servers have, or whose template refuses the probe."""
_NAMES_SHOWN = 10

_Shape = TypeVar("_Shape", bound=BaseModel)


class _ModelMeta(BaseModel):
    n_ctx: PositiveInt | None = None  # not n_ctx_train, which the server need not have room for


class ServedModel(BaseModel):
    """One model that a server lists; the window is named by vLLM and by llama.cpp.

    vLLM lists an adapter with its base model as `parent`, and the window at the base model alone.
    """

    id: str
    aliases: list[str] = []
    parent: str | None = None
    max_model_len: PositiveInt | None = None
    meta: _ModelMeta | None = None

    @property
    def names(self) -> frozenset[str]:
        """Every name the server answers to.

        Gemini writes "models/NAME" for NAME, and Ollama "NAME:latest".
        """
        short = self.id.removeprefix("models/")
        return frozenset({self.id, short, short.removesuffix(":latest"), *self.aliases})

    @property
    def window(self) -> int | None:
        """The window the server was started with, where it says so."""
        return self.max_model_len or (self.meta.n_ctx if self.meta else None)


class ModelList(BaseModel):
    """The answer of `/models`."""

    data: list[ServedModel]

    def facts(self, model: str) -> ServerFacts:
        """Return what the list says of one model."""
        entry = self._find(model)
        base = self._find(entry.parent) if entry and entry.parent else None
        return ServerFacts(
            served=entry is not None,
            models=tuple(served.id for served in self.data[:_NAMES_SHOWN]),
            window=next((one.window for one in (entry, base) if one and one.window), None),
        )

    def _find(self, model: str) -> ServedModel | None:
        return next((entry for entry in self.data if model in entry.names), None)


class _Generation(BaseModel):
    n_ctx: PositiveInt | None = None


class LlamaProperties(BaseModel):
    """The answer of llama.cpp's `/props`; `n_ctx` is the window of one slot."""

    default_generation_settings: _Generation = _Generation()

    @property
    def window(self) -> int | None:
        """The window the server was started with, where it says so."""
        return self.default_generation_settings.n_ctx


class CountedMessages(BaseModel):
    """The answer of vLLM's `/tokenize` to messages."""

    count: PositiveInt


class RenderedMessages(BaseModel):
    """The answer of llama.cpp's `/apply-template`."""

    prompt: str


class Tokens(BaseModel):
    """The answer of llama.cpp's `/tokenize` to a text."""

    tokens: Sequence[int]


async def inspect_server(
    ask: Ask, base_url: str, model: str, probe: Sequence[Message]
) -> ServerFacts:
    """Return what a server says of a model and counts in a probe.

    A server that lists no models, or not this one, is asked nothing else.

    Args:
        ask: how a route is called.
        base_url: root of the OpenAI routes; vLLM and llama.cpp have their own routes above it.

    Raises:
        pydantic.ValidationError: `/models` answers with something else.
        WindowfitError: whatever `ask` raises.
    """
    listing = await ask("/models", None, _NOT_OFFERED)
    if listing is None:
        return ServerFacts()
    facts = ModelList.model_validate_json(listing).facts(model)
    root = base_url.rstrip("/").removesuffix("/v1")
    if facts.served and facts.window is None:
        properties = _read(LlamaProperties, await ask(f"{root}/props", None, _NO_ANSWER))
        facts = replace(facts, window=properties.window if properties else None)
    if facts.served and probe:
        return replace(facts, probe_tokens=await _count(ask, root, model, probe))
    return facts


async def _count(ask: Ask, root: str, model: str, probe: Sequence[Message]) -> int | None:
    """Return the tokens of a probe as the server reads it; None where it has no route for that."""
    chat = {"messages": wire_messages(probe), "add_generation_prompt": True}
    counted = await ask(f"{root}/tokenize", {"model": model, **chat}, _NO_ANSWER)
    if vllm := _read(CountedMessages, counted):
        return vllm.count
    rendered = _read(RenderedMessages, await ask(f"{root}/apply-template", chat, _NO_ANSWER))
    if rendered is None:
        return None
    # As llama.cpp itself reads a rendered conversation: BOS added, control tokens read as such.
    text = {"content": rendered.prompt, "add_special": True, "parse_special": True}
    llama = _read(Tokens, await ask(f"{root}/tokenize", text, _NO_ANSWER))
    return None if llama is None else len(llama.tokens)


def _read(shape: type[_Shape], text: str | None) -> _Shape | None:
    """Return an answer of an optional route; one of another shape is no answer."""
    try:
        return None if text is None else shape.model_validate_json(text)
    except ValidationError:
        return None
