"""Embeds with sentence-transformers on a CPU or a CUDA device, loaded when first needed."""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chunking.counters import well_formed
from chunking.errors import ConfigurationError, DependencyMissing
from retrieval.weights import WeightFacts, find_weights, read_facts

_MANY_TEXTS = 64
"""From this many texts on, measuring which precision is faster pays for itself."""
_BATCH_SIZES = {"cuda": 256, "cpu": 32}


class TransformerEmbedder:
    """An `Embedder` over a sentence-transformers model; thread-safe.

    Importing the libraries and loading the weights takes seconds, so both wait for the first text
    to embed: counting tokens and checking an index that has not changed need neither.

    The precision is float16 on CUDA. On a CPU it is float32 until the first large batch, which
    measures once whether bfloat16 is faster there: it is on CPUs with AVX512-BF16 or AMX, and
    several times slower on others.

    Args:
        model: model name ("all-MiniLM-L6-v2"), hub name ("org/name") or folder.
        folders: where a folder of that name is looked for before any package or the hub.

    Raises:
        ConfigurationError: the weights are found nowhere, or are not the published ones.
        DependencyMissing: sentence-transformers is not installed.
    """

    def __init__(self, model: str, *, folders: Sequence[Path] = ()) -> None:
        self.name = f"sentence-transformers:{model.rsplit('/', maxsplit=1)[-1]}"
        self._location = find_weights(model, folders=folders)
        self._lock = Lock()
        self._encoder: _Encoder | None = None
        facts = read_facts(self._location)
        if facts is None:
            self._encoder = _Encoder(self._location)
            facts = self._encoder.facts()
        self.dimension = facts.dimension
        self.input_limit = facts.input_limit
        self._tokenizer = _load_tokenizer(self._location, self._encoder)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the word pieces of each text, [CLS] and [SEP] included, uncut."""
        encodable = [well_formed(text) for text in texts]
        return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(encodable)]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit row per text, float32, shape (len(texts), dimension)."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        with self._lock:
            if self._encoder is None:
                self._encoder = _Encoder(self._location)
            return self._encoder.encode(texts)

    def embed_stream(
        self, batches: Iterable[Sequence[str]]
    ) -> Generator[NDArray[np.float32], None, None]:
        """Yield the rows of each batch of texts, one batch after the other."""
        yield from map(self.embed, batches)


class _Encoder:
    """The loaded model; used by one thread at a time."""

    def __init__(self, location: str) -> None:
        try:
            import torch
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise DependencyMissing(
                f"embedding needs the package {error.name!r}", hint="pip install 'windowfit[embed]'"
            ) from error
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self._measured = self.device != "cpu"
        dtype = torch.float32 if self.device == "cpu" else torch.float16
        try:
            with _quiet():
                self.model = SentenceTransformer(
                    location, device=self.device, model_kwargs={"dtype": dtype}
                )
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"cannot load the embedder from {location}: {type(error).__name__}",
                hint="`python -m scripts.fetch_data` fetches the weights without any hub",
            ) from error

    def facts(self) -> WeightFacts:
        """Return what only the loaded model knows."""
        dimension, limit = self.model.get_embedding_dimension(), self.model.max_seq_length
        return WeightFacts(int(dimension or 0), int(limit or 0))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit row per text."""
        if not self._measured and len(texts) >= _MANY_TEXTS:
            self._choose_precision(texts[:4])
        return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = self.model.encode(
            [well_formed(text) for text in texts],
            batch_size=_BATCH_SIZES[self.device],
            show_progress_bar=False,
            convert_to_tensor=True,
        )
        wide = rows.float().cpu().numpy()
        # A half-precision norm is off by up to 0.3 %, so the rows are brought to one here.
        return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True), dtype=np.float32)

    def _choose_precision(self, sample: Sequence[str]) -> None:
        """Keep the faster of float32 and bfloat16, measured on this machine with a few texts."""
        import torch

        self._measured = True
        # A copy is narrowed: weights that come back from bfloat16 are not what they were.
        models = (self.model, copy.deepcopy(self.model).to(torch.bfloat16))
        seconds: list[float] = []
        for self.model in models:
            self._encode(sample[:1])
            start = time.perf_counter()
            self._encode(sample)
            seconds.append(time.perf_counter() - start)
        self.model = models[seconds.index(min(seconds))]


def _load_tokenizer(location: str, encoder: _Encoder | None) -> Any:
    """Return a tokenizer of its own for counting: uncut, unpadded, shared with no encoding."""
    from tokenizers import Tokenizer

    if encoder is None:
        tokenizer = Tokenizer.from_file(str(Path(location) / "tokenizer.json"))
    else:
        tokenizer = Tokenizer.from_str(encoder.model.tokenizer.backend_tokenizer.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the progress bars of the loader; they belong to no log."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped there
    try:
        yield
    finally:
        logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # as above
