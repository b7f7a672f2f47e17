"""The error tree: what callers read instead of classes."""

from __future__ import annotations

import inspect
import re
from http import HTTPStatus

import pytest

from chunking import errors
from chunking.errors import ContextLengthExceeded, StoreError, WindowfitError
from ingest import errors as ingest_errors
from serve import errors as serve_errors
from serve.errors import UpstreamRejected, UpstreamTimeout

ERRORS = [
    error
    for module in (errors, ingest_errors, serve_errors)
    for _, error in inspect.getmembers(module, inspect.isclass)
    if issubclass(error, WindowfitError) and error.__module__ == module.__name__
]
EXIT_CODES = {1, 2, 3, 4}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
class TestEveryError:
    def test_has_a_code_a_status_an_exit_code_and_a_way_out(
        self, error: type[WindowfitError]
    ) -> None:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", error.code)
        assert HTTPStatus(error.status) >= HTTPStatus.BAD_REQUEST
        assert error.exit_code in EXIT_CODES
        assert error.default_hint

    def test_says_its_message_and_its_default_hint(self, error: type[WindowfitError]) -> None:
        raised = error("7 > 5")
        assert str(raised) == raised.message == "7 > 5"
        assert raised.hint == error.default_hint
        assert raised.param is None

    def test_names_seconds_to_wait_only_if_waiting_helps(self, error: type[WindowfitError]) -> None:
        raised = error("x")
        assert (raised.retry_after_seconds is not None) == error.retryable

    def test_does_not_ask_to_retry_what_the_caller_got_wrong(
        self, error: type[WindowfitError]
    ) -> None:
        assert not (error.retryable and error.exit_code == 2)


def test_no_two_errors_share_a_code() -> None:
    codes = [error.code for error in ERRORS]
    assert len(set(codes)) == len(codes)


def test_a_raiser_can_say_more_than_the_default() -> None:
    error = ContextLengthExceeded("10 < 12", hint="ask for 2 less", param="max_output_tokens")
    assert (error.hint, error.param) == ("ask for 2 less", "max_output_tokens")
    assert StoreError("down", retry_after_seconds=30).retry_after_seconds == 30


def test_an_empty_hint_is_not_replaced() -> None:
    assert StoreError("down", hint="").hint == ""


def test_a_timeout_is_retryable_and_a_refusal_is_not() -> None:
    assert UpstreamTimeout("late").retryable
    assert not UpstreamRejected("no").retryable
