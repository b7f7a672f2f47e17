"""Devices work in processes of their own; rows come in order, and a process that dies is told."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from chunking.errors import ConfigurationError, EmbedderUnavailable
from retrieval.batches import BatchLimits
from retrieval.transformer import TransformerEmbedder
from retrieval.transformer.processes import DeviceProcesses
from retrieval.transformer.windows import prepare

SMALL = BatchLimits(budget=64, overhead=8)
BATCHES = [
    [f"The population of Chad grows by {n} % " * (n % 3) for n in range(k, k + 9)] for k in range(6)
]


@pytest.fixture(autouse=True)
def nothing_outlives_a_test() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert multiprocessing.active_children() == []
    assert threading.active_count() == before


@pytest.fixture
def embedder(tiny_weights: str) -> TransformerEmbedder:
    return TransformerEmbedder(tiny_weights, devices=("cpu", "cpu"), limits=SMALL)


def test_two_processes_give_what_one_device_gives_in_order(
    embedder: TransformerEmbedder, tiny_weights: str
) -> None:
    alone = TransformerEmbedder(tiny_weights, devices=("cpu",))
    found = []
    most = 0
    for rows in embedder.embed_stream([*BATCHES, []]):
        found.append(rows)
        most = max(most, len(multiprocessing.active_children()))
    assert most == 2
    assert [len(rows) for rows in found] == [9] * 6 + [0]
    expected = np.concatenate([alone.embed(batch) for batch in BATCHES])
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-6)


def test_a_process_that_dies_is_a_typed_error_raised_once(embedder: TransformerEmbedder) -> None:
    stream = embedder.embed_stream(BATCHES * 50)
    next(stream)
    for child in multiprocessing.active_children():
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(EmbedderUnavailable, match="process that embeds on cpu ended") as caught:
        list(stream)
    assert caught.value.retryable
    assert list(stream) == []


def test_a_stream_that_is_left_ends_its_processes(
    embedder: TransformerEmbedder,
) -> None:
    stream = embedder.embed_stream([["Chad"], ["Peru"]] * 50)
    assert next(stream).shape == (1, 32)
    assert multiprocessing.active_children()
    stream.close()


def test_an_error_of_a_process_keeps_its_type(tiny_weights: str, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_weights, tmp_path / "broken")
    embedder = TransformerEmbedder(str(folder), devices=("cpu", "cpu"), limits=SMALL)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ConfigurationError, match="cannot load the embedder") as caught:
        list(embedder.embed_stream([["Chad"]]))
    assert "fetch_data" in caught.value.hint


def test_no_texts_start_no_process(embedder: TransformerEmbedder) -> None:
    assert list(embedder.embed_stream([])) == []


def test_a_batch_goes_to_the_process_with_the_fewest_tokens(
    monkeypatch: pytest.MonkeyPatch, embedder: TransformerEmbedder
) -> None:
    dealt: list[tuple[int, int]] = []

    class Recorder:
        """A process that never finishes."""

        def __init__(self, location: str, device: str) -> None:
            self.number, self.waiting = int(device), 0

        def tokens(self) -> int:
            return self.waiting

        def start(self, batch: object) -> object:
            self.waiting += batch.padded_count  # type: ignore[attr-defined]
            dealt.append((self.number, batch.padded_count))  # type: ignore[attr-defined]
            return None

        def close(self) -> None:
            dealt.append((self.number, 0))

    monkeypatch.setattr("retrieval.transformer.processes._DeviceProcess", Recorder)

    texts = ["Chad " * size for size in (20, 20, 9, 9, 9, 4)]
    [window] = prepare([texts], tokens=embedder.tokens, limits=lambda: BatchLimits(1, 0))
    with DeviceProcesses("folder", ["0", "1"]) as processes:
        assert dealt == []
        for batch in window.batches:
            processes.start(batch)
    assert [number for number, _ in dealt[:6]] == [0, 1, 0, 1, 0, 1]
    assert sorted(dealt[6:]) == [(0, 0), (1, 0)]
