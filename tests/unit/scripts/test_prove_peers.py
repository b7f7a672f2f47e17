"""The peer suite's measurement can fail: overflows, absent and cut sources are seen and counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from eval.questions import Question
from scripts.prove import peers, peers_environment
from scripts.prove.peers_cases import (
    Case,
    Outcome,
    Source,
    Turn,
    read_cases,
    read_outcomes,
    stacked,
    write_cases,
    write_outcomes,
)
from scripts.prove.peers_environment import (
    PeersUnavailable,
    environment_problem,
    installed_versions,
    pinned_versions,
)
from scripts.prove.peers_export import draw_evenly
from scripts.prove.peers_haystack import word_threshold
from scripts.prove.peers_measure import ArmResult, measure, standing, table
from scripts.prove.peers_room import Room
from scripts.prove.peers_tokens import MistralTokenizer
from scripts.prove.peers_windowfit import run_windowfit

WINDOW, OUTPUT = 20, 5


def source(name: str, text: str, *, breadcrumb: str = "Peru > Economy", start: int = 0) -> Source:
    chunk = {
        "id": name,
        "document": f"{name}.json",
        "title": breadcrumb.split(" > ", maxsplit=1)[0],
        "path": breadcrumb.split(" > ")[1:],
        "start": start,
        "end": start + len(text),
        "text": text,
        "position": 0,
    }
    return Source(name, breadcrumb, text, {"chunk": chunk, "score": 0.5, "via": "question"})


def case_of(*sources: Source) -> Case:
    return Case("q1", "single_field", "What does Peru export?", sources)


def count_words(turns: Sequence[Turn]) -> int:
    return sum(len(turn.content.split()) for turn in turns)


def measured(case: Case, *prompts: str, listed: tuple[str, ...] | None = None) -> ArmResult:
    turns = tuple((Turn("user", prompt),) for prompt in prompts)
    outcome = Outcome("fake", case.id, turns, listed)
    [result] = measure({case.id: case}, [outcome], count=count_words, window=WINDOW, output=OUTPUT)
    return result


def test_a_prompt_one_token_too_long_is_an_overflow_and_one_that_just_fits_is_not() -> None:
    fits, too_long = "word " * (WINDOW - OUTPUT), "word " * (WINDOW - OUTPUT + 1)

    assert measured(case_of(), fits).overflowed_calls == 0
    assert measured(case_of(), too_long).overflowed_calls == 1
    assert measured(case_of(), too_long).overflowed_questions == 1
    assert measured(case_of(), too_long).largest_prompt == 16


def test_a_question_with_one_overflowing_call_of_three_counts_once() -> None:
    result = measured(case_of(), "short", "word " * 30, "short")

    assert (result.overflowed_questions, result.overflowed_calls, result.calls) == (1, 1, 3)
    assert result.calls_per_question == 3


def test_window_use_is_the_share_of_the_room_that_the_answer_leaves() -> None:
    assert measured(case_of(), "word " * 15).window_use == 1.0
    assert measured(case_of(), "word " * 3).window_use == pytest.approx(0.2)


def test_a_listed_source_that_is_not_in_the_prompt_is_counted_as_absent() -> None:
    shown, hidden = source("a", "Copper and gold."), source("b", "Coffee and fish meal.")

    result = measured(case_of(shown, hidden), shown.content, listed=("a", "b"))

    assert (result.listed, result.listed_whole, result.listed_absent) == (2, 1, 1)
    assert result.listed_share == 0.5
    assert result.whole_sources == 1


def test_a_source_in_an_overflowing_prompt_is_whole_but_not_readable() -> None:
    shown = source("a", "Copper and gold.")

    result = measured(case_of(shown), f"{shown.content} {'word ' * 20}", listed=("a",))

    assert (result.listed_whole, result.listed_readable) == (1, 0)


def test_an_arm_that_lists_no_sources_has_no_share_rather_than_a_perfect_one() -> None:
    result = measured(case_of(source("a", "Copper.")), "nothing")

    assert result.listed is None
    assert result.listed_share is None
    assert "| none |" in table([result])


def test_a_source_of_which_only_the_beginning_is_shown_is_cut() -> None:
    text = "Exports of copper, gold, zinc, fish meal and coffee; " * 4
    cut = source("a", text)

    assert standing(cut, ["Peru > Economy " + text.strip()]) == "whole"
    assert standing(cut, ["Peru > Economy " + text[:100]]) == "cut"
    assert standing(cut, ["Chile > Economy " + text[:100]]) == "absent"


def test_a_source_shown_as_the_repr_of_a_list_is_found_whole() -> None:
    shown = source("a", 'Exports: copper\nImports: "oil" and Peru\'s rice')
    prompt = " ".join(str([shown.content]).replace("\\n", " ").replace("\\'", "'").split())

    assert standing(shown, [prompt]) == "whole"
    assert measured(case_of(shown), str([shown.content]), listed=("a",)).listed_whole == 1


def test_the_newest_turns_of_a_stacked_case_are_the_question_and_the_best_candidate() -> None:
    turns = stacked(case_of(source("best", "Copper."), source("worst", "Fish.")))

    assert [turn.role for turn in turns] == ["system", "user", "user", "user"]
    assert turns[-1].content == "What does Peru export?"
    assert "Copper." in turns[-2].content


def test_cases_and_outcomes_are_read_as_they_were_written(tmp_path: Path) -> None:
    case = case_of(source("a", "Copper."), source("b", "Gold."))
    outcome = Outcome("arm", case.id, ((Turn("user", "hello"),),), ("a",))
    silent = Outcome("arm", case.id, (), None)
    write_cases(tmp_path / "cases.jsonl", [case])
    write_outcomes(tmp_path / "outcomes.jsonl", [outcome, silent])

    assert list(read_cases(tmp_path / "cases.jsonl")) == [case]
    assert [c.sources for c in read_cases(tmp_path / "cases.jsonl", candidates=1)] == [
        case.sources[:1]
    ]
    assert list(read_outcomes(tmp_path / "outcomes.jsonl")) == [outcome, silent]


def test_questions_are_drawn_from_all_types_in_turn_and_the_same_for_the_same_seed() -> None:
    questions = [
        Question(f"{kind}-{number}", kind, "?", ()) for kind in "abc" for number in range(9)
    ]

    drawn = draw_evenly(questions, size=7, seed=1)

    assert [question.type for question in drawn] == list("abcabca")
    assert drawn == draw_evenly(questions, size=7, seed=1)
    assert drawn != draw_evenly(questions, size=7, seed=2)
    assert len(draw_evenly(questions, size=99, seed=1)) == 27


def test_windowfit_fits_the_candidates_and_lists_only_what_stands_in_the_prompt() -> None:
    sources = [
        source(f"{number}", f"Line {number}: " + "copper, gold and zinc; " * 40)
        for number in range(20)
    ]
    case = case_of(*sources)

    results = measure(
        {case.id: case},
        run_windowfit([case], window=2048, output=512),
        count=MistralTokenizer().count,
        window=2048,
        output=512,
    )

    [own] = results
    assert own.overflowed_calls == 0
    assert own.listed is not None
    assert 0 < own.listed < 20
    assert own.listed_share == 1.0


def test_the_suite_reports_each_promise_that_windowfit_breaks() -> None:
    shown, hidden = source("a", "Copper."), source("b", "Coffee.")
    good = measured(case_of(shown), f"{shown.content} {'word ' * 11}", listed=("a",))
    case = case_of(shown, hidden)
    bad = measured(case, "word " * 30, "word", listed=("a", "b"))

    assert peers.broken_promises(good) == ()
    assert peers.broken_promises(bad) == (
        "1 of 2 prompts overflow",
        "0 of 2 listed sources stand whole in the prompt",
        "2 calls for 1 questions",
    )
    empty = measured(case, "word", listed=("a",))
    assert "window use 0.067 < 0.97" in peers.broken_promises(empty)


def test_a_suite_without_windowfits_arm_is_a_failure() -> None:
    result = peers.SuiteResult(WINDOW, OUTPUT, 1, 1, {}, (measured(case_of(), "word"),))

    assert result.problems == ("Windowfit did not run",)
    assert result.summary()["arms"][0]["arm"] == "fake"


def test_an_environment_with_another_version_or_without_a_peer_does_not_count_as_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = pinned_versions(peers_environment.CONSTRAINTS.read_text(encoding="utf-8"))
    python = tmp_path / "python"
    assert environment_problem(python) == "no environment"

    held = dict(pins)
    monkeypatch.setattr(peers_environment, "installed_versions", lambda _: held)
    assert environment_problem(python) is None
    held["litellm"] = "0.1"
    assert environment_problem(python) == f"litellm 0.1, wanted {pins['litellm']}"
    del held["litellm"]
    assert environment_problem(python) == f"litellm missing, wanted {pins['litellm']}"


def test_every_required_peer_is_pinned() -> None:
    pins = pinned_versions(peers_environment.CONSTRAINTS.read_text(encoding="utf-8"))

    assert {name.partition("[")[0] for name in peers_environment.REQUIREMENTS} <= pins.keys()


def test_a_missing_environment_has_no_packages(tmp_path: Path) -> None:
    assert installed_versions(tmp_path / "python") == {}


def test_the_command_says_what_is_missing_when_the_peers_cannot_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unavailable(*_: object, **__: object) -> object:
        raise PeersUnavailable("no peers here")

    monkeypatch.setattr(peers, "CASES", tmp_path / "cases.jsonl")
    assert peers.main([]) == 4
    assert "WINDOWFIT_TEST_DATA" in capsys.readouterr().err

    (tmp_path / "cases.jsonl").write_text("", encoding="utf-8")
    monkeypatch.setattr(peers, "run", unavailable)
    assert peers.main([]) == 4
    assert "no peers here" in capsys.readouterr().err


def test_haystacks_threshold_is_the_usual_rule_or_what_mistral_counts_in_these_candidates() -> None:
    room = Room(8192, 512, MistralTokenizer())
    dense = case_of(source("a", "1,234,567.89 " * 50))

    assert word_threshold(dense, room, by_tokens=False) == 5760
    assert word_threshold(dense, room, by_tokens=True) < 1000


def test_part_of_a_conversation_is_counted_in_any_order() -> None:
    tokenizer = MistralTokenizer()
    turns = [Turn("user", "What?"), Turn("system", "Answer."), Turn("user", "Copper.")]

    assert tokenizer.count_any([]) == 0
    assert tokenizer.count_any(turns[1:2]) < tokenizer.count_any(turns[:2])
    in_order = [turns[1], turns[0], turns[2]]
    assert tokenizer.count_any(turns) == tokenizer.count(in_order)
