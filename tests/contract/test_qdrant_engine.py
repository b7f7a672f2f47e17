"""What only the server engine promises: refusals, timeouts, retries; no server is needed."""

from __future__ import annotations

import re
import socket
import threading
import time

import pytest

from chunking.errors import ConfigurationError, InputError, StoreError
from retrieval.qdrant import QdrantEngine


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


def answer_once(server: socket.socket, answer: bytes) -> None:
    """Accept one connection, read a request and send the answer."""
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(answer)
