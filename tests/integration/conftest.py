"""Real servers for the tests of this folder, and the figures that the tests measured."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from scripts.vllm_server import ServerError, running_vllm
from tests.integration.commands import command

__all__ = ["command"]


@pytest.fixture(scope="session")
def vllm_url() -> Iterator[str]:
    """The base URL, `/v1` included, of the vLLM that is named, or of one run for this session."""
    if named := os.environ.get("WINDOWFIT_TEST_VLLM_URL"):
        yield f"{named.rstrip('/').removesuffix('/v1')}/v1"
        return
    try:
        with running_vllm() as url:
            yield url
    except ServerError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each `figure` that a test recorded with `record_property`, passed or failed."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == "figure":
                    terminalreporter.write_line(str(value))
