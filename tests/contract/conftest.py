"""The engines that the contract runs against, and the server that one of them needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from retrieval.edge.engine import EdgeEngine
from retrieval.memory import MemoryEngine
from retrieval.points import Engine
from retrieval.qdrant.engine import QdrantEngine
from scripts.qdrant_server import Server
from tests.contract.engine_kinds import ENGINES, real_server
from tests.contract.workbench import Workbench


@pytest.fixture(scope="session")
def qdrant_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real server: the one that is named, or one started for this session."""
    url = os.environ.get("WINDOWFIT_TEST_QDRANT_URL")
    if url:
        grpc_port = int(os.environ.get("WINDOWFIT_TEST_QDRANT_GRPC_PORT", "6334"))
        yield Server(pid=0, url=url, grpc_port=grpc_port)
        return
    with real_server(tmp_path_factory.mktemp("qdrant")) as server:
        yield server


@pytest.fixture(params=ENGINES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workbench]:
    """An engine of the kind named by the parameter; its collection is dropped afterwards."""
    kind: str = request.param
    connect: dict[str, Callable[[], Engine]] = {
        "memory": MemoryEngine,
        "edge": lambda: EdgeEngine(tmp_path / "store"),
    }
    if kind.startswith("qdrant"):
        server: Server = request.getfixturevalue("qdrant_server")
        grpc_port = server.grpc_port if kind == "qdrant-grpc" else None
        connect[kind] = lambda: QdrantEngine(server.url, grpc_port=grpc_port)
    bench = Workbench(connect[kind](), f"contract-{uuid4().hex}", connect[kind])
    yield bench
    bench.engine.drop(bench.collection)
    bench.engine.close()
