"""The server engine: collections on a Qdrant server or cluster."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path

from qdrant_client import models
from qdrant_client.http.exceptions import UnexpectedResponse

from chunking.errors import InputError
from retrieval.checks import check_place_name
from retrieval.points import PointStore
from retrieval.qdrant.connection import Connection
from retrieval.qdrant.layout import CollectionLayout
from retrieval.qdrant.store import TERMS, VECTOR, QdrantPointStore

_TENANT_KEY = "tenant"
"""The payload key by which the server keeps points together that are read together."""
_INT8 = models.ScalarQuantization(
    scalar=models.ScalarQuantizationConfig(
        # Without a quantile nothing is cut: embedders with a few large values would lose them.
        type=models.ScalarType.INT8,
        always_ram=True,
    )
)

_LOG = logging.getLogger(__name__)


class QdrantEngine:
    """An `Engine` on a Qdrant server or cluster; safe to share among threads.

    Args:
        url: `http://` or `https://` address; port 6333 unless it names one.
        api_key: the server's key, sent with every request.
        timeout_seconds: limit of one request; no failed connection is tried again after it.
        grpc_port: where points travel over gRPC; None for REST alone.
        ca_file: PEM certificates of the only authorities to trust; None for the public ones.
        layout: how the collections that are created here are laid out.
        rescore: whether a search in quantized vectors is settled by the vectors as given; None:
            unless they have one byte a dimension and those as given are on disk.

    Raises:
        ConfigurationError: the URL is not an HTTP address, or `ca_file` holds no certificate.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        timeout_seconds: float = 10,
        *,
        grpc_port: int | None = None,
        ca_file: Path | None = None,
        layout: CollectionLayout | None = None,
        rescore: bool | None = None,
    ) -> None:
        self._connection = Connection(
            url,
            api_key=api_key,
            timeout_seconds=timeout_seconds,
            grpc_port=grpc_port,
            ca_file=ca_file,
        )
        self._client = self._connection.client
        self._layout = layout or CollectionLayout()
        self._rescore = rescore
        self._compared: set[str] = set()

    def collections(self) -> tuple[str, ...]:
        """See `Engine.collections`."""
        return self._connection.collections()

    def create(self, collection: str, *, dimension: int, indexed: Sequence[str]) -> PointStore:
        """See `Engine.create`; completes a collection whose creation was interrupted."""
        check_place_name(collection)

        def create() -> None:
            try:
                self._create(collection, dimension)
            except UnexpectedResponse as error:
                # It exists, or another process was faster: that is what was asked for.
                if error.status_code != HTTPStatus.CONFLICT:
                    raise

        def index() -> None:
            for key in indexed:
                keyword = models.KeywordIndexParams(
                    type=models.KeywordIndexType.KEYWORD, is_tenant=key == _TENANT_KEY or None
                )
                self._client.create_payload_index(collection, key, keyword, wait=True)

        self._connection.call(f"create collection {collection!r}", create)
        self._connection.call(f"index collection {collection!r}", index, collection=collection)
        return self.open(collection)

    def open(self, collection: str) -> PointStore:
        """See `Engine.open`; a layout other than the one asked for is logged once and kept."""
        check_place_name(collection)
        found = self._connection.call(
            f"open collection {collection!r}",
            lambda: self._client.get_collection(collection),
            collection=collection,
        )
        vectors = found.config.params.vectors
        if not isinstance(vectors, dict) or VECTOR not in vectors:
            raise InputError(
                f"collection {collection!r} has no vector named {VECTOR!r}: another program's",
                hint="choose another collection name",
                param="collection",
            )
        layout = _read_layout(found.config, vectors[VECTOR])
        self._compare(collection, layout)
        return QdrantPointStore(
            self._connection,
            collection,
            dimension=vectors[VECTOR].size,
            rescore=settles(layout, self._rescore),
        )

    def drop(self, collection: str) -> None:
        """See `Engine.drop`."""
        check_place_name(collection)
        action = f"drop collection {collection!r}"
        self._connection.call(action, lambda: self._client.delete_collection(collection))
        self._compared.discard(collection)

    def close(self) -> None:
        """See `Engine.close`. Closing twice is allowed."""
        self._connection.close()

    def _create(self, collection: str, dimension: int) -> None:
        layout = self._layout
        self._client.create_collection(
            collection,
            vectors_config={
                VECTOR: models.VectorParams(
                    size=dimension,
                    distance=models.Distance.COSINE,
                    on_disk=layout.vectors_on_disk,
                )
            },
            sparse_vectors_config={TERMS: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            shard_number=layout.shards,
            replication_factor=layout.replication_factor,
            write_consistency_factor=layout.write_consistency_factor,
            on_disk_payload=layout.payload_on_disk,
            quantization_config=_INT8 if layout.quantization == "int8" else None,
        )

    def _compare(self, collection: str, found: CollectionLayout) -> None:
        """Log once where a collection is laid out otherwise than new ones would be."""
        if collection in self._compared:
            return
        self._compared.add(collection)
        if unlike := self._layout.unlike(found):
            told = ", ".join(
                f"{name} {there} (asked for: {a})" for name, (a, there) in unlike.items()
            )
            differences = {
                name: {"asked": a, "found": there} for name, (a, there) in unlike.items()
            }
            _LOG.warning(
                "collection %r keeps its layout: %s",
                collection,
                told,
                extra={"fields": {"collection": collection, "differences": differences}},
            )


def settles(layout: CollectionLayout, asked: bool | None) -> bool | None:
    """Return whether vectors as given settle a search in quantized ones; None where none are."""
    if layout.quantization == "none":
        return None
    if asked is not None:
        return asked
    # A search would read a hundred places of the disk, and finds the same: see docs/store.md.
    return not (layout.quantization == "int8" and layout.vectors_on_disk)


def _read_layout(config: models.CollectionConfig, vector: models.VectorParams) -> CollectionLayout:
    params = config.params
    quantization = "none"
    if quantized := vector.quantization_config or config.quantization_config:
        quantization = "int8" if isinstance(quantized, models.ScalarQuantization) else "other"
    return CollectionLayout(
        shards=params.shard_number,
        replication_factor=params.replication_factor,
        write_consistency_factor=params.write_consistency_factor,
        quantization=quantization,
        vectors_on_disk=bool(vector.on_disk),
        payload_on_disk=bool(params.on_disk_payload),
    )
