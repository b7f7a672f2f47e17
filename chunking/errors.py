"""The tree of every expected error; one attribute set drives HTTP statuses and exit codes.

    WindowfitError                        internal_error              500   exit 1
    ├── InputError                        validation_error            422   exit 2
    │   ├── UnreadableDocument            unreadable_document         422   exit 3
    │   │   ├── UnreadableLabel           unreadable_label            422   exit 3
    │   │   └── DocumentChanged           document_changed            422   exit 3
    │   ├── UnknownSensitivity            unknown_sensitivity         422   exit 2
    │   ├── CollectionNotFound            collection_not_found        404   exit 2
    │   ├── DocumentNotFound              document_not_found          404   exit 2
    │   ├── ModelNotFound                 model_not_found             404   exit 2
    │   ├── RequestNotFound               request_not_found           404   exit 2
    │   ├── JobNotFound                   job_not_found               404   exit 2
    │   ├── JobNotResumable               job_not_resumable           409   exit 2
    │   ├── IdempotencyConflict           idempotency_conflict        422   exit 2
    │   │   └── JobInFlight               job_in_flight               409   exit 2
    │   ├── RequestTooLarge               request_too_large           413   exit 2
    │   ├── ContextLengthExceeded         context_length_exceeded     400   exit 2
    │   ├── CallLimitExceeded             call_limit_exceeded         400   exit 2
    │   └── TemplateRefused               template_refused            422   exit 2
    ├── ConfigurationError                configuration_error         500   exit 2
    │   ├── EmbeddingModelMismatch        embedding_model_mismatch    409   exit 2
    │   ├── ProfileMismatch               profile_mismatch            502   exit 2
    │   ├── TokenizerUnavailable          tokenizer_unavailable       503   exit 4
    │   └── DependencyMissing             dependency_missing          501   exit 2
    ├── RequestsUnavailable               requests_unavailable        503   exit 4
    ├── LedgerUnavailable                 ledger_unavailable          503   exit 4
    ├── EmbedderUnavailable               embedder_unavailable        503   exit 4
    ├── ClusterUnavailable                cluster_unavailable         503   exit 4
    ├── StoreError                        vector_store_unavailable    503   exit 4
    │   ├── StoreLocked                   store_locked                503   exit 4
    │   └── CollectionChanged             collection_changed          503   exit 4
    ├── PolicyRefused                     policy_refused              403   exit 2
    │   ├── PolicyNoRoute                 policy_no_route             403   exit 2
    │   └── ModelUnapproved               policy_model_unapproved     403   exit 2
    └── UpstreamError                     upstream_unavailable        503   exit 4
        ├── UpstreamTimeout               upstream_timeout            504   exit 4
        ├── UpstreamRejected              upstream_rejected           502   exit 4
        │   └── UpstreamWithheld          upstream_withheld           502   exit 4
        ├── UpstreamRateLimited           rate_limited                429   exit 4
        ├── QueueFull                     queue_full                  503   exit 4
        └── UpstreamSilentTruncation      upstream_silent_truncation  502   exit 4

Messages state the numbers, `hint` the way out; callers read the attributes. `ingest` and `serve`
define their own. Foreign errors are mapped in the one module that imports their SDK, cause kept.
"""

from __future__ import annotations

from typing import ClassVar


class WindowfitError(Exception):
    """An expected failure that tells a caller what happened and what to do about it.

    Attributes:
        code: stable, machine-readable; part of the public contract.
        status: HTTP status code of the failure.
        exit_code: exit code of a command that ends with it.
        retryable: whether the same request may succeed later, unchanged.
        hint: one sentence that names the way out.
        param: the request field or setting at fault, where there is one.
        retry_after_seconds: how long to wait before a retry, where that is known.
    """

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    default_hint: ClassVar[str] = "report this with the request id; it is a defect"
    default_retry_after_seconds: ClassVar[int | None] = None

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        param: str | None = None,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint if hint is not None else self.default_hint
        self.param = param
        self.retry_after_seconds = (
            self.default_retry_after_seconds if retry_after_seconds is None else retry_after_seconds
        )

    @property
    def for_shell(self) -> str:
        """What a command writes to standard error when it ends with this."""
        return f"error: {self.message}\nhint: {self.hint}\n"


class InputError(WindowfitError):
    """The request itself is wrong; the same request will fail again."""

    code: ClassVar[str] = "validation_error"
    status: ClassVar[int] = 422
    exit_code: ClassVar[int] = 2
    default_hint: ClassVar[str] = "correct the request and send it again"


class UnreadableDocument(InputError):
    """One document cannot be read; the job goes on and names it as quarantined."""

    code: ClassVar[str] = "unreadable_document"
    exit_code: ClassVar[int] = 3
    default_hint: ClassVar[str] = "repair or remove the file, then run the same ingestion again"


class UnreadableLabel(UnreadableDocument):
    """One document states a label of sensitivity that is none; its stored version is restricted."""

    code: ClassVar[str] = "unreadable_label"
    default_hint: ClassVar[str] = "labels: public, internal, confidential, restricted"


class DocumentChanged(UnreadableDocument):
    """One document changed while it was read, so what was read may be half of each."""

    code: ClassVar[str] = "document_changed"
    retryable: ClassVar[bool] = True
    default_hint: ClassVar[str] = "run the same ingestion again when nothing writes to the file"
    default_retry_after_seconds: ClassVar[int | None] = 5


class UnknownSensitivity(InputError):
    """A label of sensitivity is none of the known ones; nothing was read or routed by it."""

    code: ClassVar[str] = "unknown_sensitivity"
    default_hint: ClassVar[str] = "labels: public, internal, confidential, restricted"


class CollectionNotFound(InputError):
    """No collection of that name exists in the store."""

    code: ClassVar[str] = "collection_not_found"
    status: ClassVar[int] = 404
    default_hint: ClassVar[str] = "create it with `windowfit ingest run SOURCE --collection NAME`"


class DocumentNotFound(InputError):
    """The collection holds no document of that id."""

    code: ClassVar[str] = "document_not_found"
    status: ClassVar[int] = 404
    default_hint: ClassVar[str] = "`windowfit ingest status --json` lists what a collection holds"


class ModelNotFound(InputError):
    """No profile of that name exists."""

    code: ClassVar[str] = "model_not_found"
    status: ClassVar[int] = 404
    default_hint: ClassVar[str] = "`GET /v1/models` lists the profiles"


class RequestNotFound(InputError):
    """No request of that id is kept."""

    code: ClassVar[str] = "request_not_found"
    status: ClassVar[int] = 404
    default_hint: ClassVar[str] = (
        "requests are kept for `requests_days` days and up to `requests_limit` of them"
    )


class RequestTooLarge(InputError):
    """The body of the request has more bytes than the service reads."""

    code: ClassVar[str] = "request_too_large"
    status: ClassVar[int] = 413
    default_hint: ClassVar[str] = "send less text, or raise `body_limit_bytes` in [serve]"


class ContextLengthExceeded(InputError):
    """The request cannot fit the window, whatever is left out of the context."""

    code: ClassVar[str] = "context_length_exceeded"
    status: ClassVar[int] = 400
    default_hint: ClassVar[str] = "shorten the question or choose a model with a longer window"


class CallLimitExceeded(InputError):
    """The request would take more model calls, or cost more, than the caller allows."""

    code: ClassVar[str] = "call_limit_exceeded"
    status: ClassVar[int] = 400
    default_hint: ClassVar[str] = "raise the limit, or ask with a filter or a longer window"


class TemplateRefused(InputError):
    """The chat format of the model has no form for these turns or tools; another's may have."""

    code: ClassVar[str] = "template_refused"
    default_hint: ClassVar[str] = "let user and assistant turns alternate, and end with a user turn"


class ConfigurationError(WindowfitError):
    """The installation is set up wrongly; no request can succeed until it is changed."""

    code: ClassVar[str] = "configuration_error"
    exit_code: ClassVar[int] = 2
    default_hint: ClassVar[str] = "`windowfit config show` prints every value and its origin"


class EmbeddingModelMismatch(ConfigurationError):
    """The collection was built with another embedder, dimension, splitter or scheme of terms."""

    code: ClassVar[str] = "embedding_model_mismatch"
    status: ClassVar[int] = 409
    default_hint: ClassVar[str] = (
        "use the settings the collection was built with, or build it anew with these: "
        "`windowfit ingest run SOURCE --collection NAME --rebuild`"
    )


class ProfileMismatch(ConfigurationError):
    """The model server contradicts the profile, so no plan made with it would fit."""

    code: ClassVar[str] = "profile_mismatch"
    status: ClassVar[int] = 502
    default_hint: ClassVar[str] = "make the profile and its server say the same"


class TokenizerUnavailable(ConfigurationError):
    """The tokenizer of a profile cannot be loaded, so its prompts cannot be counted."""

    code: ClassVar[str] = "tokenizer_unavailable"
    status: ClassVar[int] = 503
    exit_code: ClassVar[int] = 4
    default_hint: ClassVar[str] = "`windowfit doctor` tells which tokenizers load on this machine"


class DependencyMissing(ConfigurationError):
    """An optional package is needed and not installed."""

    code: ClassVar[str] = "dependency_missing"
    status: ClassVar[int] = 501


class RequestsUnavailable(WindowfitError):
    """The file of the kept requests cannot be read."""

    code: ClassVar[str] = "requests_unavailable"
    status: ClassVar[int] = 503
    exit_code: ClassVar[int] = 4
    retryable: ClassVar[bool] = True
    default_hint: ClassVar[str] = "check requests.sqlite3 and the free space in WINDOWFIT_HOME"
    default_retry_after_seconds: ClassVar[int | None] = 5


class LedgerUnavailable(WindowfitError):
    """The ledger of calls is missing or cannot be read; nothing is said of what was spent."""

    code: ClassVar[str] = "ledger_unavailable"
    status: ClassVar[int] = 503
    exit_code: ClassVar[int] = 4
    default_hint: ClassVar[str] = (
        "`ledger.sqlite3` is made in WINDOWFIT_HOME by the first call of a model"
    )


class EmbedderUnavailable(WindowfitError):
    """A device or process that embeds failed; what was stored before stays."""

    code: ClassVar[str] = "embedder_unavailable"
    status: ClassVar[int] = 503
    exit_code: ClassVar[int] = 4
    retryable: ClassVar[bool] = True
    default_hint: ClassVar[str] = "free memory on the device, then run the same again"
    default_retry_after_seconds: ClassVar[int | None] = 5


class StoreError(WindowfitError):
    """The vector store cannot be reached or refused the operation; nothing was half-written."""

    code: ClassVar[str] = "vector_store_unavailable"
    status: ClassVar[int] = 503
    exit_code: ClassVar[int] = 4
    retryable: ClassVar[bool] = True
    default_hint: ClassVar[str] = "start the store or correct WINDOWFIT_QDRANT_URL, then retry"
    default_retry_after_seconds: ClassVar[int | None] = 5


class StoreLocked(StoreError):
    """Another process holds the embedded store; one process at a time may open it."""

    code: ClassVar[str] = "store_locked"
    default_hint: ClassVar[str] = (
        "stop that process, ask through it over HTTP, or use a Qdrant server (WINDOWFIT_QDRANT_URL)"
    )


class CollectionChanged(StoreError):
    """The collection changed while a request read it, each time that it was tried."""

    code: ClassVar[str] = "collection_changed"
    default_hint: ClassVar[str] = "send the request again"
