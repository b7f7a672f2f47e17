"""Compares retrieval in a short window with whole documents in a long one, on a real vLLM.

    python -m scripts.compare_windows [--documents 10] [--count 13] [--out docs/results/NAME]

A vLLM serves Qwen2.5-Coder-1.5B-Instruct, first with 8,192 tokens and then with 32,768. The arm
`local-rag-8k` searches the whole Factbook for the first; `full-32k` gives the second the whole
documents that a question is about, one or two. It stands in for a long-window model of a cloud: it
says what reading whole documents is worth to this model, and nothing about a larger one. The
questions are made by `windowfit eval questions` and grouped by document, so that the server's
prefix cache reads each document once. A run that is stopped goes on where it was. Takes about an
hour on two cores.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from scripts.vllm_models import QWEN, QWEN_8K, ServedModel
from scripts.vllm_server import DEFAULT_FOLDER, DEFAULT_MODELS, ROOT, ServerError, running_vllm

FOLDER: Final = ROOT / ".cache" / "compare-windows"
SERVED: Final = {"qwen-8k": QWEN_8K, "qwen-32k": QWEN}
_PORT: Final = 8377
"""The same each time: what is kept of a run names the address that was asked."""
COLLECTION: Final = "factbook"
_ANSWER_TOKENS: Final = 200
_TIMEOUT_SECONDS: Final = 3600
_STAND_IN: Final = (
    "the same 1.5B Coder weights, given the whole documents that a question is about, stand in for "
    "a long-window model of a cloud"
)
_SOURCE: Final = "https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct"
_REPORTS: Final = ("comparison.html", "comparison.csv", "comparison.json")
_MOST_ANSWER: Final = 2048
_STAGES: Final[tuple[tuple[ServedModel, str], ...]] = (
    (QWEN_8K, "local-rag-8k"),
    (QWEN, "local-rag-8k,full-32k,self-route"),
)
"""A server at a time, and what is asked of it; what the first answered is kept for the second."""


def profiles(base_url: str) -> str:
    """Return the file of the two profiles: the same weights with two windows."""
    return "\n".join(_profile(name, served.window, base_url) for name, served in SERVED.items())


def _profile(name: str, window: int, base_url: str) -> str:
    read = "read = 2026-11-22"
    return f"""
[profiles.{name}]
description = "Qwen2.5 Coder 1.5B Instruct on a vLLM of this machine, served with {window} tokens."
backend = "openai"
model = "{QWEN.served_name}"
base_url = "{base_url}"
window = {window}
output_limit = {_MOST_ANSWER}
default_output = {_ANSWER_TOKENS}
tokenizer = "huggingface:{QWEN.served_name}"
place = "local"
licence = "Apache-2.0"
price = "none"
timeout_seconds = {_TIMEOUT_SECONDS}
temperature = 0.0
system_role = true
reviewed = 2026-11-22

[profiles.{name}.sources]
window = {{ url = "{_SOURCE}", {read}, note = "at most 32,768 without YaRN" }}
output_limit = {{ url = "{_SOURCE}", {read}, note = "a choice" }}
price = {{ url = "{_SOURCE}", {read}, note = "open weights on own hardware" }}
tokenizer = {{ url = "{_SOURCE}", {read} }}
licence = {{ url = "{_SOURCE}", {read} }}

[profiles.{name}.review]
status = "approved"
role = "maintainers"
date = 2026-11-22
restrictions = "Apache-2.0: keep the licence and the notices"
region = "this machine"
data_terms = "text stays on this machine"
weights = {{ source = "{_SOURCE}" }}
"""


def arms(budget: int) -> str:
    """Return the file of the arms, with the most tokens that the search may bring."""
    return f"""
[arms.local-rag-8k]
model = "qwen-8k"
max_context_tokens = {budget}
max_output_tokens = {_ANSWER_TOKENS}

[arms.full-32k]
model = "qwen-32k"
mode = "full"
oracle = true
max_output_tokens = {_ANSWER_TOKENS}
stand_in = "{_STAND_IN}"

[arms.self-route]
first = "local-rag-8k"
second = "full-32k"
"""


def compare(given: argparse.Namespace) -> int:
    """Ask every question of both arms, and return the exit code of the last command."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    drawn = f"{given.count}-of-a-type-about-{given.documents}"
    questions, served = FOLDER / f"questions-{drawn}.jsonl", FOLDER / "profiles.toml"
    if not questions.exists() and (code := _make_questions(questions, given)):
        return code
    (FOLDER / "arms.toml").write_text(arms(given.budget), encoding="utf-8")
    for model, names in _STAGES:
        with running_vllm(DEFAULT_FOLDER, DEFAULT_MODELS, model=model, port=_PORT) as base_url:
            served.write_text(profiles(base_url), encoding="utf-8")
            code = _windowfit(
                *("eval", "compare", "--questions", str(questions), "--collection", COLLECTION),
                *("--arms-file", str(FOLDER / "arms.toml"), "--run", str(FOLDER / "run")),
                *("--arms", names, *given.more),
                settings={"WINDOWFIT_SERVE_PROFILES": str(served)},
            )
        if code:
            return code
    given.out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(questions, given.out / "questions.jsonl")
    for name in _REPORTS:
        shutil.copyfile(FOLDER / "run" / name, given.out / name)
    # Every answer with its receipt: too large to be read as it is.
    whole = given.out / "comparison.json"
    (given.out / f"{whole.name}.gz").write_bytes(gzip.compress(whole.read_bytes(), mtime=0))
    whole.unlink()
    return 0


def _make_questions(questions: Path, given: argparse.Namespace) -> int:
    ingest = ("ingest", "run", COLLECTION, "--collection", COLLECTION, "--quiet")
    drawn = ("--count", str(given.count), "--documents", str(given.documents), "--seed", "1")
    make = ("eval", "questions", "--collection", COLLECTION, "--out", str(questions), *drawn)
    return _windowfit(*ingest) or _windowfit(*make)


def _windowfit(*words: str, settings: dict[str, str] | None = None) -> int:
    command = [sys.executable, "-m", "windowfit", *words]
    environment = os.environ | (settings or {})
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparison; return its exit code, 4 where vLLM cannot be had."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--documents", type=int, default=10, help="documents that are asked about")
    parser.add_argument("--count", type=int, default=13, help="questions of each type, at most")
    parser.add_argument("--budget", type=int, default=3000, help="tokens of retrieved text")
    parser.add_argument("--out", type=Path, default=FOLDER / "out", help="folder of the report")
    given, given_more = parser.parse_known_args(arguments)
    given.more = given_more
    try:
        return compare(given)
    except ServerError as error:
        print(error, file=sys.stderr)
        return 4


if __name__ == "__main__":
    sys.exit(main())
