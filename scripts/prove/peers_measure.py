"""Measures what the arms sent: overflows, sources that really stand in the prompt, window use.

Pure but for the counter it is given. "Whole" means that the whole text of a source stands in one of
the prompts of its question; white space does not matter, nor that LlamaIndex `simple_summarize`
shows its context as the `repr` of a list. A source of which only the beginning stands there is
"cut", the others are "absent".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from scripts.prove.peers_cases import Case, Outcome, Source, Turn

_BEGINNING_SIZE: Final = 40
"""Characters of text, after the breadcrumb, by which a cut source is recognised."""
_BREAK: Final = "\u200b"
"""What Windowfit puts into control-token text; the rest of the text stays as it was."""


@dataclass(frozen=True, slots=True)
class ArmResult:
    """What one arm did over all questions.

    Attributes:
        calls: prompts sent; `overflowed_calls`: of which prompt and answer exceed the window.
        overflowed_questions: questions with at least one such call.
        window_use: mean share of the room (window less answer) that a prompt takes.
        largest_prompt: tokens of the largest prompt.
        whole_sources: mean number of candidates that stand whole in the prompts of a question.
        listed: sources that the answers name, None where the library names none; they are
    """

    arm: str
    questions: int
    calls: int
    overflowed_calls: int
    overflowed_questions: int
    window_use: float
    largest_prompt: int
    whole_sources: float
    listed: int | None
    listed_whole: int
    listed_cut: int
    listed_absent: int
    listed_readable: int

    @property
    def calls_per_question(self) -> float:
        """Mean number of calls of the language model."""
        return self.calls / self.questions if self.questions else 0.0

    @property
    def listed_share(self) -> float | None:
        """Share of the listed sources that stand whole in a prompt; None where none are listed."""
        return self.listed_whole / self.listed if self.listed else None

    def row(self) -> dict[str, Any]:
        """Return the result as JSON holds it."""
        shares = {"listed_share": self.listed_share, "calls_per_question": self.calls_per_question}
        return {**asdict(self), **shares}


@dataclass(slots=True)
class Tally:
    """Sums of one arm while its outcomes come in."""

    arm: str
    window: int
    output: int
    overflowed_questions: int = 0
    prompts: list[int] = field(default_factory=list)
    whole: list[int] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    readable: int = 0
    lists: bool = False

    def add(self, case: Case, outcome: Outcome, count: Callable[[Sequence[Turn]], int]) -> None:
        """Measure one outcome."""
        sizes = [count(prompt) for prompt in outcome.prompts]
        self.prompts += sizes
        self.overflowed_questions += any(self._overflows(size) for size in sizes)
        shown = [_plain("\n".join(turn.content for turn in prompt)) for prompt in outcome.prompts]
        fitting = [
            text for text, size in zip(shown, sizes, strict=True) if not self._overflows(size)
        ]
        sources = {source.id: source for source in case.sources}
        states = {name: standing(source, shown) for name, source in sources.items()}
        self.whole.append(sum(state == "whole" for state in states.values()))
        if outcome.listed is not None:
            self.lists = True
            self.listed += [states[name] for name in outcome.listed]
            self.readable += sum(
                standing(sources[name], fitting) == "whole" for name in outcome.listed
            )

    def result(self) -> ArmResult:
        """Return what was measured."""
        room = self.window - self.output
        return ArmResult(
            arm=self.arm,
            questions=len(self.whole),
            calls=len(self.prompts),
            overflowed_calls=sum(map(self._overflows, self.prompts)),
            overflowed_questions=self.overflowed_questions,
            window_use=_mean([size / room for size in self.prompts]),
            largest_prompt=max(self.prompts, default=0),
            whole_sources=_mean(self.whole),
            listed=len(self.listed) if self.lists else None,
            listed_whole=self.listed.count("whole"),
            listed_cut=self.listed.count("cut"),
            listed_absent=self.listed.count("absent"),
            listed_readable=self.readable,
        )

    def _overflows(self, size: int) -> bool:
        return size + self.output > self.window


def measure(
    cases: Mapping[str, Case],
    outcomes: Iterable[Outcome],
    *,
    count: Callable[[Sequence[Turn]], int],
    window: int,
    output: int,
) -> list[ArmResult]:
    """Return one result per arm, in the order in which the arms first appear.

    Args:
        count: the true prompt tokens of a conversation.
    """
    tallies: dict[str, Tally] = {}
    for outcome in outcomes:
        tally = tallies.setdefault(outcome.arm, Tally(outcome.arm, window, output))
        tally.add(cases[outcome.case], outcome, count)
    return [tally.result() for tally in tallies.values()]


def standing(source: Source, prompts: Sequence[str]) -> str:
    """Return "whole", "cut" or "absent"; the prompts are plain, see `_plain`."""
    forms = {_plain(source.text), _plain(repr(source.text)[1:-1])}
    if any(form in prompt for form in forms for prompt in prompts):
        return "whole"
    for text in (source.text, repr(source.text)[1:-1]):
        beginning = _plain(f"{source.breadcrumb} {_plain(text)[:_BEGINNING_SIZE]}")
        if any(beginning in prompt for prompt in prompts):
            return "cut"
    return "absent"


def table(results: Sequence[ArmResult]) -> str:
    """Return the results as a Markdown table."""
    head = (
        "| arm | overflowed questions | overflowed calls | calls a question | window use "
        "| largest prompt | sources whole in a prompt | listed | of them whole | cut | absent "
        "| whole in a prompt that fits |"
    )
    rule = "|---|" + "---:|" * 11
    return "\n".join([head, rule, *map(_row, results)])


def _row(result: ArmResult) -> str:
    listed = ["none", *4 * ["n/a"]]
    if result.listed:
        parts = (
            result.listed_whole,
            result.listed_cut,
            result.listed_absent,
            result.listed_readable,
        )
        shares = [f"{part / result.listed:.1%}" for part in parts]
        listed = [f"{result.listed / result.questions:.1f}", *shares]
    cells = [
        result.arm,
        f"{result.overflowed_questions} of {result.questions}",
        f"{result.overflowed_calls} of {result.calls}",
        f"{result.calls_per_question:.1f}",
        f"{result.window_use:.1%}",
        str(result.largest_prompt),
        f"{result.whole_sources:.1f}",
        *listed,
    ]
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    r"""Return a text with single spaces for white space, and `\n` and `\'` of a `repr` undone."""
    text = text.replace(_BREAK, "").replace("\\u200b", "")
    for escaped, plain in (("\\n", " "), ("\\t", " "), ("\\'", "'"), ('\\"', '"')):
        text = text.replace(escaped, plain)
    return " ".join(text.split())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
