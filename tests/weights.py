"""Weights of real models, for tests that need them."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from retrieval.transformer import TransformerEmbedder
from retrieval.weights import find_weights

MODEL = "all-MiniLM-L6-v2"
FOLDER = Path(os.environ.get("WINDOWFIT_HOME", ".windowfit"), "models").absolute()
GGUF = "SmolLM2-135M-Instruct-GGUF/SmolLM2-135M-Instruct.Q4_1.gguf"


def real_embedder() -> TransformerEmbedder:
    """Return the embedder; without weights on this machine skip the test, or fail it in CI."""
    if not Path(find_weights(MODEL, folders=(FOLDER,))).is_dir():
        _go_without(f"no weights of {MODEL} under {FOLDER}: `make data` fetches them")
    return TransformerEmbedder(MODEL, folders=(FOLDER,))


def small_gguf() -> Path:
    """Return a language model that llama.cpp runs; without it skip the test, or fail it in CI."""
    if not (FOLDER / GGUF).is_file():
        _go_without(f"no {GGUF} under {FOLDER}: `make data` fetches it")
    if find_spec("xllamacpp") is None:
        _go_without("xllamacpp is not installed: pip install 'windowfit[local]'")
    return FOLDER / GGUF


def _go_without(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
