"""A question that was made of what documents state, and whether they bear it out; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eval.making.measured_facts import comparable
from eval.making.stated_facts import Fact


@dataclass(frozen=True, slots=True)
class MadeQuestion:
    """A question with its answer, and the facts that prove it."""

    id: str
    type: str
    question: str
    answer: str | tuple[str, ...] | None
    answer_type: str
    evidence: tuple[Fact, ...]
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def documents(self) -> frozenset[str]:
        """The documents that it asks about; of one without an answer, where that is missing."""
        near = {self.more["near"]["doc"]} if "near" in self.more else set()
        return frozenset(fact.document for fact in self.evidence) | near

    def as_json(self) -> dict[str, Any]:
        """Return the line of the file: `{id, type, question, answer, evidence, answer_type, …}`."""
        evidence = [
            {"doc": one.document, "path": "|".join((*one.headings, one.field)), "text": one.line}
            for one in self.evidence
        ]
        answer = list(self.answer) if isinstance(self.answer, tuple) else self.answer
        return {
            "id": self.id,
            "type": self.type,
            "question": self.question,
            "answer": answer,
            "evidence": evidence,
            "answer_type": self.answer_type,
            **self.more,
        }


@dataclass(frozen=True, slots=True)
class MadeQuestions:
    """Questions by type, and what could not be made.

    Attributes:
        facts: what was found to ask of.
        left_out: why lines and documents gave no fact, and facts no question, with how often.
        short: types of which fewer were made than wanted, with how many are lacking.
    """

    questions: tuple[MadeQuestion, ...]
    facts: int
    left_out: Mapping[str, int]
    short: Mapping[str, int]


def is_proved(question: MadeQuestion, texts: Mapping[str, str]) -> bool:
    """Return whether the documents bear a question out, word for word."""
    if not all(fact.line in texts.get(fact.document, "") for fact in question.evidence):
        return False
    if question.answer_type == "abstain":
        return not question.evidence
    if question.type == "comparison":
        first, second = question.evidence
        return comparable(first, second) and question.answer in {first.subject, second.subject}
    answers = question.answer if isinstance(question.answer, tuple) else (question.answer,)
    return len(answers) == len(question.evidence) and all(
        answer is not None and answer in fact.line
        for answer, fact in zip(answers, question.evidence, strict=True)
    )
