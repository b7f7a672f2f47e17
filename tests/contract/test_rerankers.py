"""Every reranker keeps the promises of `Reranker`, the one without weights included."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chunking.errors import ConfigurationError
from retrieval.rerank import QUESTION_LIMIT, RERANKED, Reranker, WordReranker
from retrieval.transformer import CrossEncoderReranker
from tests.cross_encoders import write_random_cross_encoder

QUESTION = "What is the capital of Peru?"
TEXTS = ["The capital of Peru is Lima.", "Copper is mined in Chile.", "", "東京 🙂 e\u0301"]
HOSTILE = ["\ud800", "a\udc00b", "\x00\x07\x1b[0m", "[CLS] [SEP] [PAD]", "long " * 5000]


@pytest.fixture(scope="module", params=["words", "sentence-transformers"])
def reranker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reranker:
    if request.param == "words":
        return WordReranker()
    folder = write_random_cross_encoder(tmp_path_factory.mktemp("weights") / "tiny")
    return CrossEncoderReranker("tiny", folder, device="cpu")


class TestReranker:
    """The contract."""

    def test_the_name_begins_with_the_provider(self, reranker: Reranker) -> None:
        assert reranker.name in {"words", "sentence-transformers:tiny"}

    @pytest.mark.parametrize("texts", [TEXTS, HOSTILE, ["x"], TEXTS * RERANKED])
    def test_every_text_gets_a_finite_score(self, reranker: Reranker, texts: list[str]) -> None:
        scores = reranker.score(QUESTION, texts)
        assert len(scores) == len(texts)
        assert all(math.isfinite(score) for score in scores)

    def test_no_text_gets_no_score(self, reranker: Reranker) -> None:
        assert reranker.score(QUESTION, []) == []

    @pytest.mark.parametrize("question", ["", "\ud800", "word " * (QUESTION_LIMIT // 5)])
    def test_any_question_may_be_asked(self, reranker: Reranker, question: str) -> None:
        assert all(math.isfinite(score) for score in reranker.score(question, TEXTS))

    def test_the_same_question_gets_the_same_scores(self, reranker: Reranker) -> None:
        assert reranker.score(QUESTION, TEXTS) == reranker.score(QUESTION, TEXTS)

    def test_a_text_is_scored_by_itself_not_by_its_neighbours(self, reranker: Reranker) -> None:
        together = reranker.score(QUESTION, TEXTS)
        alone = [reranker.score(QUESTION, [text])[0] for text in TEXTS]
        assert together == pytest.approx(alone, abs=1e-5)

    def test_scores_depend_on_question_and_text(self, reranker: Reranker) -> None:
        assert len(set(reranker.score(QUESTION, TEXTS[:2]))) == 2
        other = reranker.score("Where is copper mined?", TEXTS[:2])
        assert other != reranker.score(QUESTION, TEXTS[:2])

    def test_threads_may_share_it(self, reranker: Reranker) -> None:
        expected = reranker.score(QUESTION, TEXTS)
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: reranker.score(QUESTION, TEXTS), range(8)))
        assert all(scores == pytest.approx(expected, abs=1e-6) for scores in found)


def test_a_classifier_of_three_classes_is_refused_with_its_number(tmp_path: Path) -> None:
    folder = write_random_cross_encoder(tmp_path / "three", scores=3)
    with pytest.raises(ConfigurationError, match="gives 3 scores to a text"):
        CrossEncoderReranker("three", folder, device="cpu").score(QUESTION, TEXTS)


def test_weights_that_cannot_be_read_are_a_typed_error(tmp_path: Path) -> None:
    folder = write_random_cross_encoder(tmp_path / "broken")
    (folder / "config.json").write_text("{")
    with pytest.raises(ConfigurationError, match="cannot load the reranker"):
        CrossEncoderReranker("broken", folder, device="cpu").score(QUESTION, TEXTS)
