"""Shows the whole of Windowfit on the World Factbook: ingests it, serves it, asks three questions.

Run it by `make demo`, which installs and fetches what it needs. Nothing is kept running.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.rule import Rule

from scripts.local_model import running_local_model
from serve.picture import draw_answer

COLLECTION = "factbook"
QUESTIONS = (
    "What is the median age in India?",
    "Which has the larger total area, Bolivia or Lesotho?",
    "Can you create a business plan for a new mobile network company in India, "
    "specifically for young people?",
)
LOCAL_PROFILE = "qwen2.5-coder-1.5b-8k"
FACT_CONTEXT_TOKENS = 1500
"""Context of the two questions of fact when a model reads it on a CPU, 100 tokens a second."""
START_SECONDS = 120
STOP_SECONDS = 30
ANSWER_SECONDS = 1800
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: no proxy
NEXT_STEPS = """
What next:
  your own folder   windowfit ingest run ./docs --collection docs
                    windowfit ask "…" --collection docs
  a real vLLM       make vllm, then
                    windowfit ask "…" --model smollm2-135m-8k      (docs/models.md)
  OpenAI            export OPENAI_API_KEY=…; windowfit ask "…" --model gpt-6-luna
  the service       windowfit serve, then http://127.0.0.1:8080/docs
The commands are in .venv/bin; what was ingested stays in .windowfit.
"""


def main() -> int:
    """Run the demonstration and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llm", action="store_true", help="answer with a local language model")
    use_model = parser.parse_args().llm
    console = Console(highlight=False)
    started = time.perf_counter()
    console.print(Rule("1. ingest the World Factbook"))
    ingested = _windowfit("ingest", "run", "factbook", "--collection", COLLECTION)
    code = subprocess.run(ingested, check=False).returncode
    if code:
        return code
    with contextlib.ExitStack() as stack:
        environment = dict(os.environ)
        if use_model:
            console.print(Rule("2. start a language model on this CPU (slow: minutes an answer)"))
            model_url = stack.enter_context(running_local_model())
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            environment |= _use_local_model(Path(folder), model_url)
        console.print(Rule("ask three questions over HTTP"))
        address = stack.enter_context(_running_service(environment))
        console.print(f"service at {address}\n")
        for number, question in enumerate(QUESTIONS, start=1):
            console.print(f"[bold]Question {number}: {question}[/bold]\n")
            console.print(draw_answer(_post(address, _body(question, number, use_model=use_model))))
    console.print(Rule("service stopped"))
    console.print(NEXT_STEPS, markup=False)
    console.print(f"demo: {time.perf_counter() - started:.1f} s in all")
    return 0


def _windowfit(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "windowfit", *arguments]


def _body(question: str, number: int, *, use_model: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"question": question, "collection": COLLECTION}
    if use_model and number < len(QUESTIONS):
        body["max_context_tokens"] = FACT_CONTEXT_TOKENS
    return body


def _use_local_model(folder: Path, model_url: str) -> dict[str, str]:
    """Return the variables that make the local model the service's default."""
    profiles = folder / "profiles.toml"
    base_url = json.dumps(f"{model_url}/v1" if not model_url.endswith("/v1") else model_url)
    profiles.write_text(f'[profiles."{LOCAL_PROFILE}"]\nbase_url = {base_url}\n', encoding="utf-8")
    return {"WINDOWFIT_SERVE_PROFILES": str(profiles), "WINDOWFIT_SERVE_MODEL": LOCAL_PROFILE}


@contextlib.contextmanager
def _running_service(environment: dict[str, str]) -> Iterator[str]:
    """Start the service on a free loopback port, yield its address once ready, and stop it."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            _windowfit("serve", "--port", "0"),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("listening on "):
                log.seek(0)
                raise SystemExit(f"the service did not start:\n{log.read().decode()}")
            address = line.split()[2]
            _wait_until_ready(address)
            yield address
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_ready(address: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with _OPENER.open(f"{address}/readyz", timeout=START_SECONDS):
                return
        except urllib.error.URLError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"the service at {address} did not get ready: {error}") from error
            time.sleep(0.2)


def _post(address: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{address}/answer",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    try:
        with _OPENER.open(request, timeout=ANSWER_SECONDS) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"the service refused: {error.read().decode()}") from error


if __name__ == "__main__":
    sys.exit(main())
