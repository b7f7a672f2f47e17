"""The engine, embedder and splitter that settings name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from chunking.errors import ConfigurationError, DependencyMissing, StoreLocked
from retrieval.edge.engine import EdgeEngine
from retrieval.embed import HashEmbedder
from retrieval.fingerprint import IndexFingerprint
from retrieval.providers import (
    fingerprint_of,
    open_embedder,
    open_engine,
    open_rerankers,
    open_splitter,
)
from retrieval.qdrant import engine as server_engine
from retrieval.qdrant.layout import CollectionLayout
from retrieval.rerank import Rerankers, WordReranker
from retrieval.settings import IndexSettings
from scripts.random_embedder import Shape, write_random_embedder
from tests.cross_encoders import write_random_cross_encoder


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IndexSettings:
    monkeypatch.chdir(tmp_path)
    return IndexSettings.load(home=tmp_path / "home", embedder="hash:32")


def test_without_a_server_the_engine_is_the_embedded_one(settings: IndexSettings) -> None:
    engine = open_engine(settings)
    try:
        assert isinstance(engine, EdgeEngine)
        assert (settings.home / "index").is_dir()
        with pytest.raises(StoreLocked):
            open_engine(settings)
    finally:
        engine.close()


def test_the_hash_embedder_is_named_with_its_dimension(settings: IndexSettings) -> None:
    embedder = open_embedder(settings)
    assert embedder == HashEmbedder(32)
    assert embedder.name == "hash:32"


@pytest.mark.parametrize("name", ["hash:", "hash:many", "hash:-1", "hash:0", "hash", "hash:1.5"])
def test_a_hash_embedder_needs_a_dimension(settings: IndexSettings, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"embedder '{name}'"):
        open_embedder(settings.model_copy(update={"embedder": name}))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("sentence-transformer:x", "did you mean 'sentence-transformers'?"),
        ("", "known: hash, sentence-transformers"),
        ("openai:text-embedding-3-small", "known: hash, sentence-transformers"),
    ],
)
def test_an_unknown_embedder_names_the_nearest(
    settings: IndexSettings, name: str, hint: str
) -> None:
    with pytest.raises(ConfigurationError, match="unknown embedder") as caught:
        open_embedder(settings.model_copy(update={"embedder": name}))
    assert caught.value.hint == hint


def test_a_provider_whose_package_is_missing_says_what_to_install(
    settings: IndexSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "retrieval.qdrant.engine", raising=False)
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    server = settings.model_copy(update={"qdrant_url": "http://127.0.0.1:1"})
    with pytest.raises(DependencyMissing, match="qdrant_client") as caught:
        open_engine(server)
    assert caught.value.hint == "pip install 'windowfit[qdrant]'"


def test_every_setting_of_the_server_reaches_it(
    settings: IndexSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[tuple[object, ...], dict[str, object]]] = []

    def record(*arguments: object, **options: object) -> object:
        opened.append((arguments, options))
        return object()

    monkeypatch.setattr(server_engine, "QdrantEngine", record)
    said = {
        "qdrant_url": "https://qdrant.example",
        "qdrant_api_key": SecretStr("secret"),
        "qdrant_grpc_port": 6334,
        "qdrant_ca_file": Path("ca.pem"),
        "qdrant_shards": 4,
        "qdrant_replication_factor": 3,
        "qdrant_write_consistency_factor": 2,
        "qdrant_quantization": "int8",
        "qdrant_vectors_on_disk": True,
        "qdrant_payload_on_disk": False,
        "qdrant_rescore": False,
    }
    assert said.keys() == {name for name in IndexSettings.model_fields if name.startswith("qdrant")}
    open_engine(settings.model_copy(update=said))
    layout = CollectionLayout(
        shards=4,
        replication_factor=3,
        write_consistency_factor=2,
        quantization="int8",
        vectors_on_disk=True,
        payload_on_disk=False,
    )
    expected = {
        "api_key": "secret",
        "grpc_port": 6334,
        "ca_file": Path("ca.pem"),
        "layout": layout,
        "rescore": False,
    }
    assert opened == [(("https://qdrant.example",), expected)]


@pytest.mark.parametrize(("chunk_size", "size"), [(100, 100), (5000, 256)])
def test_chunks_are_no_longer_than_what_the_embedder_reads(
    settings: IndexSettings, chunk_size: int, size: int
) -> None:
    embedder = HashEmbedder(32)
    splitter = open_splitter(settings.model_copy(update={"chunk_size": chunk_size}), embedder)
    assert (splitter.size, splitter.limit) == (size, embedder.input_limit)


def test_the_fingerprint_names_all_that_vectors_depend_on(settings: IndexSettings) -> None:
    embedder = HashEmbedder(32)
    fingerprint = fingerprint_of(embedder, open_splitter(settings, embedder))
    assert fingerprint == IndexFingerprint("hash:32", 32, "packed:2:200/256")


class TestRerankers:
    """What `open_rerankers` finds."""

    def test_none_is_the_default_and_no_problem(self, settings: IndexSettings) -> None:
        assert open_rerankers(settings) == Rerankers("none", {}, ())

    @pytest.mark.parametrize(
        ("name", "hint"),
        [
            ("sentence-transformer:x", "did you mean 'sentence-transformers'?"),
            ("nothing", "known: none, sentence-transformers, words"),
            ("words:x", "did you mean 'words'?"),
            ("sentence-transformers", "did you mean 'sentence-transformers'?"),
        ],
    )
    def test_a_wrong_name_is_refused(self, settings: IndexSettings, name: str, hint: str) -> None:
        for given in (settings.model_copy(update={"reranker": name}), settings):
            with pytest.raises(ConfigurationError, match=f"unknown reranker '{name}'") as caught:
                open_rerankers(given, [name])
            assert caught.value.hint == hint

    def test_without_weights_reranking_is_off_and_said_once(
        self, settings: IndexSettings, caplog: pytest.LogCaptureFixture
    ) -> None:
        name = "sentence-transformers:cross-encoder/absent"
        given = settings.model_copy(update={"reranker": name})
        found = open_rerankers(given, [name])
        assert found.choose(None) is None
        assert found.problems == (f"reranking by {name} is off: its weights are in no folder",)
        assert [record.getMessage() for record in caplog.records] == list(found.problems)

    def test_weights_are_found_in_the_models_folder_by_the_last_part_of_a_hub_name(
        self, settings: IndexSettings
    ) -> None:
        write_random_cross_encoder(settings.models_folder / "tiny")
        name = "sentence-transformers:cross-encoder/tiny"
        found = open_rerankers(settings, ["words", name])
        assert found.problems == ()
        assert [found.choose("words"), found.choose(None)] == [WordReranker(), None]
        reranker = found.choose(name)
        assert reranker is not None
        assert reranker.name == name

    def test_half_fetched_weights_are_none(self, settings: IndexSettings) -> None:
        folder = write_random_cross_encoder(settings.models_folder / "tiny")
        (folder / "model.safetensors").unlink()
        assert len(open_rerankers(settings, ["sentence-transformers:tiny"]).problems) == 1

    def test_an_embedder_is_no_reranker(self, settings: IndexSettings) -> None:
        write_random_embedder(
            settings.models_folder / "embedder", ["a text"], shape=Shape(32, 1, 2)
        )
        with pytest.raises(ConfigurationError, match="is no cross-encoder"):
            open_rerankers(settings, ["sentence-transformers:embedder"])
