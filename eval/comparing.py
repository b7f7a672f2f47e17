"""Makes a comparison from beginning to end: checks, asks, scores, sums up and writes."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from chunking.document import content_id
from chunking.sensitivity import UNLABELLED, Sensitivity, highest
from eval.arm_checks import check_arm, check_oracles, describe_arms
from eval.arms import Arm, ModelArm, asked_arms
from eval.asked import QuestionSet
from eval.asking import Asker
from eval.cells import AskedQuestion, Cell
from eval.compare import finish_comparison
from eval.comparison import ArmFacts, Comparison, RunFacts
from eval.judge import Judge, check_judge
from eval.kept_cells import CellStore
from eval.purse import Purse
from eval.run import Estimate, Run, Watch, estimate_arm
from eval.scored_cells import Scorer
from retrieval.catalog import Catalog
from retrieval.search import Searcher
from serve.answer import UpstreamCheck, stream_answer
from serve.backends.protocol import ChatBackend
from serve.profiles import ModelProfile, find_profile
from serve.runtime import Runtime

_PACKAGES = ("windowfit", "genai-prices", "openai", "scipy", "sentence-transformers")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be compared, as the user states it.

    Attributes:
        arms: what is compared; `declared` holds what routes may go over besides.
        asked: the questions of the set that are asked.
        judge: profile of a language model that judges, too.
        hardware_usd_per_month: see `finish_comparison`.
    """

    questions: QuestionSet
    asked: tuple[AskedQuestion, ...]
    arms: tuple[Arm, ...]
    declared: Mapping[str, Arm]
    collection: str
    seed: int = 0
    parallel: int = 1
    cost_limit_usd: Decimal | None = None
    judge: str | None = None
    hardware_usd_per_month: Decimal | None = None
    upstream_check: UpstreamCheck = "refuse"
    sensitivity: Sensitivity = UNLABELLED


@dataclass(slots=True)
class Comparer:
    """A comparison that was checked: every arm can be asked, and nothing is paid yet.

    Attributes:
        parts: every arm that is asked, by name; `profiles` those of them, by their own names.
    """

    wanted: Wanted
    runtime: Runtime
    parts: dict[str, ModelArm]
    profiles: dict[str, ModelProfile]
    facts: tuple[ArmFacts, ...]
    searcher: Searcher
    catalog: Catalog
    asker: Asker

    @classmethod
    def open(cls, wanted: Wanted, runtime: Runtime, store: CellStore) -> Comparer:
        """Check everything that can be checked without a model.

        Raises:
            InputError, ConfigurationError: an arm, a profile, a key, a price or a collection is
                wrong; see `check_arm` and `check_judge`.
        """
        parts = {arm.name: arm for arm in asked_arms(wanted.arms, wanted.declared)}
        profiles = {arm.profile: check_arm(arm, runtime) for arm in parts.values()}
        facts = describe_arms(wanted.arms, parts, profiles, thresholds=runtime.policy.thresholds)
        if wanted.judge is not None:
            judge = check_arm(ModelArm("judge", wanted.judge, "retrieve"), runtime)
            check_judge(judge)
        searcher = runtime.searcher(wanted.collection)
        catalog = searcher.catalog()
        check_oracles(parts.values(), wanted.asked, catalog.records.keys())
        asker = Asker(
            collection=wanted.collection,
            corpus=corpus_id(runtime, catalog),
            profiles=profiles,
            stream=partial(stream_answer, runtime=runtime, upstream_check=wanted.upstream_check),
            store=store,
            purse=Purse(wanted.cost_limit_usd, spent=store.spent()),
            version=_version("windowfit"),
            sensitivity=wanted.sensitivity,
            label_of=lambda documents: searcher.catalog().highest_label(documents),
        )
        return cls(wanted, runtime, parts, profiles, facts, searcher, catalog, asker)

    def estimate(self, watch: Watch) -> tuple[Estimate, ...]:
        """Return what the calls of every arm, and of the judge, take; no server is called."""
        seen: set[str] = set()
        arms = tuple(
            estimate_arm(
                arm,
                watch(arm.name, self.wanted.asked),
                asker=self.asker,
                plan=self.runtime.plan,
                seen=seen,
            )
            for arm in self.parts.values()
        )
        if self.wanted.judge is None:
            return arms
        profile = find_profile(self.runtime.profiles, self.wanted.judge)
        judge = self._judging(profile, self.runtime.backend(profile))
        return (*arms, judge.estimate(self._answers()))

    def _answers(self) -> Iterator[tuple[AskedQuestion, str | int]]:
        """Yield what a judge would be shown: kept answers, else how long they may become."""
        for arm in self.parts.values():
            for question in self.wanted.asked:
                given = self.asker.kept(arm, question)
                if given is None:
                    yield question, self.asker.reserved_output(arm)
                elif given.error is None:
                    yield question, given.answer

    async def compare(self, watch: Watch) -> Comparison:
        """Ask what is not kept, and return the whole comparison.

        Raises:
            CallLimitExceeded: the money is spent; what was made is kept.
            WindowfitError: a server does not agree with its profile, or fails.
        """
        started = datetime.now(UTC)
        await self._verify()
        scorer = Scorer(
            self.wanted.questions.evidence,
            self.catalog.names.find,
            self.searcher.index.documents,
        )
        run = Run(
            self.wanted.asked,
            self.wanted.arms,
            self.parts,
            self.asker,
            scorer,
            self.wanted.parallel,
            self.runtime.policy.thresholds,
            watch,
        )
        cells = await run.fill()
        if self.wanted.judge is not None:
            cells = await self._judge(self.wanted.judge, cells)
        return finish_comparison(
            self._facts(started, complete=not any(cell.retryable for cell in cells)),
            self.wanted.asked,
            cells,
            hardware_usd_per_month=self.wanted.hardware_usd_per_month,
        )

    async def _verify(self) -> None:
        """Ask the servers whether they agree with their profiles, where calls are to be made."""
        for arm in self.parts.values():
            if any(self.asker.kept(arm, question) is None for question in self.wanted.asked):
                await self.runtime.verify(self.profiles[arm.profile])

    async def _judge(self, name: str, cells: Sequence[Cell]) -> tuple[Cell, ...]:
        profile = find_profile(self.runtime.profiles, name)
        backend = await self.runtime.verified_backend(profile)
        judge = await asyncio.to_thread(self._judging, profile, backend)
        questions = {question.id: question for question in self.wanted.asked}
        return await judge.judge(cells, questions, parallel=self.wanted.parallel)

    def _judging(self, profile: ModelProfile, backend: ChatBackend) -> Judge:
        return Judge(
            profile,
            self.runtime.counter(profile),
            backend,
            self.asker.store,
            self.asker.purse,
            self.wanted.collection,
            self._label,
            self.runtime.ledger,
        )

    def _label(self, report: Mapping[str, Any]) -> Sensitivity:
        """Return the highest label of what a prompt showed, by its report."""
        records = self.catalog.records
        shown = {one["document"] for one in report.get("entries", ()) if one["marker"] is not None}
        unknown = Sensitivity.RESTRICTED
        labels = (records[one].sensitivity if one in records else unknown for one in shown)
        return highest((UNLABELLED, *labels))

    def _facts(self, started: datetime, *, complete: bool) -> RunFacts:
        fingerprint = self.runtime.fingerprint
        return RunFacts(
            started_at=started,
            finished_at=datetime.now(UTC),
            questions_file=self.wanted.questions.name,
            questions_sha256=self.wanted.questions.sha256,
            collection=self.wanted.collection,
            fingerprint={
                "embedder": fingerprint.embedder,
                "dimension": str(fingerprint.dimension),
                "splitter": fingerprint.splitter,
                "corpus": self.asker.corpus,
            },
            documents=len(self.catalog.records),
            chunks=self.catalog.chunk_count,
            seed=self.wanted.seed,
            parallel=self.wanted.parallel,
            versions={
                "python": platform.python_version(),
                **{name: _version(name) for name in _PACKAGES},
            },
            arms=self.facts,
            judge=self.wanted.judge,
            complete=complete,
        )


def corpus_id(runtime: Runtime, catalog: Catalog) -> str:
    """Return an id of a collection's documents and of how they are searched."""
    fingerprint = runtime.fingerprint
    made_by = (fingerprint.embedder, fingerprint.splitter, fingerprint.terms)
    documents = sorted(f"{one.id} {one.version}" for one in catalog.records.values())
    return content_id(*made_by, runtime.rerankers.default, *documents)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
