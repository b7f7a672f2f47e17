"""Counters of real tokenizers: Mistral, Hugging Face with its chat template, tiktoken, an estimate.

A tokenizer library is imported by the constructor that needs it, never by a module. A counter is
built once and then only read: calls share no mutable state, so threads may share a counter.

Text that no server can receive is counted as what must be sent instead, see `well_formed`.
"""

from chunking.counters.estimate import EstimatedCounter
from chunking.counters.huggingface import HuggingFaceCounter
from chunking.counters.load import load_counter
from chunking.counters.mistral import MistralCounter
from chunking.counters.tiktoken import TiktokenCounter
from chunking.counters.wire import well_formed

__all__ = [
    "EstimatedCounter",
    "HuggingFaceCounter",
    "MistralCounter",
    "TiktokenCounter",
    "load_counter",
    "well_formed",
]
