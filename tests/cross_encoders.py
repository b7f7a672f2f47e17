"""Cross-encoders of the right kind that are tiny and random, so that a test may load them."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification

from scripts.random_embedder import Shape, write_random_embedder

_SHAPE = Shape(dimension=32, layers=2, heads=2, inner=64, vocabulary=300, input_limit=64)


def write_random_cross_encoder(folder: Path, *, scores: int = 1) -> Path:
    """Write random weights, the same ones each time, and a tokenizer; return the folder.

    Args:
        scores: how many a text is given; a reranker gives one.
    """
    texts = ["The capital of Peru is Lima.", "Copper is mined in Chile and in Zambia; tin is not."]
    write_random_embedder(folder, texts, shape=_SHAPE)
    for name in ("modules.json", "sentence_bert_config.json", "1_Pooling/config.json"):
        (folder / name).unlink()
    config = BertConfig.from_pretrained(folder)
    config.num_labels = scores
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder
