"""Sends the service what its OpenAPI document allows and what it forbids, and judges every answer.

    python -m scripts.prove.schema_fuzz [--cases 10000] [--seed 0] [--json FILE]

Half of the bodies follow the document, half break it. A case fails where the answer has a status of
500 or more, a status or content type that the document does not name, or a body or headers that
are not as it says. The service is the real application over three short documents, in this process.
Exits with 1 where a case fails; the last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import hypothesis
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.generation import GenerationMode

from scripts.conformance.played import Probes
from scripts.conformance.service import COLLECTION, build_app

MODELS: Final = ("quote", "steady", "tool", "busy", "tiny", f"{COLLECTION}/steady")
"""Models that answer at once and as documented; a name drawn at random is seldom one of them."""

ASKING: Final = {"role": "user", "content": "What is the capital of Peru?"}
REFUSED: Final = tuple(
    "audio function_call functions logprobs modalities n top_logprobs web_search_options".split()
)
"""What the service knows of OpenAI's fields and refuses: almost every drawn body has one."""

JOBS_COLLECTION: Final = "fuzzed"
DOCUMENT: Final = {"id": "peru", "text": "Lima is the capital of Peru."}
"""Sent where a drawn job has nothing to ingest, which almost all have not."""

SHOWN_LIMIT: Final = 3
_CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
_BODY_WEIGHT: Final = 8
_SERVER_ERROR: Final = 500


@dataclass(slots=True)
class Tally:
    """What was sent and what came back.

    Attributes:
        statuses: answers by operation and status.
        failures: failed checks by operation and title.
        shown: how to see a failure again, for the first of each kind.
        request_id: of an answer that is kept, for the operations that ask for one.
        job_id: of a job, likewise.
    """

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    shown: list[str] = field(default_factory=list)
    request_id: str | None = None
    job_id: str | None = None

    @property
    def cases(self) -> int:
        """How many cases were sent."""
        return self.statuses.total()

    def server_errors(self) -> int:
        """Return how many answers had a status of 500 or more."""
        return sum(n for (_, status), n in self.statuses.items() if status >= _SERVER_ERROR)

    def count(self, operation: str, failure: Failure) -> None:
        """Count a failed check, and keep the first of its kind."""
        kind = (operation, failure.title)
        self.failures[kind] += 1
        if self.failures[kind] <= SHOWN_LIMIT:
            self.shown.append(f"{operation}: {failure.title}: {failure.message}")


def fuzz(cases: int, *, seed: int, home: Path) -> Tally:
    """Send so many cases, shared out among all operations of the document.

    Args:
        cases: how many to send, at least.
        seed: equal seeds send equal cases.
        home: where the service keeps its answered requests.
    """
    load_all_checks()
    app = build_app(Probes(), home=home)
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    results: Iterable[Any] = schema.get_all_operations()
    operations = [result.ok() for result in results]
    weights = [_BODY_WEIGHT if operation.body else 1 for operation in operations]
    tally = Tally()
    for turn in range(cases):  # an operation with few possible cases ends early
        share = (cases - tally.cases) / sum(weights)
        for operation, weight in zip(operations, weights, strict=True):
            # A path that is any text cannot be broken.
            modes = tuple(GenerationMode) if operation.body else (GenerationMode.POSITIVE,)
            for mode in modes:
                limit = max(1, round(share * weight / len(modes)))
                _fuzz_operation(operation, mode, limit=limit, seed=seed + turn, tally=tally)
        if tally.cases >= cases:
            break
    return tally


def _fuzz_operation(
    operation: Any, mode: GenerationMode, *, limit: int, seed: int, tally: Tally
) -> None:
    name = f"{operation.method.upper()} {operation.path}"
    cases = operation.as_strategy(generation_mode=mode)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=limit,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(cases, st.sampled_from(MODELS), st.booleans(), st.booleans())
    def send(case: Any, model: str, steered: bool, streamed: bool) -> None:
        if steered:
            _steer(case, model, tally, streamed=streamed)
        _judge(name, case, tally)

    send()


def _steer(case: Any, model: str, tally: Tally, *, streamed: bool) -> None:
    """Point a case at things that exist, or almost all would end at the first unknown name.

    What was drawn is copied, not changed: the drawing may give it out again.
    """
    if case.path == "/jobs" and isinstance(case.body, dict):
        # Few collections, as each of them is a model; the one of another splitter fails the job.
        drawn = {name: value for name, value in case.body.items() if name != "source"}
        case.body = {
            **drawn,
            "documents": drawn.get("documents") or [DOCUMENT],
            "collection": COLLECTION if streamed else JOBS_COLLECTION,
        }
    elif isinstance(case.body, dict):
        away = {*REFUSED, "collection", "history"}
        body = {name: value for name, value in case.body.items() if name not in away}
        body["model"] = model
        if streamed:
            body["stream"] = True
        if isinstance(turns := body.get("messages"), list):
            body["messages"] = [*filter(_speaks, turns), ASKING]
        case.body = body
    known = {"model": model, "request_id": tally.request_id, "job_id": tally.job_id}
    case.path_parameters = {
        name: known.get(name) or value for name, value in (case.path_parameters or {}).items()
    }


def _speaks(turn: object) -> bool:
    return isinstance(turn, dict) and turn.get("role") in ("system", "developer", "user")


def _judge(name: str, case: Any, tally: Tally) -> None:
    response = case.call()
    tally.statuses[name, response.status_code] += 1
    if response.status_code == 200 and "x-context-used" in response.headers:  # noqa: PLR2004
        tally.request_id = response.headers["x-request-id"][0]
    if response.status_code == 202:  # noqa: PLR2004
        tally.job_id = response.headers["location"][0].split("/")[2]
    try:
        case.validate_response(response, checks=_checks())
    except FailureGroup as group:
        for failure in group.exceptions:
            tally.count(name, failure)
    except Failure as failure:
        tally.count(name, failure)


def _checks() -> list[Any]:
    known = schemathesis.checks.CHECKS
    return known.get_by_names(list(_CHECKS))


def summary(tally: Tally, *, seconds: float) -> Mapping[str, Any]:
    """Return the figures as JSON."""
    return {
        "cases": tally.cases,
        "server_errors": tally.server_errors(),
        "failed_checks": tally.failures.total(),
        "statuses": {
            str(status): sum(n for (_, s), n in tally.statuses.items() if s == status)
            for status in sorted({status for _, status in tally.statuses})
        },
        "seconds": round(seconds, 1),
    }


def draw_table(tally: Tally) -> str:
    """Return the statuses that each operation answered with."""
    lines = []
    for operation in dict.fromkeys(name for name, _ in tally.statuses):
        seen = sorted((s, n) for (name, s), n in tally.statuses.items() if name == operation)
        lines.append(f"{operation:28} {sum(n for _, n in seen):6}  {_counts(seen)}")
    return "\n".join(lines)


def _counts(seen: Sequence[tuple[int, int]]) -> str:
    return "  ".join(f"{status}: {count}" for status, count in seen)


def main(arguments: Sequence[str] | None = None) -> int:
    """Send the cases and print the figures; return 1 where a case fails."""
    parser = argparse.ArgumentParser(description="Fuzz the service by its OpenAPI document.")
    parser.add_argument("--cases", type=int, default=10_000, help="how many cases, at least")
    parser.add_argument("--seed", type=int, default=0, help="equal seeds send equal cases")
    parser.add_argument("--json", type=Path, help="where the figures go as well")
    given = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="windowfit-fuzz-") as home:
        tally = fuzz(given.cases, seed=given.seed, home=Path(home))
    figures = json.dumps(summary(tally, seconds=time.perf_counter() - started))
    print(draw_table(tally))
    for line in tally.shown:
        print(line, file=sys.stderr)
    if given.json:
        given.json.write_text(figures + "\n", encoding="utf-8")
    print(figures)
    return 1 if tally.failures or tally.server_errors() else 0


if __name__ == "__main__":
    sys.exit(main())
