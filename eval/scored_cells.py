"""Scores what a call gave, against the question and against what the model was shown.

Nothing of a score is kept: it is made anew from the kept answer and the corpus, so that a better
rule or a corrected question changes a score without another call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chunking.document import BREADCRUMB_SEPARATOR, Chunk, Document
from eval.cells import AskedQuestion, Cell, Score
from eval.kept_cells import Given
from eval.metrics import answer_in_context
from eval.questions import Question
from eval.scoring.answers import FindNames, score_answer, score_failure
from serve.context.rebuild import ShownSpan, read_entry, shown_spans
from serve.escalation import read_signals
from serve.grounding import check_grounding

FindDocuments = Callable[[list[str]], Iterable[Document]]


@dataclass(slots=True)
class Scorer:
    """Scores calls about one corpus, which it reads as far as answers rest on it.

    Attributes:
        evidence: by question.
        find_documents: returns documents by id.
    """

    evidence: Mapping[str, Question]
    find_names: FindNames
    find_documents: FindDocuments
    _texts: dict[str, str] = field(default_factory=dict)

    def score(self, question: AskedQuestion, given: Given) -> Score:
        """Return the score of a call; one without an answer is wrong, and says with which error."""
        report = given.report
        coverage = report.get("coverage", {}).get("percent", 0.0)
        truncated = bool(report.get("truncated", False))
        if given.error is not None:
            failed = score_failure(question, given.error)
            return Score(
                *(False, failed.reason, False, truncated, coverage),
                f1=failed.f1,
                stale=failed.stale,
            )
        judged = score_answer(question, given.answer, find_names=self.find_names)
        shown = self.shown(report)
        gold = self.evidence[question.id]
        # The check and the signals of a service, so that a route decides here as it would there.
        grounding = check_grounding(given.answer, question=question.question, kept=shown)
        claims = not judged.abstained and grounding.checked > 0
        return Score(
            correct=judged.correct,
            reason=judged.reason,
            abstained=judged.abstained,
            truncated=truncated,
            coverage_percent=coverage,
            f1=judged.f1,
            stale=judged.stale,
            grounded=not grounding.missing if claims else None,
            ungrounded=grounding.missing if claims else (),
            in_context=answer_in_context(gold, shown) if gold.evidence else None,
            signals=read_signals(grounding, support=report.get("support")),
        )

    def shown(self, report: Mapping[str, Any]) -> tuple[Chunk, ...]:
        """Return what stood in the prompt, piece by piece, by the entries of its report."""
        spans = shown_spans([read_entry(entry) for entry in report.get("entries", ())])
        self._read({span.document for span in spans})
        return tuple(self._chunk(span) for span in spans if span.document in self._texts)

    def _read(self, documents: set[str]) -> None:
        missing = sorted(documents - self._texts.keys())
        if missing:
            found = self.find_documents(missing)
            self._texts.update((document.id, document.text) for document in found)

    def _chunk(self, span: ShownSpan) -> Chunk:
        text = self._texts[span.document][span.start : span.end]
        title, *path = span.breadcrumb.split(BREADCRUMB_SEPARATOR)
        return Chunk(span.chunk, span.document, title, tuple(path), span.start, span.end, text, 0)


def make_cell(arm: str, question: AskedQuestion, given: Given, *, score: Score) -> Cell:
    """Return the cell of an arm that asks a model."""
    return Cell(
        arm=arm,
        question=question.id,
        answered_by=arm,
        answer=given.answer,
        score=score,
        tokens=given.tokens,
        cost=given.cost,
        seconds=given.seconds,
        report=given.report,
        citations=given.citations,
        made_at=given.made_at,
        finish_reason=given.finish_reason,
        error=given.error,
        retryable=given.retryable,
    )
