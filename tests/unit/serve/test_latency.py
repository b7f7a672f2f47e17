"""Times of models: the median of the last answers."""

from __future__ import annotations

from serve.latency import REMEMBERED, Latencies


def test_a_model_takes_the_median_of_its_last_answers() -> None:
    latencies = Latencies()
    for seconds in (1.0, 9.0, 2.0):
        latencies.note("near", seconds)

    assert latencies.seconds() == {"near": 2.0}


def test_old_times_are_forgotten() -> None:
    latencies = Latencies()
    for seconds in [60.0] * REMEMBERED + [1.0] * REMEMBERED:
        latencies.note("near", seconds)

    assert latencies.seconds() == {"near": 1.0}
