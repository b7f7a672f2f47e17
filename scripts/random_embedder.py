"""Writes a folder of embedder weights that are random: the right shape and speed, no meaning.

For machines without the published weights, and for tests. Needs torch, transformers and tokenizers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a BERT encoder; that of all-MiniLM-L6-v2 unless said otherwise."""

    dimension: int = 384
    layers: int = 6
    heads: int = 12
    inner: int = 1536
    vocabulary: int = 30_522
    input_limit: int = 256


def write_random_embedder(
    folder: Path, texts: Sequence[str], *, shape: Shape | None = None
) -> None:
    """Write weights, the same ones each time, and a word-piece tokenizer trained on the texts."""
    shape = shape or Shape()
    tokenizer = _trained(texts, shape.vocabulary)
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            hidden_size=shape.dimension,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.inner,
            vocab_size=shape.vocabulary,
            max_position_embeddings=max(512, shape.input_limit),
            pad_token_id=tokenizer.token_to_id("[PAD]"),
        )
    )
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    marks = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    _write(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", **marks})
    _write(folder / "sentence_bert_config.json", {"max_seq_length": shape.input_limit})
    _write(
        folder / "modules.json",
        [
            {
                "idx": place,
                "name": str(place),
                "path": path,
                "type": f"sentence_transformers.models.{kind}",
            }
            for place, (path, kind) in enumerate(
                (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
            )
        ],
    )
    pooling = {"word_embedding_dimension": shape.dimension, "pooling_mode_mean_tokens": True}
    _write(folder / "1_Pooling" / "config.json", pooling)


def _trained(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIAL), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    ends = [(mark, tokenizer.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return tokenizer


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=2))
