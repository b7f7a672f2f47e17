"""The reranker over a sentence-transformers cross-encoder; loads it when first needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from chunking.counters import well_formed
from chunking.errors import EmbedderUnavailable
from retrieval.transformer.loading import available_devices, load_cross_encoder

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

_BATCH = 32
_PAIR_LIMIT = 512
"""Most tokens of a question and a text together that are read."""


class CrossEncoderReranker:
    """A `Reranker` over a folder of cross-encoder weights; thread-safe, one question at a time.

    Args:
        model: the name that it was chosen by.
        folder: where its weights lie, see `find_cross_encoder`.
        device: where to compute; the first CUDA device, or else the CPU, by default.
    """

    def __init__(self, model: str, folder: Path, *, device: str | None = None) -> None:
        self.name = f"sentence-transformers:{model}"
        self._folder = folder
        self._device = device
        self._model: CrossEncoder | None = None
        # The tokenizer changes while it is used, and one pass fills the device.
        self._lock = Lock()

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """See `Reranker.score`; the scores are the model's logits.

        Raises:
            ConfigurationError: the weights cannot be loaded, or give another number of scores.
            DependencyMissing: sentence-transformers is not installed.
            EmbedderUnavailable: the device has no memory for the texts, or a score is no number.
        """
        pairs = [(well_formed(question), well_formed(text)) for text in texts]
        with self._lock:
            if self._model is None:
                device = self._device or available_devices()[0]
                self._model = load_cross_encoder(str(self._folder), device=device)
            scores = _predict(self._model, pairs)
        if not np.isfinite(scores).all():
            raise EmbedderUnavailable(
                f"{self.name}: {np.sum(~np.isfinite(scores))} of {len(scores)} scores are no "
                "numbers",
                hint="fetch its weights again, or set `reranker` to none",
            )
        return [float(score) for score in scores]


def _predict(model: CrossEncoder, pairs: list[tuple[str, str]]) -> np.ndarray:
    import torch

    if not pairs:
        return np.zeros(0, dtype=np.float32)
    limit = min(model.max_seq_length or _PAIR_LIMIT, _PAIR_LIMIT)
    try:
        return np.asarray(
            model.predict(
                pairs,
                batch_size=_BATCH,
                show_progress_bar=False,
                processing_kwargs={"text": {"max_length": limit, "truncation": True}},
                # A sigmoid makes one of all large logits, and then they have no order.
                activation_fn=torch.nn.Identity(),
            ),
            dtype=np.float32,
        )
    except torch.OutOfMemoryError as error:
        raise EmbedderUnavailable(
            f"no memory on {model.device} to rerank {len(pairs)} texts",
            hint="free memory there, or set `reranker` to none",
        ) from error
