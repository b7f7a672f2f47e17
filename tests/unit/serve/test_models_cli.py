"""`windowfit models`: the table of licences, and reviews that are written without harm."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from chunking.errors import ConfigurationError, InputError, ModelNotFound
from serve.errors import ModelUnapproved
from serve.models_cli import app, write_review
from serve.profiles import load_profiles
from serve.review import require_approved
from tests.serving import OWN_PROFILE

REVIEW = ("--status", "approved", "--role", "legal")
TODAY = date(2026, 11, 22)
GIVEN = {"status": "approved", "role": "legal", "date": TODAY}
ABOUT = {"backend": "quote", "model": "quote", "place": "local", "licence": "MIT"}
OTHER = "[profiles.mistral-7b-8k]\ntemperature = 0.1\n"
COMMENTED = """# ours: do not touch
[profiles.mistral-7b-8k]   # on the second machine
base_url = "http://127.0.0.1:8001/v1"
temperature = 0.10   # two digits

[profiles."gemini-3.8-flash"]
timeout_seconds = 60
"""


@pytest.fixture
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "profiles.toml"
    monkeypatch.setenv("WINDOWFIT_SERVE_PROFILES", str(path))
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=True)


def listed(*arguments: str) -> Sequence[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("list", "--json", *arguments).stdout)
    return found


def test_the_list_shows_licence_terms_and_review_of_every_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    models = {model["model"]: model for model in listed()}

    assert models.keys() == load_profiles().keys()
    assert models["gemini-3.8-flash"]["review"]["status"] == "pending"
    assert models["mistral-7b-8k"]["review"]["weights"]["revision"].startswith("c170c708")
    assert models["quote"]["licence_source"] == "pyproject.toml"
    assert "Apache-2.0" in run("list").stdout


def test_a_review_is_in_force_after_it_was_written(user_file: Path) -> None:
    user_file.write_text(COMMENTED, encoding="utf-8")

    done = run("review", "gemini-3.8-flash", *REVIEW, "--note", "billing is on", "--json")

    assert done.exit_code == 0
    assert json.loads(done.stdout)["review"]["note"] == "billing is on"
    review = load_profiles(user_file)["gemini-3.8-flash"].review
    assert (review.status, review.role) == ("approved", "legal")
    assert review.data_terms.startswith("differ by billing")


def test_everything_else_in_the_file_stays_byte_for_byte(user_file: Path) -> None:
    user_file.write_bytes(COMMENTED.replace("\n", "\r\n").encode())
    before = user_file.read_bytes()

    assert run("review", "gemini-3.8-flash", *REVIEW).exit_code == 0

    assert user_file.read_bytes().startswith(before)
    assert tomllib.loads(user_file.read_text("utf-8"))["profiles"]["mistral-7b-8k"]


def test_a_second_review_takes_the_place_of_the_first(user_file: Path) -> None:
    run("review", "quote", *REVIEW, "--note", "first")
    run("review", "quote", "--status", "blocked", "--role", "security")

    review = load_profiles(user_file)["quote"].review

    assert (review.status, review.role) == ("blocked", "security")
    assert user_file.read_text("utf-8").count("[profiles.quote.review]") == 1


OWN_REVIEWED = OWN_PROFILE.replace("[profiles.mine]", "[profiles.mine] # ours")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ('model = "my-model"', 'model = "other"', "its model has changed"),
        ("http://127.0.0.1:9000/v1", "https://models.example/v1", "its base_url has changed"),
        ('licence = "MIT"', 'licence = "BUSL"', "its licence has changed"),
        ('place = "local"', 'place = "cloud"', "its place has changed"),
        ("window = 4096", "window = 2048", None),
    ],
)
def test_a_review_is_in_force_for_what_it_was_about_and_for_nothing_else(
    user_file: Path, before: str, after: str, told: str | None
) -> None:
    user_file.write_text(OWN_REVIEWED, encoding="utf-8")
    assert run("review", "mine", *REVIEW).exit_code == 0
    assert load_profiles(user_file)["mine"].review.status == "approved"

    user_file.write_text(user_file.read_text("utf-8").replace(before, after, 1), encoding="utf-8")

    review = load_profiles(user_file)["mine"].review
    if told is None:
        require_approved("mine", review)
        return
    with pytest.raises(ModelUnapproved, match=f"pending: {told} since legal reviewed it on") as it:
        require_approved("mine", review)
    assert "models review mine" in it.value.hint
    run("review", "mine", *REVIEW)
    require_approved("mine", load_profiles(user_file)["mine"].review)


def test_a_review_ends_with_another_file_of_weights(user_file: Path) -> None:
    text = OWN_REVIEWED.replace('"openai"', '"xllamacpp"')
    text = text.replace('base_url = "http://127.0.0.1:9000/v1"', 'model_file = "ours.gguf"')
    user_file.write_text(text, encoding="utf-8")
    run("review", "mine", *REVIEW)
    require_approved("mine", load_profiles(user_file)["mine"].review)

    text = user_file.read_text("utf-8").replace("ours.gguf", "other.gguf", 1)
    user_file.write_text(text, encoding="utf-8")

    with pytest.raises(ModelUnapproved, match="pending: its model_file has changed since legal"):
        require_approved("mine", load_profiles(user_file)["mine"].review)


def test_a_review_shows_no_credentials_of_an_address(user_file: Path) -> None:
    user_file.write_text(OWN_REVIEWED.replace("//127", "//me:secret@127"), encoding="utf-8")
    run("review", "mine", *REVIEW)

    (mine,) = (model for model in listed() if model["model"] == "mine")

    assert mine["review"]["about"]["base_url"] == "http://127.0.0.1:9000/v1"
    assert user_file.read_text("utf-8").count("secret") == 1
    assert mine["review"]["status"] == "approved"


def test_a_blocked_model_stays_blocked_whatever_changes(user_file: Path) -> None:
    user_file.write_text(OWN_REVIEWED, encoding="utf-8")
    run("review", "mine", "--status", "blocked", "--role", "security")

    text = user_file.read_text("utf-8").replace('model = "my-model"', 'model = "other"', 1)
    user_file.write_text(text, encoding="utf-8")

    assert load_profiles(user_file)["mine"].review.status == "blocked"


def test_a_review_of_a_built_in_model_ends_with_another_address(user_file: Path) -> None:
    assert run("review", "mistral-7b-8k", *REVIEW).exit_code == 0

    text = user_file.read_text("utf-8").replace(
        "[profiles.mistral-7b-8k]\n",
        '[profiles.mistral-7b-8k]\nbase_url = "https://models.example/v1"\n',
    )
    user_file.write_text(text, encoding="utf-8")

    assert load_profiles(user_file)["mistral-7b-8k"].review.status == "pending"


def test_a_wrong_fact_of_a_review_is_told_by_its_key(user_file: Path) -> None:
    about = 'status = "approved"\nrole = "legal"\ndate = 2026-11-22\nabout = { modle = "m" }\n'
    user_file.write_text(OWN_PROFILE + f"[profiles.mine.review]\n{about}", encoding="utf-8")

    with pytest.raises(ConfigurationError, match="did you mean 'model'"):
        load_profiles(user_file)


def test_a_file_that_is_not_there_is_made(user_file: Path) -> None:
    assert run("review", "mistral-7b-8k", *REVIEW).exit_code == 0
    assert load_profiles(user_file)["mistral-7b-8k"].review.role == "legal"


def test_without_a_file_of_ones_own_the_hint_names_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    done = run("review", "quote", *REVIEW)

    assert isinstance(done.exception, ConfigurationError)
    assert "WINDOWFIT_SERVE_PROFILES" in done.exception.hint


def test_an_unknown_model_leaves_the_file_alone(user_file: Path) -> None:
    user_file.write_text(COMMENTED, encoding="utf-8")

    assert isinstance(run("review", "nonesuch", *REVIEW).exception, ModelNotFound)
    assert user_file.read_text("utf-8") == COMMENTED


def test_a_file_that_cannot_be_written_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "profiles.toml"
    path.mkdir()

    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_review(path, "quote", {"status": "approved"})
    assert list(tmp_path.iterdir()) == [path]


def test_a_profile_that_is_no_table_is_told(tmp_path: Path) -> None:
    path = tmp_path / "profiles.toml"
    path.write_text("profiles = 3\n", encoding="utf-8")

    with pytest.raises(ConfigurationError, match="no table"):
        write_review(path, "quote", {"status": "approved"})
    assert path.read_text("utf-8") == "profiles = 3\n"


@pytest.mark.parametrize(
    ("layout", "review"),
    [
        ("[profiles.quote]\ntimeout_seconds = 12", "[profiles.quote.review]"),
        ("[profiles]\nquote.timeout_seconds = 12\n", "quote.review = {"),
        (f"[profiles]\nquote.timeout_seconds = 12\n{OTHER}", "quote.review = {"),
        ("profiles.quote.timeout_seconds = 12\n", "[profiles.quote.review]"),
        ("[profiles]\nquote = { timeout_seconds = 12 }\n", "review = {"),
        ("profiles = { quote = { timeout_seconds = 12 } }\n", "review = {"),
        ('[profiles.quote]\nreview.note = "old"\n', "review.about = {"),
        ('[profiles]\nquote.review.note = "old"\n', "quote.review.about = {"),
        ('[profiles.quote]\nreview = { note = "old" }\n', "review = {"),
        ('[profiles.quote.review]\nnote = "old"\n[profiles.quote]\n', "[profiles.quote.review]"),
        ("[profiles]\nmistral-7b-8k.temperature = 0.1\n", "[profiles.quote.review]"),
    ],
)
def test_a_review_is_written_in_the_form_that_the_file_has(
    user_file: Path, layout: str, review: str
) -> None:
    wanted = tomllib.loads(layout)
    user_file.write_text(layout, encoding="utf-8")

    write_review(user_file, "quote", {**GIVEN, "about": ABOUT})

    written = user_file.read_text("utf-8")

    assert review in written
    quote = wanted.setdefault("profiles", {}).setdefault("quote", {})
    quote["review"] = {**quote.get("review", {}), **GIVEN, "about": ABOUT}
    assert tomllib.loads(written) == wanted
    assert load_profiles(user_file)["quote"].review.role == "legal"


def test_a_layout_that_cannot_be_edited_is_left_alone_with_what_to_write(user_file: Path) -> None:
    source = f"[profiles.quote.sources.window]\nurl = 'https://models.example'\nread = {TODAY}\n"
    before = f"[profiles.quote.review]\n[profiles.quote]\n[profiles]\n{source}"
    user_file.write_text(before, encoding="utf-8")

    with pytest.raises(ConfigurationError, match="cannot edit; nothing is changed") as refused:
        write_review(user_file, "quote", GIVEN)

    assert user_file.read_text("utf-8") == before
    keys = refused.value.hint.partition("by hand: ")[2].replace(", ", "\n")
    user_file.write_text(before.replace("review]\n", f"review]\n{keys}\n"), encoding="utf-8")
    assert load_profiles(user_file)["quote"].review.role == "legal"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--role", "r" * 200), "--role has 200 characters > 128"),
        (("--role", "le\udcffgal"), "--role is no text"),
        (("--role", "legal", "--note", "\udcff"), "--note is no text"),
    ],
)
def test_an_option_that_no_file_can_hold_leaves_the_file_alone(
    user_file: Path, options: tuple[str, ...], told: str
) -> None:
    user_file.write_text(COMMENTED, encoding="utf-8")

    refused = run("review", "quote", "--status", "approved", *options).exception

    assert isinstance(refused, InputError)
    assert told in refused.message
    assert user_file.read_text("utf-8") == COMMENTED


@pytest.mark.parametrize("review", [{"role": "r" * 200}, {"role": "\udcff"}, {"date": "today"}])
def test_a_review_that_would_not_load_is_not_written(
    user_file: Path, review: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError):
        write_review(user_file, "quote", {**GIVEN, **review})
    assert list(user_file.parent.iterdir()) == []

    user_file.write_text(COMMENTED, encoding="utf-8")
    with pytest.raises(ConfigurationError):
        write_review(user_file, "quote", {**GIVEN, **review})
    assert user_file.read_text("utf-8") == COMMENTED
    assert list(user_file.parent.iterdir()) == [user_file]
