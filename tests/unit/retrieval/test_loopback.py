from __future__ import annotations

import pytest

from retrieval.loopback import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_this_machine_is_known_by_every_loopback_address(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["127.example.com", "localhost.example.com", "10.0.0.1", ""])
def test_a_name_that_only_looks_like_it_is_another_machine(host: str) -> None:
    assert not is_loopback(host)
