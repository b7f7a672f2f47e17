"""Unit tests reach no server and see no setting of the machine they run on."""

from __future__ import annotations

import os

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> object:
    """Close the sockets before any fixture is set up; an event loop's own pipe stays allowed."""
    disable_socket(allow_unix_socket=True)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> object:
    """Open the sockets again for the tests of other folders."""
    try:
        return (yield)
    finally:
        enable_socket()


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in list(os.environ):
        if variable.startswith("WINDOWFIT_"):
            monkeypatch.delenv(variable)
