"""The server engine: collections on a Qdrant server or cluster, reached over REST.

Every request may be repeated (points are written by id), so a failed connection is tried again
within the time limit. What the server says is kept as the cause and never passed on: a message
names the host and what was asked, and no key.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

import httpx
from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from chunking.errors import ConfigurationError, InputError, StoreError, WindowfitError
from retrieval.checks import check_collection_name, check_points, check_vector
from retrieval.loopback import is_loopback
from retrieval.points import Point, PointStore, ScoredPoint, Vector, Where, collection_not_found

T = TypeVar("T")

_VECTOR = "dense"
_UPSERT_SIZE = 256
"""Points of one request: 2.5 MB at 384 dimensions; the server refuses bodies over 32 MB."""
_DELETE_SIZE = 4096
_SCROLL_SIZE = 512
_RETRY_WAITS_SECONDS = (0.2, 0.6)
_UNAUTHORIZED = frozenset({401, 403})
_WRONG_REQUEST = frozenset({400, 413, 422})

_log = logging.getLogger(__name__)


class QdrantEngine:
    """An `Engine` on a Qdrant server; safe to share among threads.

    Args:
        url: `http://` or `https://` address; port 6333 unless it names one.
        api_key: the server's key, sent with every request.
        timeout_seconds: limit of one request; no failed connection is tried again after it.

    Raises:
        ConfigurationError: the URL is not an HTTP address.
    """

    def __init__(self, url: str, api_key: str | None = None, timeout_seconds: float = 10) -> None:
        self._server = _Server(url, api_key=api_key, timeout_seconds=timeout_seconds)
        self._client = self._server.client

    def collections(self) -> tuple[str, ...]:
        """See `Engine.collections`."""
        return self._server.collections()

    def create(self, collection: str, *, dimension: int, indexed: Sequence[str]) -> PointStore:
        """See `Engine.create`; completes a collection whose creation was interrupted."""
        check_collection_name(collection)
        vectors = models.VectorParams(size=dimension, distance=models.Distance.COSINE)

        def create() -> None:
            try:
                self._client.create_collection(collection, vectors_config={_VECTOR: vectors})
            except UnexpectedResponse as error:
                # It exists, or another process was faster: that is what was asked for.
                if error.status_code != HTTPStatus.CONFLICT:
                    raise

        def index() -> None:
            for key in indexed:
                keyword = models.PayloadSchemaType.KEYWORD
                self._client.create_payload_index(collection, key, keyword, wait=True)

        self._server.call(f"create collection {collection!r}", create)
        self._server.call(f"index collection {collection!r}", index, collection=collection)
        return self.open(collection)

    def open(self, collection: str) -> PointStore:
        """See `Engine.open`."""
        check_collection_name(collection)
        found = self._server.call(
            f"open collection {collection!r}",
            lambda: self._client.get_collection(collection),
            collection=collection,
        )
        vectors = found.config.params.vectors
        if not isinstance(vectors, dict) or _VECTOR not in vectors:
            raise InputError(
                f"collection {collection!r} has no vector named {_VECTOR!r}: another program's",
                hint="choose another collection name",
                param="collection",
            )
        return QdrantPointStore(self._server, collection, dimension=vectors[_VECTOR].size)

    def drop(self, collection: str) -> None:
        """See `Engine.drop`."""
        check_collection_name(collection)
        action = f"drop collection {collection!r}"
        self._server.call(action, lambda: self._client.delete_collection(collection))

    def close(self) -> None:
        """See `Engine.close`."""
        self._client.close()


class QdrantPointStore:
    """A `PointStore` in one collection of a Qdrant server; made by `QdrantEngine`."""

    def __init__(self, server: _Server, collection: str, *, dimension: int) -> None:
        self._server = server
        self._client = server.client
        self._collection = collection
        self._dimension = dimension

    def upsert(self, points: Sequence[Point]) -> None:
        """See `PointStore.upsert`; in requests of 256 points, each written whole or not at all."""
        check_points(points, dimension=self._dimension)

        def write() -> None:
            self._client.upsert(self._collection, [_stored(point) for point in batch], wait=True)

        for start in range(0, len(points), _UPSERT_SIZE):
            batch = points[start : start + _UPSERT_SIZE]
            self._call(f"write {len(batch)} points", write)

    def delete(self, ids: Sequence[str]) -> None:
        """See `PointStore.delete`."""

        def delete() -> None:
            selected = models.PointIdsList(points=[UUID(hex=point_id) for point_id in batch])
            self._client.delete(self._collection, selected, wait=True)

        for start in range(0, len(ids), _DELETE_SIZE):
            batch = ids[start : start + _DELETE_SIZE]
            self._call(f"delete {len(batch)} points", delete)

    def query(self, vector: Vector, *, limit: int, where: Where) -> list[ScoredPoint]:
        """See `PointStore.query`; equal scores are in the order of ids."""
        check_vector(vector, dimension=self._dimension)
        if limit < 1:
            return []
        found = self._call(
            "search",
            lambda: self._client.query_points(
                self._collection,
                vector.tolist(),
                using=_VECTOR,
                query_filter=_filter(where),
                limit=limit,
                with_payload=True,
            ),
        )
        hits = [ScoredPoint(_hex(hit.id), hit.score, hit.payload or {}) for hit in found.points]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))

    def scroll(self, *, where: Where, fields: Sequence[str] | None = None) -> Iterator[Point]:
        """See `PointStore.scroll`; reads page after page, in the order of ids."""
        offset: models.ExtendedPointId | None = None
        while True:
            records, offset = self._page(offset, where=where, fields=fields)
            for record in records:
                yield Point(_hex(record.id), record.payload or {})
            if offset is None:
                return

    def _page(
        self, offset: models.ExtendedPointId | None, *, where: Where, fields: Sequence[str] | None
    ) -> tuple[list[models.Record], models.ExtendedPointId | None]:
        return self._call(
            "read points",
            lambda: self._client.scroll(
                self._collection,
                scroll_filter=_filter(where),
                limit=_SCROLL_SIZE,
                offset=offset,
                with_payload=True if fields is None else list(fields),
            ),
        )

    def count(self, *, where: Where) -> int:
        """See `PointStore.count`."""
        return self._call(
            "count points",
            lambda: self._client.count(self._collection, _filter(where), exact=True),
        ).count

    def _call(self, action: str, request: Callable[[], T]) -> T:
        action = f"{action} in collection {self._collection!r}"
        return self._server.call(action, request, collection=self._collection)


class _Server:
    """The client of one server, and the one place where its exceptions become ours."""

    def __init__(self, url: str, *, api_key: str | None, timeout_seconds: float) -> None:
        address = _address(url)
        host = address.hostname or ""
        self._host = f"{host}:{address.port or 6333}"
        self._timeout_seconds = timeout_seconds
        if api_key and address.scheme == "http" and not is_loopback(host):
            _log.warning("the Qdrant key travels unencrypted to %s: use https", self._host)
        self.client = QdrantClient(
            url=url,
            timeout=math.ceil(timeout_seconds),
            # As a plain header: given as `api_key`, the client also warns about http on loopback.
            headers={"api-key": api_key} if api_key else None,
            # The check is a request on a thread of its own that can only end in a warning.
            check_compatibility=False,
            # A proxy named in the environment is for the way out, not for this machine.
            trust_env=not is_loopback(host),
        )

    def collections(self) -> tuple[str, ...]:
        found = self.call("list collections", self.client.get_collections)
        return tuple(sorted(collection.name for collection in found.collections))

    def call(self, action: str, request: Callable[[], T], *, collection: str | None = None) -> T:
        """Return the answer to a request; `collection` is the one it takes to exist, if any."""
        deadline = time.monotonic() + self._timeout_seconds
        waits = iter(_RETRY_WAITS_SECONDS)
        while True:
            try:
                return request()
            except ResponseHandlingException as error:
                wait = next(waits, None) if _is_lost_connection(error) else None
                if wait is None or time.monotonic() + wait > deadline:
                    reason = type(error.source).__name__
                    message = f"cannot reach Qdrant at {self._host} to {action} ({reason})"
                    raise StoreError(message) from error
            except UnexpectedResponse as error:
                raise self._refusal(action, error.status_code, collection) from error
            except QdrantException as error:
                raise StoreError(f"Qdrant at {self._host} is busy: cannot {action}") from error
            except (TypeError, ValueError) as error:
                problem = "an id, key or value is of no kind it stores"
                raise InputError(f"cannot {action}: {problem}") from error
            time.sleep(wait)

    def _refusal(self, action: str, status: int | None, collection: str | None) -> WindowfitError:
        message = f"Qdrant at {self._host} refused to {action} (HTTP {status})"
        if status == HTTPStatus.NOT_FOUND and collection is not None:
            return collection_not_found(collection, self.collections())
        if status in _UNAUTHORIZED:
            hint = "set WINDOWFIT_QDRANT_API_KEY to a key of that server"
            return ConfigurationError(message, hint=hint)
        if status in _WRONG_REQUEST:
            return InputError(message)
        return StoreError(message)


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


def _is_lost_connection(error: ResponseHandlingException) -> bool:
    """Whether the connection failed at once; after a timeout no time is left to try again."""
    lost = isinstance(error.source, httpx.TransportError)
    return lost and not isinstance(error.source, httpx.TimeoutException)


def _stored(point: Point) -> models.PointStruct:
    vector = {} if point.vector is None else {_VECTOR: point.vector.tolist()}
    return models.PointStruct(id=UUID(hex=point.id), vector=vector, payload=dict(point.payload))


def _hex(point_id: models.ExtendedPointId) -> str:
    return UUID(str(point_id)).hex


def _filter(where: Where) -> models.Filter | None:
    conditions: list[models.Condition] = [
        models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))
        for key, values in where.items()
    ]
    return models.Filter(must=conditions) if conditions else None
