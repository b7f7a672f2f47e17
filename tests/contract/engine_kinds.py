"""The kinds of engines that contracts run against, and real servers for those that need one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from scripts.qdrant_server import NoServerError, Server, running_server

SERVERS = [
    pytest.param(kind, marks=[pytest.mark.qdrant, pytest.mark.network])
    for kind in ("qdrant-rest", "qdrant-grpc")
]
ENGINES = ["memory", "edge", *SERVERS]
DURABLE = ["edge", *SERVERS]


@contextmanager
def real_server(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a real server of this test's own, or skip it where this machine cannot run one."""
    with ExitStack() as servers:
        try:
            server = servers.enter_context(running_server(folder, settings=settings))
        except NoServerError as error:
            if os.environ.get("CI"):
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield server
