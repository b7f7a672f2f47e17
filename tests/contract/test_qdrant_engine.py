"""What only the server engine promises: refusals, timeouts, retries; no server is needed."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from qdrant_client import grpc as wire

from chunking.errors import ConfigurationError, InputError, StoreError
from retrieval.qdrant.connection import Connection
from retrieval.qdrant.engine import QdrantEngine, settles
from retrieval.qdrant.layout import CollectionLayout
from retrieval.qdrant.store import QdrantPointStore
from scripts.qdrant_server import free_ports
from tests.contract.workbench import point


@pytest.mark.network
class TestQdrantEngine:
    """Against sockets that answer as a server might."""

    def test_an_unreachable_server_is_a_store_error_with_a_hint(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        engine = QdrantEngine(f"http://127.0.0.1:{port}", api_key="secret", timeout_seconds=2)
        began = time.monotonic()
        with pytest.raises(StoreError, match=re.escape(f"127.0.0.1:{port}")) as caught:
            engine.open("c")
        assert time.monotonic() - began < 2
        assert "WINDOWFIT_QDRANT_URL" in caught.value.hint
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is not None
        engine.close()

    def test_a_silent_server_is_a_store_error_within_the_timeout(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            engine = QdrantEngine(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_seconds=1)
            began = time.monotonic()
            with pytest.raises(StoreError, match="ReadTimeout"):
                engine.collections()
            assert 0.9 < time.monotonic() - began < 2
            engine.close()

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (401, ConfigurationError),
            (403, ConfigurationError),
            (400, InputError),
            (404, StoreError),
            (429, StoreError),
            (500, StoreError),
        ],
    )
    def test_a_refusal_becomes_the_error_that_tells_what_to_do(
        self, status: int, kind: type[Exception]
    ) -> None:
        answer = f"HTTP/1.1 {status} X\r\nContent-Length: 5\r\nRetry-After: 1\r\n\r\nupset"
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=answer_once, args=(server, answer.encode()))
            thread.start()
            engine = QdrantEngine(f"http://127.0.0.1:{server.getsockname()[1]}", api_key="secret")
            with pytest.raises(kind) as caught:
                engine.collections()
            thread.join()
            engine.close()
        assert not re.search("secret|upset", str(caught.value))

    def test_a_connection_that_breaks_is_tried_again(self) -> None:
        body = b'{"result":{"collections":[{"name":"b"},{"name":"a"}]},"status":"ok","time":0}'
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

        def break_then_answer(server: socket.socket) -> None:
            server.accept()[0].close()
            answer_once(server, answer)

        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=break_then_answer, args=(server,))
            thread.start()
            engine = QdrantEngine(f"http://127.0.0.1:{server.getsockname()[1]}")
            assert engine.collections() == ("a", "b")
            thread.join()
            engine.close()

    @pytest.mark.parametrize("url", ["localhost:6333", "ftp://host", "http://", "http://h:99999"])
    def test_a_url_that_is_no_http_address_is_a_configuration_error(self, url: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            QdrantEngine(url)
        assert "WINDOWFIT_QDRANT_URL" in caught.value.hint

    def test_a_key_over_plain_http_to_another_machine_is_logged_without_the_key(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        QdrantEngine("http://localhost:6333", api_key="secret").close()
        QdrantEngine("https://qdrant.example", api_key="secret").close()
        assert caplog.text == ""
        QdrantEngine("http://qdrant.example", api_key="secret").close()
        assert "unencrypted to qdrant.example:6333" in caplog.text
        assert "secret" not in caplog.text

    def test_a_closed_engine_says_so(self) -> None:
        engine = QdrantEngine("http://127.0.0.1:9")
        engine.close()
        engine.close()
        with pytest.raises(StoreError, match="was closed"):
            engine.collections()

    @pytest.mark.parametrize("version", ["1.15.9", "0.99.0", "a fork"])
    def test_a_conditional_write_is_refused_where_the_server_would_ignore_the_condition(
        self, version: str
    ) -> None:
        body = json.dumps({"title": "qdrant", "version": version}).encode()
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=answer_once, args=(server, answer))
            thread.start()
            connection = Connection(f"http://127.0.0.1:{server.getsockname()[1]}")
            store = QdrantPointStore(connection, "c", dimension=4, rescore=None)
            with pytest.raises(ConfigurationError, match=r"older than 1\.16") as caught:
                store.upsert([point(1)], only_if={"kind": ["old"]})
            thread.join()
            connection.close()
        assert caught.value.hint == "run Qdrant 1.16 or later"

    @pytest.mark.parametrize("content", [None, b"", b"no certificate"])
    def test_a_file_without_certificates_is_refused_before_anything_is_sent(
        self, tmp_path: Path, content: bytes | None
    ) -> None:
        file = tmp_path / "ca.pem"
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(ConfigurationError, match=re.escape(str(file))) as caught:
            QdrantEngine("https://127.0.0.1:9", ca_file=file)
        assert caught.value.param == "qdrant_ca_file"
        assert "WINDOWFIT_QDRANT_CA_FILE" in caught.value.hint


@pytest.mark.network
class TestGrpcFailures:
    """Against gRPC servers that answer as Qdrant might."""

    @pytest.mark.parametrize(
        ("code", "kind", "told"),
        [
            ("UNAUTHENTICATED", ConfigurationError, "refused to count points"),
            ("PERMISSION_DENIED", ConfigurationError, "refused to count points"),
            ("INVALID_ARGUMENT", InputError, "refused to count points"),
            ("RESOURCE_EXHAUSTED", StoreError, "is busy: cannot count points"),
            ("INTERNAL", StoreError, "refused to count points"),
            ("UNIMPLEMENTED", StoreError, "refused to count points"),
            ("DEADLINE_EXCEEDED", StoreError, "cannot reach"),
        ],
    )
    def test_a_refusal_becomes_the_error_that_tells_what_to_do(
        self, code: str, kind: type[Exception], told: str
    ) -> None:
        calls: list[str] = []

        def refuse(context: grpc.ServicerContext) -> None:
            calls.append(code)
            context.abort(grpc.StatusCode[code], "upset")

        port = free_ports(1)[0]
        with grpc_server(port, refuse), grpc_store(port) as store:
            with pytest.raises(kind, match=told) as caught:
                store.count(where={})
            assert type(caught.value) is kind
        assert calls == [code]
        assert f"127.0.0.1:{port}" in str(caught.value)
        assert not re.search("secret|upset", str(caught.value))
        assert caught.value.__cause__ is not None

    def test_a_silent_server_is_a_store_error_within_the_timeout(self) -> None:
        ended = threading.Event()
        port = free_ports(1)[0]
        with (
            grpc_server(port, lambda _: ended.wait(10)),
            grpc_store(port, timeout_seconds=1) as store,
        ):
            began = time.monotonic()
            with pytest.raises(StoreError, match="DEADLINE_EXCEEDED"):
                store.count(where={})
            assert 0.9 < time.monotonic() - began < 2
            ended.set()

    def test_an_unreachable_port_is_a_store_error_that_names_the_setting(self) -> None:
        port = free_ports(1)[0]
        with grpc_store(port, timeout_seconds=2) as store:
            began = time.monotonic()
            with pytest.raises(StoreError, match=f"127.0.0.1:{port}") as caught:
                store.count(where={})
            assert time.monotonic() - began < 2
        assert "WINDOWFIT_QDRANT_GRPC_PORT" in caught.value.hint

    def test_a_server_that_restarts_is_reached_again_within_one_call(self) -> None:
        port = free_ports(1)[0]
        with grpc_store(port) as store:
            with grpc_server(port, lambda _: None):
                assert store.count(where={}) == 7
            restarted = threading.Event()

            def restart() -> None:
                time.sleep(0.3)
                with grpc_server(port, lambda _: None):
                    restarted.wait(10)

            thread = threading.Thread(target=restart)
            thread.start()
            assert store.count(where={}) == 7
            restarted.set()
            thread.join()


@contextmanager
def grpc_server(port: int, before: Callable[[grpc.ServicerContext], object]) -> Iterator[None]:
    """Serve gRPC calls of every name: run `before`, then count seven points."""

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, _: object) -> grpc.RpcMethodHandler:
            def answer(_: bytes, context: grpc.ServicerContext) -> bytes:
                before(context)
                counted = wire.CountResponse(result=wire.CountResult(count=7))
                return bytes(counted.SerializeToString())

            return grpc.unary_unary_rpc_method_handler(answer)

    with ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool, handlers=[Handler()])
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()
        yield
        server.stop(None).wait()


@contextmanager
def grpc_store(port: int, *, timeout_seconds: float = 10) -> Iterator[QdrantPointStore]:
    """Open a collection whose points travel over gRPC; nothing answers over REST."""
    connection = Connection(
        "http://127.0.0.1:9", api_key="secret", timeout_seconds=timeout_seconds, grpc_port=port
    )
    yield QdrantPointStore(connection, "c", dimension=4, rescore=None)
    connection.close()


def answer_once(server: socket.socket, answer: bytes) -> None:
    """Accept one connection, read a request and send the answer."""
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)


@pytest.mark.parametrize("asked", [None, True, False])
@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("quantization", ["none", "int8", "other"])
def test_a_search_is_settled_by_vectors_unless_bytes_do_and_these_are_on_disk(
    quantization: str, *, on_disk: bool, asked: bool | None
) -> None:
    layout = CollectionLayout(quantization=quantization, vectors_on_disk=on_disk)
    unsaid = not (quantization == "int8" and on_disk)
    expected = None if quantization == "none" else unsaid if asked is None else asked
    assert settles(layout, asked) is expected
