"""Finds what only a language model of spaCy can find, names of persons above all, by Presidio.

Own patterns (`serve.personal`) find what has a form. Presidio is asked for nothing else: its
recognizer of e-mail fetches a list from the network when it is first used.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from chunking.errors import ConfigurationError, DependencyMissing

ENTITIES = ("PERSON", "LOCATION", "NRP", "ORGANIZATION")
"""What may be asked for: what the model itself marks (NRP: nationality, religion, politics)."""
_PIECE_SIZE = 50_000
"""Characters looked at together; spaCy refuses a million, and its memory grows with them."""
_OVERLAP = 200
"""Characters back in which a line or a word ends, so that no name is cut in two."""
_MODEL_FILE = "config.cfg"


class PresidioFinder:
    """Counts the entities of a text; safe to share between threads that take turns.

    Build it with `open_presidio`.
    """

    def __init__(self, analyzer: Any, *, language: str, entities: Collection[str]) -> None:
        self._analyzer = analyzer
        self._language = language
        self._entities = sorted(entities)

    def __call__(self, text: str) -> dict[str, int]:
        """Return how often each entity stands in a text, as in `presidio_person`."""
        counts = Counter(
            f"presidio_{found.entity_type.lower()}"
            for piece in _pieces(text)
            for found in self._analyzer.analyze(
                text=piece, language=self._language, entities=self._entities
            )
        )
        return dict(sorted(counts.items()))


def open_presidio(
    model_folder: Path, *, language: str = "en", entities: Collection[str] = ("PERSON",)
) -> PresidioFinder:
    """Load a spaCy model from its folder and return what finds entities with it.

    Nothing is fetched: Presidio would download a model of that name that it does not find.

    Args:
        model_folder: the folder of the model itself, which holds its `config.cfg`.

    Raises:
        DependencyMissing: Presidio or spaCy is not installed.
        ConfigurationError: there is no model in the folder, it does not load, or an entity is not
            one of `ENTITIES`.
    """
    if unknown := sorted(set(entities) - set(ENTITIES)):
        raise ConfigurationError(
            f"Presidio is not asked for {', '.join(unknown)}",
            hint=f"choose of {', '.join(ENTITIES)}; everything with a form has own detectors",
        )
    if not entities or not (model_folder / _MODEL_FILE).is_file():
        raise ConfigurationError(
            f"{len(entities)} entities, and a model of spaCy wanted in {model_folder}",
            hint=f"name at least one entity and the folder that holds the model's {_MODEL_FILE}",
        )
    package, engines = _load("presidio_analyzer"), _load("presidio_analyzer.nlp_engine")
    recognizers = _load("presidio_analyzer.predefined_recognizers")
    configuration = {
        "nlp_engine_name": "spacy",
        "models": [{"lang_code": language, "model_name": str(model_folder)}],
    }
    try:
        engine = engines.NlpEngineProvider(nlp_configuration=configuration).create_engine()
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the model of spaCy in {model_folder} does not load") from error
    of_model = recognizers.SpacyRecognizer(
        supported_language=language, supported_entities=list(ENTITIES)
    )
    registry = package.RecognizerRegistry(recognizers=[of_model], supported_languages=[language])
    analyzer = package.AnalyzerEngine(
        registry=registry, nlp_engine=engine, supported_languages=[language]
    )
    return PresidioFinder(analyzer, language=language, entities=entities)


def _load(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise DependencyMissing(
            f"finding names of persons needs the package {error.name!r}",
            hint="pip install 'windowfit[personal]', or name no model of spaCy",
        ) from error


def _pieces(text: str) -> Iterator[str]:
    """Yield the text in pieces that end with a line, else with a word."""
    start = 0
    while start < len(text):
        end = start + _PIECE_SIZE
        if end < len(text):
            for separator in "\n ":
                cut = text.rfind(separator, end - _OVERLAP, end)
                if cut > start:
                    end = cut + 1
                    break
        yield text[start:end]
        start = end
