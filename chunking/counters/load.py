"""Names of counters: the `"provider:model"` string and the counter it stands for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from chunking.counters.estimate import EstimatedCounter
from chunking.counters.huggingface import HuggingFaceCounter
from chunking.counters.mistral import MistralCounter
from chunking.counters.tiktoken import TiktokenCounter
from chunking.tokenizer_sources import unknown_name
from chunking.tokens import TokenCounter


def load_counter(name: str, *, folders: Sequence[Path] = ()) -> TokenCounter:
    """Return the counter that a `"provider:model"` string names.

    Args:
        name: `mistral:v3`, `huggingface:ORG/NAME`, `tiktoken:o200k_base`,
            `estimated:tiktoken:o200k_base` or, with a factor, `estimated:1.4:mistral:v3`.
        folders: model folders in which a Hugging Face tokenizer is looked for first.

    Raises:
        ConfigurationError: the string names no counter.
        DependencyMissing: the tokenizer's library is not installed.
        TokenizerUnavailable: its files cannot be found or read.
    """
    provider, _, model = name.partition(":")
    if provider not in _PROVIDERS:
        raise unknown_name(f"tokenizer {name!r}", provider, _PROVIDERS)
    return _PROVIDERS[provider](model, folders)


def _load_estimated(model: str, folders: Sequence[Path]) -> TokenCounter:
    factor, _, base = model.partition(":")
    if factor.replace(".", "", 1).isdecimal():
        return EstimatedCounter(load_counter(base, folders=folders), factor=float(factor))
    return EstimatedCounter(load_counter(model, folders=folders))


_PROVIDERS: dict[str, Callable[[str, Sequence[Path]], TokenCounter]] = {
    "mistral": lambda model, _folders: MistralCounter(model),
    "huggingface": lambda model, folders: HuggingFaceCounter(model, folders=folders),
    "tiktoken": lambda model, _folders: TiktokenCounter(model),
    "estimated": _load_estimated,
}
