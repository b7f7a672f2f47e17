"""Model profiles: every fact has a source, and a wrong file is told apart by key and number."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from chunking.errors import ConfigurationError, ModelNotFound
from serve.profile_entry import SOURCED_FACTS
from serve.profiles import (
    ModelProfile,
    NoCharge,
    PerMillionPrice,
    SnapshotPrice,
    find_profile,
    load_profiles,
)
from tests.serving import OWN_PROFILE

SHIPPED = load_profiles()
ROOT = Path(__file__).parents[3]

every_profile = pytest.mark.parametrize("profile", SHIPPED.values(), ids=list(SHIPPED))


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    return tmp_path / "profiles.toml"


def refusal(user_file: Path, text: str) -> str:
    user_file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_profiles(user_file)
    assert str(user_file) in caught.value.message
    return caught.value.message


class TestShippedProfiles:
    def test_the_models_of_the_readme_are_there(self) -> None:
        assert {
            "quote",
            "mistral-7b-8k",
            "smollm2-135m-8k",
            "qwen2.5-1.5b-32k",
            "qwen2.5-coder-1.5b-8k",
        } < SHIPPED.keys()

    def test_some_cloud_model_has_a_window_of_a_million_tokens(self) -> None:
        assert any(p.place == "cloud" and p.window >= 1_000_000 for p in SHIPPED.values())

    @every_profile
    def test_every_fact_has_a_source_and_a_date(self, profile: ModelProfile) -> None:
        assert set(profile.sources) == set(SOURCED_FACTS)
        for source in profile.sources.values():
            assert source.url.startswith("https://") or (ROOT / source.url).is_file()
            assert date(2026, 1, 1) <= source.read <= profile.reviewed

    @every_profile
    def test_the_window_and_the_output_limit_are_two_numbers(self, profile: ModelProfile) -> None:
        assert profile.window != profile.output_limit
        assert profile.default_output <= profile.output_limit < profile.window

    @every_profile
    def test_what_leaves_the_house_is_encrypted_and_has_a_key_and_a_price(
        self, profile: ModelProfile
    ) -> None:
        if profile.place == "cloud":
            assert str(profile.base_url).startswith("https://")
            assert profile.api_key_env is not None
            assert not isinstance(profile.price, NoCharge)

    @every_profile
    def test_a_tokenizer_the_provider_does_not_publish_is_called_estimated(
        self, profile: ModelProfile
    ) -> None:
        assert profile.tokenizer.startswith("estimated:") == (profile.place == "cloud")

    @every_profile
    def test_a_profile_describes_itself_and_can_be_written_out(self, profile: ModelProfile) -> None:
        assert profile.description.endswith(".")
        assert dataclasses.asdict(profile)["name"] == profile.name
        assert hash(profile) == hash(dataclasses.replace(profile))

    def test_the_mapping_is_read_only(self) -> None:
        with pytest.raises(TypeError):
            SHIPPED["quote"] = SHIPPED["mistral-7b-8k"]  # type: ignore[index]


class TestPromptLimit:
    def test_the_prompt_may_take_what_the_answer_leaves(self) -> None:
        assert SHIPPED["mistral-7b-8k"].prompt_limit(512) == 7680

    def test_a_cap_on_the_prompt_holds_even_for_short_answers(self) -> None:
        profile = SHIPPED["gpt-6-luna"]

        assert profile.prompt_limit(512) == 922_000
        assert profile.prompt_limit(128_000) == 922_000


class TestUserFiles:
    def test_a_new_profile_needs_few_keys(self, user_file: Path) -> None:
        user_file.write_text(OWN_PROFILE, encoding="utf-8")

        mine = load_profiles(user_file)["mine"]

        assert mine.default_output == 400
        assert mine.api_key_env is None
        assert mine.temperature is None
        assert mine.price == NoCharge()

    def test_the_users_facts_are_sourced_to_the_users_file(self, user_file: Path) -> None:
        user_file.write_text(OWN_PROFILE, encoding="utf-8")

        source = load_profiles(user_file)["mine"].sources["window"]

        assert source.url == user_file.resolve().as_uri()
        assert source.read == datetime.fromtimestamp(user_file.stat().st_mtime, UTC).date()

    def test_one_key_of_a_shipped_profile_can_be_changed(self, user_file: Path) -> None:
        user_file.write_text("[profiles.mistral-7b-8k]\nwindow = 16384\n", encoding="utf-8")

        changed = load_profiles(user_file)["mistral-7b-8k"]

        shipped = SHIPPED["mistral-7b-8k"]
        assert changed.window == 16384
        assert changed.model == shipped.model
        assert changed.sources["window"].url.startswith("file:")
        assert changed.sources["licence"] == shipped.sources["licence"]

    def test_a_source_the_user_gives_is_kept(self, user_file: Path) -> None:
        given = '\n[profiles.mine.sources]\nwindow = { url = "https://a.b", read = 2026-01-02 }\n'
        user_file.write_text(OWN_PROFILE + given, encoding="utf-8")

        assert load_profiles(user_file)["mine"].sources["window"].url == "https://a.b"

    def test_prices_keep_the_digits_they_were_written_with(self, user_file: Path) -> None:
        text = OWN_PROFILE.replace('"none"', "{ input_usd = 0.1, output_usd = 0.30 }")
        user_file.write_text(text, encoding="utf-8")

        price = load_profiles(user_file)["mine"].price

        assert price == PerMillionPrice(Decimal("0.1"), Decimal("0.30"))

    def test_a_price_may_name_a_model_of_the_price_list(self, user_file: Path) -> None:
        text = OWN_PROFILE.replace('"none"', '{ provider = "openai", model = "gpt-6-luna" }')
        user_file.write_text(text, encoding="utf-8")

        assert load_profiles(user_file)["mine"].price == SnapshotPrice("openai", "gpt-6-luna")

    def test_a_model_file_has_one_call_at_a_time(self, user_file: Path) -> None:
        text = OWN_PROFILE.replace('"openai"', '"xllamacpp"')
        text = text.replace('base_url = "http://127.0.0.1:9000/v1"', 'model_file = "m.gguf"')
        user_file.write_text(OWN_PROFILE, encoding="utf-8")
        assert load_profiles(user_file)["mine"].concurrency == 16

        user_file.write_text(text, encoding="utf-8")
        assert load_profiles(user_file)["mine"].concurrency == 1

        user_file.write_text(f"{text}concurrency = 1\n", encoding="utf-8")
        assert load_profiles(user_file)["mine"].concurrency == 1

    def test_other_profiles_stay(self, user_file: Path) -> None:
        user_file.write_text(OWN_PROFILE, encoding="utf-8")

        assert load_profiles(user_file).keys() == {*SHIPPED, "mine"}


class TestRefusals:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("[profiles.quote]\nwidnow = 1", "unknown key 'widnow', did you mean 'window'?"),
            ("[profile.quote]\nwindow = 1", "unknown key 'profile', did you mean 'profiles'?"),
            (
                "[profiles.quote]\nprice = { input_usd = 1, outptu_usd = 2 }",
                "unknown key 'outptu_usd', did you mean 'output_usd'?",
            ),
            (
                '[profiles.quote]\nprice = { provder = "openai", model = "x" }',
                "unknown key 'provder', did you mean 'provider'?",
            ),
            (
                '[profiles.quote.sources]\nwindow = { url = "x", red = 2026-01-01 }',
                "unknown key 'red', did you mean 'read'?",
            ),
            (
                '[profiles.quote.sources]\nwindwo = { url = "x", read = 2026-01-01 }',
                "unknown source 'windwo', did you mean 'window'?",
            ),
            ("[profiles.quote]\noutput_limit = 9000", "output_limit 9000 >= window 8192"),
            ("[profiles.quote]\nwindow = 2048", "output_limit 2048 >= window 2048"),
            ("[profiles.quote]\ndefault_output = 4096", "default_output 4096 > output_limit 2048"),
            ("[profiles.quote]\ninput_limit = 9000", "input_limit 9000 > window 8192"),
            ("[profiles.quote]\nwindow = '8k'", "window = '8k'"),
            ("[profiles.quote]\nwindow = -1", "window = -1"),
            ("[profiles.quote]\nwindow = true", "window = True"),
            ("[profiles.quote]\ntemperature = nan", "temperature"),
            ("[profiles.quote]\nplace = 'moon'", "place = 'moon'"),
            ("[profiles.quote]\nprice = 3", "price"),
            ("[profiles.quote]\ntokenizer = 'gpt'", "tokenizer = 'gpt'"),
            ("[profiles.quote]\nbase_url = 'http://h'", "base_url is needed by"),
            ("[profiles.quote]\nmodel_file = 'm.gguf'", "model_file is needed by"),
            ("[profiles.quote]\nbackend = 'xllamacpp'", "model_file is needed by"),
            (
                "[profiles.quote]\nbackend = 'xllamacpp'\nmodel_file = 'm'\nplace = 'cloud'",
                "'xllamacpp' runs here: write local",
            ),
            (
                "[profiles.quote]\nbackend = 'xllamacpp'\nmodel_file = 'm'\nconcurrency = 2",
                "concurrency 2 > 1: the backend 'xllamacpp' gives one request the whole window",
            ),
            ("[profiles.quote]\nsources = 3", "sources"),
            ("[profiles.new]\nwindow = 1", "key 'backend' is missing"),
            ("profiles = 3", "write each profile as a table"),
            ("[profiles]\nquote = 3", "write each profile as a table"),
            ("[profiles.quote", "not valid TOML"),
        ],
    )
    def test_a_wrong_file_is_told_by_key_and_number(
        self, user_file: Path, text: str, told: str
    ) -> None:
        assert told in refusal(user_file, text)

    def test_a_key_written_where_its_variable_belongs_is_not_repeated(
        self, user_file: Path
    ) -> None:
        message = refusal(user_file, '[profiles.gpt-6-luna]\napi_key_env = "sk-secret"')

        assert "sk-secret" not in message
        assert "OPENAI_API_KEY" in message

    def test_a_missing_file_is_told_by_name(self, user_file: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"profiles\.toml cannot be read"):
            load_profiles(user_file)

    def test_a_file_that_is_no_text_is_told_by_name(self, user_file: Path) -> None:
        user_file.write_bytes(b"\xff\xfe")

        with pytest.raises(ConfigurationError, match=r"profiles\.toml cannot be read"):
            load_profiles(user_file)


class TestFind:
    def test_a_name_finds_its_profile(self) -> None:
        assert find_profile(SHIPPED, "quote").name == "quote"

    def test_an_unknown_name_is_answered_with_the_nearest_and_all(self) -> None:
        with pytest.raises(ModelNotFound) as caught:
            find_profile(SHIPPED, "mistral-8k")

        assert "did you mean 'mistral-7b-8k'?" in caught.value.message
        assert all(name in caught.value.message for name in SHIPPED)
        assert caught.value.param == "model"

    def test_a_name_like_nothing_is_answered_with_all(self) -> None:
        with pytest.raises(ModelNotFound, match="there are quote"):
            find_profile(SHIPPED, "zzz")
