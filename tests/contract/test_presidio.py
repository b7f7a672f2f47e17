"""Presidio with a real model of spaCy: the one that `make data` fetches."""

from __future__ import annotations

from pathlib import Path

import pytest

from chunking.errors import ConfigurationError
from scripts.vllm_server import DEFAULT_MODELS
from serve.presidio import open_presidio


@pytest.fixture(scope="module")
def model_folder() -> Path:
    folder = DEFAULT_MODELS / "en_core_web_sm"
    if not folder.is_dir():
        pytest.skip(f"no model of spaCy in {folder}: make data")
    pytest.importorskip("presidio_analyzer", reason="pip install 'windowfit[personal]'")
    return folder


def test_persons_are_counted_and_nothing_of_the_text_is_told(model_folder: Path) -> None:
    find = open_presidio(model_folder)
    assert find("Jane Miller met John Smith in Paris.") == {"presidio_person": 2}
    assert find("The area is 1,790 sq km.") == {}
    assert find("") == {}


def test_a_text_longer_than_spacy_takes_is_read_to_its_end(model_folder: Path) -> None:
    find = open_presidio(model_folder)
    assert find("area " * 30_000 + "\nJane Miller lives here.") == {"presidio_person": 1}


def test_other_entities_of_the_model_can_be_asked_for(model_folder: Path) -> None:
    find = open_presidio(model_folder, entities=["PERSON", "LOCATION"])
    assert find("Jane Miller lives in Paris.") == {"presidio_location": 1, "presidio_person": 1}


def test_a_broken_model_is_a_configuration_error(model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.cfg").write_text("[nlp]\n")
    with pytest.raises(ConfigurationError, match="does not load"):
        open_presidio(tmp_path)
