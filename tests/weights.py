"""The real embedder, for tests that need its weights."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from retrieval.transformer import TransformerEmbedder
from retrieval.weights import find_weights

MODEL = "all-MiniLM-L6-v2"
FOLDER = Path(os.environ.get("WINDOWFIT_HOME", ".windowfit"), "models").absolute()


def real_embedder() -> TransformerEmbedder:
    """Return the embedder; without weights on this machine skip the test, or fail it in CI."""
    if not Path(find_weights(MODEL, folders=(FOLDER,))).is_dir():
        reason = f"no weights of {MODEL} under {FOLDER}: `make data` fetches them"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return TransformerEmbedder(MODEL, folders=(FOLDER,))
