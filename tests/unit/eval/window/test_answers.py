from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from chunking.errors import ConfigurationError, InputError, StoreLocked
from eval.window.answers import AnswerFile, ask_cases, key_of
from eval.window.cases import WindowCase
from serve.backends.scripted import ScriptedBackend
from serve.errors import UpstreamError, UpstreamSilentTruncation
from serve.ledger import Ledger, read_ledger
from tests.serving import profile
from tests.unit.eval.window.planning import planned


def ask(
    backend: ScriptedBackend, kept: AnswerFile, *, parallel: int = 1
) -> list[tuple[WindowCase, str]]:
    async def collect() -> list[tuple[WindowCase, str]]:
        pairs = ask_cases(
            iter(planned()), profile=profile(), backend=backend, kept=kept, parallel=parallel
        )
        return [(case, answer.text) async for case, answer in pairs]

    return asyncio.run(collect())


@pytest.mark.parametrize("parallel", [1, 3])
def test_every_case_is_asked_with_its_own_prompt(tmp_path: Path, parallel: int) -> None:
    backend = ScriptedBackend(["a", "b", "c", "d"])
    found = ask(backend, AnswerFile(tmp_path / "kept.jsonl"), parallel=parallel)
    assert sorted(text for _, text in found) == ["a", "b", "c", "d"]
    sent = {request.messages for request in backend.requests}
    assert sent == {case.messages for case, _ in found}


def test_a_second_run_asks_nothing(tmp_path: Path) -> None:
    first = ask(ScriptedBackend(["a", "b", "c", "d"]), AnswerFile(tmp_path / "kept.jsonl"))
    second = ask(ScriptedBackend([]), AnswerFile(tmp_path / "kept.jsonl"))
    assert [text for _, text in first] == [text for _, text in second]


def test_a_run_that_failed_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    with pytest.raises(UpstreamError, match="down"):
        ask(ScriptedBackend(["a", "b", UpstreamError("down")]), AnswerFile(path))
    backend = ScriptedBackend(["c", "d"])
    assert [text for _, text in ask(backend, AnswerFile(path))] == ["a", "b", "c", "d"]
    assert len(backend.requests) == 2


def test_a_line_that_a_kill_cut_short_is_asked_again(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    ask(ScriptedBackend(["a", "b", "c", "d"]), AnswerFile(path))
    path.write_text(path.read_text()[:-20])
    kept = AnswerFile(path)
    assert len(kept) == 3
    assert [text for _, text in ask(ScriptedBackend(["e"]), kept)] == ["a", "b", "c", "e"]
    assert len(AnswerFile(path)) == 4


def test_a_file_of_something_else_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "kept.jsonl").write_text('{"id": "question"}\n')
    with pytest.raises(InputError, match=r"kept\.jsonl:1 is no kept answer"):
        AnswerFile(tmp_path / "kept.jsonl")


def test_an_answer_to_a_prompt_that_was_cut_is_not_kept(tmp_path: Path) -> None:
    kept = AnswerFile(tmp_path / "kept.jsonl")
    cutting = ScriptedBackend(["a"], prompt_tokens=10)
    with pytest.raises(UpstreamSilentTruncation):
        ask(cutting, kept)
    assert len(kept) == 0


def test_the_key_changes_with_all_that_an_answer_depends_on() -> None:
    one, other = planned()[0], planned()[2]
    keys = {
        key_of(one, profile()),
        key_of(other, profile()),
        key_of(one, profile(model="another")),
        key_of(one, profile(base_url="http://127.0.0.1:1/v1")),
        key_of(one, profile(temperature=0.7)),
    }
    assert len(keys) == 5
    assert key_of(one, profile()) == key_of(planned()[0], profile())


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\u0085", "\x0b", "\x1c", "\r"])
def test_an_answer_with_any_mark_of_a_line_end_is_read_back(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "kept.jsonl"
    said = f"Lima{mark}is it"
    ask(ScriptedBackend([said, "b", "c", "d"]), AnswerFile(path))

    again = ask(ScriptedBackend([]), AnswerFile(path))
    assert [text for _, text in again] == [said, "b", "c", "d"]


def test_half_of_a_surrogate_pair_does_not_lose_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    ask(ScriptedBackend(["Lima \ud83d", "b", "c", "d"]), AnswerFile(path))

    assert len(AnswerFile(path)) == 4


def test_cases_with_one_prompt_share_one_call(tmp_path: Path) -> None:
    case = planned()[0]
    backend = ScriptedBackend(["a"], delay_seconds=0.01)
    kept = AnswerFile(tmp_path / "kept.jsonl")

    async def collect() -> list[str]:
        same = iter([case, replace(case, size=999), case])
        pairs = ask_cases(same, profile=profile(), backend=backend, kept=kept, parallel=3)
        return [answer.text async for _, answer in pairs]

    assert asyncio.run(collect()) == ["a", "a", "a"]
    assert len(backend.requests) == 1


def test_every_call_has_its_row_in_the_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    kept = AnswerFile(tmp_path / "kept.jsonl")
    backend = ScriptedBackend(["a", "b", "c", UpstreamError("down")])

    async def collect() -> None:
        pairs = ask_cases(
            iter(planned()), profile=profile(), backend=backend, kept=kept, ledger=ledger
        )
        async for _ in pairs:
            pass

    with pytest.raises(UpstreamError):
        asyncio.run(collect())
    ledger.close()
    rows = list(read_ledger(tmp_path / "ledger.sqlite3"))
    assert [row.outcome for row in rows] == ["answered"] * 3 + ["failed"]
    assert [row.prompt_tokens for row in rows[:3]] == [one.prompt_tokens for one in planned()[:3]]
    assert {row.model for row in rows} == {"scripted"}


def test_answers_are_for_their_owner_alone_and_one_run_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    one, other = AnswerFile(path), AnswerFile(path)
    with one.hold():
        ask(ScriptedBackend(["a", "b", "c", "d"]), one)
        with pytest.raises(StoreLocked, match="held by another run"), other.hold():
            pass

    assert path.stat().st_mode & 0o777 == 0o600
    with other.hold():
        assert len(other) == 4


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    kept = AnswerFile(tmp_path / "absent" / "kept.jsonl")
    with pytest.raises(ConfigurationError, match="cannot keep answers"):
        ask(ScriptedBackend(["a"]), kept)
