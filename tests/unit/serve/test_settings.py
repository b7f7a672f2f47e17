from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chunking.errors import ConfigurationError, WindowfitError
from chunking.sensitivity import Sensitivity
from serve.config_cli import app
from serve.profiles import load_profiles
from serve.settings import ServeSettings

KEY = "qdrant-key-4711"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder: no configuration file and no `.env`."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown() -> dict[str, dict[str, object]]:
    result = CliRunner().invoke(app, ["show", "--json"])
    assert result.exit_code == 0, result.output
    assert KEY not in result.output
    rows = json.loads(result.stdout)
    return {row["setting"]: row for row in rows}


def test_the_defaults_answer_without_a_model_on_this_machine_alone() -> None:
    settings = ServeSettings.load()

    assert (settings.host, settings.model, settings.collection) == (
        "127.0.0.1",
        "quote",
        "factbook",
    )


def test_environment_wins_over_dotenv_and_dotenv_over_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "windowfit.toml").write_text(
        '[serve]\nport = 1\nmodel = "file"\ncollection = "file"\n', encoding="utf-8"
    )
    (folder / ".env").write_text(
        "WINDOWFIT_SERVE_MODEL=dotenv\nWINDOWFIT_SERVE_COLLECTION=dotenv\n", encoding="utf-8"
    )
    monkeypatch.setenv("WINDOWFIT_SERVE_COLLECTION", "environment")

    settings = ServeSettings.load()

    assert (settings.port, settings.model, settings.collection) == (1, "dotenv", "environment")
    origins = settings.origins()
    assert origins["collection"] == "environment"
    assert origins["model"] == ".env"
    assert origins["port"] == "windowfit.toml"
    assert origins["host"] == "default"


def test_a_flag_wins_over_everything_and_an_absent_one_over_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WINDOWFIT_SERVE_PORT", "1")
    monkeypatch.setenv("WINDOWFIT_SERVE_HOST", "0.0.0.0")

    settings = ServeSettings.load(port=2, host=None)

    assert (settings.port, settings.host) == (2, "0.0.0.0")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("WINDOWFIT_SERVE_MODL", "did you mean 'WINDOWFIT_SERVE_MODEL'?"),
        ("WINDOWFIT_SERVE_COLECTION", "did you mean 'WINDOWFIT_SERVE_COLLECTION'?"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_nearest(
    name: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "x")

    with pytest.raises(ConfigurationError, match=name) as caught:
        ServeSettings.load()

    assert caught.value.hint == hint


def test_a_misspelt_key_of_the_file_is_refused_with_the_nearest(folder: Path) -> None:
    (folder / "windowfit.toml").write_text("[serve]\nprot = 1\n", encoding="utf-8")

    with pytest.raises(ConfigurationError, match="prot") as caught:
        ServeSettings.load()

    assert caught.value.hint == "did you mean 'port'?"


@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_a_port_that_is_none_is_refused_by_name(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDOWFIT_SERVE_PORT", port)

    with pytest.raises(ConfigurationError, match="port") as caught:
        ServeSettings.load()

    assert caught.value.exit_code == 2


# --- windowfit config show


def test_every_setting_is_shown_with_its_origin_and_what_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WINDOWFIT_SERVE_MODEL", "mistral-7b-8k")

    rows = shown()

    assert {f"serve.{name}" for name in ServeSettings.model_fields} <= set(rows)
    assert rows["serve.model"]["value"] == "mistral-7b-8k"
    assert rows["serve.model"]["origin"] == "environment"
    assert rows["serve.port"]["origin"] == "default"
    assert all(row["description"] for row in rows.values())


@pytest.mark.parametrize("place", ["environment", "dotenv", "file"])
def test_a_secret_is_masked_wherever_it_comes_from(
    place: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place == "environment":
        monkeypatch.setenv("WINDOWFIT_QDRANT_API_KEY", KEY)
    elif place == "dotenv":
        (folder / ".env").write_text(f"WINDOWFIT_QDRANT_API_KEY={KEY}\n", encoding="utf-8")
    else:
        text = f'[index]\nqdrant_api_key = "{KEY}"\n'
        (folder / "windowfit.toml").write_text(text, encoding="utf-8")

    assert shown()["index.qdrant_api_key"]["value"] == "********"


def test_a_password_inside_an_address_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDOWFIT_QDRANT_URL", f"https://reader:{KEY}@qdrant.example:6333/x")

    assert shown()["index.qdrant_url"]["value"] == "https://********@qdrant.example:6333/x"


def test_a_secret_that_is_not_set_is_shown_as_none() -> None:
    assert shown()["index.qdrant_api_key"]["value"] is None


def test_the_table_masks_secrets_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDOWFIT_QDRANT_API_KEY", KEY)

    result = CliRunner().invoke(app, ["show"], env={"COLUMNS": "200"})

    assert result.exit_code == 0
    assert KEY not in result.output
    assert "********" in result.output
    assert "not there; defaults and environment only" in result.output


RULES = """
[serve]
model = "mistral-7b-8k"

[[serve.rules]]
name = "ours"
sensitivity_at_least = "Confidential"
target = "local"

[[serve.rules]]
name = "cheap"
cost_limit_usd = 0.05
personal_data = ["email"]
target = "cloud"
fallback = ["local"]
"""


def test_rules_are_read_from_the_file_and_shown(folder: Path) -> None:
    (folder / "windowfit.toml").write_text(RULES, encoding="utf-8")

    policy = ServeSettings.load().policy(load_profiles())

    assert [rule.name for rule in policy.rules] == ["ours", "cheap"]
    assert policy.rules[0].sensitivity_at_least is Sensitivity.CONFIDENTIAL
    assert policy.cloud_limit is Sensitivity.INTERNAL
    told = shown()["serve.rules"]["value"]
    assert told[0] == {  # type: ignore[index]
        "name": "ours",
        "sensitivity_at_least": "confidential",
        "target": "local",
    }


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('target = "cloud"', ""), "rules.1.target"),
        (("personal_data", "personal_date"), "did you mean 'personal_data'"),
        (('"Confidential"', '"secret"'), "no label of sensitivity"),
    ],
)
def test_a_wrong_rule_is_refused_at_the_start(
    folder: Path, change: tuple[str, str], told: str
) -> None:
    (folder / "windowfit.toml").write_text(RULES.replace(*change), encoding="utf-8")

    with pytest.raises(WindowfitError, match=told):
        ServeSettings.load()


def test_a_detector_that_there_is_not_is_refused_at_the_start(folder: Path) -> None:
    text = RULES.replace('["email"]', '["emial"]')
    (folder / "windowfit.toml").write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError, match="did you mean 'email'"):
        ServeSettings.load().policy(load_profiles())


def test_restricted_is_no_limit_of_clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINDOWFIT_SERVE_CLOUD_LIMIT", "restricted")

    with pytest.raises(ConfigurationError, match="cloud_limit"):
        ServeSettings.load()


@pytest.mark.parametrize("route", ["auto", "local", "cloud", "gpt-6-luna"])
def test_a_route_of_the_settings_is_a_word_or_a_model(route: str) -> None:
    ServeSettings(route=route).policy(load_profiles())


def test_a_route_that_leads_nowhere_is_refused_at_the_start_with_the_nearest_name() -> None:
    with pytest.raises(ConfigurationError, match="unknown route 'clould', did you mean 'cloud'"):
        ServeSettings(route="clould").policy(load_profiles())


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("personal_data = []", "names no detector"),
        ("window_above = 9000\nwindow_at_most = 8000", "window_above 9000 >= window_at_most 8000"),
        ("window_above = 8000\nwindow_at_most = 8000", "window_above 8000 >= window_at_most 8000"),
        (
            'sensitivity_at_least = "restricted"\nsensitivity_at_most = "internal"',
            "sensitivity_at_least restricted > sensitivity_at_most internal",
        ),
    ],
)
def test_a_rule_that_can_never_hold_is_refused(folder: Path, condition: str, told: str) -> None:
    (folder / "windowfit.toml").write_text(
        f'[[serve.rules]]\nname = "never"\ntarget = "local"\n{condition}\n', encoding="utf-8"
    )

    with pytest.raises(ConfigurationError, match=f"rule 'never' never holds: .*{told}"):
        ServeSettings.load().policy(load_profiles())
