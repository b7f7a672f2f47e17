"""A model of the right kind that is tiny, so that a test may load it."""

from __future__ import annotations

import pytest

from scripts.random_embedder import Shape, write_random_embedder

TEXTS = [
    "The population of Chad is growing by 3 % a year.",
    "Chad > Economy\nThe economy grows, and so does what it owes.",
    "Copper is mined in Peru, in Chile and in Zambia; tin is not.",
]
SHAPE = Shape(dimension=32, layers=2, heads=2, inner=64, vocabulary=300, input_limit=24)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of random weights with 32 dimensions."""
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    write_random_embedder(folder, TEXTS, shape=SHAPE)
    return str(folder)
