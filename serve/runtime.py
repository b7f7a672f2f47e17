"""Holds what requests share: engine, embedder, profiles, counters and backends, made once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Lock

from chunking.counters import EstimatedCounter
from chunking.errors import CollectionNotFound
from chunking.sensitivity import UNLABELLED, Sensitivity
from chunking.tokens import TokenCounter
from retrieval.embed import Embedder
from retrieval.fingerprint import IndexFingerprint
from retrieval.index import Index
from retrieval.points import Engine
from retrieval.providers import (
    fingerprint_of,
    open_embedder,
    open_engine,
    open_rerankers,
    open_splitter,
)
from retrieval.rerank import Rerankers
from retrieval.search import Searcher
from retrieval.settings import IndexSettings
from serve.answered import AnsweredLabels
from serve.backends.opening import ASKS_SERVER, open_backend, open_counter
from serve.backends.protocol import ChatBackend, CompletionRequest
from serve.calibration import Calibration, Observation
from serve.context.report import ContextReport
from serve.current_labels import refuse_outdated
from serve.fields import check_routes
from serve.gate import Gate, GateLimits
from serve.guard import GuardedBackend
from serve.latency import Latencies
from serve.ledger import FILE_NAME, Ledger
from serve.plan import Ask, Plan, make_plan
from serve.profiles import ModelProfile, find_profile, load_profiles
from serve.recall import Recall
from serve.requests import RequestStore, open_requests
from serve.review import require_approved
from serve.routing import Policy
from serve.settings import ServeSettings
from serve.verify import Verification, verify_profile


@dataclass(slots=True)
class Runtime:
    """Everything a request needs besides itself; safe to share between threads.

    Build it with `Runtime.open` from settings, or from parts in a test.

    Attributes:
        unlabelled: see `Index.unlabelled`.
    """

    engine: Engine
    embedder: Embedder
    fingerprint: IndexFingerprint
    profiles: Mapping[str, ModelProfile]
    models_folder: Path
    secrets: Mapping[str, str] = field(default_factory=dict)
    requests: RequestStore | None = None
    calibration: Calibration = field(default_factory=Calibration)
    rerankers: Rerankers = field(default_factory=Rerankers)
    policy: Policy = field(default_factory=Policy)
    answered: AnsweredLabels = field(default_factory=AnsweredLabels)
    latencies: Latencies = field(default_factory=Latencies)
    gate_limits: GateLimits = field(default_factory=GateLimits)
    unlabelled: Sensitivity = UNLABELLED
    ledger: Ledger | None = None
    _searchers: dict[str, Searcher] = field(default_factory=dict)
    _counters: dict[str, TokenCounter] = field(default_factory=dict)
    _backends: dict[str, ChatBackend] = field(default_factory=dict)
    _gates: dict[str, Gate] = field(default_factory=dict)
    _verified: dict[str, Verification] = field(default_factory=dict)
    _verifying: dict[str, asyncio.Task[Verification]] = field(default_factory=dict)
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
        check_routes(serve_settings, profiles)
        policy = serve_settings.policy(profiles)
        engine = open_engine(index_settings)
        try:
            embedder = open_embedder(index_settings)
            named = (profile.reranker for profile in profiles.values())
            rerankers = open_rerankers(index_settings, filter(None, named))
        except BaseException:
            engine.close()
            raise
        fingerprint = fingerprint_of(embedder, open_splitter(index_settings, embedder))
        folder = index_settings.models_folder
        requests = open_requests(index_settings.home, serve_settings)
        calibration = Calibration(index_settings.home / "calibration.json")
        return cls(
            engine,
            embedder,
            fingerprint,
            profiles,
            folder,
            secrets,
            requests,
            calibration,
            rerankers,
            policy=policy,
            unlabelled=index_settings.default_sensitivity,
            ledger=Ledger(index_settings.home / FILE_NAME),
        )

    def plan(self, ask: Ask) -> Plan:
        """Return the plan of a request; see `make_plan`.

        Raises:
            ModelUnapproved: the model has no approved review.
        """
        profile = find_profile(self.profiles, ask.model)
        require_approved(profile.name, profile.review)
        plan = make_plan(
            self.recall.recognise(ask),
            profile=profile,
            counter=self.counter(profile),
            searcher=self.searcher(ask.collection, profile=profile),
        )
        self.recall.note_shown(plan)
        return plan

    @property
    def recall(self) -> Recall:
        """What recognises the text that comes back, and notes what is said and shown."""
        return Recall(self.answered, self._index, self.policy.cloud_limit)

    def searcher(self, collection: str, *, profile: ModelProfile | None = None) -> Searcher:
        """Return the searcher of a collection, its fingerprint checked on first use.

        Args:
            profile: the model that is searched for, which may name a reranker of its own.

        Raises:
            CollectionNotFound, EmbeddingModelMismatch: see `Index.open`.
        """
        with self._lock:
            if collection not in self._searchers:
                index = Index.open(self.engine, collection, self.fingerprint)
                index.unlabelled = self.unlabelled
                self._searchers[collection] = Searcher(index, self.embedder)
            searcher = self._searchers[collection]
        reranker = self.rerankers.choose(None if profile is None else profile.reranker)
        return replace(searcher, reranker=reranker)

    def counter(self, profile: ModelProfile) -> TokenCounter:
        """Return the token counter of a profile, loaded on first use.

        An estimate is raised by what servers were seen to read, see `observe`.

        Raises:
            TokenizerUnavailable: the tokenizer is on no folder and no hub within reach.
        """
        counter = self._loaded(profile)
        factor = self.calibration.factor(profile.name, counter.factor)
        if counter.exact or factor == counter.factor:
            return counter
        return EstimatedCounter(counter.base, factor=float(factor))

    def observe(self, plan: Plan, report: ContextReport) -> None:
        """Learn from an answer how far the estimate of its prompt was off."""
        if plan.counter.exact or report.upstream is None or plan.exhaustion is not None:
            return
        # By the factor of the plan: another answer may have raised the one in force since.
        base = int(report.prompt_tokens / plan.counter.factor)
        seen = Observation(base, report.upstream.prompt_tokens)
        given = self._loaded(plan.profile).factor
        self.calibration.observe(plan.profile.name, given, seen)

    def _loaded(self, profile: ModelProfile) -> TokenCounter:
        name = profile.tokenizer
        if name.startswith(ASKS_SERVER):
            name = f"{name}@{profile.name}"  # two servers may give two models one name
        if name in self._counters:
            # Past the lock: a tokenizer that is looked for on the hub holds up no loaded one.
            return self._counters[name]
        # One at a time: the tokenizer libraries cannot be imported by two threads at once.
        with self._loading:
            if name not in self._counters:
                self._counters[name] = open_counter(
                    profile, secrets=self.secrets, models_folder=self.models_folder
                )
            return self._counters[name]

    def backend(self, profile: ModelProfile) -> ChatBackend:
        """Return the backend of a profile behind its guard, made on first use.

        There is no other way to a model: see `serve.guard`.
        """
        if profile.name not in self._backends:
            made = open_backend(
                profile,
                secrets=self.secrets,
                counter=self.counter,
                models_folder=self.models_folder,
            )
            self._backends[profile.name] = made
        if profile.name not in self._gates:
            limits = replace(self.gate_limits, concurrency=profile.concurrency)
            self._gates[profile.name] = Gate(profile.name, limits)
        return GuardedBackend(
            self._backends[profile.name],
            profile,
            cloud_limit=self.policy.cloud_limit,
            gate=self._gates[profile.name],
            recheck=self._refuse_outdated,
        )

    def _index(self, collection: str) -> Index:
        return self.searcher(collection).index

    def _refuse_outdated(self, request: CompletionRequest) -> None:
        shown = {chunk.document for chunk in request.sources}
        for collection, labels in request.planned_labels.items():
            if collection == request.collection:
                refuse_outdated(labels, self._index(collection), shown=shown)
            else:
                with suppress(CollectionNotFound):
                    refuse_outdated(labels, self._index(collection), shown=())

    def unavailable(self) -> tuple[str, ...]:
        """Return the models whose server failed so often that it is left alone now."""
        # A copy in one step: requests are planned in threads while the loop adds gates.
        gates = tuple(self._gates.items())
        return tuple(sorted(name for name, gate in gates if gate.state == "open"))

    async def verified_backend(self, profile: ModelProfile) -> ChatBackend:
        """Return the backend of a profile whose server agrees with it, see `verify`."""
        await self.verify(profile)
        return self.backend(profile)

    async def verify(self, profile: ModelProfile) -> Verification:
        """Return what the profile's server confirms, asked once and then remembered.

        Requests that come together wait for one check; a check that fails is not remembered.

        Raises:
            ProfileMismatch, UpstreamError: see `verify_profile`.
        """
        name = profile.name
        if name in self._verified:
            return self._verified[name]
        if name not in self._verifying:
            task = asyncio.create_task(self._check(profile))
            self._verifying[name] = task
            task.add_done_callback(partial(self._forget_check, name))
        # Shielded: a client that leaves does not end the check for those who wait with it.
        return await asyncio.shield(self._verifying[name])

    async def _check(self, profile: ModelProfile) -> Verification:
        counter = await asyncio.to_thread(self.counter, profile)
        verification = await verify_profile(profile, counter, backend=self.backend(profile))
        self._verified[profile.name] = verification
        return verification

    def _forget_check(self, name: str, task: asyncio.Task[Verification]) -> None:
        self._verifying.pop(name, None)
        if not task.cancelled():
            task.exception()  # retrieved, as everybody who waited for it may have left

    async def close(self) -> None:
        """Release connections and the store."""
        checks = tuple(self._verifying.values())
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)
        await asyncio.gather(*(backend.close() for backend in self._backends.values()))
        if self.requests is not None:
            self.requests.close()
        if self.ledger is not None:
            self.ledger.close()
        self.engine.close()
