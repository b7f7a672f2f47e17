"""Reviews of models: who allowed one, and what takes that away."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from chunking.errors import ConfigurationError
from serve.answer import answer
from serve.backends.scripted import ScriptedBackend
from serve.errors import ModelUnapproved
from serve.plan import Ask
from serve.profiles import ModelProfile, load_profiles
from serve.review import REVIEWED_FACTS, ModelReview, laid_over, require_approved
from tests.serving import OWN_PROFILE, profile, small_runtime

SHIPPED = load_profiles()
APPROVED = '[profiles.mine.review]\nstatus = "approved"\nrole = "legal"\ndate = 2026-11-22\n'


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    return tmp_path / "profiles.toml"


def loaded(user_file: Path, text: str, name: str) -> ModelProfile:
    user_file.write_text(text, encoding="utf-8")
    return load_profiles(user_file)[name]


@pytest.mark.parametrize("profile", SHIPPED.values(), ids=list(SHIPPED))
class TestShippedProfiles:
    def test_each_has_a_review_of_a_role_with_terms(self, profile: ModelProfile) -> None:
        review = profile.review
        assert review.role
        assert review.date is not None
        assert review.restrictions
        assert review.region
        assert review.data_terms

    def test_a_cloud_is_approved_only_by_terms_with_a_source(self, profile: ModelProfile) -> None:
        if profile.place == "cloud" and profile.review.status == "approved":
            assert profile.review.terms_source.startswith("https://")

    def test_weights_that_are_at_hand_say_where_they_come_from(self, profile: ModelProfile) -> None:
        has_weights = profile.place == "local" and profile.backend != "quote"
        assert (profile.review.weights is not None) == has_weights


class TestUserFiles:
    def test_a_profile_without_a_review_is_pending_and_refused(self, user_file: Path) -> None:
        mine = loaded(user_file, OWN_PROFILE, "mine")

        assert mine.review == ModelReview()
        with pytest.raises(ModelUnapproved) as caught:
            require_approved("mine", mine.review)
        assert caught.value.code == "policy_model_unapproved"
        assert "pending" in caught.value.message
        assert "windowfit models review mine" in caught.value.hint

    def test_a_review_in_the_file_approves(self, user_file: Path) -> None:
        mine = loaded(user_file, OWN_PROFILE + APPROVED, "mine")

        assert (mine.review.role, mine.review.date) == ("legal", date(2026, 11, 22))
        require_approved("mine", mine.review)

    def test_a_built_in_model_can_be_blocked_and_keeps_what_is_known_of_it(
        self, user_file: Path
    ) -> None:
        text = (
            "[profiles.mistral-7b-8k.review]\n"
            'status = "blocked"\nrole = "security"\ndate = 2026-11-22\n'
        )

        review = loaded(user_file, text, "mistral-7b-8k").review

        assert review.weights == SHIPPED["mistral-7b-8k"].review.weights
        with pytest.raises(ModelUnapproved, match="blocked by security on 2026-11-22"):
            require_approved("mistral-7b-8k", review)

    @pytest.mark.parametrize(
        "change",
        ['model = "other/model"', 'place = "cloud"', 'licence = "MIT"', 'backend = "scripted"'],
    )
    def test_a_change_of_what_was_reviewed_takes_the_review_away(
        self, user_file: Path, change: str
    ) -> None:
        name = "quote" if "scripted" in change else "mistral-7b-8k"

        changed = loaded(user_file, f"[profiles.{name}]\n{change}\n", name)

        assert changed.review.status == "pending"
        assert change.split(maxsplit=1)[0] in REVIEWED_FACTS

    @pytest.mark.parametrize(
        ("file", "status"), [("ours.gguf", "approved"), ("other.gguf", "pending")]
    )
    def test_a_review_of_one_file_of_weights_is_none_of_another(
        self, user_file: Path, file: str, status: str
    ) -> None:
        text = OWN_PROFILE.replace('"openai"', '"xllamacpp"').replace(
            'base_url = "http://127.0.0.1:9000/v1"', f'model_file = "{file}"'
        )
        about = (
            'about = { backend = "xllamacpp", model = "my-model", place = "local",'
            ' licence = "MIT", model_file = "ours.gguf" }\n'
        )

        review = loaded(user_file, text + APPROVED + about, "mine").review

        assert review.status == status
        assert review.changed == (() if status == "approved" else ("model_file",))

    def test_a_review_from_before_files_of_weights_were_named_holds_for_a_server(
        self, user_file: Path
    ) -> None:
        about = (
            'about = { backend = "openai", model = "my-model", place = "local",'
            ' licence = "MIT", base_url = "http://127.0.0.1:9000/v1" }\n'
        )

        review = loaded(user_file, OWN_PROFILE + APPROVED + about, "mine").review

        assert review.status == "approved"

    def test_the_review_of_a_profile_ends_with_another_file_of_weights(self) -> None:
        review = {"status": "approved", "role": "legal", "date": date(2026, 11, 22)}

        assert laid_over(review, {"model_file": "other.gguf"}) is None
        assert laid_over(review, {"window": 2048}) == review

    def test_another_address_of_a_local_model_keeps_the_review(self, user_file: Path) -> None:
        text = '[profiles.mistral-7b-8k]\nbase_url = "http://vllm:8000/v1"\n'

        assert loaded(user_file, text, "mistral-7b-8k").review.status == "approved"

    def test_another_address_of_a_cloud_takes_its_review_away(self, user_file: Path) -> None:
        text = '[profiles.gpt-6-luna]\nbase_url = "https://gateway.example/v1"\n'

        assert loaded(user_file, text, "gpt-6-luna").review.status == "pending"

    def test_a_price_of_ones_own_keeps_the_review(self, user_file: Path) -> None:
        text = "[profiles.gpt-6-luna]\nprice = { input_usd = 1, output_usd = 2 }\n"

        assert loaded(user_file, text, "gpt-6-luna").review.status == "approved"

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ('review = { status = "approved", role = "legal" }', "'date' is missing"),
            ('review = { status = "approved", date = 2026-11-22 }', "'role' is missing"),
            ('review = { status = "maybe", role = "x", date = 2026-11-22 }', "status"),
            ('review = { statsu = "approved" }', "did you mean 'status'?"),
            (
                'review = { weights = { source = "x", sah256 = "y" } }',
                "did you mean 'sha256'?",
            ),
            ("review = 3", "review"),
        ],
    )
    def test_a_wrong_review_is_told_by_its_key(self, user_file: Path, text: str, told: str) -> None:
        user_file.write_text(OWN_PROFILE + text + "\n", encoding="utf-8")

        with pytest.raises(ConfigurationError) as caught:
            load_profiles(user_file)

        assert told in caught.value.message

    def test_a_cloud_may_not_be_asked_to_count_text_before_its_route_is_known(
        self, user_file: Path
    ) -> None:
        text = OWN_PROFILE.replace('"local"', '"cloud"').replace(
            "tiktoken:o200k_base", "server:my-model"
        )
        user_file.write_text(text, encoding="utf-8")

        with pytest.raises(ConfigurationError, match="before its route is decided"):
            load_profiles(user_file)


def test_an_unapproved_model_is_refused_when_it_is_named_and_nothing_is_sent() -> None:
    pending = replace(profile(), review=ModelReview())
    backend = ScriptedBackend(["never"])
    runtime = small_runtime(backend, profiles={"scripted": pending})

    with pytest.raises(ModelUnapproved):
        asyncio.run(answer(Ask("Capital of Peru?", "small", "scripted"), runtime))
    with pytest.raises(ModelUnapproved):
        runtime.plan(Ask("Capital of Peru?", "small", "scripted"))
    assert backend.requests == []


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        ("api.openai.com", True),
        ("OPENAI.COM", True),
        ("api.openai.com.", True),
        ("api.openai.com.:443", True),
        ("api\u3002openai\uff0ecom", True),
        ("my.services.ai.azure.com", True),
        ("api.fireworks.ai", True),
        ("api.x.ai", True),
        ("router.huggingface.co", True),
        ("api.together.ai", True),
        ("api.perplexity.ai", True),
        ("integrate.api.nvidia.com", True),
        ("dashscope-intl.aliyuncs.com", True),
        ("max.ai", False),
        ("myopenai.com", False),
        ("vllm", False),
        ("10.0.0.7", False),
    ],
)
def test_a_providers_address_cannot_be_called_local(
    user_file: Path, host: str, *, refused: bool
) -> None:
    user_file.write_text(OWN_PROFILE.replace("127.0.0.1:9000", host), encoding="utf-8")

    if refused:
        with pytest.raises(ConfigurationError, match="is a provider's"):
            load_profiles(user_file)
    else:
        assert load_profiles(user_file)["mine"].place == "local"
