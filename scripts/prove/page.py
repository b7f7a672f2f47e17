"""Judges what the proofs found, and draws the page that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scripts.prove.peers_measure import ArmResult, table

_HEAD: Final = """# Proof of exact fit

Written by `make prove-fit`; do not edit. Each part is a command of its own, named below. Sizes and
seeds stand in the scripts, so that a run can be repeated.
"""
_TITLES: Final = {
    "fuzz": "Our counts against independent ones",
    "completions": "Real completions on a real vLLM",
    "peers": "What libraries make of the same chunks and the same window",
    "cuts": "Silent truncations",
    "laws": "Conservation laws",
}
_TEXTS: Final = {
    "fuzz": "`python -m scripts.prove.fuzz`: requests in many languages, with digits, emoji, code, "
    "control-token text, 1 to 20 turns, tools and up to 40 sources. What was planned and what the "
    "final messages count is compared with the oracle's count of the same messages. `refused` are "
    "requests that the oracle and we both refuse.",
    "completions": "`python -m scripts.prove.completions`: planned prompt tokens against the "
    "server's `usage.prompt_tokens`, through the whole service.",
    "peers": "`python -m scripts.prove.peers`: the same ranked chunks for every arm, a window of "
    "8,192 tokens with 512 reserved, prompts counted by `mistral-common`. `defaults` are a "
    "library's own, `mistral` gives it the right tokenizer where it takes one. With the right "
    "tokenizer several libraries fit the window, too; what none of them gives is the account.",
    "cuts": "`python -m scripts.prove.cuts`: a scripted server says that it read fewer tokens than "
    "were sent, from one token less to almost nothing; honest answers beside.",
    "laws": "`python -m scripts.prove.laws`: random documents, candidates, conversations and "
    "budgets; every law is worked out again from the outside.",
}
_LEAST: Final = {"fuzz": 10_000, "completions": 500, "cuts": 500, "honest": 5000, "laws": 100_000}
_LEAST_QUESTIONS: Final = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """One target, what was found, and whether it holds."""

    target: str
    found: str
    held: bool


def judge(part: str, result: Any) -> tuple[Finding, ...]:
    """Return what the result of a part says of its targets."""
    return tuple(_JUDGES[part](result))


def draw_page(runs: Mapping[str, tuple[Any, str]]) -> str:
    """Return the page for the results of all parts, each with the day it was taken."""
    rows = [
        f"| {finding.target} | {finding.found} | {'yes' if finding.held else '**no**'} |"
        for part, (result, _) in runs.items()
        for finding in judge(part, result)
    ]
    parts = [_HEAD, "\n".join(("| target | found | held |", "|---|---|---|", *rows)) + "\n"]
    for part, (result, taken) in runs.items():
        parts.append(f"## {_TITLES[part]}\n\n{_TEXTS[part]} Taken on {taken}.\n")
        if part in _TABLES:
            parts.append(_TABLES[part](result) + "\n")
    return "\n".join(parts)


def _judge_fuzz(result: Any) -> Iterator[Finding]:
    for one in result["families"]:
        found = f"{one['differences']} of {one['requests']:,} differ, by {one['oracle']}"
        held = one["differences"] == 0 and one["requests"] >= _LEAST["fuzz"]
        yield Finding(f"counts of {one['family']}", found, held)


def _judge_completions(result: Any) -> Iterator[Finding]:
    answered, requests = result["answered"], result["requests"]
    found = f"{answered} of {requests} answered, {result['drifted']} drifted"
    held = result["drifted"] == 0 and answered == requests >= _LEAST["completions"]
    yield Finding("real completions without drift", found, held)
    refused = result["refused_for_length"]
    yield Finding("refusals for length", str(refused), refused == 0)


def _judge_peers(result: Any) -> Iterator[Finding]:
    own = _arms(result)[-1]
    found = f"{own.overflowed_calls} of {own.calls} prompts"
    held = own.overflowed_calls == 0 and own.questions >= _LEAST_QUESTIONS
    yield Finding("prompts of Windowfit that overflow", found, held)
    found = f"{own.listed_whole} of {own.listed}"
    yield Finding("listed sources that stand in the prompt", found, own.listed_whole == own.listed)
    least = 0.97
    yield Finding("window use of at least 97 %", f"{own.window_use:.1%}", own.window_use >= least)


def _judge_cuts(result: Any) -> Iterator[Finding]:
    found = f"{result['found']} of {result['cuts']}"
    held = result["found"] == result["cuts"] >= _LEAST["cuts"]
    yield Finding("silent truncations found", found, held)
    found = f"{result['accused']} of {result['honest']:,}"
    yield Finding(
        "false alarms", found, result["accused"] == 0 and result["honest"] >= _LEAST["honest"]
    )


def _judge_laws(result: Any) -> Iterator[Finding]:
    broken = sum(result["broken"].values())
    found = f"{broken} broken in {result['cases']:,} cases"
    yield Finding("conservation laws", found, not broken and result["cases"] >= _LEAST["laws"])


_JUDGES: Final[Mapping[str, Callable[[Any], Iterator[Finding]]]] = {
    "fuzz": _judge_fuzz,
    "completions": _judge_completions,
    "peers": _judge_peers,
    "cuts": _judge_cuts,
    "laws": _judge_laws,
}


def _fuzz_table(result: Any) -> str:
    columns = ("family", "oracle", "requests", "differences", "refused", "tools", "sources")
    return _rows(result["families"], (*columns, "prompt_tokens", "longest"))


def _completions_table(result: Any) -> str:
    return _rows([result], ("answered", "prompt_tokens", "full_windows", "longest"))


def _laws_table(result: Any) -> str:
    return _rows([result], ("cases", "merged", "duplicates", "trimmed", "dropped"))


def _peers_table(result: Any) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    return f"{table(_arms(result))}\n\nVersions: {versions}."


def _rows(records: list[Mapping[str, Any]], columns: tuple[str, ...]) -> str:
    head = f"| {' | '.join(name.replace('_', ' ') for name in columns)} |"
    rows = [f"| {' | '.join(_cell(record[name]) for name in columns)} |" for record in records]
    return "\n".join((head, "|---" * len(columns) + "|", *rows))


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _arms(result: Any) -> list[ArmResult]:
    names = ArmResult.__dataclass_fields__
    arms = [ArmResult(**{name: arm[name] for name in names}) for arm in result["arms"]]
    return sorted(arms, key=lambda arm: arm.arm.startswith("windowfit"))


_TABLES: Final[Mapping[str, Callable[[Any], str]]] = {
    "fuzz": _fuzz_table,
    "completions": _completions_table,
    "peers": _peers_table,
    "laws": _laws_table,
}
