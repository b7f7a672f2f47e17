"""The last door: whoever calls a model, and whatever was decided, restricted text stays."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from chunking.document import Chunk
from chunking.sensitivity import Sensitivity
from chunking.tokens import Message
from serve.answer import answer, stream_answer
from serve.backends.protocol import CompletionRequest
from serve.backends.scripted import ScriptedBackend
from serve.errors import ModelUnapproved, PolicyNoRoute
from serve.guard import GuardedBackend
from serve.review import PENDING
from tests.routes import ASK, PROFILES, labelled, routed_runtime, script
from tests.serving import CHAD, PERU

RESTRICTED = Sensitivity.RESTRICTED
REQUEST = CompletionRequest((Message("user", "Lima?"),), 9, "Lima?", ())


def chunk(label: Sensitivity) -> Chunk:
    return Chunk("c", "peru", "Peru", (), 0, 4, "Lima", 0, label)


def door(*, name: str = "far", limit: Sensitivity = Sensitivity.CONFIDENTIAL) -> GuardedBackend:
    return GuardedBackend(ScriptedBackend(["yes"]), PROFILES[name], cloud_limit=limit)


def asked(guarded: GuardedBackend) -> Sequence[CompletionRequest]:
    assert isinstance(guarded.inner, ScriptedBackend)
    return guarded.inner.requests


async def drain(guarded: GuardedBackend, request: CompletionRequest) -> None:
    async for _ in guarded.stream(request):
        pass


@pytest.mark.parametrize(
    "request_",
    [
        replace(REQUEST, sensitivity=Sensitivity.PUBLIC, sources=(chunk(RESTRICTED),)),
        replace(REQUEST, sensitivity=RESTRICTED, sources=(chunk(Sensitivity.PUBLIC),)),
        REQUEST,
    ],
    ids=["in a source", "in the request", "not stated"],
)
@pytest.mark.parametrize("limit", list(Sensitivity))
def test_restricted_text_passes_to_no_cloud(
    request_: CompletionRequest, limit: Sensitivity
) -> None:
    guarded = door(limit=limit)

    with pytest.raises(PolicyNoRoute):
        asyncio.run(guarded.complete(request_))
    with pytest.raises(PolicyNoRoute):
        asyncio.run(drain(guarded, request_))
    assert asked(guarded) == []


def test_restricted_text_passes_to_a_local_model() -> None:
    assert asyncio.run(door(name="near").complete(REQUEST)).text == "yes"


def test_text_up_to_the_limit_passes() -> None:
    request = replace(REQUEST, sensitivity=Sensitivity.CONFIDENTIAL)

    assert asyncio.run(door().complete(request)).text == "yes"
    with pytest.raises(PolicyNoRoute, match="confidential text"):
        asyncio.run(door(limit=Sensitivity.INTERNAL).complete(request))


def test_nothing_passes_to_an_unapproved_model() -> None:
    profile = replace(PROFILES["near"], review=PENDING)
    guarded = GuardedBackend(ScriptedBackend(["yes"]), profile, cloud_limit=Sensitivity.INTERNAL)

    with pytest.raises(ModelUnapproved):
        asyncio.run(guarded.complete(replace(REQUEST, sensitivity=Sensitivity.PUBLIC)))
    assert asked(guarded) == []


@pytest.mark.parametrize("mode", ["retrieve", "full", "exhaustive"])
def test_a_caller_that_never_routed_leaks_nothing_either(mode: str) -> None:
    runtime = routed_runtime(documents=(*labelled("restricted", PERU), CHAD))
    ask = replace(ASK, model="far", mode=mode)  # type: ignore[arg-type]

    async def stream() -> None:
        async for _ in stream_answer(ask, runtime):
            pass

    with pytest.raises(PolicyNoRoute):
        asyncio.run(answer(ask, runtime))
    with pytest.raises(PolicyNoRoute):
        asyncio.run(stream())
    assert script(runtime, "far").requests == []


def test_the_joining_call_of_all_shards_keeps_the_highest_label_of_them() -> None:
    profiles = {"near": replace(PROFILES["near"], window=530, output_limit=256)}
    backend = ScriptedBackend(["Lima [1]."] * 9)
    runtime = routed_runtime(
        {"near": backend}, profiles=profiles, documents=(*labelled("restricted", PERU), CHAD)
    )

    asyncio.run(answer(replace(ASK, mode="exhaustive", max_output_tokens=256), runtime))

    assert len(backend.requests) > 2
    assert all(request.sensitivity is RESTRICTED for request in backend.requests)


def test_every_way_to_a_backend_of_a_runtime_is_guarded() -> None:
    runtime = routed_runtime()

    assert isinstance(runtime.backend(PROFILES["far"]), GuardedBackend)
    assert isinstance(asyncio.run(runtime.verified_backend(PROFILES["far"])), GuardedBackend)
