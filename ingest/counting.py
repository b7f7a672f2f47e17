"""Loads the tokenizers that count documents while they are ingested."""

from __future__ import annotations

from collections.abc import Callable

from chunking.counters import load_counter
from chunking.errors import DependencyMissing, TokenizerUnavailable
from chunking.tokens import TokenCounter
from retrieval.settings import IndexSettings


def load_counters(
    settings: IndexSettings, *, on_missing: Callable[[str, str], None] = lambda *_: None
) -> list[TokenCounter]:
    """Return the tokenizers that the settings name, without those that are not at hand.

    Counting later costs time and loses nothing, so a tokenizer out of reach stops no ingestion.

    Args:
        on_missing: told the name of a tokenizer that is left out, and why.
    """
    counters = []
    for name in settings.tokenizers:
        try:
            counters.append(load_counter(name, folders=(settings.models_folder,)))
        except (TokenizerUnavailable, DependencyMissing) as error:
            on_missing(name, error.message)
    return counters
