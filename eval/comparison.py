"""What a finished comparison of arms holds, and its JSON form: written whole, and read back.

An arm is one way to answer: a model with a mode and a budget, or a route over two other arms.
Everything is as measured, except where its docstring says computed or estimated; money is exact
decimals, written as strings.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydantic import TypeAdapter, ValidationError

from chunking.errors import InputError
from eval.cells import AskedQuestion, Cell, Tokens
from eval.statistics import Difference, Mean
from eval.written import write_text
from serve.escalation import Thresholds
from serve.plan import Mode
from serve.profile_entry import Place

FORMAT = 1
"""Version of the JSON form; another one is refused."""
UNPACKED_LIMIT = 512 * 2**20
"""Bytes that a gzipped comparison may unpack to: a small file can hold more than a machine."""


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """One way to answer, as it was when the run was made.

    Attributes:
        kind: "model" asks one profile; "self-route" asks the first of `route`, and the second where
            the first one's answer is in doubt.
        profile, model: the profile and the name its server knows; of a route, the first arm's.
        place: where its model runs; a route that may leave for the cloud is "cloud".
        budget: cap on retrieved tokens; None leaves it to the window.
        reserved_output: most answer tokens of a call.
        stand_in: what the arm stands in for, in words; empty where it is the thing itself.
        oracle: whether it is given the documents that a question is about; of a route, whether one
            of its arms is.
        route: names of the two arms of a route.
        doubts: what sends a question on from the first arm to the second.
        thresholds: of the doubt `policy`, as the settings had them; None without it.
    """

    name: str
    profile: str
    model: str
    place: Place
    window: int
    mode: Mode
    budget: int | None = None
    reserved_output: int | None = None
    kind: Literal["model", "self-route"] = "model"
    stand_in: str = ""
    oracle: bool = False
    route: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    thresholds: Thresholds | None = None


def tell_oracle(arm: ArmFacts) -> str:
    """Return what an arm is given that a service would have to find, as the end of a sentence."""
    if arm.route:
        return (
            "goes over an oracle: questions that it sends on are given the documents that they are "
            "about, which no service knows"
        )
    return (
        "is an oracle: it is given the documents that a question is about, as the question's file "
        "names them, and does not have to find them"
    )


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What was run: enough to run it again, and to see whether two runs can be compared.

    Attributes:
        fingerprint: embedder, dimension and splitter of the collection, by name.
        documents, chunks: how many the collection held.
        versions: of Windowfit and the packages that figures depend on.
        parallel: most calls at a time; above 1 the times include waiting for each other.
        judge: profile of the language model that judged too; None where there was none.
        complete: every question has its answer or its final error in every arm; if not, the same
            run goes on where it stopped, and no gate passes.
    """

    started_at: datetime
    finished_at: datetime
    questions_file: str
    questions_sha256: str
    collection: str
    fingerprint: Mapping[str, str]
    documents: int
    chunks: int
    seed: int
    parallel: int
    versions: Mapping[str, str]
    arms: tuple[ArmFacts, ...]
    judge: str | None = None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Seconds that half, and 95 of 100, of the answers took at most."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a language model's verdicts agree with the rules on the cells that both judged.

    Attributes:
        kappa: Cohen's: 1 all agree, 0 as often as by chance; None where neither ever varies.
        judged_accuracy: share of right answers as the model has it.
    """

    judged: int
    agreed: int
    kappa: float | None
    judged_accuracy: float
    usd: Decimal


@dataclass(frozen=True, slots=True)
class ArmSummary:
    """What an arm's cells say together; every share with its 95 % interval.

    Attributes:
        failed: questions without an answer; they count as wrong.
        by_type, by_answer_type: accuracy.
        set_f1: mean over sets and lists; None where there are none, as in the following.
        abstention: share of unanswerable questions that are declined.
        refusal: share of answerable ones that are declined.
        stale: share of questions with a known stale value that get it.
        grounded, in_context, truncated: shares of the cells that have the measure.
        escalated: share of a route's questions that went on to its second arm.
        coverage_percent: the mean.
        first_seconds, total_seconds: None where nothing was answered.
        cost_usd: of all cells together; `cost_per_1000_usd` is computed from it.
    """

    arm: str
    questions: int
    failed: int
    accuracy: Mean
    by_type: Mapping[str, Mean]
    by_answer_type: Mapping[str, Mean]
    truncated: Mean
    coverage_percent: float
    tokens: Tokens
    cost_usd: Decimal
    cost_per_1000_usd: Decimal
    cost_basis: tuple[str, ...]
    set_f1: Mean | None = None
    abstention: Mean | None = None
    refusal: Mean | None = None
    stale: Mean | None = None
    grounded: Mean | None = None
    in_context: Mean | None = None
    escalated: Mean | None = None
    first_seconds: Percentiles | None = None
    total_seconds: Percentiles | None = None
    judge: Agreement | None = None


@dataclass(frozen=True, slots=True)
class Pairing:
    """How two arms differ in accuracy on the same questions.

    Attributes:
        accuracy: second minus first, with Tango's interval for pairs.
        first_only, second_only: questions that one arm alone has right; McNemar's test looks at
            these.
        mcnemar_p: two-sided and exact.
    """

    first: str
    second: str
    accuracy: Difference
    both: int
    first_only: int
    second_only: int
    neither: int
    mcnemar_p: float


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Questions a month from which own hardware costs less than a cloud arm; computed.

    Attributes:
        hardware_usd_per_month: as given; nothing is assumed.
        saved_usd_per_question: mean cost of a question in the cloud arm minus the local one.
        questions_per_month: the first divided by the second, rounded up.
    """

    local: str
    cloud: str
    hardware_usd_per_month: Decimal
    saved_usd_per_question: Decimal
    questions_per_month: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """A finished comparison.

    Attributes:
        cells: by question and then by arm, in the order of both.
        break_even: one for every pair of a local and a cloud arm, where hardware has a given price.
    """

    run: RunFacts
    questions: tuple[AskedQuestion, ...]
    cells: tuple[Cell, ...]
    arms: tuple[ArmSummary, ...]
    pairs: tuple[Pairing, ...]
    break_even: tuple[BreakEven, ...] = ()
    format: int = field(default=FORMAT)


_COMPARISON = TypeAdapter(Comparison)


def dump_comparison(comparison: Comparison) -> str:
    """Return the JSON form; `parse_comparison` returns an equal object."""
    return _COMPARISON.dump_json(comparison, indent=1).decode()


def parse_comparison(text: str, *, origin: str = "comparison") -> Comparison:
    """Return the comparison of a JSON text.

    Raises:
        InputError: it is none, or of another format; names the field.
    """
    try:
        value: Any = json.loads(text)
        found = value.get("format") if isinstance(value, dict) else None
        if found != FORMAT:
            raise InputError(f"{origin}: format {found!r}, this reads {FORMAT}")
        return _COMPARISON.validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"]))
        raise InputError(f"{origin}: {place}: {problem['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{origin}: no JSON") from error


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the JSON form; a process that dies leaves what was there before.

    Raises:
        InputError: the file cannot be written.
    """
    write_text(dump_comparison(comparison) + "\n", path)


def read_comparison(path: Path) -> Comparison:
    """Return the comparison of a file, which may be gzipped.

    Raises:
        InputError: it cannot be read, unpacks to more than `UNPACKED_LIMIT`, or holds none.
    """
    try:
        with path.open("rb") as file:
            packed = file.peek(2)[:2] == b"\x1f\x8b"  # by RFC 1952, whatever the name says
            text = (_unpack(file, path) if packed else file.read()).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}") from error
    return parse_comparison(text, origin=path.name)


def _unpack(file: BinaryIO, path: Path) -> bytes:
    with gzip.open(file) as stream:
        # Going on in the stream keeps nothing of it.
        if stream.seek(UNPACKED_LIMIT + 1) > UNPACKED_LIMIT:
            raise InputError(f"{path} unpacks to more than {UNPACKED_LIMIT:,} bytes")
        stream.seek(0)
        return stream.read()
