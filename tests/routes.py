"""Two local models and two clouds over a corpus whose documents bear labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from chunking.document import Document
from chunking.sensitivity import Sensitivity
from retrieval.memory import MemoryEngine
from serve.backends.protocol import ChatBackend
from serve.backends.scripted import ScriptedBackend
from serve.plan import Ask
from serve.profiles import ModelProfile, PerMillionPrice
from serve.routing import make_policy
from serve.rules import Rule
from serve.runtime import Runtime
from tests.serving import BOLIVIA, CHAD, PERU, fill, mistral, profile, small_runtime

ASK = Ask("What is the capital of Peru?", collection="small", model="near")
PRICE = PerMillionPrice(input_usd=Decimal(1), output_usd=Decimal(4))
PROFILES: Mapping[str, ModelProfile] = {
    "near": profile(name="near", window=1200),
    "nearer": profile(name="nearer", window=2400),
    "far": profile(name="far", place="cloud", window=8192, price=PRICE),
    "farther": profile(name="farther", place="cloud", window=16384, price=PRICE),
}


def labelled(label: str, *documents: Document) -> tuple[Document, ...]:
    """Return the documents under a label."""
    return tuple(replace(one, sensitivity=Sensitivity(label)) for one in documents)


def routed_runtime(
    backends: Mapping[str, ChatBackend] | None = None,
    *,
    rules: Sequence[Mapping[str, object]] = (),
    documents: Sequence[Document] = (PERU, CHAD, BOLIVIA),
    profiles: Mapping[str, ModelProfile] = PROFILES,
    cloud_limit: str = "internal",
) -> Runtime:
    """Return a runtime whose models answer by scripts; one that has none answers with its name."""
    engine = MemoryEngine()
    fill(engine, documents, counter=mistral())
    runtime = small_runtime(ScriptedBackend(()), engine=engine, profiles=profiles)
    given = backends or {}
    runtime._backends.update(
        {name: given.get(name, ScriptedBackend([f"{name} [1]."] * 9)) for name in profiles}
    )
    runtime.policy = make_policy(
        profiles,
        default="near",
        rules=[Rule.model_validate(rule) for rule in rules],
        cloud_limit=Sensitivity(cloud_limit),
    )
    return runtime


def script(runtime: Runtime, name: str) -> ScriptedBackend:
    """Return what a model was asked."""
    backend = runtime._backends[name]
    assert isinstance(backend, ScriptedBackend)
    return backend
