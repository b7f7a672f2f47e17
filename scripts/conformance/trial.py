"""Tries the clients, each unmodified and in a process of its own, against one running service."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scripts.conformance.environments import ROOT, client_command, client_variables

CLIENT_SECONDS: Final = 180
STOP_SECONDS: Final = 10
EXPECTED: Final = ("answer", "stream", "error", "busy", "broken", "cancel", "cancel early")
"""The checks that every client must pass."""


@dataclass(frozen=True, slots=True)
class ClientEntry:
    """A client to try.

    Attributes:
        name: what people call it.
        package: what they install.
        environment: where it runs.
        script: the module below `clients`, or the script below `node`.
        setting: how a user points it at the service.
        extras: checks beyond those of every client.
    """

    name: str
    package: str
    environment: str
    script: str
    setting: str
    extras: tuple[str, ...] = ()


CLIENTS: Final = (
    ClientEntry(
        "OpenAI SDK for Python",
        "openai",
        "openai-3",
        "openai_sdk",
        'OpenAI(base_url=URL, api_key="any")',
    ),
    ClientEntry(
        "OpenAI SDK for Python, 2.x",
        "openai",
        "openai-2",
        "openai_sdk",
        'OpenAI(base_url=URL, api_key="any")',
    ),
    ClientEntry(
        "OpenAI SDK for Node",
        "openai",
        "node",
        "openai",
        'new OpenAI({ baseURL: URL, apiKey: "any" })',
    ),
    ClientEntry(
        "LangChain `ChatOpenAI`",
        "langchain-openai",
        "openai-3",
        "langchain",
        'ChatOpenAI(base_url=URL, api_key="any", model=…)',
        extras=("structure",),
    ),
    ClientEntry(
        "LlamaIndex `OpenAILike`",
        "llama-index-llms-openai-like",
        "openai-2",
        "llamaindex",
        'OpenAILike(api_base=URL, api_key="any", model=…, is_chat_model=True)',
    ),
    ClientEntry(
        "Haystack `OpenAIChatGenerator`",
        "haystack-ai",
        "openai-3",
        "haystack",
        'OpenAIChatGenerator(api_base_url=URL, api_key=Secret.from_token("any"), model=…)',
    ),
    ClientEntry(
        "LiteLLM SDK",
        "litellm",
        "openai-2",
        "litellm_sdk",
        'completion(model="openai/…", api_base=URL, api_key="any", …)',
    ),
    ClientEntry(
        "pydantic-ai `Agent`",
        "pydantic-ai-slim[openai]",
        "openai-3",
        "pydantic_ai_agent",
        'OpenAIChatModel(…, provider=OpenAIProvider(base_url=URL, api_key="any"))',
        extras=("structure", "tools"),
    ),
    ClientEntry(
        "instructor",
        "instructor",
        "openai-2",
        "instructor_sdk",
        'instructor.from_openai(OpenAI(base_url=URL, api_key="any"))',
        extras=("structure",),
    ),
    ClientEntry(
        "Vercel AI SDK",
        "ai, @ai-sdk/openai-compatible",
        "node",
        "ai_sdk",
        'createOpenAICompatible({ name: "windowfit", baseURL: URL })',
        extras=("structure",),
    ),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one check; the note says what was seen, or what is wrong."""

    passed: bool
    note: str


@dataclass(frozen=True, slots=True)
class Tried:
    """A client, its version, and the outcome of every check it must pass."""

    client: ClientEntry
    version: str
    outcomes: dict[str, Outcome]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(outcome.passed for outcome in self.outcomes.values())

    def failures(self) -> Iterator[str]:
        """Yield a line for each failed check."""
        for check, outcome in self.outcomes.items():
            if not outcome.passed:
                yield f"{self.client.name}: {check}: {outcome.note}"


def try_clients(clients: Sequence[ClientEntry], *, logs: Path, workers: int = 2) -> list[Tried]:
    """Try the clients, some at a time; what they print beside their results goes to `logs`."""
    logs.mkdir(parents=True, exist_ok=True)
    with running_service(logs) as address, ThreadPoolExecutor(workers) as pool:
        return list(pool.map(lambda client: try_client(client, address, logs=logs), clients))


@contextlib.contextmanager
def running_service(logs: Path) -> Iterator[str]:
    """Start the service under test in a process of its own; give its address.

    Raises:
        RuntimeError: it does not start.
    """
    command = [sys.executable, "-m", "scripts.conformance.service"]
    with (logs / "service.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            if not address:
                raise RuntimeError(f"the service does not start: see {log.name}")
            yield address
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def try_client(client: ClientEntry, address: str, *, logs: Path) -> Tried:
    """Run the checks of one client and read what they print."""
    command = [*client_command(client.environment, client.script), address]
    log = logs / f"{client.environment}-{client.script}.log"
    with log.open("wb") as file:
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=client_variables(),
                stdout=subprocess.PIPE,
                stderr=file,
                stdin=subprocess.DEVNULL,
                timeout=CLIENT_SECONDS,
                check=False,
            )
            printed = done.stdout
        except subprocess.TimeoutExpired as error:
            printed = error.stdout or b""
    return read_results(client, printed.decode(errors="replace"))


def read_results(client: ClientEntry, printed: str) -> Tried:
    """Return what a client's script printed; a check without a result has failed."""
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in printed.splitlines() if line.startswith("{")
    ]
    version = next((line["version"] for line in lines if "version" in line), "?")
    found = {line["check"]: Outcome(line["passed"], line["note"]) for line in lines[1:]}
    missing = Outcome(passed=False, note="no result: the client did not get so far")
    wanted = (*EXPECTED, *client.extras)
    return Tried(client, version, {check: found.get(check, missing) for check in wanted})
