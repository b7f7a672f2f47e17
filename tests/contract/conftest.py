"""The engines that the contract runs against, and the server that one of them needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from retrieval.edge import EdgeEngine
from retrieval.points import Engine, MemoryEngine
from retrieval.qdrant import QdrantEngine
from scripts.qdrant_server import NoServerError, running_server
from tests.contract.workbench import Workbench

ENGINES = [
    "memory",
    "edge",
    pytest.param("qdrant", marks=[pytest.mark.qdrant, pytest.mark.network]),
]


@pytest.fixture(scope="session")
def qdrant_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real server: the one that is named, or one started for this session."""
    with ExitStack() as servers:
        url = os.environ.get("WINDOWFIT_TEST_QDRANT_URL")
        try:
            if not url:
                url = servers.enter_context(running_server(tmp_path_factory.mktemp("qdrant")))
        except NoServerError as error:
            if os.environ.get("CI"):
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield url


@pytest.fixture(params=ENGINES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workbench]:
    """An engine of the kind named by the parameter; its collection is dropped afterwards."""
    kind: str = request.param
    url: str = request.getfixturevalue("qdrant_url") if kind == "qdrant" else ""
    connect: dict[str, Callable[[], Engine]] = {
        "memory": MemoryEngine,
        "edge": lambda: EdgeEngine(tmp_path / "store"),
        "qdrant": lambda: QdrantEngine(url),
    }
    bench = Workbench(connect[kind](), f"contract-{uuid4().hex}", connect[kind])
    yield bench
    bench.engine.drop(bench.collection)
    bench.engine.close()
