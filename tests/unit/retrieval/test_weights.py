"""What a folder of weights says of itself is believed only where it says all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retrieval.weights import WeightFacts, read_facts

FILES: dict[str, object] = {
    "modules.json": [
        {"type": f"sentence_transformers.models.{kind}"}
        for kind in ("Transformer", "Pooling", "Normalize")
    ],
    "config.json": {"hidden_size": 384},
    "sentence_bert_config.json": {"max_seq_length": 256, "do_lower_case": False},
    "tokenizer.json": {},
}


def write(folder: Path, files: dict[str, object]) -> str:
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return str(folder)


def test_a_plain_folder_tells_dimension_and_limit(tmp_path: Path) -> None:
    assert read_facts(write(tmp_path, FILES)) == WeightFacts(384, 256)


@pytest.mark.parametrize("missing", FILES)
def test_a_folder_without_one_of_its_files_tells_nothing(tmp_path: Path, missing: str) -> None:
    files = {name: content for name, content in FILES.items() if name != missing}
    assert read_facts(write(tmp_path, files)) is None


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("modules.json", [{"type": "sentence_transformers.models.Dense"}]),
        ("sentence_bert_config.json", {"max_seq_length": 256, "do_lower_case": True}),
        ("config_sentence_transformers.json", {"truncate_dim": 64}),
        ("config.json", {}),
    ],
)
def test_what_changes_vectors_or_tokens_is_left_to_the_loaded_model(
    tmp_path: Path, name: str, content: object
) -> None:
    assert read_facts(write(tmp_path, {**FILES, name: content})) is None


def test_settings_that_change_neither_do_not_matter(tmp_path: Path) -> None:
    files = {**FILES, "config_sentence_transformers.json": {"truncate_dim": None, "prompts": {}}}
    assert read_facts(write(tmp_path, files)) == WeightFacts(384, 256)
