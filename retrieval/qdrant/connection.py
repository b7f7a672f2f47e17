"""The connection to one Qdrant server, and the one place where its client's exceptions become ours.

Collections are managed over REST; points travel over gRPC where a port for it is named. Every
request may be repeated (points are written by id), so a failed connection is tried again within the
time limit. What the server says is kept as the cause and never passed on: a message names the host
and what was asked, and no key.
"""

from __future__ import annotations

import logging
import math
import re
import ssl
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from qdrant_client import QdrantClient, models

from chunking.errors import ConfigurationError, InputError, StoreError, WindowfitError
from retrieval.loopback import is_loopback
from retrieval.points import collection_not_found
from retrieval.qdrant.failures import FOREIGN, Failure, Kind, read_failure

T = TypeVar("T")

CONDITIONAL_VERSION = (1, 16)
"""The first server that looks before it writes; an older one ignores the condition and writes."""
_REST_PORT = 6333
_RETRY_WAITS_SECONDS = (0.2, 0.6)
_CHANNEL = {
    # A channel that failed waits before it connects anew; longer than we do, and retries are void.
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 100,
    "grpc.max_reconnect_backoff_ms": 500,
    # Answers come uncompressed: see _UNCOMPRESSED.
    "grpc.compression_enabled_algorithms_bitset": 1,
}
_UNCOMPRESSED = {"accept-encoding": "identity"}
"""Compressing points takes a server longer than making the answer: docs/store.md has figures."""
_UNREACHABLE = "cannot reach Qdrant at {host} to {action} ({reason})"
_REFUSED = "Qdrant at {host} refused to {action} ({reason})"
_GRPC_HINT = (
    "start the store or correct WINDOWFIT_QDRANT_URL and WINDOWFIT_QDRANT_GRPC_PORT, then retry"
)
_ERRORS: dict[Kind, tuple[type[WindowfitError], str, str | None]] = {
    Kind.LOST: (StoreError, _UNREACHABLE, None),
    Kind.SILENT: (StoreError, _UNREACHABLE, None),
    Kind.BUSY: (StoreError, "Qdrant at {host} is busy: cannot {action}", None),
    Kind.REFUSED: (StoreError, _REFUSED, None),
    Kind.NOT_FOUND: (StoreError, _REFUSED, None),
    Kind.WRONG_REQUEST: (InputError, _REFUSED, None),
    Kind.UNAUTHORIZED: (
        ConfigurationError,
        _REFUSED,
        "set WINDOWFIT_QDRANT_API_KEY to a key of that server that allows this",
    ),
    Kind.UNTRUSTED: (
        ConfigurationError,
        "the certificate of Qdrant at {host} is not trusted: cannot {action}",
        "name the host as its certificate does, and set WINDOWFIT_QDRANT_CA_FILE to the "
        "certificate of the authority that signed it",
    ),
    Kind.PLAIN: (
        ConfigurationError,
        "no encrypted connection to Qdrant at {host}: cannot {action}",
        "correct WINDOWFIT_QDRANT_URL: write http:// where the server has no TLS",
    ),
}
"""The error, message and hint of each kind of failure; without a hint the error's own holds."""

_LOG = logging.getLogger(__name__)


class Connection:
    """The clients of one server; safe to share among threads.

    `client` manages collections, `data` moves points.

    Args:
        url: `http://` or `https://` address; port 6333 unless it names one.
        api_key: the server's key, sent with every request.
        timeout_seconds: limit of one request; no failed connection is tried again after it.
        grpc_port: where points travel over gRPC, with TLS if the URL has it; None for REST.
        ca_file: PEM certificates of the only authorities that are trusted, instead of the public
            ones.

    Raises:
        ConfigurationError: the URL is not an HTTP address, or the file holds no certificate.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout_seconds: float = 10,
        grpc_port: int | None = None,
        ca_file: Path | None = None,
    ) -> None:
        address = _address(url)
        host = address.hostname or ""
        self._host = f"{host}:{address.port or _REST_PORT}"
        self._grpc_host = f"{host}:{grpc_port}"
        self._encrypted = address.scheme == "https"
        self._timeout_seconds = timeout_seconds
        self._conditional = False
        self._closed = False
        if api_key and not self._encrypted and not is_loopback(host):
            _LOG.warning("the Qdrant key travels unencrypted to %s: use https", self._host)
        options: dict[str, Any] = {
            "url": url,
            "timeout": math.ceil(timeout_seconds),
            # As a plain header: given as `api_key`, the client also warns about http on loopback.
            "headers": {**_UNCOMPRESSED, **({"api-key": api_key} if api_key else {})},
            # The check is a request on a thread of its own that can only end in a warning.
            "check_compatibility": False,
            # A proxy named in the environment is for the way out, not for this machine.
            "trust_env": not is_loopback(host),
        }
        channel: dict[str, Any] = {**_CHANNEL, "grpc.enable_http_proxy": not is_loopback(host)}
        if ca_file is not None:
            options["verify"], channel["root_certificates"] = _read_authorities(ca_file)
        self.client = self.data = QdrantClient(**options)
        if grpc_port is not None:
            self.data = QdrantClient(
                **options, prefer_grpc=True, grpc_port=grpc_port, grpc_options=channel
            )

    def close(self) -> None:
        """Close both clients; closing twice is allowed."""
        self._closed = True
        self.client.close()
        self.data.close()

    def collections(self) -> tuple[str, ...]:
        """Return the names of all collections, sorted."""
        found = self.call("list collections", self.client.get_collections)
        return tuple(sorted(collection.name for collection in found.collections))

    def query(
        self, collection: str, asked: Sequence[models.QueryRequest]
    ) -> list[list[models.ScoredPoint]]:
        """Return what each of some queries finds, in one request; for `call` to make."""
        if self.data is not self.client:
            return [found.points for found in self.data.query_batch_points(collection, asked)]
        # The client would copy every number of what is asked first, which is a tenth of a search.
        batch = models.QueryRequestBatch(searches=[*asked])
        answer = self.client.http.search_api.query_batch_points(
            collection_name=collection, query_request_batch=batch
        )
        if answer.result is None:
            raise StoreError(f"Qdrant at {self._host} answered a search with nothing")
        return [found.points for found in answer.result]

    def require_conditional_writes(self) -> None:
        """Raise `ConfigurationError` unless the server holds a write against its condition."""
        if self._conditional:
            return
        version = self.call("tell its version", self.client.info).version
        numbers = re.match(r"(\d+)\.(\d+)", version)
        if numbers is None or (int(numbers[1]), int(numbers[2])) < CONDITIONAL_VERSION:
            needed = ".".join(map(str, CONDITIONAL_VERSION))
            raise ConfigurationError(
                f"Qdrant at {self._host} is older than {needed} and cannot write under a condition",
                hint=f"run Qdrant {needed} or later",
                param="qdrant_url",
            )
        self._conditional = True

    def call(self, action: str, request: Callable[[], T], *, collection: str | None = None) -> T:
        """Return the answer to a request; `collection` is the one it takes to exist, if any."""
        if self._closed:
            raise StoreError(f"cannot {action}: the connection to Qdrant was closed")
        deadline = time.monotonic() + self._timeout_seconds
        waits = iter(_RETRY_WAITS_SECONDS)
        while True:
            try:
                return request()
            except FOREIGN as error:
                failure = read_failure(error)
                wait = next(waits, None) if failure.kind is Kind.LOST else None
                if wait is None or time.monotonic() + wait > deadline:
                    raise self._told(failure, action, collection) from error
            except (TypeError, ValueError) as error:
                problem = "an id, key or value is of no kind it stores"
                raise InputError(f"cannot {action}: {problem}") from error
            time.sleep(wait)

    def _told(self, failure: Failure, action: str, collection: str | None) -> WindowfitError:
        if failure.kind is Kind.NOT_FOUND and collection is not None:
            return collection_not_found(collection, self.collections())
        host = self._grpc_host if failure.over_grpc else self._host
        kind, message, hint = _ERRORS[failure.kind]
        if failure.over_grpc and kind is StoreError:
            hint = _GRPC_HINT
        return kind(message.format(host=host, action=action, reason=failure.reason), hint=hint)


def _address(url: str) -> SplitResult:
    try:
        address = urlsplit(url)
        valid = address.scheme in {"http", "https"} and address.hostname and address.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(
            "the URL of the Qdrant server is not one of http://HOST:PORT or https://HOST:PORT",
            hint="correct WINDOWFIT_QDRANT_URL",
            param="qdrant_url",
        )
    return address


def _read_authorities(ca_file: Path) -> tuple[ssl.SSLContext, bytes]:
    """Return the certificates of a file as each transport takes them."""
    try:
        return ssl.create_default_context(cafile=ca_file), ca_file.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"cannot read certificates in PEM form from {ca_file}",
            hint="correct WINDOWFIT_QDRANT_CA_FILE",
            param="qdrant_ca_file",
        ) from error
