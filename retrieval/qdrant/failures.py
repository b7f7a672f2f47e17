"""What went wrong with a request, read alike from the two ways to reach a Qdrant server.

REST failures come as exceptions of the client, of httpx and of `ssl`; gRPC has one exception with a
status code. Only the kind and a fixed reason are taken from them, never the text of the server.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

import grpc
import httpx
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

FOREIGN = (grpc.RpcError, QdrantException, ResponseHandlingException, UnexpectedResponse)
"""The exceptions that a request to a Qdrant server ends in."""


class Kind(Enum):
    """What a failure calls for."""

    LOST = auto()
    """The connection failed at once: try again while there is time."""
    SILENT = auto()
    """No answer, or none that can be read: after a timeout no time is left to try again."""
    UNTRUSTED = auto()
    """The certificate of the server is refused here."""
    PLAIN = auto()
    """What answers there does not speak TLS."""
    UNAUTHORIZED = auto()
    NOT_FOUND = auto()
    WRONG_REQUEST = auto()
    BUSY = auto()
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed request: what it calls for, how it is named, and which transport it used."""

    kind: Kind
    reason: str
    over_grpc: bool = False


_STATUSES = {
    400: Kind.WRONG_REQUEST,
    401: Kind.UNAUTHORIZED,
    403: Kind.UNAUTHORIZED,
    404: Kind.NOT_FOUND,
    413: Kind.WRONG_REQUEST,
    422: Kind.WRONG_REQUEST,
}
_CODES = {
    "DEADLINE_EXCEEDED": Kind.SILENT,
    "INVALID_ARGUMENT": Kind.WRONG_REQUEST,
    "NOT_FOUND": Kind.NOT_FOUND,
    "OUT_OF_RANGE": Kind.WRONG_REQUEST,
    "PERMISSION_DENIED": Kind.UNAUTHORIZED,
    "RESOURCE_EXHAUSTED": Kind.BUSY,
    "UNAUTHENTICATED": Kind.UNAUTHORIZED,
    "UNAVAILABLE": Kind.LOST,
}
_HANDSHAKES = {
    "certificate_verify_failed": Kind.UNTRUSTED,
    "verification check failed": Kind.UNTRUSTED,
    "not in peer certificate": Kind.UNTRUSTED,
    "tls handshake failed": Kind.PLAIN,
}
"""How gRPC words a failed handshake, for which it has no code of its own; the first one counts."""


def read_failure(error: Exception) -> Failure:
    """Return what one of the `FOREIGN` exceptions means."""
    if isinstance(error, UnexpectedResponse):
        kind = _STATUSES.get(error.status_code or 0, Kind.REFUSED)
        return Failure(kind, f"HTTP {error.status_code}")
    if isinstance(error, ResponseHandlingException):
        return Failure(_rest_kind(error.source), type(error.source).__name__)
    if isinstance(error, QdrantException):
        return Failure(Kind.BUSY, "busy")
    return _grpc_failure(error)


def _rest_kind(source: Exception) -> Kind:
    for link in _causes(source):
        if isinstance(link, ssl.SSLCertVerificationError):
            return Kind.UNTRUSTED
        if isinstance(link, ssl.SSLError):
            return Kind.PLAIN
    lost = isinstance(source, httpx.TransportError)
    return Kind.LOST if lost and not isinstance(source, httpx.TimeoutException) else Kind.SILENT


def _grpc_failure(error: grpc.RpcError) -> Failure:
    code: str = error.code().name
    kind = _CODES.get(code, Kind.REFUSED)
    if kind is Kind.LOST:
        details = (error.details() or "").casefold()
        kind = next((kind for words, kind in _HANDSHAKES.items() if words in details), Kind.LOST)
    return Failure(kind, f"gRPC {code}", over_grpc=True)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
