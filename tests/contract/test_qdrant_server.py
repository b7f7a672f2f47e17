"""What only a real Qdrant server can show: TLS, keys, layouts of collections, and a cluster."""

from __future__ import annotations

import logging
import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import trustme
from qdrant_client import QdrantClient, models

from chunking.errors import CollectionNotFound, ConfigurationError, StoreError
from retrieval.hybrid import search_hybrid
from retrieval.index import Index
from retrieval.memory import MemoryEngine
from retrieval.points import PointStore
from retrieval.qdrant.connection import Connection
from retrieval.qdrant.engine import QdrantEngine
from retrieval.qdrant.layout import CollectionLayout
from retrieval.qdrant.store import QdrantPointStore
from retrieval.terms import Terms
from scripts.qdrant_server import Server, free_ports
from tests.contract.engine_kinds import real_server
from tests.contract.short_texts import EMBEDDER, WORDS, write_short_texts
from tests.contract.workbench import ids, payloads, point, random_points, unit

pytestmark = [pytest.mark.qdrant, pytest.mark.network]

KEY = "the-right-key"
READ_ONLY_KEY = "the-key-of-readers"


@dataclass(frozen=True, slots=True)
class Guarded:
    """A real server with TLS by an authority of its own, and keys."""

    server: Server
    ca_file: Path
    other_ca_file: Path

    @contextmanager
    def store(
        self, *, over_grpc: bool, key: str = KEY, ca_file: Path | None = None, url: str = ""
    ) -> Iterator[QdrantPointStore]:
        """Open the collection "c" without asking first whether it is there."""
        connection = Connection(
            url or self.server.url,
            api_key=key,
            grpc_port=self.server.grpc_port if over_grpc else None,
            ca_file=ca_file or self.ca_file,
        )
        yield QdrantPointStore(connection, "c", dimension=4, rescore=None)
        connection.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """The guarded server, with one collection of one point."""
    folder = tmp_path_factory.mktemp("guarded")
    authority, other = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    other.cert_pem.write_to_path(folder / "other.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    chain = b"".join(part.bytes() for part in certificate.cert_chain_pems)
    (folder / "certificate.pem").write_bytes(chain)
    settings = {
        "QDRANT__SERVICE__ENABLE_TLS": "true",
        "QDRANT__SERVICE__API_KEY": KEY,
        "QDRANT__SERVICE__READ_ONLY_API_KEY": READ_ONLY_KEY,
        "QDRANT__TLS__CERT": str(folder / "certificate.pem"),
        "QDRANT__TLS__KEY": str(folder / "key.pem"),
    }
    with real_server(folder / "server", settings) as server:
        found = Guarded(server, folder / "ca.pem", folder / "other.pem")
        engine = QdrantEngine(server.url, KEY, ca_file=found.ca_file)
        engine.create("c", dimension=4, indexed=("kind",)).upsert([point(1, unit(0))])
        engine.close()
        yield found


@pytest.mark.parametrize("over_grpc", [False, True], ids=["rest", "grpc"])
class TestGuardedServer:
    """Each way to be refused is a typed error that names the setting to correct."""

    def test_the_right_key_and_authority_are_let_in(
        self, guarded: Guarded, over_grpc: bool
    ) -> None:
        with guarded.store(over_grpc=over_grpc) as store:
            store.upsert([point(2, unit(1), kind="new")], only_if={})
            assert store.count(where={"kind": ["new"]}) == 1
            store.delete([point(2).id])

    @pytest.mark.parametrize("key", ["wrong", ""])
    def test_a_wrong_key_is_a_configuration_error_without_the_key(
        self, guarded: Guarded, over_grpc: bool, key: str
    ) -> None:
        with (
            guarded.store(over_grpc=over_grpc, key=key) as store,
            pytest.raises(ConfigurationError, match="refused to count points") as caught,
        ):
            store.count(where={})
        assert "WINDOWFIT_QDRANT_API_KEY" in caught.value.hint
        assert not re.search("wrong|JWT", str(caught.value))

    def test_a_key_of_readers_reads_and_may_not_write(
        self, guarded: Guarded, over_grpc: bool
    ) -> None:
        with guarded.store(over_grpc=over_grpc, key=READ_ONLY_KEY) as store:
            assert store.count(where={}) == 1
            with pytest.raises(ConfigurationError, match="refused to write 1 points") as caught:
                store.upsert([point(2)])
        assert "WINDOWFIT_QDRANT_API_KEY" in caught.value.hint

    def test_another_authority_is_a_configuration_error_at_once(
        self, guarded: Guarded, over_grpc: bool
    ) -> None:
        began = time.monotonic()
        with (
            guarded.store(over_grpc=over_grpc, ca_file=guarded.other_ca_file) as store,
            pytest.raises(ConfigurationError, match="is not trusted") as caught,
        ):
            store.count(where={})
        assert "WINDOWFIT_QDRANT_CA_FILE" in caught.value.hint
        assert time.monotonic() - began < 5

    def test_a_certificate_for_another_name_is_not_trusted(
        self, guarded: Guarded, over_grpc: bool
    ) -> None:
        url = guarded.server.url.replace("127.0.0.1", "localhost")
        with (
            guarded.store(over_grpc=over_grpc, url=url) as store,
            pytest.raises(ConfigurationError, match="is not trusted") as caught,
        ):
            store.count(where={})
        assert "name the host as its certificate does" in caught.value.hint

    def test_a_server_without_tls_behind_https_is_a_configuration_error(
        self, guarded: Guarded, over_grpc: bool, qdrant_server: Server
    ) -> None:
        plain = Guarded(qdrant_server, guarded.ca_file, guarded.other_ca_file)
        url = qdrant_server.url.replace("http:", "https:")
        with (
            plain.store(over_grpc=over_grpc, url=url) as store,
            pytest.raises(ConfigurationError, match="no encrypted connection") as caught,
        ):
            store.count(where={})
        assert "WINDOWFIT_QDRANT_URL" in caught.value.hint

    def test_a_server_with_tls_behind_http_is_a_store_error_that_names_the_setting(
        self, guarded: Guarded, over_grpc: bool
    ) -> None:
        url = guarded.server.url.replace("https:", "http:")
        with (
            guarded.store(over_grpc=over_grpc, url=url) as store,
            pytest.raises(StoreError, match="cannot reach") as caught,
        ):
            store.count(where={})
        assert "WINDOWFIT_QDRANT_URL" in caught.value.hint

    def test_a_collection_that_was_dropped_is_not_found(
        self, guarded: Guarded, over_grpc: bool
    ) -> None:
        engine = QdrantEngine(
            guarded.server.url,
            KEY,
            grpc_port=guarded.server.grpc_port if over_grpc else None,
            ca_file=guarded.ca_file,
        )
        store = engine.create("dropped", dimension=4, indexed=())
        engine.drop("dropped")
        calls: list[Callable[[], object]] = [
            lambda: store.count(where={}),
            lambda: store.upsert([point(1)]),
            lambda: store.upsert([point(1)], only_if={}),
            lambda: store.query(unit(0), limit=1, where={}),
            lambda: list(store.scroll(where={})),
        ]
        for call in calls:
            with pytest.raises(CollectionNotFound, match=r"existing collections: c$"):
                call()
        engine.close()


@pytest.fixture
def collection(qdrant_server: Server) -> Iterator[str]:
    """A name of this test's own; the collection is dropped afterwards."""
    name = f"layout-{uuid4().hex}"
    yield name
    engine = QdrantEngine(qdrant_server.url)
    engine.drop(name)
    engine.close()


@pytest.fixture
def client(qdrant_server: Server) -> Iterator[QdrantClient]:
    """A bare client, which reads back what is really there."""
    client = QdrantClient(url=qdrant_server.url, check_compatibility=False)
    yield client
    client.close()


class TestLayout:
    """What settings say of a new collection, and what becomes of an old one."""

    @pytest.mark.parametrize("layout", [{"shards": 3}, {"shards": 2, "quantization": "int8"}])
    def test_words_find_as_much_in_several_shards(
        self, qdrant_server: Server, collection: str, layout: dict[str, Any]
    ) -> None:
        engine = QdrantEngine(qdrant_server.url, layout=CollectionLayout(**layout))
        store = engine.create(collection, dimension=8, indexed=())
        directions, rng = np.random.default_rng(5), random.Random(5)
        stored = [
            point(
                number,
                directions.standard_normal(8).astype(np.float32),
                terms=Terms.of({rng.randrange(40): rng.uniform(1, 2) for _ in range(5)}),
            )
            for number in range(300)
        ]
        store.upsert(stored)
        for _ in range(10):
            sought = directions.standard_normal(8).astype(np.float32)
            question = Terms.of({rng.randrange(40): 1.0 for _ in range(3)})
            near = store.query(sought, limit=15, where={})
            worded = store.query(question, limit=15, where={})
            found = store.query(sought, limit=15, where={}, terms=question)
            bearing = {hit.id: hit.term_score for hit in found if hit.term_score is not None}
            assert bearing == {hit.id: hit.score for hit in worded}
            assert ids(found[:15]) == ids(near)
            assert {hit.id for hit in found} == {*ids(near), *bearing}
        engine.close()

    def test_a_new_collection_is_laid_out_as_asked(
        self, qdrant_server: Server, collection: str, client: QdrantClient
    ) -> None:
        layout = CollectionLayout(
            shards=3,
            replication_factor=2,
            write_consistency_factor=2,
            quantization="int8",
            vectors_on_disk=True,
            payload_on_disk=False,
        )
        engine = QdrantEngine(qdrant_server.url, layout=layout)
        engine.create(collection, dimension=8, indexed=("tenant", "kind"))
        engine.close()
        found = client.get_collection(collection)
        params = found.config.params
        assert isinstance(params.vectors, dict)
        vector = params.vectors["dense"]
        assert (vector.size, vector.distance) == (8, models.Distance.COSINE)
        assert vector.on_disk is True
        assert params.on_disk_payload is False
        assert (params.shard_number, params.replication_factor) == (3, 2)
        assert params.write_consistency_factor == 2
        quantized = found.config.quantization_config
        assert isinstance(quantized, models.ScalarQuantization)
        assert (quantized.scalar.type, quantized.scalar.always_ram) == ("int8", True)
        schema = found.payload_schema
        assert {key: str(index.data_type.value) for key, index in schema.items()} == {
            "tenant": "keyword",
            "kind": "keyword",
        }
        tenant = schema["tenant"].params
        assert isinstance(tenant, models.KeywordIndexParams)
        assert tenant.is_tenant is True

    @pytest.mark.parametrize("quantization", [None, "none"])
    def test_what_is_not_asked_for_is_left_to_the_server(
        self,
        qdrant_server: Server,
        collection: str,
        client: QdrantClient,
        quantization: str | None,
    ) -> None:
        layout = CollectionLayout(quantization=quantization)
        engine = QdrantEngine(qdrant_server.url, layout=layout)
        engine.create(collection, dimension=8, indexed=())
        engine.close()
        name = f"{collection}-bare"
        vectors = models.VectorParams(size=8, distance=models.Distance.COSINE)
        client.create_collection(
            name,
            vectors_config={"dense": vectors},
            sparse_vectors_config={
                "terms": models.SparseVectorParams(modifier=models.Modifier.IDF)
            },
        )
        bare = client.get_collection(name).config
        client.delete_collection(name)
        assert client.get_collection(collection).config == bare

    def test_another_layout_is_logged_once_and_not_changed(
        self,
        qdrant_server: Server,
        collection: str,
        client: QdrantClient,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        first = QdrantEngine(qdrant_server.url, layout=CollectionLayout(shards=2))
        first.create(collection, dimension=8, indexed=())
        first.open(collection)
        first.close()
        assert caplog.records == []
        before = client.get_collection(collection).config
        asked = CollectionLayout(shards=3, quantization="int8", vectors_on_disk=False)
        second = QdrantEngine(qdrant_server.url, layout=asked)
        for _ in range(3):
            second.open(collection)
            second.create(collection, dimension=8, indexed=())
        second.close()
        [record] = caplog.records
        assert record.levelno == logging.WARNING
        assert record.__dict__["fields"] == {
            "collection": collection,
            "differences": {
                "shards": {"asked": 3, "found": 2},
                "quantization": {"asked": "int8", "found": "none"},
            },
        }
        assert "shards 2 (asked for: 3), quantization none" in record.getMessage()
        assert client.get_collection(collection).config == before

    def test_a_dropped_collection_is_compared_anew(
        self, qdrant_server: Server, collection: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = QdrantEngine(qdrant_server.url)
        second = QdrantEngine(qdrant_server.url, layout=CollectionLayout(shards=2))
        for _ in range(2):
            first.create(collection, dimension=8, indexed=())
            second.open(collection)
            second.drop(collection)
        first.close()
        second.close()
        assert len(caplog.records) == 2

    def test_a_write_cannot_wait_for_more_copies_than_there_are(self) -> None:
        with pytest.raises(ConfigurationError, match="3 > replication_factor 2") as caught:
            CollectionLayout(replication_factor=2, write_consistency_factor=3)
        assert caught.value.param == "qdrant_write_consistency_factor"

    @pytest.mark.parametrize("on_disk", [False, True])
    def test_scores_of_quantized_vectors_are_exact_where_they_are_rescored(
        self, qdrant_server: Server, collection: str, client: QdrantClient, *, on_disk: bool
    ) -> None:
        points = random_points(3000, dimension=64)
        layout = CollectionLayout(quantization="int8", vectors_on_disk=on_disk)
        engine = QdrantEngine(qdrant_server.url, layout=layout, rescore=True)
        store = engine.create(collection, dimension=64, indexed=())
        quantize_at_once(client, collection)
        store.upsert(points)
        exact = MemoryEngine().create("exact", dimension=64, indexed=())
        exact.upsert(points)
        coarse = QdrantEngine(qdrant_server.url, rescore=False)
        question = np.random.default_rng(9).standard_normal(64, dtype=np.float32)
        scores = {hit.id: hit.score for hit in exact.query(question, limit=3000, where={})}

        def largest_error(searched: PointStore) -> float:
            found = searched.query(question, limit=20, where={})
            assert len(found) == 20
            return max(abs(hit.score - scores[hit.id]) for hit in found)

        # Until the server has quantized what was written, it is exact without rescoring, too.
        rough = coarse.open(collection)
        wait_until(lambda: largest_error(rough) > 1e-5)
        assert largest_error(store) < 1e-5
        unsaid = QdrantEngine(qdrant_server.url)
        assert (largest_error(unsaid.open(collection)) > 1e-5) == on_disk
        for opened in (engine, coarse, unsaid):
            opened.close()

    @pytest.mark.parametrize("on_disk", [False, True])
    def test_a_hybrid_search_of_quantized_vectors_finds_what_one_of_all_digits_does(
        self, qdrant_server: Server, collection: str, client: QdrantClient, *, on_disk: bool
    ) -> None:
        layout = CollectionLayout(quantization="int8", vectors_on_disk=on_disk)
        engine = QdrantEngine(qdrant_server.url, layout=layout)
        write_short_texts(engine, collection, documents=400)
        quantize_at_once(client, collection)
        index = Index.open(engine, collection)
        exact = write_short_texts(MemoryEngine(), "exact", documents=400)
        rng, directions = random.Random(9), np.random.default_rng(9)
        vectors = directions.standard_normal((20, EMBEDDER.dimension), dtype=np.float32)
        questions = [(" ".join(rng.sample(WORDS, 3)), vector) for vector in vectors]

        def search(searched: Index, *, limit: int) -> list[dict[str, float]]:
            """Return the chunks that each question finds, with their scores."""
            found = [search_hybrid(searched, *asked, limit=limit) for asked in questions]
            return [{hit.chunk.id: hit.score for hit in hits} for hits in found]

        cosines = search(exact, limit=10_000)

        def largest_error(searched: Index) -> float:
            return max(
                abs(score - every[chunk])
                for found, every in zip(search(searched, limit=10), cosines, strict=True)
                for chunk, score in found.items()
            )

        coarse = QdrantEngine(qdrant_server.url, rescore=False)
        wait_until(lambda: largest_error(Index.open(coarse, collection)) > 1e-5)
        assert largest_error(index) < (0.02 if on_disk else 1e-5)
        shared = [
            len(found.keys() & best.keys())
            for found, best in zip(search(index, limit=10), search(exact, limit=10), strict=True)
        ]
        assert sum(shared) >= (0.95 if on_disk else 1) * 10 * len(questions)
        for opened in (engine, coarse):
            opened.close()


class TestCluster:
    """Two servers that hold copies of the same points."""

    def test_every_copy_lets_the_same_one_win_and_an_answered_write_is_read_everywhere(
        self, tmp_path: Path
    ) -> None:
        layout = CollectionLayout(shards=2, replication_factor=2)
        with cluster(tmp_path) as servers:
            engines = [QdrantEngine(server.url, layout=layout) for server in servers]
            indexed = ("kind", "document")
            first = engines[0].create("c", dimension=4, indexed=indexed)
            wait_until(lambda: engines[1].collections() == ("c",))
            second = engines[1].open("c")
            for number in range(1, 50):
                first.upsert([point(number, unit(0), kind="plain")])
                assert second.count(where={"kind": ["plain"]}) == number
            for version in range(10):
                winners = compete([first, second], version)
                assert len(winners) == 1
                expected = {"kind": f"v{version + 1}", "document": winners[0]}
                for store in (first, second):
                    assert payloads(store)[point(0).id] == expected
            first.delete([point(0).id])
            assert point(0).id not in ids(second.scroll(where={}))
            for engine in engines:
                engine.close()

    def test_without_the_copy_that_decides_there_is_no_winner_and_everything_else_goes_on(
        self, tmp_path: Path
    ) -> None:
        layout = CollectionLayout(shards=1, replication_factor=2)
        with cluster(tmp_path) as servers:
            engines = [QdrantEngine(server.url, layout=layout) for server in servers]
            stores = [e.create("c", dimension=4, indexed=("kind",)) for e in engines]
            stores[0].upsert([point(1, unit(0), kind="old"), point(2, unit(1), kind="old")])
            # The copy on the machine with the highest number decides.
            left = min((0, 1), key=lambda number: peer_id(servers[number]))
            os.kill(servers[1 - left].pid, signal.SIGKILL)
            with pytest.raises(StoreError, match="to write 1 points"):
                stores[left].upsert([point(1, kind="new")], only_if={"kind": ["old"]})
            stores[left].upsert([point(2, unit(1), kind="new")])
            found = [payload["kind"] for payload in payloads(stores[left]).values()]
            assert found == ["old", "new"]
            assert ids(stores[left].query(unit(0), limit=1, where={})) == [point(1).id]
            for engine in engines:
                engine.close()


def peer_id(server: Server) -> int:
    client = QdrantClient(url=server.url, check_compatibility=False)
    status = client.cluster_status()
    client.close()
    return int(getattr(status, "peer_id"))  # noqa: B009 - only where the cluster is enabled


def compete(stores: list[PointStore], version: int) -> list[str]:
    """Let 20 threads replace one version of a point by their own; return who saw that they did."""
    winners: list[str] = []
    together = threading.Barrier(20)

    def replace(number: int) -> None:
        store = stores[number % len(stores)]
        mine = point(0, unit(0), kind=f"v{version + 1}", document=str(number))
        together.wait()
        store.upsert([mine], only_if={"kind": [f"v{version}"]})
        if store.count(where={"document": [str(number)], "kind": [f"v{version + 1}"]}):
            winners.append(str(number))

    threads = [threading.Thread(target=replace, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return winners


@contextmanager
def cluster(folder: Path) -> Iterator[list[Server]]:
    """Run two servers that know each other."""
    with ExitStack() as running:
        servers: list[Server] = []
        uris = [f"http://127.0.0.1:{port}" for port in free_ports(2)]
        for number, uri in enumerate(uris):
            settings = {
                "QDRANT__CLUSTER__ENABLED": "true",
                "QDRANT__CLUSTER__P2P__PORT": uri.rpartition(":")[2],
                "QDRANT_URI": uri,
            }
            if number:
                settings["QDRANT_BOOTSTRAP"] = uris[0]
            server = real_server(folder / str(number), settings)
            servers.append(running.enter_context(server))
        client = QdrantClient(url=servers[0].url, check_compatibility=False)
        running.callback(client.close)
        wait_until(lambda: len(getattr(client.cluster_status(), "peers", ())) == len(uris))
        yield servers


def quantize_at_once(client: QdrantClient, collection: str) -> None:
    """Have the server quantize every segment, which it does with large ones alone."""
    at_once = models.OptimizersConfigDiff(indexing_threshold=1)
    client.update_collection(collection, optimizers_config=at_once)


def wait_until(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
