"""A whole service on a real socket, for what only a connection can show."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from serve.app import create_app
from serve.runtime import Runtime
from serve.settings import ServeSettings


@asynccontextmanager
async def running(runtime: Runtime, settings: ServeSettings) -> AsyncIterator[int]:
    """Serve a runtime on a free port of the loopback interface, and give the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            create_app(runtime, settings), log_config=None, access_log=False, lifespan="on"
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving
