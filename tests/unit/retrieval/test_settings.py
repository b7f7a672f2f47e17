"""Where settings come from, which of them wins, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chunking.errors import ConfigurationError
from retrieval.settings import IndexSettings, config_file, read_config, unknown_key

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, so that no configuration of this machine is read."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_toml(text: str, name: str = "windowfit.toml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def refused() -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        IndexSettings.load()
    return caught.value


# --- sources and precedence


def test_without_any_configuration_the_defaults_hold() -> None:
    settings = IndexSettings.load()
    assert settings.home == Path(".windowfit")
    assert settings.models_folder == Path(".windowfit/models")
    assert settings.qdrant_url is None
    assert set(settings.origins().values()) == {"default"}


def test_the_toml_table_is_read() -> None:
    write_toml('[index]\nhome = "state"\nchunk_size = 128\ntokenizers = ["mistral:v3"]\n')
    settings = IndexSettings.load()
    assert (settings.home, settings.chunk_size) == (Path("state"), 128)
    assert settings.tokenizers == ("mistral:v3",)


def test_a_variable_wins_over_dotenv_over_toml_over_defaults(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert IndexSettings.load().chunk_size == 200
    write_toml("[index]\nchunk_size = 100\n")
    assert IndexSettings.load().chunk_size == 100
    Path(".env").write_text("WINDOWFIT_CHUNK_SIZE=110\nOTHER=1\n", encoding="utf-8")
    assert IndexSettings.load().chunk_size == 110
    monkeypatch.setenv("WINDOWFIT_CHUNK_SIZE", "120")
    assert IndexSettings.load().chunk_size == 120
    assert IndexSettings.load(chunk_size=130).chunk_size == 130


def test_a_flag_that_was_not_given_changes_nothing() -> None:
    assert IndexSettings.load(chunk_size=None, home=None).chunk_size == 200


def test_every_value_tells_its_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    write_toml("[index]\nchunk_size = 100\nembedder = 'hash:8'\nhome = 'a'\n")
    Path(".env").write_text("WINDOWFIT_EMBEDDER=hash:16\nWINDOWFIT_HOME=b\n", encoding="utf-8")
    monkeypatch.setenv("WINDOWFIT_HOME", "c")
    settings = IndexSettings.load()
    assert (settings.chunk_size, settings.embedder, settings.home) == (100, "hash:16", Path("c"))
    origins = settings.origins()
    assert origins["chunk_size"] == "windowfit.toml"
    assert origins["embedder"] == ".env"
    assert origins["home"] == "environment"
    assert origins["qdrant_url"] == "default"


def test_the_configuration_file_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    write_toml("[index]\nchunk_size = 100\n")
    monkeypatch.setenv("WINDOWFIT_CONFIG", str(write_toml("[index]\nchunk_size = 50\n", "o.toml")))
    settings = IndexSettings.load()
    assert settings.chunk_size == 50
    assert settings.origins()["chunk_size"] == str(config_file()) == "o.toml"


def test_tables_of_other_packages_are_left_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    write_toml("[serve]\nanything = 1\n")
    monkeypatch.setenv("WINDOWFIT_SERVE_ANYTHING", "1")
    monkeypatch.setenv("WINDOWFIT_TEST_ANYTHING", "1")
    monkeypatch.setenv("UNRELATED", "1")
    assert IndexSettings.load().chunk_size == 200


def test_the_key_of_the_store_is_masked() -> None:
    write_toml('[index]\nqdrant_api_key = "secret"\n')
    settings = IndexSettings.load()
    assert "secret" not in repr(settings)
    assert settings.qdrant_api_key is not None
    assert settings.qdrant_api_key.get_secret_value() == "secret"


def test_what_is_not_said_of_the_server_is_left_to_it() -> None:
    settings = IndexSettings.load()
    said = [name for name in IndexSettings.model_fields if name.startswith("qdrant_")]
    values = {name: getattr(settings, name) for name in said}
    assert set(values.values()) == {None}


def test_the_layout_of_new_collections_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    write_toml(
        '[index]\nqdrant_shards = 3\nqdrant_quantization = "int8"\nqdrant_ca_file = "a.pem"\n'
    )
    monkeypatch.setenv("WINDOWFIT_QDRANT_GRPC_PORT", "6334")
    monkeypatch.setenv("WINDOWFIT_QDRANT_VECTORS_ON_DISK", "true")
    monkeypatch.setenv("WINDOWFIT_QDRANT_PAYLOAD_ON_DISK", "false")
    settings = IndexSettings.load()
    assert (settings.qdrant_shards, settings.qdrant_quantization) == (3, "int8")
    assert (settings.qdrant_ca_file, settings.qdrant_grpc_port) == (Path("a.pem"), 6334)
    assert (settings.qdrant_vectors_on_disk, settings.qdrant_payload_on_disk) == (True, False)


def test_every_setting_of_the_server_is_documented() -> None:
    page = (ROOT / "docs" / "store.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(qdrant_\w+)` \|", page, flags=re.MULTILINE)
    assert told == [name for name in IndexSettings.model_fields if name.startswith("qdrant_")]


# --- what is refused


def test_an_unknown_key_names_the_nearest() -> None:
    write_toml("[index]\nchunk_sise = 100\n")
    error = refused()
    assert error.message == "unknown [index] chunk_sise"
    assert error.hint == "did you mean 'chunk_size'?"
    assert error.param == "chunk_sise"


def test_an_unknown_table_names_the_nearest() -> None:
    write_toml("[indx]\nchunk_size = 100\n")
    error = refused()
    assert "table [indx] of windowfit.toml" in error.message
    assert error.hint == "did you mean 'index'?"


def test_a_key_outside_of_its_table_is_refused() -> None:
    write_toml("chunk_size = 100\n")
    assert "chunk_size" in refused().message


def test_a_table_that_is_a_value_is_refused() -> None:
    write_toml("index = 3\n")
    assert "write [index]" in refused().message


@pytest.mark.parametrize("in_dotenv", [True, False])
def test_an_unknown_variable_names_the_nearest(
    monkeypatch: pytest.MonkeyPatch, in_dotenv: bool
) -> None:
    if in_dotenv:
        Path(".env").write_text("WINDOWFIT_CHUNKSIZE=1\n", encoding="utf-8")
    else:
        monkeypatch.setenv("WINDOWFIT_CHUNKSIZE", "1")
    error = refused()
    assert error.message == "unknown variable WINDOWFIT_CHUNKSIZE"
    assert error.hint == "did you mean 'WINDOWFIT_CHUNK_SIZE'?"


def test_a_key_like_no_other_lists_those_that_are_known() -> None:
    error = unknown_key("thing", "zzzzzz", ("beta", "alpha"))
    assert error.hint == "known: alpha, beta"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("[index]\nchunk_size = 'many'\n", "chunk_size"),
        ("[index]\nchunk_size = 3\n", "chunk_size"),
        ("[index]\ntokenizers = 'mistral:v3'\n", "tokenizers"),
        ("[index]\nhome = 3\n", "home"),
        ("[index]\nqdrant_grpc_port = 65536\n", "qdrant_grpc_port"),
        ("[index]\nqdrant_shards = 0\n", "qdrant_shards"),
        ("[index]\nqdrant_quantization = 'int4'\n", "qdrant_quantization"),
    ],
)
def test_a_wrong_value_is_refused_by_name_and_not_repeated(text: str, name: str) -> None:
    write_toml(text)
    error = refused()
    assert error.param == name
    assert f"setting '{name}'" in error.message


def test_a_variable_that_should_be_a_list_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WINDOWFIT_TOKENIZERS", "mistral:v3")
    assert "tokenizers" in refused().message
    monkeypatch.setenv("WINDOWFIT_TOKENIZERS", '["mistral:v3", "mistral:tekken"]')
    assert IndexSettings.load().tokenizers == ("mistral:v3", "mistral:tekken")


@pytest.mark.parametrize("content", [b"[index", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_a_file_that_is_no_toml_is_refused_by_name(content: bytes) -> None:
    Path("windowfit.toml").write_bytes(content)
    assert "cannot read windowfit.toml" in refused().message


def test_a_named_file_that_is_missing_or_a_folder_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINDOWFIT_CONFIG", "missing.toml")
    assert "missing.toml" in refused().message
    monkeypatch.setenv("WINDOWFIT_CONFIG", str(folder))
    assert "cannot read" in refused().message


def test_without_a_file_there_are_no_tables() -> None:
    assert read_config() == {}


def test_settings_do_not_change_once_read() -> None:
    settings = IndexSettings.load()
    with pytest.raises(ValueError, match="frozen"):
        settings.chunk_size = 3
