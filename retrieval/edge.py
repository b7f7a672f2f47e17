"""The embedded engine: Qdrant Edge, one folder per collection, no server; one process at a time.

What was measured of qdrant-edge-py 0.9, and decides the shape of this module:

* A write is in the write-ahead log before `update` returns, so a killed process loses nothing. The
  log is replayed at load and cut short by `flush`, which is called now and then: for a short load,
  and to bound what a power failure can take.
* Every call holds the interpreter lock. Threads are safe and take turns, so writes go in batches
  that are short enough for a reader to wait.
* Exact search takes 1 ms among 12 000 and 6 ms among 60 000 vectors of 384 dimensions. A graph
  (HNSW) costs seconds of a blocked process, saves nothing at that size and lets results depend on
  the order of writes, so none is built. Far larger collections belong on a Qdrant server.
* A full disk kills the process (the engine writes through memory maps), so room is checked first.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from chunking.errors import CollectionNotFound, InputError, StoreError
from retrieval.checks import check_place_name, check_points, check_vector, last_of_each_id
from retrieval.lock import FolderLock
from retrieval.points import Point, PointStore, ScoredPoint, Vector, Where, collection_not_found
from retrieval.room import check_room, has_room_for_a_copy

_VECTOR = "dense"
_ABOUT = "collection.json"
_UPSERT_SIZE = 256
_DELETE_SIZE = 4096
_SCROLL_SIZE = 512
_FLUSH_SIZE = 8192
"""Points written between two flushes; a load replays at most this many, in under a second."""
_NO_GRAPH_KILOBYTES = 2_000_000_000
"""An indexing threshold that no collection reaches, so that search stays exact."""
_HINT = "check that the store's folder can be written and the disk has room, then retry"


class EdgeEngine:
    """An `Engine` in a folder of this machine, held by one process until `close`.

    Args:
        root: the folder, made if it is missing; each collection is one folder in it.

    Raises:
        StoreLocked: another process holds the folder; the message names it.
        StoreError: the folder cannot be made or written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock: FolderLock | None = FolderLock(root)
        self._mutex = threading.RLock()
        self._stores: dict[str, EdgePointStore] = {}
        self._sweep()

    def collections(self) -> tuple[str, ...]:
        """See `Engine.collections`."""
        with self._held("list collections"):
            return tuple(sorted(path.parent.name for path in self._root.glob(f"[!.]*/{_ABOUT}")))

    def create(self, collection: str, *, dimension: int, indexed: Sequence[str]) -> PointStore:
        """See `Engine.create`; a killed process leaves either no collection or a whole one."""
        check_place_name(collection)
        with self._held(f"create collection {collection!r}"):
            if not self._exists(collection):
                check_room(self._root)
                building = self._root / f".building-{collection}"
                shutil.rmtree(building, ignore_errors=True)
                building.mkdir()
                _build_shard(building, dimension=dimension, indexed=indexed)
                building.replace(self._root / collection)
            return self._load(collection)

    def open(self, collection: str) -> PointStore:
        """See `Engine.open`."""
        check_place_name(collection)
        with self._held(f"open collection {collection!r}"):
            if not self._exists(collection):
                raise collection_not_found(collection, self.collections())
            return self._load(collection)

    def drop(self, collection: str) -> None:
        """See `Engine.drop`; a killed process leaves either no collection or a whole one."""
        check_place_name(collection)
        with self._held(f"drop collection {collection!r}"):
            store = self._stores.pop(collection, None)
            if store is not None:
                store.close(dropped=True)
            if self._exists(collection):
                (self._root / collection).replace(self._root / f".dropped-{collection}")
            self._sweep()

    def close(self) -> None:
        """See `Engine.close`; gives back the room of deleted points. Closing twice is allowed."""
        with self._mutex, ExitStack() as releases:
            if self._lock is not None:
                releases.callback(self._lock.release)
            self._lock = None
            for store in self._stores.values():
                releases.callback(store.close, tidy=True)
            self._stores.clear()

    def _exists(self, collection: str) -> bool:
        return (self._root / collection / _ABOUT).exists()

    @contextmanager
    def _held(self, action: str) -> Iterator[None]:
        with self._mutex, _engine_errors(action):
            if self._lock is None:
                raise StoreError(f"cannot {action}: the store was closed", hint=_HINT)
            yield

    def _load(self, collection: str) -> EdgePointStore:
        if collection not in self._stores:
            self._stores[collection] = EdgePointStore(self._root / collection)
        return self._stores[collection]

    def _sweep(self) -> None:
        """Remove what a killed process left half made or half removed."""
        for pattern in (".building-*", ".dropped-*"):
            for leftover in self._root.glob(pattern):
                shutil.rmtree(leftover, ignore_errors=True)


class EdgePointStore:
    """A `PointStore` in one Qdrant Edge shard; made by `EdgeEngine`, safe to share among threads.

    Args:
        folder: a folder that `EdgeEngine.create` made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._dimension = _read_dimension(folder)
        self._shard = edge.EdgeShard.load(str(folder))
        self._unflushed = 0
        self._dropped = False

    def upsert(self, points: Sequence[Point], *, only_if: Where | None = None) -> None:
        """See `PointStore.upsert`; in steps of 256 points, each written whole or not at all."""
        check_points(points, dimension=self._dimension)
        condition = None
        if only_if is not None:
            points, condition = last_of_each_id(points), _filter(only_if)
        for start in range(0, len(points), _UPSERT_SIZE):
            batch = points[start : start + _UPSERT_SIZE]
            with self._calls(f"write {len(batch)} points"):
                stored = [_stored(point) for point in batch]
                self._update(edge.UpdateOperation.upsert_points(stored, condition), size=len(batch))

    def delete(self, ids: Sequence[str]) -> None:
        """See `PointStore.delete`."""
        for start in range(0, len(ids), _DELETE_SIZE):
            batch = ids[start : start + _DELETE_SIZE]
            with self._calls(f"delete {len(batch)} points"):
                operation = edge.UpdateOperation.delete_points([UUID(hex=item) for item in batch])
                self._update(operation, size=len(batch))

    def query(self, vector: Vector, *, limit: int, where: Where) -> list[ScoredPoint]:
        """See `PointStore.query`; the search is exact, and equal scores are in the order of ids."""
        check_vector(vector, dimension=self._dimension)
        if limit < 1:
            return []
        with self._calls("search"):
            near = edge.Query.Nearest(vector.tolist(), using=_VECTOR)
            found = self._shard.query(
                edge.QueryRequest(limit=limit, query=near, filter=_filter(where), with_payload=True)
            )
            hits = [ScoredPoint(_hex(hit.id), hit.score, hit.payload or {}) for hit in found]
        return sorted(hits, key=lambda hit: (-hit.score, hit.id))

    def scroll(
        self, *, where: Where, fields: Sequence[str] | None = None, vectors: bool = False
    ) -> Iterator[Point]:
        """See `PointStore.scroll`; reads page after page, in the order of ids."""
        selected: bool | list[str] = True if fields is None else list(fields)
        offset: edge.PointId | None = None
        while True:
            with self._calls("read points"):
                request = edge.ScrollRequest(
                    offset=offset,
                    limit=_SCROLL_SIZE,
                    filter=_filter(where),
                    with_payload=selected,
                    with_vector=vectors,
                )
                records, offset = self._shard.scroll(request)
                page = [_point(record) for record in records]
            yield from page
            if offset is None:
                return

    def count(self, *, where: Where) -> int:
        """See `PointStore.count`."""
        with self._calls("count points"):
            return self._shard.count(edge.CountRequest(exact=True, filter=_filter(where)))

    def close(self, *, tidy: bool = False, dropped: bool = False) -> None:
        """Flush and close the shard; `tidy` first gives back the room of deleted points.

        With `dropped`, who still holds this store is told that its collection is gone.
        """
        self._dropped = dropped
        with _engine_errors("close the collection"):
            try:
                if tidy and has_room_for_a_copy(self._folder):
                    # The engine rewrites a segment once a fifth of it is deleted.
                    self._shard.optimize()
            finally:
                self._shard.close()

    @contextmanager
    def _calls(self, action: str) -> Iterator[None]:
        try:
            with _engine_errors(action):
                yield
        except StoreError as error:
            if not self._dropped:
                raise
            raise CollectionNotFound(f"{self._folder.name!r} was dropped meanwhile") from error

    def _update(self, operation: edge.UpdateOperation, *, size: int) -> None:
        check_room(self._folder)
        self._shard.update(operation)
        self._unflushed += size
        if self._unflushed >= _FLUSH_SIZE:
            self._unflushed = 0
            self._shard.flush()


@contextmanager
def _engine_errors(action: str) -> Iterator[None]:
    """Map what the engine and the file system raise; the engine raises bare `Exception`."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise InputError(f"cannot {action}: an id, key or value is of no kind it stores") from error
    except OSError as error:
        raise StoreError(f"cannot {action}: {error.strerror}", hint=_HINT) from error
    except BaseException as error:
        if type(error) is Exception or type(error).__name__ == "PanicException":
            raise StoreError(f"cannot {action}: the embedded engine failed", hint=_HINT) from error
        raise


def _build_shard(folder: Path, *, dimension: int, indexed: Sequence[str]) -> None:
    vectors = edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Cosine)
    optimizers = edge.EdgeOptimizersConfig(indexing_threshold=_NO_GRAPH_KILOBYTES)
    config = edge.EdgeConfig(vectors={_VECTOR: vectors}, optimizers=optimizers)
    shard = edge.EdgeShard.create(str(folder), config)
    try:
        for key in indexed:
            keyword = edge.PayloadSchemaType.Keyword
            shard.update(edge.UpdateOperation.create_field_index(key, keyword))
    finally:
        shard.close()
    (folder / _ABOUT).write_text(json.dumps({"dimension": dimension}), "utf-8")


def _read_dimension(folder: Path) -> int:
    try:
        return int(json.loads((folder / _ABOUT).read_text("utf-8"))["dimension"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"collection {folder.name!r} is damaged: {_ABOUT} does not hold its dimension",
            hint="restore the folder from a copy, or remove it and ingest again",
        ) from error


def _stored(point: Point) -> edge.Point:
    vector: dict[str, edge.NamedVector] = {}
    if point.vector is not None:
        vector[_VECTOR] = point.vector.tolist()
    return edge.Point(UUID(hex=point.id), vector, dict(point.payload))


def _point(record: edge.Record) -> Point:
    stored = record.vector.get(_VECTOR) if isinstance(record.vector, dict) else None
    vector = None if stored is None else np.asarray(stored, dtype=np.float32)
    return Point(_hex(record.id), record.payload or {}, vector)


def _hex(point_id: edge.PointId) -> str:
    return point_id.hex if isinstance(point_id, UUID) else str(point_id)


def _filter(where: Where) -> edge.Filter | None:
    conditions: list[edge.ConditionType] = [
        edge.FieldCondition(key, match=edge.MatchAny(list(values))) for key, values in where.items()
    ]
    return edge.Filter(must=conditions) if conditions else None
