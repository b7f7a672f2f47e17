"""Batches run within the memory and precision of a device and give what the library gives."""

from __future__ import annotations

import json
import logging
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from chunking.errors import ConfigurationError, EmbedderUnavailable
from retrieval.batches import BatchLimits
from retrieval.points import Vector
from retrieval.transformer import encoder as encoder_module
from retrieval.transformer.encoder import Encoder
from retrieval.transformer.tokens import tokens_of
from retrieval.transformer.windows import Window, prepare

DRAW = random.Random(3)
WORDS = (
    "the population of Chad grows , economy 3 % copper is mined in Peru > ; É 東京 [CLS]".split()
)
TEXTS = [" ".join(DRAW.choices(WORDS, k=DRAW.randint(0, 40))) for _ in range(30)]
WIDE = BatchLimits(budget=100_000, overhead=100_000)


def planned(encoder: Encoder, texts: list[str], limits: BatchLimits) -> Window:
    model = encoder.model
    tokens = tokens_of(model.tokenizer.backend_tokenizer, limit=model.max_seq_length or 0)
    [window] = prepare([texts], tokens=tokens, limits=lambda: limits)
    return window


def embedded(encoder: Encoder, texts: list[str], limits: BatchLimits = WIDE) -> Vector:
    window = planned(encoder, texts, limits)
    encoder.settle(window)
    rows = [encoder.start(batch)() for batch in window.batches]
    return window.in_order(rows, dimension=32)


def limit_memory(monkeypatch: pytest.MonkeyPatch, encoder: Encoder, tokens: int) -> list[int]:
    """Let the model's pass fail as a full device does, and return the sizes that it is given."""
    sizes: list[int] = []
    whole = encoder.forward

    def forward(features: dict[str, Any]) -> Any:
        sizes.append(features["input_ids"].numel())
        if sizes[-1] > tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return whole(features)

    monkeypatch.setattr(encoder, "forward", forward)
    return sizes


@pytest.fixture
def encoder(tiny_weights: str) -> Encoder:
    return Encoder(tiny_weights, device="cpu")


@pytest.mark.parametrize("limits", [WIDE, BatchLimits(60, 5), BatchLimits(1, 0)])
def test_rows_are_those_of_the_library(
    encoder: Encoder, tiny_weights: str, limits: BatchLimits
) -> None:
    expected = SentenceTransformer(tiny_weights, device="cpu").encode(TEXTS)
    np.testing.assert_allclose(embedded(encoder, TEXTS, limits), expected, atol=1e-6)


class TestModelsThatAskForMore:
    """Weights whose configuration changes what the library makes of a text."""

    @pytest.fixture
    def folder(self, tiny_weights: str, tmp_path: Path) -> Path:
        return Path(shutil.copytree(tiny_weights, tmp_path / "weights"))

    def rewrite(self, path: Path, **changes: object) -> None:
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, **changes}))

    def check(self, folder: Path) -> Vector:
        expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
        encoder = Encoder(str(folder), device="cpu")
        window = planned(encoder, TEXTS, BatchLimits(60, 5))
        rows = [encoder.start(batch)() for batch in window.batches]
        found = window.in_order(rows, dimension=expected.shape[1])
        np.testing.assert_allclose(found, expected, atol=1e-6)
        return found

    def test_a_prompt_stands_before_every_text(self, folder: Path, tiny_weights: str) -> None:
        self.rewrite(
            folder / "config_sentence_transformers.json",
            prompts={"passage": "copper: "},
            default_prompt_name="passage",
        )
        plain = embedded(Encoder(tiny_weights, device="cpu"), TEXTS)
        assert abs(self.check(folder) - plain).max() > 0.01

    def test_vectors_are_cut_where_the_configuration_says_so(self, folder: Path) -> None:
        self.rewrite(folder / "config_sentence_transformers.json", truncate_dim=16)
        assert self.check(folder).shape == (len(TEXTS), 16)

    def test_the_pooling_is_the_models_own(self, folder: Path, tiny_weights: str) -> None:
        self.rewrite(
            folder / "1_Pooling" / "config.json",
            pooling_mode_mean_tokens=False,
            pooling_mode_cls_token=True,
        )
        plain = embedded(Encoder(tiny_weights, device="cpu"), TEXTS)
        assert abs(self.check(folder) - plain).max() > 0.01

    def test_padding_on_the_left_is_left_to_the_library(self, folder: Path) -> None:
        # There a text's vector depends on its company, so the input is compared, not the vectors.
        self.rewrite(folder / "tokenizer_config.json", padding_side="left")
        encoder = Encoder(str(folder), device="cpu")
        [batch] = planned(encoder, TEXTS, WIDE).batches
        expected = encoder.model.preprocess(batch.texts)
        assert not expected["attention_mask"][-1, 0]
        for name, tensor in encoder.features(batch).items():
            assert name == "modality" or torch.equal(tensor, expected[name])

    def test_cutting_on_the_left_cuts_on_the_left(self, folder: Path) -> None:
        self.rewrite(folder / "tokenizer_config.json", truncation_side="left")
        self.check(folder)

    def test_weights_that_are_no_weights_are_a_typed_error(self, folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        with pytest.raises(ConfigurationError, match="cannot load"):
            Encoder(str(folder), device="cpu")


def test_a_batch_too_large_for_the_memory_goes_on_in_halves_and_is_reported(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = embedded(encoder, TEXTS)
    sizes = limit_memory(monkeypatch, encoder, 100)
    with caplog.at_level(logging.WARNING):
        found = embedded(encoder, TEXTS)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert any(size > 100 for size in sizes)
    [first, *_] = [record.getMessage() for record in caplog.records]
    assert "no memory on cpu" in first
    assert str(max(sizes)) in first
    assert not any(word in caplog.text for word in ("Chad", "20.00 MiB"))


def test_what_did_not_fit_once_is_not_tried_again(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = limit_memory(monkeypatch, encoder, 100)
    embedded(encoder, TEXTS)
    sizes.clear()
    embedded(encoder, TEXTS)
    assert sizes
    assert max(sizes) <= 100


def test_a_single_text_without_memory_is_a_typed_error_with_numbers(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_memory(monkeypatch, encoder, 5)
    with pytest.raises(EmbedderUnavailable, match="24 tokens") as caught:
        embedded(encoder, ["the population of Chad grows " * 9])
    assert caught.value.retryable
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)


def test_vectors_that_overflow_are_computed_again_in_a_wider_precision(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = embedded(encoder, TEXTS)
    whole = encoder.forward

    def forward(features: dict[str, Any]) -> Any:
        rows = whole(features)
        return rows * float("inf") if encoder.dtype == "bfloat16" else rows

    encoder.model = encoder.model.to(torch.bfloat16)
    monkeypatch.setattr(encoder, "forward", forward)
    found = embedded(encoder, TEXTS)
    assert encoder.dtype == "float32"
    assert "overflows bfloat16" in caplog.text
    # The weights were narrow once, so the rows are near and not equal.
    assert (found * expected).sum(axis=1).min() > 0.999


def test_vectors_that_are_no_numbers_in_any_precision_are_a_typed_error(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = encoder.forward
    monkeypatch.setattr(encoder, "forward", lambda features: whole(features) * float("nan"))
    with pytest.raises(EmbedderUnavailable, match="no numbers in float32"):
        embedded(encoder, TEXTS)


@pytest.mark.parametrize(
    ("narrow_seconds", "chosen"), [(0.5, "bfloat16"), (0.95, "float32"), (2.0, "float32")]
)
def test_bfloat16_is_kept_from_the_first_large_window_on_where_it_is_clearly_faster(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch, narrow_seconds: float, chosen: str
) -> None:
    seconds = {torch.float32: 1.0, torch.bfloat16: narrow_seconds}
    monkeypatch.setattr(encoder_module, "_seconds", lambda model, _: seconds[model.dtype])
    early = embedded(encoder, TEXTS)
    assert encoder.dtype == "float32"
    late = embedded(encoder, TEXTS * 3)[: len(TEXTS)]
    assert encoder.dtype == chosen
    assert (early * late).sum(axis=1).min() > 0.999
