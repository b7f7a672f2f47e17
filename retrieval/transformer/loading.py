"""Finds the devices of this machine and loads a sentence-transformers model onto one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chunking.errors import ConfigurationError, DependencyMissing
from retrieval.weights import WeightFacts

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder, SentenceTransformer


def available_devices() -> tuple[str, ...]:
    """Return all CUDA devices of this machine, or its CPU when there is none.

    Raises:
        DependencyMissing: torch is not installed.
    """
    with _needed_packages():
        import torch
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return tuple(f"cuda:{number}" for number in range(count)) or ("cpu",)


def load_model(location: str, *, device: str) -> SentenceTransformer:
    """Return the model on the device, in float16 on CUDA and in float32 elsewhere.

    Raises:
        ConfigurationError: the weights cannot be loaded, or come without a fast tokenizer.
        DependencyMissing: sentence-transformers is not installed.
    """
    with _needed_packages():
        import torch
        from sentence_transformers import SentenceTransformer
    dtype = torch.float16 if device.startswith("cuda") else torch.float32
    try:
        with _quiet():
            model = SentenceTransformer(location, device=device, model_kwargs={"dtype": dtype})
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"cannot load the embedder from {location}: {type(error).__name__}",
            hint="`python -m scripts.fetch_data` fetches the weights without any hub",
        ) from error
    if not hasattr(model.tokenizer, "backend_tokenizer"):
        raise ConfigurationError(
            f"the embedder from {location} has no tokenizer of the `tokenizers` library",
            hint="choose an embedder that comes with a tokenizer.json",
        )
    model.eval()
    return model


def load_cross_encoder(folder: str, *, device: str) -> CrossEncoder:
    """Return the cross-encoder of a folder on the device, in float32; asks no hub.

    Raises:
        ConfigurationError: the weights cannot be loaded, or give more than one score to a text.
        DependencyMissing: sentence-transformers is not installed.
    """
    with _needed_packages():
        from sentence_transformers import CrossEncoder
    try:
        with _quiet():
            model: CrossEncoder = CrossEncoder(folder, device=device, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"cannot load the reranker from {folder}: {type(error).__name__}",
            hint="fetch its weights again, or set `reranker` to none",
        ) from error
    if model.num_labels != 1:
        raise ConfigurationError(
            f"the cross-encoder in {folder} gives {model.num_labels} scores to a text",
            hint="choose one for reranking, which gives one",
        )
    model.eval()
    return model


def facts_of(model: SentenceTransformer) -> WeightFacts:
    """Return what only the loaded model knows."""
    dimension, limit = model.get_embedding_dimension(), model.max_seq_length
    return WeightFacts(int(dimension or 0), int(limit or 0))


def tokenizer_file(location: str) -> Any:
    """Return the tokenizer of a folder of weights; takes milliseconds, no model is loaded."""
    with _needed_packages():
        from tokenizers import Tokenizer
    return Tokenizer.from_file(str(Path(location) / "tokenizer.json"))


@contextlib.contextmanager
def _needed_packages() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise DependencyMissing(
            f"embedding needs the package {error.name!r}", hint="pip install 'windowfit[embed]'"
        ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence the progress bars of the loader; they belong to no log."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # untyped there
    try:
        yield
    finally:
        logging.enable_progress_bar()  # type: ignore[no-untyped-call]  # as above
