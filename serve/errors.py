"""What model servers do wrong and what policy forbids; `chunking.errors` draws the tree."""

from __future__ import annotations

from typing import ClassVar

from chunking.errors import WindowfitError


class UpstreamError(WindowfitError):
    """The model server cannot be reached or failed; the answer was not made.

    Attributes:
        called: whether the server was called at all; if not, nothing was sent to it.
    """

    called: bool = True
    code: ClassVar[str] = "upstream_unavailable"
    status: ClassVar[int] = 503
    exit_code: ClassVar[int] = 4
    retryable: ClassVar[bool] = True
    default_hint: ClassVar[str] = "check that the model server runs at the profile's base_url"
    default_retry_after_seconds: ClassVar[int | None] = 5


class UpstreamTimeout(UpstreamError):
    """The model server did not answer within the deadline."""

    code: ClassVar[str] = "upstream_timeout"
    status: ClassVar[int] = 504
    default_hint: ClassVar[str] = (
        "raise the profile's timeout_seconds or ask for fewer answer tokens"
    )


class UpstreamRejected(UpstreamError):
    """The model server refused the request as wrong; sending it again changes nothing."""

    code: ClassVar[str] = "upstream_rejected"
    status: ClassVar[int] = 502
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = (
        "check the profile's model name, key and window against the server"
    )
    default_retry_after_seconds: ClassVar[int | None] = None


class UpstreamWithheld(UpstreamRejected):
    """A content filter at the server withheld the answer; others may be given."""

    code: ClassVar[str] = "upstream_withheld"
    default_hint: ClassVar[str] = "rephrase the question or choose another model"


class UpstreamRateLimited(UpstreamError):
    """The model server asked to be called less often."""

    code: ClassVar[str] = "rate_limited"
    status: ClassVar[int] = 429
    default_hint: ClassVar[str] = "wait, or lower the request rate"


class UpstreamSilentTruncation(UpstreamError):
    """The server counted fewer prompt tokens than were sent: it cut the prompt in silence."""

    code: ClassVar[str] = "upstream_silent_truncation"
    status: ClassVar[int] = 502
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = (
        "set the server's window to the profile's window, or the profile's to the server's"
    )
    default_retry_after_seconds: ClassVar[int | None] = None


class PolicyRefused(WindowfitError):
    """A policy of the operator forbids what was asked for; nothing was sent to any model."""

    code: ClassVar[str] = "policy_refused"
    status: ClassVar[int] = 403
    exit_code: ClassVar[int] = 2
    default_hint: ClassVar[str] = "`windowfit config show` prints the rules in force"


class PolicyNoRoute(PolicyRefused):
    """No model that may see this text can answer."""

    code: ClassVar[str] = "policy_no_route"
    default_hint: ClassVar[str] = "start a local model that is approved, or ask about other text"


class ModelUnapproved(PolicyRefused):
    """The model has no approved review, so nothing may be sent to it."""

    code: ClassVar[str] = "policy_model_unapproved"
    default_hint: ClassVar[str] = "`windowfit models list` shows every model with its review"


class QueueFull(UpstreamError):
    """As many calls of the model run and wait as the profile allows; none was made for this one."""

    called = False
    code: ClassVar[str] = "queue_full"
    default_hint: ClassVar[str] = "wait, or raise the limits of the profile's calls"
