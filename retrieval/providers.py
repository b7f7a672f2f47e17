"""Opens the engine, embedder and rerankers that settings name; this package's composition root."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pkgutil import resolve_name
from typing import Any

from chunking.errors import ConfigurationError, DependencyMissing
from chunking.split import Splitter
from retrieval.embed import Embedder
from retrieval.fingerprint import IndexFingerprint
from retrieval.points import Engine
from retrieval.qdrant.layout import CollectionLayout
from retrieval.rerank import NO_RERANKER, Reranker, Rerankers
from retrieval.settings import IndexSettings, unknown_key
from retrieval.weights import find_cross_encoder

_LOG = logging.getLogger(__name__)

# Each provider is named, not imported: a provider's module imports an optional, heavy package.
_EMBEDDERS = {
    "sentence-transformers": ("retrieval.transformer:TransformerEmbedder", "embed"),
    "hash": ("retrieval.embed:HashEmbedder", ""),
}
_RERANKERS = {
    "sentence-transformers": ("retrieval.transformer:CrossEncoderReranker", "embed"),
    "words": ("retrieval.rerank:WordReranker", ""),
}
_ENGINES = {
    "edge": ("retrieval.edge.engine:EdgeEngine", ""),
    "qdrant": ("retrieval.qdrant.engine:QdrantEngine", "qdrant"),
}


def open_engine(settings: IndexSettings) -> Engine:
    """Return the Qdrant server of `qdrant_url`, or the embedded engine under `home`.

    Raises:
        StoreError: the server cannot be reached, or another process holds the embedded store.
    """
    if settings.qdrant_url is None:
        engine: Engine = load_provider(*_ENGINES["edge"])(settings.home / "index")
        return engine
    key = settings.qdrant_api_key
    server: Engine = load_provider(*_ENGINES["qdrant"])(
        settings.qdrant_url,
        api_key=key.get_secret_value() if key else None,
        grpc_port=settings.qdrant_grpc_port,
        ca_file=settings.qdrant_ca_file,
        layout=CollectionLayout(
            shards=settings.qdrant_shards,
            replication_factor=settings.qdrant_replication_factor,
            write_consistency_factor=settings.qdrant_write_consistency_factor,
            quantization=settings.qdrant_quantization,
            vectors_on_disk=settings.qdrant_vectors_on_disk,
            payload_on_disk=settings.qdrant_payload_on_disk,
        ),
        rescore=settings.qdrant_rescore,
    )
    return server


def open_embedder(settings: IndexSettings) -> Embedder:
    """Return the embedder named by the `embedder` setting.

    Raises:
        ConfigurationError: the provider is unknown or its weights are not found.
    """
    provider, _, model = settings.embedder.partition(":")
    if provider not in _EMBEDDERS:
        raise unknown_key(f"embedder {settings.embedder!r}", provider, set(_EMBEDDERS))
    kind = load_provider(*_EMBEDDERS[provider])
    if provider == "hash":
        if not model.isdecimal() or int(model) < 1:
            raise ConfigurationError(f"embedder {settings.embedder!r}: hash:N needs N of 1 or more")
        hashed: Embedder = kind(dimension=int(model))
        return hashed
    embedder: Embedder = kind(model, folders=(settings.models_folder,))
    return embedder


def open_rerankers(settings: IndexSettings, named: Iterable[str] = ()) -> Rerankers:
    """Return the rerankers of the `reranker` setting and of some profiles.

    One without weights is left out, which the log says once and `Rerankers.problems` keeps.

    Args:
        named: what profiles call theirs.

    Raises:
        ConfigurationError: a provider is unknown, or the model found is no cross-encoder.
    """
    present, problems = {}, []
    for name in dict.fromkeys((settings.reranker, *named)):
        if name == NO_RERANKER:
            continue
        reranker = _open_reranker(name, settings)
        if reranker is None:
            problems.append(f"reranking by {name} is off: its weights are in no folder")
            _LOG.warning(problems[-1])
        else:
            present[name] = reranker
    return Rerankers(settings.reranker, present, tuple(problems))


def _open_reranker(name: str, settings: IndexSettings) -> Reranker | None:
    """Return a reranker by its name; None where its weights are on no folder."""
    provider, _, model = name.partition(":")
    if provider not in _RERANKERS or (provider == "words") == bool(model):
        raise unknown_key(f"reranker {name!r}", provider, {NO_RERANKER, *_RERANKERS})
    if provider == "words":
        words: Reranker = load_provider(*_RERANKERS[provider])()
        return words
    folder = find_cross_encoder(model, folders=(settings.models_folder,))
    if folder is None:
        return None
    reranker: Reranker = load_provider(*_RERANKERS[provider])(model, folder)
    return reranker


def open_splitter(settings: IndexSettings, embedder: Embedder) -> Splitter:
    """Return the splitter whose chunks fit the embedder."""
    limit = embedder.input_limit
    return Splitter(embedder.count_tokens, size=min(settings.chunk_size, limit), limit=limit)


def fingerprint_of(embedder: Embedder, splitter: Splitter) -> IndexFingerprint:
    """Return the fingerprint of vectors made by this embedder from this splitter's chunks."""
    return IndexFingerprint(embedder.name, embedder.dimension, splitter.name)


def load_provider(target: str, extra: str = "") -> Any:
    """Return what "module:name" names.

    Raises:
        DependencyMissing: a package of the extra is not installed.
    """
    try:
        return resolve_name(target)
    except ImportError as error:
        raise DependencyMissing(
            f"{target.partition(':')[0]} needs the package {error.name!r}",
            hint=f"pip install 'windowfit[{extra}]'" if extra else "pip install windowfit",
        ) from error
