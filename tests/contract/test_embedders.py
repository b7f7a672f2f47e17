"""Every embedder keeps the promises of `Embedder`, the one without weights included."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from retrieval.embed import Embedder, HashEmbedder
from retrieval.transformer.tokens import WholeTokens
from tests.weights import real_embedder

TEXTS = [
    "What is the capital of Chad?",
    "India > Communications\nInternet users - percent of population: 56% (2023 est.)",
    "東京都は日本の首都である。",
    "🙂👩‍👩‍👧‍👦🇮🇳 e\u0301 \u202e",
    "x",
    "",
    " \n\t\u00a0\u2028",
]
HOSTILE = [
    "\ud800",
    "a\udc00b\ud83d",
    "\x00\x07\x1b[0m",
    "\ufffe\uffff",
    "[CLS] [SEP] [PAD] [MASK]",
]
LONG = "The population of the country is growing. " * 400
MANY = 64
"""Texts from which on an embedder may change how it computes."""


@pytest.fixture(scope="module", params=["hash", "sentence-transformers"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    return HashEmbedder() if request.param == "hash" else real_embedder()


class TestEmbedder:
    """The contract."""

    def test_the_name_is_provider_and_model(self, embedder: Embedder) -> None:
        provider, _, model = embedder.name.partition(":")
        assert provider
        assert model
        assert embedder.dimension > 0
        assert embedder.input_limit > 0

    @pytest.mark.parametrize("texts", [TEXTS, HOSTILE, [LONG]], ids=["plain", "hostile", "long"])
    def test_rows_are_unit_vectors_of_single_precision(
        self, embedder: Embedder, texts: list[str]
    ) -> None:
        rows = embedder.embed(texts)
        assert rows.shape == (len(texts), embedder.dimension)
        assert rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)

    def test_no_texts_have_no_rows(self, embedder: Embedder) -> None:
        rows = embedder.embed([])
        assert rows.shape == (0, embedder.dimension)
        assert rows.dtype == np.float32
        assert embedder.count_tokens([]) == []

    def test_a_stream_gives_the_rows_of_each_batch_in_order(self, embedder: Embedder) -> None:
        batches = [TEXTS, [], HOSTILE, [LONG], TEXTS[::-1]]
        found = list(embedder.embed_stream(iter(batches)))
        assert [rows.shape for rows in found] == [(len(b), embedder.dimension) for b in batches]
        assert all(rows.dtype == np.float32 for rows in found)
        for rows, batch in zip(found, batches, strict=True):
            assert ((rows * embedder.embed(batch)).sum(axis=1) > 0.9999).all()

    def test_a_stream_of_nothing_is_empty(self, embedder: Embedder) -> None:
        assert list(embedder.embed_stream([])) == []

    def test_an_error_of_the_texts_is_raised_once_by_the_stream(self, embedder: Embedder) -> None:
        def source() -> Iterator[list[str]]:
            yield TEXTS[:2]
            raise LookupError("source")

        stream = embedder.embed_stream(source())
        assert len(next(stream)) == 2
        with pytest.raises(LookupError, match="source"):
            next(stream)
        assert list(stream) == []

    def test_no_thread_outlives_a_stream(self, embedder: Embedder) -> None:
        before = threading.active_count()
        list(embedder.embed_stream([TEXTS, TEXTS]))
        assert threading.active_count() == before

    def test_equal_texts_have_equal_rows(self, embedder: Embedder) -> None:
        first, second = embedder.embed([TEXTS[0], TEXTS[0]])
        np.testing.assert_allclose(first, second, atol=1e-6)

    def test_a_text_alone_and_in_a_large_batch_are_the_same(self, embedder: Embedder) -> None:
        early = np.concatenate([embedder.embed([text]) for text in TEXTS])
        filler = [f"{LONG[: 5 * n]} {n}" for n in range(MANY)]
        batch = [*TEXTS, *filler]
        places = random.Random(5).sample(range(len(batch)), len(batch))
        rows = embedder.embed([batch[place] for place in places])
        together = np.stack([rows[places.index(place)] for place in range(len(TEXTS))])
        streamed = np.concatenate(list(embedder.embed_stream([text] for text in TEXTS)))
        assert ((streamed * together).sum(axis=1) > 0.9999).all()
        # The first large batch may settle the precision of many; a question's row stays what it is.
        late = np.concatenate([embedder.embed([text]) for text in TEXTS])
        np.testing.assert_array_equal(late, early)
        assert ((early * together).sum(axis=1) > 0.9995).all()

    def test_a_question_is_nearer_to_its_answer_than_to_another(self, embedder: Embedder) -> None:
        question, answer, other = embedder.embed(
            ["capital of Chad", "The capital of Chad is N'Djamena.", "Copper is mined in Peru."]
        )
        assert question @ answer > question @ other

    def test_counts_are_uncut_and_grow_with_the_text(self, embedder: Embedder) -> None:
        [once, twice] = embedder.count_tokens([LONG, LONG + LONG])
        assert once > 400 > embedder.input_limit
        assert twice > 1.9 * once

    def test_a_count_does_not_depend_on_its_company(self, embedder: Embedder) -> None:
        texts = [*TEXTS, *HOSTILE, LONG]
        assert embedder.count_tokens(texts) == [embedder.count_tokens([t])[0] for t in texts]

    def test_counts_stay_uncut_after_embedding(self, embedder: Embedder) -> None:
        before = embedder.count_tokens([LONG])
        embedder.embed([LONG, "short"])
        assert embedder.count_tokens([LONG, "short"])[:1] == before

    def test_the_ends_of_a_text_are_counted(self, embedder: Embedder) -> None:
        empty, word = embedder.count_tokens(["", "population"])
        assert word == empty + 1

    def test_threads_get_what_one_thread_gets(self, embedder: Embedder) -> None:
        texts = [f"{text} {n}" for n in range(4) for text in TEXTS]
        expected = embedder.embed(texts)
        counts = embedder.count_tokens(texts)

        def work(text: str) -> tuple[np.ndarray, int]:
            return embedder.embed([text])[0], embedder.count_tokens([text])[0]

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(work, texts))
        assert [count for _, count in found] == counts
        rows = np.stack([row for row, _ in found])
        assert ((rows * expected).sum(axis=1) > 0.9999).all()


def test_rows_are_those_of_sentence_transformers_itself() -> None:
    embedder = real_embedder()
    encoder = embedder.encoder()
    if encoder.dtype != "float32":
        pytest.skip(
            f"the library's own rows are compared in float32, this device has {encoder.dtype}"
        )
    draw = random.Random(11)
    words = [
        *"the population of Chad is growing by 3.5 % , area : 1,284,000 sq km É 東京 🙂".split()
    ]
    texts = [" ".join(draw.choices(words, k=draw.randint(0, 320))) for _ in range(40)]
    texts += [*TEXTS, LONG]
    expected = encoder.model.encode(texts, show_progress_bar=False)
    # Fewer texts than settle the precision.
    np.testing.assert_allclose(embedder.embed(texts), expected, atol=1e-5)
    [rows] = embedder.embed_stream([texts])
    np.testing.assert_allclose(rows, expected, atol=1e-5)


def test_the_known_words_count_as_the_tokenizer_does() -> None:
    embedder = real_embedder()
    whole = WholeTokens(embedder.encoder().model.tokenizer.backend_tokenizer, limit=256)
    texts = [*TEXTS, *HOSTILE, LONG, *LONG.split(" ")]
    assert embedder.count_tokens(texts) == whole.count(texts)
    for found, expected in zip(embedder.tokens.ids(texts), whole.ids(texts), strict=True):
        np.testing.assert_array_equal(found, expected)
