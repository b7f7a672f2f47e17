from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from chunking.errors import ConfigurationError, DependencyMissing
from serve.presidio import PresidioFinder, open_presidio


class Analyzer:
    """Finds a person wherever "Jane" stands, and records the sizes of what it was given."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def analyze(
        self, *, text: str, language: str, entities: Sequence[str]
    ) -> list[SimpleNamespace]:
        self.sizes.append(len(text))
        return [SimpleNamespace(entity_type="PERSON")] * text.count("Jane")


def test_without_presidio_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.cfg").write_text("")
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(DependencyMissing) as raised:
        open_presidio(tmp_path)
    assert "windowfit[personal]" in raised.value.hint


def test_a_folder_without_a_model_is_refused_before_presidio_would_download_one(
    tmp_path: Path,
) -> None:
    with pytest.raises(ConfigurationError, match="a model of spaCy wanted in"):
        open_presidio(tmp_path / "en_core_web_lg")


def test_what_own_detectors_find_is_not_asked_of_presidio(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not asked for EMAIL_ADDRESS"):
        open_presidio(tmp_path, entities=["PERSON", "EMAIL_ADDRESS"])


def test_a_long_text_is_cut_between_words_and_nothing_is_lost() -> None:
    analyzer = Analyzer()
    find = PresidioFinder(analyzer, language="en", entities=["PERSON"])
    text = "Jane went. " * 20_000
    assert find(text) == {"presidio_person": 20_000}
    assert len(analyzer.sizes) > 1
    assert sum(analyzer.sizes) == len(text)


def test_a_text_without_any_space_is_read_whole() -> None:
    analyzer = Analyzer()
    PresidioFinder(analyzer, language="en", entities=["PERSON"])("x" * 120_000)
    assert sum(analyzer.sizes) == 120_000
