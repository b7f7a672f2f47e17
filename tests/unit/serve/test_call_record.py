from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chunking.errors import (
    CollectionChanged,
    ConfigurationError,
    ContextLengthExceeded,
    ModelNotFound,
    StoreError,
    WindowfitError,
)
from retrieval.memory import MemoryEngine
from serve.answer import Answer, answer, stream_answer
from serve.backends.protocol import Completion, CompletionRequest
from serve.backends.scripted import ScriptedBackend
from serve.breaker import CircuitLimits
from serve.call_record import CallRecord, Origin
from serve.errors import (
    PolicyNoRoute,
    QueueFull,
    UpstreamError,
    UpstreamSilentTruncation,
    UpstreamTimeout,
)
from serve.ledger import FILE_NAME, CallRow, Ledger, read_ledger
from serve.plan import Ask
from serve.profiles import ModelProfile, PerMillionPrice, SnapshotPrice, load_profiles
from serve.runtime import Runtime
from tests.serving import country, fill, mistral, profile, small_runtime

ROOT = Path(__file__).parents[3]
ASK = Ask("What is the capital of Peru?", collection="small", model="scripted")
PRICED = PerMillionPrice(input_usd=Decimal(3), output_usd=Decimal(15))
CLOUD = profile(price=PRICED, place="cloud")


def served(request: CompletionRequest) -> int:
    return mistral().count_messages(request.messages)


class Desk:
    """A runtime with a ledger in a folder, and what the ledger holds."""

    def __init__(
        self,
        folder: Path,
        backend: ScriptedBackend,
        model: ModelProfile = CLOUD,
        engine: MemoryEngine | None = None,
    ) -> None:
        self.path = folder / FILE_NAME
        self.ledger = Ledger(self.path)
        self.profiles = {"scripted": model, "quote": load_profiles()["quote"]}
        self.runtime: Runtime = small_runtime(
            backend, profiles=self.profiles, ledger=self.ledger, engine=engine
        )

    def run(self, work: Callable[[Runtime], Any]) -> Any:
        async def scenario() -> Any:
            try:
                return await work(self.runtime)
            finally:
                await self.runtime.close()

        return asyncio.run(scenario())

    def answer(self, ask: Ask = ASK, **given: Any) -> Answer:
        result: Answer = self.run(lambda runtime: answer(ask, runtime, **given))
        return result

    def stream(self, ask: Ask = ASK, *, stop_after: int | None = None, **given: Any) -> list[Any]:
        async def listen(runtime: Runtime) -> list[Any]:
            live: AsyncGenerator[Any] = stream_answer(ask, runtime, **given)
            items = []
            async for item in live:
                items.append(item)
                if len(items) == stop_after:
                    break
            await live.aclose()
            return items

        result: list[Any] = self.run(listen)
        return result

    @property
    def rows(self) -> list[CallRow]:
        return list(read_ledger(self.path))


def test_an_answer_leaves_one_row_with_its_tokens_price_and_times(tmp_path: Path) -> None:
    backend = ScriptedBackend(
        [Completion("Lima [1].", 1000, 40, cached_tokens=100)], delay_seconds=0.05
    )
    desk = Desk(tmp_path, backend)

    given = desk.answer(origin=Origin("wanted"), upstream_check="report")

    (row,) = desk.rows
    assert (row.request_id, row.outcome, row.error_code) == ("wanted", "answered", None)
    assert (row.tenant, row.collection, row.model) == ("default", "small", "scripted")
    assert (row.place, row.route_reason, row.sent) == ("cloud", "model=scripted", True)
    assert (row.prompt_tokens, row.cached_tokens, row.output_tokens) == (1000, 100, 40)
    assert (row.tokens, row.llm_calls, row.streamed) == ("measured", 1, False)
    assert row.price_usd == Decimal("0.0036")  # 1000 at 3 and 40 at 15 USD per million
    assert float(row.usd) == given.report.cost_usd
    assert (row.hardware_usd, row.hardware_basis) == (Decimal(0), "")
    assert row.sent_documents == len({chunk.document for chunk in given.plan.context.chunks}) > 1
    assert row.first_token_seconds is not None
    assert 0.05 <= row.call_seconds <= row.first_token_seconds <= row.total_seconds
    assert row.output_tokens_per_second == pytest.approx(40 / row.call_seconds)


def test_a_stream_leaves_one_row_whose_first_token_came_before_its_end(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ScriptedBackend(["It is Lima [1]."], piece_seconds=0.03))

    *_, given = desk.stream()

    (row,) = desk.rows
    assert (row.outcome, row.streamed, row.tokens) == ("answered", True, "planned")
    assert row.prompt_tokens == given.report.prompt_tokens
    assert row.first_token_seconds is not None
    assert row.first_token_seconds + 0.05 < row.total_seconds


def test_the_row_stands_before_the_last_piece_is_given_out(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ScriptedBackend(["Lima"]))

    async def listen(runtime: Runtime) -> list[str]:
        async for item in stream_answer(ASK, runtime):
            if isinstance(item, Answer):
                return [row.outcome for row in desk.rows]
        return []

    assert desk.run(listen) == ["answered"]


@pytest.mark.parametrize("streamed", [True, False])
def test_a_failed_call_leaves_a_row_with_its_code_and_what_it_may_cost(
    tmp_path: Path, streamed: bool
) -> None:
    desk = Desk(tmp_path, ScriptedBackend([UpstreamTimeout("too slow")]))

    with pytest.raises(UpstreamTimeout):
        desk.stream() if streamed else desk.answer()

    (row,) = desk.rows
    assert (row.outcome, row.error_code, row.sent) == ("failed", "upstream_timeout", True)
    assert (row.tokens, row.output_tokens, row.first_token_seconds) == ("planned", 0, None)
    assert row.price_usd == row.prompt_tokens * Decimal(3) / 1_000_000 > 0
    assert row.sent_documents > 0


def test_a_cut_prompt_is_a_failed_call_with_the_tokens_that_the_server_measured(
    tmp_path: Path,
) -> None:
    desk = Desk(tmp_path, ScriptedBackend([Completion("Lima", 10, 7)]))

    with pytest.raises(UpstreamSilentTruncation):
        desk.answer()

    (row,) = desk.rows
    assert (row.outcome, row.error_code) == ("failed", "upstream_silent_truncation")
    assert (row.prompt_tokens, row.output_tokens, row.tokens) == (10, 7, "measured")


def test_a_defect_is_a_failed_call_too(tmp_path: Path) -> None:
    class Broken(ScriptedBackend):
        async def complete(self, request: CompletionRequest) -> Completion:
            raise RuntimeError("a defect")

    desk = Desk(tmp_path, Broken(()))

    with pytest.raises(RuntimeError):
        desk.answer()

    assert [(row.outcome, row.error_code) for row in desk.rows] == [("failed", "internal_error")]


@pytest.mark.parametrize(
    ("ask", "error", "known"),
    [
        (replace(ASK, model="my secret question"), ModelNotFound, (None, None, None)),
        (
            replace(ASK, question="word " * 9000),
            ContextLengthExceeded,
            ("scripted", "cloud", None),
        ),
    ],
)
def test_a_request_that_is_refused_sends_nothing_and_its_row_holds_no_name_of_the_callers(
    tmp_path: Path, ask: Ask, error: type[Exception], known: tuple[object, ...]
) -> None:
    desk = Desk(tmp_path, ScriptedBackend(()))

    with pytest.raises(error):
        desk.answer(ask)

    (row,) = desk.rows
    assert (row.model, row.place, row.collection) == known
    assert (row.outcome, row.sent, row.llm_calls) == ("failed", False, 0)
    assert (row.usd, row.prompt_tokens, row.sent_documents) == (Decimal(0), 0, 0)
    assert row.price_basis == "nothing was sent"


@pytest.mark.parametrize(
    "error",
    [
        PolicyNoRoute("restricted"),
        QueueFull("8 of 8"),
        CollectionChanged("a label was raised"),
        StoreError("the store is away"),
    ],
)
def test_a_call_that_was_refused_on_its_way_out_has_sent_nothing(
    tmp_path: Path, error: WindowfitError
) -> None:
    desk = Desk(tmp_path, ScriptedBackend([error]))

    with pytest.raises(WindowfitError):
        desk.answer()

    (row,) = desk.rows
    assert (row.outcome, row.error_code, row.sent) == ("failed", error.code, False)
    assert (row.usd, row.prompt_tokens, row.call_seconds) == (Decimal(0), 0, 0)
    assert row.collection == "small"


def test_a_server_that_is_left_alone_is_sent_nothing_and_the_ledger_says_so(
    tmp_path: Path,
) -> None:
    failures = CircuitLimits().failures
    backend = ScriptedBackend([UpstreamError("down")] * (failures + 2))
    desk = Desk(tmp_path, backend)

    async def ask(runtime: Runtime) -> None:
        for _ in range(failures + 2):
            with suppress(UpstreamError):
                await answer(ASK, runtime)

    desk.run(ask)

    assert len(backend.requests) == failures
    assert [row.sent for row in desk.rows] == [True] * failures + [False] * 2
    assert {row.error_code for row in desk.rows} == {"upstream_unavailable"}
    assert [row.prompt_tokens for row in desk.rows[-2:]] == [0, 0]


def test_of_several_calls_a_full_queue_may_have_refused_one(tmp_path: Path) -> None:
    engine = MemoryEngine()
    fill(engine, COUNTRIES, counter=mistral())
    small = replace(CLOUD, window=900, output_limit=200, default_output=180)
    desk = Desk(tmp_path, ScriptedBackend([QueueFull("8 of 8")]), small, engine)

    with pytest.raises(QueueFull):
        desk.answer(replace(ASK, mode="exhaustive"))

    assert [row.sent for row in desk.rows] == [True]


def test_calls_of_one_request_share_its_id_and_its_beginning(tmp_path: Path) -> None:
    backend = ScriptedBackend([UpstreamTimeout("slow"), "Lima"], delay_seconds=0.05)
    desk = Desk(tmp_path, backend)

    async def fall_back(runtime: Runtime) -> None:
        origin = Origin("wanted")
        with suppress(UpstreamTimeout):
            await answer(ASK, runtime, origin=origin)
        await answer(ASK, runtime, origin=origin)

    desk.run(fall_back)

    first, second = desk.rows
    assert first.request_id == second.request_id == "wanted"
    assert (first.at, first.outcome, second.outcome) == (second.at, "failed", "answered")
    assert second.total_seconds > first.total_seconds
    assert second.first_token_seconds is not None
    assert second.first_token_seconds > first.total_seconds


def test_a_request_that_was_refused_before_it_had_a_call_can_have_a_row(tmp_path: Path) -> None:
    kept = Ledger(tmp_path / FILE_NAME)
    record = CallRecord(kept, None, origin=Origin("refused"), streamed=True)

    asyncio.run(record.end(PolicyNoRoute("restricted")))

    (row,) = read_ledger(tmp_path / FILE_NAME)
    assert (row.request_id, row.error_code, row.streamed) == ("refused", "policy_no_route", True)
    assert (row.model, row.sent) == (None, False)


def test_a_model_without_a_price_is_refused_and_the_row_says_so(tmp_path: Path) -> None:
    unlisted = replace(CLOUD, price=SnapshotPrice("openai", "no-such-model"))
    backend = ScriptedBackend(["Lima"])
    desk = Desk(tmp_path, backend, unlisted)

    with pytest.raises(ConfigurationError):
        desk.answer()

    assert backend.requests == []
    assert [(row.error_code, row.sent) for row in desk.rows] == [("configuration_error", False)]


def test_an_abandoned_stream_leaves_a_row_with_what_had_been_written(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ScriptedBackend(["one two three four five"]))

    _, *texts = desk.stream(stop_after=4)

    (row,) = desk.rows
    assert (row.outcome, row.error_code, row.tokens) == ("abandoned", None, "planned")
    assert row.output_tokens == mistral().count("".join(texts)) > 0
    assert row.first_token_seconds is not None
    expected = row.prompt_tokens * Decimal(3) + row.output_tokens * Decimal(15)
    assert row.price_usd == expected / 1_000_000


def test_a_stream_left_before_anything_was_sent_says_so(tmp_path: Path) -> None:
    backend = ScriptedBackend(["Lima"])
    desk = Desk(tmp_path, backend)

    desk.stream(stop_after=1)

    assert backend.requests == []
    (row,) = desk.rows
    assert (row.outcome, row.sent, row.usd) == ("abandoned", False, Decimal(0))


def test_a_cancelled_answer_leaves_a_row(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ScriptedBackend(["Lima"], delay_seconds=30))

    async def leave(runtime: Runtime) -> None:
        async with asyncio.timeout(0.5):
            await answer(ASK, runtime)

    with pytest.raises(TimeoutError):
        desk.run(leave)

    (row,) = desk.rows
    assert (row.outcome, row.sent) == ("abandoned", True)
    assert row.call_seconds > 0


def test_a_row_is_written_though_its_caller_cancels_twice_and_all_threads_are_busy(
    tmp_path: Path,
) -> None:
    backend = ScriptedBackend(["Lima"], delay_seconds=30)
    desk = Desk(tmp_path, backend, profile())

    async def leave(runtime: Runtime) -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        asking = asyncio.create_task(answer(ASK, runtime))
        while not backend.requests:  # noqa: ASYNC110 - the backend has no event for it
            await asyncio.sleep(0.01)
        busy = asyncio.create_task(asyncio.to_thread(time.sleep, 0.3))
        await asyncio.sleep(0.05)
        for _ in range(2):
            asking.cancel()
            await asyncio.sleep(0.05)
        assert asking.cancelled()
        await busy
        await asyncio.to_thread(lambda: None)

    desk.run(leave)

    assert [row.outcome for row in desk.rows] == ["abandoned"]


def test_a_caller_that_leaves_while_the_call_is_written_down_has_sent_nothing(
    tmp_path: Path,
) -> None:
    backend = ScriptedBackend(["Lima"])
    desk = Desk(tmp_path, backend)
    append = desk.ledger.append

    async def leave(runtime: Runtime) -> None:
        asking = asyncio.create_task(answer(ASK, runtime))
        loop = asyncio.get_running_loop()

        def slowly(row: CallRow) -> bool:
            if row.outcome == "open":
                loop.call_soon_threadsafe(asking.cancel)
                time.sleep(0.1)
            return append(row)

        desk.ledger.append = slowly  # type: ignore[method-assign]
        with suppress(asyncio.CancelledError):
            await asking

    desk.run(leave)

    assert backend.requests == []
    assert [(row.outcome, row.sent) for row in desk.rows] == [("abandoned", False)]


@pytest.mark.parametrize(("place", "expected"), [("cloud", ["open"]), ("local", [])])
def test_a_call_to_the_cloud_stands_in_the_ledger_before_anything_is_sent(
    tmp_path: Path, place: str, expected: list[str]
) -> None:
    class Looking(ScriptedBackend):
        async def complete(self, request: CompletionRequest) -> Completion:
            seen.extend(desk.rows if desk.path.exists() else ())
            return await super().complete(request)

    seen: list[CallRow] = []
    model = replace(CLOUD, place=place)  # type: ignore[arg-type]
    desk = Desk(tmp_path, Looking(["Lima"], prompt_tokens=served), model)

    given = desk.answer()

    assert [row.outcome for row in seen] == expected
    assert all(row.prompt_tokens == given.report.prompt_tokens for row in seen)
    assert all(row.sent_documents > 0 for row in seen)
    assert [row.outcome for row in desk.rows] == ["answered"]


def test_a_process_killed_in_mid_call_cannot_hide_what_had_left(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from serve.answer import answer\n"
        "from serve.backends.scripted import ScriptedBackend\n"
        "from tests.unit.serve.test_call_record import ASK, Desk\n"
        "class Telling(ScriptedBackend):\n"
        "    async def complete(self, request):\n"
        "        print('sent', flush=True)\n"
        "        return await super().complete(request)\n"
        "Desk(Path(sys.argv[1]), Telling(['Lima'], delay_seconds=60)).answer()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "sent\n"
        caller.send_signal(signal.SIGKILL)

    (row,) = read_ledger(tmp_path / FILE_NAME)
    assert (row.outcome, row.place, row.sent) == ("open", "cloud", True)
    assert row.prompt_tokens > 0
    assert row.price_usd == row.prompt_tokens * Decimal(3) / 1_000_000


def test_the_hardware_of_a_local_model_is_charged_by_its_measured_seconds(tmp_path: Path) -> None:
    model = profile(
        hardware_usd_per_hour=Decimal("0.12"), power_usd_per_hour=Decimal("0.03"), price="none"
    )
    priced = replace(model, price=load_profiles()["quote"].price)
    desk = Desk(tmp_path, ScriptedBackend(["Lima"], delay_seconds=0.02), priced)

    given = desk.answer()

    (row,) = desk.rows
    seconds = Decimal(f"{row.call_seconds:.3f}")
    assert row.price_usd == 0
    assert row.hardware_usd >= seconds * Decimal("0.15") / 3600 > 0
    assert row.hardware_usd - seconds * Decimal("0.15") / 3600 < Decimal("1e-11")
    assert row.hardware_basis == f"hardware {seconds} s at 0.15 USD an hour"
    assert given.report.cost_usd == float(row.usd)
    assert given.report.cost_basis == f"no per-token charge; {row.hardware_basis}"


def test_hardware_that_has_no_price_is_not_counted_and_that_is_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ScriptedBackend(()), profile())

    given = desk.answer(replace(ASK, model="quote"))

    (row,) = desk.rows
    assert (row.llm_calls, row.usd, row.hardware_basis) == (0, Decimal(0), "hardware not counted")
    assert given.report.cost_basis == "no per-token charge; hardware not counted"


def test_all_calls_of_mode_exhaustive_are_one_row(tmp_path: Path) -> None:
    engine = MemoryEngine()
    fill(engine, COUNTRIES, counter=mistral())
    small = replace(CLOUD, window=900, output_limit=200, default_output=180)
    backend = ScriptedBackend(itertools.repeat("nothing"), prompt_tokens=served)
    desk = Desk(tmp_path, backend, small, engine)

    given = desk.answer(replace(ASK, mode="exhaustive"))

    (row,) = desk.rows
    assert row.llm_calls == given.report.llm_calls > 2
    assert row.prompt_tokens == sum(served(request) for request in backend.requests)
    assert float(row.usd) == given.report.cost_usd


def test_an_exhaustive_call_that_fails_counts_the_prompts_of_all_shards(tmp_path: Path) -> None:
    engine = MemoryEngine()
    fill(engine, COUNTRIES, counter=mistral())
    small = replace(CLOUD, window=900, output_limit=200, default_output=180)
    desk = Desk(tmp_path, ScriptedBackend([UpstreamTimeout("slow")]), small, engine)
    ask = replace(ASK, mode="exhaustive")
    plan = desk.runtime.plan(ask)

    with pytest.raises(UpstreamTimeout):
        desk.answer(ask)

    assert plan.exhaustion is not None
    assert [row.prompt_tokens for row in desk.rows] == [
        sum(shard.tokens for shard in plan.exhaustion.shards)
    ]


def test_a_ledger_that_cannot_be_written_fails_no_answer(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    desk = Desk(tmp_path / "file" / "below", ScriptedBackend(["Lima"], prompt_tokens=served))

    assert desk.answer().text == "Lima"

    assert desk.ledger.problem is not None
    assert "2 rows are not in the ledger" in desk.ledger.problem


def test_the_rows_sum_to_the_answers_to_the_last_digit(tmp_path: Path) -> None:
    priced = PerMillionPrice(input_usd=Decimal("0.07"), output_usd=Decimal("0.30000000001"))
    model = replace(CLOUD, price=priced, hardware_usd_per_hour=Decimal("0.07"))
    texts = ["one", "two words", "and these are five words"] * 4
    desk = Desk(tmp_path, ScriptedBackend(texts, prompt_tokens=served), model)

    async def ask_all(runtime: Runtime) -> Sequence[Answer]:
        return [await answer(ASK, runtime) for _ in texts]

    answers = desk.run(ask_all)

    rows = desk.rows
    assert [float(row.usd) for row in rows] == [one.report.cost_usd for one in answers]
    assert sum(row.prompt_tokens for row in rows) == sum(
        one.completion.prompt_tokens for one in answers
    )


def test_no_text_of_question_document_or_answer_is_in_the_file(tmp_path: Path) -> None:
    desk = Desk(tmp_path, ScriptedBackend(["Xylophone [1].", UpstreamTimeout("zeppelin")]))
    ask = replace(ASK, question="What says the zeppelin of Lima?", system="Be a kazoo.")

    desk.answer(ask)
    with pytest.raises(UpstreamTimeout):
        desk.stream(ask)

    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert len(desk.rows) == 2
    for text in (b"zeppelin", b"Xylophone", b"kazoo", b"Lima", b"Peru"):
        assert text not in content


COUNTRIES = tuple(
    country(f"{letter}land", capital=f"{letter}ville", area=f"{number},098,581")
    for number, letter in enumerate("ABCDEFGHIJKLMNOPQRST", start=1)
)
