"""Warms up the local models that requests can reach, so that the first of them need not wait.

A server's first call is two to three times slower than the next. No text of anybody is sent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from chunking.errors import WindowfitError
from chunking.sensitivity import Sensitivity
from chunking.tokens import Message
from serve.backends.protocol import CompletionRequest
from serve.hindrances import find_hindrances
from serve.profiles import ModelProfile
from serve.routing import Policy, expand
from serve.runtime import Runtime

_LOG = logging.getLogger("windowfit.serve")

PROBE: Final = CompletionRequest(
    messages=(Message("user", "Answer with one word: ready"),),
    max_output_tokens=1,
    question="",
    sources=(),
    sensitivity=Sensitivity.PUBLIC,
)


def reachable(policy: Policy) -> tuple[str, ...]:
    """Return the models that a request may be routed to without naming one."""
    named = (name for rule in policy.rules for name in rule.names)
    return expand((policy.default, *named), policy)


async def warm_up(runtime: Runtime) -> dict[str, str]:
    """Check and call every approved local model that requests can reach, side by side.

    Returns:
        "ready" by model, or the code of what keeps it from being. Nothing is raised: a model that
        is away now may be there when it is asked.
    """
    profiles = [
        profile
        for name in reachable(runtime.policy)
        if (profile := runtime.profiles[name]).place == "local"
        and profile.has_server
        and profile.review.status == "approved"
    ]
    states = await asyncio.gather(*(_warm(runtime, profile) for profile in profiles))
    return {profile.name: state for profile, state in zip(profiles, states, strict=True)}


def tell_hindrances(runtime: Runtime) -> None:
    """Log what keeps models from answering that requests may be routed to."""
    for one in find_hindrances(
        runtime.policy, runtime.profiles, runtime.secrets, models_folder=runtime.models_folder
    ):
        fields = {"model": one.model, "problem": one.told, "hint": one.hint}
        _LOG.warning("model cannot answer", extra={"fields": fields})


async def _warm(runtime: Runtime, profile: ModelProfile) -> str:
    started = time.perf_counter()
    try:
        backend = await runtime.verified_backend(profile)
        await backend.complete(PROBE)
        state = "ready"
    except WindowfitError as error:
        state = error.code
    seconds = round(time.perf_counter() - started, 2)
    fields = {"model": profile.name, "state": state, "seconds": seconds}
    _LOG.info("warm-up", extra={"fields": fields})
    return state
