"""What every arm of the peer suite is given and what it gives back; standard library only.

The peers run in an environment of their own, without Windowfit's packages, so this module is all
that both sides share: a file of cases goes in, a file of outcomes comes out, one JSON line each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SYSTEM = (
    "You are an assistant for question-answering tasks. Use the following pieces of retrieved "
    "context to answer the question. If you don't know the answer, just say that you don't know."
)
"""For peers that bring no prompt of their own: the one of LangChain's tutorial on retrieval."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One message as a peer hands it to its language model."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Source:
    """A ranked chunk as a peer gets it; `hit` is the whole of Windowfit's own record of it."""

    id: str
    breadcrumb: str
    text: str
    hit: Mapping[str, Any]

    @property
    def content(self) -> str:
        """The text with its breadcrumb on a line above, which is what Windowfit shows, too."""
        return f"{self.breadcrumb}\n{self.text}"


@dataclass(frozen=True, slots=True)
class Case:
    """One question with its candidates, best first."""

    id: str
    type: str
    question: str
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one arm sent to the language model for one case.

    Attributes:
        prompts: the messages of each call, in order.
        listed: ids of the sources that the arm's answer names; None where it names none at all.
    """

    arm: str
    case: str
    prompts: tuple[tuple[Turn, ...], ...]
    listed: tuple[str, ...] | None


def write_cases(path: Path, cases: Iterable[Case]) -> None:
    """Write cases, one a line, in one step: a reader never sees half a file."""
    _write(path, (asdict(case) for case in cases))


def read_cases(path: Path, *, candidates: int | None = None) -> Iterator[Case]:
    """Yield the cases of a file, each with its first `candidates` sources."""
    for line in _lines(path):
        sources = tuple(Source(**source) for source in line["sources"][:candidates])
        yield Case(line["id"], line["type"], line["question"], sources)


def write_outcomes(path: Path, outcomes: Iterable[Outcome]) -> None:
    """Write outcomes, one a line, in one step."""
    _write(path, (asdict(outcome) for outcome in outcomes))


def read_outcomes(path: Path) -> Iterator[Outcome]:
    """Yield the outcomes of a file one by one: together they are larger than they look."""
    for line in _lines(path):
        prompts = tuple(tuple(Turn(**turn) for turn in prompt) for prompt in line["prompts"])
        listed = None if line["listed"] is None else tuple(line["listed"])
        yield Outcome(line["arm"], line["case"], prompts, listed)


def stacked(case: Case) -> tuple[Turn, ...]:
    """Return a case as a conversation whose oldest turn matters least.

    Libraries that fit a window by dropping old messages keep the newest: so the question stands
    last, and the candidates before it from the worst to the best.
    """
    ranked: Sequence[Source] = case.sources
    context = [Turn("user", source.content) for source in reversed(ranked)]
    return (Turn("system", SYSTEM), *context, Turn("user", case.question))


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    partial.replace(path)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
