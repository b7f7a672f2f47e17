"""Rows of a stream come in order, as soon as they may, with no more under way than is allowed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from retrieval.points import Vector
from retrieval.transformer.encoder import Running
from retrieval.transformer.stream import embed_windows
from retrieval.transformer.windows import Batch, Window


def make_window(*numbers: int, last: bool = True) -> Window:
    """A window with a batch for each number, in reverse, so that order has to be restored."""
    batches = []
    for position, number in reversed([*enumerate(numbers)]):
        counts = np.array([1], dtype=np.int32)
        batches.append(Batch([position], np.full((1, 1), number, np.int32), counts, [str(number)]))
    return Window(len(numbers), batches, last)


class ScriptedRunner:
    """Answers each batch with its number, and records what happened."""

    def __init__(self, lag: int) -> None:
        self.lag = lag
        self.log: list[str] = []

    def settle(self, window: Window) -> None:
        self.log.append(f"window of {window.count}")

    def start(self, batch: Batch) -> Running:
        number = int(batch.ids[0, 0])
        self.log.append(f"start {number}")

        def finish() -> Vector:
            self.log.append(f"finish {number}")
            return np.array([[number]], dtype=np.float32)

        return finish


def streamed(
    runner: ScriptedRunner, windows: Iterator[Window], *, ready: bool = True
) -> Iterator[list[float]]:
    found = embed_windows(windows, lambda: runner, dimension=1, ready=lambda: ready)
    return (rows[:, 0].tolist() for rows in found)


@pytest.mark.parametrize("lag", [0, 1, 5])
@pytest.mark.parametrize("ready", [True, False])
def test_rows_are_those_of_each_callers_batch_in_order(lag: int, ready: bool) -> None:
    windows = [make_window(1, 2, last=False), make_window(3), make_window(), make_window(4, 5)]
    found = streamed(ScriptedRunner(lag), iter(windows), ready=ready)
    assert list(found) == [[1, 2, 3], [], [4, 5]]


def test_the_next_window_is_started_before_the_rows_of_the_last_are_waited_for() -> None:
    runner = ScriptedRunner(lag=1)
    found = streamed(runner, iter([make_window(1), make_window(2), make_window(3)]))
    assert next(found) == [1]
    started = [line for line in runner.log if not line.startswith("window")]
    assert started == ["start 1", "start 2", "finish 1"]


def test_rows_do_not_wait_for_texts_that_are_not_there_yet() -> None:
    runner = ScriptedRunner(lag=5)

    def source() -> Iterator[Window]:
        yield make_window(1)
        pytest.fail("asked for more before the rows were given")

    assert next(streamed(runner, source(), ready=False)) == [1]


def test_a_device_that_works_at_once_has_one_window_under_way() -> None:
    runner = ScriptedRunner(lag=0)
    list(streamed(runner, iter([make_window(1), make_window(2)])))
    order = [line for line in runner.log if not line.startswith("window")]
    assert order == ["start 1", "finish 1", "start 2", "finish 2"]


def test_a_window_is_looked_at_before_its_batches_start() -> None:
    runner = ScriptedRunner(lag=0)
    list(streamed(runner, iter([make_window(1, 2)])))
    assert runner.log[:2] == ["window of 2", "start 2"]


def test_no_model_is_asked_for_while_there_is_no_text() -> None:
    def runner_of() -> ScriptedRunner:
        pytest.fail("asked")

    found = embed_windows(
        iter([make_window(), make_window()]), runner_of, dimension=3, ready=lambda: True
    )
    assert [rows.shape for rows in found] == [(0, 3), (0, 3)]
