"""Sets the questions of a comparison for a report's page, cut to the room that a page has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from chunking.errors import InputError
from eval.cells import AskedQuestion, Cell, Expected
from eval.comparison import Comparison
from eval.figures import spell_usd
from eval.html.receipts import Held, Shown, set_receipt
from serve.abstention import is_empty
from serve.context.report import ContextReport

_DIGITS = 3
_REPORT = TypeAdapter(ContextReport)


@dataclass(frozen=True, slots=True)
class Cut:
    """How much of every question a page holds.

    Attributes:
        agreed, disagreed: what is shown of receipts of questions on which all arms are right or all
            wrong, and of the others.
        text: most characters of a question, of what is expected, and of an answer.
        questions: most questions; None keeps all.
    """

    agreed: Shown
    disagreed: Shown
    text: int
    questions: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with what every arm made of it, in the order of the arms.

    Attributes:
        cells: None where an arm was not asked yet; each with its receipt, if it has one.
    """

    question: AskedQuestion
    cells: tuple[tuple[Cell, ContextReport | None] | None, ...]

    @property
    def agreed(self) -> bool:
        """Whether all arms are right, or all are wrong; no answer is wrong."""
        return len({cell is not None and cell[0].score.correct for cell in self.cells}) == 1


def read_questions(comparison: Comparison) -> list[Asked]:
    """Return the questions with their cells and receipts, in the order of the comparison.

    Raises:
        InputError: a cell holds something else than a context report; names the cell.
    """
    cells = {(cell.question, cell.arm): cell for cell in comparison.cells}
    names = [arm.arm for arm in comparison.arms]

    def read(question: str, arm: str) -> tuple[Cell, ContextReport | None] | None:
        cell = cells.get((question, arm))
        return None if cell is None else (cell, _parse_report(cell))

    return [
        Asked(question, tuple(read(question.id, name) for name in names))
        for question in comparison.questions
    ]


def _parse_report(cell: Cell) -> ContextReport | None:
    if not cell.report:
        return None
    try:
        return _REPORT.validate_python(cell.report)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"]))
        message = f"cell {cell.arm}, {cell.question}: report.{place}: {problem['msg']}"
        raise InputError(message) from None


def choose_questions(asked: Sequence[Asked], limit: int | None) -> list[Asked]:
    """Return so many questions in their order; those on which arms disagree are kept first."""
    if limit is None or limit >= len(asked):
        return list(asked)
    ranked = sorted(range(len(asked)), key=lambda place: (asked[place].agreed, place))
    return [asked[place] for place in sorted(ranked[:limit])]


def set_question(asked: Asked, *, cut: Cut, held: Held) -> dict[str, Any]:
    """Return a question as the page's script takes it."""
    question, shown = asked.question, cut.agreed if asked.agreed else cut.disagreed
    text, left = held.shorten(question.question, cut.text)
    expected, more = held.shorten(_expected(question.expected), cut.text)
    answers = [
        None if cell is None else _set_answer(*cell, shown=shown, limit=cut.text, held=held)
        for cell in asked.cells
    ]
    stale, _ = held.shorten(_expected(question.stale) if question.stale else "", cut.text)
    return {
        "id": question.id,
        "type": question.type,
        "text": text,
        "expected": expected,
        "cut": left + more,
        "stale": stale,
        "answers": answers,
    }


def _expected(expected: Expected) -> str:
    if expected is None:
        return "Nothing answers it: saying so is right."
    return expected if isinstance(expected, str) else "; ".join(expected)


def _set_answer(
    cell: Cell, report: ContextReport | None, *, shown: Shown, limit: int, held: Held
) -> list[Any]:
    text, left = held.shorten(cell.answer, limit)
    first, tokens = cell.seconds.first, cell.tokens
    receipt = None
    if report is not None:
        receipt = set_receipt(report, cell.citations, shown=shown, held=held)
    record = {
        "right": None if cell.error is not None else int(cell.score.correct),
        "verdict": held.place(cell.score.reason if cell.error is None else cell.error),
        "text": text,
        "cut": left,
        "notes": [held.place(note) for note in _notes(cell)],
        "seconds": [
            None if first is None else round(first, _DIGITS),
            round(cell.seconds.total, _DIGITS),
        ],
        "tokens": [tokens.prompt, tokens.cached, tokens.output],
        "cost": held.place(f"{spell_usd(cell.cost.usd)} ({cell.cost.basis})"),
        "receipt": receipt,
    }
    return held.pack("answer", record)


def _notes(cell: Cell) -> Iterator[str]:
    """Yield what is to be known of an answer beside its figures."""
    score = cell.score
    if cell.answered_by != cell.arm:
        doubt = f", asked because of doubt: {cell.doubt}" if cell.doubt else ""
        yield f"This is the answer of {cell.answered_by}{doubt}."
    if cell.finish_reason == "length":
        yield "The answer ended at its limit of tokens."
    if score.abstained:
        yield "It has no text." if is_empty(cell.answer) else "It declines to answer."
    if score.stale:
        yield "It gives the value of another edition."
    if score.f1 is not None:
        yield f"F1 of the set {score.f1:.2f}."
    if score.ungrounded:
        yield f"Not in the prompt: {', '.join(score.ungrounded)}."
    if score.in_context is not None:
        stood = "stood" if score.in_context else "did not all stand"
        yield f"What the right answer rests on {stood} in the prompt."
    if cell.verdict is not None and cell.verdict.correct is not None:
        yield f"The judging model calls it {'right' if cell.verdict.correct else 'wrong'}."
