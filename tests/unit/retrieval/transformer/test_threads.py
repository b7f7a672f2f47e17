from __future__ import annotations

from collections.abc import Iterator
from threading import Thread

import pytest
import torch

from retrieval.transformer.threads import threads_for


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("tokens", "threads"), [(1, 1), (64, 1), (65, 3), (4096, 3)])
def test_a_few_tokens_are_computed_by_one_thread_and_more_by_all(tokens: int, threads: int) -> None:
    with threads_for(tokens, most=3):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 3


def test_two_that_overlap_leave_the_threads_as_they_were() -> None:
    first, second = threads_for(1, most=3), threads_for(1, most=3)
    for one in (first, second):
        one.__enter__()
    for one in (first, second):
        one.__exit__(None, None, None)
    assert torch.get_num_threads() == 3


def test_an_error_leaves_the_threads_as_they_were() -> None:
    with pytest.raises(KeyError), threads_for(1, most=3):
        raise KeyError
    assert torch.get_num_threads() == 3


def test_what_another_thread_computes_meanwhile_keeps_its_own() -> None:
    found: list[int] = []

    def look() -> None:
        with threads_for(4096, most=3):
            found.append(torch.get_num_threads())

    other = Thread(target=look)
    with threads_for(1, most=3):
        other.start()
        other.join()
    assert found == [3]
