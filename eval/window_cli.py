"""`windowfit eval window`: measures how long a context a local model uses well."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from chunking.errors import InputError
from eval.asked import QuestionSet, load_asked, sample_asked
from eval.cells import AskedQuestion
from eval.packages import SCIPY_STATS, load_package
from eval.scoring.answers import FindNames, score_answer
from eval.window.answers import AnswerFile, KeptAnswer, ask_cases, key_of
from eval.window.cases import DEFAULT_SIZES, WindowCase, plan_cases
from eval.window.summary import ScoredCase, summarize_window
from eval.window.tables import print_estimate, print_window
from eval.written import check_writable
from retrieval.settings import IndexSettings
from serve.backends.protocol import Completion, CompletionRequest
from serve.plan import Ask, Plan, make_plan
from serve.profiles import ModelProfile, find_profile, load_profiles
from serve.review import require_approved
from serve.runtime import Runtime
from serve.settings import ServeSettings


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be measured, checked before the index is opened."""

    questions: QuestionSet
    asked: Sequence[AskedQuestion]
    sizes: tuple[int, ...]
    place: bool
    max_output_tokens: int
    parallel: int
    kept: AnswerFile


def window(
    questions: Annotated[Path, typer.Option(help="JSON-lines file of questions with answers.")],
    *,
    collection: Annotated[str | None, typer.Option(help="Collection to ask.")] = None,
    model: Annotated[str | None, typer.Option(help="Local profile to measure.")] = None,
    size: Annotated[
        list[int] | None,
        typer.Option(min=256, help="Tokens of prompt and answer; repeat it. Up to the window."),
    ] = None,
    place: Annotated[
        bool, typer.Option(help="At the largest size, also move the evidence in the prompt.")
    ] = True,
    answers: Annotated[
        Path, typer.Option(help="File that keeps answers; the same one again asks what is left.")
    ] = Path("window-answers.jsonl"),
    type_name: Annotated[
        list[str] | None, typer.Option("--type", help="Only questions of this type; repeat it.")
    ] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="How many of each type.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draw and the intervals.")] = 0,
    max_output_tokens: Annotated[int, typer.Option(min=1, help="Room for an answer.")] = 128,
    parallel: Annotated[int, typer.Option(min=1, max=256, help="Calls at a time.")] = 1,
    dry_run: Annotated[
        bool, typer.Option(help="Say what would be asked, and ask nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure a local model's answers by the size of its window, and by the place of the evidence.

    Every question is asked in a window of each size, filled as a request would be. The last line
    says how long a window the model uses well.
    """
    load_package(SCIPY_STATS)
    check_writable(answers, param="answers")
    found = load_asked(questions)
    asked = sample_asked(found, types=tuple(type_name or ()), size=sample, seed=seed)
    settings = ServeSettings.load(collection=collection, model=model)
    profile = find_profile(load_profiles(settings.profiles), settings.model)
    sizes = choose_sizes(size or (), profile)
    require_approved(profile.name, profile.review)
    wanted = Wanted(found, asked, sizes, place, max_output_tokens, parallel, AnswerFile(answers))
    runtime = Runtime.open(IndexSettings.load(), settings, secrets=os.environ)
    if dry_run:
        try:
            _estimate(wanted, runtime, settings.collection, profile, as_json=as_json)
        finally:
            asyncio.run(runtime.close())
        return
    scored = asyncio.run(_measure(wanted, runtime, settings.collection, profile))
    summary = summarize_window(scored, model=profile.name, seed=seed)
    if as_json:
        sys.stdout.write(json.dumps(asdict(summary), ensure_ascii=False) + "\n")
    else:
        print_window(summary)


def choose_sizes(stated: Sequence[int], profile: ModelProfile) -> tuple[int, ...]:
    """Return the sizes to measure, ascending: those stated, else the usual ones up to the window.

    Raises:
        InputError: the profile's model is in the cloud, or a size is above its window.
    """
    if profile.place != "local":
        raise InputError(
            f"{profile.name} is in the cloud, and this measurement sends text to local models only",
            hint="compare models with `windowfit eval compare`",
            param="model",
        )
    limit = (
        profile.window if profile.input_limit is None else min(profile.window, profile.input_limit)
    )
    if too_large := [one for one in stated if one > profile.window]:
        raise InputError(
            f"{profile.name} has a window of {profile.window:,} tokens < {max(too_large):,}",
            hint="leave the size out, or choose another model",
            param="size",
        )
    usual = [one for one in DEFAULT_SIZES if one <= limit] or [profile.window]
    return tuple(sorted(set(stated or usual)))


def _cases(
    wanted: Wanted, runtime: Runtime, collection: str, profile: ModelProfile
) -> Iterator[WindowCase]:
    counter = runtime.counter(profile)
    searcher = runtime.searcher(collection, profile=profile)

    def plan_for(question: str, size: int) -> Plan:
        ask = Ask(question, collection, profile.name, max_output_tokens=wanted.max_output_tokens)
        narrow = replace(profile, window=size)
        return make_plan(ask, profile=narrow, counter=counter, searcher=searcher)

    return plan_cases(
        wanted.asked,
        lambda question: wanted.questions.evidence[question.id],
        wanted.sizes,
        plan_for=plan_for,
        placed_at=wanted.sizes[-1] if wanted.place else None,
    )


def _estimate(
    wanted: Wanted, runtime: Runtime, collection: str, profile: ModelProfile, *, as_json: bool
) -> None:
    runtime.backend(profile)  # what the run would be refused for, this is
    cases = _cases(wanted, runtime, collection, profile)
    print_estimate(_unasked(cases, profile, wanted.kept), as_json=as_json)


def _unasked(
    cases: Iterator[WindowCase], profile: ModelProfile, kept: AnswerFile
) -> Iterator[WindowCase]:
    """Yield one case for every call: small corpora give several sizes the same prompt."""
    seen: set[str] = set()
    for case in cases:
        key = key_of(case, profile)
        if key not in seen and kept.get(key) is None:
            seen.add(key)
            yield case


@dataclass(frozen=True, slots=True)
class _Verified:
    """A model whose server is asked whether it agrees with its profile before the first call.

    Where every answer is kept there is none, and the server may be away.
    """

    runtime: Runtime
    profile: ModelProfile

    async def complete(self, request: CompletionRequest) -> Completion:
        """See `ChatBackend.complete`."""
        return await (await self.runtime.verified_backend(self.profile)).complete(request)


async def _measure(
    wanted: Wanted, runtime: Runtime, collection: str, profile: ModelProfile
) -> list[ScoredCase]:
    """Ask every case and score it; on a terminal, with how many are done."""
    scored: list[ScoredCase] = []
    try:
        runtime.backend(profile)  # a key or a file that lacks is told before a file is held
        names = runtime.searcher(collection).catalog().names
        pairs = ask_cases(
            _cases(wanted, runtime, collection, profile),
            profile=profile,
            backend=_Verified(runtime, profile),
            kept=wanted.kept,
            parallel=wanted.parallel,
            ledger=runtime.ledger,
        )
        with wanted.kept.hold(), Console(stderr=True).status("asking") as status:
            async with contextlib.aclosing(pairs):
                async for case, answer in pairs:
                    scored.append(_score(case, answer, names.find))
                    status.update(f"{len(scored):,} answers, window {case.size:,}")
    finally:
        await runtime.close()
    return scored


def _score(case: WindowCase, answer: KeptAnswer, find_names: FindNames) -> ScoredCase:
    return ScoredCase(
        question=case.question.id,
        type=case.question.type,
        size=case.size,
        position=case.position,
        correct=score_answer(case.question, answer.text, find_names=find_names).correct,
        in_context=case.in_context,
        prompt_tokens=case.prompt_tokens,
    )
