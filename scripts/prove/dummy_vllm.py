"""Serves any tokenizer folder on a real vLLM without weights, to ask it how it counts.

The network has one small layer of random numbers: nothing it writes means anything, and its
tokenizer, chat template and routes are those of the real model.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from scripts.vllm_server import (
    DEFAULT_FOLDER,
    DEFAULT_MODELS,
    prepare,
    wait_until_answering,
)

MODEL: Final = "dummy"
WINDOW: Final = 65_536
_ROUND: Final = 64  # of the vocabulary, as kernels want it
_START_SECONDS: Final = 600.0
_STOP_SECONDS: Final = 30.0
_NOT_LINKED: Final = frozenset({"config.json", "generation_config.json"})
_WEIGHTS: Final = (".safetensors", ".bin", ".gguf", ".pt")
_SETTINGS: Final = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_KVCACHE_SPACE": "2",
    "VLLM_NO_USAGE_STATS": "1",
}
_NETWORK: Final[dict[str, Any]] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "hidden_act": "silu",
}
_SMALL: Final[dict[str, Any]] = {"num_hidden_layers": 1, "max_position_embeddings": WINDOW}


@contextmanager
def dummy_model(tokenizer_folder: Path) -> Iterator[Path]:
    """Yield a model folder with the folder's tokenizer and a network that needs no weights.

    Count by this folder, too: the configuration beside a tokenizer decides which class reads it.
    """
    with TemporaryDirectory() as home:
        folder = Path(home, "model")
        _write_model(folder, tokenizer_folder)
        yield folder


@contextmanager
def dummy_vllm(folder: Path) -> Iterator[str]:
    """Yield the base URL of a vLLM that serves a `dummy_model` under the name `MODEL`.

    Raises:
        ServerError: vLLM cannot be installed, or does not become ready in time.
    """
    prepare(DEFAULT_FOLDER, DEFAULT_MODELS)
    with TemporaryDirectory() as home:
        port = _free_port()
        log = Path(home, "server.log")
        with log.open("wb") as output:
            server = subprocess.Popen(
                _command(folder, port),
                env=os.environ | _SETTINGS,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            base_url = f"http://127.0.0.1:{port}/v1"
            wait_until_answering(
                base_url,
                log,
                has_ended=lambda: server.poll() is not None,
                seconds=_START_SECONDS,
            )
            yield base_url
        finally:
            _stop(server)


def _write_model(folder: Path, tokenizer_folder: Path) -> None:
    folder.mkdir()
    for file in tokenizer_folder.resolve().iterdir():
        if file.is_file() and file.name not in _NOT_LINKED and file.suffix not in _WEIGHTS:
            (folder / file.name).symlink_to(file)
    own = tokenizer_folder / "config.json"
    network = json.loads(own.read_text(encoding="utf-8")) if own.is_file() else _NETWORK
    size = -(-_vocabulary_size(tokenizer_folder) // _ROUND) * _ROUND
    config = {**network, **_SMALL, "vocab_size": size}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")


def _vocabulary_size(folder: Path) -> int:
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    added = [token["id"] for token in tokenizer["added_tokens"]]
    largest: int = max([*tokenizer["model"]["vocab"].values(), *added])
    return largest + 1


def _command(folder: Path, port: int) -> list[str]:
    return [
        *(str(DEFAULT_FOLDER / "venv/bin/python"), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(folder), "--served-model-name", MODEL, "--load-format", "dummy"),
        *("--host", "127.0.0.1", "--port", str(port), "--max-model-len", str(WINDOW)),
        *("--dtype", "bfloat16", "--enforce-eager", "--enable-scale-out"),
        *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _stop(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
