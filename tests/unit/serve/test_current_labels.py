"""Labels that are raised while a request is on its way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace

import pytest

from chunking.document import Document
from chunking.errors import CollectionChanged, StoreError
from chunking.sensitivity import Sensitivity
from retrieval.index import Index
from retrieval.points import Where
from retrieval.writer import IndexWriter
from serve.answer import Answer, answer, stream_answer
from serve.answered import Known
from serve.backends.protocol import ChatBackend, Completion, CompletionRequest
from serve.backends.scripted import ScriptedBackend
from serve.errors import PolicyNoRoute, UpstreamTimeout
from serve.plan import Plan
from serve.profiles import ModelProfile
from serve.routed import answer_routed, stream_routed
from serve.runtime import Runtime
from tests.routes import ASK, PROFILES, labelled, routed_runtime, script
from tests.serving import CHAD, FINGERPRINT, PERU

AUTO = replace(ASK, route="auto")
FAR = replace(ASK, model="far")


def relabel(
    runtime: Runtime, label: Sensitivity = Sensitivity.RESTRICTED, *, document: str = PERU.id
) -> None:
    """Give a document, the one about Peru if none is named, another label."""
    with IndexWriter(Index.create(runtime.engine, "small", FINGERPRINT), grace_seconds=0) as writer:
        writer.relabel({document: label})


def cloud_calls(runtime: Runtime) -> int:
    return sum(len(script(runtime, name).requests) for name in ("far", "farther"))


class Slow(ScriptedBackend):
    """Fails after a while, in which something happens."""

    def __init__(self, happening: Callable[[], None]) -> None:
        super().__init__([UpstreamTimeout("slow")] * 9)
        self.happening = happening

    async def complete(self, request: CompletionRequest) -> Completion:
        await asyncio.to_thread(self.happening)
        return await super().complete(request)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[str | Completion]:
        await asyncio.to_thread(self.happening)
        async for piece in super().stream(request):
            yield piece


async def answered(runtime: Runtime) -> None:
    await answer_routed(AUTO, runtime)


async def streamed(runtime: Runtime) -> None:
    async for _ in stream_routed(AUTO, runtime):
        pass


@pytest.mark.parametrize("way", [answered, streamed])
@pytest.mark.parametrize("default", ["near", "far"])
def test_a_label_raised_while_a_local_model_is_called_holds_for_the_cloud_after_it(
    way: Callable[[Runtime], object], default: str
) -> None:
    rule = {"name": "l", "target": "near", "fallback": ["far"]}
    runtime = routed_runtime(rules=[rule])
    # The survey plans for the default model, long before it is its turn.
    runtime.policy = replace(runtime.policy, default=default)
    runtime._backends["near"] = Slow(lambda: relabel(runtime))

    with pytest.raises(PolicyNoRoute):
        asyncio.run(way(runtime))  # type: ignore[arg-type]
    assert cloud_calls(runtime) == 0


@pytest.mark.parametrize("way", [answered, streamed])
def test_a_label_raised_between_the_plan_and_the_call_has_the_request_planned_anew(
    way: Callable[[Runtime], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = routed_runtime(rules=[{"name": "o", "target": "far", "fallback": ["near"]}])
    verify = Runtime.verify

    async def slowly(self: Runtime, profile: object) -> object:
        await asyncio.to_thread(relabel, runtime)
        return await verify(self, profile)  # type: ignore[arg-type]

    monkeypatch.setattr(Runtime, "verify", slowly)
    asyncio.run(way(runtime))  # type: ignore[arg-type]

    assert cloud_calls(runtime) == 0
    assert len(script(runtime, "near").requests) == 1


def test_a_caller_that_never_routes_is_told_that_the_collection_changed() -> None:
    runtime = routed_runtime()
    plan = runtime.plan(FAR)
    relabel(runtime)

    with pytest.raises(CollectionChanged, match="1 of 3 documents"):
        asyncio.run(answer(FAR, runtime, plan=plan))
    assert cloud_calls(runtime) == 0


def test_a_document_that_is_gone_does_not_leave() -> None:
    runtime = routed_runtime()
    plan = runtime.plan(FAR)
    with IndexWriter(Index.create(runtime.engine, "small", FINGERPRINT), grace_seconds=0) as writer:
        writer.remove([PERU.id])

    with pytest.raises(CollectionChanged):
        asyncio.run(answer(FAR, runtime, plan=plan))
    assert cloud_calls(runtime) == 0


def test_a_label_that_was_lowered_or_raised_for_a_local_model_changes_nothing() -> None:
    runtime = routed_runtime()
    near, far = runtime.plan(ASK), runtime.plan(FAR)
    relabel(runtime, Sensitivity.PUBLIC)
    assert asyncio.run(answer(FAR, runtime, plan=far)).text
    relabel(runtime)
    assert asyncio.run(answer(ASK, runtime, plan=near)).text


@pytest.mark.parametrize("way", [answered, streamed])
def test_a_label_raised_while_a_call_waits_in_the_queue_holds(
    way: Callable[[Runtime], Awaitable[None]],
) -> None:
    narrow = {**PROFILES, "far": replace(PROFILES["far"], concurrency=1)}
    runtime = routed_runtime(rules=[{"name": "o", "target": "far"}], profiles=narrow)
    gate = runtime.backend(narrow["far"]).gate  # type: ignore[attr-defined]

    async def scenario() -> None:
        async with gate.admitted():
            asked = asyncio.ensure_future(way(runtime))
            for _ in range(1000):
                await asyncio.sleep(0.01)
                if gate.waiting:
                    break
            await asyncio.to_thread(relabel, runtime)
        await asked

    with pytest.raises(PolicyNoRoute):
        asyncio.run(scenario())
    assert cloud_calls(runtime) == 0


READ = replace(PERU, digest="0" * 32)
COPY = replace(READ, id="copy/peru.md")


@pytest.mark.parametrize("raised", [PERU.id, COPY.id])
@pytest.mark.parametrize(
    ("documents", "where"),
    [
        ((READ, COPY, CHAD), None),
        ((READ, COPY, CHAD), {"document": (PERU.id,)}),
        ((PERU, replace(PERU, id=COPY.id), CHAD), None),
    ],
)
def test_a_label_raised_on_another_document_with_the_text_holds(
    documents: tuple[Document, ...], raised: str, where: Where | None
) -> None:
    """The other one was left out as a repetition, or was read from the same bytes."""
    runtime = routed_runtime(documents=documents)
    ask = replace(FAR, where=where)
    plan = runtime.plan(ask)
    assert len({PERU.id, COPY.id} & {chunk.document for chunk in plan.context.chunks}) == 1
    relabel(runtime, document=raised)

    with pytest.raises(CollectionChanged):
        asyncio.run(answer(ask, runtime, plan=plan))
    assert cloud_calls(runtime) == 0


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_local_model_says_of_a_raised_document_comes_back_under_its_new_label(
    *, stream: bool
) -> None:
    said = "The legislature is the coastal Peru assembly, and the capital is Lima, 1,285,216 sq km."
    runtime = routed_runtime({"near": ScriptedBackend([said])})
    plan = runtime.plan(ASK)
    relabel(runtime)

    async def scenario() -> None:
        if not stream:
            await answer(ASK, runtime, plan=plan)
            return
        async for _ in stream_answer(ASK, runtime, plan=plan):
            pass

    asyncio.run(scenario())
    back = replace(FAR, question=f"Say it in Spanish:\n{said}", where={"document": (CHAD.id,)})
    with pytest.raises(PolicyNoRoute):
        asyncio.run(answer(back, runtime))
    assert cloud_calls(runtime) == 0


SAID = "The legislature is the coastal Peru assembly, and the capital is Lima, 1,285,216 sq km."
BACK = replace(FAR, question=f"Say it in Spanish:\n{SAID}", where={"document": (CHAD.id,)})


def test_what_was_said_before_a_label_was_raised_comes_back_under_the_new_one() -> None:
    runtime = routed_runtime({"near": ScriptedBackend([SAID, f"So they say: {SAID[30:]}"])})
    asyncio.run(answer(ASK, runtime))
    # Made of what came back alone: no document about Peru is shown.
    again = asyncio.run(answer(replace(BACK, model="near"), runtime))
    relabel(runtime)

    for told in (SAID, again.text):
        with pytest.raises(PolicyNoRoute):
            asyncio.run(answer(replace(BACK, question=told), runtime))
    assert cloud_calls(runtime) == 0


def test_what_was_said_of_a_document_that_is_gone_keeps_the_label_it_was_said_under() -> None:
    runtime = routed_runtime(
        {"near": ScriptedBackend([SAID])}, documents=(*labelled("restricted", PERU), CHAD)
    )
    asyncio.run(answer(ASK, runtime))
    with IndexWriter(Index.create(runtime.engine, "small", FINGERPRINT), grace_seconds=0) as writer:
        writer.remove([PERU.id])

    with pytest.raises(PolicyNoRoute):
        asyncio.run(answer(BACK, runtime))


def test_a_label_raised_while_a_local_model_writes_holds_for_who_leaves_it() -> None:
    runtime = routed_runtime({"near": ScriptedBackend([[SAID[:70], SAID[70:80], SAID[80:]]])})

    async def read() -> str:
        seen = ""
        async with contextlib.aclosing(stream_answer(ASK, runtime)) as items:
            async for item in items:
                if isinstance(item, str):
                    seen += item
                    if len(seen) > len(SAID) - 9:
                        break
                    await asyncio.to_thread(relabel, runtime)
        return seen

    told = asyncio.run(read())
    with pytest.raises(PolicyNoRoute):
        asyncio.run(answer(replace(BACK, question=told), runtime))


@pytest.mark.parametrize("part", ["catalog", "records"])
@pytest.mark.parametrize("raised", [False, True])
def test_an_answer_is_given_where_the_store_goes_away_and_has_the_labels_of_its_return(
    monkeypatch: pytest.MonkeyPatch, part: str, *, raised: bool
) -> None:
    runtime = routed_runtime({"near": ScriptedBackend([SAID, "near [1]."])})
    plan = runtime.plan(ASK)

    def away(*_: object, **__: object) -> object:
        raise StoreError("the store is away")

    with monkeypatch.context() as gone:
        gone.setattr(Index, part, away)
        assert asyncio.run(answer(ASK, runtime, plan=plan)).text == SAID
        assert runtime.recall.recognise(BACK).recognised is Sensitivity.RESTRICTED
    if raised:
        relabel(runtime)
    assert runtime.recall.recognise(BACK).recognised is (
        Sensitivity.RESTRICTED if raised else ASK.label
    )


def test_a_raised_label_that_was_seen_holds_where_the_document_is_gone() -> None:
    runtime = routed_runtime({"near": ScriptedBackend([SAID])})
    asyncio.run(answer(ASK, runtime))
    relabel(runtime)
    with pytest.raises(PolicyNoRoute):
        asyncio.run(answer(BACK, runtime))
    with IndexWriter(Index.create(runtime.engine, "small", FINGERPRINT), grace_seconds=0) as writer:
        writer.remove([PERU.id])

    with pytest.raises(PolicyNoRoute):
        asyncio.run(answer(BACK, runtime))
    assert cloud_calls(runtime) == 0


def test_a_request_that_got_a_higher_label_while_it_waited_is_answered_locally(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it brings back was said of a document whose label is raised before the call."""
    rule = {"name": "o", "target": "far", "fallback": ["near"]}
    runtime = routed_runtime({"near": ScriptedBackend([SAID, "near [1]."])}, rules=[rule])
    asyncio.run(answer(ASK, runtime))
    verified = Runtime.verified_backend

    async def raising(self: Runtime, profile: ModelProfile) -> ChatBackend:
        await asyncio.to_thread(relabel, self)
        return await verified(self, profile)

    monkeypatch.setattr(Runtime, "verified_backend", raising)
    given = asyncio.run(answer_routed(replace(BACK, route="auto"), runtime))

    assert given.plan.profile.name == "near"
    assert cloud_calls(runtime) == 0


def test_a_label_raised_between_the_calls_of_one_request_ends_them() -> None:
    class Raising(ScriptedBackend):
        async def complete(self, request: CompletionRequest) -> Completion:
            await asyncio.to_thread(relabel, runtime)
            return await super().complete(request)

    narrow = {**PROFILES, "far": replace(PROFILES["far"], window=420, concurrency=1)}
    runtime = routed_runtime(profiles=narrow)
    runtime._backends["far"] = Raising(["noted [1]."] * 9)
    ask = replace(FAR, mode="exhaustive", max_output_tokens=60)
    assert runtime.plan(ask).report.exhaustive is not None

    with pytest.raises(CollectionChanged):
        asyncio.run(answer(ask, runtime))
    _, *later = script(runtime, "far").requests
    assert not any(chunk.document == PERU.id for one in later for chunk in one.sources)


def test_what_is_learnt_of_the_request_since_the_plan_counts() -> None:
    runtime = routed_runtime()
    plan = runtime.plan(FAR)
    runtime.answered.note(ASK.question, Known(Sensitivity.RESTRICTED))

    with pytest.raises(PolicyNoRoute):
        asyncio.run(answer(FAR, runtime, plan=plan))


def test_labels_raised_again_and_again_end_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = routed_runtime(rules=[{"name": "o", "target": "far"}])

    def changes(planned: object, index: object, *, shown: object) -> None:
        raise CollectionChanged("again")

    monkeypatch.setattr("serve.runtime.refuse_outdated", changes)
    with pytest.raises(CollectionChanged):
        asyncio.run(answered(runtime))
    assert all(script(runtime, name).requests == [] for name in PROFILES)


def test_an_answer_is_planned_for_once_where_nothing_happens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runtime = routed_runtime(rules=[{"name": "o", "target": "far"}])
    plan_for, planned = Runtime.plan, []

    def counted(self: Runtime, ask: object) -> Plan:
        planned.append(ask)
        return plan_for(self, ask)  # type: ignore[arg-type]

    monkeypatch.setattr(Runtime, "plan", counted)
    given = asyncio.run(answer_routed(AUTO, runtime))

    assert isinstance(given, Answer)
    assert len(planned) == 2  # for the survey, and for the model
