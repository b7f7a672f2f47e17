"""`windowfit models`: the table of licences, and reviews that are written without harm."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from chunking.errors import ConfigurationError, ModelNotFound
from serve.models_cli import app, write_review
from serve.profiles import load_profiles

REVIEW = ("--status", "approved", "--role", "legal")
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
