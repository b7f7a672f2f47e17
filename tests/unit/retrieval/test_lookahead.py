"""A thread takes items ahead of who reads them, and ends with the block, whatever happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from retrieval.lookahead import Lookahead


@pytest.fixture(autouse=True)
def no_thread_outlives_a_test() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "waited for 10 s"
        time.sleep(0.002)


@pytest.mark.parametrize("size", [0, 1, 3, 100])
def test_items_come_in_order_and_all_of_them(size: int) -> None:
    with Lookahead(range(50), size=size) as items:
        assert list(items) == [*range(50)]
        assert list(items) == []


def test_items_are_taken_while_the_reader_works_and_no_more_than_may_wait() -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    with Lookahead(source(), size=3) as items:
        # Three wait, and the one that found no room is in the thread's hand.
        wait_until(lambda: len(taken) == 4)
        time.sleep(0.1)
        assert len(taken) == 4
        assert next(items) == 0
        wait_until(lambda: len(taken) == 5)


def test_the_source_is_iterated_on_one_other_thread() -> None:
    threads = set()

    def source() -> Iterator[int]:
        for number in range(5):
            threads.add(threading.get_ident())
            yield number

    with Lookahead(source(), size=1) as items:
        assert len(list(items)) == 5
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_an_error_of_the_source_comes_once_and_after_the_items_before_it() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise LookupError("source")

    with Lookahead(source(), size=5) as items:
        assert [next(items), next(items)] == [1, 2]
        with pytest.raises(LookupError, match="source"):
            next(items)
        assert list(items) == []


def test_an_error_of_the_reader_ends_the_source() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    with pytest.raises(LookupError, match="reader"), Lookahead(source(), size=2) as items:  # noqa: PT012
        next(items)
        raise LookupError("reader")
    assert closed.is_set()


def test_an_error_that_nobody_reads_is_not_raised_elsewhere() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise LookupError("unread")

    with Lookahead(source(), size=5) as items:
        assert next(items) == 1
        wait_until(lambda: items.ready)


def test_ready_tells_whether_reading_waits() -> None:
    go_on = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        go_on.wait(10)
        yield 2

    with Lookahead(source(), size=5) as items:
        assert next(items) == 1
        assert not items.ready
        go_on.set()
        wait_until(lambda: items.ready)
        assert next(items) == 2
        wait_until(lambda: items.ready)
        assert list(items) == []
        assert items.ready


def test_a_reader_waits_no_longer_than_it_said() -> None:
    late = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        late.wait(10)
        yield 2

    with Lookahead(items(), size=1, timeout_seconds=0.05) as taken:
        assert next(taken) == 1
        with pytest.raises(TimeoutError, match=r"0\.05 s"):
            next(taken)
        late.set()
