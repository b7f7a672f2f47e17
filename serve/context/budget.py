"""Divides a model's window between prompt and answer before anything is retrieved."""

from __future__ import annotations

from dataclasses import dataclass

from chunking.errors import ContextLengthExceeded


@dataclass(frozen=True, slots=True)
class TokenBudget:
    """How a window is divided; all in tokens.

    Attributes:
        window: prompt and answer together may not exceed it.
        reserved_output: room kept for the answer; the model is asked for at most this many.
        requested_output: what the caller asked for, where the output limit forced less.
        fixed: template, system, history and question, which are never cut.
        context_limit: most tokens that retrieved text may add to `fixed`.
        input_limit: most prompt tokens of any call, where the provider caps them below the rest.
    """

    window: int
    reserved_output: int
    requested_output: int
    fixed: int
    context_limit: int
    input_limit: int | None = None

    @property
    def prompt_limit(self) -> int:
        """Most tokens of the whole prompt."""
        return self.fixed + self.context_limit


def plan_budget(
    *,
    window: int,
    output_limit: int,
    fixed: int,
    requested_output: int,
    input_limit: int | None = None,
    max_context_tokens: int | None = None,
) -> TokenBudget:
    """Return the budget of a request: answer room first, then retrieved text in what is left.

    Args:
        window: the model's window.
        output_limit: the most answer tokens the model can write.
        fixed: prompt tokens without any retrieved text.
        requested_output: answer tokens asked for; cut down to `output_limit`, and reported.
        input_limit: the most prompt tokens, where the provider caps them below the window.
        max_context_tokens: the caller's own cap on retrieved tokens.

    Raises:
        ContextLengthExceeded: prompt and answer do not fit the window even with nothing retrieved.
    """
    reserved = min(requested_output, output_limit)
    if window < fixed + reserved:
        raise ContextLengthExceeded(
            f"window {window} < prompt {fixed} + answer {reserved}",
            hint=_way_out(window - fixed),
            param="max_output_tokens" if window > fixed else "question",
        )
    if input_limit is not None and input_limit < fixed:
        raise ContextLengthExceeded(
            f"input limit {input_limit} < prompt {fixed}",
            hint=_shorten(fixed - input_limit),
            param="question",
        )
    room = window - fixed - reserved
    if input_limit is not None:
        room = min(room, input_limit - fixed)
    limit = room if max_context_tokens is None else min(room, max_context_tokens)
    binding = input_limit is not None and input_limit < window - reserved
    return TokenBudget(
        window, reserved, requested_output, fixed, limit, input_limit if binding else None
    )


def _way_out(left: int) -> str:
    """Return what to do when `left` tokens are left for the answer; negative if none are."""
    return f"ask for at most {left} answer tokens" if left >= 1 else _shorten(1 - left)


def _shorten(surplus: int) -> str:
    return f"shorten question and history by at least {surplus} tokens, or take a longer window"
