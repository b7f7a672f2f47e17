"""The conformance of clients: what is tried, what is read from it, and what the page says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from chunking.tokens import Message, Tool
from scripts.conformance import checks, environments
from scripts.conformance.checks import STEADY, Call, Client, Failure, Reply
from scripts.conformance.environments import HERE, PINS, ROOT, InstallError, client_variables
from scripts.conformance.page import draw_page, draw_table, summary
from scripts.conformance.played import Part, PlayedBackend, Probes
from scripts.conformance.service import PARTS, build_profiles
from scripts.conformance.trial import CLIENTS, EXPECTED, ClientEntry, Outcome, Tried, read_results
from serve.backends.protocol import Completion, CompletionRequest
from serve.errors import UpstreamError, UpstreamRateLimited

NODE = next(client for client in CLIENTS if client.environment == "node")
AGENT = next(client for client in CLIENTS if "tools" in client.extras)


def printed(*checks_passed: str, failing: str | None = None) -> str:
    lines: list[dict[str, object]] = [{"version": "1.2.3"}]
    lines += [{"check": name, "passed": True, "note": f"{name} seen"} for name in checks_passed]
    if failing:
        lines.append({"check": failing, "passed": False, "note": "it is wrong"})
    return "\n".join(map(json.dumps, lines))


def tried(client: ClientEntry = NODE) -> Tried:
    return read_results(client, printed(*EXPECTED, *client.extras))


class TestResults:
    def test_a_client_passes_when_every_check_has_passed(self) -> None:
        given = tried(AGENT)

        assert given.passed
        assert given.version == "1.2.3"
        assert set(given.outcomes) == {*EXPECTED, "structure", "tools"}

    @pytest.mark.parametrize("absent", [*EXPECTED, "structure"])
    def test_a_check_without_a_result_has_failed(self, absent: str) -> None:
        wanted = [name for name in (*EXPECTED, *AGENT.extras) if name != absent]

        given = read_results(AGENT, printed(*wanted))

        assert not given.passed
        assert [line.split(": ")[1] for line in given.failures()] == [absent]

    def test_a_client_that_printed_nothing_has_failed_every_check(self) -> None:
        assert len(list(read_results(NODE, "").failures())) == len(EXPECTED)

    def test_a_failure_names_the_client_the_check_and_what_was_seen(self) -> None:
        given = read_results(NODE, printed(*EXPECTED[:-1], failing=EXPECTED[-1]))

        assert list(given.failures()) == [f"{NODE.name}: {EXPECTED[-1]}: it is wrong"]

    def test_what_a_library_prints_between_the_results_is_no_result(self) -> None:
        noisy = "Give Feedback!\n" + printed(*EXPECTED).replace("\n", "\nwarning: old\n")

        assert read_results(NODE, noisy).passed


class TestPage:
    def test_equal_results_give_an_equal_page(self) -> None:
        slower = tried()
        slower.outcomes["cancel"] = Outcome(passed=True, note="1.9 s")

        assert draw_page([slower]) == draw_page([tried()])

    def test_a_failed_check_shows_in_its_column(self) -> None:
        broken = tried()
        broken.outcomes["busy"] = Outcome(passed=False, note="no error")

        assert f"| {NODE.name} | 1.2.3 | yes | yes | **no** | yes | - |" in draw_page([broken])

    def test_a_receipt_that_a_client_does_not_show_is_said_to_be_missing(self) -> None:
        given = tried()
        given.outcomes["answer"] = Outcome(passed=True, note="")

        assert f"| {NODE.name} | not exposed by this client | stream seen |" in draw_page([given])

    def test_the_terminal_shows_how_long_the_model_went_on(self) -> None:
        assert "cancel seen, cancel early seen" in draw_table([tried()])

    def test_the_summary_fails_as_a_whole_when_one_client_fails(self) -> None:
        failed = read_results(AGENT, "")

        assert summary([tried()])["passed"]
        assert not summary([tried(), failed])["passed"]

    def test_the_page_in_the_documentation_names_every_client(self) -> None:
        page = (ROOT / "docs/clients.md").read_text(encoding="utf-8")

        assert [client.name for client in CLIENTS if f"| {client.name} |" not in page] == []
        assert "**no**" not in page


class TestEnvironments:
    def test_every_client_has_a_pinned_environment_and_a_script(self) -> None:
        for client in CLIENTS:
            folder, suffix = (
                ("node", ".mjs") if client.environment == "node" else ("clients", ".py")
            )
            assert (HERE / folder / f"{client.script}{suffix}").is_file()
            assert PINS[client.environment].is_file()

    def test_every_python_package_is_pinned_to_one_version(self) -> None:
        for name in ("openai-3", "openai-2"):
            lines = PINS[name].read_text(encoding="utf-8").splitlines()
            loose = [line for line in lines if not line.startswith("#") and "==" not in line]
            assert loose == []

    def test_every_node_package_is_pinned_by_its_hash(self) -> None:
        packages = json.loads(PINS["node"].read_text(encoding="utf-8"))["packages"]

        assert [name for name, entry in packages.items() if name and "integrity" not in entry] == []

    def test_an_environment_is_made_once_and_again_when_its_pins_change(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        commands: list[Sequence[str]] = []
        pins = tmp_path / "pins.txt"
        pins.write_text("client==1\n", encoding="utf-8")
        monkeypatch.setattr(environments, "ROOT", tmp_path)
        monkeypatch.setattr(environments, "FOLDER", tmp_path / "clients")
        monkeypatch.setattr(environments, "PINS", {"openai-3": pins})
        monkeypatch.setattr("venv.create", lambda *_, **__: None)
        monkeypatch.setattr(environments, "_run", lambda command, _: commands.append(command))

        environments.make_environment("openai-3")
        environments.make_environment("openai-3")
        assert len(commands) == 1
        assert commands[0][-1] == str(pins)

        (tmp_path / "clients/openai-3/left-over").touch()
        pins.write_text("client==2\n", encoding="utf-8")
        environments.make_environment("openai-3")
        assert len(commands) == 2
        assert not (tmp_path / "clients/openai-3/left-over").exists()

    def test_an_environment_that_could_not_be_made_is_tried_again(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def fail(command: Sequence[str], _: Path) -> None:
            raise InstallError(" ".join(command))

        monkeypatch.setattr(environments, "ROOT", tmp_path)
        monkeypatch.setattr(environments, "FOLDER", tmp_path)
        monkeypatch.setattr("venv.create", lambda *_, **__: None)
        monkeypatch.setattr(environments, "_run", fail)

        for _ in range(2):
            with pytest.raises(InstallError, match="pip"):
                environments.make_environment("openai-2")

    def test_no_key_and_no_proxy_of_the_caller_reaches_a_client(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example")

        assert {"OPENAI_API_KEY", "HTTPS_PROXY"}.isdisjoint(client_variables())


def asking(
    question: str = "Which? probe-a", *, tools: tuple[Tool, ...] = (), last: str = "user"
) -> CompletionRequest:
    message = Message("tool" if last == "tool" else "user", question)
    return CompletionRequest((message,), 100, question, (), tools=tools)


async def pieces(backend: PlayedBackend, request: CompletionRequest) -> list[str | Completion]:
    return [piece async for piece in backend.stream(request)]


class TestPlayedModels:
    def test_the_pieces_join_to_the_completion_and_its_end_is_counted(self) -> None:
        probes = Probes()

        *words, last = asyncio.run(pieces(PlayedBackend(PARTS["steady"], probes), asking()))

        assert isinstance(last, Completion)
        assert "".join(map(str, words)) == last.text == STEADY
        assert (probes.of("probe-a").finished, probes.of("probe-a").cancelled) == (1, 0)

    def test_leaving_after_the_first_piece_is_counted_as_a_cancel(self) -> None:
        async def leave(backend: PlayedBackend) -> None:
            stream = backend.stream(asking())
            await anext(stream)
            await stream.aclose()

        probes = Probes()
        asyncio.run(leave(PlayedBackend(PARTS["slow"], probes)))

        assert probes.of("probe-a").cancelled == 1

    def test_leaving_before_the_first_piece_is_counted_as_a_cancel(self) -> None:
        async def leave(backend: PlayedBackend) -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(backend.complete(asking()), 0.01)

        probes = Probes()
        asyncio.run(leave(PlayedBackend(PARTS["silent"], probes)))

        assert probes.of("probe-a").cancelled == 1

    def test_a_part_that_breaks_fails_after_its_third_piece(self) -> None:
        heard: list[object] = []

        async def listen(backend: PlayedBackend) -> None:
            async for piece in backend.stream(asking()):
                heard.append(piece)  # noqa: PERF401 - what came before the error counts

        with pytest.raises(UpstreamError):
            asyncio.run(listen(PlayedBackend(PARTS["breaks"], Probes())))
        assert heard == ["Lima", " is", " the"]

    def test_a_busy_part_refuses_each_probe_once_and_says_when_to_come_back(self) -> None:
        backend = PlayedBackend(PARTS["busy-once"], Probes())

        for question in ("probe-a", "probe-b"):
            with pytest.raises(UpstreamRateLimited) as raised:
                asyncio.run(backend.complete(asking(question)))
            assert raised.value.retry_after_seconds == 1
            assert asyncio.run(backend.complete(asking(question))).text == STEADY

    def test_a_tool_is_called_once_and_its_result_is_answered(self) -> None:
        backend = PlayedBackend(PARTS["tool"], Probes())
        tools = (Tool("capital"),)

        called = asyncio.run(backend.complete(asking(tools=tools)))
        answered = asyncio.run(backend.complete(asking(tools=tools, last="tool")))

        assert [call.name for call in called.tool_calls] == ["capital"]
        assert (called.text, called.finish_reason) == ("", "tool_calls")
        assert (answered.text, answered.tool_calls) == (STEADY, ())

    def test_every_part_has_a_profile(self) -> None:
        assert set(build_profiles()) == {"quote", *PARTS}
        assert Part(("a",)).refusals == 0


async def steady(call: Call) -> AsyncGenerator[str | Reply]:
    yield "Lima is the"
    if call.model == "breaks":
        return
    yield STEADY.removeprefix("Lima is the")
    yield Reply(STEADY, {"prompt_tokens": 7}, 7)


FAITHFUL = Client(
    package="pytest",
    answer=lambda _: Reply(STEADY, {"prompt_tokens": 7}, 7),
    stream=steady,
    failure=lambda error: Failure("Broken", 400, "context_length_exceeded", str(error)),
    overflow="Broken",
    receipt_at=("here", "there"),
)


def outcomes(
    client: Client, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> dict[str, Outcome]:
    monkeypatch.setattr("sys.argv", ["client", "http://127.0.0.1:9"])
    checks.main(client)
    return read_results(NODE, capsys.readouterr().out).outcomes


class TestChecks:
    def test_a_client_that_shows_text_receipt_and_usage_passes(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = outcomes(FAITHFUL, monkeypatch, capsys)

        assert given["answer"] == Outcome(passed=True, note="here")
        assert given["stream"] == Outcome(passed=True, note="there")

    def test_a_broken_stream_that_ends_like_a_short_answer_fails(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = outcomes(FAITHFUL, monkeypatch, capsys)["broken"]

        assert not given.passed
        assert given.note.startswith("no error")

    def test_a_client_that_answers_where_it_should_raise_fails(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        given = outcomes(FAITHFUL, monkeypatch, capsys)

        assert not given["error"].passed
        assert not given["busy"].passed

    @pytest.mark.parametrize(
        ("reply", "told"),
        [
            (Reply("Quito", {"prompt_tokens": 7}, 7), "the answer is 'Quito'"),
            (Reply("Lima", {"prompt_tokens": 7}, None), "there is no usage"),
            (Reply("Lima", None, 7), "the receipt is None"),
            (Reply("Lima", {"prompt_tokens": 8}, 7), "7 prompt tokens in the usage, 8"),
        ],
    )
    def test_a_wrong_answer_is_told_as_what_was_seen(
        self,
        reply: Reply,
        told: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        client = replace(FAITHFUL, answer=lambda _: reply)

        given = outcomes(client, monkeypatch, capsys)["answer"]

        assert not given.passed
        assert told in given.note
