from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunking.errors import ContextLengthExceeded
from serve.context.budget import TokenBudget, plan_budget

TOKENS = st.integers(0, 10_000)


def budget(
    *,
    window: int = 1000,
    output_limit: int = 500,
    fixed: int = 100,
    requested_output: int = 200,
    input_limit: int | None = None,
    max_context_tokens: int | None = None,
) -> TokenBudget:
    return plan_budget(
        window=window,
        output_limit=output_limit,
        fixed=fixed,
        requested_output=requested_output,
        input_limit=input_limit,
        max_context_tokens=max_context_tokens,
    )


def refusal(**numbers: int) -> ContextLengthExceeded:
    with pytest.raises(ContextLengthExceeded) as caught:
        budget(**numbers)
    return caught.value


def test_what_prompt_and_answer_leave_of_the_window_is_for_retrieved_text() -> None:
    assert budget() == TokenBudget(
        window=1000, reserved_output=200, requested_output=200, fixed=100, context_limit=700
    )


def test_the_whole_prompt_may_fill_what_the_answer_leaves() -> None:
    assert budget().prompt_limit == 800


def test_an_answer_longer_than_the_model_can_write_is_cut_down_and_remembered() -> None:
    planned = budget(requested_output=9999)

    assert (planned.reserved_output, planned.requested_output) == (500, 9999)


def test_the_limit_of_the_prompt_holds_below_the_window() -> None:
    assert budget(input_limit=250).context_limit == 150


def test_a_limit_of_the_prompt_above_the_window_changes_nothing() -> None:
    assert budget(input_limit=5000) == budget()


def test_the_cap_of_the_caller_holds_below_the_room() -> None:
    assert budget(max_context_tokens=50).context_limit == 50
    assert budget(max_context_tokens=5000).context_limit == 700


def test_a_prompt_that_fills_the_window_to_the_token_is_planned_without_context() -> None:
    assert budget(fixed=800).context_limit == 0


def test_one_token_more_is_refused_with_the_numbers_and_the_way_out() -> None:
    error = refusal(fixed=801)

    assert error.message == "window 1000 < prompt 801 + answer 200"
    assert error.hint == "ask for at most 199 answer tokens"
    assert error.param == "max_output_tokens"


def test_the_way_out_of_a_refusal_is_one() -> None:
    assert budget(fixed=801, requested_output=199).context_limit == 0


@pytest.mark.parametrize(("fixed", "surplus"), [(1000, 1), (1500, 501)])
def test_a_question_that_leaves_no_token_for_an_answer_is_told_how_much_to_shorten(
    fixed: int, surplus: int
) -> None:
    error = refusal(fixed=fixed)

    assert f"by at least {surplus} tokens" in error.hint
    assert error.param == "question"
    assert budget(fixed=fixed - surplus, requested_output=1).context_limit == 0


def test_a_question_above_the_limit_of_the_prompt_is_refused() -> None:
    error = refusal(fixed=300, input_limit=299)

    assert error.message == "input limit 299 < prompt 300"
    assert error.param == "question"


def test_a_question_above_the_limit_of_the_prompt_is_told_by_how_much() -> None:
    error = refusal(fixed=310, input_limit=300)

    assert "by at least 10 tokens" in error.hint
    assert budget(fixed=300, input_limit=300).context_limit == 0


@given(
    window=st.integers(1, 10_000),
    output_limit=st.integers(1, 10_000),
    fixed=TOKENS,
    requested=st.integers(1, 10_000),
    input_limit=st.none() | TOKENS,
    cap=st.none() | TOKENS,
)
def test_a_budget_passes_no_limit_or_is_refused_for_a_reason(
    *,
    window: int,
    output_limit: int,
    fixed: int,
    requested: int,
    input_limit: int | None,
    cap: int | None,
) -> None:
    reserved = min(requested, output_limit)
    try:
        planned = budget(
            window=window,
            output_limit=output_limit,
            fixed=fixed,
            requested_output=requested,
            input_limit=input_limit,
            max_context_tokens=cap,
        )
    except ContextLengthExceeded:
        assert fixed + reserved > window or (input_limit is not None and fixed > input_limit)
        return
    assert planned.reserved_output == reserved
    assert planned.prompt_limit + reserved <= window
    assert planned.context_limit >= 0
    assert input_limit is None or planned.prompt_limit <= input_limit
    assert cap is None or planned.context_limit <= cap
    reached = {window - reserved, input_limit, None if cap is None else fixed + cap}
    assert planned.prompt_limit in reached
