"""Holds what requests share: engine, embedder, profiles, counters and backends, made once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pkgutil import resolve_name
from threading import Lock
from typing import Any

from chunking.counters import load_counter
from chunking.errors import ConfigurationError, DependencyMissing
from chunking.tokens import TokenCounter
from retrieval.embed import Embedder
from retrieval.index import Index, IndexFingerprint
from retrieval.points import Engine
from retrieval.providers import fingerprint_of, open_embedder, open_engine, open_splitter
from retrieval.search import Searcher
from retrieval.settings import IndexSettings
from serve.backends.protocol import ChatBackend
from serve.backends.quote import QuoteBackend
from serve.backends.scripted import ScriptedBackend
from serve.plan import Ask, Plan, make_plan
from serve.profiles import ModelProfile, find_profile, load_profiles
from serve.settings import ServeSettings


@dataclass(slots=True)
class Runtime:
    """Everything a request needs besides itself; safe to share between threads.

    Build it with `Runtime.open` from settings, or from parts in a test.
    """

    engine: Engine
    embedder: Embedder
    fingerprint: IndexFingerprint
    profiles: Mapping[str, ModelProfile]
    models_folder: Path
    secrets: Mapping[str, str] = field(default_factory=dict)
    _searchers: dict[str, Searcher] = field(default_factory=dict)
    _counters: dict[str, TokenCounter] = field(default_factory=dict)
    _backends: dict[str, ChatBackend] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _loading: Lock = field(default_factory=Lock)

    @classmethod
    def open(
        cls,
        index_settings: IndexSettings,
        serve_settings: ServeSettings,
        *,
        secrets: Mapping[str, str],
    ) -> Runtime:
        """Open the store and load the embedder that the settings name.

        Args:
            secrets: where a profile's `api_key_env` is looked up; the environment of a command.

        Raises:
            StoreError: the store cannot be reached or is held by another process.
            ConfigurationError: a profile, the embedder or a package is missing.
        """
        profiles = load_profiles(serve_settings.profiles)
        find_profile(profiles, serve_settings.model)
        engine = open_engine(index_settings)
        try:
            embedder = open_embedder(index_settings)
        except BaseException:
            engine.close()
            raise
        fingerprint = fingerprint_of(embedder, open_splitter(index_settings, embedder))
        folder = index_settings.models_folder
        return cls(engine, embedder, fingerprint, profiles, folder, secrets)

    def plan(self, ask: Ask) -> Plan:
        """Return the plan of a request; see `make_plan`."""
        profile = find_profile(self.profiles, ask.model)
        return make_plan(
            ask,
            profile=profile,
            counter=self.counter(profile),
            searcher=self.searcher(ask.collection),
        )

    def searcher(self, collection: str) -> Searcher:
        """Return the searcher of a collection, its fingerprint checked on first use.

        Raises:
            CollectionNotFound, EmbeddingModelMismatch: see `Index.open`.
        """
        with self._lock:
            if collection not in self._searchers:
                index = Index.open(self.engine, collection, self.fingerprint)
                self._searchers[collection] = Searcher(index, self.embedder)
            return self._searchers[collection]

    def counter(self, profile: ModelProfile) -> TokenCounter:
        """Return the token counter of a profile, loaded on first use.

        Raises:
            TokenizerUnavailable: the tokenizer is on no folder and no hub within reach.
        """
        name = profile.tokenizer
        if name in self._counters:
            # Past the lock: a tokenizer that is looked for on the hub holds up no loaded one.
            return self._counters[name]
        # One at a time: the tokenizer libraries cannot be imported by two threads at once.
        with self._loading:
            if name not in self._counters:
                self._counters[name] = load_counter(name, folders=(self.models_folder,))
            return self._counters[name]

    def backend(self, profile: ModelProfile) -> ChatBackend:
        """Return the backend of a profile, made on first use."""
        if profile.name not in self._backends:
            make = _BACKENDS[profile.backend]
            self._backends[profile.name] = make(self, profile)
        return self._backends[profile.name]

    async def close(self) -> None:
        """Release connections and the store."""
        await asyncio.gather(*(backend.close() for backend in self._backends.values()))
        self.engine.close()


def _openai_backend(runtime: Runtime, profile: ModelProfile) -> ChatBackend:
    key = runtime.secrets.get(profile.api_key_env) if profile.api_key_env else None
    if profile.api_key_env and not key:
        raise ConfigurationError(
            f"profile {profile.name!r} needs the variable {profile.api_key_env}, which is not set",
            hint=f"export {profile.api_key_env}=…, or choose another model",
        )
    try:
        kind: Any = resolve_name("serve.backends.openai_compatible:OpenAICompatibleBackend")
    except ImportError as error:
        raise DependencyMissing(
            f"profile {profile.name!r} needs the package {error.name!r}",
            hint="pip install 'windowfit[server]'",
        ) from error
    backend: ChatBackend = kind(
        base_url=profile.base_url,
        api_key=key,
        model=profile.model,
        timeout_seconds=profile.timeout_seconds,
        temperature=profile.temperature,
        window=profile.window,
    )
    return backend


def _quote_backend(runtime: Runtime, profile: ModelProfile) -> ChatBackend:
    return QuoteBackend(runtime.counter(profile))


def _scripted_backend(_: Runtime, __: ModelProfile) -> ChatBackend:
    return ScriptedBackend(())


_BACKENDS: Mapping[str, Callable[[Runtime, ModelProfile], ChatBackend]] = {
    "openai": _openai_backend,
    "quote": _quote_backend,
    "scripted": _scripted_backend,
}
"""How a profile's `backend` becomes a `ChatBackend`."""
