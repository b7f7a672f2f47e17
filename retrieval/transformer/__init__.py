"""Embeds with sentence-transformers on a CPU, a CUDA device or several, as fast as the model runs.

The parts, from text to vector: `tokens` gives ids, `windows` plans them into batches, `features`
and `encoder` run those through the model, `stream` keeps several under way, `processes` does so on
several devices, `embedder` holds them together. `reranker` scores texts by a cross-encoder.
Importing this imports no library that is slow.
"""

from retrieval.transformer.embedder import TransformerEmbedder
from retrieval.transformer.reranker import CrossEncoderReranker

__all__ = ["CrossEncoderReranker", "TransformerEmbedder"]
