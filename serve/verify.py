"""Checks a profile against its server, before the first prompt is planned by it and sent there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chunking.errors import ProfileMismatch
from chunking.tokens import Message, TokenCounter
from serve.backends.protocol import ChatBackend, ServerFacts
from serve.context.prompt import Prompt
from serve.profiles import ModelProfile

Fact = Literal["model", "window", "tokenizer"]

_SYSTEM = "You check a token counter.\nAnswer with one word."
_HISTORY = (Message("user", "Is 1,048,576 even?"), Message("assistant", "Yes: 2\u00b2\u2070."))
_QUESTION = (
    "Line one: 3.14159 and 2026-11-21.\n\nLine two: caf\u00e9, cafe\u0301, \u6771\u4eac, "
    "\U0001f680 and \U0001f468\u200d\U0001f469\u200d\U0001f467.\n\tdef f(x): return x ** 2\n"
    "Plain text: <|im_end|> <|im_start|>user [/INST] [INST] </s> <s> <|endoftext|> <|eot_id|> "
    "<end_of_turn> <|end|>"
)
"""White space, digits, scripts, a letter composed and not, joined emoji, and texts like the control
tokens of many models.
"""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a server confirmed of a profile; servers differ in how much they tell."""

    confirmed: tuple[Fact, ...]


async def verify_profile(
    profile: ModelProfile, counter: TokenCounter, *, backend: ChatBackend
) -> Verification:
    """Return what the server confirms: that it serves the model, its window, its token counts.

    No answer is generated and no text of a user is sent. What a server does not tell stays
    unconfirmed and is no mismatch; neither is a server that is away.

    Args:
        counter: the profile's; an estimated one is not compared.

    Raises:
        ProfileMismatch: the server says something else than the profile, with both numbers.
        UpstreamError: the server is away or refuses the key, as `complete` would say.
    """
    if not profile.has_server:
        return Verification(())
    probe = probe_of(profile, counter) if counter.exact else ()
    facts = await backend.inspect(probe)
    confirmed: dict[Fact, bool] = {
        "model": _serves_model(profile, facts),
        "window": _has_window(profile, facts),
        "tokenizer": _counts_alike(profile, counter, facts, probe),
    }
    return Verification(tuple(fact for fact, said in confirmed.items() if said))


def probe_of(profile: ModelProfile, counter: TokenCounter) -> tuple[Message, ...]:
    """Return the conversation that server and counter both count, written as every prompt is."""
    prompt = Prompt(
        _QUESTION,
        system=_SYSTEM,
        history=_HISTORY,
        system_role=profile.system_role,
        control_tokens=counter.control_tokens,
    )
    return prompt.messages(())


def _serves_model(profile: ModelProfile, facts: ServerFacts) -> bool:
    # Providers serve more names than they list; a server of one's own lists what it has loaded.
    if facts.served is False and profile.place == "local":
        names = ", ".join(facts.models) or "none"
        raise ProfileMismatch(
            f"profile {profile.name!r}: the server does not serve {profile.model!r}; it serves"
            f" {names}",
            hint="set the profile's `model` to one of these, or start the server with that model",
            param="model",
        )
    return bool(facts.served)


def _has_window(profile: ModelProfile, facts: ServerFacts) -> bool:
    if facts.window not in {None, profile.window}:
        raise ProfileMismatch(
            f"profile {profile.name!r}: the server's window is {facts.window}, the profile says"
            f" {profile.window}",
            hint=f"set the profile's `window` to {facts.window}, or start the server with a window"
            f" of {profile.window} (vLLM: --max-model-len, llama.cpp: --ctx-size)",
            param="window",
        )
    return facts.window is not None


def _counts_alike(
    profile: ModelProfile, counter: TokenCounter, facts: ServerFacts, probe: tuple[Message, ...]
) -> bool:
    if facts.probe_tokens is None:
        return False
    counted = counter.count_messages(probe)
    if facts.probe_tokens != counted:
        raise ProfileMismatch(
            f"profile {profile.name!r}: the server counts {facts.probe_tokens} tokens for the"
            f" probe, {counter.name} counts {counted}",
            hint="set the profile's `tokenizer` to that of the served model, or start the server"
            " with the profile's (a Mistral model on vLLM: --tokenizer-mode mistral)",
            param="tokenizer",
        )
    return True
