"""The embedder loads late, streams while it tokenizes, and stops as a whole."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from chunking.errors import EmbedderUnavailable
from retrieval import embed
from retrieval.batches import BatchLimits
from retrieval.transformer import TransformerEmbedder
from retrieval.transformer import encoder as encoder_module
from retrieval.transformer.encoder import Encoder
from retrieval.transformer.windows import FIRST_TEXTS

ROOT = Path(embed.__file__).parents[1]
SMALL = BatchLimits(budget=64, overhead=8)


@pytest.fixture(autouse=True)
def no_thread_outlives_a_test() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.fixture
def embedder(tiny_weights: str) -> TransformerEmbedder:
    return TransformerEmbedder(tiny_weights, devices=("cpu",), limits=SMALL)


def texts_of(count: int) -> list[str]:
    return [f"The population of Chad grows by {n} % " * (n % 4) for n in range(count)]


@pytest.mark.parametrize("count", [1, 63])
def test_few_texts_have_the_same_rows_before_and_after_many_were_embedded(
    embedder: TransformerEmbedder, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    seconds = {"torch.float32": 1.0, "torch.bfloat16": 0.5}
    monkeypatch.setattr(encoder_module, "_seconds", lambda model, _: seconds[str(model.dtype)])
    texts = texts_of(64)
    before = embedder.embed(texts[:count])
    narrow = embedder.embed(texts)
    assert embedder.encoder().dtype == "bfloat16"
    np.testing.assert_array_equal(embedder.embed(texts[:count]), before)
    assert abs(narrow[:count] - before).max() > 0


def in_python(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_embedding_imports_nothing_of_ours_but_torch_and_its_libraries(tiny_weights: str) -> None:
    code = """
import sys
class Hiding:
    def __init__(self, finder): self.finder = finder
    def __getattr__(self, name): return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        hidden = name.partition(".")[0] in set(sys.argv[2].split())
        return None if hidden else self.finder.find_spec(name, path, target)
sys.meta_path = [Hiding(finder) for finder in sys.meta_path]
import scripts.bench_embed
from retrieval.transformer import TransformerEmbedder
embedder = TransformerEmbedder(sys.argv[1], devices=("cpu",))
print([rows.shape for rows in embedder.embed_stream([["Chad"], ["Peru", ""]])])
"""
    others = (
        "fastapi genai_prices llama_index markdown_it mistral_common nupunkt openai pydantic "
        "pydantic_settings qdrant_client qdrant_edge rensa rich tiktoken typer uvicorn"
    )
    assert in_python(code, tiny_weights, others).strip() == "[(1, 32), (2, 32)]"


def test_counting_and_batches_without_texts_import_no_slow_library(tiny_weights: str) -> None:
    code = """
import sys
from retrieval.transformer import TransformerEmbedder
embedder = TransformerEmbedder(sys.argv[1])
assert embedder.count_tokens(["Chad"]) and list(embedder.embed_stream([])) == []
assert [rows.shape for rows in embedder.embed_stream([[], []])] == [(0, 32), (0, 32)]
print([name for name in ("torch", "transformers", "sentence_transformers") if name in sys.modules])
"""
    assert in_python(code, tiny_weights).strip() == "[]"


def test_a_stream_gives_what_embedding_gives(
    embedder: TransformerEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The precision may change with the first large window, and near rows are not equal ones.
    monkeypatch.setattr(Encoder, "settle", lambda *_: None)
    batches = [texts_of(10), [], texts_of(3), texts_of(FIRST_TEXTS + 5)]
    found = list(embedder.embed_stream(iter(batches)))
    assert [len(rows) for rows in found] == [10, 0, 3, FIRST_TEXTS + 5]
    expected = np.concatenate([embedder.embed(batch) for batch in batches if batch])
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-6)


def test_the_next_texts_are_tokenized_while_the_model_works(
    embedder: TransformerEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = threading.Event()
    tokenizing: set[str] = set()
    ids, start = embedder.tokens.ids, Encoder.start

    def tokenize(texts: Sequence[str]) -> list[np.ndarray]:
        tokenizing.add(threading.current_thread().name)
        if texts == ["second"]:
            second.set()
        return ids(texts)

    def work(encoder: Encoder, batch: object) -> object:
        assert second.wait(10), "the second batch was not tokenized while the first was at work"
        return start(encoder, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(embedder.tokens, "ids", tokenize)
    monkeypatch.setattr(Encoder, "start", work)
    assert len(list(embedder.embed_stream([["first"], ["second"]]))) == 2
    assert len(tokenizing) == 1
    assert threading.current_thread().name not in tokenizing


def test_an_error_of_the_texts_ends_the_stream_once_after_the_rows_before_it(
    embedder: TransformerEmbedder,
) -> None:
    def source() -> Iterator[list[str]]:
        yield ["Chad"]
        raise LookupError("source")

    stream = embedder.embed_stream(source())
    assert next(stream).shape == (1, 32)
    with pytest.raises(LookupError, match="source"):
        next(stream)
    assert list(stream) == []


def test_an_error_of_the_model_ends_the_texts(
    embedder: TransformerEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = threading.Event()

    def source() -> Iterator[list[str]]:
        try:
            for _ in range(10**9):
                yield ["Chad"]
        finally:
            closed.set()

    def fail(encoder: Encoder, batch: object) -> object:
        raise EmbedderUnavailable("no memory")

    monkeypatch.setattr(Encoder, "start", fail)
    with pytest.raises(EmbedderUnavailable, match="no memory"):
        list(embedder.embed_stream(source()))
    assert closed.is_set()


def test_a_stream_that_is_left_takes_no_more_texts(embedder: TransformerEmbedder) -> None:
    taken = 0

    def source() -> Iterator[list[str]]:
        nonlocal taken
        for _ in range(10**9):
            taken += 1
            yield ["Chad"]

    stream = embedder.embed_stream(source())
    next(stream)
    stream.close()
    before = taken
    assert list(stream) == []
    assert taken == before < 50
